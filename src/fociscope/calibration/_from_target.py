"""Captures of a known target at known depths -> an imager."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import fft

from fociscope.calibration._noise import robust_std, saturated
from fociscope.calibration._outcome import (
    POOR_CHI_SQUARE,
    assemble_calibration,
    registration_estimates,
)
from fociscope.calibration._planes import target_planes
from fociscope.calibration._psf_fit import (
    MEASURED,
    PsfFitModel,
    check_bounds,
    check_depths,
    distances,
    start_model,
)
from fociscope.calibration._rendering import RenderGrid, render_oversampled
from fociscope.calibration._result import Calibration
from fociscope.calibration._separable import ROUNDS, Fit, fit
from fociscope.calibration._target_model import TARGET_WINDOW_ENERGY, TargetModel, sample_rendering
from fociscope.errors import CaptureError, FociscopeWarning
from fociscope.files.captures.calibration_stack import MeasuredStack
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import Psf
from fociscope.imager.registration import Similarity
from fociscope.typing import Float64Array, Progress

__all__ = ["calibrate_target"]


START_ROTATIONS_DEG = (0.0, -2.0, 2.0, -4.0, 4.0)
POOREST_CORRELATION = 0.3


def calibrate_target(
    stack: MeasuredStack,
    target: npt.ArrayLike,
    *,
    imager: Imager | None = None,
    model: str = "angle-selective",
    saturation_counts: float | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Calibrate from a target that is known, at known depths.

    Args:
        stack: Captures of one or two sensors, (sensor, depth, y, x) counts.
        target: (y, x) light emitted at each point. Points lie one pixel pitch apart, the middle of
            the target roughly above the middle of the frame.
        imager: Imager that gives the pixel pitch, the gap, start values and all that is not fitted;
            the reference imager by default.
        model: Kind of PSF to fit, one of `fociscope.imager.psf.PSF_KINDS` that declares fit
            parameters.
        saturation_counts: Counts at which a pixel is saturated; by default judged from the stack.
        progress: Called with the steps done and their number.

    Returns:
        The imager with its uncertainties.

    Raises:
        CaptureError: If the target is no image of light or not found in the captures, the captures
            are saturated, or the model is "measured".
        ImagerError: If the depths are too few or outside the imager, or the model is unknown.

    Examples:
        >>> import numpy as np
        >>> from fociscope.calibration import calibrate_target, simulated_stack
        >>> from fociscope.imager import Imager
        >>> imager = Imager(sensors=1, frame_px=(21, 21))
        >>> points_px = np.array([[-6, -4], [5, 6], [3, -7], [-4, 6]])
        >>> target = np.zeros((21, 21))
        >>> target[tuple((points_px + 10).T)] = 1.0
        >>> stack = simulated_stack(imager, points_px * 55.0, [450.0, 600.0, 750.0])
        >>> calibration = calibrate_target(stack, target, imager=imager)
        >>> abs(calibration.estimates["half_angle_deg"].value - 18.0) < 1.0
        True
    """
    start = imager or Imager.reference()
    sensors = len(stack.counts)
    emitted = _checked(target)
    if model == MEASURED:
        raise CaptureError(
            "a target gives a parametric PSF, not a measured one; fit another PSF model, such as "
            "angle-selective or gaussian, or measure beads",
            fields=("model",),
            value=model,
        )
    check_depths(stack.depth_um, model, start, sensors)
    for sensor in range(sensors):
        _check_saturation(stack, sensor, saturation_counts)
    gap_um = max(start.gap_um, float(stack.depth_um.max()))
    start = start.with_(sensors=sensors, frame_px=stack.counts.shape[2:], gap_um=gap_um)
    problem, found = _fit(stack, emitted, start, start_model(start, model), progress)
    check_bounds(problem.fit_model, found.parameters, start.square_pitch_um)
    notes = []
    if found.reduced_chi_square > POOR_CHI_SQUARE:
        notes.append(
            f"residuals are {found.reduced_chi_square**0.5:.1f} times the noise: wrong depths, "
            "another target, or another PSF; look at the figure"
        )
    calibration = _result(stack, start, problem, found, notes)
    for note in calibration.notes:
        warnings.warn(note, FociscopeWarning, stacklevel=2)
    return calibration


def _checked(target: npt.ArrayLike) -> Float64Array:
    emitted = np.asarray(target, dtype=np.float64)
    if emitted.ndim != 2 or not np.isfinite(emitted).all():
        raise CaptureError(
            f"the target has the shape {emitted.shape}, expected one finite image (y, x)"
        )
    if emitted.min() < 0 or np.ptp(emitted) == 0:
        raise CaptureError(
            f"the target's light goes from {emitted.min():g} to {emitted.max():g}, expected a "
            "picture with dark and bright points, nowhere negative"
        )
    return emitted


def _check_saturation(stack: MeasuredStack, sensor: int, saturation_counts: float | None) -> None:
    counts = stack.counts[sensor]
    for plane, full in enumerate(saturated(counts, saturation_counts)):
        if full.any():
            y, x = (int(n) for n in np.argwhere(full)[0])
            raise CaptureError(
                f"sensor {'AB'[sensor]}: plane {plane + 1} ({stack.depth_um[plane]:g} µm) is "
                f"saturated: {int(full.sum())} pixel(s) stand at {counts[plane].max():g}, the "
                f"first at (y {y}, x {x}); expose less, or leave this plane out"
            )


def _fit(
    stack: MeasuredStack,
    target: Float64Array,
    imager: Imager,
    fit_model: PsfFitModel,
    progress: Progress | None,
) -> tuple[TargetModel, Fit]:
    """Place the target roughly, then fit; once more from there, on the grid of its true scale."""
    pitch = imager.square_pitch_um
    distances_um = distances(stack.depth_um, imager.gap_um, len(stack.counts))
    placed = [
        _place(planes, target, distance, fit_model.psf, pitch, sensor)
        for sensor, (planes, distance) in enumerate(zip(stack.counts, distances_um, strict=True))
    ]
    for last in (False, True):
        problem = TargetModel(
            target,
            list(stack.counts),
            distances_um,
            fit_model=fit_model,
            pixel_pitch_um=pitch,
            placed=placed,
        )
        found = fit(problem, rounds=ROUNDS if last else 1, roughly=not last, progress=progress)
        fit_model = fit_model.moved(found.parameters)
        placed = [problem.similarity(found.parameters, sensor) for sensor in range(len(placed))]
    return problem, found


def _place(
    planes: Float64Array,
    target: Float64Array,
    distance_um: Float64Array,
    psf: Psf,
    pitch_um: float,
    sensor: int,
) -> Similarity:
    """Return roughly where a target lies: whole pixels and a few rotations, by correlation.

    Raises:
        CaptureError: nowhere.
    """
    nearest = int(distance_um.argmin())
    image = planes[nearest] - np.median(planes[nearest])
    image = np.clip(image, None, np.median(image) + 50 * robust_std(image) + 1e-30)
    frame = (image.shape[0], image.shape[1])
    at_um = float(distance_um[nearest])
    render_grid = RenderGrid.from_psf(
        psf, at_um, pitch_um, energy=TARGET_WINDOW_ENERGY, most_px=max(frame)
    )
    picture = render_oversampled(target, psf, at_um, pitch_um=pitch_um, render_grid=render_grid)
    best, best_score = Similarity(), -1.0
    size = [fft.next_fast_len(2 * side, real=True) for side in frame]
    seen = fft.rfft2(image, s=size)
    for rotation_deg in START_ROTATIONS_DEG:
        drawn = sample_rendering(
            picture,
            render_grid,
            Similarity(rotation_deg=rotation_deg),
            frame=frame,
            target_shape=target.shape,
            pitch_um=pitch_um,
        )
        drawn = drawn - np.median(drawn)
        match = fft.irfft2(seen * fft.rfft2(drawn, s=size).conj(), s=size)
        norm = float(np.linalg.norm(drawn) * np.linalg.norm(image)) or 1.0
        y, x = (int(n) for n in np.unravel_index(match.argmax(), match.shape))
        score = float(match.max()) / norm
        if score > best_score:
            shift = [n - side if n > side // 2 else n for n, side in zip((y, x), size, strict=True)]
            best_score = score
            best = Similarity((shift[0] * pitch_um, shift[1] * pitch_um), rotation_deg)
    if best_score < POOREST_CORRELATION:
        raise CaptureError(
            f"sensor {'AB'[sensor]}: the target is not to be found in the sharpest plane "
            f"({at_um:g} µm): correlation {best_score:.2f}, expected at least "
            f"{POOREST_CORRELATION}; is it the right target, not mirrored, at the sensor's pitch?"
        )
    return best


def _result(
    stack: MeasuredStack, start: Imager, model: TargetModel, found: Fit, notes: list[str]
) -> Calibration:
    placement = registration_estimates(_with_covariance(model, found, 0))
    registration = shared_blocks = None
    if len(stack.counts) == 2:
        registration = _between(model, found)
        planes = np.arange(len(stack.depth_um))
        shared_blocks = planes, planes + len(planes)
    return assemble_calibration(
        start,
        model,
        found,
        source="target",
        planes=target_planes(model, found, stack.depth_um),
        notes=notes,
        registration=registration,
        shared_blocks=shared_blocks,
        placement={f"target_{name}": value for name, value in placement.items()},
    )


def _with_covariance(model: TargetModel, found: Fit, sensor: int) -> Similarity:
    """Return what takes the target to a sensor, with its covariance in um, degrees and 1."""
    at = model.similarity(found.parameters, sensor)
    which = model.placement(sensor)
    unit = np.array([model.pixel_pitch_um, model.pixel_pitch_um, 1, 1])
    covariance = found.covariance[which, which] * np.outer(unit, unit)
    return replace(at, covariance=covariance)


def _between(model: TargetModel, found: Fit) -> Similarity:
    """Return the registration of B to A with the covariance that both placings leave."""

    def between(parameters: Float64Array) -> Similarity:
        on_a, on_b = (model.similarity(parameters, sensor) for sensor in (0, 1))
        return on_b.after(on_a.inverse())

    def values(parameters: Float64Array) -> Float64Array:
        s = between(parameters)
        return np.array([*s.shift_um, s.rotation_deg, s.scale])

    at = values(found.parameters)
    toward = np.zeros((4, found.parameters.size))
    for n, step in enumerate(model.step):
        moved = found.parameters.copy()
        moved[n] += step
        toward[:, n] = (values(moved) - at) / step
    covariance = toward @ found.covariance @ toward.T
    return replace(between(found.parameters), covariance=covariance)
