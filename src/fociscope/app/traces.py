"""A series over its frames: depth, coverage and number of foci of each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fociscope.app.plots import CONFIG, Figure, Theme
from fociscope.results.result import Reconstruction
from fociscope.results.tables import Tables
from fociscope.typing import Float64Array

__all__ = ["TRACES", "FrameFigures", "figures_of", "trace"]

#: What is drawn over frames -> title of its axis.
TRACES = {"depth": "depth (µm)", "coverage": "coverage (%)", "foci": "foci"}
#: Of the layers in their order: Okabe and Ito's, which stand off from both backgrounds.
LAYER_COLOURS = ("#e69f00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
#: Fewer frames are drawn with markers.
MOST_MARKED = 60


class FrameFigures(NamedTuple):
    """The figures of one frame, (layer,) each; NaN where a layer is absent."""

    depth: Float64Array
    """um."""
    depth_std: Float64Array
    """um."""
    coverage: Float64Array
    """Percent."""
    foci: Float64Array
    """Number of foci that are more likely there than not."""


def figures_of(result: Reconstruction) -> list[FrameFigures]:
    """Return the figures of one capture, or of each of a series, as `layers.csv` holds them."""
    tables = Tables.from_reconstruction(result)
    layers = tables.coverage.shape[1]
    absent = ~result.present.reshape(-1, layers)

    def of_each(values: Any) -> Float64Array:
        return np.where(absent, np.nan, np.asarray(values, np.float64).reshape(-1, layers))

    return [
        FrameFigures(*figures)
        for figures in zip(
            of_each(result.depth_um),
            of_each(result.depth_std_um),
            of_each(100 * tables.coverage),
            of_each(tables.foci_count),
            strict=True,
        )
    ]


def trace(
    what: str,
    frames: Mapping[int, FrameFigures],
    *,
    theme: Theme,
    shown: int,
    time_s: Sequence[float] | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Return one of `TRACES` against the number of the frame, or its time where that is known.

    Args:
        what: of `TRACES`.
        frames: number of a frame, from 0 -> its figures.
        theme: the theme.
        shown: number of the frame that is looked at, which a line marks.
        time_s: of all frames, s.
        names: of all frames' files.
    """
    numbers = sorted(frames)
    x = [n + 1 if time_s is None else time_s[n] for n in numbers]
    texts = [names[n] if n < len(names) else f"frame {n + 1}" for n in numbers]
    layers = max((len(figures.depth) for figures in frames.values()), default=0)
    drawn: list[dict[str, Any]] = []
    for layer in range(layers):
        y = [_value(getattr(frames[n], what), layer) for n in numbers]
        colour = LAYER_COLOURS[layer % len(LAYER_COLOURS)]
        line: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines+markers" if len(numbers) < MOST_MARKED else "lines",
            "x": x,
            "y": y,
            "text": texts,
            "name": f"layer {layer + 1}",
            "line": {"color": colour, "width": 1.5},
            "marker": {"symbol": SYMBOLS[layer % len(SYMBOLS)], "size": 6, "color": colour},
            "hovertemplate": f"%{{text}}<br>layer {layer + 1}: <b>%{{y:.4~g}}</b><extra></extra>",
        }
        if what == "depth":
            std = [_value(frames[n].depth_std, layer) for n in numbers]
            line["error_y"] = {"type": "data", "array": std, "thickness": 1, "width": 2}
        drawn.append(line)
    return {"data": drawn, "layout": _layout(what, theme, shown, time_s), "config": CONFIG}


def _value(figures: Float64Array, layer: int) -> float | None:
    """Return what a layer has, for JSON; None where it is absent."""
    if layer >= len(figures) or np.isnan(figures[layer]):
        return None
    return round(float(figures[layer]), 4)


def _layout(what: str, theme: Theme, shown: int, time_s: Sequence[float] | None) -> dict[str, Any]:
    at = shown + 1 if time_s is None else time_s[shown]
    axis = {
        "gridcolor": theme.line,
        "zeroline": False,
        "linecolor": theme.line,
        "tickfont": {"size": 10},
        "nticks": 6,
    }
    title = {"standoff": 4, "font": {"size": 11}}
    depth = {"autorange": "reversed"} if what == "depth" else {"rangemode": "tozero"}
    return theme.layout(
        xaxis={**axis, "title": {"text": "frame" if time_s is None else "time (s)", **title}},
        yaxis={**axis, "title": {"text": TRACES[what], **title}, **depth},
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 10}},
        margin={"l": 46, "r": 8, "t": 24, "b": 36},
        shapes=[
            {
                "type": "line",
                "yref": "paper",
                "x0": at,
                "x1": at,
                "y0": 0,
                "y1": 1,
                "line": {"color": theme.accent, "width": 1.5, "dash": "dot"},
            }
        ],
    )
