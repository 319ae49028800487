r"""Where another emitter would explain most: a matched filter bank over depth.

For an emitter at a pixel's middle and a depth of the bank, with the background fitted beside it,
the log-likelihood rises by

$$ \frac{1}{2} \frac{\left(\sum w r h'\right)^2}{\sum w h'^2}, $$

with residuals $r$, weights $w$, and the emitter's image $h'$ less its weighted mean on each sensor.
All of it are correlations, by FFT.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from fociscope.localization._response import EmitterResponse
from fociscope.localization._weights import Weights
from fociscope.typing import Float32Array, Float64Array

Complex64Array = NDArray[np.complex64]

__all__ = ["FilterBank"]

#: Depths of the bank: neighbours' images overlap by some 95 %.
RATIO = 1.35
#: Candidates of one round lie apart by as many pixels, and explain at least a share of the best.
APART_PX, SHARE = 5, 0.3


class FilterBank:
    """Matched filters of an imager, over depth."""

    def __init__(self, response: EmitterResponse) -> None:
        """Take the images of emitters in the middle of a pixel, at depths of the bank."""
        self.response = response
        height, width = response.frame_px
        self.depth_um = _depths(response)
        self._shape = tuple(
            scipy.fft.next_fast_len(2 * side, real=True) for side in (height, width)
        )
        pitch_y, pitch_x = response.imager.pitch_um
        wide = response.widened()
        middle = (width - 1) * pitch_x, (height - 1) * pitch_y
        places = np.array([[*middle, depth] for depth in self.depth_um])
        images = wide(places)[0].reshape(len(places), -1, *wide.frame_px)
        self._h = self._spectra(images)
        self._h2 = self._spectra(images**2)

    def _spectra(self, images: Float32Array) -> Complex64Array:
        """Return conjugate spectra of images whose emitter is moved to pixel (0, 0)."""
        height, width = self.response.frame_px
        padded = np.zeros((*images.shape[:-2], *self._shape), np.float32)
        padded[..., : 2 * height - 1, : 2 * width - 1] = images
        padded = np.roll(padded, (1 - height, 1 - width), axis=(-2, -1))
        return np.asarray(np.conj(scipy.fft.rfft2(padded)))

    def _correlated(self, spectra: Complex64Array, images: Float64Array) -> Float32Array:
        """Return (depth, sensor, y, x): the correlation of images (sensor, y, x) with a bank."""
        transformed = scipy.fft.rfft2(images.astype(np.float32), s=self._shape)
        return self._inverse(spectra * transformed)

    def _inverse(self, spectra: Complex64Array) -> Float32Array:
        """Return the images (..., y, x) of spectra, on the frame."""
        height, width = self.response.frame_px
        # The second axis is transformed on the frame's rows alone.
        rows = scipy.fft.ifft(spectra, axis=-2)[..., :height, :]
        return np.asarray(scipy.fft.irfft(rows, n=self._shape[1], axis=-1)[..., :width])

    def prepare(self, weight: Float64Array, beside: Weights | None = None) -> None:
        """Take the weights that hold for the rounds to come.

        Args:
            weight: (pixel,) those of the pixels' own errors.
            beside: Weights that hold common errors, too; what these leave of an emitter in the
                middle of the frame, they are taken to leave everywhere.
        """
        height, width = self.response.frame_px
        self._weight = weight.reshape(-1, height, width)
        self._total = np.maximum(self._weight.sum((-2, -1)), 1e-300)
        self._wh = self._correlated(self._h, self._weight)
        transformed = scipy.fft.rfft2(self._weight.astype(np.float32), s=self._shape)
        own = self._inverse((self._h2 * transformed).sum(1))
        self._energy = own - (self._wh**2 / self._total[:, None, None]).sum(1)
        if beside is not None:
            self._energy *= self._left_by(beside)[:, None, None]

    def _left_by(self, weights: Weights) -> Float32Array:
        """Return (depth,): the share of an emitter's information that common errors leave."""
        height, width = self.response.frame_px
        pitch_y, pitch_x = self.response.imager.pitch_um
        middle = (width // 2) * pitch_x, (height // 2) * pitch_y
        images = self.response(np.array([[*middle, depth] for depth in self.depth_um]))[0]
        parts = images.reshape(len(images), -1, height * width).astype(np.float64)
        own = weights.diagonal.reshape(parts.shape[1:])
        mean = (parts * own).sum(-1) / np.maximum(own.sum(-1), 1e-300)
        parts = (parts - mean[:, :, None]).reshape(len(images), -1)
        alone = (parts**2) @ weights.diagonal
        left = np.array([weights.squared(part) for part in parts])
        return np.asarray(np.clip(left / np.maximum(alone, 1e-300), 1e-3, 1.0), np.float32)

    def rise(
        self, residual: Float64Array, *, signed: bool = False
    ) -> tuple[Float64Array, Float64Array]:
        """Return (depth, y, x): rise of the log-likelihood, and the light of such an emitter.

        The light is not negative unless it is `signed`.
        """
        height, width = self.response.frame_px
        weighted = self._weight * residual.reshape(-1, height, width)
        transformed = scipy.fft.rfft2(weighted.astype(np.float32), s=self._shape)
        seen = self._inverse((self._h * transformed).sum(1))
        mean = weighted.sum((-2, -1)) / self._total
        projected = seen - np.einsum("dsyx,s->dyx", self._wh, mean)
        energy = np.maximum(self._energy, 1e-3 * self._energy.max((-2, -1), keepdims=True))
        light = (projected if signed else np.maximum(projected, 0)) / energy
        return 0.5 * light**2 * energy, light

    def candidates(self, residual: Float64Array, least: float, most: int) -> Float64Array:
        """Return (candidate, 3) places, the best first: each explains more than `least`."""
        return self.places(self.rise(residual)[0], least, most)

    def places(self, rise: Float64Array, least: float, most: int) -> Float64Array:
        """Return (candidate, 3) places where a rise (depth, y, x) is highest, the best first."""
        best_depth = rise.argmax(0)
        best = rise.max(0)
        found: list[list[float]] = []
        bound = max(least, SHARE * float(best.max()))
        pitch_y, pitch_x = self.response.imager.pitch_um
        while len(found) < most:
            y, x = np.unravel_index(best.argmax(), best.shape)
            if best[y, x] < bound:
                break
            found.append([x * pitch_x, y * pitch_y, self._between(rise[:, y, x], best_depth[y, x])])
            best = best.copy()
            best[
                max(0, y - APART_PX) : y + APART_PX + 1, max(0, x - APART_PX) : x + APART_PX + 1
            ] = -1
        return np.array(found).reshape(-1, 3)

    def _between(self, rise: Float64Array, at: int) -> float:
        """Return the depth where a parabola through the best and its neighbours is highest."""
        if at in (0, len(rise) - 1):
            return float(self.depth_um[at])
        left, middle, right = rise[at - 1 : at + 2]
        bend = left - 2 * middle + right
        shift = 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))
        step = self.depth_um[at + 1] if shift > 0 else self.depth_um[at - 1]
        return float(self.depth_um[at] + abs(shift) * (step - self.depth_um[at]))


def _depths(response: EmitterResponse) -> Float64Array:
    """Return depths whose distances from the nearer sensor grow by a ratio."""
    low, high = response.depth_range_um
    low = max(low, 25.0)
    if response.imager.sensors < 2:
        count = int(np.ceil(np.log(high / low) / np.log(RATIO))) + 1
        return np.geomspace(low, high, count)
    gap = response.imager.gap_um
    half = np.geomspace(low, gap / 2, int(np.ceil(np.log(gap / 2 / low) / np.log(RATIO))) + 1)
    return np.concatenate([half, (gap - half[:-1])[::-1]])
