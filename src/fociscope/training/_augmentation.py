"""Augmentation of simulated scenes: orientation, misregistration, background and fresh noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.imager.fixed_pattern import FixedPattern
from fociscope.training.recipe import Recipe

__all__ = ["exposed", "orient", "oriented"]


def orient(image: Tensor, orientation: int) -> Tensor:
    """Return one of the eight rotations and reflections of (..., y, x)."""
    turned = torch.rot90(image, orientation % 4, dims=(-2, -1))
    return turned.flip(-1) if orientation >= 4 else turned


def oriented(
    scenes: Sequence[tuple[Tensor, ...]], rng: np.random.Generator
) -> list[tuple[Tensor, ...]]:
    """Rotate and mirror the images (..., y, x) of each scene at random; other fields stay."""
    height, width = scenes[0][0].shape[-2:]
    # Quarter turns would change the shape of a frame that is not square.
    ways = 8 if height == width else 4
    orientations = rng.integers(0, ways, len(scenes)) * (8 // ways)
    return [
        tuple(orient(f, int(orientation)) if f.ndim >= 2 else f for f in scene)
        for scene, orientation in zip(scenes, orientations, strict=True)
    ]


def exposed(
    clean: Tensor, recipe: Recipe, rng: np.random.Generator, *, fixed_pattern: FixedPattern | None
) -> Tensor:
    """Return captures as chips of the family take them, with all that the network is not given.

    Args:
        clean: Noise-free captures of sensors at their nominal places, (batch, sensor, y, x).
        recipe: Recipe whose family the chips are of.
        rng: Random numbers.
        fixed_pattern: Fixed pattern of the chip.

    Returns:
        Captures of the same shape, with sensor B misregistered in some of the scenes, a background
        in half of them, and noise at peak SNRs drawn from the family.
    """
    family = recipe.family
    seen = _on_background(_misregistered(clean, recipe, rng), family.background, rng)
    peak_snr_db = rng.uniform(*family.peak_snr_db, (len(clean), 1))
    if (focus := family.focus) is not None:
        often = rng.uniform(*focus.peak_snr_db, (len(clean), 1))
        peak_snr_db = np.where(rng.random((len(clean), 1)) < focus.share, often, peak_snr_db)
    return recipe.imager.camera.at_peak_snr(
        seen,
        torch.from_numpy(peak_snr_db).float().to(clean.device).expand(clean.shape[:2]),
        generator=torch.Generator(clean.device).manual_seed(int(rng.integers(2**62))),
        fixed_pattern=fixed_pattern,
    )


def _misregistered(captures: Tensor, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """Shift and rotate sensor B of some of the scenes; beyond its edge, pixels repeat the edge."""
    largest_px, largest_deg = recipe.family.shift_px, recipe.family.rotation_deg
    if captures.shape[1] < 2 or largest_px == largest_deg == 0:
        return captures
    count, (height, width) = len(captures), captures.shape[-2:]
    chosen = rng.random(count) < recipe.family.misregistered_fraction
    if not chosen.any():
        return captures
    radius_px = largest_px * np.sqrt(rng.random(count)) * chosen
    direction = rng.uniform(0, 2 * math.pi, count)
    angle = np.radians(rng.uniform(-largest_deg, largest_deg, count)) * chosen
    cos, sin = np.cos(angle), np.sin(angle)
    # Positions run from -1 to 1 over the frame, so a turn mixes them by its aspect.
    affine = np.empty((count, 2, 3))
    affine[:, 0] = np.stack(
        [cos, -sin * height / width, 2 * radius_px * np.cos(direction) / width], axis=-1
    )
    affine[:, 1] = np.stack(
        [sin * width / height, cos, 2 * radius_px * np.sin(direction) / height], axis=-1
    )
    some = torch.from_numpy(np.flatnonzero(chosen)).to(captures.device)
    sensor_b = captures[some, 1:2]
    grid = F.affine_grid(
        torch.from_numpy(affine[chosen]).to(captures), list(sensor_b.shape), align_corners=False
    )
    moved = F.grid_sample(
        sensor_b, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    seen = captures.clone()
    seen[some, 1:2] = moved.clamp(min=0)
    return seen


def _on_background(captures: Tensor, largest: float, rng: np.random.Generator) -> Tensor:
    """Add even light, up to a share of its mean, to each sensor of half of the scenes."""
    shape = (*captures.shape[:2], 1, 1)
    share = rng.uniform(0, largest, shape) * (rng.random((len(captures), 1, 1, 1)) < 0.5)
    return captures + torch.from_numpy(share).to(captures) * captures.mean(
        dim=(-2, -1), keepdim=True
    )
