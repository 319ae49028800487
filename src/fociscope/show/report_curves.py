"""Scores over conditions: every condition in one picture, and curves over what varies.

Candidates have Okabe and Ito's colours, which colour-blind readers can tell apart, and a marker
each, which grey paper keeps apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fociscope.show.report_labels import (
    CONDITION_LABELS,
    condition_label,
    conditions_by_name,
    evaluated,
    is_scored,
)

__all__ = [
    "PAGE_INCH",
    "PLOT_STYLE",
    "candidate_style",
    "draw_conditions",
    "draw_curves",
    "logarithmic",
    "new_figure",
    "shared_legend",
    "tidy",
]

Results = dict[str, Any]

PLOT_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
}
#: Width of the text on A4 paper, in inches.
PAGE_INCH = 7.5

EVALUATED, CONSTANT = "#0072B2", "#7f7f7f"
SOLVERS = {
    "tikhonov": ("#E69F00", "s"),
    "richardson-lucy": ("#009E73", "^"),
    "fista": ("#D55E00", "D"),
    "admm": ("#CC79A7", "v"),
}
LIMIT = ("#000000", "*")
OTHER = ("#56B4E9", "P")
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


def candidate_style(results: Results, name: str) -> dict[str, Any]:
    """Return colour, marker and line of a candidate; an oracle is hollow and dashed."""
    if name == "constant":
        return {"color": CONSTANT, "marker": "x", "linestyle": ":"}
    if name == evaluated(results) and results["candidates"][name]["kind"] == "model":
        return {"color": EVALUATED, "marker": "o", "linestyle": "-"}
    if results["candidates"][name]["kind"] == "limit":
        return {"color": LIMIT[0], "marker": LIMIT[1], "linestyle": "--"}
    colour, marker = SOLVERS.get(name.removesuffix("-oracle"), OTHER)
    if results["candidates"][name]["oracle"]:
        return {"color": colour, "marker": marker, "linestyle": "--", "markerfacecolor": "white"}
    return {"color": colour, "marker": marker, "linestyle": "-"}


def new_figure(height_inch: float, rows: int, columns: int, **options: Any) -> tuple[Figure, Any]:
    """Return a figure as wide as a page, and its axes (row, column)."""
    figure = Figure(figsize=(PAGE_INCH, height_inch), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def tidy(axes: Axes) -> None:
    """Take the box's upper and right side off."""
    axes.spines[["top", "right"]].set_visible(False)


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2, 5, 10 ..."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(mpl.ticker.NullLocator())


def shared_legend(figure: Figure, axes: Axes, *, columns: int) -> None:
    """Draw one legend below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _errors(entries: Sequence[dict[str, Any]], scale: float) -> list[list[float]]:
    """Return (low, high) lengths of error bars; 0 where there is no interval."""
    bars: list[list[float]] = [[], []]
    for e in entries:
        low = e["value"] if e["low"] is None else e["low"]
        high = e["value"] if e["high"] is None else e["high"]
        bars[0].append(max(scale * (e["value"] - low), 0))
        bars[1].append(max(scale * (high - e["value"]), 0))
    return bars


def draw_conditions(results: Results) -> Figure:
    """Draw accuracy and depth error under every condition, with intervals."""
    conditions = results["conditions"]
    with mpl.rc_context(PLOT_STYLE):
        figure, grid = new_figure(1.3 + 0.17 * len(conditions), 1, 2, sharey=True)
        for axes, key, constant, scale in (
            (grid[0, 0], "accuracy", "constant_accuracy", 100),
            (grid[0, 1], "depth_error_um", "constant_depth_error_um", 1),
        ):
            known = [
                (n, _blind(c, constant)) for n, c in enumerate(conditions) if _blind(c, constant)
            ]
            axes.scatter(
                [scale * (value or 0) for _, value in known],
                [n for n, _ in known],
                marker="|",
                s=70,
                color="black",
                linewidths=1.4,
                label="majority answer; mean depth",
                zorder=3,
            )
            for name in reversed(results["candidates"]):
                if name == "constant":
                    continue
                rows = [
                    (n, c["scores"][name][key])
                    for n, c in enumerate(conditions)
                    if c["scores"][name].get(key, {}).get("value") is not None
                ]
                if not rows:
                    continue
                style = candidate_style(results, name) | {"linestyle": "none"}
                axes.errorbar(
                    [scale * e["value"] for _, e in rows],
                    [n for n, _ in rows],
                    xerr=_errors([e for _, e in rows], scale),
                    elinewidth=0.9,
                    label=name,
                    **style,
                )
            tidy(axes)
            axes.grid(axis="y", visible=False)
            axes.set_ylim(len(conditions) - 0.4, -0.6)
            starts = [
                n
                for n in range(1, len(conditions))
                if conditions[n]["group"] != conditions[n - 1]["group"]
            ]
            for n in starts:
                axes.axhline(n - 0.5, color="0.85", linewidth=0.5)
        grid[0, 0].set_yticks(range(len(conditions)), [condition_label(c) for c in conditions])
        grid[0, 0].set_xlabel("pixels right (%)")
        grid[0, 0].set_xlim(None, 100.5)
        grid[0, 1].set_xlabel("mean absolute depth error (µm)")
        logarithmic(grid[0, 1], "x")
        shared_legend(figure, grid[0, 0], columns=4)
    return figure


def _blind(condition: dict[str, Any], key: str) -> float | None:
    """Return what an answer without looking scores, which stands beside every candidate's score."""
    found = (s[key]["value"] for s in condition["scores"].values() if key in s)
    return next(found, None)


def draw_curves(results: Results, key: str, label: str, scale: float) -> Figure | None:
    """Draw a score over everything that varies in steps; None where nothing does.

    Args:
        results: of an evaluation.
        key: of the score.
        label: of its axis, with unit.
        scale: from the score's unit to the axis'.
    """
    by_name = conditions_by_name(results)
    groups = [
        group
        for group in AXES
        if sum(c["group"] == group and key in _first(c) for c in results["conditions"]) > 1
    ]
    if not groups:
        return None
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    with mpl.rc_context(PLOT_STYLE):
        figure, grid = new_figure(0.9 + 1.9 * rows, rows, columns, sharey=True)
        for axes in grid.flat[len(groups) :]:
            axes.set_visible(False)
        for axes, group in zip(grid.flat, groups, strict=False):
            members = [c for c in results["conditions"] if c["group"] == group]
            if group in REFERENCE_VALUE and "reference" in by_name:
                members.append(by_name["reference"] | {"value": REFERENCE_VALUE[group]})
            if group == "layers" and "single-layer" in by_name:
                members.append(by_name["single-layer"])
            members.sort(key=lambda c: float(c["value"]))
            for name in results["candidates"]:
                _curve(axes, results, members, name, key, scale)
            tidy(axes)
            axes.set_xlabel(AXES[group])
            axes.set_title(_title(group))
        for axes in grid[:, 0]:
            axes.set_ylabel(label)
        if scale == 100:
            grid[0, 0].set_ylim(None, 100)
        else:
            logarithmic(grid[0, 0], "y")
        shared_legend(figure, grid[0, 0], columns=4)
    return figure


def _first(condition: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of the evaluated candidate."""
    return next(iter(condition["scores"].values()))


def _title(group: str) -> str:
    words = CONDITION_LABELS[group]
    return words[0].upper() + words[1:]


def _curve(
    axes: Axes,
    results: Results,
    members: list[dict[str, Any]],
    name: str,
    key: str,
    scale: float,
) -> None:
    points = [
        (float(c["value"]), c["scores"][name][key])
        for c in members
        if is_scored(c, name) and c["scores"][name].get(key, {}).get("value") is not None
    ]
    if points:
        axes.errorbar(
            [x for x, _ in points],
            [scale * e["value"] for _, e in points],
            yerr=_errors([e for _, e in points], scale),
            elinewidth=0.8,
            label=name,
            **candidate_style(results, name),
        )
