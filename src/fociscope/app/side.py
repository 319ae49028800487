"""The layers from the side: where along x there are cells, at which depth, how surely."""

from __future__ import annotations

from typing import Any

import numpy as np

from fociscope.app.plots import CONFIG, Figure, Theme, depth_colour, packed, um_axis
from fociscope.typing import BoolArray, Float32Array

__all__ = ["side_view"]


def side_view(
    mask: BoolArray,
    depth_um: Float32Array,
    depth_std_um: Float32Array | None,
    *,
    pixel_pitch_um: float,
    gap_um: float,
    theme: Theme,
    true_um: Float32Array | None = None,
) -> Figure:
    """Return the layers from the side: where along x there are cells, at which depth, how surely.

    Args:
        mask: (layer, y, x) where there are cells.
        depth_um: (layer,); NaN where a layer is absent.
        depth_std_um: (layer,) drawn as a band of one standard deviation to either side.
        pixel_pitch_um: side of a pixel.
        gap_um: the greatest depth.
        theme: the theme.
        true_um: (layer,) drawn as dotted lines.
    """
    columns = np.asarray(mask.any(axis=1))
    width_um = mask.shape[-1] * pixel_pitch_um
    x = (np.arange(mask.shape[-1]) + 0.5) * pixel_pitch_um
    drawn: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for layer, depth in enumerate(depth_um):
        if not np.isfinite(depth):
            continue
        if depth_std_um is not None:
            std = float(depth_std_um[layer])
            shapes.append(
                {
                    "type": "rect",
                    "x0": 0,
                    "x1": width_um,
                    "y0": float(depth) - std,
                    "y1": float(depth) + std,
                    "fillcolor": theme.ink,
                    "opacity": 0.15,
                    "line": {"width": 0},
                    "layer": "below",
                }
            )
        here = x[columns[layer]].astype(np.float32)
        drawn.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": packed(here),
                "y": packed(np.full(len(here), depth, np.float32)),
                "marker": {
                    "symbol": "square",
                    "size": 5,
                    "color": depth_colour(float(depth), gap_um),
                },
                "hovertemplate": f"layer {layer + 1}: %{{y:.0f}} µm<extra></extra>",
            }
        )
    for true in () if true_um is None else true_um:
        line = {"color": theme.accent, "width": 1.5, "dash": "dot"}
        place = {"x0": 0, "x1": width_um, "y0": float(true), "y1": float(true)}
        shapes.append({"type": "line", "line": line, **place})
    layout = theme.layout(
        xaxis=um_axis(theme, "x (µm)", width_um),
        yaxis=um_axis(theme, "depth (µm)", gap_um, downwards=True),
        shapes=shapes,
    )
    return {"data": drawn, "layout": layout, "config": CONFIG}
