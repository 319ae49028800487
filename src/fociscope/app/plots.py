"""Pictures for the page, as Plotly figures in plain dictionaries; axes in um, values on hover.

Arrays travel as Plotly's typed arrays (base64), which are small and quick to read. All colours are
those of `figures/style.py`: perceptually even, and safe for colour-blind readers.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from fociscope.figures.style import DEPTH_MAP, PROBABILITY_MAP
from fociscope.typing import Float32Array

__all__ = [
    "DEPTH_SCALE",
    "DIFFERENCE_SCALE",
    "LIGHT_SCALE",
    "OUTCOME_COLOURS",
    "OUTCOME_SCALE",
    "PROBABILITY_SCALE",
    "UNCERTAINTY_SCALE",
    "Shown",
    "Theme",
    "binned",
    "depth_colour",
    "image",
    "packed",
    "um_axis",
]

Figure = dict[str, Any]
ColourScale = list[list[Any]]

#: Longest side of a picture on the page; larger frames are shown binned.
MOST_PX = 256
CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True, "scrollZoom": False}


def _scale(name: str | Colormap) -> ColourScale:
    colours = mpl.colormaps[name] if isinstance(name, str) else name
    steps = np.linspace(0, 1, 33)
    rgb = (np.asarray(colours(steps))[:, :3] * 255).round().astype(int)
    return [[float(t), f"rgb({r},{g},{b})"] for t, (r, g, b) in zip(steps, rgb, strict=True)]


def depth_colour(depth_um: float, gap_um: float) -> str:
    """Return the colour of one depth."""
    red, green, blue, _ = DEPTH_MAP(depth_um / gap_um)
    return f"rgb({255 * red:.0f},{255 * green:.0f},{255 * blue:.0f})"


DEPTH_SCALE = _scale(DEPTH_MAP)
PROBABILITY_SCALE = _scale(PROBABILITY_MAP)
LIGHT_SCALE = _scale("cividis")
UNCERTAINTY_SCALE = _scale("viridis")
DIFFERENCE_SCALE = _scale("RdBu_r")


#: What becomes of a pixel -> its colour (Okabe and Ito's), which the colour-blind tell apart.
OUTCOME_COLOURS = {"found": "#0072b2", "missed": "#e69f00", "false": "#cc79a7"}
#: Values 1, 2, 3 as these colours, without a passage between them.
OUTCOME_SCALE: ColourScale = [
    [(n + end) / 3, colour] for n, colour in enumerate(OUTCOME_COLOURS.values()) for end in (0, 1)
]


@dataclass(frozen=True)
class Theme:
    """What depends on the theme."""

    dark: bool

    @property
    def ink(self) -> str:
        """Of text."""
        return "#d7dde2" if self.dark else "#33393f"

    @property
    def line(self) -> str:
        """Of frames and ticks."""
        return "#4b545c" if self.dark else "#c3c9ce"

    @property
    def empty(self) -> str:
        """Where there is nothing."""
        return "#101316" if self.dark else "#eceff1"

    @property
    def accent(self) -> str:
        """Of what is pointed at; stands off from all colour scales."""
        return "#ff5da2"

    def layout(self, **more: Any) -> dict[str, Any]:
        """Return what all figures share."""
        return {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": self.empty,
            "font": {"family": "Roboto, sans-serif", "size": 11, "color": self.ink},
            "margin": {"l": 46, "r": 6, "t": 6, "b": 36},
            "showlegend": False,
            "hoverlabel": {"font": {"family": "Roboto, sans-serif", "size": 12}},
            **more,
        }


@dataclass(frozen=True)
class Shown:
    """How values are shown."""

    scale: ColourScale
    low: float
    high: float
    unit: str
    """Of the colour bar and under the mouse, such as `depth (µm)`."""
    bar: bool = True
    digits: str = ".3g"
    names: tuple[str, ...] = ()
    """Of the values 0, 1, 2 ..., shown in place of them; such values are not averaged."""


def packed(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as Plotly reads it: dtype, bytes in base64, shape."""
    kind = {"f": "f4", "i": "i4", "u": "i4", "b": "u1"}[array.dtype.kind]
    flat = np.ascontiguousarray(array, dtype=np.dtype(kind).newbyteorder("<"))
    bdata = base64.b64encode(flat.tobytes()).decode("ascii")
    shape = {} if array.ndim == 1 else {"shape": ", ".join(str(n) for n in array.shape)}
    return {"dtype": kind, "bdata": bdata, **shape}


def binned(values: NDArray[Any], most_px: int = MOST_PX) -> tuple[Float32Array, int]:
    """Return (..., y, x) averaged over squares so that no side exceeds `most_px`, and their side.

    NaN is left out of the averages. What is left over at the right and lower edge is cut off.
    """
    height, width = values.shape[-2:]
    side = -(-max(height, width) // most_px)
    if side == 1:
        return np.asarray(values, dtype=np.float32), 1
    rows, columns = height // side, width // side
    cut = values[..., : rows * side, : columns * side]
    blocks = cut.reshape(*values.shape[:-2], rows, side, columns, side)
    there = np.isfinite(blocks)
    count = there.sum(axis=(-3, -1))
    total = np.where(there, blocks, 0).sum(axis=(-3, -1), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / np.where(count, count, np.nan), dtype=np.float32), side


def um_axis(
    theme: Theme, title: str, length_um: float, *, downwards: bool = False
) -> dict[str, Any]:
    """Return an axis from 0 to a length in um."""
    return {
        "title": {"text": title, "standoff": 4, "font": {"size": 11}},
        "range": [length_um, 0] if downwards else [0, length_um],
        "constrain": "domain",
        "showgrid": False,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 3,
        "tickcolor": theme.line,
        "tickfont": {"size": 10},
        "nticks": 5,
        "linecolor": theme.line,
        "showline": True,
        "mirror": True,
    }


def _bar(theme: Theme, shown: Shown) -> dict[str, Any]:
    return {
        "title": {"text": shown.unit, "side": "right", "font": {"size": 11}},
        "thickness": 9,
        "outlinewidth": 0,
        "tickfont": {"size": 10, "color": theme.ink},
        "nticks": 6,
        "xpad": 4,
    }


def image(
    values: NDArray[Any],
    pixel_pitch_um: float,
    shown: Shown,
    theme: Theme,
    *,
    contour_at: float | None = None,
    marked: tuple[float, float] | None = None,
) -> Figure:
    """Return a picture with axes in um from the frame's corner.

    Args:
        values: (y, x); NaN is left empty.
        pixel_pitch_um: side of a pixel.
        shown: colours and unit.
        theme: the theme.
        contour_at: draw the line at this value.
        marked: (x, y) in um of a ring.
    """
    z, side = binned(values)
    if shown.names:  # averages of kinds mean nothing: one pixel stands for those around it
        z = np.asarray(values, np.float32)[side // 2 :: side, side // 2 :: side]
    pitch = pixel_pitch_um * side
    height_um, width_um = (n * pitch for n in z.shape)
    places = {"x0": pitch / 2, "dx": pitch, "y0": pitch / 2, "dy": pitch}
    drawn: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "z": packed(z),
            **places,
            "zmin": shown.low,
            "zmax": shown.high,
            "colorscale": shown.scale,
            "showscale": shown.bar,
            "colorbar": _bar(theme, shown),
            "hovertemplate": f"x %{{x:.0f}} µm, y %{{y:.0f}} µm<br>{shown.unit}: "
            f"<b>%{{z:{shown.digits}}}</b><extra></extra>",
        }
    ]
    if shown.names:
        of_each = np.array(shown.names)[np.nan_to_num(z).astype(int)]
        drawn[0] |= {
            "text": of_each.tolist(),
            "hovertemplate": "x %{x:.0f} µm, y %{y:.0f} µm<br><b>%{text}</b><extra></extra>",
        }
    if contour_at is not None and float(np.nanmin(z)) < contour_at < float(np.nanmax(z)):
        drawn.append(
            {
                "type": "contour",
                "z": packed(z),
                **places,
                "contours": {"start": contour_at, "end": contour_at, "coloring": "none"},
                "line": {"color": "#ffffff", "width": 1},
                "showscale": False,
                "hoverinfo": "skip",
            }
        )
    if marked is not None:
        drawn.append(ring(marked, theme))
    layout = theme.layout(
        xaxis=um_axis(theme, "x (µm)", width_um),
        yaxis={
            **um_axis(theme, "y (µm)", height_um, downwards=True),
            "scaleanchor": "x",
            "scaleratio": 1,
        },
    )
    return {"data": drawn, "layout": layout, "config": CONFIG}


def ring(place: tuple[float, float], theme: Theme) -> dict[str, Any]:
    """Return a ring around a place (x, y) in um."""
    return {
        "type": "scatter",
        "x": [place[0]],
        "y": [place[1]],
        "mode": "markers",
        "marker": {
            "symbol": "circle-open",
            "size": 18,
            "color": theme.accent,
            "line": {"width": 3, "color": theme.accent},
        },
        "hoverinfo": "skip",
    }
