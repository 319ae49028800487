"""A calibration as one picture: measured beside fitted, what is left over, and the imager found.

Colours are safe for colour-blind readers; every axis carries its unit.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from fociscope.calibration import Calibration, Estimate, PlaneFit
from fociscope.figures.style import SMALL_STYLE, as_read
from fociscope.typing import Float64Array

__all__ = ["draw_calibration"]

SHOWN_PLANES = 4
WORTH_SHOWING_DB = 10.0
FITTED, MEASURED, OTHER = "#0072B2", "#D55E00", "#009E73"
"""Okabe and Ito's blue, vermilion and green."""
RESIDUAL_MAP = "PuOr"
RESIDUAL_STD = 4.0
LABELS = {
    "base_blur_um": "base blur",
    "depth_offset_um": "depth offset",
    "gain_b": "gain of B / A",
    "background_a_counts": "background A",
    "background_b_counts": "background B",
    "shift_y_um": "B: shift y",
    "shift_x_um": "B: shift x",
    "rotation_deg": "B: rotation",
    "scale": "B: scale",
    "target_shift_y_um": "target: shift y",
    "target_shift_x_um": "target: shift x",
    "target_rotation_deg": "target: rotation",
    "target_scale": "target: scale",
}
UNITS = {"deg": "°", "um": "µm", "um/um": "µm/µm", "1": "", "counts": "counts"}


def draw_calibration(calibration: Calibration, title: str = "") -> Figure:
    """Draw a calibration: measured beside fitted, the residuals, and the fitted imager.

    Beads: radial profiles of a few planes, and their residuals. A target: a few captures beside
    the fitted ones, and their residuals. Below: width and apparent distance of every plane, and
    the fitted values with one standard deviation.

    Args:
        calibration: Calibration to draw.
        title: Line above the picture, such as the file's name.

    Returns:
        A matplotlib figure, 9.6 inches wide.

    Examples:
        >>> from fociscope.calibration import calibrate_beads, simulated_stack
        >>> from fociscope.figures import draw_calibration
        >>> from fociscope.imager import Imager
        >>> imager = Imager(sensors=1, frame_px=(21, 21))
        >>> stack = simulated_stack(imager, [[10.0, -15.0]], [450.0, 600.0, 750.0])
        >>> figure = draw_calibration(calibrate_beads(stack, imager=imager), "chip 7")
        >>> figure.savefig("calibration.png")
        >>> figure.texts[0].get_text()
        'chip 7'
    """
    shown = _chosen(calibration.planes)
    beads = calibration.source == "beads"
    rows = 3 if beads else 4
    with mpl.rc_context(SMALL_STYLE):
        inches = 2.35 * rows + 0.85
        figure = Figure(figsize=(9.6, inches), dpi=160)
        FigureCanvasAgg(figure)
        bottom_row = (0.42 / inches, 2.25 / inches)
        grid = GridSpec(
            rows - 1, 5, figure, width_ratios=[1, 1, 1, 1, 0.05],
            left=0.065, right=0.945, top=1 - 0.68 / inches, bottom=2.95 / inches,
            hspace=0.36, wspace=0.28,
        )  # fmt: skip
        foot = GridSpec(
            1, 3, figure, left=0.065, right=0.975, bottom=bottom_row[0], top=bottom_row[1],
            wspace=0.27,
        )  # fmt: skip
        last = shown[-1]
        for column, plane in enumerate(shown):
            if beads:
                axes = figure.add_subplot(grid[0, column])
                _profile(axes, plane, calibration)
                axes.set_ylabel("light / fitted peak" if column == 0 else "")
                if plane is last:
                    axes.legend(frameon=False, fontsize=7, loc="upper right", handlelength=1.4)
            else:
                for row, image in enumerate((plane.measured, plane.fitted)):
                    axes = figure.add_subplot(grid[row, column])
                    _picture(axes, image, plane, calibration)
                    axes.set_title(f"{_name(plane)}, {('measured', 'fitted')[row]}")
            axes = figure.add_subplot(grid[rows - 2, column])
            drawn = _residual(axes, plane, calibration)
        bar = figure.colorbar(drawn, cax=figure.add_subplot(grid[rows - 2, 4]), extend="both")
        bar.set_label("residual (std of noise)")
        bar.outline.set_linewidth(0.6)
        _widths(figure.add_subplot(foot[0]), calibration)
        _distances(figure.add_subplot(foot[1]), calibration)
        _values(figure.add_subplot(foot[2]), calibration)
        height = figure.get_figheight()
        headline = as_read(title or "Fociscope: calibration")
        figure.text(0.02, 1 - 0.1 / height, headline, va="top", fontsize=11)
        figure.text(0.02, 1 - 0.32 / inches, _headline(calibration), va="top", color="0.35")
    return figure


def _chosen(planes: tuple[PlaneFit, ...]) -> list[PlaneFit]:
    """Return planes from the nearest to the farthest from their sensor, those with light first."""
    bright = [plane for plane in planes if plane.peak_snr_db > WORTH_SHOWING_DB]
    shown = bright if len(bright) >= SHOWN_PLANES else planes
    by_distance = sorted(shown, key=lambda plane: plane.distance_um)
    count = min(SHOWN_PLANES, len(by_distance))
    return [by_distance[round(n)] for n in np.linspace(0, len(by_distance) - 1, count)]


def _name(plane: PlaneFit) -> str:
    return f"{'AB'[plane.sensor]}, {plane.distance_um:.0f} µm away"


def _profile(axes: Axes, plane: PlaneFit, calibration: Calibration) -> None:
    """Draw light against the distance from the bead, averaged over rings half a pixel wide."""
    pitch_um = calibration.imager.square_pitch_um
    measured, fitted = plane.profile
    ring = np.floor(plane.radius_um / (pitch_um / 2)).astype(int)
    count = np.bincount(ring)
    full = count > 0

    def mean(values: Float64Array) -> Float64Array:
        return np.asarray(np.bincount(ring, values)[full] / count[full])

    peak = float(mean(fitted).max())
    radius, level = mean(plane.radius_um), mean(measured)
    scatter = np.sqrt(mean((measured - level[np.cumsum(full)[ring] - 1]) ** 2) / count[full])
    axes.plot(radius, mean(fitted) / peak, color=FITTED, linewidth=1.5, label="fitted")
    axes.errorbar(
        radius,
        level / peak,
        scatter / peak,
        fmt="o",
        markersize=2.6,
        linewidth=0.8,
        color=MEASURED,
        label="measured",
    )
    psf = calibration.imager.psf
    if psf != calibration.fitted:  # measured, beside the fitted one
        kernel = np.asarray(psf.kernel(np.float64(plane.distance_um), pitch_um))
        axis = (np.arange(len(kernel)) - len(kernel) // 2) * pitch_um
        away = np.hypot(axis[:, None], axis[None]).ravel()
        order = np.argsort(away)
        inside = order[away[order] <= radius.max()]
        axes.plot(
            away[inside],
            kernel.ravel()[inside] / peak,
            color=OTHER,
            linewidth=0.9,
            linestyle="--",
            label="PSF written\n(bead on a pixel)",
        )
    axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    axes.set_title(_name(plane))
    axes.set_xlabel("distance from the bead (µm)", labelpad=1)
    axes.set_ylim(-0.12, 1.15)


def _extent(image: Float64Array, pitch_um: float) -> tuple[float, float, float, float]:
    """Return the edges of an image in mm around its middle."""
    half_y, half_x = (side * pitch_um / 2000 for side in image.shape)
    return -half_x, half_x, half_y, -half_y


def _picture(axes: Axes, image: Float64Array, plane: PlaneFit, calibration: Calibration) -> None:
    """Draw a capture on a square-root grey scale, measured and fitted on the same."""
    top = float(max(plane.fitted.max(), 1e-30))
    axes.imshow(
        image,
        cmap="gray",
        norm=PowerNorm(0.5, 0.0, top, clip=True),
        extent=_extent(image, calibration.imager.square_pitch_um),
        interpolation="nearest",
    )
    axes.tick_params(length=2, labelsize=7)


def _residual(axes: Axes, plane: PlaneFit, calibration: Calibration) -> Any:
    drawn = axes.imshow(
        plane.residual_std,
        cmap=RESIDUAL_MAP,
        vmin=-RESIDUAL_STD,
        vmax=RESIDUAL_STD,
        extent=_extent(plane.residual_std, calibration.imager.square_pitch_um),
        interpolation="nearest",
    )
    rms = math.sqrt(float(np.mean(plane.residual_std**2)))
    axes.set_title(f"residual: {rms:.2f} of the noise", fontsize=8)
    axes.set_xlabel("mm", labelpad=1)
    axes.tick_params(length=2, labelsize=7)
    return drawn


def _width_um(calibration: Calibration, distance_um: float) -> float:
    return math.sqrt(calibration.fitted.variance_um2(max(distance_um, 0.0)))


def _widths(axes: Axes, calibration: Calibration) -> None:
    """Draw how the light widens: the curve is fitted, the points are each plane's own."""
    farthest = max(plane.distance_um for plane in calibration.planes)
    curve = np.linspace(0, farthest * 1.05, 60)
    widths = [_width_um(calibration, z) for z in curve]
    axes.plot(curve, widths, color=FITTED, linewidth=1.5, label="fitted")
    for sensor, marker in enumerate("os"):
        planes = [plane for plane in calibration.planes if plane.sensor == sensor]
        if not planes:
            continue
        own = [_width_um(calibration, plane.apparent_um.value) for plane in planes]
        high = [_width_um(calibration, p.apparent_um.value + p.apparent_um.std) for p in planes]
        axes.errorbar(
            [plane.distance_um for plane in planes],
            own,
            [max(0.0, h - o) for h, o in zip(high, own, strict=True)],
            fmt=marker,
            markersize=4,
            linewidth=0.8,
            color=MEASURED if sensor == 0 else OTHER,
            markerfacecolor="none",
            label=f"each plane alone, {'AB'[sensor]}",
        )
    axes.legend(frameon=False, fontsize=7, loc="upper left", handlelength=1.4)
    axes.set_xlabel("distance from the sensor (µm)", labelpad=1)
    axes.set_ylabel("standard deviation of the light (µm)", labelpad=2)
    axes.set_title("Width")


def _distances(axes: Axes, calibration: Calibration) -> None:
    """Draw by how much each plane seems nearer or farther than stated."""
    axes.axhline(0, color=FITTED, linewidth=1.5)
    for sensor, marker in enumerate("os"):
        planes = [plane for plane in calibration.planes if plane.sensor == sensor]
        if planes:
            axes.errorbar(
                [plane.distance_um for plane in planes],
                [plane.apparent_um.value - plane.distance_um for plane in planes],
                [plane.apparent_um.std for plane in planes],
                fmt=marker,
                markersize=4,
                linewidth=0.8,
                color=MEASURED if sensor == 0 else OTHER,
                markerfacecolor="none",
            )
    # Planes without light know nothing of their distance: they may leave the picture.
    usual = 4 * float(np.median([plane.apparent_um.std for plane in calibration.planes]))
    reach = [
        abs(plane.apparent_um.value - plane.distance_um) + plane.apparent_um.std
        for plane in calibration.planes
        if plane.apparent_um.std <= usual
    ]
    axes.set_ylim(-1.15 * max(reach), 1.15 * max(reach))
    axes.set_xlabel("distance from the sensor (µm)", labelpad=1)
    axes.set_ylabel("apparent minus stated (µm)", labelpad=1)
    axes.set_title("Distance at which a plane alone fits best")


def _values(axes: Axes, calibration: Calibration) -> None:
    """Write the values found."""
    axes.axis("off")
    axes.set_title("Found (± one standard deviation)", loc="left")
    labels = LABELS | {one.name: one.label for one in calibration.fitted.fit_parameters}
    lines = list(calibration.estimates.items())
    step = min(0.1, 0.96 / max(len(lines), 1))
    for number, (name, value) in enumerate(lines):
        y = 0.95 - number * step
        axes.text(0.0, y, labels.get(name, name), transform=axes.transAxes, va="center")
        axes.text(1.0, y, _written(value), transform=axes.transAxes, va="center", ha="right")


def _written(value: Estimate) -> str:
    """Return a value with as many digits as its uncertainty has meaning."""
    unit = UNITS.get(value.unit, value.unit)
    if not math.isfinite(value.std):
        return f"{value.value:g} {unit} (not measured)"
    digits = max(0, 1 - math.floor(math.log10(value.std))) if value.std > 0 else 3
    return f"{value.value:.{digits}f} ± {value.std:.{digits}f} {unit}".strip()


def _headline(calibration: Calibration) -> str:
    """Return what was measured, in a line."""
    depths = sorted({plane.depth_um for plane in calibration.planes})
    sensors = len({plane.sensor for plane in calibration.planes})
    what = (
        f"{len(calibration.beads)} bead(s) fitted, {len(calibration.excluded)} left out"
        if calibration.source == "beads"
        else "known target; captures on a square-root grey scale"
    )
    psf = calibration.imager.psf
    return (
        f"{what}; {len(depths)} depths from {depths[0]:g} to {depths[-1]:g} µm, {sensors} "
        f"sensor(s); PSF {psf.label or psf.kind}; reduced chi square "
        f"{calibration.reduced_chi_square:.2f}"
    )
