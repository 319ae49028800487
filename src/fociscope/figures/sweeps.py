"""A calibration from a stage as one picture: residuals, depths and gains."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fociscope.calibration import SweepCalibration
from fociscope.figures.style import PLOT_STYLE, as_read

__all__ = ["draw_sweeps"]

FITTED, MEASURED = "#0072B2", "#D55E00"
"""Okabe and Ito's blue and vermilion."""
MOST_ROWS = 8
UNITS = {"1": "", "um": " µm", "deg": "°"}


def draw_sweeps(calibration: SweepCalibration, title: str = "") -> Figure:
    """Draw a calibration from a stage: residuals by pixel, depths against nominal ones, and gains.

    Args:
        calibration: Calibration to draw.
        title: Line above the picture, such as the files' names.

    Returns:
        A matplotlib figure, 9.6 inches wide.

    Examples:
        >>> from fociscope.calibration import calibrate_sweeps, simulated_sweep
        >>> from fociscope.figures import draw_sweeps
        >>> from fociscope.imager import Imager
        >>> chip = Imager.preset("acus").with_(frame_px=(2, 24))
        >>> sweep = simulated_sweep(chip, [[250.0, 20.0, 90.0, 1e8]], 80.0, x_um=[0.0, 40.0])
        >>> found = calibrate_sweeps([sweep], imager=chip, fit_depth_offset=True, model_error=0.0)
        >>> draw_sweeps(found, "chip 7").texts[0].get_text()
        'chip 7'
    """
    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(9.6, 5.6), dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, 2)
        _residuals(above[0], calibration)
        _depths(above[1], calibration)
        _gains(below[0], calibration)
        _values(below[1], calibration)
        figure.suptitle(as_read(title or "Fociscope: calibration from a stage"), x=0.01, ha="left")
        figure.texts.insert(0, figure._suptitle)  # type: ignore[attr-defined]
    return figure


def _residuals(axes: Axes, calibration: SweepCalibration) -> None:
    """Draw the mean residual of each sweep along x, its rows and sensors averaged."""
    for one in calibration.sweeps:
        rows = one.residual_std.reshape(-1, one.residual_std.shape[-1])
        seen = np.isfinite(rows)
        mean = np.where(seen, rows, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        axes.plot(mean, label=f"{one.name}: {one.rms_residual_std:.2f}")
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.set_xlabel("pixel along x")
    axes.set_ylabel("mean residual (std of noise and model)")
    axes.set_title("What is left over, and its RMS in all frames")
    axes.legend(frameon=False, fontsize=7)


def _depths(axes: Axes, calibration: SweepCalibration) -> None:
    """Draw the depth that each sweep alone would have against the stage's."""
    stated = np.array([one.depth_um for one in calibration.sweeps])
    order = np.argsort(stated)
    fitted = np.array([one.fitted_depth_um for one in calibration.sweeps])
    own = np.array([one.own_depth_um.value for one in calibration.sweeps])
    std = np.array([one.own_depth_um.std for one in calibration.sweeps])
    axes.plot(stated[order], (fitted - stated)[order], color=FITTED, label="all sweeps together")
    axes.errorbar(
        stated, own - stated, std, fmt="o", color=MEASURED, markerfacecolor="none",
        label="each alone",
    )  # fmt: skip
    axes.set_xlabel("nominal depth (µm)")
    axes.set_ylabel("fitted minus nominal (µm)")
    axes.set_title("Depth of the first bead")
    axes.legend(frameon=False, fontsize=7)


def _gains(axes: Axes, calibration: SweepCalibration) -> None:
    """Draw the gains that are known, row by row."""
    rows = calibration.gains.reshape(-1, calibration.gains.shape[-1])
    known = calibration.known_gains.reshape(rows.shape)
    std = calibration.gain_std.reshape(rows.shape)
    for number in range(min(len(rows), MOST_ROWS)):
        at = np.flatnonzero(known[number])
        axes.errorbar(
            at, rows[number, at], std[number, at] * rows[number, at], fmt=".", elinewidth=0.6,
            label=f"row {number + 1}",
        )  # fmt: skip
    axes.axhline(1, color="0.4", linewidth=0.6)
    axes.set_xlabel("pixel along x")
    axes.set_ylabel("relative gain")
    axes.set_title(f"Gains: {int(known.sum())} of {known.size} pixels are determined")
    axes.legend(frameon=False, fontsize=7)


def _values(axes: Axes, calibration: SweepCalibration) -> None:
    """Write the values, and which of them the captures do not determine."""
    axes.axis("off")
    axes.set_title("Found (± one standard deviation)", loc="left")
    lines = list(calibration.estimates.items())
    step = min(0.1, 0.9 / max(len(lines), 1))
    for number, (name, value) in enumerate(lines):
        y, unit = 0.95 - number * step, UNITS.get(value.unit, f" {value.unit}")
        known = np.isfinite(value.std)
        text = f"{value.value:.4g} ± {value.std:.2g}{unit}" if known else "not determined"
        axes.text(0.0, y, name, transform=axes.transAxes, va="center")
        axes.text(1.0, y, text, transform=axes.transAxes, va="center", ha="right")
