"""How far anyone could get, in a report: the bounds on depth as lines of a plot and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes

from fociscope.evaluation.results import ConditionResult, DepthLimit, EvaluationResults
from fociscope.report.cells import NONE, Table, um
from fociscope.report.labels import condition_label

__all__ = ["bounds_caption", "depth_bounds", "depth_limit_table", "draw_depth_bounds"]

#: Of a normal error: mean absolute error over standard deviation.
MEAN_ABSOLUTE = math.sqrt(2 / math.pi)
#: Bounds in the results: what is known of the layers, and the line of a plot.
BOUNDS = {"unknown_um": ("image unknown", "-."), "known_um": ("image known", ":")}


def depth_bounds(results: EvaluationResults, limit: DepthLimit) -> dict[str, Sequence[float]]:
    """Return the bounds for what the evaluated method sees: both sensors, or A alone.

    Returns:
        `known_um`, and `unknown_um` where it was computed: (bin,) as mean absolute errors; NaN in
        empty bins.
    """
    is_alone = results.methods[results.evaluated].sensors == 1
    seen = limit.sensor_a if is_alone and limit.sensor_a is not None else limit
    return {
        key: [math.nan if v is None else MEAN_ABSOLUTE * v for v in bound]
        for key, bound in (("unknown_um", seen.unknown_um), ("known_um", seen.known_um))
        if bound is not None
    }


def draw_depth_bounds(axes: Axes, results: EvaluationResults, limit: DepthLimit) -> None:
    """Draw the Cramer-Rao bounds over depth as black lines without markers."""
    for key, bound in depth_bounds(results, limit).items():
        words, line = BOUNDS[key]
        label = f"limit: Cramér-Rao, {words}"
        axes.plot(limit.depth_um, bound, color="black", linestyle=line, label=label)


def bounds_caption(limit: DepthLimit | None) -> str:
    """Return what a picture's caption says of the bounds; nothing where there are none."""
    if limit is None:
        return ""
    text = " Black lines in the first panel: the Cramér-Rao bound, as a mean absolute error, for "
    if limit.unknown_um is None:
        return (
            f"{text}somebody who has perfect pictures of all layers and lacks their depths alone."
        )
    return (
        f"{text}somebody who has a perfect picture of the layer (dotted), and for somebody who "
        "only knows what such specimens look like on average (dash-dotted)."
    )


def depth_limit_table(results: EvaluationResults, condition: ConditionResult) -> Table | None:
    """Return the bounds beside the evaluated method's error over depth; None without both."""
    name = results.evaluated
    scores, limit = condition.scored(name), condition.depth_limit
    binned = None if scores is None else scores.by_depth
    if limit is None or limit.unknown_um is None:
        return None
    if binned is None or binned.depth_error_um is None:
        return None
    bounds = depth_bounds(results, limit)
    rows = []
    for n, (low, high) in enumerate(pairwise(binned.edges_um)):
        rows.append(
            [
                f"{low:g} to {high:g}",
                str(binned.layers[n]),
                um(binned.depth_error_um[n]),
                *(_fine(bounds[key][n]) for key in BOUNDS),
            ]
        )
    return Table(
        f"How far anyone could get: depth, {condition_label(condition)}",
        "The Cramér-Rao bound: the least error of any estimate that is right on average, from "
        "captures with this noise, as a mean absolute error. “Image known”: somebody who has a "
        "perfect picture of the layer and lacks its depth alone. “Image unknown”: somebody who "
        "knows what such specimens look like on average, and must tell depth from blur and from "
        "what the sensors see of it. Differences of a fifth between the two mean nothing.",
        (
            "true depth (µm)",
            "layers",
            f"{name}: depth error (µm)",
            *(f"limit, {words} (µm)" for words, _ in BOUNDS.values()),
        ),
        rows,
    )


def _fine(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:.2f}"
