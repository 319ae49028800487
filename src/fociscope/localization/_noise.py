"""The noise of a capture: its variance by light, found by the roughness of what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fociscope.noise import MEDIAN_OF_NORMAL
from fociscope.typing import BoolArray, Float64Array, Int64Array

__all__ = ["NoiseModel", "estimate_noise", "first_noise", "noise_of_pixels"]

#: Error of the model before emitters are found, as a share of the light.
FIRST_MODEL_ERROR = 0.03
#: Pixels whose noise is taken together: a few of the brightest, then more, up to a number.
LEAST_BIN, BIN_GROWTH, LARGEST_BIN = 8, 1.5, 100
#: Variances, over the greatest, below which they are 0: of pixels that count nothing.
SMALLEST = 1e-12


@dataclass(frozen=True)
class NoiseModel:
    r"""Variance of a pixel by its mean, in the units of the captures.

    $$ v(m) = v_0 + v_1 (m + d) + \epsilon^2 (m^2 + d^2) $$

    Attributes:
        floor: (sensor,) variance in the dark.
        per_light: (sensor,) variance per unit of light: shot noise.
        model_error: Standard deviation of the imager's error, as a share of the light.
        subtracted: (pixel,) light that was subtracted as dark, $d$, whose noise has stayed; None
            for none.

    Examples:
        >>> import numpy as np
        >>> from fociscope.localization import NoiseModel
        >>> noise = NoiseModel(np.array([4.0]), np.array([1.0]), 0.0)
        >>> noise.variance(np.array([0.0, 12.0]))
        array([ 4., 16.])
    """

    floor: Float64Array
    per_light: Float64Array
    model_error: float
    subtracted: Float64Array | None = None

    def variance(self, light: Float64Array) -> Float64Array:
        """Return (pixel,): the variance of pixels of a mean `light` above the background."""
        light = np.maximum(light, 0).reshape(len(self.floor), -1)
        dark = np.zeros_like(light)
        if self.subtracted is not None:
            dark = np.maximum(self.subtracted, 0).reshape(light.shape)
        variance = self.floor[:, None] + self.per_light[:, None] * (light + dark)
        return np.asarray((variance + self.model_error**2 * (light**2 + dark**2)).ravel())

    def scaled(self, factor: float) -> NoiseModel:
        """Return the noise of captures that are multiplied by `factor`."""
        return NoiseModel(
            self.floor * factor**2,
            self.per_light * factor,
            self.model_error,
            None if self.subtracted is None else self.subtracted * factor,
        )

    def of_mean(self, frames: int) -> NoiseModel:
        """Return the noise of the mean of some frames; the imager's error stays."""
        return replace(self, floor=self.floor / frames, per_light=self.per_light / frames)


def first_noise(
    capture: Float64Array, used: BoolArray, frame_px: tuple[int, int], model_error: float
) -> NoiseModel:
    """Return the noise in the dark, before anything is known.

    Args:
        capture: (pixel,) light, sensor by sensor.
        used: (pixel,) whether a pixel counts.
        frame_px: (y, x) pixels of a sensor.
        model_error: Standard deviation of the imager's error, as a share of the light.
    """
    floors = []
    for image, ok in _images(frame_px, capture, used):
        rough, middle = _roughness(image, ok)
        dark = rough[image[middle] <= np.median(image[middle])]
        floors.append(max(_variance(dark), _least(image)))
    return NoiseModel(np.array(floors), np.zeros(len(floors)), max(model_error, FIRST_MODEL_ERROR))


def estimate_noise(
    residual: Float64Array,
    light: Float64Array,
    used: BoolArray,
    frame_px: tuple[int, int],
    model_error: float,
) -> NoiseModel:
    """Return floor and shot noise by the roughness of residuals, from medians of bins.

    Emitters that are not found yet leave smooth residuals, which are no noise.

    Args:
        residual: (pixel,) what a fit leaves, sensor by sensor.
        light: (pixel,) light that it explains, above the background.
        used: (pixel,) whether a pixel counts.
        frame_px: (y, x) pixels of a sensor.
        model_error: Standard deviation of the imager's error, as a share of the light.
    """
    floors, slopes = [], []
    residuals = _images(frame_px, residual, used)
    for (left, ok), (mean,) in zip(residuals, _images(frame_px, light), strict=True):
        rough, middle = _roughness(left, ok)
        brightness = np.maximum(_weighted_like_roughness(mean)[middle], 0)
        bins = _bins(brightness)
        sizes = np.array([len(part) for part in bins])
        first = np.cumsum(sizes) - sizes
        x = np.add.reduceat(brightness[np.concatenate(bins)], first) / sizes
        least = _least(mean)
        y = np.array([max(_variance(rough[part]), least) for part in bins])
        floor, slope = _line(x, y, np.sqrt(sizes))
        floors.append(floor)
        slopes.append(slope)
    return NoiseModel(np.array(floors), np.array(slopes), model_error)


def noise_of_pixels(
    mean: Float64Array, variance: Float64Array, used: BoolArray, sensors: int, model_error: float
) -> NoiseModel:
    """Return floor and shot noise by the variances of pixels over many frames.

    Args:
        mean: (pixel,) light, sensor by sensor.
        variance: (pixel,) variance over frames.
        used: (pixel,) whether a pixel counts.
        sensors: Number of sensors.
        model_error: Standard deviation of the imager's error, as a share of the light.
    """
    floors, slopes = [], []
    parts = (one.reshape(sensors, -1) for one in (mean, variance, used))
    for light, spread, ok in zip(*parts, strict=True):
        above = np.maximum(light[ok] - np.percentile(light[ok], 20), 0)
        bins = _bins(above)
        x = np.array([above[part].mean() for part in bins])
        y = np.array([max(spread[ok][part].mean(), _least(light)) for part in bins])
        floor, slope = _line(x, y, np.sqrt([len(part) for part in bins]))
        floors.append(floor)
        slopes.append(slope)
    return NoiseModel(np.array(floors), np.array(slopes), model_error)


def _bins(light: Float64Array) -> list[Int64Array]:
    """Return places in the order of the light, a few of the brightest together, more of others."""
    order = np.argsort(light)[::-1]
    parts, first, size = [], 0, float(LEAST_BIN)
    while first < len(order):
        parts.append(order[first : first + int(size)])
        first += int(size)
        size = min(size * BIN_GROWTH, LARGEST_BIN)
    return parts[::-1]


def _images(frame_px: tuple[int, int], *pixels: Float64Array | BoolArray) -> zip[tuple[Any, ...]]:
    """Return the images (y, x) of each sensor, of each of the arrays (pixel,)."""
    parts = (one.reshape(-1, *frame_px) for one in pixels)
    return zip(*parts, strict=True)


def _roughness(image: Float64Array, ok: BoolArray) -> tuple[Float64Array, BoolArray]:
    """Return second differences along rows in units of a pixel's noise, and where they are."""
    second = image[:, 2:] - 2 * image[:, 1:-1] + image[:, :-2]
    middle = np.zeros(image.shape, bool)
    middle[:, 1:-1] = ok[:, 2:] & ok[:, 1:-1] & ok[:, :-2]
    return np.abs(second[middle[:, 1:-1]]) / np.sqrt(6), middle


def _weighted_like_roughness(image: Float64Array) -> Float64Array:
    """Return (y, x): the light whose variance a pixel's second difference has."""
    out = np.array(image)
    out[:, 1:-1] = (image[:, 2:] + 4 * image[:, 1:-1] + image[:, :-2]) / 6
    return out


def _variance(rough: Float64Array) -> float:
    """Return the variance of normal numbers by the median of their absolute values."""
    if not len(rough):
        return 0.0
    half = len(rough) // 2
    below = half - 1 if len(rough) % 2 == 0 else half
    parts = np.partition(rough, (below, half))  # a tenth of the time of NumPy's median of few
    return float((parts[below] + parts[half]) / 2 / MEDIAN_OF_NORMAL) ** 2


def _line(x: Float64Array, y: Float64Array, sure: Float64Array) -> tuple[float, float]:
    """Return floor and slope of a line through variances, whose errors grow with them."""
    y = np.maximum(y, max(SMALLEST * float(y.max()), 1e-150))  # squares of weights stay numbers
    weight = sure / y
    for _ in range(4):
        squared = weight**2
        total, along = squared.sum(), squared @ x
        middle, level = along / total, squared @ y / total
        spread = squared @ (x - middle) ** 2
        slope = squared @ ((x - middle) * (y - level)) / spread if spread > 0 else 0.0
        floor = level - slope * middle
        floor = max(float(floor), float(0.2 * np.median(y[: len(y) // 2 + 1])))
        slope = max(float(slope), 0.0)
        weight = sure / (floor + slope * x)
    return floor, slope


def _least(image: Float64Array) -> float:
    """Return a variance below which numbers are rounded."""
    return max(1e-12 * float(np.max(np.abs(image))) ** 2, 1e-17)
