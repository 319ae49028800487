"""How many emitters there are: added while they explain enough, dropped where they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fociscope.localization._background import Haze, SmoothBackground
from fociscope.localization._detect import FilterBank
from fociscope.localization._fit import EmitterFit, Observation, fit_emitters
from fociscope.localization._noise import NoiseModel, estimate_noise, first_noise
from fociscope.localization._support import not_of_one_pixel, supported
from fociscope.localization._weights import ResponseError, Together
from fociscope.typing import BoolArray, Float64Array

__all__ = ["penalty", "search"]

#: Emitters that one round adds at most.
AT_ONCE = 6
#: Steps of the fit while emitters are still found, and once none is.
HASTY, SETTLING = 4, 20
#: Rounds after which the filters follow the weights again.
PREPARED = 4
#: Share of errors that pixels share which each is taken to have on its own, at first.
ALONE = 0.5
#: Times the penalty that an emitter must explain beside a smooth background: chosen on single cells
#: and clouds of the package's own simulator, where most that explain less are none.
BESIDE = 3.0
#: Rounds that a background has at least to follow the emitters.
SETTLED = 2
#: Percentile of a background that is taken for no light.
DARKEST_PERCENT = 2.0
#: Parameters of an emitter: x, y, depth, light.
PARAMETERS = 4


def penalty(pixels: int, *, beside: bool = False) -> float:
    """Return the log-likelihood that an emitter must explain: half of BIC's, k/2 ln(pixels).

    It is more `beside` a smooth background, whose light is never quite a Gaussian process.
    """
    return (BESIDE if beside else 1.0) * PARAMETERS / 2 * float(np.log(pixels))


def search(
    bank: FilterBank,
    capture: Float64Array,
    used: BoolArray,
    *,
    noise: NoiseModel | None = None,
    model_error: float = 0.002,
    most: int = 100,
    error: ResponseError | None = None,
    subtracted: Float64Array | None = None,
    background: SmoothBackground | None = None,
) -> tuple[EmitterFit, NoiseModel]:
    """Return the emitters of one capture and the noise that was found.

    Where pixels share errors, emitters are first sought as if each erred on its own, by half of the
    share, which finds too many; then those go that the shared errors explain.

    Args:
        bank: Matched filters of the pixels' response.
        capture: (pixel,) light, sensor by sensor.
        used: (pixel,) whether a pixel counts.
        noise: Variance by light; None to find it in the capture.
        model_error: Standard deviation of the imager's error, as a share of the light.
        most: Emitters at most.
        error: Errors that pixels share; None for none.
        subtracted: (pixel,) light that was subtracted as dark; None for none.
        background: What varies smoothly beside the emitters; None for a constant.
    """
    own_error = model_error if noise is None else noise.model_error
    alone = own_error if error is None else float(np.hypot(own_error, ALONE * error.share))
    first = noise or first_noise(capture, used, bank.response.frame_px, alone)
    first = replace(first, subtracted=subtracted)
    if noise is not None:
        first = replace(first, model_error=alone)
    seen = Observation(bank.response, capture, used, first)
    found_noise = None if noise is not None else alone
    least = penalty(int(used.sum()), beside=background is not None)
    if background is None:
        fit, seen = _found(bank, seen, most, found_noise)
        fit, seen = not_of_one_pixel(seen, fit, least)
    else:
        fit, seen = _found_beside(background, bank, seen, most, found_noise)
    if error is None:
        return fit, seen.noise
    both = error if seen.error is None else Together(error, seen.error)
    seen = seen.with_(noise=replace(seen.noise, model_error=own_error), error=both)
    return supported(seen, fit, least), seen.noise


def _found_beside(
    background: SmoothBackground,
    bank: FilterBank,
    seen: Observation,
    most: int,
    model_error: float | None,
) -> tuple[EmitterFit, Observation]:
    """Return emitters beside a smooth background, and the capture with it as a common error.

    The background takes all light that it is likely to, and emitters what is too sharp for it; the
    more of them are found, the smoother the background becomes. Then the weakest go one by one.
    """
    capture, pixels = seen.capture, int(seen.used.sum())
    least, needed = penalty(pixels), penalty(pixels, beside=True)
    fit, haze, dark = fit_emitters(seen, np.empty((0, 3))), None, seen.noise.subtracted
    for round_ in range(most):
        haze, seen, fit = _beside(background, seen, fit, haze, dark, model_error)
        bank.prepare(fit.weights.diagonal, fit.weights)
        left = fit.weights.applied(fit.residual(capture)) / np.maximum(fit.weights.diagonal, 1e-300)
        new = bank.candidates(left, least, min(AT_ONCE, most - len(fit.light)))
        before = len(fit.light)
        if len(new):
            fit = _fitted_beside(seen, np.concatenate([fit.place_um, new]), fit.mean, SETTLING)
        fit = pruned(seen, fit, least, held=True)
        if len(fit.light) <= before and round_ >= SETTLED:
            break
    fit, others = not_of_one_pixel(_without(seen, haze), fit, least)
    seen = others.with_(capture=capture)
    while True:
        haze, seen, fit = _beside(background, seen, fit, haze, dark, model_error)
        gains = fit.gains() if len(fit.light) else np.full(1, np.inf)
        if gains.min() >= needed:
            return _fitted_beside(seen, fit.place_um, fit.mean, SETTLING), seen
        places = np.delete(fit.place_um, int(gains.argmin()), axis=0)
        fit = _fitted_beside(seen, places, fit.mean, HASTY)


def _beside(
    background: SmoothBackground,
    seen: Observation,
    fit: EmitterFit,
    haze: Haze | None,
    dark: Float64Array | None,
    model_error: float | None,
) -> tuple[Haze, Observation, EmitterFit]:
    """Return the background beside a fit, the capture with its noise, and the fit beside it."""
    haze = background.fitted(seen.capture - fit.mean, fit.weights.diagonal, haze)
    beside = _above_darkest(haze.mean, seen.response.imager.sensors)
    noise = replace(seen.noise, subtracted=beside if dark is None else beside + dark)
    alone = _without(seen.with_(noise=noise), haze)
    if model_error is not None:
        alone = _with_noise(alone, fit, model_error)
    seen = alone.with_(capture=seen.capture, error=haze)
    return haze, seen, _fitted_beside(seen, fit.place_um, fit.mean, HASTY)


def _without(seen: Observation, haze: Haze | None) -> Observation:
    """Return a capture less its background."""
    if haze is None:
        return seen
    return seen.with_(capture=seen.capture - haze.mean, error=None)


def _fitted_beside(
    seen: Observation, place_um: Float64Array, mean: Float64Array, steps: int
) -> EmitterFit:
    """Return the fit beside a background, with the weights of a mean."""
    assert isinstance(seen.error, Haze)
    weights = seen.weights(mean, seen.error.columns)
    return fit_emitters(seen, place_um, weights=weights, steps=steps, held=True)


def _above_darkest(light: Float64Array, sensors: int) -> Float64Array:
    """Return (pixel,) light above the darkest pixels of its sensor."""
    parts = light.reshape(sensors, -1)
    low = np.percentile(parts, DARKEST_PERCENT, axis=1, keepdims=True)
    return np.asarray(np.maximum(parts - low, 0).reshape(-1))


def _found(
    bank: FilterBank, seen: Observation, most: int, model_error: float | None
) -> tuple[EmitterFit, Observation]:
    """Return emitters and the noise where each pixel errs on its own.

    With a `model_error`, the noise is found beside the emitters.
    """
    least = penalty(int(seen.used.sum()))
    fit = fit_emitters(seen, np.empty((0, 3)))
    settled = False
    for round_ in range(2 * most):
        if round_ < 2 or round_ % PREPARED == 0:
            bank.prepare(fit.weights.diagonal)
        new = bank.candidates(
            fit.residual(seen.capture), least, min(AT_ONCE, most - len(fit.light))
        )
        if len(new) == 0 and settled:
            break
        before = len(fit.light)
        places = np.concatenate([fit.place_um, new])
        steps = SETTLING if len(new) == 0 or settled else HASTY
        fit = fit_emitters(seen, places, steps=steps)
        if model_error is not None:
            seen = _with_noise(seen, fit, model_error)
        fit = pruned(seen, fit, least)
        grew = len(fit.light) > before
        if settled and not grew:
            break
        settled = not grew
    fit = fit_emitters(seen, fit.place_um, weights=fit.weights)
    return pruned(seen, fit, least), seen


def _with_noise(seen: Observation, fit: EmitterFit, model_error: float) -> Observation:
    """Return the observation with the noise that a fit leaves."""
    light, beside = fit.mean, seen.noise.subtracted
    if beside is not None:
        light = light + np.maximum(beside, 0)
    noise = estimate_noise(
        fit.residual(seen.capture), light, seen.used, seen.response.frame_px, model_error
    )
    return seen.with_(noise=replace(noise, subtracted=seen.noise.subtracted))


def pruned(seen: Observation, fit: EmitterFit, least: float, *, held: bool = False) -> EmitterFit:
    """Return the fit without emitters that explain too little, the weakest first."""
    while len(fit.light):
        gains = fit.gains()
        weakest = int(gains.argmin())
        if gains[weakest] >= least:
            break
        places = np.delete(fit.place_um, weakest, axis=0)
        fit = fit_emitters(seen, places, weights=fit.weights, steps=6, held=held)
    return fit
