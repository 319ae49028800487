"""Tumour foci: where the cells are, as thresholded multi-octave gradient noise.

Gradient noise: Perlin, "Improving noise", ACM Trans. Graph. 21:681-682 (2002). The published system
thresholds such a field (`docs/references.md`, "How the published data set is made").
"""

from __future__ import annotations

import math

import numpy as np

from fociscope.typing import BoolArray, Float64Array

__all__ = ["covered", "foci_masks", "gradient_noise"]


def _fade(t: Float64Array) -> Float64Array:
    """Perlin's quintic: 0 to 1 with vanishing first and second derivative at both ends."""
    return t * t * t * (t * (t * 6 - 15) + 10)


def gradient_noise(
    rng: np.random.Generator, layers: int, frame_px: tuple[int, int], period_px: float
) -> Float64Array:
    """Draw one octave of gradient noise for each layer.

    Args:
        rng: source of the lattice's offset and gradients.
        layers: independent fields to draw.
        frame_px: (y, x).
        period_px: lattice spacing, the size of a feature.

    Returns:
        (layer, y, x), zero in the mean and at the lattice points, within about -1 to 1.
    """
    nodes = [math.ceil(n / period_px) + 2 for n in frame_px]
    angle = rng.uniform(0, 2 * math.pi, (layers, nodes[0], nodes[1]))
    offset = rng.uniform(0, 1, (2, layers, 1, 1))

    def weights(axis: int) -> tuple[Float64Array, Float64Array]:
        """Return each node's fade, and fade times distance, along an axis: (layer, pixel, node)."""
        position = np.arange(frame_px[axis])[:, None] / period_px + offset[axis]
        distance = position - np.arange(nodes[axis])
        fade = 1 - _fade(np.minimum(np.abs(distance), 1))
        return fade, fade * distance

    # A node's ramp, gradient . distance, fades separably along both axes: two matrix products.
    (fade_y, ramp_y), (fade_x, ramp_x) = weights(0), weights(1)
    noise = ramp_y @ np.sin(angle) @ fade_x.mT + fade_y @ np.cos(angle) @ ramp_x.mT
    return np.asarray(noise * math.sqrt(2))


def foci_masks(
    rng: np.random.Generator,
    *,
    coverage: Float64Array,
    frame_px: tuple[int, int],
    feature_px: float,
    octaves: int,
    persistence: float,
) -> BoolArray:
    """Draw the tumour masks of a scene's layers.

    Args:
        rng: source of all that is random.
        coverage: (layer,) share of the frame that is tumour, 0 to 1; it sets each threshold.
        frame_px: (y, x).
        feature_px: lattice spacing of the coarsest octave; each further one halves it.
        octaves: how many octaves are summed.
        persistence: amplitude of an octave relative to the one before.

    Returns:
        (layer, y, x), True where there are cells.
    """
    field = np.zeros((len(coverage), *frame_px))
    for octave in range(octaves):
        period_px = max(feature_px / 2**octave, 1.0)
        field += persistence**octave * gradient_noise(rng, len(coverage), frame_px, period_px)
    return covered(field, coverage)


def covered(field: Float64Array, coverage: Float64Array) -> BoolArray:
    """Return the places where a field is highest.

    Args:
        field: (layer, y, x) of any unit.
        coverage: (layer,) share of the pixels, 0 to 1, to the nearest pixel.

    Returns:
        (layer, y, x), True there.
    """
    flat = np.sort(field.reshape(len(coverage), -1), axis=-1)
    pixels = flat.shape[-1]
    covered_px = np.round(coverage * pixels).astype(np.intp)
    padded = np.concatenate([flat, np.full((len(coverage), 1), np.inf)], axis=-1)
    threshold = padded[np.arange(len(coverage)), pixels - covered_px]
    return np.asarray(field >= threshold[:, None, None])
