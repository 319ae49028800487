"""How well each plane fits, for the figure and the summary."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from fociscope.calibration._bead_model import BeadModel
from fociscope.calibration._psf_fit import Estimate
from fociscope.calibration._result import PlaneFit
from fociscope.calibration._separable import Fit, SeparableModel
from fociscope.calibration._target_model import TargetModel
from fociscope.typing import Float64Array, IndexArray

__all__ = ["bead_planes", "target_planes"]


STEP_UM = 2.0


class _Movable(SeparableModel, Protocol):
    def columns_at(self, parameters: Float64Array, farther_um: float = 0.0) -> Float64Array:
        """Return the columns with all emitters moved away from their sensors."""


def bead_planes(model: BeadModel, found: Fit, depth_um: Float64Array) -> tuple[PlaneFit, ...]:
    """Return each plane beside the fit: its brightest bead, and the profile of all of them."""
    shift = _apparent_shift(model, found)
    columns = model.columns(found.parameters)
    axis = np.arange(-model.radius_px, model.radius_px + 1)
    offset_px = found.parameters[model.shared :].reshape(-1, 2)
    planes = []
    for number in np.unique(model.plane):
        blocks = np.flatnonzero(model.plane == number)
        sensor, at = divmod(int(number), len(depth_um))
        seen = found.used[blocks]
        dy = axis[None, :, None] - offset_px[model.bead[blocks], 0][:, None, None]
        dx = axis[None, None, :] - offset_px[model.bead[blocks], 1][:, None, None]
        radius_um = (np.hypot(dy, dx) * model.pitches_um[sensor]).reshape(len(blocks), -1)
        bright = np.where(found.coefficients[blocks, 0] > 0, found.coefficients[blocks, 0], np.inf)
        share = (found.light + found.residual)[blocks] / bright[:, None]
        planes.append(
            PlaneFit(
                sensor=sensor,
                depth_um=float(depth_um[at]),
                profile=np.stack([share[seen], columns[blocks, 0][seen]]),
                radius_um=radius_um[seen],
                **_common(model, found, blocks, at, sensor, shift[number], model.shape),
            )
        )
    return tuple(planes)


def target_planes(model: TargetModel, found: Fit, depth_um: Float64Array) -> tuple[PlaneFit, ...]:
    """Return each plane beside the fit."""
    shift = _apparent_shift(model, found)
    planes = []
    for number in model.plane:
        sensor, at = divmod(int(number), len(depth_um))
        block = np.array([number])
        common = _common(model, found, block, at, sensor, shift[number], model.shape)
        planes.append(PlaneFit(sensor=sensor, depth_um=float(depth_um[at]), **common))
    return tuple(planes)


def _common(
    model: BeadModel | TargetModel,
    found: Fit,
    blocks: IndexArray,
    at: int,
    sensor: int,
    shift: Estimate,
    shape: tuple[int, int],
) -> dict[str, Any]:
    """Return the fields that beads and targets have in common."""
    if isinstance(model, BeadModel):
        distance_um = float(model.distance_um(found.parameters, sensor)[at])
    else:
        distance_um = float(model.distances_um[sensor][at])
    brightest = blocks[int(found.light[blocks].max(axis=1).argmax())]
    peak = int(found.light[brightest].argmax())
    ratio = found.light[brightest, peak] / found.std[brightest, peak]
    standardised = np.where(found.used[blocks], found.residual[blocks] / found.std[blocks], 0.0)
    count = np.sqrt(np.maximum(found.used[blocks].sum(axis=0), 1))
    return {
        "distance_um": distance_um,
        "apparent_um": Estimate(distance_um + shift.value, shift.std, "um"),
        "peak_snr_db": 20 * math.log10(max(float(ratio), 1e-3)),
        "measured": (found.light + found.residual)[brightest].reshape(shape),
        "fitted": found.light[brightest].reshape(shape),
        "residual_std": (standardised.sum(axis=0) / count).reshape(shape),
    }


def _apparent_shift(model: _Movable, found: Fit) -> list[Estimate]:
    """Return, of each plane, how much farther away it would fit best, all else held.

    One Gauss-Newton step in the distance, with brightness and background free.
    """
    here = model.columns_at(found.parameters)
    there = model.columns_at(found.parameters, STEP_UM)
    weight = found.used / found.std
    step = (there - here)[:, 0] / STEP_UM * found.coefficients[:, :1] * weight
    weighted = here * weight[:, None]
    normal = weighted @ weighted.swapaxes(1, 2)
    size = normal.diagonal(axis1=1, axis2=2)
    normal = normal + np.where(size > 0, 1e-12 * size, 1.0)[..., None] * np.eye(size.shape[1])
    explained = np.linalg.solve(normal, weighted @ step[..., None])
    step = step - (explained.swapaxes(1, 2) @ weighted)[:, 0]
    top = (step * found.residual * weight).sum(axis=1)
    bottom = (step**2).sum(axis=1)
    planes = int(model.plane.max()) + 1
    tops, bottoms = (np.bincount(model.plane, v, planes) for v in (top, bottom))
    bottoms = np.maximum(bottoms, 1e-30)
    return [
        Estimate(float(t / b), float(b**-0.5), "um") for t, b in zip(tops, bottoms, strict=True)
    ]
