"""Point emitters as one picture: beside the captures, from above and from the side."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from fociscope.figures.style import (
    CAPTURE_MAP,
    DEPTH_LABEL,
    DEPTH_MAP,
    EMPTY,
    STYLE,
    as_read,
    draw_image,
    draw_scale_bar,
)
from fociscope.imager import Imager
from fociscope.localization import Emitters
from fociscope.typing import Float32Array, Float64Array

__all__ = ["draw_emitters"]

PANEL_INCH, HEAD_INCH, SIDE_INCH = 2.6, 0.55, 1.5
#: Area of the markers of the dimmest and of the brightest emitter, in points^2.
SMALLEST, LARGEST = 12.0, 130.0


def draw_emitters(
    emitters: Emitters, capture: Float32Array, imager: Imager, title: str = ""
) -> Figure:
    """Draw the emitters of one capture: on the captures, from above and from the side.

    A marker's area grows with the brightness, its colour is the depth, and bars are one standard
    deviation.

    Args:
        emitters: Emitters of one capture.
        capture: (sensor, y, x) the capture.
        imager: Imager that took it.
        title: Title of the picture.

    Returns:
        The picture.

    Examples:
        >>> import numpy as np
        >>> from fociscope.figures import draw_emitters
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization import locate_captures
        >>> imager = Imager.reference()
        >>> noise = np.random.default_rng(0).normal(0, 1, (2, 51, 51)).astype(np.float32)
        >>> figure = draw_emitters(locate_captures(noise, imager), noise, imager)
        >>> len(figure.axes) >= 4
        True
    """
    sensors, height, width = capture.shape
    pitch_y, pitch_x = imager.pitch_um
    extent = (
        -0.5 * pitch_x,
        (width - 0.5) * pitch_x,
        (height - 0.5) * pitch_y,
        -0.5 * pitch_y,
    )
    tall = PANEL_INCH * min(max(height * pitch_y / (width * pitch_x), 0.3), 2.0)
    size = (PANEL_INCH * (sensors + 1) + 1.0, HEAD_INCH + tall + SIDE_INCH + 0.6)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(2, sensors + 1, height_ratios=[tall, SIDE_INCH])
        figure.suptitle(as_read(title) or "Emitters", fontsize=10)
        for s, image in enumerate(capture):
            axes = figure.add_subplot(grid[0, s])
            _draw_capture(axes, image, emitters, imager)
            axes.set_title(f"Sensor {'AB'[s]}")
            if s == 0:
                draw_scale_bar(axes, pitch_x, width)
        colours = Normalize(0.0, imager.gap_um)
        above = figure.add_subplot(grid[0, sensors])
        _points(above, emitters, emitters.x_um, emitters.y_um, colours)
        above.errorbar(
            emitters.x_um,
            emitters.y_um,
            xerr=emitters.x_std_um,
            yerr=emitters.y_std_um,
            fmt="none",
            ecolor="0.75",
            elinewidth=0.7,
        )
        above.set(
            xlim=extent[:2], ylim=extent[2:], aspect="equal", title="From above", ylabel="y (µm)"
        )
        side = figure.add_subplot(grid[1, :])
        drawn = _points(side, emitters, emitters.x_um, emitters.depth_um, colours)
        side.errorbar(
            emitters.x_um,
            emitters.depth_um,
            yerr=emitters.depth_std_um,
            fmt="none",
            ecolor="0.75",
            elinewidth=0.7,
        )
        side.set(
            xlim=extent[:2],
            ylim=(imager.gap_um, 0.0),
            title="From the side",
            xlabel="x (µm)",
            ylabel="depth (µm)",
        )
        figure.colorbar(drawn, ax=[above, side], label=DEPTH_LABEL, fraction=0.05)
    return figure


def _draw_capture(axes: Axes, image: Float32Array, emitters: Emitters, imager: Imager) -> None:
    """Draw (y, x) the image of one sensor, with a ring around each emitter."""
    top = max(float(np.nanmax(image)), 1e-30)
    pitch_y, pitch_x = imager.pitch_um
    draw_image(axes, image, CAPTURE_MAP, norm=PowerNorm(0.5, 0.0, top, clip=True))
    axes.set_aspect(pitch_y / pitch_x)
    axes.scatter(
        emitters.x_um / pitch_x,
        emitters.y_um / pitch_y,
        s=40,
        facecolors="none",
        edgecolors="#ff6b35",
        linewidths=0.8,
    )


def _points(
    axes: Axes, emitters: Emitters, across: Float64Array, down: Float64Array, colours: Normalize
) -> mpl.collections.PathCollection:
    """Draw the emitters as points whose area grows with the brightness."""
    share = emitters.brightness / max(float(emitters.brightness.max(initial=0.0)), 1e-300)
    axes.set_facecolor(EMPTY)
    return axes.scatter(
        across,
        down,
        c=emitters.depth_um,
        s=SMALLEST + (LARGEST - SMALLEST) * np.sqrt(np.clip(share, 0, 1)),
        cmap=DEPTH_MAP,
        norm=colours,
        linewidths=0,
        zorder=3,
    )
