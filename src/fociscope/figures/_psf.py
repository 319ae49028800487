"""Pictures of point spread functions: kernels by depth, and their profiles."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from fociscope.figures.style import DEPTH_MAP, STYLE, as_read, draw_image, draw_scale_bar
from fociscope.imager.geometry import Imager
from fociscope.typing import Float64Array

__all__ = ["draw_psf"]

KERNEL_MAP = "magma"
DEPTHS_UM = (50.0, 100.0, 300.0, 800.0)
#: Faintest light shown, relative to the brightest pixel of all.
FAINTEST_SHOWN = 1e-5
PANEL_INCH, PROFILE_INCH, HEIGHT_INCH = 1.85, 2.9, 2.75


def draw_psf(
    imager: Imager, *, depths_um: Sequence[float] = DEPTHS_UM, title: str = "", radius_px: int = 15
) -> Figure:
    """Draw the kernels of an imager's PSF at depths, and their light along a row of pixels.

    Args:
        imager: Imager with a PSF of any kind.
        depths_um: Distances of the emitter from sensor A.
        title: Line above the picture; the kind's label by default.
        radius_px: Pixels to either side of the middle one.

    Returns:
        A matplotlib figure.

    Examples:
        >>> from fociscope.figures._psf import draw_psf
        >>> from fociscope.imager import Imager
        >>> figure = draw_psf(Imager.reference(), depths_um=(100.0, 300.0))
        >>> len(figure.axes)  # two kernels, their colour bar, and profiles
        4
    """
    psf, pitch_um = imager.psf, imager.pitch_um[1]
    kernels = _kernels(imager, np.array(depths_um), radius_px)
    light = LogNorm(FAINTEST_SHOWN * kernels.max(), kernels.max(), clip=True)
    count = len(depths_um)
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(count * PANEL_INCH + PROFILE_INCH + 1.0, HEIGHT_INCH),
            dpi=150,
            layout="constrained",
        )
        FigureCanvasAgg(figure)
        figure.suptitle(as_read(title or psf.label or psf.kind), x=0.012, ha="left", fontsize=11)
        grid = figure.add_gridspec(
            1, count + 2, width_ratios=[1.0] * count + [0.06, PROFILE_INCH / PANEL_INCH]
        )
        for number, (depth_um, kernel) in enumerate(zip(depths_um, kernels, strict=True)):
            axes = figure.add_subplot(grid[0, number])
            oblong = imager.pitch_um[0] / pitch_um
            shown = draw_image(axes, kernel, KERNEL_MAP, norm=light, aspect=oblong)
            axes.set_title(f"{depth_um:g} µm")
            draw_scale_bar(axes, pitch_um, kernel.shape[1])
            axes.set_xlabel(
                f"lands: {100 * float(psf.collection_efficiency(float(depth_um))):.2g} %\n"
                f"width: {psf.variance_um2(float(depth_um)) ** 0.5:.0f} µm rms",
                fontsize=8,
            )
        bar = figure.colorbar(shown, cax=figure.add_subplot(grid[0, count]))
        bar.set_label("share of emitted light per pixel", fontsize=8)
        bar.outline.set_linewidth(0.6)
        bar.ax.tick_params(labelsize=7, length=2)

        axes = figure.add_subplot(grid[0, count + 1])
        x_um = np.arange(-radius_px, radius_px + 1) * pitch_um
        for number, (depth_um, kernel) in enumerate(zip(depths_um, kernels, strict=True)):
            colour = DEPTH_MAP(number / max(1, count - 1))
            axes.semilogy(
                x_um,
                np.maximum(kernel[radius_px], FAINTEST_SHOWN * kernels.max()),
                color=colour,
                linewidth=1.4,
                marker="osD^"[number % 4],
                markersize=2.5,
                label=f"{depth_um:g} µm",
            )
        axes.set_ylim(FAINTEST_SHOWN * kernels.max(), 2 * kernels.max())
        axes.set_xlim(x_um[0], x_um[-1])
        axes.set_xlabel("distance along the middle row (µm)")
        axes.set_ylabel("share per pixel")
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelsize=8)
        axes.legend(title="depth", fontsize=7, title_fontsize=7, frameon=False, loc="upper right")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure


def _kernels(imager: Imager, depths_um: Float64Array, radius_px: int) -> Float64Array:
    """Return (depth, y, x): what the pixels around the one below an emitter collect."""
    if imager.has_plain_pixels:
        pitch_um = imager.square_pitch_um
        return np.asarray(imager.psf.kernel(depths_um, pitch_um, radius_px=radius_px))
    side = 2 * radius_px + 1
    around = imager.with_(
        frame_px=(side, side), sensors=1, sensor_gains=(1.0, 1.0), row_shift_um=(), dead_pixels=()
    )
    middle = [radius_px * pitch for pitch in reversed(imager.pitch_um)]
    emitters = np.array([[*middle, depth_um] for depth_um in depths_um])
    return np.asarray(around.pixel_response(emitters))[:, 0]
