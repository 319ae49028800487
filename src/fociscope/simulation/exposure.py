"""Exposure: noise-free captures -> what the camera makes of them, in the units they came in."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fociscope.errors import SceneError
from fociscope.imager.fixed_pattern import FixedPattern
from fociscope.imager.geometry import Imager

__all__ = ["REFERENCE_PEAK_SNR_DB", "Exposure"]

#: Of the reference conditions.
REFERENCE_PEAK_SNR_DB = 40.0


@dataclass(frozen=True)
class Exposure:
    """How much light the camera gets: by a peak SNR, by the brightness of a cell, or no camera."""

    peak_snr_db: float | None
    """20 log10(peak / standard deviation of the noise there), the same for every capture."""
    cell_photons_per_s: float | None = None
    """Photons that a mean cell emits per second, in all directions."""

    @property
    def exposes(self) -> bool:
        """Whether there is a camera at all, and noise."""
        return self.peak_snr_db is not None or self.cell_photons_per_s is not None

    def check(self, imager: Imager) -> None:
        """Refuse what cannot be.

        Raises:
            SceneError: both are given, or one is out of its range.
        """
        if self.peak_snr_db is not None and self.cell_photons_per_s is not None:
            raise SceneError(
                "peak_snr_db and cell_photons_per_s both set the light; give one of them, "
                f"got {self.peak_snr_db:g} dB and {self.cell_photons_per_s:g} photons/s"
            )
        highest_db = imager.camera.highest_peak_snr_db()
        if self.peak_snr_db is not None and not 0 < self.peak_snr_db <= highest_db:
            raise SceneError(
                f"a peak SNR must lie above 0 and within the camera's {highest_db:.1f} dB; "
                f"got {self.peak_snr_db:g} dB"
            )
        photons = self.cell_photons_per_s
        if photons is not None and not 0 < photons < float("inf"):
            raise SceneError(f"cell_photons_per_s must lie above 0; got {photons:g}")

    def expose(
        self,
        clean: torch.Tensor,
        imager: Imager,
        *,
        cells_per_unit_light: float,
        seed: int,
        fixed_pattern: FixedPattern | None = None,
    ) -> torch.Tensor:
        """Return one scene's captures with the noise of the camera and its fixed pattern.

        A pixel of light 1 holds `cells_per_unit_light` mean cells, each of which emits
        `cell_photons_per_s` times the exposure; the projector has already taken the share of them
        that lands. A pixel that fills up stays at what the camera holds.

        Args:
            clean: (sensor, y, x) noise-free captures.
            imager: the instrument.
            cells_per_unit_light: of the specimen.
            seed: of the noise.
            fixed_pattern: of the chip.

        Returns:
            (sensor, y, x) in the units of `clean`.
        """
        camera, noise = imager.camera, torch.Generator().manual_seed(seed)
        if self.cell_photons_per_s is None:
            assert self.peak_snr_db is not None
            return camera.at_peak_snr(
                clean, self.peak_snr_db, generator=noise, fixed_pattern=fixed_pattern
            )
        photons = self.cell_photons_per_s * camera.exposure_s * cells_per_unit_light
        counts = camera.expose(clean * photons, generator=noise, fixed_pattern=fixed_pattern)
        return camera.photons(counts) / photons
