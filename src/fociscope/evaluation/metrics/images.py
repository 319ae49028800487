"""Restored images against true ones: squared error, peak SNR, structural similarity, residual."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter

from fociscope.typing import Float64Array

__all__ = [
    "best_gain",
    "even_image_error",
    "peak_snr_db",
    "relative_squared_error",
    "self_check_residual",
    "structural_similarity",
]

Axes = tuple[int, ...]

#: The window of Wang et al. (2004): a Gaussian of 1.5 pixels, 11 x 11.
WINDOW_SIGMA_PX, WINDOW_RADIUS_PX = 1.5, 5
#: Their constants, relative to the data range.
K1, K2 = 0.01, 0.03


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
    power = (restored**2).sum(axes)
    overlap = np.maximum((restored * true).sum(axes), 0)
    return np.asarray(np.where(power > 0, overlap / np.where(power > 0, power, 1), 0.0))


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


def structural_similarity(image: ArrayLike, truth: ArrayLike, *, data_range: float) -> Float64Array:
    """Return (...) the mean structural similarity (SSIM) of images.

    Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Process. 13:600-612 (2004): a Gaussian
    window of 11 x 11 pixels with a standard deviation of 1.5, weighted (not sample) variances,
    K1 = 0.01, K2 = 0.03, and the mean over the places where the window lies within the image.

    Args:
        image: of the shape of `truth`.
        truth: (..., y, x), at least 11 x 11 pixels.
        data_range: greatest less least value that an image can have, in its unit; SSIM depends on
            it.

    Raises:
        ValueError: the shapes differ, an image is smaller than the window, or the range is not
            above 0.
    """
    x, y = _same(image, truth)
    _check_range(data_range)
    side = 2 * WINDOW_RADIUS_PX + 1
    if x.ndim < 2 or min(x.shape[-2:]) < side:
        raise ValueError(
            f"structural similarity needs (..., y, x) of at least {side} x {side} pixels; "
            f"got {x.shape}"
        )
    inside = (..., *(slice(WINDOW_RADIUS_PX, -WINDOW_RADIUS_PX),) * 2)

    def windowed(values: Float64Array) -> Float64Array:
        mean = gaussian_filter(values, WINDOW_SIGMA_PX, radius=WINDOW_RADIUS_PX, axes=(-2, -1))
        return np.asarray(mean[inside])

    mean_x, mean_y = windowed(x), windowed(y)
    variance_x = windowed(x * x) - mean_x**2
    variance_y = windowed(y * y) - mean_y**2
    covariance = windowed(x * y) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return np.asarray(similarity.mean((-2, -1)))


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
