"""Random fields over the plane, which masks and clouds are cut from: spectral and cellular."""

from __future__ import annotations

import math

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfftfreq
from scipy.spatial import cKDTree

from fociscope.typing import Float64Array

__all__ = ["cellular_field", "poisson_points", "spectral_field"]

#: The period of a spectral field, relative to the frame: its two edges are not alike.
PERIOD = 1.5


def spectral_field(
    rng: np.random.Generator,
    layers: int,
    frame_px: tuple[int, int],
    *,
    exponent: float,
    largest_px: float,
) -> Float64Array:
    r"""Draw Gaussian fields whose power falls with the frequency by a power law.

    With the frequency $f$ in cycles per pixel and the largest wavelength $\lambda$, the power is

    $$S(f) = (f^2 + \lambda^{-2})^{-\alpha / 2}.$$

    Args:
        rng: source of all that is random.
        layers: independent fields to draw.
        frame_px: (y, x).
        exponent: of the power law, $\alpha$: 0 is white noise, 4 and more are smooth.
        largest_px: wavelength from which on the power is even, in pixels, $\lambda$.

    Returns:
        (layer, y, x) of mean 0 and variance 1 in expectation.
    """
    size = [next_fast_len(math.ceil(n * PERIOD), real=True) for n in frame_px]
    squared = np.fft.fftfreq(size[0])[:, None] ** 2 + rfftfreq(size[1]) ** 2
    amplitude = (squared + largest_px**-2.0) ** (-exponent / 4)
    amplitude[0, 0] = 0
    white = rng.normal(size=(2, layers, *amplitude.shape))
    spectrum = amplitude * (white[0] + 1j * white[1])
    field = irfft2(spectrum, s=size)[:, : frame_px[0], : frame_px[1]]
    return np.asarray(field / _deviation(amplitude, size))


def _deviation(amplitude: Float64Array, size: list[int]) -> float:
    """Return the standard deviation of the inverse transform of complex white noise so shaped."""
    twice = np.full(amplitude.shape[1], 2.0)  # with its mirror image, each column stands for two
    twice[0] = 1
    if size[1] % 2 == 0:
        twice[-1] = 1
    # A column that is its own mirror image keeps the half of its power that is symmetric.
    power = (amplitude**2 * np.where(twice == 2, 4.0, 1.0)).sum()
    return math.sqrt(power) / (size[0] * size[1])


def poisson_points(
    rng: np.random.Generator, frame_px: tuple[int, int], *, per_px2: float, margin_px: float
) -> Float64Array:
    """Draw a Poisson process over the frame and a margin around it.

    Args:
        rng: source of all that is random.
        frame_px: (y, x).
        per_px2: mean number of points per pixel.
        margin_px: width of the margin.

    Returns:
        (point, 2) places (y, x) in pixels from the frame's corner.
    """
    size = np.array(frame_px) + 2 * margin_px
    count = rng.poisson(per_px2 * size.prod())
    return np.asarray(rng.uniform(0, 1, (count, 2)) * size - margin_px)


def cellular_field(
    rng: np.random.Generator, frame_px: tuple[int, int], *, cell_px: float
) -> tuple[Float64Array, Float64Array]:
    """Draw a mosaic: the cells of points that are scattered over the plane (Voronoi cells).

    Cellular texture (Worley, SIGGRAPH 1996, 291-294).

    Args:
        rng: source of all that is random.
        frame_px: (y, x).
        cell_px: mean side of a cell: the square root of its mean area.

    Returns:
        (y, x) a number for each pixel, 0 to 1, the same within a cell but for a part that is
        smaller than all differences between cells and falls from the middle of a cell outwards;
        and (y, x) the distance from the border between two cells, in pixels.
    """
    points = poisson_points(rng, frame_px, per_px2=cell_px**-2.0, margin_px=3 * cell_px)
    if len(points) < 2:
        points = np.concatenate([points, rng.uniform(-cell_px, 2 * max(frame_px), (2, 2))])
    y, x = np.indices(frame_px) + 0.5
    pixels = np.stack([y.ravel(), x.ravel()], axis=-1)
    distance, nearest = cKDTree(points).query(pixels, k=2)
    value = rng.permutation(len(points))[nearest[:, 0]] - distance[:, 0] / (distance.max() + 1)
    # The border lies where two points are equally far away.
    between = np.linalg.norm(points[nearest[:, 0]] - points[nearest[:, 1]], axis=-1)
    border = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * np.maximum(between, 1e-9))
    lowest, highest = value.min(), value.max()
    value = (value - lowest) / max(highest - lowest, 1e-9)
    return value.reshape(frame_px), border.reshape(frame_px)
