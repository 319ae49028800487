"""The spectrum of a specimen's light: what is known of layers before they are seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from fociscope.simulation.frame import DrawnFrame
from fociscope.typing import Float64Array

if TYPE_CHECKING:
    from fociscope.simulation import Specimen

__all__ = ["LightSpectrum", "light_spectrum"]

#: The frame that is drawn: fine against any pixel, and wide against foci.
PITCH_UM, SIDE_PX, SCENES, LAYERS, SEED = 20.0, 192, 12, 4, 0
#: Orders of aliases that are folded back.
ALIASES = (-2, -1, 0, 1, 2)


@dataclass(frozen=True)
class LightSpectrum:
    """The mean and the radial power spectrum of the light that a layer emits.

    Attributes:
        mean: Mean light.
        frequency: Frequencies in cycles per um, (frequency,).
        power: Spectral density in um^2, (frequency,); its integral over the plane of frequencies is
            the variance.
        log_contrast_std: Standard deviation, among layers, of the logarithm of the light's standard
            deviation within a layer: how well a layer's brightness is known beforehand.
    """

    mean: float
    frequency: Float64Array
    power: Float64Array
    log_contrast_std: float

    def on_pixels(self, pitch_um: float, frame_px: tuple[int, int]) -> Float64Array:
        r"""Return the spectrum of the light of pixels, of which each is the mean over its area.

        With the pitch $p$, frequencies $f$ per pixel and spectral density $P$,
        $S(f) = \sum_k P\big(\tfrac{f + k}{p}\big) \operatorname{sinc}^2(f_y + k_y)
        \operatorname{sinc}^2(f_x + k_x) / p^2$.

        Args:
            pitch_um: Side of a square pixel.
            frame_px: (y, x) pixels.

        Returns:
            (y, x / 2 + 1) in the order of `numpy.fft.rfft2`; its mean over the whole grid is the
            variance of a pixel.
        """
        rows = np.fft.fftfreq(frame_px[0])[:, None]
        columns = np.fft.rfftfreq(frame_px[1])[None]
        total = np.zeros((rows.size, columns.size))
        for k, m in product(ALIASES, ALIASES):
            y, x = rows + k, columns + m
            radial = np.interp(np.hypot(y, x) / pitch_um, self.frequency, self.power, right=0.0)
            total += radial * (np.sinc(y) * np.sinc(x)) ** 2
        return total / pitch_um**2


@lru_cache(maxsize=8)
def light_spectrum(specimen: Specimen) -> LightSpectrum:
    """Measure the spectrum of a specimen on layers drawn from it; it takes a second, once.

    Args:
        specimen: Kind of specimen.

    Returns:
        The spectrum.
    """
    frame = DrawnFrame((SIDE_PX, SIDE_PX), pixel_pitch_um=PITCH_UM)
    drawn = np.concatenate(
        [
            specimen.draw_scene(np.random.default_rng([SEED, n]), LAYERS, frame).light
            for n in range(SCENES)
        ]
    ).astype(np.float64)
    mean = float(drawn.mean())
    # A window, so that the frame's edges do not leak into high frequencies.
    window = np.hanning(SIDE_PX + 2)[1:-1]
    taper = np.outer(window, window) / np.sqrt(np.mean(np.outer(window, window) ** 2))
    power = (np.abs(np.fft.fft2((drawn - mean) * taper)) ** 2).mean(axis=0)
    power *= (PITCH_UM / SIDE_PX) ** 2
    own = np.fft.fftfreq(SIDE_PX, PITCH_UM)
    radius = np.hypot(own[:, None], own[None])
    step = 1 / (SIDE_PX * PITCH_UM)
    ring = np.rint(radius / step).astype(int)
    rings = SIDE_PX // 2
    inside = ring <= rings
    count = np.bincount(ring[inside], minlength=rings + 1)
    radial = np.bincount(ring[inside], power[inside], rings + 1) / count
    at = np.bincount(ring[inside], radius[inside], rings + 1) / count
    contrast = np.log(drawn.std(axis=(-2, -1)))
    return LightSpectrum(mean, at, radial, float(contrast.std()))
