"""A volume as one picture: captures, cells from above and from the sides, light by depth."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from fociscope.figures.style import (
    CAPTURE_MAP,
    DEPTH_LABEL,
    EMPTY,
    PROBABILITY_MAP,
    STYLE,
    as_read,
    depth_colours,
    draw_image,
    draw_scale_bar,
)
from fociscope.results.volume_map import VolumeMap
from fociscope.typing import Float32Array

__all__ = ["draw_volume", "draw_volume_from_above", "draw_volume_from_the_side"]

#: Expected voxels with cells in a column from which on it is drawn.
LEAST_DRAWN = 0.5


def draw_volume_from_above(
    axes: Axes, depth_um: Float32Array, held: Any, *, gap_um: float, pitch_um: float
) -> Any:
    """Draw where there are cells, coloured by their depth.

    Args:
        axes: Axes to draw into.
        depth_um: Depth of the cells of each column in um, (y, x).
        held: Whether a column holds cells, (y, x).
        gap_um: Depth at which the colours end, in um.
        pitch_um: Side of a pixel in um.

    Returns:
        The image, which `Figure.colorbar` takes.
    """
    drawn = draw_image(
        axes, np.ma.masked_where(~held, depth_um), depth_colours(), norm=Normalize(0, gap_um)
    )
    axes.set_facecolor(EMPTY)
    draw_scale_bar(axes, pitch_um, depth_um.shape[1])
    return drawn


def draw_volume_from_the_side(
    axes: Axes, probability: Float32Array, *, gap_um: float, pitch_um: float, along: str = "y"
) -> Any:
    """Draw the greatest probability along y or x, with the depth downwards.

    Args:
        axes: Axes to draw into.
        probability: Probability of cells, (slice, y, x).
        gap_um: Depth of the whole volume in um.
        pitch_um: Side of a pixel in um.
        along: Axis that is looked along, `y` or `x`.

    Returns:
        The image, which `Figure.colorbar` takes.
    """
    seen = probability.max(axis=1 if along == "y" else 2)
    width_mm = seen.shape[1] * pitch_um / 1000
    drawn = axes.imshow(
        seen,
        cmap=PROBABILITY_MAP,
        norm=PowerNorm(0.5, 0, 1),
        extent=(0, width_mm, gap_um, 0),
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_box_aspect(0.55)
    axes.tick_params(labelsize=7, length=2, pad=2)
    axes.set_xlabel(f"{'x' if along == 'y' else 'y'} (mm)", labelpad=1, fontsize=8)
    axes.set_ylabel("depth (µm)", labelpad=2, fontsize=8)
    return drawn


def draw_volume(volume: VolumeMap, title: str = "") -> Figure:
    """Draw one volume: its captures, cells from above by depth, and from both sides.

    Args:
        volume: Volume of one capture.
        title: Line above the picture.

    Returns:
        The picture.

    Examples:
        >>> import numpy as np
        >>> from fociscope.figures import draw_volume
        >>> from fociscope.imager import Imager
        >>> from fociscope.results import VolumeMap
        >>> light, captures = np.zeros((5, 51, 51), np.float32), np.ones((2, 51, 51), np.float32)
        >>> z = np.arange(100.0, 1000, 200)
        >>> volume = VolumeMap(light, light, z, captures, captures, Imager.reference(), model="own")
        >>> draw_volume(volume).savefig("volume.png")
    """
    pitch_um, gap_um = volume.imager.square_pitch_um, volume.imager.gap_um
    sensors = volume.captures.shape[-3]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 5.0), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(as_read(title or f"Volume, model {volume.model}"), fontsize=10)
        grid = figure.add_gridspec(2, 6)
        for sensor in range(sensors):
            axes = figure.add_subplot(grid[0, 2 * sensor : 2 * sensor + 2])
            image = volume.captures[sensor]
            norm = PowerNorm(0.5, 0.0, float(image.max()), clip=True)
            draw_image(axes, image, CAPTURE_MAP, norm=norm)
            axes.set_title(f"Sensor {'AB'[sensor]}")
            draw_scale_bar(axes, pitch_um, image.shape[1])
        axes = figure.add_subplot(grid[0, 4:6])
        held = volume.column_probability >= LEAST_DRAWN
        likeliest_um = np.asarray(volume.slice_um)[volume.probability.argmax(axis=0)]
        drawn = draw_volume_from_above(axes, likeliest_um, held, gap_um=gap_um, pitch_um=pitch_um)
        axes.set_title("Cells from above, likeliest depth")
        bar = figure.colorbar(drawn, ax=axes, shrink=0.85)
        bar.set_label(DEPTH_LABEL, fontsize=8)
        bar.ax.invert_yaxis()
        bar.ax.tick_params(labelsize=7, length=2)
        for n, along in enumerate("yx"):
            axes = figure.add_subplot(grid[1, 3 * n : 3 * n + 3])
            drawn = draw_volume_from_the_side(
                axes, volume.probability, gap_um=gap_um, pitch_um=pitch_um, along=along
            )
            axes.set_title(f"From the side, along {along}")
        bar = figure.colorbar(drawn, ax=axes, shrink=0.7)
        bar.set_label("greatest probability", fontsize=8)
        bar.ax.tick_params(labelsize=7, length=2)
    return figure
