"""The map in space: every pixel with cells a tile at its true place, all three axes in um."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from fociscope.app.plots import (
    DEPTH_SCALE,
    LIGHT_SCALE,
    PROBABILITY_SCALE,
    Figure,
    Theme,
    binned,
    packed,
)
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["ColourBy", "Layers", "stack"]

ColourBy = Literal["depth", "probability", "light"]

#: Where the camera stands, seen from the middle of the stack.
EYE = (1.15, -1.45, 0.75)
#: Half the width and height that the stack may take in the picture. Plotly's orthographic picture
#: reaches from -1 to 1 in height and, on the page, to 1.3 at least to both sides; what is left is
#: for the axes' numbers and titles, and for the colour bar.
HALF_WIDTH, HALF_HEIGHT = 0.97, 0.68
#: Longest side of a layer in space; larger frames are binned.
MOST_PX = 128
#: A stack flatter or taller than this, relative to its width, is stretched or compressed along the
#: depth, and says so.
FLATTEST, TALLEST = 0.3, 1.6
CONFIG = {
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
}


class Layers(NamedTuple):
    """What is drawn in space."""

    mask: BoolArray
    """(layer, y, x)."""
    depth_um: Float32Array
    """(layer,); NaN where a layer is absent."""
    depth_std_um: Float32Array | None = None
    probability: Float32Array | None = None
    light: Float32Array | None = None
    focus: BoolArray | None = None
    """(layer, y, x) pixels of the focus that is pointed at."""


class Colours(NamedTuple):
    """What a tile's colour says."""

    values: Float32Array
    """(layer, y, x), from 0 up."""
    scale: list[list[Any]]
    high: float
    unit: str


def stack(
    layers: Layers,
    *,
    pixel_pitch_um: float,
    gap_um: float,
    sensors: int,
    colour_by: ColourBy,
    theme: Theme,
    marked: tuple[float, float, float] | None = None,
) -> Figure:
    """Return the stack, which can be turned.

    Args:
        layers: of one capture.
        pixel_pitch_um: side of a pixel.
        gap_um: the greatest depth, where sensor B lies.
        sensors: 1 or 2, of which the outlines are drawn.
        colour_by: what a tile's colour says.
        theme: the theme.
        marked: (x, y, depth) in um of a focus to point at.
    """
    height, width = layers.mask.shape[-2:]
    box = (width * pixel_pitch_um, height * pixel_pitch_um, gap_um)
    values = _colours(layers, gap_um, colour_by)
    drawn = [_tiles(layers.mask, layers.depth_um, pixel_pitch_um, values, theme)]
    if layers.focus is not None:
        # What lies above it fades, so that it is seen.
        drawn[0]["opacity"] = 0.25
        drawn.append(_tiles(layers.focus, layers.depth_um, pixel_pitch_um, values, theme))
        drawn[1]["showscale"] = False
    drawn += [_outline(box, 0.0, theme, "sensor A")]
    if sensors == 2:
        drawn += [_outline(box, gap_um, theme, "sensor B")]
    drawn += _labels(layers, box, theme)
    if marked is not None:
        drawn.append(_pointer(marked, theme))
    layout = theme.layout(
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        uirevision="stay",  # the camera, while the map changes
        scene=_scene(box, theme),
    )
    return {"data": drawn, "layout": layout, "config": CONFIG}


def stretch(box_um: tuple[float, float, float]) -> float:
    """Return by how much the depth axis is stretched: 1 is true to scale."""
    widest, depth = max(box_um[:2]), box_um[2]
    return min(max(1.0, FLATTEST * widest / depth), max(TALLEST * widest / depth, 1e-9))


def drawn_size(box_um: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the sides of the stack in the picture's unit: as large as the first view holds whole.

    Args:
        box_um: Width, height and depth in um.
    """
    sides = np.array([*box_um[:2], box_um[2] * stretch(box_um)])
    width, height = _extent(sides)
    x, y, z = (float(side) for side in sides * min(HALF_WIDTH / width, HALF_HEIGHT / height))
    return x, y, z


def _extent(sides: Float64Array) -> tuple[float, float]:
    """Return half the width and the height of a box as the camera sees it, in the box's unit."""
    east, north, up = EYE
    flat = float(np.hypot(east, north))
    away = float(np.hypot(flat, up))
    to_the_right = np.array([-north, east, 0.0]) / flat
    upwards = np.array([-east * up / flat, -north * up / flat, flat]) / away
    half = sides / 2
    return float(np.abs(to_the_right) @ half), float(np.abs(upwards) @ half)


def _tiles(
    mask: BoolArray, depth_um: Float32Array, pixel_pitch_um: float, colours: Colours, theme: Theme
) -> dict[str, Any]:
    share, side = binned(mask.astype(np.float32), MOST_PX)
    there = (share >= 0.5) & np.isfinite(depth_um)[:, None, None]
    pitch = pixel_pitch_um * side
    layer, y, x = np.nonzero(there)
    corners_x = (x[:, None] + np.array([0.0, 1, 1, 0])) * pitch
    corners_y = (y[:, None] + np.array([0.0, 0, 1, 1])) * pitch
    corners_z = np.repeat(depth_um[layer][:, None], 4, axis=1)
    first = 4 * np.arange(len(layer))[:, None]
    # Two triangles for each tile: corners 0 1 2 and 0 2 3.
    i, j, k = (np.ravel(first + np.array(corner)) for corner in ((0, 0), (1, 2), (2, 3)))
    per_tile = binned(colours.values, MOST_PX)[0][layer, y, x]
    return {
        "type": "mesh3d",
        "x": packed(corners_x.ravel().astype(np.float32)),
        "y": packed(corners_y.ravel().astype(np.float32)),
        "z": packed(corners_z.ravel().astype(np.float32)),
        "i": packed(i.astype(np.int32)),
        "j": packed(j.astype(np.int32)),
        "k": packed(k.astype(np.int32)),
        "intensity": packed(np.repeat(per_tile, 2).astype(np.float32)),
        "intensitymode": "cell",
        "cmin": 0.0,
        "cmax": colours.high,
        "colorscale": colours.scale,
        "colorbar": {
            "title": {"text": colours.unit, "side": "right", "font": {"size": 11}},
            "orientation": "h",
            "thickness": 8,
            "len": 0.55,
            "outlinewidth": 0,
            "tickfont": {"size": 10, "color": theme.ink},
            "y": 0.0,
            "yanchor": "bottom",
        },
        "flatshading": True,
        # A tile shows its own colour from all sides.
        "lighting": {"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0},
        "hovertemplate": "x %{x:.0f} µm, y %{y:.0f} µm, depth %{z:.0f} µm<extra></extra>",
    }


def _colours(layers: Layers, gap_um: float, colour_by: ColourBy) -> Colours:
    if colour_by == "probability" and layers.probability is not None:
        return Colours(layers.probability, PROBABILITY_SCALE, 1.0, "P(cells)")
    if colour_by == "light" and layers.light is not None:
        high = float(np.quantile(layers.light, 0.995)) or 1.0
        return Colours(layers.light, LIGHT_SCALE, high, "restored light")
    depth = np.broadcast_to(layers.depth_um[:, None, None], layers.mask.shape)
    return Colours(np.asarray(depth, dtype=np.float32), DEPTH_SCALE, gap_um, "depth (µm)")


def _outline(
    box_um: tuple[float, float, float], z: float, theme: Theme, name: str
) -> dict[str, Any]:
    width, height, _ = box_um
    return {
        "type": "scatter3d",
        "mode": "lines",
        "x": [0, width, width, 0, 0],
        "y": [0, 0, height, height, 0],
        "z": [z] * 5,
        "line": {"color": theme.ink, "width": 2},
        "hovertemplate": f"{name}<extra></extra>",
    }


def _labels(
    layers: Layers, box_um: tuple[float, float, float], theme: Theme
) -> list[dict[str, Any]]:
    """Return each layer's frame, its depth in words, and bars of one standard deviation."""
    width, height, gap = box_um
    drawn: list[dict[str, Any]] = []
    for n, depth in enumerate(layers.depth_um):
        if not np.isfinite(depth):
            continue
        frame = _outline(box_um, float(depth), theme, f"layer {n + 1}")
        frame["line"] = {"color": theme.line, "width": 1.5}
        drawn.append(frame)
        if layers.depth_std_um is None:
            continue
        std = float(layers.depth_std_um[n])
        x: list[float | None] = []
        y: list[float | None] = []
        z: list[float | None] = []
        for corner_x, corner_y in ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height)):
            x += [corner_x, corner_x, None]
            y += [corner_y, corner_y, None]
            z += [max(0.0, float(depth) - std), min(gap, float(depth) + std), None]
        bars = {"color": theme.accent, "width": 5}
        drawn.append(
            {
                "type": "scatter3d",
                "mode": "lines",
                "x": x,
                "y": y,
                "z": z,
                "line": bars,
                "hovertemplate": f"layer {n + 1}: {depth:.0f} ± {std:.0f} µm<extra></extra>",
            }
        )
    return drawn


def _pointer(place: tuple[float, float, float], theme: Theme) -> dict[str, Any]:
    """Return a line from sensor A down to a place, and a dot there."""
    x, y, z = place
    return {
        "type": "scatter3d",
        "mode": "lines+markers",
        "x": [x, x],
        "y": [y, y],
        "z": [0, z],
        "line": {"color": theme.accent, "width": 4},
        "marker": {"size": [0, 7], "color": theme.accent, "line": {"width": 0}},
        "hovertemplate": f"x {x:.0f} µm, y {y:.0f} µm, depth {z:.0f} µm<extra></extra>",
    }


def _scene(box_um: tuple[float, float, float], theme: Theme) -> dict[str, Any]:
    width, height, gap = box_um
    size = drawn_size(box_um)

    def axis(title: str, low: float, high: float) -> dict[str, Any]:
        return {
            "title": {"text": title, "font": {"size": 11}},
            "range": [low, high],
            "tickfont": {"size": 10},
            "nticks": 5,
            "color": theme.ink,
            "gridcolor": theme.line,
            "zerolinecolor": theme.line,
            "showbackground": False,
            "showspikes": False,
        }

    return {
        "xaxis": axis("x (µm)", 0, width),
        "yaxis": axis("y (µm)", height, 0),
        "zaxis": axis(_depth_title(stretch(box_um)), gap, 0),
        "aspectmode": "manual",
        "aspectratio": dict(zip("xyz", size, strict=True)),
        "camera": {
            "eye": dict(zip("xyz", EYE, strict=True)),
            "center": {"x": 0, "y": 0, "z": -0.05},
            "projection": {"type": "orthographic"},
        },
        "dragmode": "orbit",
    }


def _depth_title(stretched: float) -> str:
    """Return the title of the depth axis, which says if it is not true to scale."""
    if stretched > 1:
        return f"depth (µm), stretched {stretched:.1f} times"
    if stretched < 1:
        return f"depth (µm), compressed {1 / stretched:.1f} times"
    return "depth (µm)"
