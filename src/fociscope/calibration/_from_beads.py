"""A stack of beads at known depths -> an imager: PSF, gains, background and registration."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from fociscope.calibration._bead_model import BeadModel
from fociscope.calibration._beads import (
    Bead,
    Excluded,
    Spots,
    check_saturation,
    find_beads,
    window_px,
)
from fociscope.calibration._measured_psf import measured_psf
from fociscope.calibration._outcome import (
    BeadFit,
    assemble_calibration,
    bead_chi_square,
    beads_of,
    notes_of,
    same_light,
)
from fociscope.calibration._planes import bead_planes
from fociscope.calibration._psf_fit import (
    MEASURED,
    Estimate,
    PsfFitModel,
    check_bounds,
    check_depths,
    distances,
    start_model,
)
from fociscope.calibration._result import Calibration
from fociscope.calibration._separable import ROUNDS, Fit, fit
from fociscope.errors import FociscopeWarning
from fociscope.files.captures.calibration_stack import MeasuredStack
from fociscope.imager.geometry import Imager
from fociscope.imager.registration import Similarity, fit_similarity, match_points
from fociscope.typing import Progress

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
    model: str = "angle-selective",
    saturation_counts: float | None = None,
    fit_depth_offset: bool = False,
    radial: bool = True,
    progress: Progress | None = None,
) -> Calibration:
    """Calibrate from point emitters at known depths.

    Args:
        stack: Captures of one or two sensors, (sensor, depth, y, x) counts.
        imager: Imager that gives the pixel pitch, the gap, start values and all that is not fitted;
            the reference imager by default.
        model: Kind of PSF to fit, one of `fociscope.imager.psf.PSF_KINDS` that declares fit
            parameters; "measured" for the angle-selective one, corrected by what is measured.
        saturation_counts: Counts at which a pixel is saturated; by default judged from the stack,
            see `noise.saturated`.
        fit_depth_offset: Whether one offset of all depths is fitted as well.
        radial: Whether a measured PSF is averaged over all directions.
        progress: Called with the steps done and their number.

    Returns:
        The imager with its uncertainties.

    Raises:
        CaptureError: If there is no bead, none apart from others, or beads are saturated.
        ImagerError: If the depths are too few or outside the imager, or the model is unknown.

    Examples:
        >>> from fociscope.calibration import calibrate_beads, simulated_stack
        >>> from fociscope.imager import Imager
        >>> imager = Imager(sensors=1, frame_px=(21, 21))
        >>> stack = simulated_stack(imager, [[10.0, -15.0]], [450.0, 600.0, 750.0])
        >>> calibration = calibrate_beads(stack, imager=imager)
        >>> abs(calibration.estimates["half_angle_deg"].value - 18.0) < 1.0
        True
    """
    start = imager or Imager.reference()
    sensors = len(stack.counts)
    check_depths(stack.depth_um, model, start, sensors)
    gap_um = max(start.gap_um, float(stack.depth_um.max()))
    start = start.with_(sensors=sensors, frame_px=stack.counts.shape[2:], gap_um=gap_um)
    search = _Search(
        stack,
        start,
        start_model(start, model),
        saturation_counts=saturation_counts,
        free_depth=fit_depth_offset,
        progress=progress,
    )
    done = search.run()
    check_bounds(done.model.fit_model, done.found.parameters, start.square_pitch_um)
    calibration = _calibration(stack, start, done, notes_of(done, sensors, model))
    if model == MEASURED:
        psf = measured_psf(
            done.model,
            done.found,
            pixel_pitch_um=start.square_pitch_um,
            gap_um=gap_um,
            radial=radial,
        )
        calibration = replace(calibration, imager=calibration.imager.with_(psf=psf))
    for note in calibration.notes:
        warnings.warn(note, FociscopeWarning, stacklevel=2)
    return calibration


def _calibration(
    stack: MeasuredStack, start: Imager, done: BeadFit, notes: list[str]
) -> Calibration:
    model, found = done.model, done.found
    depth_offset = None
    if model.free_depth:
        at = model.shared - 1
        std = float(found.covariance[at, at] ** 0.5)
        depth_offset = Estimate(float(found.parameters[at]), std, "um")
    return assemble_calibration(
        start,
        model,
        found,
        source="beads",
        planes=bead_planes(model, found, stack.depth_um),
        notes=notes,
        registration=done.registration,
        shared_blocks=same_light(model, done.pairs) if done.pairs else None,
        depth_offset=depth_offset,
        beads=beads_of(model, found),
        excluded=tuple(one for spots in done.spots for one in spots.excluded),
    )


class _Search:
    """Fits again where windows, the beads or the size of sensor B's pixels turn out otherwise."""

    def __init__(
        self,
        stack: MeasuredStack,
        imager: Imager,
        fit_model: PsfFitModel,
        *,
        saturation_counts: float | None,
        free_depth: bool,
        progress: Progress | None,
    ) -> None:
        self.stack, self.fit_model = stack, fit_model
        self.pitch_um = imager.square_pitch_um
        self.saturation_counts, self.free_depth = saturation_counts, free_depth
        self.progress = progress
        self.distances_um = distances(stack.depth_um, imager.gap_um, len(stack.counts))
        self.widest_px = (min(imager.frame_px) - 1) // 2
        self.radius_px, self.scale, self.offset_um = 0, 1.0, 0.0
        self.spots: list[Spots] = []
        self.places: dict[tuple[int, Bead], tuple[float, float]] = {}

    def run(self) -> BeadFit:
        """Fit roughly until all is settled, then well, without spots that turn out no points."""
        self._settle()
        for _ in range(MOST_PASSES):
            model, found = self._fit(roughly=False)
            worse = _not_points(model, found)
            if not worse:
                break
            self.spots = [_without(spots, worse, sensor) for sensor, spots in enumerate(self.spots)]
        return BeadFit(model, found, self.spots, *_registration(model, found, self.pitch_um))

    def _settle(self) -> None:
        """Fit roughly until windows, neighbours' places and the size of B's pixels are known."""
        farthest = np.concatenate(self.distances_um)
        moved = unplaced = True
        for number in range(MOST_PASSES):
            asked_px = min(window_px(self.fit_model.psf, farthest, self.pitch_um), self.widest_px)
            settled = abs(asked_px - self.radius_px) <= WINDOW_CHANGE * self.radius_px
            if settled and number > 0 and not moved and not unplaced:
                break
            if not settled:
                self.radius_px = asked_px
                self.spots = self._find()
            unplaced = self._has_unplaced_neighbours()
            model, found = self._fit(roughly=True)
            self.fit_model = self.fit_model.moved(found.parameters)
            if self.free_depth:
                self.offset_um = float(found.parameters[model.shared - 1])
            places = model.positions_px(found.parameters)
            for one, place in zip(model.seen_beads, places, strict=True):
                self.places[one.sensor, one.bead] = (float(place[0]), float(place[1]))
            registration, _ = _registration(model, found, self.pitch_um)
            scale = _scale(registration)
            moved = abs(scale - self.scale) > LARGE_SCALE_CHANGE
            self.scale = scale

    def _fit(self, *, roughly: bool) -> tuple[BeadModel, Fit]:
        pitches_um = (self.pitch_um, self.pitch_um / self.scale)
        model = BeadModel(
            list(self.stack.counts),
            self.distances_um,
            self.spots,
            fit_model=self.fit_model,
            pitches_um=pitches_um[: len(self.stack.counts)],
            radius_px=self.radius_px,
            free_depth=self.free_depth,
            depth_offset_um=self.offset_um,
            places=self.places,
        )
        rounds = 1 if roughly else ROUNDS
        return model, fit(model, rounds=rounds, roughly=roughly, progress=self.progress)

    def _has_unplaced_neighbours(self) -> bool:
        """Return whether a bead sends light into another's window from a place not fitted yet."""
        return any(
            (sensor, other) not in self.places
            for sensor, spots in enumerate(self.spots)
            for bead in spots.beads
            for other in spots.neighbours(bead, 2 * self.radius_px)
            if other in spots.beads
        )

    def _find(self) -> list[Spots]:
        """Return each sensor's spots, none of them saturated."""
        every = []
        for sensor, (planes, distance) in enumerate(
            zip(self.stack.counts, self.distances_um, strict=True)
        ):
            spots = find_beads(
                planes,
                distance,
                psf=self.fit_model.psf,
                pixel_pitch_um=self.pitch_um,
                radius_px=self.radius_px,
                sensor=sensor,
            )
            check_saturation(
                planes,
                self.stack.depth_um,
                spots,
                sensor=sensor,
                saturation_counts=self.saturation_counts,
            )
            every.append(spots)
        return every


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
