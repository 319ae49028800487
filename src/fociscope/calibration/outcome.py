"""What a fit of beads amounts to: the imager, its uncertainties, and what a user should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fociscope.calibration import outcome as estimates
from fociscope.calibration.bead_model import BeadModel
from fociscope.calibration.beads import Spots
from fociscope.calibration.planes import bead_planes
from fociscope.calibration.psf_fit import Estimate, Model
from fociscope.calibration.result import Calibration
from fociscope.calibration.separable import Fit, SeparableModel
from fociscope.errors import ImagerError
from fociscope.files.captures.calibration_stack import MeasuredStack
from fociscope.imager.geometry import Imager
from fociscope.imager.registration import Similarity
from fociscope.typing import Float64Array, IndexArray

__all__ = [
    "BeadFit",
    "background",
    "bead_chi_square",
    "calibration_of",
    "gain",
    "notes_of",
    "registration",
    "registration_field",
    "with_black_level",
]


def background(model: SeparableModel, found: Fit) -> dict[str, Estimate]:
    """Return the level below the light of each sensor: the median of all blocks, in counts.

    Its uncertainty is that of one plane's background: their spread, where planes differ.
    """
    estimates = {}
    for sensor in np.unique(model.sensor):
        level = found.coefficients[model.sensor == sensor, 1]
        std = float(np.median(found.coefficient_std[model.sensor == sensor, 1]))
        middle = float(np.median(level))
        spread = 1.4826 * float(np.median(np.abs(level - middle)))
        estimates[f"background_{'ab'[sensor]}_counts"] = Estimate(
            middle, max(std, spread), "counts"
        )
    return estimates


def gain(found: Fit, model: SeparableModel, blocks_a: IndexArray, blocks_b: IndexArray) -> Estimate:
    """Return sensor B's response over sensor A's, from blocks that saw the same light.

    A line through the origin, with errors in both coordinates; its uncertainty is widened where the
    blocks disagree, and by what the uncertain PSF adds, which moves all brightnesses together.
    """

    def ratio(light: Float64Array) -> tuple[float, float]:
        a, b = light[blocks_a], light[blocks_b]
        variance_a = found.coefficient_std[blocks_a, 0] ** 2
        variance_b = found.coefficient_std[blocks_b, 0] ** 2
        slope = float(np.median(b / a))
        for _ in range(8):
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


def registration(found: Similarity) -> dict[str, Estimate]:
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


def registration_field(found: Similarity) -> dict[str, Any]:
    """Return the registration as an imager's file writes it."""
    return {
        "shift_um": found.shift_um,
        "rotation_deg": found.rotation_deg,
        "scale": found.scale,
    }


def with_black_level(imager: Imager, level: Estimate, notes: list[str]) -> Imager:
    """Return the imager with its camera's black level where the camera can have such a one."""
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


POOR_CHI_SQUARE = 1.5
LARGE_STD = {"half_angle_deg": 2.0, "spread": 0.04}


@dataclass(frozen=True)
class BeadFit:
    """One fit of all beads that are left."""

    model: BeadModel
    found: Fit
    spots: list[Spots]
    registration: Similarity | None
    pairs: list[tuple[int, int]]
    """Numbers of beads on A and on B that are the same."""


def bead_chi_square(model: BeadModel, found: Fit) -> Float64Array:
    """Return (bead,) the mean squared residual in units of the noise."""
    squared = np.where(found.used, found.residual / found.std, 0.0) ** 2
    beads = len(model.seen_beads)
    sums = np.bincount(model.bead, squared.sum(axis=1), beads)
    counts = np.bincount(model.bead, found.used.sum(axis=1), beads)
    return np.asarray(sums / np.maximum(counts, 1))


def notes_of(done: BeadFit, sensors: int, model: Model) -> list[str]:
    """Return what a user should know although the calibration is done."""
    excluded = [one for found in done.spots for one in found.excluded]
    notes = [
        f"sensor {'AB'[one.sensor]}: the bead at (y {one.y_px}, x {one.x_px}) is left out: "
        f"{one.why}"
        for one in excluded[:8]
    ]
    if len(excluded) > 8:
        notes.append(f"{len(excluded) - 8} more beads are left out; the summary names them")
    for sensor, spots in enumerate(done.spots):
        hot = int((~spots.sound).sum())
        if hot:
            notes.append(f"sensor {'AB'[sensor]}: {hot} hot pixel(s) are left out")
    # A measured PSF is there for light that no family fits.
    if done.found.reduced_chi_square > POOR_CHI_SQUARE and model != "measured":
        notes.append(
            f"residuals are {done.found.reduced_chi_square**0.5:.1f} times the noise: wrong "
            "depths, several emitters in a spot, or another PSF; look at the figure, and try "
            "--fit-depth-offset or another --model"
        )
    name, std = done.model.fit_model.spread_name, float(done.found.covariance[0, 0] ** 0.5)
    if std > LARGE_STD[name]:
        notes.append(f"{name} is known to +-{std:.2g} only; take brighter beads or more depths")
    if sensors == 2 and not done.pairs:
        notes.append("no bead of sensor A is seen by sensor B: gain and registration stay as given")
    elif sensors == 2 and len(done.pairs) == 1:
        notes.append("one bead on both sensors: the shift is known, rotation and scale are not")
    return notes


def calibration_of(
    stack: MeasuredStack, start: Imager, done: BeadFit, notes: list[str]
) -> Calibration:
    """Put the imager and its uncertainties together."""
    model, found = done.model, done.found
    values = model.fit_model.estimates(found.parameters[:2], found.covariance[:2, :2])
    if model.free_depth:
        std = float(found.covariance[2, 2] ** 0.5)
        values["depth_offset_um"] = Estimate(float(found.parameters[2]), std, "um")
    fitted = model.fit_model.at(*(float(v) for v in found.parameters[:2]))
    imager = start.with_(psf=fitted)
    values |= estimates.background(model, found)
    if done.registration is not None:
        values |= estimates.registration(done.registration)
        values["gain_b"] = estimates.gain(found, model, *_same_light(model, done.pairs))
        imager = imager.with_(
            registration=estimates.registration_field(done.registration),
            sensor_gains=(1.0, values["gain_b"].value),
        )
    imager = estimates.with_black_level(imager, values["background_a_counts"], notes)
    positions = model.positions_px(found.parameters)
    std_px = np.sqrt(np.diag(found.covariance)[model.shared :]).reshape(-1, 2)
    beads = tuple(
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
    return Calibration(
        imager=imager,
        source="beads",
        fitted=fitted,
        estimates=values,
        planes=bead_planes(model, found, stack.depth_um),
        beads=beads,
        excluded=tuple(one for spots in done.spots for one in spots.excluded),
        notes=(),
        reduced_chi_square=found.reduced_chi_square,
        outlier_share=1 - float(found.used.sum() / model.seen.sum()),
    )


def _same_light(model: BeadModel, pairs: list[tuple[int, int]]) -> tuple[IndexArray, IndexArray]:
    """Return the blocks of A and of B that show one bead in one plane."""
    planes = np.arange(len(model.distances_um[0]))
    a, b = (np.array(side) * len(planes) for side in zip(*pairs, strict=True))
    return (a[:, None] + planes).ravel(), (b[:, None] + planes).ravel()
