"""What all pictures share: colours, style, scale bars and panels.

Colours are perceptually even and safe for colour-blind readers.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import matplotlib as mpl
import matplotlib.patheffects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap

__all__ = [
    "CAPTURE_MAP",
    "DEPTH_LABEL",
    "DEPTH_MAP",
    "EMPTY",
    "PLOT_STYLE",
    "PROBABILITY_MAP",
    "SMALL_STYLE",
    "STYLE",
    "as_read",
    "bare_frame",
    "depth_colours",
    "draw_image",
    "draw_scale_bar",
]

CAPTURE_MAP = "gray"
PROBABILITY_MAP = "magma"
DEPTH_MAP = ListedColormap(mpl.colormaps["viridis"](np.linspace(1.0, 0.25, 256)), "depth")
"""Near is bright; the darkest part of viridis is left out, to stand off from `EMPTY`."""
DEPTH_LABEL = "depth below sensor A (µm)"
EMPTY = "#1b1b1f"
"""Where there are no cells; darker than any depth's colour."""

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlepad": 4,
    "figure.facecolor": "white",
}
"""Of all pictures, on paper and on screen."""
SMALL_STYLE: Any = STYLE | {"font.size": 8, "axes.linewidth": 0.6}
"""Many panels on a page, curves beside pictures."""
PLOT_STYLE: Any = SMALL_STYLE | {
    "axes.titlelocation": "left",
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
}
"""Curves and bars alone."""


def as_read(text: str) -> str:
    r"""Return text of foreign origin, such as a file's name, to be drawn letter by letter.

    A `$` then begins no formula; control characters, and bytes of a name that is not UTF-8, which
    no font can draw, become the replacement character.

    Args:
        text: Text to draw.

    Returns:
        The text, safe for matplotlib.

    Examples:
        >>> from fociscope.figures import as_read
        >>> print(as_read("cost_$5.tif"))
        cost_\$5.tif
    """
    letters = ("\ufffd" if unicodedata.category(one) in ("Cc", "Cs") else one for one in text)
    return "".join(letters).replace("$", r"\$")


def draw_scale_bar(axes: Axes, pixel_pitch_um: float, width_px: int) -> None:
    """Draw a bar of a round length of about a quarter of the frame, with its length above.

    Args:
        axes: Axes that show an image, drawn pixel by pixel.
        pixel_pitch_um: Side of a pixel in um.
        width_px: Width of the image in pixels.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from fociscope.figures import draw_image, draw_scale_bar
        >>> axes = Figure().add_subplot()
        >>> image = draw_image(axes, np.zeros((51, 51)), "gray")
        >>> draw_scale_bar(axes, 55.0, 51)
        >>> axes.texts[0].get_text()
        '500 µm'
    """
    target = width_px * pixel_pitch_um / 4
    decade = 10 ** np.floor(np.log10(target))
    length_um = max(step * decade for step in (1, 2, 5) if step * decade <= target)
    length_px = length_um / pixel_pitch_um
    start = 0.05 * width_px
    y = axes.get_ylim()[0] - 0.06 * width_px
    outline: dict[str, Any] = {"color": "black", "linewidth": 4, "solid_capstyle": "butt"}
    axes.plot([start, start + length_px], [y, y], **outline)
    axes.plot([start, start + length_px], [y, y], **{**outline, "color": "white", "linewidth": 2.5})
    text = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    label = axes.text(
        start, y - 0.03 * width_px, text, color="white", fontsize=7, ha="left", va="bottom"
    )
    label.set_path_effects([mpl.patheffects.withStroke(linewidth=1.5, foreground="black")])


def bare_frame(axes: Axes) -> None:
    """Take the ticks off a picture and draw a thin grey frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
        spine.set_color("0.4")


def draw_image(axes: Axes, image: Any, cmap: str | Colormap, **options: Any) -> Any:
    """Draw an image pixel by pixel, without ticks.

    Args:
        axes: Axes to draw into.
        image: (y, x) values; masked ones have the colour map's `bad` colour.
        cmap: Colour map.
        options: Further arguments of `Axes.imshow`, such as `vmin` or `norm`.

    Returns:
        The image, which `Figure.colorbar` takes.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from fociscope.figures import draw_image
        >>> draw_image(Figure().add_subplot(), np.eye(3), "magma", vmax=2.0).norm.vmax
        2.0
    """
    drawn = axes.imshow(image, cmap=cmap, interpolation="nearest", **options)
    bare_frame(axes)
    return drawn


def depth_colours() -> Colormap:
    """Return the colours of depth: near is bright, and masked pixels, without cells, are dark.

    Returns:
        A colour map.

    Examples:
        >>> from fociscope.figures import depth_colours
        >>> depth_colours().N
        256
    """
    return DEPTH_MAP.with_extremes(bad=EMPTY)
