"""Rendering of cells that lie anywhere: discs by supersampling, Gaussians by closed form."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

__all__ = ["Image", "counts_of", "disc_cells", "gaussian_cells", "random_field"]

Image = NDArray[np.float64]
#: Points along the side of a sub-pixel by which a disc is sampled.
DISC_SAMPLES = 5
#: Standard deviations after which a Gaussian cell is cut off.
REACH = 3.5


def gaussian_cells(places: Image, light: Image, *, size: tuple[int, int], sigma: float) -> Image:
    """Return the light of Gaussian cells, integrated over each sub-pixel.

    Args:
        places: (cell, 2) y and x in sub-pixels from the corner of the frame.
        light: (cell,) that each emits.
        size: (y, x) sub-pixels of the frame; what lies beyond it is dropped.
        sigma: Standard deviation of a cell in sub-pixels.
    """
    reach = math.ceil(REACH * sigma)
    home = np.floor(places).astype(np.int64)
    edges = np.arange(-reach, reach + 2)
    shares = []
    for axis in (0, 1):
        distance = home[:, axis, None] + edges - places[:, axis, None]
        shares.append(np.diff(erf(distance / (math.sqrt(2) * sigma)) / 2, axis=1))
    patch = shares[0][:, :, None] * shares[1][:, None, :] * light[:, None, None]
    return _added(patch, home - reach, size)


def disc_cells(places: Image, light: Image, *, size: tuple[int, int], diameter: float) -> Image:
    """Return the light of cells that are discs of an even glow, by supersampling.

    Args:
        places: (cell, 2) y and x in sub-pixels from the corner of the frame.
        light: (cell,) that each emits.
        size: (y, x) sub-pixels of the frame; what lies beyond it is dropped.
        diameter: Of a disc, in sub-pixels.
    """
    reach = math.ceil(diameter / 2)
    home = np.floor(places).astype(np.int64)
    side = 2 * reach + 1
    fine = (np.arange(side * DISC_SAMPLES) + 0.5) / DISC_SAMPLES - reach
    y, x = (home[:, axis, None] + fine - places[:, axis, None] for axis in (0, 1))
    inside = y[:, :, None] ** 2 + x[:, None, :] ** 2 <= (diameter / 2) ** 2
    shape = (len(places), side, DISC_SAMPLES, side, DISC_SAMPLES)
    patch = inside.reshape(shape).sum(axis=(2, 4)).astype(np.float64)
    patch /= np.maximum(patch.sum(axis=(1, 2), keepdims=True), 1)
    return _added(patch * light[:, None, None], home - reach, size)


def counts_of(places: Image, *, size: tuple[int, int]) -> NDArray[np.int64]:
    """Return (y, x) how many of the places (cell, 2) lie in each pixel of a frame."""
    y, x = np.floor(places).astype(np.int64).T
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    flat = y[inside] * size[1] + x[inside]
    return np.bincount(flat, minlength=size[0] * size[1]).reshape(size)


def random_field(rng: np.random.Generator, size: tuple[int, int], exponent: float) -> Image:
    r"""Return a Gaussian random field with the power spectrum $1 / f^\beta$, mean 0, variance 1.

    Args:
        rng: Source of the field.
        size: (y, x) samples; the field is drawn on twice that, so that its edges do not join.
        exponent: $\beta$; the greater, the smoother.
    """
    wide = (2 * size[0], 2 * size[1])
    f2 = np.fft.fftfreq(wide[0])[:, None] ** 2 + np.fft.rfftfreq(wide[1])[None, :] ** 2
    f2[0, 0] = np.inf
    noise = np.fft.rfft2(rng.standard_normal(wide))
    field = np.fft.irfft2(noise * f2 ** (-exponent / 4), s=wide)[: size[0], : size[1]]
    return np.asarray((field - field.mean()) / field.std())


def _added(patch: Image, corner: NDArray[np.int64], size: tuple[int, int]) -> Image:
    """Return (y, x) the sum of patches (cell, y, x), each with its first entry at a corner."""
    y = corner[:, 0, None, None] + np.arange(patch.shape[1])[None, :, None]
    x = corner[:, 1, None, None] + np.arange(patch.shape[2])[None, None, :]
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    flat = (y * size[1] + x)[inside]
    image = np.bincount(flat, patch[inside], minlength=size[0] * size[1])
    return np.asarray(image.reshape(size))
