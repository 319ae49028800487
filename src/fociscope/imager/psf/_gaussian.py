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

from fociscope.imager.psf._base import KERNEL_ENERGY, Blur, FitParameter, Psf
from fociscope.imager.psf._pixels import radial_area_response, radial_pixel_response

__all__ = ["GaussianPsf"]


class GaussianPsf(Psf):
    r"""Light spread as a Gaussian that widens with distance.

    With the base blur $\sigma_0$, the spread $a$ and the distance $z$, the variance per axis is

    $$ \sigma^2 = \sigma_0^2 + (a z)^2 $$

    and that of the tissue's scattering. Kernels are its exact integrals over pixels.

    Examples:
        >>> from fociscope.imager import GaussianPsf
        >>> psf = GaussianPsf(spread=0.25, base_blur_um=20.0)
        >>> round(psf.encircled_radius_um(200.0, 0.5), 1)
        63.4
    """

    kind: Literal["gaussian"] = "gaussian"
    spread: Annotated[float, Field(ge=0, le=3)] = 0.276
    """Standard deviation per distance."""
    collected_fraction: Annotated[float, Field(gt=0, le=1)] = 0.035
    """Share of the emitted light that lands; 0.035 as behind a grating of 18 degrees."""
    fill_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a pixel's area that is sensitive, a square in its middle."""

    label: ClassVar[str] = "Gaussian"
    fit_parameters: ClassVar[tuple[FitParameter, ...]] = (
        FitParameter("spread", 0.02, 3.0, 0.0003, "um/um", label="spread", largest_std=0.04),
    )
    batched_parameters: ClassVar[tuple[str, ...]] = ("spread", "base_blur_um")
    integrated_blurs: ClassVar[tuple[Blur, ...]] = ("base_blur", "scattering")

    def sigma2_um2(self, distance_um: Tensor) -> Tensor:
        """Return the Gaussian's variance per axis in um^2, all of it, at distances (...) in um."""
        return self._sigma2_um2(distance_um, self.base_blur_um, self.spread)

    def _sigma2_um2(
        self, distance_um: Tensor, base_blur_um: Tensor | float, spread: Tensor | float
    ) -> Tensor:
        scattered = self.tissue.variance_um2(distance_um)
        return base_blur_um**2 + (spread * distance_um) ** 2 + scattered

    def bare_collection_efficiency(self, distance_um: Tensor) -> Tensor:
        """Return the share of light that lands; see `Psf.bare_collection_efficiency`."""
        return torch.full_like(distance_um, self.collected_fraction)

    def bare_encircled_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the radius that holds `energy`; see `Psf.bare_encircled_radius_um`."""
        return math.sqrt(-2 * math.log(1 - energy)) * self.spread * distance_um

    def bare_variance_um2(self, distance_um: float, energy: float) -> float:
        """Return the variance along x within that radius; see `Psf.bare_variance_um2`."""
        return _truncated((self.spread * distance_um) ** 2, energy)

    # Blurs of a Gaussian make a Gaussian: both are exact, where sums in quadrature are estimates.
    def encircled_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the radius that holds `energy`, blurs included; see `Psf.encircled_radius_um`."""
        return math.sqrt(-2 * math.log(1 - energy) * self._sigma2(distance_um))

    def variance_um2(self, distance_um: float, energy: float = KERNEL_ENERGY) -> float:
        """Return the variance along x within that radius; see `Psf.variance_um2`."""
        return _truncated(self._sigma2(distance_um), energy)

    def _sigma2(self, distance_um: float) -> float:
        return float(self.sigma2_um2(torch.tensor(distance_um, dtype=torch.float64)))

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
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return what each pixel collects; see `Psf.pixel_response`."""
        variance_um2 = self._sigma2_um2(
            distance_um,
            parameters_of_scenes.get("base_blur_um", self.base_blur_um),
            parameters_of_scenes.get("spread", self.spread),
        )
        return radial_pixel_response(
            *self._light(variance_um2),
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
            fill_factor=self.fill_factor,
        )

    def area_response(
        self,
        distance_um: Tensor,
        *,
        y_um: Tensor,
        x_um: Tensor,
        size_um: tuple[float, float],
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return what rectangles collect; see `Psf.area_response`."""
        variance_um2 = self._sigma2_um2(
            distance_um,
            parameters_of_scenes.get("base_blur_um", self.base_blur_um),
            parameters_of_scenes.get("spread", self.spread),
        )
        outer_energy, total = self._light(variance_um2)
        sigma_um = torch.sqrt(variance_um2.clamp(min=1e-12))
        return radial_area_response(
            outer_energy, total, sigma_um, y_um=y_um, x_um=x_um, size_um=size_um
        )


def _truncated(variance_um2: float, energy: float) -> float:
    """Return the variance along x of a Gaussian within the circle that holds `energy` of it."""
    lost = 1 - energy
    return variance_um2 * (1 + lost * math.log(lost) / energy)
