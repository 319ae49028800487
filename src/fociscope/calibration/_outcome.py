"""The outcome of a fit: the imager, its uncertainties, and what a user should know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from fociscope.calibration._bead_model import BeadModel
from fociscope.calibration._beads import Excluded, Spots
from fociscope.calibration._noise import MAD_TO_STD
from fociscope.calibration._psf_fit import MEASURED, Estimate, PsfFitModel
from fociscope.calibration._result import Calibration, PlaneFit
from fociscope.calibration._separable import Fit, SeparableModel
from fociscope.errors import ImagerError
from fociscope.imager.geometry import Imager
from fociscope.imager.registration import Similarity
from fociscope.typing import Float64Array, IndexArray

__all__ = [
    "POOR_CHI_SQUARE",
    "BeadFit",
    "FittedModel",
    "assemble_calibration",
    "bead_chi_square",
    "beads_of",
    "notes_of",
    "registration_estimates",
    "same_light",
    "with_black_level",
]

POOR_CHI_SQUARE = 1.5
"""Reduced chi square above which the user is told that the imager does not explain the pixels."""
LISTED_BEADS = 8
"""Beads that are left out and named in a note each."""
GAIN_ROUNDS = 8


class FittedModel(SeparableModel, Protocol):
    """Blocks of pixels that a PSF is fitted to."""

    fit_model: PsfFitModel


@dataclass(frozen=True)
class BeadFit:
    """One fit of all beads that are left.

    Attributes:
        model: Model of the beads.
        found: Its fit.
        spots: Spots of each sensor.
        registration: Where sensor A's beads appear on B; None if no bead is on both.
        pairs: Numbers of beads on A and on B that are the same.
    """

    model: BeadModel
    found: Fit
    spots: list[Spots]
    registration: Similarity | None
    pairs: list[tuple[int, int]]


def assemble_calibration(
    start: Imager,
    model: FittedModel,
    found: Fit,
    *,
    source: Literal["beads", "target"],
    planes: tuple[PlaneFit, ...],
    notes: Sequence[str],
    registration: Similarity | None = None,
    shared_blocks: tuple[IndexArray, IndexArray] | None = None,
    depth_offset: Estimate | None = None,
    placement: Mapping[str, Estimate] | None = None,
    beads: tuple[dict[str, Any], ...] = (),
    excluded: tuple[Excluded, ...] = (),
) -> Calibration:
    """Put the imager and its uncertainties together, from beads and from a target alike.

    Args:
        start: Imager that the search began with.
        model: Model that was fitted.
        found: Its fit.
        source: What was imaged.
        planes: How each plane fits.
        notes: What a user should know.
        registration: Where sensor A's frame appears on B; None if that is not known.
        shared_blocks: Blocks of sensors A and B that saw the same light; None as `registration`.
        depth_offset: Fitted offset of all depths.
        placement: Where a target lies on each sensor.
        beads: Place and quality of each bead.
        excluded: Spots that were not fitted.
    """
    fit_model = model.fit_model
    values = fit_model.estimates(found.parameters, found.covariance)
    if depth_offset is not None:
        values["depth_offset_um"] = depth_offset
    fitted = fit_model.at(found.parameters)
    changes: dict[str, Any] = {"psf": fitted}
    values |= _background(model, found) | dict(placement or {})
    if registration is not None and shared_blocks is not None:
        values |= registration_estimates(registration)
        values["gain_b"] = _gain(found, model, *shared_blocks)
        changes["registration"] = registration.fields()
        changes["sensor_gains"] = (1.0, values["gain_b"].value)
    every_note = list(notes)
    return Calibration(
        imager=with_black_level(start.with_(**changes), values["background_a_counts"], every_note),
        source=source,
        fitted=fitted,
        estimates=values,
        planes=planes,
        beads=beads,
        excluded=excluded,
        notes=tuple(every_note),
        reduced_chi_square=found.reduced_chi_square,
        outlier_share=1 - float(found.used.sum() / model.seen.sum()),
    )


def registration_estimates(found: Similarity) -> dict[str, Estimate]:
    """Return the fields of a registration with their uncertainties."""
    values = (*found.shift_um, found.rotation_deg, found.scale)
    covariance = np.full((4, 4), np.inf) if found.covariance is None else found.covariance
    names = ("shift_y_um", "shift_x_um", "rotation_deg", "scale")
    return {
        name: Estimate(float(value), float(std), unit)
        for name, value, std, unit in zip(
            names, values, np.sqrt(np.diag(covariance)), ("um", "um", "deg", "1"), strict=True
        )
    }


def bead_chi_square(model: BeadModel, found: Fit) -> Float64Array:
    """Return (bead,) the mean squared residual in units of the noise."""
    squared = np.where(found.used, found.residual / found.std, 0.0) ** 2
    beads = len(model.seen_beads)
    sums = np.bincount(model.bead, squared.sum(axis=1), beads)
    counts = np.bincount(model.bead, found.used.sum(axis=1), beads)
    return np.asarray(sums / np.maximum(counts, 1))


def beads_of(model: BeadModel, found: Fit) -> tuple[dict[str, Any], ...]:
    """Return the sensor, place in pixels, its uncertainty and the chi square of each bead."""
    positions = model.positions_px(found.parameters)
    std_px = np.sqrt(np.diag(found.covariance)[model.shared :]).reshape(-1, 2)
    return tuple(
        {
            "sensor": "AB"[one.sensor],
            "y_px": float(position[0]),
            "x_px": float(position[1]),
            "std_px": [float(v) for v in uncertain],
            "reduced_chi_square": float(chi_square),
        }
        for one, position, uncertain, chi_square in zip(
            model.seen_beads, positions, std_px, bead_chi_square(model, found), strict=True
        )
    )


def same_light(model: BeadModel, pairs: list[tuple[int, int]]) -> tuple[IndexArray, IndexArray]:
    """Return the blocks of A and of B that show one bead in one plane."""
    planes = np.arange(len(model.distances_um[0]))
    a, b = (np.array(side) * len(planes) for side in zip(*pairs, strict=True))
    return (a[:, None] + planes).ravel(), (b[:, None] + planes).ravel()


def notes_of(done: BeadFit, sensors: int, model: str) -> list[str]:
    """Return what a user should know although the calibration is done."""
    excluded = [one for found in done.spots for one in found.excluded]
    notes = [
        f"sensor {'AB'[one.sensor]}: the bead at (y {one.y_px}, x {one.x_px}) is left out: "
        f"{one.why}"
        for one in excluded[:LISTED_BEADS]
    ]
    if len(excluded) > LISTED_BEADS:
        more = len(excluded) - LISTED_BEADS
        notes.append(f"{more} more beads are left out; the summary names them")
    for sensor, spots in enumerate(done.spots):
        hot = int((~spots.sound).sum())
        if hot:
            notes.append(f"sensor {'AB'[sensor]}: {hot} hot pixel(s) are left out")
    # A measured PSF is there for light that no kind of PSF fits.
    if done.found.reduced_chi_square > POOR_CHI_SQUARE and model != MEASURED:
        notes.append(
            f"residuals are {done.found.reduced_chi_square**0.5:.1f} times the noise: wrong "
            "depths, several emitters in a spot, or another PSF; look at the figure, and fit the "
            "depth offset or another PSF model"
        )
    for parameter, std in done.model.fit_model.uncertain_parameters(done.found.covariance):
        notes.append(
            f"{parameter.name} is known to +-{std:.2g} only; take brighter beads or more depths"
        )
    if sensors == 2 and not done.pairs:
        notes.append("no bead of sensor A is seen by sensor B: gain and registration stay as given")
    elif sensors == 2 and len(done.pairs) == 1:
        notes.append("one bead on both sensors: the shift is known, rotation and scale are not")
    return notes


def _background(model: SeparableModel, found: Fit) -> dict[str, Estimate]:
    """Return the level below the light of each sensor: the median of all blocks, in counts.

    Its uncertainty is that of one plane's background: their spread, where planes differ.
    """
    estimates = {}
    for sensor in np.unique(model.sensor):
        level = found.coefficients[model.sensor == sensor, 1]
        std = float(np.median(found.coefficient_std[model.sensor == sensor, 1]))
        middle = float(np.median(level))
        spread = MAD_TO_STD * float(np.median(np.abs(level - middle)))
        estimates[f"background_{'ab'[sensor]}_counts"] = Estimate(
            middle, max(std, spread), "counts"
        )
    return estimates


def _gain(
    found: Fit, model: SeparableModel, blocks_a: IndexArray, blocks_b: IndexArray
) -> Estimate:
    """Return sensor B's response over sensor A's, from blocks that saw the same light.

    A line through the origin, with errors in both coordinates; its uncertainty is widened where the
    blocks disagree, and by what the uncertain PSF adds, which moves all brightnesses together.
    """

    def ratio(light: Float64Array) -> tuple[float, float]:
        a, b = light[blocks_a], light[blocks_b]
        variance_a = found.coefficient_std[blocks_a, 0] ** 2
        variance_b = found.coefficient_std[blocks_b, 0] ** 2
        slope = float(np.median(b / a))
        for _ in range(GAIN_ROUNDS):
            weight = 1 / (variance_b + slope**2 * variance_a)
            true_a = (a * variance_b + slope * b * variance_a) * weight
            slope = float((weight * true_a * b).sum() / (weight * true_a * a).sum())
        freedom = max(len(a) - 1, 1)
        disagree = max(1.0, float((weight * (b - slope * a) ** 2).sum()) / freedom)
        return slope, float(disagree / (weight * true_a**2).sum())

    light = found.coefficients[:, 0]
    value, variance = ratio(light)
    shared = [
        slot for slot in range(model.moved_by.shape[1]) if np.ptp(model.moved_by[:, slot]) == 0
    ]
    which = [int(model.moved_by[0, slot]) for slot in shared]
    toward = np.array(
        [
            (ratio(light + found.coefficient_slope[:, slot] * step)[0] - value) / step
            for slot, step in zip(shared, model.step[which], strict=True)
        ]
    )
    variance += float(toward @ found.covariance[np.ix_(which, which)] @ toward)
    return Estimate(value, variance**0.5, "1")


def with_black_level(imager: Imager, level: Estimate, notes: list[str]) -> Imager:
    """Return the imager with its camera's black level, if the camera can have such a one."""
    camera = imager.camera.model_dump()
    if level.value >= 0:
        try:
            return imager.with_(camera={**camera, "black_level_counts": level.value})
        except ImagerError:
            pass
    notes.append(
        f"the background of {level.value:.4g} counts is no black level that the camera can have; "
        "the imager keeps its own"
    )
    return imager
