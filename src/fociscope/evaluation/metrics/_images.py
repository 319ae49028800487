"""Restored images against true ones: squared error, peak SNR, self-check residual."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fociscope import residuals
from fociscope.typing import Float64Array

__all__ = [
    "best_gain",
    "even_image_error",
    "peak_snr_db",
    "relative_squared_error",
    "self_check_residual",
]

Axes = tuple[int, ...]


def best_gain(image: ArrayLike, truth: ArrayLike, *, axes: Axes = (-3, -2, -1)) -> Float64Array:
    """Return (...) the gain that brings an image nearest to the truth: <image, truth> / |image|^2.

    It is 0 for a dark image, and never negative, as no gain of light is.

    Args:
        image: of the shape of `truth`.
        truth: (..., layer, y, x).
        axes: that share a gain; without a choice, the layers and pixels of a scene.

    Raises:
        ValueError: the shapes differ.
    """
    restored, true = _same(image, truth)
    gain = residuals.best_gain(restored, true, axes=axes)
    return np.asarray(np.maximum(np.squeeze(gain, axis=axes), 0))


def relative_squared_error(
    image: ArrayLike, truth: ArrayLike, *, gain_free: bool = False, axes: Axes = (-3, -2, -1)
) -> Float64Array:
    """Return (...) |image - truth|^2 / |truth|^2.

    Args:
        image: of the shape of `truth`.
        truth: (..., layer, y, x).
        gain_free: each image is first brought to its `best_gain`; for images whose unit is not
            known. The error is then at most 1, that of a dark image.
        axes: that make one image; without a choice, the layers and pixels of a scene.

    Returns:
        NaN where the truth is dark.

    Raises:
        ValueError: the shapes differ.
    """
    restored, true = _same(image, truth)
    if gain_free:
        restored = restored * np.expand_dims(best_gain(restored, true, axes=axes), axes)
    return _relative(((restored - true) ** 2).sum(axes), (true**2).sum(axes))


def even_image_error(truth: ArrayLike, *, axes: Axes = (-3, -2, -1)) -> Float64Array:
    """Return (...) the relative squared error of the best even image, the constant baseline.

    It is 1 - mean(truth)^2 / mean(truth^2); a dark image scores 1. NaN where the truth is dark.
    """
    true = np.asarray(truth, dtype=np.float64)
    return _relative(true.var(axis=axes), (true**2).mean(axes))


def peak_snr_db(
    image: ArrayLike, truth: ArrayLike, *, data_range: float, axes: Axes = (-2, -1)
) -> Float64Array:
    """Return (...) 10 log10(data_range^2 / mean squared error); infinite for equal images.

    This compares two images (PSNR); the peak SNR of a capture compares light and noise.

    Args:
        image: of the shape of `truth`.
        truth: (..., y, x).
        data_range: greatest less least value that an image can have, in its unit.
        axes: that make one image.

    Raises:
        ValueError: the shapes differ, or the range is not above 0.
    """
    restored, true = _same(image, truth)
    _check_range(data_range)
    error = ((restored - true) ** 2).mean(axes)
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(data_range**2 / error))


def self_check_residual(reprojection: ArrayLike, captures: ArrayLike) -> Float64Array:
    """Return (..., sensor) |reprojection - capture| / |capture|, as `Reconstruction.residual`.

    It needs no truth. Noise alone leaves about 1 / SNR; a dark guess scores 1. NaN for a dark
    capture.

    Args:
        reprojection: (..., sensor, y, x) what the imager would see of a reconstruction.
        captures: (..., sensor, y, x).

    Raises:
        ValueError: the shapes differ.
    """
    return np.sqrt(relative_squared_error(reprojection, captures, axes=(-2, -1)))


def _same(image: ArrayLike, truth: ArrayLike) -> tuple[Float64Array, Float64Array]:
    x, y = np.asarray(image, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if x.shape != y.shape or x.size == 0:
        raise ValueError(f"images need one shape and a pixel; got {x.shape} and {y.shape}")
    return x, y


def _check_range(data_range: float) -> None:
    if not 0 < data_range < np.inf:
        raise ValueError(f"data_range must lie above 0; got {data_range:g}")


def _relative(part: Float64Array, whole: Float64Array) -> Float64Array:
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan))
