"""The camera: photons -> counts and back, with the noise in the order in which light meets it."""

from __future__ import annotations

import math
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from fociscope.configuration import Configuration

__all__ = ["Camera"]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Camera(Configuration):
    """One sensor's electronics.

    The defaults are an assumption: they hold 50 dB of peak SNR within half of the full well, and
    their read noise plays no part at 40 dB. The sibling chip's noise floor is known in volts only
    (2.2 mV rms, PMC9199368).
    """

    quantum_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.5
    exposure_s: Positive = 0.05
    dark_current_e_per_s: NotNegative = 200.0
    read_noise_e: NotNegative = 15.0
    full_well_e: Positive = 200_000.0
    gain_e_per_count: Positive = 4.0
    black_level_counts: NotNegative = 100.0
    adc_bits: Annotated[int, Field(ge=4, le=24)] = 16

    @model_validator(mode="after")
    def _has_room_for_light(self) -> Self:
        if self._room_e() <= 0:
            raise ValueError(
                "the dark current fills the well, or the black level the converter: "
                "no room is left for light"
            )
        return self

    def _room_e(self) -> float:
        """Electrons of light until the well or the converter is full."""
        converter_e = (self.largest_count - self.black_level_counts) * self.gain_e_per_count
        return min(self.full_well_e, converter_e) - self.dark_e

    @property
    def dark_e(self) -> float:
        """Mean electrons of dark current per exposure."""
        return self.dark_current_e_per_s * self.exposure_s

    @property
    def floor_variance_e2(self) -> float:
        """Variance of the noise in the dark: dark shot noise, read noise and rounding, in e^2."""
        return self.dark_e + self.read_noise_e**2 + self.gain_e_per_count**2 / 12

    @property
    def largest_count(self) -> int:
        """The count at which the converter saturates."""
        return int(2**self.adc_bits - 1)

    def expose(self, photons: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Turn the mean number of photons that reach each pixel into counts.

        Args:
            photons: (...) per exposure, not negative.
            generator: source of the noise; without one, torch's global generator.

        Returns:
            (...) whole counts as float32, from 0 to `largest_count`.
        """
        mean_e = photons * self.quantum_efficiency + self.dark_e
        electrons = torch.poisson(mean_e, generator=generator).clamp_(max=self.full_well_e)
        if self.read_noise_e > 0:
            read = torch.empty_like(electrons).normal_(generator=generator)
            electrons = electrons + self.read_noise_e * read
        counts = torch.round(electrons / self.gain_e_per_count + self.black_level_counts)
        return counts.clamp_(0, self.largest_count)

    def photons(self, counts: Tensor) -> Tensor:
        """Estimate the photons behind counts: unbiased below saturation, negative by noise."""
        electrons = (counts - self.black_level_counts) * self.gain_e_per_count - self.dark_e
        return electrons / self.quantum_efficiency

    def peak_photons(self, peak_snr_db: Tensor | float) -> Tensor:
        """Return the photons in the brightest pixel that give a peak SNR.

        Peak SNR is 20 log10(peak / standard deviation of the noise at the peak). With N electrons
        and the dark variance v it is N / sqrt(N + v), which is solved for N.
        """
        snr2 = torch.as_tensor(10.0, dtype=torch.float32) ** (torch.as_tensor(peak_snr_db) / 10)
        electrons = (snr2 + torch.sqrt(snr2**2 + 4 * snr2 * self.floor_variance_e2)) / 2
        return electrons / self.quantum_efficiency

    def highest_peak_snr_db(self) -> float:
        """Return the peak SNR of a pixel that fills the well or the converter."""
        electrons = self._room_e()
        return 20 * math.log10(electrons / math.sqrt(electrons + self.floor_variance_e2))

    def at_peak_snr(
        self,
        light: Tensor,
        peak_snr_db: Tensor | float,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Expose images so that each reaches a peak SNR, and return them in the units they came in.

        Args:
            light: (..., y, x) noise-free captures in any unit.
            peak_snr_db: a number, or one per image (...).
            generator: source of the noise.

        Returns:
            (..., y, x) noisy captures in the units of `light`; an image without light is
            exposed as if its peak were 1, and holds noise alone.
        """
        peak = light.amax(dim=(-2, -1), keepdim=True)
        peak = torch.where(peak > 0, peak, torch.ones_like(peak))
        level = self.peak_photons(peak_snr_db).to(light)
        level = level.reshape(*level.shape, 1, 1) if level.ndim else level
        scale = level / peak
        return self.photons(self.expose(light * scale, generator=generator)) / scale
