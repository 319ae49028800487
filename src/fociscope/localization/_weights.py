r"""The weights of pixels whose errors belong together: the inverse of their covariance.

A chip's measured response is wrong in the same way for pixels that an emitter lights at like
angles. With $\rho$ that falls with the angle between two directions,

$$ K = \operatorname{diag}(v) + \sum_e (\sigma a_e h_e)(\sigma a_e h_e)^T \circ \rho, \qquad
   \rho(u, u') = e^{-|u - u'|^2 / 2 \ell^2} . $$

A few hundred directions over the hemisphere stand for all of them (subset of regressors:
Quinonero-Candela and Rasmussen, J. Mach. Learn. Res. 6:1939, 2005), $K = V + F F^T$, so that

$$ K^{-1} = W - G G^T, \qquad W = V^{-1}, \quad G = W F L^{-T}, \quad L L^T = 1 + F^T W F . $$
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from fociscope.imager import Imager
from fociscope.typing import Float32Array, Float64Array

__all__ = ["CommonError", "ResponseError", "Together", "Weights"]

#: Added to the directions' own correlations, which are close to singular.
JITTER = 1e-6


@dataclass(frozen=True)
class Weights:
    """The inverse of the pixels' covariance.

    Attributes:
        diagonal: (pixel,) 1 / variance of a pixel's own error; 0 where it is not used.
        factor: (sensor, pixel, column) what the common errors take from it; None without any.
        log_det: Logarithm of the determinant of the covariance of the pixels in use.
    """

    diagonal: Float64Array
    factor: Float64Array | None
    log_det: float

    @classmethod
    def of(cls, diagonal: Float64Array, common: Float64Array | None = None) -> Weights:
        """Return the weights of pixels.

        Args:
            diagonal: (pixel,) weights of the pixels' own errors.
            common: (sensor, pixel, column) common errors; None for none.
        """
        log_det = -float(np.log(diagonal[diagonal > 0]).sum())
        if common is None or common.shape[-1] == 0:
            return cls(diagonal, None, log_det)
        weights = diagonal.reshape(len(common), -1)
        factor = np.empty_like(common)
        for errors, weight, out in zip(common, weights, factor, strict=True):
            weighted = weight[:, None] * errors
            inner = scipy.linalg.cholesky(
                np.eye(errors.shape[1]) + errors.T @ weighted, lower=True, overwrite_a=True
            )
            out[:] = scipy.linalg.solve_triangular(inner, weighted.T, lower=True).T
            log_det += 2 * float(np.log(np.diag(inner)).sum())
        return cls(diagonal, factor, log_det)

    def applied(self, pixels: Float64Array) -> Float64Array:
        """Return (pixel,): the weights times an image."""
        weighted = self.diagonal * pixels
        if self.factor is not None:
            images = pixels.reshape(len(self.factor), -1, 1)
            common = self.factor @ (self.factor.swapaxes(1, 2) @ images)
            weighted = weighted - common.reshape(-1)
        return np.asarray(weighted)

    def squared(self, pixels: Float64Array) -> float:
        """Return the weighted sum of squares of an image."""
        total = float(self.diagonal @ pixels**2)
        if self.factor is not None:
            images = pixels.reshape(len(self.factor), -1, 1)
            total -= float(((self.factor.swapaxes(1, 2) @ images) ** 2).sum())
        return total

    def gram(self, rows: Float32Array | Float64Array) -> Float64Array:
        """Return (row, row): the weighted products of images (row, pixel)."""
        return self.normal_equations(rows, np.zeros(len(self.diagonal)))[0]

    def normal_equations(
        self, rows: Float32Array | Float64Array, pixels: Float64Array
    ) -> tuple[Float64Array, Float64Array]:
        """Return (row, row) and (row,): the weighted products of images, and those with another."""
        if self.factor is None:
            root = np.sqrt(self.diagonal)
            rooted = rows * root.astype(rows.dtype)
            right = rooted @ (root * pixels).astype(rows.dtype)
            # Of one matrix: half the products.
            return np.asarray(rooted @ rooted.T, np.float64), np.asarray(right, np.float64)
        exact = rows.astype(np.float64)
        normal = (exact * self.diagonal) @ exact.T
        parts = exact.reshape(len(exact), len(self.factor), -1).swapaxes(0, 1)
        for common in parts @ self.factor:
            normal -= common @ common.T
        return normal, exact @ self.applied(pixels)


class CommonError:
    """Errors that pixels share."""

    def common(
        self, place_um: Float64Array, light: Float64Array, images: Float32Array
    ) -> Float64Array:
        """Return (sensor, pixel, column): what a standard deviation of each is on the pixels.

        Args:
            place_um: (emitter, 3) x, y, depth.
            light: (emitter,) light.
            images: (emitter, pixel) images of unit light, sensor by sensor.
        """
        raise NotImplementedError


class Together(CommonError):
    """Errors of several kinds."""

    def __init__(self, *parts: CommonError) -> None:
        """Take the kinds."""
        self._parts = parts

    def common(
        self, place_um: Float64Array, light: Float64Array, images: Float32Array
    ) -> Float64Array:
        """Return (sensor, pixel, column) of all kinds."""
        return np.concatenate([p.common(place_um, light, images) for p in self._parts], axis=-1)


class ResponseError(CommonError):
    """The errors of a measured response, alike where an emitter lights pixels at like angles."""

    def __init__(self, imager: Imager, frame_px: tuple[int, int]) -> None:
        """Take the size of the errors, and the angle within which they are alike, from the PSF."""
        self._imager = imager
        self.share, angle_deg = imager.psf.response_error
        self._width = math.radians(angle_deg)
        self._pixels_um = imager.with_(frame_px=frame_px).pixel_centres_um().reshape(-1, 2)
        self._directions = _hemisphere(self._width)
        own = _alike(self._directions, self._directions, self._width)
        own[np.diag_indices_from(own)] += JITTER
        self._inverse = scipy.linalg.inv(scipy.linalg.cholesky(own, lower=True)).T

    def common(
        self, place_um: Float64Array, light: Float64Array, images: Float32Array
    ) -> Float64Array:
        """Return (sensor, pixel, column): the common errors of the light of emitters."""
        sensors, pixels = self._imager.sensors, len(self._pixels_um)
        columns = len(self._directions)
        out = np.zeros((sensors, pixels, len(light), columns))
        for s in range(sensors):
            shift = np.array(self._imager.registration.shift_um if s else (0.0, 0.0))
            depth = self._imager.gap_um - place_um[:, 2] if s else place_um[:, 2]
            for e in range(len(light)):
                across = self._pixels_um - (place_um[e, 1::-1] + shift)
                ray = np.column_stack([across, np.full(pixels, depth[e])])
                ray /= np.linalg.norm(ray, axis=1, keepdims=True)
                functions = _alike(ray, self._directions, self._width) @ self._inverse
                error = self.share * light[e] * images[e].reshape(sensors, pixels)[s]
                out[s, :, e] = error[:, None] * functions
        return out.reshape(sensors, pixels, len(light) * columns)


def _alike(one: Float64Array, other: Float64Array, width: float) -> Float64Array:
    """Return the correlation of the errors at directions (n, 3) and (m, 3)."""
    squared = np.maximum(2 - 2 * one @ other.T, 0)
    return np.asarray(np.exp(-squared / (2 * width**2)))


def _hemisphere(apart: float) -> Float64Array:
    """Return (direction, 3) unit vectors, evenly spread by a Fibonacci lattice."""
    count = max(8, math.ceil(2 * math.pi / apart**2))
    height = (np.arange(count) + 0.5) / count
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.sin(turn), flat * np.cos(turn), height], 1)
