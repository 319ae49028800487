"""What lies between the cells and their light: uneven excitation, and dust."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from fociscope.configuration import Configuration, Range
from fociscope.simulation.frame import DrawnFrame
from fociscope.typing import Float32Array, Float64Array

__all__ = ["Dust", "dusted", "illumination"]


class Dust(Configuration):
    """Opaque specks that lie on a layer, at random places.

    Examples:
        >>> from fociscope.simulation import Dust, SingleCells, simulate
        >>> dusty = SingleCells(cells_per_mm2=30, dust=Dust(specks_per_mm2=5.0))
        >>> clean = simulate(1, seed=0, specimen=SingleCells(cells_per_mm2=30))
        >>> bool(simulate(1, seed=0, specimen=dusty).layers.sum() < clean.layers.sum())
        True
    """

    specks_per_mm2: Annotated[float, Field(ge=0, le=1000)] = 0.5
    diameter_um: Range = (20.0, 150.0)
    """Least and greatest; small specks are more frequent: even in the logarithm."""
    opacity: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of the light that a speck takes."""


def illumination(
    rng: np.random.Generator, frame: DrawnFrame, variation: tuple[float, float]
) -> Float64Array:
    """Draw the excitation of a scene: a slope in any direction with a bowl or a dome.

    Args:
        rng: source of all that is random.
        frame: frame to draw.
        variation: least and greatest change across the imager's frame, relative to the mean.

    Returns:
        (y, x) factor of the light, about 1 in the mean and never below 0.
    """
    strength = rng.uniform(*variation)
    angle, share = rng.uniform(0, 2 * math.pi), rng.uniform(-1, 1)
    height, width = frame.imager_px
    y = (np.arange(frame.size_px[0]) - frame.margin_px + 0.5) / height - 0.5
    x = (np.arange(frame.size_px[1]) - frame.margin_px + 0.5) / width - 0.5
    slope = math.sin(angle) * y[:, None] + math.cos(angle) * x
    bowl = y[:, None] ** 2 + x**2 - 1 / 6
    return np.asarray(np.maximum(1 + strength * ((1 - abs(share)) * slope + 2 * share * bowl), 0))


def dusted(
    rng: np.random.Generator, light: Float32Array | Float64Array, dust: Dust, pixel_pitch_um: float
) -> Float64Array:
    """Return the light (layer, y, x) that passes specks of dust on each layer."""
    layers, *size = light.shape
    passed = np.ones(light.shape)
    area_mm2 = math.prod(size) * (pixel_pitch_um / 1000) ** 2
    y, x = (np.arange(n) + 0.5 for n in size)
    for layer in range(layers):
        for _ in range(rng.poisson(dust.specks_per_mm2 * area_mm2)):
            low, high = (math.log(max(side, 1e-3)) for side in dust.diameter_um)
            radius = math.exp(rng.uniform(low, high)) / 2 / pixel_pitch_um
            centre = rng.uniform(0, size)
            away = np.hypot(y[:, None] - centre[0], x - centre[1])
            # The edge takes a pixel: a pixel is covered by about the share that lies inside.
            covered = np.clip(radius + 0.5 - away, 0, 1) * min(1.0, (2 * radius) ** 2)
            passed[layer] *= 1 - dust.opacity * covered
    return light * passed
