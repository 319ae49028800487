"""The camera: photons -> counts and back, with the noise in the order in which light meets it."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ImagerError
from fociscope.imager.fixed_pattern import FixedPattern, draw_fixed_pattern

__all__ = ["Camera"]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Camera(Configuration):
    r"""The electronics of one sensor: photons to counts, with the noise in the order of the light.

    With a quantum efficiency $q$, $N$ photons and the dark variance $v$ of `floor_variance_e2`, the
    signal-to-noise ratio of a pixel is

    $$ \mathrm{SNR} = \frac{q N}{\sqrt{q N + v}}. $$

    The defaults are an assumption: they hold 50 dB of peak SNR within half of the full well, and
    their read noise is negligible at 40 dB. The sibling chip's noise floor is published in volts
    only (2.2 mV rms, PMC9199368). All pixels are alike unless the fields of the fixed pattern
    differ from 0; `fixed_pattern` draws one, and `expose` takes it.

    Examples:
        >>> import torch
        >>> from fociscope.imager import Camera
        >>> camera = Camera()
        >>> photons = camera.peak_photons(40.0)
        >>> counts = camera.expose(photons.expand(8, 8), generator=torch.Generator().manual_seed(0))
        >>> counts.shape, counts.dtype
        (torch.Size([8, 8]), torch.float32)
        >>> bool((camera.photons(counts).mean() / photons - 1).abs() < 0.01)
        True
    """

    error: ClassVar[type[FociscopeError]] = ImagerError

    quantum_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.5
    exposure_s: Positive = 0.05
    dark_current_e_per_s: NotNegative = 200.0
    read_noise_e: NotNegative = 15.0
    """Standard deviation of one read; correlated double sampling reads twice."""
    reset_noise_e: NotNegative = 0.0
    """Standard deviation of the charge left by a reset (kTC noise), new in each exposure."""
    correlated_double_sampling: bool = False
    """Subtract a read right after the reset from the read after the exposure, before the converter.

    Both hold the same reset noise and the same offset of the pixel's readout (`dsnu_e`), which
    cancel; the noise of the two reads adds up to sqrt(2) of one. The response to light (`prnu`) and
    the dark current, hot pixels' included, differ between pixels as before.
    """
    full_well_e: Positive = 200_000.0
    gain_e_per_count: Positive = 4.0
    black_level_counts: NotNegative = 100.0
    adc_bits: Annotated[int, Field(ge=4, le=24)] = 16

    prnu: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    """Relative standard deviation of the pixels' response to light (EMVA 1288).

    It is normal; far above 0.2 there would be pixels that respond negatively.
    """
    dsnu_e: NotNegative = 0.0
    """Standard deviation of the pixels' dark offset (EMVA 1288) that does not grow with exposure.

    Some authors mean by DSNU the part that does grow: here that is the hot pixels.
    """
    hot_pixel_share: Share = 0.0
    hot_pixel_e_per_s: NotNegative = 0.0
    """Mean of the hot pixels' dark current above `dark_current_e_per_s`; it is exponential."""
    dead_pixel_share: Share = 0.0
    """Share of the pixels that do not respond to light and read the dark level."""
    fixed_pattern_seed: Annotated[int, Field(ge=0)] = 0
    """Tells chips apart that share all other numbers."""

    @model_validator(mode="after")
    def _has_room_for_light(self) -> Self:
        if self.light_room_e <= 0:
            raise ValueError(
                "the dark current fills the well, or the black level the converter: "
                "no room is left for light"
            )
        return self

    @model_validator(mode="after")
    def _has_a_possible_pattern(self) -> Self:
        if self.hot_pixel_share + self.dead_pixel_share > 1:
            raise ValueError("hot and dead pixels together are more than all pixels")
        if self.hot_pixel_share > 0 and self.hot_pixel_e_per_s == 0:
            raise ValueError("hot pixels need a dark current: set hot_pixel_e_per_s above 0")
        return self

    @property
    def light_room_e(self) -> float:
        """Electrons of light until the well or the converter is full; less in a hot pixel."""
        converter_e = (self.largest_count - self.black_level_counts) * self.gain_e_per_count
        return min(self.full_well_e, converter_e) - self.dark_e

    @property
    def dark_e(self) -> float:
        """Mean electrons of dark current per exposure, in a pixel that is not hot."""
        return self.dark_current_e_per_s * self.exposure_s

    @property
    def readout_noise_e(self) -> float:
        """Standard deviation of what the readout adds to the charge: read and reset noise."""
        if self.correlated_double_sampling:
            return math.sqrt(2) * self.read_noise_e
        return math.hypot(self.read_noise_e, self.reset_noise_e)

    @property
    def floor_variance_e2(self) -> float:
        """Variance of the noise in the dark, in e^2: dark shot noise, readout noise and rounding.

        It is temporal noise, from exposure to exposure of one pixel; the fixed pattern is none.
        """
        return self.dark_e + self.readout_noise_e**2 + self.gain_e_per_count**2 / 12

    @property
    def largest_count(self) -> int:
        """The count at which the converter saturates."""
        return int(2**self.adc_bits - 1)

    def fixed_pattern(self, sensors: int, frame_px: tuple[int, int]) -> FixedPattern | None:
        """Return how pixels differ from one another, or None if all are alike.

        It is always the same for the same camera, whatever the exposure: `fixed_pattern_seed` and
        the number of the sensor determine it, torch's and NumPy's global generators do not.

        Args:
            sensors: Number of sensors; sensor A's pattern does not depend on it.
            frame_px: (y, x) pixels of each sensor.

        Raises:
            ImagerError: If there is no sensor, or the frame has no pixels.
        """
        if not (self.prnu or self.dsnu_e or self.hot_pixel_share or self.dead_pixel_share):
            return None
        return draw_fixed_pattern(
            sensors,
            frame_px,
            seed=self.fixed_pattern_seed,
            prnu=self.prnu,
            dsnu_e=self.dsnu_e,
            hot_pixel_share=self.hot_pixel_share,
            hot_pixel_e_per_s=self.hot_pixel_e_per_s,
            dead_pixel_share=self.dead_pixel_share,
        )

    def expose(
        self,
        photons: Tensor,
        *,
        generator: torch.Generator | None = None,
        fixed_pattern: FixedPattern | None = None,
    ) -> Tensor:
        """Turn the mean number of photons that reach each pixel into counts.

        Args:
            photons: (...) mean photons per exposure, not negative; (..., sensor, y, x) for a fixed
                pattern.
            generator: Source of the noise; torch's global generator by default.
            fixed_pattern: Differences between pixels; None if they are all alike.

        Returns:
            (...) whole counts as float32, from 0 to `largest_count`.

        Raises:
            ImagerError: If the fixed pattern is that of other sensors or another frame.
        """
        pattern = None if fixed_pattern is None else fixed_pattern.matching(photons)
        if pattern is None:
            mean_e = photons * self.quantum_efficiency + self.dark_e
        else:
            converted = photons * pattern.gain * self.quantum_efficiency
            mean_e = converted + self.dark_e + pattern.hot_e_per_s * self.exposure_s
        electrons = torch.poisson(mean_e, generator=generator).clamp_(max=self.full_well_e)
        if self.readout_noise_e > 0:
            # Reset noise and the noise of each read are normal and independent: one draw is enough.
            readout = torch.empty_like(electrons).normal_(generator=generator)
            electrons = electrons + self.readout_noise_e * readout
        if pattern is not None and not self.correlated_double_sampling:
            electrons = electrons + pattern.offset_e
        counts = torch.round(electrons / self.gain_e_per_count + self.black_level_counts)
        return counts.clamp_(0, self.largest_count)

    def photons(self, counts: Tensor, fixed_pattern: FixedPattern | None = None) -> Tensor:
        """Estimate the photons behind counts: unbiased below saturation, negative by noise.

        Unbiased needs noise that spans at least half a count, or rounding is felt (and there is no
        undoing of what the converter clipped in the dark, where the black level is too low).

        Args:
            counts: (...) counts, or (..., sensor, y, x) for a fixed pattern.
            fixed_pattern: Pattern that corrects each pixel's offset, dark current and gain. Without
                one, the pattern stays in the estimate: PRNU and DSNU leave its mean over the pixels
                right, hot and dead pixels do not.

        Returns:
            Photons in the shape of `counts`. A dead pixel gives 0; `fixed_pattern.usable` tells it
            from a dark one.

        Raises:
            ImagerError: If the fixed pattern is that of other sensors or another frame.
        """
        electrons = (counts - self.black_level_counts) * self.gain_e_per_count - self.dark_e
        if fixed_pattern is None:
            return electrons / self.quantum_efficiency
        pattern = fixed_pattern.matching(counts)
        electrons = electrons - pattern.hot_e_per_s * self.exposure_s
        if not self.correlated_double_sampling:
            electrons = electrons - pattern.offset_e
        response = self.quantum_efficiency * torch.where(pattern.dead, torch.inf, pattern.gain)
        return electrons / response

    def peak_photons(self, peak_snr_db: Tensor | float) -> Tensor:
        r"""Return the photons in the brightest pixel that give a peak SNR.

        Peak SNR is $20 \log_{10}$ of the peak over the standard deviation of the noise at the peak.
        With $N$ electrons and the dark variance $v$ it is $N / \sqrt{N + v}$, solved here for $N$.

        Args:
            peak_snr_db: (...) peak SNR in dB.

        Returns:
            (...) photons per exposure.
        """
        is_number = isinstance(peak_snr_db, int | float)  # of no precision of its own
        level = torch.as_tensor(peak_snr_db, dtype=torch.float32 if is_number else None)
        snr2 = torch.as_tensor(10.0, dtype=torch.float32) ** (level / 10)
        electrons = (snr2 + torch.sqrt(snr2**2 + 4 * snr2 * self.floor_variance_e2)) / 2
        return electrons / self.quantum_efficiency

    def highest_peak_snr_db(self) -> float:
        """Return the peak SNR of a pixel that fills the well or the converter."""
        electrons = self.light_room_e
        return 20 * math.log10(electrons / math.sqrt(electrons + self.floor_variance_e2))

    def at_peak_snr(
        self,
        light: Tensor,
        peak_snr_db: Tensor | float,
        *,
        generator: torch.Generator | None = None,
        fixed_pattern: FixedPattern | None = None,
        corrected: bool = False,
    ) -> Tensor:
        """Expose images so that each reaches a peak SNR, and return them in the units they came in.

        Args:
            light: (..., y, x) noise-free captures in any unit; (..., sensor, y, x) for a fixed
                pattern.
            peak_snr_db: Peak SNR in dB: a number, or (...) one per image.
            generator: Source of the noise; torch's global generator by default.
            fixed_pattern: Differences between pixels; None if they are all alike.
            corrected: Whether the fixed pattern is known and corrected, as by `photons`; else it
                stays in the captures, as in those of a chip that is not calibrated.

        Returns:
            (..., y, x) noisy captures in the units of `light`; an image without light is
            exposed as if its peak were 1, and holds noise alone.

        Raises:
            ImagerError: If the fixed pattern is that of other sensors or another frame.
        """
        peak = light.amax(dim=(-2, -1), keepdim=True)
        peak = torch.where(peak > 0, peak, torch.ones_like(peak))
        level = self.peak_photons(peak_snr_db).to(light)
        level = level.reshape(*level.shape, 1, 1) if level.ndim else level
        scale = level / peak
        counts = self.expose(light * scale, generator=generator, fixed_pattern=fixed_pattern)
        return self.photons(counts, fixed_pattern if corrected else None) / scale
