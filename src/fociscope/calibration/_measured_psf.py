"""A PSF as it was measured: the fitted one, corrected by what the beads show beside it.

Near the sensor a bead's light is narrower than a pixel, and no interpolation between pixels could
move one bead onto another. The fitted PSF can, exactly; only what it leaves over, small and wide,
is averaged over beads and smoothed.
"""

from __future__ import annotations

import math

import numpy as np

from fociscope.calibration._bead_model import BeadModel
from fociscope.calibration._separable import Fit
from fociscope.imager.psf import KERNEL_ENERGY, MeasuredPsf, Psf
from fociscope.typing import Float64Array, IndexArray

__all__ = ["measured_psf"]


LARGEST_MEASURED_RADIUS_PX = 64
RADIAL_BANDWIDTH, RADIAL_BANDWIDTH_PX = 0.1, 0.2
"""Of smoothing, in widths of the light, and in pixels at least: a ring holds many pixels."""
BANDWIDTH, BANDWIDTH_PX = 0.15, 0.3
"""The same where each direction stands for itself."""
REACH = 4.0
"""How far corrections go, in widths of the light."""
GRID = np.linspace(0, REACH, 81)
SAME_UM = 1.0
"""Planes that lie nearer are one."""
EVEN_PLANES = 21
"""Kernels are written at so many even distances as well: fewer would show in between."""


def measured_psf(
    model: BeadModel, found: Fit, *, pixel_pitch_um: float, gap_um: float, radial: bool
) -> MeasuredPsf:
    """Return the kernels of all distances, from 0 to the gap.

    Beyond the planes measured, and beyond their windows, the fitted PSF stands; radial corrections
    go on between and beyond planes.

    Args:
        model: of the beads.
        found: its fit.
        pixel_pitch_um: of the kernels.
        gap_um: the greatest distance that is asked for.
        radial: average over all directions, and along distance; else only over beads.
    """
    psf = model.fit_model.at(found.parameters)
    radius_px = min(
        math.ceil(psf.encircled_radius_um(gap_um, KERNEL_ENERGY) / pixel_pitch_um + 0.5),
        LARGEST_MEASURED_RADIUS_PX,
    )
    groups = _groups(model, found)
    distance_um = np.array([distance for distance, _ in groups])
    if radial:
        correction = [_radial(model, found, psf, z, blocks) for z, blocks in groups]
        profiles = _smooth(np.stack(correction))
        measured_um, distance_um = distance_um, _filled(distance_um, gap_um)
        stack = []
        for z in distance_um:
            profile = [np.interp(z, measured_um, column) for column in profiles.T]
            stack.append(
                _corrected_radially(psf, float(z), np.array(profile), pixel_pitch_um, radius_px)
            )
    else:
        stack = [
            _corrected(model, found, psf, z, blocks, pixel_pitch_um, radius_px)
            for z, blocks in groups
        ]
        for end, z in ((0, 0.0), (-1, gap_um)):
            if abs(distance_um[end] - z) > SAME_UM:
                at = 0 if end == 0 else len(stack)
                stack.insert(at, _kernel(psf, z, pixel_pitch_um, radius_px))
                distance_um = np.insert(distance_um, at, z)
    return MeasuredPsf.from_stack(np.stack(stack), distance_um, pixel_pitch_um)


def _groups(model: BeadModel, found: Fit) -> list[tuple[float, IndexArray]]:
    """Return each distance with the blocks that were seen from it, nearest first."""
    seen_from = [model.distance_um(found.parameters, n) for n in range(len(model.distances_um))]
    every = np.concatenate(seen_from)[model.plane]
    order = np.argsort(every, kind="stable")
    starts = np.flatnonzero(np.diff(every[order], prepend=-np.inf) > SAME_UM)
    return [
        (float(every[blocks].mean()), blocks)
        for blocks in np.split(order, starts[1:])
        if len(blocks)
    ]


def _filled(distance_um: Float64Array, gap_um: float) -> Float64Array:
    """Return the measured distances with others between and beyond them, from 0 to the gap."""
    even = np.linspace(0.0, gap_um, EVEN_PLANES)
    apart = np.abs(even[:, None] - distance_um[None]).min(axis=1)
    return np.sort(np.concatenate([distance_um, even[apart > SAME_UM]]))


def _kernel(psf: Psf, distance_um: float, pitch_um: float, radius_px: int) -> Float64Array:
    return np.asarray(psf.kernel(np.float64(distance_um), pitch_um, radius_px=radius_px))


def _width_um(psf: Psf, distance_um: float, pitch_um: float) -> float:
    """Return the standard deviation of the light along x on pixels."""
    return math.sqrt(psf.variance_um2(distance_um) + pitch_um**2 / 12)


def _shares(
    model: BeadModel, found: Fit, blocks: IndexArray
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return (point, 2) places in um, (point,) what the fit leaves over, and its weight."""
    axis = np.arange(-model.radius_px, model.radius_px + 1)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    offset_px = found.parameters[model.shared :].reshape(-1, 2)[model.bead[blocks]]
    place_px = np.stack([y.ravel(), x.ravel()], axis=-1)[None] - offset_px[:, None]
    pitch_um = np.array(model.pitches_um)[model.sensor[blocks]][:, None, None]
    bright = np.maximum(found.coefficients[blocks, 0], 1e-30)[:, None]
    left = found.residual[blocks] / bright
    weight = np.where(found.used[blocks], (bright / found.std[blocks]) ** 2, 0.0)
    return (place_px * pitch_um).reshape(-1, 2), left.ravel(), weight.ravel()


def _radial(
    model: BeadModel, found: Fit, psf: Psf, distance_um: float, blocks: IndexArray
) -> Float64Array:
    """Return on `GRID` what the fit leaves over, as a share of the kernel's peak."""
    pitch_um = model.pitches_um[0]
    width_um = _width_um(psf, distance_um, pitch_um)
    place_um, left, weight = _shares(model, found, blocks)
    radius = np.hypot(*place_um.T) / width_um
    bandwidth = max(RADIAL_BANDWIDTH, RADIAL_BANDWIDTH_PX * pitch_um / width_um)
    near = np.exp(-0.5 * ((GRID[:, None] - radius[None]) / bandwidth) ** 2) * weight
    peak = float(_kernel(psf, distance_um, pitch_um, 0)[0, 0])
    total = near.sum(axis=1)
    return np.where(total > 0, near @ left / np.where(total > 0, total, 1), 0.0) / peak


def _smooth(profiles: Float64Array) -> Float64Array:
    """Return (distance, grid) profiles averaged with their neighbours in distance."""
    padded = np.concatenate([profiles[:1], profiles, profiles[-1:]])
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4)


def _corrected_radially(
    psf: Psf, distance_um: float, profile: Float64Array, pitch_um: float, radius_px: int
) -> Float64Array:
    kernel = _kernel(psf, distance_um, pitch_um, radius_px)
    axis = np.arange(-radius_px, radius_px + 1) * pitch_um
    radius = np.hypot(axis[:, None], axis[None]) / _width_um(psf, distance_um, pitch_um)
    added = np.interp(radius, GRID, profile * _taper(GRID)) * kernel.max()
    return _of_equal_light(kernel + np.where(radius < REACH, added, 0.0), kernel)


def _corrected(
    model: BeadModel,
    found: Fit,
    psf: Psf,
    distance_um: float,
    blocks: IndexArray,
    pitch_um: float,
    radius_px: int,
) -> Float64Array:
    """Return the kernel with what the fit leaves over in each direction, averaged over beads."""
    kernel = _kernel(psf, distance_um, pitch_um, radius_px)
    place_um, left, weight = _shares(model, found, blocks)
    axis = np.arange(-radius_px, radius_px + 1) * pitch_um
    bandwidth = max(BANDWIDTH_PX * pitch_um, BANDWIDTH * _width_um(psf, distance_um, pitch_um))
    # A Gaussian of both coordinates is the product of one for each.
    near_y, near_x = (
        np.exp(-0.5 * ((axis[:, None] - place_um[None, :, n]) / bandwidth) ** 2) for n in (0, 1)
    )
    total = (near_y * weight) @ near_x.T
    average = (near_y * (weight * left)) @ near_x.T / np.where(total > 1e-12, total, np.inf)
    radius = np.hypot(axis[:, None], axis[None]) / _width_um(psf, distance_um, pitch_um)
    return _of_equal_light(kernel + average * _taper(radius), kernel)


def _taper(radius: Float64Array) -> Float64Array:
    """Return 1 within three quarters of the reach, and fall to 0 at its end."""
    return np.asarray(np.clip((REACH - radius) / (REACH / 4), 0, 1))


def _of_equal_light(kernel: Float64Array, fitted: Float64Array) -> Float64Array:
    """Return a kernel without negative light, and with as much light as the fitted one."""
    kernel = np.maximum(kernel, 0.0)
    return np.asarray(kernel * (fitted.sum() / kernel.sum()))
