"""How far anyone could get, in a report: the bounds on depth as lines of a plot and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fociscope.report.cells import NONE, Table, um
from fociscope.report.labels import condition_label, evaluated

__all__ = ["bounds_caption", "depth_bounds", "depth_limit_table", "draw_depth_bounds"]

Results = dict[str, Any]

#: Of a normal error: mean absolute error over standard deviation.
MEAN_ABSOLUTE = math.sqrt(2 / math.pi)
#: Bounds in the results: what is known of the layers, and the line of a plot.
BOUNDS = {"unknown_um": ("image unknown", "-."), "known_um": ("image known", ":")}


def depth_bounds(results: Results, limit: dict[str, Any]) -> dict[str, Sequence[float]]:
    """Return the bounds for what the evaluated method sees: both sensors, or A alone.

    Returns:
        `known_um`, and `unknown_um` where it was computed: (bin,) as mean absolute errors; NaN in
        empty bins.
    """
    sensors = results["methods"][evaluated(results)].get("sensors", 2)
    seen = limit["sensor_a"] if sensors == 1 and "sensor_a" in limit else limit
    return {
        key: [math.nan if v is None else MEAN_ABSOLUTE * v for v in seen[key]]
        for key in BOUNDS
        if key in seen
    }


def draw_depth_bounds(axes: Axes, results: Results, limit: dict[str, Any]) -> None:
    """Draw the Cramer-Rao bounds over depth as black lines without markers."""
    for key, bound in depth_bounds(results, limit).items():
        words, line = BOUNDS[key]
        label = f"limit: Cramér-Rao, {words}"
        axes.plot(limit["depth_um"], bound, color="black", linestyle=line, label=label)


def bounds_caption(limit: dict[str, Any] | None) -> str:
    """Return what a picture's caption says of the bounds; nothing where there are none."""
    if limit is None:
        return ""
    text = " Black lines in the first panel: the Cramér-Rao bound, as a mean absolute error, for "
    if "unknown_um" not in limit:
        return (
            f"{text}somebody who has perfect pictures of all layers and lacks their depths alone."
        )
    return (
        f"{text}somebody who has a perfect picture of the layer (dotted), and for somebody who "
        "only knows what such specimens look like on average (dash-dotted)."
    )


def depth_limit_table(results: Results, condition: dict[str, Any]) -> Table | None:
    """Return the bounds beside the evaluated method's error over depth; None without both."""
    name = evaluated(results)
    binned = condition["scores"][name].get("by_depth", {})
    limit = condition.get("depth_limit", {})
    if "unknown_um" not in limit or "depth_error_um" not in binned:
        return None
    bounds = depth_bounds(results, limit)
    rows = []
    for n, (low, high) in enumerate(zip(binned["edges_um"], binned["edges_um"][1:], strict=False)):
        entry = binned["depth_error_um"][n]
        rows.append(
            [
                f"{low:g} to {high:g}",
                str(binned["layers"][n]),
                um(entry),
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
