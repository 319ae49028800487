r"""Maximum likelihood of emitters' places, depths and brightness, jointly, with their covariance.

A capture's mean is $m = b_s + \sum_e a_e h(x_e, y_e, z_e)$, with one background $b_s$ per sensor.
Its noise is normal, of the variance $v = v_0 + v_1 m + (\epsilon m)^2$: noise in the dark, shot
noise, and what the imager's description is wrong by at each pixel for itself. What a measured
response is wrong by at like angles, and a background that varies smoothly, are common to pixels
(`CommonError`). Steps are Gauss-Newton's with Levenberg's and Marquardt's damping; the inverse of
the last normal matrix is the covariance (Fisher information).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg

from fociscope.localization._noise import NoiseModel
from fociscope.localization._response import EmitterResponse
from fociscope.localization._weights import CommonError, Weights
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["EmitterFit", "Observation", "fit_emitters", "kept_short", "within"]

#: The longest step of a place, in um, and of a depth, as a share of the distance to a sensor.
LONGEST_UM, LONGEST_SHARE = 60.0, 0.4
#: Decrease of the negative log-likelihood at which the fit has come to rest.
REST = 1e-3
#: Steps in which the weights follow the mean; then they rest, so that the cost can.
REWEIGHTED = 6
#: Pixels beyond the middles of the outermost ones within which an emitter may lie.
BEYOND_PX = 1.5
#: Dampings that a step tries.
DAMPINGS = 8
#: Eigenvalues of a normal matrix of float32 products, as shares of the greatest, that are no more
#: than rounding.
LEAST_EIGENVALUE = 1e-7


@dataclass(frozen=True)
class Observation:
    """A capture, and what is known of its pixels.

    Attributes:
        response: Response of the pixels to emitters.
        capture: (pixel,) light, sensor by sensor.
        used: (pixel,) whether a pixel counts.
        noise: Variance by light.
        error: Errors that pixels share; None for none.
    """

    response: EmitterResponse
    capture: Float64Array
    used: BoolArray
    noise: NoiseModel
    error: CommonError | None = None

    def with_(self, **changes: Any) -> Observation:
        """Return the observation with other attributes."""
        return replace(self, **changes)

    def weights(self, light: Float64Array, common: Float64Array | None = None) -> Weights:
        """Return the weights of pixels of a mean `light`, and (sensor, pixel, column) in common."""
        return Weights.of(np.where(self.used, 1 / self.noise.variance(light), 0.0), common)


@dataclass
class EmitterFit:
    """Emitters that explain one capture.

    Attributes:
        place_um: (emitter, 3) x, y, depth.
        light: (emitter,) light that each sends into all directions.
        background: (sensor,) light per pixel.
        mean: (pixel,) what the emitters send to each pixel, without background.
        weights: Inverse covariance of the pixels; 0 where a pixel is not used.
        cost: Half of the weighted sum of squares.
        images: (emitter, pixel) images of unit light.
        gradients: (emitter, 3, pixel) their derivatives by x, y and depth.
    """

    place_um: Float64Array
    light: Float64Array
    background: Float64Array
    mean: Float64Array
    weights: Weights
    cost: float
    images: Float32Array
    gradients: Float32Array

    def residual(self, capture: Float64Array) -> Float64Array:
        """Return (pixel,): what neither emitters nor background explain."""
        background = np.repeat(self.background, len(capture) // len(self.background))
        return np.asarray(capture - self.mean - background)

    def design(self) -> Float32Array:
        """Return (parameter, pixel) derivatives of the mean.

        First by x, y and depth of each emitter, then by the lights, then by the backgrounds.
        """
        count, sensors, pixels = len(self.light), len(self.background), len(self.mean)
        rows = np.zeros((4 * count + sensors, pixels), np.float32)
        rows[: 3 * count] = (self.gradients * self.light[:, None, None].astype(np.float32)).reshape(
            3 * count, pixels
        )
        rows[3 * count : 4 * count] = self.images
        for s in range(sensors):
            rows[4 * count + s, s * pixels // sensors : (s + 1) * pixels // sensors] = 1
        return rows

    def normal(self) -> Float64Array:
        """Return the normal matrix of `design`: the Fisher information."""
        return self.weights.gram(self.design())

    @property
    def log_likelihood(self) -> float:
        """Logarithm of the likelihood, but for a constant."""
        return -self.cost - 0.5 * self.weights.log_det

    def covariance(self) -> Float64Array:
        """Return (emitter, 4, 4): the covariance of x, y, depth and light of each emitter."""
        count = len(self.light)
        normal = self.normal()
        scale = np.sqrt(np.diag(normal))  # of um, and of any unit of light
        scale[scale == 0] = 1.0  # an emitter without light says nothing of its place
        values, vectors = np.linalg.eigh(normal / np.outer(scale, scale))
        values = np.maximum(values, LEAST_EIGENVALUE * values[-1])  # of emitters at one place
        inverse = (vectors / values) @ vectors.T / np.outer(scale, scale)
        own = np.arange(count)[:, None] * np.array([3, 3, 3, 1]) + np.array([0, 1, 2, 3 * count])
        return np.asarray(inverse[own[:, :, None], own[:, None, :]])

    def gains(self) -> Float64Array:
        """Return (emitter,): the log-likelihood that is lost without each emitter.

        The others and the background then take up what they can of its light.
        """
        covariance = self.covariance()
        width = np.sqrt(np.maximum(np.einsum("eii->ei", covariance), 1e-300))
        correlation = covariance / (width[:, :, None] * width[:, None, :])
        cross = correlation[:, :3, 3:]
        place = np.linalg.pinv(correlation[:, :3, :3], hermitian=True)
        known = width[:, 3] ** 2 * (1 - (cross.swapaxes(1, 2) @ place @ cross).reshape(-1))
        return np.asarray(0.5 * self.light**2 / np.maximum(known, 1e-300))


def fit_emitters(
    seen: Observation,
    place_um: Float64Array,
    *,
    weights: Weights | None = None,
    steps: int = 30,
    held: bool = False,
) -> EmitterFit:
    """Fit emitters from the given places; the weights follow the fit's own mean.

    Args:
        seen: The capture.
        place_um: (emitter, 3) places to begin with.
        weights: Weights to begin with; by the capture without them.
        steps: Steps at most.
        held: Whether the weights stay as they are.
    """
    fit = _solved_light(seen, place_um, weights)
    if held and weights is not None:
        return _stepped_often(seen, fit, steps, 0)
    if len(place_um) == 0:
        return fit if seen.error is None else _solved_light(seen, place_um, _weights(seen, fit))
    return _stepped_often(seen, fit, steps, REWEIGHTED)


def _stepped_often(seen: Observation, fit: EmitterFit, steps: int, reweighted: int) -> EmitterFit:
    """Return the fit after some steps, in the first of which the weights follow the mean."""
    damping = 1e-3
    for step in range(steps if len(fit.light) else 0):
        if step < reweighted:
            fit.weights = _weights(seen, fit)
            fit.cost = _cost(seen.capture, fit)
        before = fit.cost
        fit, damping, moved = _stepped(seen, fit, damping)
        if not moved or before - fit.cost < REST:
            break
    return fit


def _weights(seen: Observation, fit: EmitterFit) -> Weights:
    """Return the weights that a fit's own mean implies."""
    common = None
    if seen.error is not None:
        common = seen.error.common(fit.place_um, fit.light, fit.images)
    return seen.weights(fit.mean, common)


def _solved_light(seen: Observation, place_um: Float64Array, weights: Weights | None) -> EmitterFit:
    """Return the fit of light and background at fixed places; light is not negative."""
    response, capture = seen.response, seen.capture
    sensors, count = response.imager.sensors, len(place_um)
    if weights is None:
        low = np.repeat(_low(capture, seen.used, sensors), response.pixels // sensors)
        weights = seen.weights(capture - low)
    images, gradients = response(place_um)
    zeros = np.zeros(response.pixels)
    fit = EmitterFit(
        place_um, np.zeros(count), np.zeros(sensors), zeros, weights, 0.0, images, gradients
    )
    linear = fit.design()[3 * count :].astype(np.float64)
    normal, right = weights.normal_equations(linear, capture)
    active = np.ones(len(linear), bool)
    while True:
        solved = np.zeros(len(linear))
        solved[active] = scipy.linalg.lstsq(normal[np.ix_(active, active)], right[active])[0]
        negative = (solved < 0) & (np.arange(len(linear)) < count)
        if not negative.any():
            break
        active &= ~negative
    fit.light, fit.background = solved[:count], solved[count:]
    fit.mean = _mean(fit.light, images)
    fit.cost = _cost(capture, fit)
    return fit


def _mean(light: Float64Array, images: Float32Array) -> Float64Array:
    return np.asarray(light.astype(np.float32) @ images, np.float64)


def _cost(capture: Float64Array, fit: EmitterFit) -> float:
    return 0.5 * fit.weights.squared(fit.residual(capture))


def _stepped(seen: Observation, fit: EmitterFit, damping: float) -> tuple[EmitterFit, float, bool]:
    """Return the fit after one step that lowers the cost, the damping, and whether there is one."""
    count = len(fit.light)
    normal, right = fit.weights.normal_equations(fit.design(), fit.residual(seen.capture))
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled, target = normal / np.outer(scale, scale), right / scale
    for _ in range(DAMPINGS):
        damped = scaled + damping * np.eye(len(scaled))
        try:
            delta = scipy.linalg.solve(damped, target, assume_a="pos") / scale
        except scipy.linalg.LinAlgError:  # emitters at one place, in single precision
            damping *= 6
            continue
        by_um, by_light = delta[: 3 * count].reshape(count, 3), delta[3 * count : 4 * count]
        place, light = _moved(seen.response, fit, by_um, by_light)
        images, gradients = seen.response(place)
        background = fit.background + delta[4 * count :]
        mean = _mean(light, images)
        tried = EmitterFit(place, light, background, mean, fit.weights, 0.0, images, gradients)
        tried.cost = _cost(seen.capture, tried)
        if tried.cost < fit.cost:
            return tried, max(damping / 8, 1e-9), True
        damping *= 6
    return fit, damping, False


def _moved(
    response: EmitterResponse, fit: EmitterFit, by_um: Float64Array, by_light: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return places and lights after a step, kept short and within the imager."""
    place = kept_short(response, fit.place_um, by_um)
    return place, np.maximum(fit.light + by_light, 0.1 * fit.light)


def kept_short(
    response: EmitterResponse, place_um: Float64Array, by_um: Float64Array
) -> Float64Array:
    """Return (emitter, 3) places after a step, kept short and within the imager."""
    depth = place_um[:, 2]
    from_b = response.imager.gap_um - depth
    room = depth if response.imager.sensors < 2 else np.minimum(depth, from_b)
    place = place_um + np.clip(by_um, -LONGEST_UM, LONGEST_UM)
    limit = np.maximum(LONGEST_SHARE * room, 5.0)
    place[:, 2] = depth + np.clip(by_um[:, 2], -limit, limit)
    return within(response, place)


def within(response: EmitterResponse, place_um: Float64Array) -> Float64Array:
    """Return (emitter, 3) places, moved to where emitters can be."""
    pitch = np.array(response.imager.pitch_um[::-1])
    low, high = response.depth_range_um
    edge = (np.array(response.frame_px[::-1]) - 1 + BEYOND_PX) * pitch
    return np.clip(place_um, [*(-BEYOND_PX * pitch), low], [*edge, high])


def _low(capture: Float64Array, used: BoolArray, sensors: int) -> Float64Array:
    """Return a low percentile of each sensor's pixels: the background where emitters are few."""
    parts = zip(capture.reshape(sensors, -1), used.reshape(sensors, -1), strict=True)
    return np.array([np.percentile(part[ok], 20) if ok.any() else 0.0 for part, ok in parts])
