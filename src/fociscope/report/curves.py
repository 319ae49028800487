"""Scores over conditions: every condition in one picture, and curves over what varies."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fociscope.evaluation.methods.constant import CONSTANT
from fociscope.evaluation.results import ConditionResult, EvaluationResults, Score
from fociscope.figures.style import PLOT_STYLE, as_read
from fociscope.report.labels import (
    CONDITION_LABELS,
    condition_label,
    conditions_by_name,
    method_label,
    pictured,
)
from fociscope.report.style import logarithmic, method_style, new_figure, shared_legend, tidy

__all__ = ["draw_conditions", "draw_curves"]

#: Share of a row that the methods of a condition take.
ROW_SHARE = 0.75
OWN_RANGE = ("layers", "coverage")
REFERENCE_VALUE = {
    "snr": 40.0,
    "half-angle": 18.0,
    "base-blur": 0.0,
    "shift": 0.0,
    "rotation": 0.0,
    "assumed-half-angle": 18.0,
    "layers": 4.0,
}
"""Where on a group's axis the reference condition stands."""
AXES = {
    "snr": "peak SNR (dB)",
    "half-angle": "half angle (°)",
    "base-blur": "base blur (pixels)",
    "shift": "shift, not told (pixels)",
    "assumed-half-angle": "told; 18 is true (°)",
    "layers": "layers",
    "coverage": "share with cells (%)",
}


def draw_conditions(results: EvaluationResults) -> Figure:
    """Draw accuracy and depth error under every condition, with intervals."""
    conditions = results.conditions
    with mpl.rc_context(PLOT_STYLE):
        figure, grid = new_figure(1.3 + 0.19 * len(conditions), 1, 2, sharey=True)
        _draw_condition_scores(grid[0, 0], results, "accuracy", 100)
        _draw_condition_scores(grid[0, 1], results, "depth_error_um", 1)
        labels = [as_read(condition_label(c)) for c in conditions]
        grid[0, 0].set_yticks(range(len(conditions)), labels)
        grid[0, 0].set_xlabel("pixels right (%)")
        grid[0, 0].set_xlim(None, 100.5)
        grid[0, 1].set_xlabel("mean absolute depth error (µm)")
        logarithmic(grid[0, 1], "x")
        shared_legend(figure, grid[0, 0], columns=4)
    return figure


def draw_curves(results: EvaluationResults, key: str, label: str, scale: float) -> Figure | None:
    """Draw a score over everything that varies in steps; None where nothing does.

    Args:
        results: of an evaluation.
        key: of the score.
        label: of its axis, with unit.
        scale: from the score's unit to the axis'.
    """
    by_name = conditions_by_name(results)
    is_share = key != "depth_error_um"
    groups = [
        group
        for group in AXES
        if sum(
            c.group == group and c.score(results.evaluated, key) is not None
            for c in results.conditions
        )
        > 1
    ]
    if not groups:
        return None
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    with mpl.rc_context(PLOT_STYLE):
        figure, grid = new_figure(0.9 + 1.9 * rows, rows, columns)
        for axes in grid.flat[len(groups) :]:
            axes.set_visible(False)
        for axes, group in zip(grid.flat, groups, strict=False):
            members = [c for c in results.conditions if c.group == group]
            if group in REFERENCE_VALUE and "reference" in by_name:
                members.append(_at(by_name["reference"], REFERENCE_VALUE[group]))
            if group == "layers" and "single-layer" in by_name:
                members.append(by_name["single-layer"])
            members.sort(key=lambda c: float(c.value))
            for name in pictured(results):
                if (key, name) != ("dice", CONSTANT):  # 0 wherever cells are rare
                    _curve(axes, results, members, name, key, scale)
            if not is_share:
                logarithmic(axes, "y")
            tidy(axes)
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            axes.set_xlabel(AXES[group])
            axes.set_title(_title(group))
        for axes in grid[:, 0]:
            axes.set_ylabel(label)
        _share_heights(
            [(group, axes) for group, axes in zip(groups, grid.flat, strict=False)],
            highest=1.008 * scale if is_share else None,
        )
        shared_legend(figure, grid[0, 0], columns=4)
    return figure


def _draw_condition_scores(axes: Axes, results: EvaluationResults, key: str, scale: float) -> None:
    """Draw a score of all methods, one row for each condition."""
    conditions = results.conditions
    constant = [_constant_baseline(c, f"constant_{key}") for c in conditions]
    known = [(n, value) for n, value in enumerate(constant) if value]
    axes.scatter(
        [scale * value for _, value in known],
        [n for n, _ in known],
        marker="|",
        s=70,
        color="black",
        linewidths=1.4,
        label="constant baseline; mean depth",
        zorder=3,
    )
    # One below the other within their row, so that none hides another's interval.
    names = [name for name in pictured(results) if name != CONSTANT]
    for place, name in enumerate(names):
        lower = ROW_SHARE * ((place + 0.5) / len(names) - 0.5)
        rows = [
            (n + lower, entry)
            for n, entry in enumerate(c.score(name, key) for c in conditions)
            if entry is not None and entry.value is not None
        ]
        if not rows:
            continue
        style = method_style(results, name) | {"linestyle": "none"}
        axes.errorbar(
            _values([e for _, e in rows], scale),
            [n for n, _ in rows],
            xerr=_errors([e for _, e in rows], scale),
            elinewidth=0.9,
            markersize=3.5,
            label=method_label(results, name),
            **style,
        )
    tidy(axes)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(conditions) - 0.4, -0.6)
    for n in range(1, len(conditions)):
        if conditions[n].group != conditions[n - 1].group:
            axes.axhline(n - 0.5, color="0.85", linewidth=0.5)


def _curve(
    axes: Axes,
    results: EvaluationResults,
    members: list[ConditionResult],
    name: str,
    key: str,
    scale: float,
) -> None:
    points = [
        (float(c.value), entry)
        for c, entry in ((c, c.score(name, key)) for c in members)
        if entry is not None and entry.value is not None
    ]
    if points:
        axes.errorbar(
            [x for x, _ in points],
            _values([e for _, e in points], scale),
            yerr=_errors([e for _, e in points], scale),
            elinewidth=0.8,
            label=method_label(results, name),
            **method_style(results, name),
        )


def _values(entries: Sequence[Score], scale: float) -> list[float]:
    return [scale * e.value for e in entries if e.value is not None]


def _errors(entries: Sequence[Score], scale: float) -> list[list[float]]:
    """Return (low, high) lengths of error bars; 0 where there is no interval."""
    bars: list[list[float]] = [[], []]
    for e in entries:
        if e.value is None:
            continue
        low = e.value if e.low is None else e.low
        high = e.value if e.high is None else e.high
        bars[0].append(max(scale * (e.value - low), 0))
        bars[1].append(max(scale * (high - e.value), 0))
    return bars


def _constant_baseline(condition: ConditionResult, key: str) -> float | None:
    """Return what the constant baseline scores, which stands beside every method's score."""
    found = (condition.score(method, key) for method in condition.scores)
    return next((score.value for score in found if score is not None), None)


def _share_heights(panels: Sequence[tuple[str, Axes]], *, highest: float | None) -> None:
    """Give all panels the same range, but one of its own to each that would flatten the others.

    With the share of cells, the constant baseline goes from nothing to all; one layer alone is told
    far better than several.
    """
    shared = [axes for group, axes in panels if group not in OWN_RANGE]
    if shared:
        low = min(axes.get_ylim()[0] for axes in shared)
        high = max(axes.get_ylim()[1] for axes in shared)
        for axes in shared:
            axes.set_ylim(low, high)
    for _, axes in panels:
        low, high = axes.get_ylim()
        if axes.get_yscale() == "log" and high < 12 * low:
            axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    if highest is not None:
        for _, axes in panels:
            axes.set_ylim(None, highest)


def _at(condition: ConditionResult, value: float) -> ConditionResult:
    """Return a condition with another value of what varies."""
    return condition.model_copy(update={"value": value})


def _title(group: str) -> str:
    words = CONDITION_LABELS[group]
    return words[0].upper() + words[1:]
