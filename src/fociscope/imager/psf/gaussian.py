"""A Gaussian point spread function that widens with distance: sigma = sqrt(s0^2 + (a z)^2).

The published sample figure was measured at a = 0.18 +- 0.02 (`docs/references.md`, "The imager"); a
grating with a half angle of 18 degrees gives tan(18 deg) / sqrt(2 ln 2) = 0.276, the default.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from fociscope.imager.psf.base import Psf
from fociscope.imager.psf.pixels import radial_pixel_response

__all__ = ["GaussianPsf"]


class GaussianPsf(Psf):
    """Light spread as a Gaussian of sigma = sqrt(base_blur_um^2 + (spread * distance)^2).

    The tissue's scattering adds to the variance.
    """

    kind: Literal["gaussian"] = "gaussian"
    spread: Annotated[float, Field(ge=0, le=3)] = 0.276
    """Standard deviation per distance."""
    collected_fraction: Annotated[float, Field(gt=0, le=1)] = 0.035
    """Share of the emitted light that lands; 0.035 as behind a grating of 18 degrees."""
    fill_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a pixel's area that is sensitive, a square in its middle."""

    batched_parameters: ClassVar[tuple[str, ...]] = ("spread", "base_blur_um")
    grid_parameters: ClassVar[tuple[str, ...]] = ()

    def variance_um2(self, distance_um: Tensor) -> Tensor:
        """Return sigma^2 at distances (...)."""
        return self._variance_um2(distance_um, self.base_blur_um, self.spread)

    def _variance_um2(
        self, distance_um: Tensor, base_blur_um: Tensor | float, spread: Tensor | float
    ) -> Tensor:
        scattered = self.tissue.variance_um2(distance_um)
        return base_blur_um**2 + (spread * distance_um) ** 2 + scattered

    def _grid_variance_um2(
        self, distance_um: Tensor, base_blur_um: Tensor | float | None = None
    ) -> Tensor:
        return torch.zeros_like(distance_um)  # all of it is in sigma

    def _landing(self, distance_um: Tensor) -> Tensor:
        return torch.full_like(distance_um, self.collected_fraction)

    def _bare_radius_um(self, distance_um: float, energy: float) -> float:
        variance = float(self.variance_um2(torch.tensor(distance_um, dtype=torch.float64)))
        return math.sqrt(-2 * math.log(1 - energy) * variance)

    def _bare_variance_um2(self, distance_um: float, energy: float) -> float:
        variance = float(self.variance_um2(torch.tensor(distance_um, dtype=torch.float64)))
        lost = 1 - energy
        return variance * (1 + lost * math.log(lost) / energy)

    def _light(self, variance_um2: Tensor) -> tuple[Any, Tensor]:
        # A touching emitter has no width: its light stays with the pixel underneath.
        variance = variance_um2.clamp(min=1e-12)[..., None, None, None]

        def outer_energy(r2_um2: Tensor) -> Tensor:
            return self.collected_fraction * torch.exp(-r2_um2.to(variance) / (2 * variance))

        return outer_energy, torch.full_like(variance_um2, self.collected_fraction)

    def pixel_response(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        offset_um: tuple[float, float] | None = None,
        **per_sample: Tensor,
    ) -> Tensor:
        """Return what each pixel collects; see `Psf.pixel_response`."""
        variance_um2 = self._variance_um2(
            distance_um,
            per_sample.get("base_blur_um", self.base_blur_um),
            per_sample.get("spread", self.spread),
        )
        return radial_pixel_response(
            *self._light(variance_um2),
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
            fill_factor=self.fill_factor,
        )
