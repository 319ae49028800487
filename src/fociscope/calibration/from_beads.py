"""A stack of beads at known depths -> an imager: PSF, gains, background and registration."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fociscope.calibration.bead_model import BeadModel
from fociscope.calibration.beads import (
    Bead,
    Excluded,
    Spots,
    check_saturation,
    find_beads,
    window_px,
)
from fociscope.calibration.measured_psf import measured_psf
from fociscope.calibration.outcome import BeadFit, bead_chi_square, calibration_of, notes_of
from fociscope.calibration.psf_fit import Model, PsfFitModel, check_depths, distances, start_model
from fociscope.calibration.result import Calibration
from fociscope.calibration.separable import ROUNDS, Fit, fit
from fociscope.errors import FociscopeWarning
from fociscope.files.captures.calibration_stack import MeasuredStack
from fociscope.imager.geometry import Imager
from fociscope.imager.registration import Similarity, fit_similarity, match_points
from fociscope.typing import Float64Array

__all__ = ["calibrate_beads"]


MATCH_PX = 2.0
"""How far a bead may lie on sensor B from where the others say, and still be the same."""
WINDOW_CHANGE = 0.15
"""Windows are cut anew where the fitted spread asks for a radius that differs by this share."""
SCALE_STD = 3.0
"""Sensor B's pixels count as of another size from so many standard deviations on."""
SEVERAL_CHI_SQUARE, SEVERAL_MISFIT = 1.3, 0.02
"""A bead that fits worse than the typical one by this factor in chi square, and whose residuals
beyond the noise are this share of its light and thrice the typical one's, is not one point."""
LARGE_SCALE_CHANGE = 1e-3
MOST_PASSES = 5


def calibrate_beads(
    stack: MeasuredStack,
    *,
    imager: Imager | None = None,
    model: Model = "angle-selective",
    saturation_counts: float | None = None,
    fit_depth_offset: bool = False,
    radial: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Calibrate from point emitters at known depths.

    Args:
        stack: of one or two sensors.
        imager: gives the pixel pitch, the gap, start values, and all that is not fitted; the
            reference imager without it.
        model: of the PSF; `measured` is the angle-selective one corrected by what is measured.
        saturation_counts: from where on a pixel counts as saturated; without it, see
            `saturation.saturated`.
        fit_depth_offset: fit one offset of all depths as well.
        radial: average a measured PSF over all directions.
        progress: called with the steps done and their number.

    Raises:
        CaptureError: no bead, no lone bead, or saturated beads.
        ImagerError: too few depths, or depths outside the imager.
    """
    start = imager or Imager.reference()
    sensors = len(stack.counts)
    check_depths(stack.depth_um, model, start, sensors)
    gap_um = max(start.gap_um, float(stack.depth_um.max()))
    start = start.with_(sensors=sensors, frame_px=stack.counts.shape[2:], gap_um=gap_um)
    done = _fit(stack, start, start_model(start, model), saturation_counts, fit_depth_offset,
                progress)  # fmt: skip
    notes = notes_of(done, sensors, model)
    calibration = calibration_of(stack, start, done, notes)
    if model == "measured":
        psf = measured_psf(
            done.model,
            done.found,
            pixel_pitch_um=start.pixel_pitch_um,
            gap_um=gap_um,
            radial=radial,
        )
        calibration = replace(calibration, imager=calibration.imager.with_(psf=psf))
    for note in notes:
        warnings.warn(note, FociscopeWarning, stacklevel=2)
    return replace(calibration, notes=tuple(notes))


def _fit(
    stack: MeasuredStack,
    imager: Imager,
    fit_model: PsfFitModel,
    saturation_counts: float | None,
    free_depth: bool,
    progress: Callable[[int, int], None] | None,
) -> BeadFit:
    """Fit, and fit again where windows, the beads or sensor B's pixels turn out otherwise."""
    sensors, pitch = len(stack.counts), imager.pixel_pitch_um
    distances_um = distances(stack.depth_um, imager.gap_um, sensors)
    farthest = np.concatenate(distances_um)
    widest_px = (min(imager.frame_px) - 1) // 2
    radius_px, scale, offset_um = 0, 1.0, 0.0
    moved = unplaced = True
    spots: list[Spots] = []
    places: dict[tuple[int, Bead], tuple[float, float]] = {}

    def one_pass(*, roughly: bool) -> tuple[BeadModel, Fit]:
        model = BeadModel(
            list(stack.counts),
            distances_um,
            spots,
            fit_model=fit_model,
            pitches_um=(pitch, pitch / scale)[:sensors],
            radius_px=radius_px,
            free_depth=free_depth,
            depth_offset_um=offset_um,
            places=places,
        )
        return model, fit(
            model, rounds=1 if roughly else ROUNDS, roughly=roughly, progress=progress
        )

    # Roughly first, until windows, neighbours' places and the size of B's pixels are known.
    for number in range(MOST_PASSES):
        asked_px = min(window_px(fit_model.psf, farthest, pitch), widest_px)
        settled = abs(asked_px - radius_px) <= WINDOW_CHANGE * radius_px
        if settled and number > 0 and not moved and not unplaced:
            break
        if not settled:
            radius_px = asked_px
            spots = _find(stack, distances_um, fit_model, pitch, radius_px, saturation_counts)
        unplaced = any(
            (sensor, other) not in places
            for sensor, found in enumerate(spots)
            for bead in found.beads
            for other in found.neighbours(bead, 2 * radius_px)
            if other in found.beads
        )
        model, done = one_pass(roughly=True)
        fit_model = fit_model.moved(*(float(v) for v in done.parameters[:2]))
        offset_um = float(done.parameters[2]) if free_depth else 0.0
        for one, place in zip(model.seen_beads, model.positions_px(done.parameters), strict=True):
            places[one.sensor, one.bead] = (float(place[0]), float(place[1]))
        registration, _ = _registration(model, done, pitch)
        moved = abs(_scale(registration) - scale) > LARGE_SCALE_CHANGE
        scale = _scale(registration)
    for _ in range(MOST_PASSES):
        model, done = one_pass(roughly=False)
        worse = _not_points(model, done)
        if not worse:
            break
        spots = [_without(found, worse, sensor) for sensor, found in enumerate(spots)]
    return BeadFit(model, done, spots, *_registration(model, done, pitch))


def _find(
    stack: MeasuredStack,
    distances_um: list[Float64Array],
    fit_model: PsfFitModel,
    pitch_um: float,
    radius_px: int,
    saturation_counts: float | None,
) -> list[Spots]:
    """Return each sensor's spots, none of them saturated."""
    spots = []
    for sensor, (planes, distance) in enumerate(zip(stack.counts, distances_um, strict=True)):
        found = find_beads(
            planes,
            distance,
            psf=fit_model.psf,
            pixel_pitch_um=pitch_um,
            radius_px=radius_px,
            sensor=sensor,
        )
        check_saturation(
            planes, stack.depth_um, found, sensor=sensor, saturation_counts=saturation_counts
        )
        spots.append(found)
    return spots


def _without(spots: Spots, dropped: list[Excluded], sensor: int) -> Spots:
    """Return the spots without those dropped for their residuals."""
    why = {(one.y_px, one.x_px): one for one in dropped if one.sensor == sensor}
    kept = [bead for bead in spots.beads if (bead.y_px, bead.x_px) not in why]
    gone = [why[b.y_px, b.x_px] for b in spots.beads if (b.y_px, b.x_px) in why]
    return replace(spots, beads=kept, excluded=[*spots.excluded, *gone])


def _not_points(model: BeadModel, found: Fit) -> list[Excluded]:
    """Return the beads whose residuals stand out: doublets, dirt; never the last of a sensor.

    What stands out is judged as a share of a bead's light: a PSF that is slightly wrong shows in
    the brightest beads most, and is not their fault.
    """
    chi_square = bead_chi_square(model, found)
    light = (np.where(found.used, found.light / found.std, 0.0) ** 2).sum(axis=1)
    count = found.used.sum(axis=1)
    powers, counts = (np.bincount(model.bead, v, len(chi_square)) for v in (light, count))
    excess = np.clip((chi_square - 1) * counts, 0, None)
    misfit = np.sqrt(excess / np.maximum(powers, 1e-30))
    suspect = (chi_square > SEVERAL_CHI_SQUARE * max(float(np.median(chi_square)), 1.0)) & (
        misfit > max(SEVERAL_MISFIT, 3 * float(np.median(misfit)))
    )
    left = np.bincount([one.sensor for one in model.seen_beads])
    gone = []
    for number in np.argsort(-misfit):
        one = model.seen_beads[number]
        if suspect[number] and left[one.sensor] > 1:
            left[one.sensor] -= 1
            why = (
                f"it differs from a point by {100 * misfit[number]:.0f} % of its light: several "
                "emitters in one spot, or dirt"
            )
            gone.append(Excluded(one.sensor, one.bead.y_px, one.bead.x_px, why))
    return gone


def _registration(
    model: BeadModel, found: Fit, pitch_um: float
) -> tuple[Similarity | None, list[tuple[int, int]]]:
    """Return where sensor A's beads appear on B, and the pairs of bead numbers that say so."""
    sensor = np.array([one.sensor for one in model.seen_beads])
    here, there = np.flatnonzero(sensor == 0), np.flatnonzero(sensor == 1)
    points_um = (model.positions_px(found.parameters) - (np.array(model.frame_px) - 1) / 2) * (
        pitch_um
    )
    variance = np.diag(found.covariance)[model.shared :].reshape(-1, 2) * pitch_um**2
    first, second = match_points(
        points_um[here], points_um[there], tolerance_um=MATCH_PX * pitch_um
    )
    pairs = [(int(here[i]), int(there[j])) for i, j in zip(first, second, strict=True)]
    if not pairs:
        return None, []
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    return fit_similarity(points_um[a], points_um[b], np.sqrt(variance[a] + variance[b])), pairs


def _scale(registration: Similarity | None) -> float:
    """Return sensor B's scale where it is known to differ from 1."""
    if registration is None or registration.covariance is None:
        return 1.0
    certain = SCALE_STD * registration.covariance[3, 3] ** 0.5
    return registration.scale if abs(registration.scale - 1) > certain else 1.0
