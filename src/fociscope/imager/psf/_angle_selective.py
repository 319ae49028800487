"""The point spread function behind an angle-selective grating, and behind a cover or filter.

An isotropic emitter at distance z above the plane lights it with the irradiance (per photon)

    E(r) = z / (4 pi (z^2 + r^2)^(3/2)) * T(theta),    theta = atan(r / z),

where T is the grating's angular transmission (Papageorgiou, Boser, Anwar, IEEE TBioCAS 14, 2020).
A cover between tissue and grating refracts: a ray that left at theta_t goes on at theta_c and lands
at

    r = z tan(theta_t) + d tan(theta_c),    n_t sin(theta_t) = n_c sin(theta_c)    (Snell),

and T counts at theta_c, the angle at which the grating is met. Rays keep their order, so what lands
outside r is what left outside theta_t: `transmission.outer_energy_table`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.imager.psf._base import Blur, FitParameter, Psf
from fociscope.imager.psf._pixels import radial_pixel_response
from fociscope.imager.psf._tissue import scattered
from fociscope.imager.psf._transmission import (
    TABLE_INTERVALS,
    Shape,
    half_angle_of,
    outer_energy_table,
    relative_transmission,
)

__all__ = ["AngleSelectivePsf"]

Row = tuple[Annotated[float, Field(ge=0, le=90)], Annotated[float, Field(ge=0)]]
Index = Annotated[float, Field(ge=1, le=4)]

#: Newton steps for the ray that lands at a given radius; each doubles the digits.
NEWTON_STEPS = 12
#: Tangent beyond which a ray counts as grazing.
GRAZING = 1e7

_STEPS = torch.linspace(0, 1, TABLE_INTERVALS + 1, dtype=torch.float64)  # of u, as in the table


class AngleSelectivePsf(Psf):
    r"""The spread of a point emitter's light behind an angle-selective grating.

    An isotropic emitter at a distance $z$ lights the plane, per emitted photon, with

    $$ E(r) = \frac{z}{4 \pi (z^2 + r^2)^{3/2}}\, T(\theta), \qquad \theta = \arctan(r / z), $$

    where $T$ is the grating's angular transmission (Papageorgiou, Boser, Anwar, IEEE TBioCAS
    14:91-103, 2020). A cover refracts light by Snell's law on its way to the grating.

    Examples:
        >>> import math
        >>> from fociscope.imager import AngleSelectivePsf
        >>> psf = AngleSelectivePsf(half_angle_deg=18.0)
        >>> psf.transmission([0.0, math.radians(18.0)])
        array([1. , 0.5], dtype=float32)
    """

    kind: Literal["angle-selective"] = "angle-selective"
    half_angle_deg: Annotated[float, Field(ge=4, le=60)] = 18.0
    """Angle from straight down at which half of the light still passes. Assumption,
    `docs/references.md`."""
    shape: Shape = "gaussian"
    """Of the angular transmission."""
    table: tuple[Row, ...] = ()
    """(angle in degrees, transmission) of a `tabulated` shape, from 0 degrees on. The half angle is
    the table's own unless `half_angle_deg` is given, which then stretches it."""
    leakage: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the light that passes at every angle, however large."""
    cover_um: Annotated[float, Field(ge=0, le=5000)] = 0.0
    """Thickness of a cover or filter between tissue and grating."""
    cover_index: Index = 1.5
    """Refractive index of the cover."""
    tissue_index: Index = 1.38
    """Refractive index of the tissue. Jacques, Phys. Med. Biol. 58:R37 (2013): 1.35 to 1.45."""
    fill_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a pixel's area that is sensitive, a square in its middle."""

    label: ClassVar[str] = "angle-selective"
    fit_parameters: ClassVar[tuple[FitParameter, ...]] = (
        FitParameter("half_angle_deg", 4.0, 60.0, 0.02, "deg", label="half angle", largest_std=2.0),
    )
    batched_parameters: ClassVar[tuple[str, ...]] = ("half_angle_deg", "base_blur_um")
    # Where scattering is less than a pixel, no blur on the grid is like it.
    integrated_blurs: ClassVar[tuple[Blur, ...]] = ("scattering",)

    @model_validator(mode="before")
    @classmethod
    def _own_half_angle(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("table") and "half_angle_deg" not in values:
            try:
                return {**values, "half_angle_deg": half_angle_of(values["table"])}
            except (TypeError, IndexError, KeyError, ZeroDivisionError):  # named by later checks
                return values
        return values

    @model_validator(mode="after")
    def _has_a_table(self) -> Self:
        if (self.shape == "tabulated") != bool(self.table):
            raise ValueError('a table belongs to shape = "tabulated", and the other way round')
        if self.table:
            angles = [row[0] for row in self.table]
            if angles[0] != 0 or any(b <= a for a, b in pairwise(angles)):
                raise ValueError("the table's angles must start at 0 and increase")
            if self.table[0][1] <= 0:
                raise ValueError("the table's transmission at 0 degrees must be above 0")
            half_angle_of(self.table)
        return self

    def transmission(self, theta_rad: ArrayLike) -> Tensor | np.ndarray:
        """Return the share of light that passes the grating at an angle.

        Args:
            theta_rad: (...) angle from straight down.

        Returns:
            (...) within 0 ... 1.
        """
        return like(self._transmission(as_tensor(theta_rad), self.half_angle_deg), theta_rad)

    def _transmission(self, theta_rad: Tensor, half_angle_deg: Tensor | float) -> Tensor:
        return relative_transmission(
            theta_rad,
            half_angle_deg,
            shape=self.shape,
            leakage=self.leakage,
            table=self.table,
        )

    def outer_energy(self, half_angle_deg: Tensor) -> Tensor:
        """Return (..., TABLE_INTERVALS + 1): the light outside each cone, for half angles (...)."""
        u = torch.linspace(0, 1, 2 * TABLE_INTERVALS + 1, dtype=torch.float64)
        sin_theta = u * torch.sqrt(2 - u**2)
        if self.cover_um:
            sin_theta = sin_theta * (self.tissue_index / self.cover_index)
        theta_rad = torch.arcsin(sin_theta.clamp(max=1)).to(half_angle_deg)
        t = self._transmission(theta_rad, half_angle_deg[..., None])
        reflected = (sin_theta > 1).to(t.device)  # beyond the critical angle nothing gets through
        return outer_energy_table(torch.where(reflected, torch.zeros_like(t), t))

    def collected(self, half_angle_deg: Tensor) -> Tensor:
        """Return the fraction of light that lands anywhere, for half angles (...)."""
        return self.outer_energy(half_angle_deg)[..., 0]

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

    def _light(self, distance_um: Tensor, half_angle_deg: Tensor | None) -> tuple[Any, Tensor]:
        """Return the outer energy as a function of the squared radius, and the total."""
        if half_angle_deg is None:
            table = _table(self).to(distance_um)
            start = torch.zeros((), dtype=torch.int64, device=distance_um.device)
        else:
            table = self.outer_energy(half_angle_deg.to(distance_um))
            rows = torch.arange(half_angle_deg.numel(), device=distance_um.device)
            start = (rows * table.shape[-1]).reshape(half_angle_deg.shape)
            start = start.expand(distance_um.shape)[..., None, None, None]
        flat = table.reshape(-1)
        distance = distance_um[..., None, None, None]

        def outer_energy(r2_um2: Tensor) -> Tensor:
            position = self._u(r2_um2.to(distance), distance) * TABLE_INTERVALS
            index = position.detach().to(torch.int64).clamp_(0, TABLE_INTERVALS - 1)
            fraction = position - index
            lower = flat[index + start]
            return lower + fraction * (flat[index + start + 1] - lower)

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
            *self._light(distance_um, parameters_of_scenes.get("half_angle_deg")),
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
            fill_factor=self.fill_factor,
        )


@lru_cache(maxsize=64)
def _table(psf: AngleSelectivePsf) -> Tensor:
    """Return the outer energy of a PSF in double precision; every projection asks for it."""
    return psf.outer_energy(torch.tensor(psf.half_angle_deg, dtype=torch.float64))
