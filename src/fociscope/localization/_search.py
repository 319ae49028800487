"""How many emitters there are: added while they explain enough, dropped where they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fociscope.localization._detect import FilterBank
from fociscope.localization._fit import EmitterFit, NoiseModel, fit_emitters
from fociscope.localization._response import EmitterResponse
from fociscope.localization._support import not_of_one_pixel, supported
from fociscope.localization._weights import ResponseError
from fociscope.noise import MEDIAN_OF_NORMAL
from fociscope.typing import BoolArray, Float64Array, Int64Array

__all__ = ["estimate_noise", "noise_of_pixels", "search"]

#: Emitters that one round adds at most.
AT_ONCE = 6
#: Error of the model before emitters are found, as a share of the light.
FIRST_MODEL_ERROR = 0.03
#: Pixels whose noise is taken together: a few of the brightest, then more, up to a number.
LEAST_BIN, BIN_GROWTH, LARGEST_BIN = 8, 1.5, 100
#: Steps of the fit while emitters are still found, and once none is.
HASTY, SETTLING = 4, 20
#: Variances, over the greatest, below which they are 0: of pixels that count nothing.
SMALLEST = 1e-12
#: Rounds after which the filters follow the weights again.
PREPARED = 4
#: Share of errors that pixels share which each is taken to have on its own, at first.
ALONE = 0.5
#: Parameters of an emitter: x, y, depth, light.
PARAMETERS = 4


def penalty(pixels: int) -> float:
    """Return the log-likelihood that an emitter must explain: half of BIC's, k/2 ln(pixels)."""
    return PARAMETERS / 2 * float(np.log(pixels))


def search(
    response: EmitterResponse,
    bank: FilterBank,
    capture: Float64Array,
    used: BoolArray,
    *,
    noise: NoiseModel | None = None,
    model_error: float = 0.002,
    most: int = 100,
    error: ResponseError | None = None,
    subtracted: Float64Array | None = None,
) -> tuple[EmitterFit, NoiseModel]:
    """Return the emitters of one capture and the noise that was found.

    Where pixels share errors, emitters are first sought as if each erred on its own, by half of the
    share, which finds too many; then those go that the shared errors explain.

    Args:
        response: Response of the pixels.
        bank: Its matched filters.
        capture: (pixel,) light, sensor by sensor.
        used: (pixel,) whether a pixel counts.
        noise: Variance by light; None to find it in the capture.
        model_error: Standard deviation of the imager's error, as a share of the light.
        most: Emitters at most.
        error: Errors that pixels share; None for none.
        subtracted: (pixel,) light that was subtracted as dark; None for none.
    """
    own_error = model_error if noise is None else noise.model_error
    alone = own_error if error is None else float(np.hypot(own_error, ALONE * error.share))
    fit, found = _found(
        response,
        bank,
        capture,
        used,
        noise=noise,
        model_error=alone,
        most=most,
        subtracted=subtracted,
    )
    least = penalty(int(used.sum()))
    fit, used = not_of_one_pixel(response, capture, used, found, fit, least)
    if error is None:
        return fit, found
    found = replace(found, model_error=own_error)
    return supported(response, capture, used, found, fit, least, error), found


def _found(
    response: EmitterResponse,
    bank: FilterBank,
    capture: Float64Array,
    used: BoolArray,
    *,
    noise: NoiseModel | None,
    model_error: float,
    most: int,
    subtracted: Float64Array | None,
) -> tuple[EmitterFit, NoiseModel]:
    """Return emitters and noise where each pixel errs on its own."""
    given = noise
    if noise is not None:
        noise = replace(noise, model_error=model_error)
    noise = noise or first_noise(capture, used, response, model_error)
    noise = replace(noise, subtracted=subtracted)
    least = penalty(int(used.sum()))
    fit = fit_emitters(response, capture, used, noise, np.empty((0, 3)))
    settled = False
    for round_ in range(2 * most):
        if round_ < 2 or round_ % PREPARED == 0:
            bank.prepare(fit.weights.diagonal)
        new = bank.candidates(fit.residual(capture), least, min(AT_ONCE, most - len(fit.light)))
        if len(new) == 0 and settled:
            break
        before = len(fit.light)
        places = np.concatenate([fit.place_um, new])
        steps = SETTLING if len(new) == 0 or settled else HASTY
        fit = fit_emitters(response, capture, used, noise, places, steps=steps)
        if given is None:
            noise = estimate_noise(response, capture, used, fit, model_error)
            noise = replace(noise, subtracted=subtracted)
        fit = pruned(response, capture, used, noise, fit, least)
        grew = len(fit.light) > before
        if settled and not grew:
            break
        settled = not grew
    fit = fit_emitters(response, capture, used, noise, fit.place_um, weights=fit.weights)
    return pruned(response, capture, used, noise, fit, least), noise


def pruned(
    response: EmitterResponse,
    capture: Float64Array,
    used: BoolArray,
    noise: NoiseModel,
    fit: EmitterFit,
    least: float,
) -> EmitterFit:
    """Return the fit without emitters that explain too little, the weakest first."""
    while len(fit.light):
        gains = fit.gains()
        weakest = int(gains.argmin())
        if gains[weakest] >= least:
            break
        places = np.delete(fit.place_um, weakest, axis=0)
        fit = fit_emitters(response, capture, used, noise, places, weights=fit.weights, steps=6)
    return fit


def first_noise(
    capture: Float64Array, used: BoolArray, response: EmitterResponse, model_error: float
) -> NoiseModel:
    """Return the noise in the dark, before anything is known."""
    floors = []
    for image, ok in _images(response, capture, used):
        rough, middle = _roughness(image, ok)
        dark = rough[image[middle] <= np.median(image[middle])]
        floors.append(max(_variance(dark), _least(image)))
    return NoiseModel(np.array(floors), np.zeros(len(floors)), max(model_error, FIRST_MODEL_ERROR))


def estimate_noise(
    response: EmitterResponse,
    capture: Float64Array,
    used: BoolArray,
    fit: EmitterFit,
    model_error: float,
) -> NoiseModel:
    """Return floor and shot noise by the roughness of a fit's residuals, from medians of bins.

    Emitters that are not found yet leave smooth residuals, which are no noise.
    """
    floors, slopes = [], []
    residuals = _images(response, fit.residual(capture), used)
    for (residual, ok), mean in zip(residuals, _images(response, fit.mean), strict=True):
        rough, middle = _roughness(residual, ok)
        light = np.maximum(_weighted_like_roughness(mean[0])[middle], 0)
        bins = _bins(light)
        sizes = np.array([len(part) for part in bins])
        first = np.cumsum(sizes) - sizes
        x = np.add.reduceat(light[np.concatenate(bins)], first) / sizes
        least = _least(mean[0])
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


def _images(response: EmitterResponse, *pixels: Float64Array | BoolArray) -> zip[tuple[Any, ...]]:
    """Return the images (y, x) of each sensor, of each of the arrays (pixel,)."""
    parts = (one.reshape(-1, *response.frame_px) for one in pixels)
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
    return max(1e-12 * float(np.max(np.abs(image))) ** 2, 1e-300)
