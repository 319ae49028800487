r"""Many captures of emitters that stand still: one place for each, and its light in each capture.

Captures $Y$ (frame, pixel) are turned into few that hold the same: their mean, times $\sqrt{F}$,
and the components of what changes, $Y - \bar Y = U S V^T$, above what noise alone would give
(Gavish and Donoho, IEEE Trans. Inf. Theory 60:5040, 2014). An orthogonal turn of frames leaves
their noise as it is. Where emitters blink, each apart from the others, components separate them
though their images overlap in every single frame and in the mean.

Places are shared, lights are each component's own and are solved for at every step (variable
projection: Golub and Pereyra, SIAM J. Numer. Anal. 10:413, 1973, in Kaufman's simplification).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from fociscope.localization._detect import FilterBank
from fociscope.localization._fit import EmitterFit, kept_short
from fociscope.localization._noise import NoiseModel
from fociscope.localization._response import EmitterResponse
from fociscope.localization._weights import Weights
from fociscope.typing import BoolArray, Float32Array, Float64Array, Int64Array

__all__ = ["JointFit", "components", "search_jointly"]

#: Components of what changes, at most.
MOST_COMPONENTS = 12
#: Candidates of one round, rounds, and steps of a fit.
AT_ONCE, ROUNDS, STEPS = 3, 30, 20
#: Share of an emitter's information above which it hangs on one pixel, which is left out then.
ONE_PIXEL = 0.5
#: Parameters of a place.
PLACE = 3
#: Decrease of the cost at which a fit has come to rest.
REST = 1e-3


@dataclass
class JointFit:
    """Emitters that explain components together.

    Attributes:
        place_um: (emitter, 3) x, y, depth.
        light: (component, emitter) light.
        background: (component, sensor) light per pixel.
        weights: The weights of each component's pixels.
        cost: Half of the weighted sum of squares.
        residual: (component, pixel) what is left.
        normal: (3 emitter, 3 emitter) Fisher information of the places, lights free.
        slope: (3 emitter,) derivative of the log-likelihood by the places.
        gains: (emitter,) log-likelihood that is lost without an emitter, the places held.
        least: Gain that an emitter needs.
    """

    place_um: Float64Array
    light: Float64Array
    background: Float64Array
    weights: list[Weights]
    cost: float
    residual: Float64Array
    normal: Float64Array
    slope: Float64Array
    gains: Float64Array
    least: float = 0.0

    @classmethod
    def of_mean(cls, fit: EmitterFit, frames: int, least: float) -> JointFit:
        """Return what a fit to the mean of `frames` says of emitters that stand still."""
        count = len(fit.light)
        inner = [np.linalg.pinv(block[:PLACE, :PLACE]) for block in fit.covariance()]
        return cls(
            fit.place_um,
            np.sqrt(frames) * fit.light[None],
            np.sqrt(frames) * fit.background[None],
            [fit.weights],
            fit.cost,
            np.zeros((0, len(fit.mean))),
            scipy.linalg.block_diag(*inner) if count else np.zeros((0, 0)),
            np.zeros(PLACE * count),
            fit.gains(),
            least,
        )

    def covariance(self) -> Float64Array:
        """Return (emitter, 3, 3): the covariance of each place."""
        count = len(self.place_um)
        if count == 0:
            return np.zeros((0, PLACE, PLACE))
        scale = np.sqrt(np.maximum(np.diag(self.normal), 1e-300))
        inverse = scipy.linalg.pinvh(self.normal / np.outer(scale, scale)) / np.outer(scale, scale)
        blocks = inverse.reshape(count, PLACE, count, PLACE)
        return np.asarray(blocks[np.arange(count), :, np.arange(count)])

    def lights_of(
        self, response: EmitterResponse, frames: Float64Array, used: BoolArray, noise: NoiseModel
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return (frame, emitter) light, (frame, sensor) background and (frame,) misfit."""
        count = len(self.place_um)
        linear = _linear(response, response(self.place_um)[0])
        mean = np.maximum(self.light[0] @ linear[:count], 0) / np.sqrt(len(frames))
        weights = Weights.of(np.where(used, 1 / noise.variance(mean), 0.0))
        inverse = np.linalg.pinv(weights.gram(linear), hermitian=True)
        solved = (frames * weights.diagonal) @ linear.T @ inverse
        left = frames - solved @ linear
        misfit = np.sqrt((left**2) @ weights.diagonal / used.sum())
        return solved[:, :count], solved[:, count:], misfit


def components(
    frames: Float64Array, used: BoolArray, variance: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the mean times the root of the number of frames, and changes; and the rest's variance.

    Returns:
        (component, pixel) the components, and (pixel,) the variance of what they leave of a frame.

    Args:
        frames: (frame, pixel) light.
        used: (pixel,) whether a pixel counts.
        variance: (pixel,) noise of a frame, roughly.
    """
    count = len(frames)
    mean = frames.mean(0)
    changes = (frames - mean)[:, used]
    # Of the smaller of the two matrices of products, so that long series and large frames are fast.
    whitened = changes / np.sqrt(variance[used])
    if count < 2:
        return mean[None], np.zeros_like(mean)
    if count <= whitened.shape[1]:
        squared, left = np.linalg.eigh(whitened @ whitened.T)
    else:
        squared, right = np.linalg.eigh(whitened.T @ whitened)
        left = whitened @ (right / np.sqrt(np.maximum(squared, 1e-300)))
    values = np.sqrt(np.maximum(squared, 0))[::-1]
    ratio = min(whitened.shape) / max(whitened.shape)
    edge = _noise_edge(ratio) * float(np.median(values[: min(whitened.shape) - 1]))
    number = min(int((values > edge).sum()), MOST_COMPONENTS)
    turned = left[:, ::-1][:, :number].T @ (frames - mean)
    rest = ((frames - mean) ** 2).sum(0) - (turned**2).sum(0)
    left_over = np.maximum(rest, 0) / max(count - 1 - number, 1)
    return np.concatenate([np.sqrt(count) * mean[None], turned]), left_over


def _noise_edge(ratio: float) -> float:
    """Return the optimal hard threshold over the median singular value, for sides of a ratio."""
    return 0.56 * ratio**3 - 0.95 * ratio**2 + 1.82 * ratio + 1.43


def fit_jointly(
    response: EmitterResponse,
    captures: Float64Array,
    used: BoolArray,
    noise: NoiseModel,
    place_um: Float64Array,
    frames: int,
    steps: int = STEPS,
) -> JointFit:
    """Fit places that all components share.

    Args:
        response: Response of the pixels.
        captures: (component, pixel) the mean times the root of `frames`, and changes.
        used: (pixel,) whether a pixel counts.
        noise: Noise of a single frame.
        place_um: (emitter, 3) places to begin with.
        frames: Number of frames.
        steps: Steps at most.
    """
    fit = _solved(response, captures, used, noise, place_um, frames, None)
    damping = 1e-3
    for step in range(steps):
        if len(place_um) == 0:
            break
        if step in (1, 3):  # weights follow the mean, then rest
            fit = _solved(response, captures, used, noise, fit.place_um, frames, fit)
        scale = np.sqrt(np.maximum(np.diag(fit.normal), 1e-300))
        before, moved = fit.cost, False
        for _ in range(6):
            damped = fit.normal / np.outer(scale, scale) + damping * np.eye(len(scale))
            by_um = np.linalg.lstsq(damped, fit.slope / scale, rcond=None)[0] / scale
            place = kept_short(response, fit.place_um, by_um.reshape(-1, PLACE))
            tried = _solved(response, captures, used, noise, place, frames, fit, fit.weights)
            if tried.cost < fit.cost:
                fit, moved, damping = tried, True, max(damping / 8, 1e-9)
                break
            damping *= 6
        if not moved or before - fit.cost < REST:
            break
    return fit


def _solved(
    response: EmitterResponse,
    captures: Float64Array,
    used: BoolArray,
    noise: NoiseModel,
    place_um: Float64Array,
    frames: int,
    last: JointFit | None,
    weights: list[Weights] | None = None,
) -> JointFit:
    """Return the lights that fit best at given places, and the way that the places should go."""
    images, gradients = response(place_um)
    count, sensors = len(place_um), response.imager.sensors
    if weights is None:
        weights = _weights(response, captures, used, noise, frames, last)
    linear = _linear(response, images)
    normal, slope = np.zeros((3 * count, 3 * count)), np.zeros(3 * count)
    light, background = np.zeros((len(captures), count)), np.zeros((len(captures), sensors))
    residual, gains, cost = np.zeros_like(captures), np.zeros(count), 0.0
    for c, capture in enumerate(captures):
        inner, right = weights[c].normal_equations(linear, capture)
        inverse = np.linalg.pinv(inner, hermitian=True)
        solved = inverse @ right
        light[c], background[c] = solved[:count], solved[count:]
        residual[c] = capture - solved @ linear
        cost += 0.5 * weights[c].squared(residual[c])
        gains += 0.5 * light[c] ** 2 / np.maximum(np.diag(inverse)[:count], 1e-300)
        moved = (
            (gradients * light[c][:, None, None])
            .reshape(3 * count, response.pixels)
            .astype(np.float64)
        )
        both, towards = weights[c].normal_equations(np.concatenate([moved, linear]), residual[c])
        cross = both[: 3 * count, 3 * count :]
        normal += both[: 3 * count, : 3 * count] - cross @ inverse @ cross.T
        slope += towards[: 3 * count]
    return JointFit(place_um, light, background, weights, cost, residual, normal, slope, gains)


def _linear(response: EmitterResponse, images: Float32Array) -> Float64Array:
    """Return (emitter + sensor, pixel): what lights and backgrounds are fitted to."""
    sensors = response.imager.sensors
    ones = np.repeat(np.eye(sensors), response.pixels // sensors, axis=1)
    return np.concatenate([images.astype(np.float64), ones])


def _weights(
    response: EmitterResponse,
    captures: Float64Array,
    used: BoolArray,
    noise: NoiseModel,
    frames: int,
    last: JointFit | None,
) -> list[Weights]:
    """Return each component's weights: the noise of a frame of the mean light, and model error."""
    mean = captures[0] / np.sqrt(frames)
    parts = mean.reshape(response.imager.sensors, -1)
    low = np.array([np.percentile(part, 20) for part in parts])
    light = np.maximum((parts - low[:, None]).ravel(), 0)
    own = replace(noise, model_error=0.0).variance(light)
    errors = np.zeros_like(captures)
    if last is not None:
        errors = np.abs(last.light) @ response(last.place_um)[0]
    errors[0] = np.sqrt(frames) * light
    variances = own + (noise.model_error * errors) ** 2
    return [Weights.of(np.where(used, 1 / variance, 0.0)) for variance in variances]


def search_jointly(
    response: EmitterResponse,
    bank: FilterBank,
    captures: Float64Array,
    used: BoolArray,
    noise: NoiseModel,
    place_um: Float64Array,
    frames: int,
    most: int,
) -> JointFit:
    """Return the emitters of components, beginning with those of the mean.

    An emitter has to explain half of the penalty of the Bayesian information criterion for its
    place and for its light in each component, be lit on average, and not hang on one pixel.
    """
    used = used.copy()
    least = 0.5 * (PLACE + len(captures)) * float(np.log(used.sum()))
    fit = _pruned(
        response,
        captures,
        used,
        noise,
        frames,
        least,
        fit_jointly(response, captures, used, noise, place_um, frames),
    )
    for _ in range(ROUNDS):
        hanging = _pixels_alone(response, fit)
        if len(hanging):
            used[hanging] = False
            fit = fit_jointly(response, captures, used, noise, fit.place_um, frames)
            fit = _pruned(response, captures, used, noise, frames, least, fit)
        rise = np.zeros(())
        for c in range(len(captures)):
            bank.prepare(fit.weights[c].diagonal)
            rise = rise + bank.rise(fit.residual[c], signed=c > 0)[0]
        new = bank.places(rise, least, min(AT_ONCE, most - len(fit.place_um)))
        if len(new) == 0:
            break
        places = np.concatenate([fit.place_um, new])
        tried = fit_jointly(response, captures, used, noise, places, frames)
        tried = _pruned(response, captures, used, noise, frames, least, tried)
        better = fit.cost - tried.cost > least * (len(tried.place_um) - len(fit.place_um))
        if not better:
            break
        fit = tried
    return replace(fit, least=least)


def _pruned(
    response: EmitterResponse,
    captures: Float64Array,
    used: BoolArray,
    noise: NoiseModel,
    frames: int,
    least: float,
    fit: JointFit,
) -> JointFit:
    """Return the fit without emitters that explain too little, the weakest first."""
    while len(fit.place_um):
        gains = np.where(fit.light[0] > 0, fit.gains, 0.0)
        if gains.min() >= least:
            break
        places = np.delete(fit.place_um, int(gains.argmin()), axis=0)
        fit = fit_jointly(response, captures, used, noise, places, frames, steps=8)
    return fit


def _pixels_alone(response: EmitterResponse, fit: JointFit) -> Int64Array:
    """Return the pixels that hold most of what is known of an emitter each: hot, or bursting."""
    if len(fit.place_um) == 0:
        return np.zeros(0, np.int64)
    seen = response(fit.place_um)[0] ** 2 * fit.weights[0].diagonal
    alone = seen.max(1) > ONE_PIXEL * seen.sum(1)
    return np.asarray(seen.argmax(1)[alone], np.int64)
