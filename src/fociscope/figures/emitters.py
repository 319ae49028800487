"""Point emitters as one picture: beside the captures, from above and from the side."""

from __future__ import annotations

import math

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
#: A frame lower than this share of its width is drawn as lines, of so many rows at most.
NARROW, MOST_ROWS = 0.2, 4
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
    narrow = height * pitch_y < NARROW * width * pitch_x
    with mpl.rc_context(STYLE):
        figure, panels = _narrow_panels(sensors) if narrow else _panels(capture.shape, imager)
        figure.suptitle(as_read(title) or "Emitters", fontsize=10)
        *own, above, side = panels
        for s, (axes, image) in enumerate(zip(own, capture, strict=True)):
            axes.set_title(f"Sensor {'AB'[s]}")
            if narrow:
                _draw_rows(axes, image, emitters, imager)
                continue
            _draw_capture(axes, image, emitters, imager)
            if s == 0:
                draw_scale_bar(axes, pitch_x, width)
        deepest = _deepest_um(emitters, imager)
        colours = Normalize(0.0, deepest)
        e = emitters
        _points(above, e, e.y_um, colours)
        _bars(above, e, e.y_um, e.y_std_um)
        sides_x = (-0.5 * pitch_x, (width - 0.5) * pitch_x)
        sides_y = ((height - 0.5) * pitch_y, -0.5 * pitch_y)
        above.set(xlim=sides_x, ylim=sides_y, title="From above", ylabel="y (µm)")
        above.set_aspect("auto" if narrow else "equal")
        drawn = _points(side, e, e.depth_um, colours)
        _bars(side, e, e.depth_um, e.depth_std_um)
        side.set(xlim=sides_x, ylim=(deepest, 0.0), title="From the side")
        side.set(xlabel="x (µm)", ylabel="depth (µm)")
        figure.colorbar(drawn, ax=[above, side], label=DEPTH_LABEL, fraction=0.05)
    return figure


def _panels(shape: tuple[int, ...], imager: Imager) -> tuple[Figure, list[Axes]]:
    """Return panels of the sensors beside each other, then from above; below, from the side."""
    sensors, height, width = shape
    pitch_y, pitch_x = imager.pitch_um
    tall = PANEL_INCH * min(max(height * pitch_y / (width * pitch_x), 0.3), 2.0)
    size = (PANEL_INCH * (sensors + 1) + 1.0, HEAD_INCH + tall + SIDE_INCH + 0.6)
    figure = _empty_figure(size)
    grid = figure.add_gridspec(2, sensors + 1, height_ratios=[tall, SIDE_INCH])
    top = [figure.add_subplot(grid[0, n]) for n in range(sensors + 1)]
    return figure, [*top, figure.add_subplot(grid[1, :])]


def _narrow_panels(sensors: int) -> tuple[Figure, list[Axes]]:
    """Return panels below each other: the sensors, from above, from the side."""
    heights = [SIDE_INCH] * sensors + [0.5 * SIDE_INCH, SIDE_INCH]
    figure = _empty_figure((2.6 * PANEL_INCH, HEAD_INCH + sum(heights) + 0.5 * len(heights)))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    return figure, [figure.add_subplot(grid[n, 0]) for n in range(len(heights))]


def _empty_figure(size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _deepest_um(emitters: Emitters, imager: Imager) -> float:
    """Return where the depth axis ends: at sensor B, or a little below the deepest emitter."""
    if imager.sensors > 1 or len(emitters) == 0:
        return imager.gap_um
    deepest = float((emitters.depth_um + emitters.depth_std_um).max())
    return min(imager.gap_um, 50.0 * math.ceil(1.3 * deepest / 50.0))


def _draw_rows(axes: Axes, image: Float32Array, emitters: Emitters, imager: Imager) -> None:
    """Draw (y, x) the image of a sensor of few rows as lines, and where the emitters are."""
    pitch_x = imager.pitch_um[1]
    x_um = np.arange(image.shape[1]) * pitch_x
    shifts = imager.row_shift_um or (0.0,)
    for row in np.unique(np.linspace(0, len(image) - 1, MOST_ROWS).astype(int)):
        shift = shifts[row % len(shifts)]
        axes.plot(x_um + shift, image[row], lw=0.9, label=f"row {row}")
    for x in emitters.x_um:
        axes.axvline(x, color="#ff6b35", lw=0.8)
    axes.set(xlim=(-0.5 * pitch_x, x_um[-1] + 0.5 * pitch_x), ylabel="light")
    axes.legend(fontsize=6, loc="upper right")


def _draw_capture(axes: Axes, image: Float32Array, emitters: Emitters, imager: Imager) -> None:
    """Draw (y, x) the image of one sensor, with a ring around each emitter."""
    top = max(float(np.nanmax(image)), 1e-30)
    pitch_y, pitch_x = imager.pitch_um
    draw_image(axes, image, CAPTURE_MAP, norm=PowerNorm(0.5, 0.0, top, clip=True))
    axes.set_aspect(pitch_y / pitch_x)
    axes.set_autoscale_on(False)  # emitters beyond the frame stay out of it
    axes.scatter(
        emitters.x_um / pitch_x,
        emitters.y_um / pitch_y,
        s=40,
        facecolors="none",
        edgecolors="#ff6b35",
        linewidths=0.8,
    )


def _points(
    axes: Axes, emitters: Emitters, down: Float64Array, colours: Normalize
) -> mpl.collections.PathCollection:
    """Draw the emitters as points whose area grows with the brightness."""
    share = emitters.brightness / max(float(emitters.brightness.max(initial=0.0)), 1e-300)
    axes.set_facecolor(EMPTY)
    return axes.scatter(
        emitters.x_um,
        down,
        c=emitters.depth_um,
        s=SMALLEST + (LARGEST - SMALLEST) * np.sqrt(np.clip(share, 0, 1)),
        cmap=DEPTH_MAP,
        norm=colours,
        linewidths=0,
        zorder=3,
    )


def _bars(axes: Axes, emitters: Emitters, down: Float64Array, down_std: Float64Array) -> None:
    """Draw one standard deviation along x and down, over the points."""
    axes.errorbar(
        emitters.x_um,
        down,
        xerr=emitters.x_std_um,
        yerr=down_std,
        fmt="none",
        ecolor="0.85",
        elinewidth=0.7,
        zorder=4,
    )
