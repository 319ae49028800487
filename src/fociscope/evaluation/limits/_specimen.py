"""What is known of a specimen before it is seen: mean and covariance of the emitted light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft2, next_fast_len, rfft2

from fociscope.typing import Float64Array

__all__ = ["SpecimenStatistics"]


@dataclass(frozen=True)
class SpecimenStatistics:
    """Second-order statistics of layers: stationary, and the same in mirror images.

    The covariance of two pixels depends on their distance in y and in x. It is kept as the power of
    a periodic field on a grid so large that no two pixels of the frame meet around its edge.
    """

    mean: float
    """Of the light of a pixel."""
    power: Float64Array
    """(2 y - 1, 2 x - 1) at the frequencies of `numpy.fft.fft2`; its mean is a pixel's variance."""

    @classmethod
    def from_layers(cls, layers: ArrayLike) -> SpecimenStatistics:
        """Measure layers.

        The covariance at each distance is the mean over all pairs of pixels that are so far apart.
        Chance can make it one that no field has; frequencies of negative power then get none.

        Args:
            layers: (..., y, x) emitted light.

        Raises:
            ValueError: fewer than two axes, or no pixels.
        """
        light = np.asarray(layers, dtype=np.float64)
        if light.ndim < 2 or light.size == 0:
            raise ValueError(f"statistics need layers (..., y, x); got {light.shape}")
        frame = light.shape[-2:]
        light = light.reshape(-1, *frame)
        mean = float(light.mean())
        grid = (2 * frame[0] - 1, 2 * frame[1] - 1)
        products = np.zeros(grid)
        for layer in light:
            products += np.abs(np.fft.fft2(layer - mean, grid)) ** 2
        pairs = [n - np.abs(np.fft.fftfreq(2 * n - 1, 1 / (2 * n - 1))) for n in frame]
        covariance = np.fft.ifft2(products / len(light)).real / np.outer(*pairs)
        # Specimens have no preferred direction: their mirror images are as likely.
        covariance = (covariance + np.roll(covariance[:, ::-1], 1, axis=1)) / 2
        return cls(mean, np.maximum(np.fft.fft2(covariance).real, 0.0))

    @property
    def frame_px(self) -> tuple[int, int]:
        """(y, x) of the layers."""
        return (self.power.shape[0] + 1) // 2, (self.power.shape[1] + 1) // 2

    @property
    def variance(self) -> float:
        """Of the light of a pixel."""
        return float(self.power.mean())

    @property
    def covariance(self) -> Float64Array:
        """(2 y - 1, 2 x - 1) of two pixels by their distance, as `numpy.fft` orders distances."""
        return np.asarray(np.fft.ifft2(self.power).real)

    def covariance_times(self, images: Float64Array) -> Float64Array:
        """Return (..., y, x): the covariance matrix applied to images (..., y, x)."""
        height, width = self.frame_px
        # Twice a frame less one is often prime, for which a Fourier transform takes long.
        grid = [int(next_fast_len(n, real=True)) for n in self.power.shape]
        lags = [np.arange(n) - n // 2 for n in self.power.shape]
        kernel = np.zeros(grid)
        kernel[np.ix_(*lags)] = self.covariance[np.ix_(*lags)]
        spectrum = rfft2(images, grid) * rfft2(kernel)
        return np.asarray(irfft2(spectrum, grid)[..., :height, :width])
