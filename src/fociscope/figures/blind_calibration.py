"""A calibration from ordinary captures as one picture: spectra, coherence, pixels and values."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fociscope.calibration import BlindCalibration
from fociscope.figures.style import PLOT_STYLE, as_read

__all__ = ["draw_blind_calibration"]

COLOURS = ("#0072B2", "#D55E00")
"""Okabe and Ito's blue and vermilion, of sensors A and B."""
UNITS = {"1": "", "um": " µm", "deg": "°"}
TILE_PX = 51


def draw_blind_calibration(calibration: BlindCalibration, title: str = "") -> Figure:
    """Draw a calibration from captures: power, coherence, the pixels of sensor A, and the values.

    Args:
        calibration: Calibration to draw.
        title: Line above the picture, such as the files' names.

    Returns:
        A matplotlib figure, 9.6 inches wide.

    Examples:
        >>> import warnings
        >>> from fociscope.calibration import calibrate_captures
        >>> from fociscope.figures import draw_blind_calibration
        >>> from fociscope.simulation import simulate
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # these captures are few
        ...     found = calibrate_captures(simulate(12, seed=0).captures)
        >>> draw_blind_calibration(found, "chip 7").texts[0].get_text()
        'chip 7'
    """
    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(9.6, 6.0), dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, 2)
        _power(above[0], calibration)
        _coherence(above[1], calibration)
        _offsets(below[0], calibration)
        _values(below[1], calibration)
        figure.suptitle(as_read(title or "Fociscope: calibration from captures"), x=0.01, ha="left")
        figure.texts.insert(0, figure._suptitle)  # type: ignore[attr-defined]
    return figure


def _power(axes: Axes, calibration: BlindCalibration) -> None:
    """Draw the mean power of each sensor by spatial frequency."""
    axes.set_title("Power of the light")
    if not calibration.power.size:
        _nothing(axes)
        return
    frequency = np.arange(1, calibration.power.shape[1] + 1) / TILE_PX
    for power, name, colour in zip(calibration.power, "AB", COLOURS, strict=True):
        axes.semilogy(frequency, power, color=colour, label=f"sensor {name}")
    axes.set_xlabel("cycles per pixel")
    axes.set_ylabel("relative to low frequencies")
    axes.legend(frameon=False, fontsize=7)


def _coherence(axes: Axes, calibration: BlindCalibration) -> None:
    """Draw the coherence of both sensors by spatial frequency."""
    axes.set_title("What both sensors see of the same light")
    if not calibration.coherence.size:
        _nothing(axes)
        return
    frequency = np.arange(1, len(calibration.coherence) + 1) / TILE_PX
    axes.plot(frequency, calibration.coherence, color="0.2")
    axes.axhline(0, color="0.6", linewidth=0.6)
    axes.set_ylim(-0.2, 1.02)
    axes.set_xlabel("cycles per pixel")
    axes.set_ylabel("mean coherence of A and B")


def _offsets(axes: Axes, calibration: BlindCalibration) -> None:
    """Draw each pixel's offset over its neighbours' in its own standard deviations, sensor A."""
    pixels = calibration.pixels
    shown = pixels.offset[0] / np.maximum(pixels.offset_std[0], 1e-30)
    image = axes.imshow(shown, cmap="RdBu_r", vmin=-6, vmax=6)
    for mark, what, bad in (("x", "dead", pixels.dead[0]), ("o", "hot", pixels.hot[0])):
        y, x = np.nonzero(bad)
        if len(y):
            axes.plot(x, y, mark, color="0.1", markerfacecolor="none", label=what)
    if pixels.bad[0].any():
        axes.legend(frameon=True, fontsize=7, loc="upper right")
    axes.figure.colorbar(image, ax=axes, label="in its standard deviations")
    axes.set_title("Sensor A: offset over the neighbours'")
    axes.set_xlabel("x (pixels)")
    axes.set_ylabel("y (pixels)")


def _values(axes: Axes, calibration: BlindCalibration) -> None:
    """Write the values, and which of them the captures do not determine."""
    axes.axis("off")
    axes.set_title(f"Found in {calibration.captures} captures (± one std)", loc="left")
    lines = list(calibration.estimates.items())
    step = min(0.1, 0.96 / max(len(lines), 1))
    for number, (name, value) in enumerate(lines):
        y, unit = 0.97 - number * step, UNITS.get(value.unit, f" {value.unit}")
        known = np.isfinite(value.std) and name not in calibration.undetermined
        text = f"{value.value:.4g} ± {value.std:.2g}{unit}" if known else "not determined"
        axes.text(0.0, y, name, transform=axes.transAxes, va="center", fontsize=8)
        axes.text(1.0, y, text, transform=axes.transAxes, va="center", ha="right", fontsize=8)


def _nothing(axes: Axes) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, "one sensor, or small frames: no spectra", ha="center", va="center",
              transform=axes.transAxes)  # fmt: skip
