"""Pictures of a report that look into single conditions: reliability, depth, size of foci."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.lines
import matplotlib.patches
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure

from fociscope.evaluation.bootstrap import share_interval
from fociscope.evaluation.generalisation import worst_first
from fociscope.evaluation.results import (
    ConditionResult,
    EvaluationResults,
    MethodScores,
    Score,
    ScoresByDepth,
)
from fociscope.figures.style import (
    CAPTURE_MAP,
    EMPTY,
    PLOT_STYLE,
    SMALL_STYLE,
    as_read,
    draw_image,
    draw_scale_bar,
)
from fociscope.report.labels import (
    condition_label,
    conditions_by_name,
    method_label,
    pictured,
)
from fociscope.report.limits import draw_depth_bounds
from fociscope.report.style import PAGE_INCH, logarithmic, method_style, new_figure, tidy
from fociscope.typing import Float64Array

if TYPE_CHECKING:
    from fociscope.evaluation.batches import Prediction
    from fociscope.evaluation.run import Case

__all__ = [
    "FEWEST_LAYERS",
    "draw_case",
    "draw_detection",
    "draw_families",
    "draw_over_depth",
    "draw_reliability",
]

#: Bins of fewer pixels say nothing about a frequency, nor those of fewer layers about a depth.
FEWEST_PIXELS, FEWEST_LAYERS = 100, 3
LEGEND_ROW_INCH = 0.17
#: Panels of families in a row, and the height of one.
FAMILY_COLUMNS, FAMILY_INCH = 5, 1.75
SHOWN_CONDITIONS = (
    "reference",
    "snr-20",
    "half-angle-28",
    "half-angle-25",
    "surround",
    "single-layer",
    "specimen-micro-foci",
)
CONDITION_LINES = (
    ("#000000", "o", "-"),
    ("#E69F00", "s", "-"),
    ("#56B4E9", "^", "-"),
    ("#009E73", "D", "--"),
    ("#D55E00", "v", "--"),
    ("#CC79A7", "P", "--"),
    ("#0072B2", "x", ":"),
)
OUTCOMES = ("no cells", "cells, found", "false alarm", "missed")
#: Apart in lightness too, for grey paper and for colour-blind readers.
OUTCOME_COLOURS = (EMPTY, "#c4e6de", "#e69f00", "#a8327d")


def draw_case(case: Case, *, pixel_pitch_um: float, name: str) -> Figure:
    """Draw one scene: captures, true layers, and the answer pixel by pixel beside the truth."""
    layers, height, width = case.true_mask.shape
    colours = ListedColormap(list(OUTCOME_COLOURS))
    columns = layers + 1
    with mpl.rc_context(SMALL_STYLE):
        cell = PAGE_INCH / columns
        figure, grid = new_figure(0.75 + 2 * (cell * height / width + 0.16), 2, columns)
        for row in range(2):
            axes = grid[row, 0]
            if row < len(case.captures):
                image = case.captures[row]
                grey = PowerNorm(0.5, 0.0, float(image.max()), clip=True)
                draw_image(axes, image, CAPTURE_MAP, norm=grey)
                axes.set_title(f"Sensor {'AB'[row]}" + ("\n" if row else ""))
                draw_scale_bar(axes, pixel_pitch_um, width)
            else:
                axes.axis("off")
        said = case.estimate
        for layer in range(layers):
            true, found = case.true_mask[layer], said.mask[layer]
            axes = grid[0, layer + 1]
            draw_image(axes, true.astype(int), colours, vmin=-0.5, vmax=3.5)
            axes.set_title(f"True: {case.true_depth_um[layer]:.0f} µm")
            outcome = true * (1 + 2 * ~found) + 2 * (~true & found)
            axes = grid[1, layer + 1]
            draw_image(axes, outcome, colours, vmin=-0.5, vmax=3.5)
            right = 100 * (true == found).mean()
            axes.set_title(f"Said: {_depth(said, layer)}\n{right:.1f} % right")
            draw_scale_bar(axes, pixel_pitch_um, width)
        patches = [
            mpl.patches.Patch(facecolor=colour, edgecolor="0.4", label=label)
            for colour, label in zip(OUTCOME_COLOURS, OUTCOMES, strict=True)
        ]
        figure.legend(handles=patches, loc="outside lower center", ncols=4)
        title = (
            f"{case.title.capitalize()} scene of {name}, number {case.number}: "
            f"{100 * case.accuracy:.1f} % of pixels right"
        )
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", weight="bold")
    return figure


def draw_reliability(results: EvaluationResults) -> Figure | None:
    """Draw stated probability against observed frequency; None where nobody stated any."""
    main, name = _main(results), results.evaluated
    others = [
        (n, s)
        for n in pictured(results)
        if n != "constant" and (s := main.scored(n)) is not None and s.reliability is not None
    ]
    if not others:
        return None
    with mpl.rc_context(PLOT_STYLE):
        figure, grid = new_figure(
            4.2 + LEGEND_ROW_INCH * max(len(others), 7) / 2, 1, 2, sharey=True
        )
        left, right = grid[0]
        for n, s in others:
            _reliability(left, s, method_label(results, n), method_style(results, n))
        left.set_title(as_read(f"Methods: {condition_label(main)}"))
        shown = [c for c in SHOWN_CONDITIONS if c in conditions_by_name(results)]
        for label, (colour, marker, line) in zip(shown, CONDITION_LINES, strict=False):
            condition = conditions_by_name(results)[label]
            scores = condition.scored(name)
            if scores is not None and scores.reliability is not None:
                style = {"color": colour, "marker": marker, "linestyle": line}
                _reliability(right, scores, condition_label(condition), style)
        right.set_title(f"{name}: conditions")
        for axes in (left, right):
            _reliability_square(axes)
            axes.set_xlabel("stated probability of cells (%)")
            _legend_below(axes, "(calibration error)")
        left.set_ylabel("pixels with cells (%)")
    return figure


def draw_over_depth(results: EvaluationResults, condition: ConditionResult) -> Figure | None:
    """Draw depth error, accuracy and restoration against the true depth, with the limits known."""
    scores = {
        n: s.by_depth
        for n in pictured(results)
        if (s := condition.scored(n)) is not None and s.by_depth is not None
    }
    if not scores:
        return None
    styles = {name: method_style(results, name) for name in scores}
    first = next(iter(scores.values()))
    edges = np.asarray(first.edges_um)
    middle = (edges[1:] + edges[:-1]) / 2
    panels = [
        (key, label, scale)
        for key, label, scale in (
            ("depth_error_um", "mean absolute depth error (µm)", 1.0),
            ("accuracy", "pixels right (%)", 100.0),
            ("image_error", "squared error of the layer (%)", 100.0),
        )
        if first.score(key) is not None
    ]
    with mpl.rc_context(PLOT_STYLE):
        figure, grid = new_figure(3.6, 1, len(panels))
        for axes, (key, label, scale) in zip(grid[0], panels, strict=True):
            for name, binned in scores.items():
                if binned.score(key) is None:
                    continue
                label_of = method_label(results, name)
                _band(axes, middle, _well_known(binned, key), scale, label_of, styles[name])
            if key == "accuracy":
                majority = [
                    np.nan if e is None or e.value is None else 100 * e.value
                    for e in first.constant_accuracy or ()
                ]
                axes.plot(middle, majority, color="black", linewidth=1, label="constant baseline")
            if key == "depth_error_um" and condition.depth_limit is not None:
                draw_depth_bounds(axes, results, condition.depth_limit)
            axes.set_xlim(edges[0], edges[-1])
            if key == "depth_error_um":
                logarithmic(axes, "y")
            elif key == "accuracy":
                axes.set_ylim(None, 100)
            axes.set_xlabel("true depth below sensor A (µm)")
            axes.set_title(label)
            tidy(axes)
        label = as_read(condition_label(condition))
        figure.suptitle(label, fontsize=9, x=0.01, ha="left", weight="bold")
        handles: dict[str, Any] = {}
        for axes in grid[0]:
            handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return figure


def draw_detection(results: EvaluationResults) -> Figure | None:
    """Draw the share of foci that were found against their size; None where foci have none."""
    by_name = conditions_by_name(results)
    shown = [
        by_name[n]
        for n in ("reference", "specimen-micro-foci")
        if n in by_name
        and (s := by_name[n].scored(results.evaluated)) is not None
        and s.detection is not None
    ]
    if not shown:
        return None
    with mpl.rc_context(PLOT_STYLE):
        figure, grid = new_figure(
            3.9 + LEGEND_ROW_INCH * len(pictured(results)) / 2, 1, len(shown), sharey=True
        )
        for axes, condition in zip(grid[0], shown, strict=True):
            for name in pictured(results):
                scores = condition.scored(name)
                if name != "constant" and scores is not None:
                    _sensitivity(axes, scores, name, results)
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_xlabel("size of the focus (mean cells)")
            axes.set_title(as_read(condition_label(condition)))
            tidy(axes)
            _legend_below(axes, "(false foci per mm²; cell-free pixels left alone)")
        grid[0, 0].set_ylabel("foci found (%)")
        grid[0, 0].set_ylim(0, 102)
    return figure


def draw_families(results: EvaluationResults) -> Figure | None:
    """Draw a reliability diagram of each test-only family; None where there are none."""
    name = results.evaluated
    models = [n for n in pictured(results) if n != "constant"]
    families = [
        (condition, scores)
        for condition in worst_first(results.conditions, name)
        if condition.test_only
        and (scores := condition.scored(name)) is not None
        and scores.reliability is not None
    ]
    if not families:
        return None
    lines: dict[str, dict[str, Any]] = {
        n: {"color": colour, "linestyle": line}
        for n, (colour, _, line) in zip(models, CONDITION_LINES[1:], strict=False)
    }
    rows = -(-len(families) // FAMILY_COLUMNS)
    with mpl.rc_context(SMALL_STYLE):
        figure, grid = new_figure(
            0.5 + FAMILY_INCH * rows, rows, FAMILY_COLUMNS, sharex=True, sharey=True
        )
        for axes, (condition, scores) in zip(grid.flat, families, strict=False):
            _reliability_square(axes)
            for n, line in lines.items():
                beside = condition.scored(n)
                if beside is not None and beside.reliability is not None:
                    _reliability(axes, beside, n, line)
            error = 100 * (scores.calibration_error or 0)
            layers = ", one layer" if condition.layers == 1 else ""
            axes.set_title(f"{condition.value}\n{error:.1f} %{layers}")
        for axes in grid.flat[len(families) :]:
            axes.axis("off")
        figure.supxlabel("stated probability of cells (%)", fontsize=8)
        figure.supylabel("pixels with cells (%)", fontsize=8)
        handles = [mpl.lines.Line2D([], [], **line) for line in lines.values()]
        figure.legend(handles, list(lines), loc="outside upper center", ncols=max(len(lines), 1))
    return figure


def _main(results: EvaluationResults) -> ConditionResult:
    """Return the reference condition, or the first that there is."""
    return conditions_by_name(results).get("reference", results.conditions[0])


def _depth(said: Prediction, layer: int) -> str:
    if said.depth_um is None or np.isnan(said.depth_um[layer]):
        return "not found"
    text = f"{said.depth_um[layer]:.0f}"
    if said.depth_std_um is not None:
        text += f" ± {said.depth_std_um[layer]:.0f}"
    return f"{text} µm"


def _reliability_square(axes: Axes) -> None:
    """Draw the diagonal, on which what is stated comes true, in its square."""
    axes.plot([0, 100], [0, 100], color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    tidy(axes)


def _reliability(axes: Axes, scores: MethodScores, label: str, style: dict[str, Any]) -> None:
    curve = scores.reliability
    assert curve is not None
    points = [
        (100 * p, 100 * f)
        for p, f, n in zip(curve.probability, curve.frequency, curve.pixels, strict=True)
        if p is not None and f is not None and n >= FEWEST_PIXELS
    ]
    error = 100 * (scores.calibration_error or 0)
    axes.plot(*zip(*points, strict=True), label=f"{label} ({error:.1f} %)", **style)


def _band(
    axes: Axes,
    middle: Float64Array,
    entries: Sequence[Score | None],
    scale: float,
    name: str,
    style: dict[str, Any],
) -> None:
    """Draw values over depth, and their intervals as a band; lines run on over empty bins."""
    points = [(x, e) for x, e in zip(middle, entries, strict=True) if e is not None]
    depths = [x for x, _ in points]

    def scaled(values: Iterable[float | None]) -> list[float]:
        return [np.nan if value is None else scale * value for value in values]

    axes.plot(depths, scaled(e.value for _, e in points), label=name, **style)
    low, high = scaled(e.low for _, e in points), scaled(e.high for _, e in points)
    axes.fill_between(depths, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _well_known(binned: ScoresByDepth, key: str) -> list[Score | None]:
    """Return a score in bins of depth, None in bins of too few layers to say anything."""
    return [
        entry if count >= FEWEST_LAYERS else None
        for entry, count in zip(binned.score(key) or (), binned.layers, strict=False)
    ]


def _sensitivity(axes: Axes, scores: MethodScores, name: str, results: EvaluationResults) -> None:
    detection = scores.detection
    assert detection is not None
    edges = [e for e in detection.edges_cells if e is not None]
    sizes = [*(np.sqrt(a * b) for a, b in pairwise(edges)), 1.5 * edges[-1]]
    interval = share_interval(detection.detected, detection.foci)
    some = np.asarray(detection.foci) > 0
    value, low, high = (100 * np.asarray(part)[some] for part in interval)
    false = detection.false_foci / detection.area_mm2
    spared = 100 * (scores.specificity or 0)
    axes.errorbar(
        np.asarray(sizes[: len(some)])[some],
        value,
        yerr=[np.maximum(value - low, 0), np.maximum(high - value, 0)],
        elinewidth=0.8,
        label=f"{method_label(results, name)} ({false:.2f}; {spared:.0f} %)",
        **method_style(results, name),
    )


def _legend_below(axes: Axes, title: str) -> None:
    """Draw a panel's own legend below it."""
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=2,
        title=title,
        fontsize=6.5,
        title_fontsize=7,
        columnspacing=1.0,
        handlelength=2.2,
    )
