"""Simulated calibrations: beads and targets as an imager would see them.

They show before an experiment how well beads of some number, brightness and depths would do, and
test the fits: emitters are drawn one by one, wherever they lie between pixels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from fociscope.calibration._psf_fit import distances
from fociscope.calibration._stage import BeadMotion, StageSweep
from fociscope.files.captures.calibration_stack import MeasuredStack
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import Psf
from fociscope.typing import Float64Array

__all__ = ["simulated_stack", "simulated_sweep"]


DRAWN_ENERGY = 0.9999


def simulated_stack(
    imager: Imager,
    points_um: npt.ArrayLike,
    depth_um: npt.ArrayLike,
    *,
    brightness: npt.ArrayLike = 1.0,
    peak_snr_db: float | None = 30.0,
    one_exposure: bool = False,
    seed: int = 0,
) -> MeasuredStack:
    """Return what an imager's sensors would measure of point emitters, in counts.

    Sensor B sees them where the imager's registration says, on pixels of its scale, and with its
    gain. Both sensors expose a plane for the same time.

    Args:
        imager: Imager with its frame, sensors, PSF, registration, gains and camera.
        points_um: (point, 2) places as (y, x) from the middle of sensor A's frame.
        depth_um: (depth,) distances from sensor A.
        brightness: (point,) relative brightness of the points.
        peak_snr_db: Peak SNR of the brightest pixel on either sensor; None for no noise.
        one_exposure: Whether all planes share one exposure, with that peak SNR in the brightest
            plane; else each plane reaches it.
        seed: Seed of the noise.

    Returns:
        A stack of (sensor, depth, y, x) counts.

    Examples:
        >>> from fociscope.calibration import simulated_stack
        >>> from fociscope.imager import Imager
        >>> stack = simulated_stack(Imager.reference(), [[10.0, -15.0]], [100.0, 300.0])
        >>> stack.counts.shape
        (2, 2, 51, 51)
    """
    depth = np.asarray(depth_um, dtype=np.float64)
    points = np.asarray(points_um, dtype=np.float64)
    bright = np.broadcast_to(np.asarray(brightness, dtype=np.float64), len(points))
    pitch = imager.square_pitch_um
    there = imager.registration
    light = []
    for sensor, distance in enumerate(distances(depth, imager.gap_um, imager.sensors)):
        seen = points if sensor == 0 else there.similarity.apply(points)
        own_pitch = pitch if sensor == 0 else pitch / there.scale
        planes = _drawn(imager.psf, seen / pitch, distance, bright, imager.frame_px, own_pitch)
        light.append(planes * imager.sensor_gains[sensor])
    every = torch.from_numpy(np.stack(light))
    camera = imager.camera
    peak = every.amax() if one_exposure else every.amax(dim=(0, -2, -1), keepdim=True)
    level = float(camera.peak_photons(30.0 if peak_snr_db is None else peak_snr_db))
    photons = every / peak * level
    if peak_snr_db is None:
        electrons = photons * camera.quantum_efficiency
        counts = electrons / camera.gain_e_per_count + camera.black_level_counts
    else:
        counts = camera.expose(photons, generator=torch.Generator().manual_seed(seed))
    return MeasuredStack(counts.double().numpy(), depth)


def simulated_sweep(
    imager: Imager,
    beads: npt.ArrayLike,
    depth_um: float,
    *,
    x_um: npt.ArrayLike,
    y_um: npt.ArrayLike = 0.0,
    motions: tuple[BeadMotion, ...] = ("moving",),
    gains: npt.ArrayLike = 1.0,
    seed: int | None = 0,
) -> StageSweep:
    """Return what an imager would count of beads that a stage moves.

    Args:
        imager: Imager of any pixels, with its PSF and camera.
        beads: (bead, 4) x and y from the middle of pixel (0, 0) in the first frame, depth from
            sensor A in um, and photons that each sends out in an exposure.
        depth_um: Depth that the stage says.
        x_um: (frame,) coordinate of the stage along x.
        y_um: (frame,) the same along y.
        motions: What each bead does, "fixed" or "moving".
        gains: (sensor, y, x) relative gain of each pixel.
        seed: Seed of the noise; None for no noise.

    Returns:
        The sweep, without a dark frame.

    Examples:
        >>> from fociscope.calibration import simulated_sweep
        >>> from fociscope.imager import Imager
        >>> chip = Imager.preset("acus")
        >>> simulated_sweep(chip, [[900.0, 30.0, 100.0, 1e8]], 90.0, x_um=[0.0, 10.0]).counts.shape
        (2, 1, 2, 128)
    """
    x = np.atleast_1d(np.asarray(x_um, dtype=np.float64))
    y = np.broadcast_to(np.asarray(y_um, dtype=np.float64), x.shape)
    moved = np.stack([x - x[0], y - y[0], 0 * x], axis=1)
    photons = np.zeros((len(x), imager.sensors, *imager.frame_px))
    for bead, motion in zip(np.asarray(beads, dtype=np.float64), motions, strict=True):
        places = bead[:3] + (moved if motion == "moving" else 0 * moved)
        photons += bead[3] * np.asarray(imager.pixel_response(places))
    light = torch.from_numpy(photons * np.asarray(gains))
    camera = imager.camera
    if seed is None:
        electrons = light.numpy() * camera.quantum_efficiency
        counts = electrons / camera.gain_e_per_count + camera.black_level_counts
    else:
        generator = torch.Generator().manual_seed(seed)
        counts = camera.expose(light, generator=generator).double().numpy()
    name = f"simulated, {depth_um:g} µm"
    return StageSweep(counts, x, np.array(y), float(depth_um), motions, None, name)


def _drawn(
    psf: Psf,
    points_px: Float64Array,
    distance_um: Float64Array,
    brightness: Float64Array,
    frame_px: tuple[int, int],
    pitch_um: float,
) -> Float64Array:
    """Return (depth, y, x) the light of points at (y, x) pixels from the frame's middle."""
    planes = np.zeros((len(distance_um), *frame_px))
    for plane, distance in zip(planes, distance_um, strict=True):
        radius = math.ceil(psf.encircled_radius_um(float(distance), DRAWN_ENERGY) / pitch_um + 1)
        padded = np.zeros([side + 2 * radius for side in frame_px])
        for point, bright in zip(points_px, brightness, strict=True):
            place = point + (np.array(frame_px) - 1) / 2
            whole = np.rint(place).astype(int)
            if not ((whole >= 0) & (whole < frame_px)).all():
                continue
            y, x = (float(v) for v in (place - whole) * pitch_um)
            cut = tuple(slice(n, n + 2 * radius + 1) for n in whole)
            padded[cut] += bright * np.asarray(
                psf.kernel(distance, pitch_um, radius_px=radius, offset_um=(y, x))
            )
        plane += padded[radius : radius + frame_px[0], radius : radius + frame_px[1]]
    return planes
