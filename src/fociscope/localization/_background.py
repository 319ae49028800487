r"""A background that varies smoothly: tissue that glows unevenly, stray light, haze.

On each sensor it is a Gaussian process around a constant, of deviation $\tau$ and length $\ell$,

$$ \langle b(p)\, b(q) \rangle = \tau^2 \left(1 + |p - q|^2 / \ell^2\right)^{-3/2} , $$

by cosines $\phi_k$ of waves $\omega_k$, whose coefficients are independent, of variances
$\propto \tau^2 e^{-\omega_k \ell}$ (Solin and Sarkka, Stat. Comput. 30:419-446, 2020). $\tau$ and
$\ell$ are those with which the capture, less its emitters, is most likely.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from fociscope.errors import ImagerError
from fociscope.imager import Imager
from fociscope.localization._weights import CommonError
from fociscope.typing import Float32Array, Float64Array

__all__ = ["Haze", "SmoothBackground"]

#: Lengths that are tried, in units of the finest.
LENGTHS = 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0, 9.0, 13.0
#: Factor from one variance that is tried to the next.
VARIANCE_STEP = 2.0
#: Rise of the log-likelihood below which a prior is as good as another.
LEAST_RISE = 0.1
#: The finest length in pixels, functions of a sensor at most, and waves in units of 1 / finest.
FINEST_PX, MOST_FUNCTIONS, HIGHEST = 2.0, 400, 3.7
#: Pixels of a frame at most: some 2 GB.
LARGEST_PX = 2**16
#: The frame is widened by so many of the finest length on each side, so that its edges are free.
MARGIN = 1.0
#: Functions of which the capture knows less than this share are left out of the weights.
LEAST_KNOWN = 0.1


@dataclass(frozen=True)
class Haze(CommonError):
    """A background that was found.

    Attributes:
        mean: (pixel,) its most likely light, less a constant of each sensor, sensor by sensor.
        priors: Of each sensor, what its light is taken to vary by.
        columns: (sensor, pixel, column) functions times the deviations of their coefficients.
    """

    mean: Float64Array
    priors: tuple[_Prior, ...]
    columns: Float64Array

    def common(
        self, place_um: Float64Array, light: Float64Array, images: Float32Array
    ) -> Float64Array:
        """Return (sensor, pixel, column), whatever the emitters."""
        return self.columns


@dataclass(frozen=True)
class _Prior:
    """Variance of a background's light, and the number of its length among those tried."""

    variance: float
    length: int

    def neighbours(self) -> list[_Prior]:
        """Return priors that differ in one step of one or of both."""
        return [
            _Prior(self.variance * VARIANCE_STEP**more, self.length + longer)
            for longer in (-1, 0, 1)
            for more in (-1, 0, 1)
            if 0 <= self.length + longer < len(LENGTHS)
        ]


class SmoothBackground:
    """Backgrounds of the frames of an imager's sensors."""

    def __init__(self, imager: Imager, frame_px: tuple[int, int]) -> None:
        """Take the functions of frames of `frame_px` (y, x) pixels.

        Raises:
            ImagerError: If a frame has more than `LARGEST_PX` pixels.
        """
        if math.prod(frame_px) > LARGEST_PX:
            raise ImagerError(
                f"a smooth background is found in frames of at most {LARGEST_PX} pixels, and these "
                f"have {frame_px[0]} x {frame_px[1]}; crop them, or bin their pixels"
            )
        pitch = np.array(imager.pitch_um)
        sides = pitch * frame_px
        finest = FINEST_PX * float(pitch.max())
        needed = math.pi / 4 * np.prod((sides + 2 * MARGIN * finest) * HIGHEST / math.pi / finest)
        finest *= max(1.0, math.sqrt(needed / MOST_FUNCTIONS))
        self.lengths_um = finest * np.array(LENGTHS)
        wide = sides + 2 * MARGIN * finest
        waves = [np.arange(math.ceil(HIGHEST / finest * side / math.pi) + 1) for side in wide]
        along = [
            np.cos(np.pi * np.outer((np.arange(n) + 0.5) * p + MARGIN * finest, wave) / side)
            for n, p, wave, side in zip(frame_px, pitch, waves, wide, strict=True)
        ]
        squared = np.add.outer(*((np.pi * w / s) ** 2 for w, s in zip(waves, wide, strict=True)))
        kept = (squared <= (HIGHEST / finest) ** 2) & (squared > 0)  # a constant is free beside it
        self._functions = np.einsum("ya,xb->yxab", *along)[:, :, kept].reshape(-1, kept.sum())
        # A function that is 0 along an axis has twice the mean square of the others.
        self._twice = np.multiply.outer(*(np.where(w == 0, 1.0, 2.0) for w in waves))[kept]
        self._waves = np.sqrt(squared[kept])
        self._mean_square = (self._functions**2).mean(0)
        self._sensors = imager.sensors

    def fitted(self, light: Float64Array, weight: Float64Array, known: Haze | None = None) -> Haze:
        """Return the background of light without emitters.

        Args:
            light: (pixel,) light, sensor by sensor, less that of the emitters known.
            weight: (pixel,) 1 / variance of its noise; 0 where a pixel does not count.
            known: A background that is close; None for none.
        """
        parts = []
        images = light.reshape(self._sensors, -1)
        for s, (image, its) in enumerate(
            zip(images, weight.reshape(self._sensors, -1), strict=True)
        ):
            data = _Data.of(self._functions, image, its)
            start = _Prior(data.variance, len(LENGTHS) // 2) if known is None else known.priors[s]
            parts.append((data, self._likeliest(data, start)))
        columns = [self._columns(*part) for part in parts]
        most = max(one.shape[1] for one in columns)
        padded = [np.pad(one, ((0, 0), (0, most - one.shape[1]))) for one in columns]
        mean = np.concatenate([self._mean(*part) for part in parts])
        return Haze(mean, tuple(prior for _, prior in parts), np.stack(padded))

    def _shares(self, prior: _Prior) -> Float64Array:
        """Return (function,) variances of the coefficients."""
        share = self._twice * np.exp(-self._waves * self.lengths_um[prior.length])
        return np.asarray(prior.variance * share / (self._mean_square @ share))

    def _likeliest(self, data: _Data, start: _Prior) -> _Prior:
        """Return the prior that the data are most likely with, step by step from another."""
        tried = {start: data.likelihood(self._shares(start))}
        best = start
        while True:
            for prior in best.neighbours():
                if prior not in tried:
                    tried[prior] = data.likelihood(self._shares(prior))
            next_best = max(tried, key=tried.__getitem__)
            if tried[next_best] < tried[best] + LEAST_RISE:
                return best
            best = next_best

    def _mean(self, data: _Data, prior: _Prior) -> Float64Array:
        """Return (pixel,) the most likely light, less a constant."""
        mean = self._functions @ data.solved(self._shares(prior))
        return np.asarray(mean - mean.mean())

    def _columns(self, data: _Data, prior: _Prior) -> Float64Array:
        """Return (pixel, column): functions times the deviations of their coefficients."""
        shares = self._shares(prior)
        seen = shares * np.diag(data.normal) > LEAST_KNOWN
        return np.asarray(self._functions[:, seen] * np.sqrt(shares[seen]))


@dataclass(frozen=True)
class _Data:
    """What one image says of the coefficients of functions, a constant beside them.

    Attributes:
        normal: (function, function) weighted products of the functions.
        right: (function,) those with the image.
        variance: The image's own.
    """

    normal: Float64Array
    right: Float64Array
    variance: float

    @classmethod
    def of(cls, functions: Float64Array, image: Float64Array, weight: Float64Array) -> _Data:
        """Take (pixel, function) functions, (pixel,) an image, and its weights."""
        total = max(float(weight.sum()), 1e-300)
        rooted = functions * np.sqrt(weight)[:, None]
        constant = functions.T @ weight
        mean = float(weight @ image) / total
        of_constant = constant / math.sqrt(total)  # squares of weights may be no numbers
        normal = rooted.T @ rooted - np.outer(of_constant, of_constant)
        right = functions.T @ (weight * image) - constant * mean
        return cls(normal, right, float(weight @ (image - mean) ** 2) / total)

    def likelihood(self, shares: Float64Array) -> float:
        """Return the logarithm of the likelihood, but for a constant."""
        root, factor = self._factor(shares)
        along = scipy.linalg.solve_triangular(factor, root * self.right, lower=True)
        return float(0.5 * along @ along - np.log(np.diag(factor)).sum())

    def solved(self, shares: Float64Array) -> Float64Array:
        """Return (function,) the most likely coefficients."""
        root, factor = self._factor(shares)
        return np.asarray(root * scipy.linalg.cho_solve((factor, True), root * self.right))

    def _factor(self, shares: Float64Array) -> tuple[Float64Array, Float64Array]:
        root = np.sqrt(shares)
        inner = root[:, None] * self.normal * root
        inner[np.diag_indices_from(inner)] += 1.0
        return root, scipy.linalg.cholesky(inner, lower=True)
