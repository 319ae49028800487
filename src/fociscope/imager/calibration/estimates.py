"""From a fit's parameters to the imager's fields: background, gains and registration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import ImagerError
from fociscope.imager.calibration.family import Estimate
from fociscope.imager.calibration.separable import Fit, SeparableModel
from fociscope.imager.calibration.similarity import Similarity
from fociscope.imager.geometry import Imager

__all__ = ["background", "gain", "registration", "registration_field", "with_black_level"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


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


def gain(found: Fit, model: SeparableModel, blocks_a: IntArray, blocks_b: IntArray) -> Estimate:
    """Return sensor B's response over sensor A's, from blocks that saw the same light.

    A line through the origin, with errors in both coordinates; its uncertainty is widened where the
    blocks disagree, and by what the uncertain PSF adds, which moves all brightnesses together.
    """

    def ratio(light: FloatArray) -> tuple[float, float]:
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
