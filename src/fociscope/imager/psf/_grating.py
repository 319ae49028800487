"""What all point spread functions behind a grating share: rays, cover, energy and pixels.

A ray that leaves an isotropic emitter at theta_t is refracted by a cover, if there is one, and
lands at

    r = z tan(theta_t) + d tan(theta_c),    n_t sin(theta_t) = n_c sin(theta_c)    (Snell).

Rays keep their order, so what lands outside r is what left outside theta_t:
`transmission.outer_energy_table`.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from fociscope.imager.psf._base import Blur, Psf
from fociscope.imager.psf._pixels import (
    EDGE_NODES,
    OuterEnergy,
    radial_area_response,
    radial_pixel_response,
)
from fociscope.imager.psf._tissue import scattered
from fociscope.imager.psf._transmission import TABLE_INTERVALS

__all__ = ["GratingPsf"]

#: Newton steps for the ray that lands at a given radius; each doubles the digits.
NEWTON_STEPS = 12
#: Tangent beyond which a ray counts as grazing.
GRAZING = 1e7

_STEPS = torch.linspace(0, 1, TABLE_INTERVALS + 1, dtype=torch.float64)  # of u, as in the table


class GratingPsf(Psf):
    """The spread of a point's light behind a grating whose transmission depends on the angle alone.

    A kind gives `outer_energy`, the name of its `angular_parameter`, and the fields that are
    declared here for type checkers only, so that each kind keeps the order of its own.
    """

    if TYPE_CHECKING:
        cover_um: float
        cover_index: float
        tissue_index: float
        fill_factor: float

    angular_parameter: ClassVar[str] = ""
    """Field that scales the transmission over the angle, and may differ from scene to scene."""
    edge_nodes: ClassVar[int] = EDGE_NODES
    """Nodes of the integral along a pixel's edge."""
    # Where scattering is less than a pixel, no blur on the grid is like it.
    integrated_blurs: ClassVar[tuple[Blur, ...]] = ("scattering",)

    @abstractmethod
    def outer_energy(self, angular: Tensor) -> Tensor:
        """Return the light outside each cone of rays.

        Args:
            angular: (...) values of the angular parameter.

        Returns:
            (..., TABLE_INTERVALS + 1) shares of the emitted light: `outer_energy_table`.
        """

    def collected(self, angular: Tensor) -> Tensor:
        """Return (...) the share of light that lands, for values (...) of the parameter."""
        return self.outer_energy(angular)[..., 0]

    def bare_collection_efficiency(self, distance_um: Tensor) -> Tensor:
        """Return the share of light that lands; see `Psf.bare_collection_efficiency`."""
        return _table(self)[0].expand(distance_um.shape)

    def bare_encircled_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the radius that holds `energy`; see `Psf.bare_encircled_radius_um`."""
        outer = _table(self)
        outside = outer > (1 - energy) * outer[0]
        u = _STEPS[min(int(outside.sum()), TABLE_INTERVALS - 1)]
        return float(self._landing_radius_um(u, distance_um))

    def bare_variance_um2(self, distance_um: float, energy: float) -> float:
        """Return the variance along x within that radius; see `Psf.bare_variance_um2`."""
        outer = _table(self)
        inside = outer >= (1 - energy) * outer[0]
        r2 = self._landing_radius_um(_STEPS[inside], distance_um) ** 2
        shell = -outer[inside].diff()
        return float((shell * (r2[1:] + r2[:-1]) / 2).sum() / shell.sum() / 2)

    def _landing_radius_um(self, u: Tensor, distance_um: float) -> Tensor:
        """Return where a ray lands that leaves the emitter at u = sqrt(1 - cos theta)."""
        sin_theta = u * torch.sqrt(2 - u**2)
        radius_um = distance_um * sin_theta / (1 - u**2)
        if self.cover_um:
            sin_cover = (sin_theta * (self.tissue_index / self.cover_index)).clamp(max=1 - 1e-12)
            radius_um = radius_um + self.cover_um * sin_cover / torch.sqrt(1 - sin_cover**2)
        return radius_um

    def _u(self, r2_um2: Tensor, distance_um: Tensor) -> Tensor:
        """Return u = sqrt(1 - cos theta), in the tissue, of the ray that lands at radius r."""
        if not self.cover_um:
            path_um = torch.sqrt(distance_um**2 + r2_um2)
            return torch.sqrt(r2_um2 / (path_um * (path_um + distance_um)))
        # Newton in the tangent t within the medium of lower index, where the radius is t times its
        # thickness and, through the other, concave: from the left it never oversteps.
        ratio = self.tissue_index / self.cover_index
        low_is_tissue = ratio <= 1
        cover_um = torch.full_like(distance_um, self.cover_um)
        low_um, high_um = (distance_um, cover_um) if low_is_tissue else (cover_um, distance_um)
        q = min(ratio, 1 / ratio)  # lower index / higher index
        radius_um = torch.sqrt(r2_um2)
        t = radius_um / (low_um + q * high_um)
        for _ in range(NEWTON_STEPS):
            root = torch.rsqrt(1 + (1 - q * q) * t**2)
            reach = low_um * t + high_um * q * t * root
            slope = low_um + high_um * q * root**3
            t = (t + (radius_um - reach) / slope).clamp(0, GRAZING)
        sin_theta = t * torch.rsqrt(1 + t**2) * (1 if low_is_tissue else q)
        return sin_theta * torch.rsqrt(1 + torch.sqrt((1 - sin_theta**2).clamp(min=0)))

    def _over_radius(
        self, table: Tensor, distance_um: Tensor, angular: Tensor | None
    ) -> OuterEnergy:
        """Return a table over u as a function of the squared radius.

        Args:
            table: (..., TABLE_INTERVALS + 1) values, one row for each of `angular`.
            distance_um: (...) distances of the emitters.
            angular: (...) values of the angular parameter; None for one row for all.
        """
        if angular is None:
            start = torch.zeros((), dtype=torch.int64, device=distance_um.device)
        else:
            rows = torch.arange(angular.numel(), device=distance_um.device)
            start = (rows * table.shape[-1]).reshape(angular.shape)
            start = start.expand(distance_um.shape)[..., None, None, None]
        flat = table.reshape(-1)
        distance = distance_um[..., None, None, None]

        def over_radius(r2_um2: Tensor) -> Tensor:
            position = self._u(r2_um2.to(distance), distance) * TABLE_INTERVALS
            index = position.detach().to(torch.int64).clamp_(0, TABLE_INTERVALS - 1)
            fraction = position - index
            lower = flat[index + start]
            return lower + fraction * (flat[index + start + 1] - lower)

        return over_radius

    def _light(self, distance_um: Tensor, angular: Tensor | None) -> tuple[OuterEnergy, Tensor]:
        """Return the outer energy as a function of the squared radius, and the total."""
        if angular is None:
            table = _table(self).to(distance_um)
        else:
            table = self.outer_energy(angular.to(distance_um))
        outer_energy = self._over_radius(table, distance_um, angular)
        total = table[..., 0].expand(distance_um.shape)
        if self.tissue.reduced_scattering_per_mm:
            spread_um2 = self.tissue.variance_um2(distance_um)
            reach_um = distance_um + self.cover_um
            return scattered(outer_energy, total, reach_um, spread_um2), total
        return outer_energy, total

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
        return radial_pixel_response(
            *self._light(distance_um, parameters_of_scenes.get(self.angular_parameter)),
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
            fill_factor=self.fill_factor,
            edge_nodes=self.edge_nodes,
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
        outer = _table(self)
        half_of_it = _STEPS[min(int((outer > 0.5 * outer[0]).sum()), TABLE_INTERVALS - 1)]
        return radial_area_response(
            *self._light(distance_um, parameters_of_scenes.get(self.angular_parameter)),
            distance_um * float(self._landing_radius_um(half_of_it, 1e3)) / 1e3,
            y_um=y_um,
            x_um=x_um,
            size_um=size_um,
        )


@lru_cache(maxsize=64)
def _table(psf: GratingPsf) -> Tensor:
    """Return the outer energy of a PSF in double precision; every projection asks for it."""
    return psf.outer_energy(torch.tensor(getattr(psf, psf.angular_parameter), dtype=torch.float64))
