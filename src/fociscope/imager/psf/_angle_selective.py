"""The point spread function behind an angle-selective grating, and behind a cover or filter.

An isotropic emitter at distance z above the plane lights it with the irradiance (per photon)

    E(r) = z / (4 pi (z^2 + r^2)^(3/2)) * T(theta),    theta = atan(r / z),

where T is the grating's angular transmission (Papageorgiou, Boser, Anwar, IEEE TBioCAS 14, 2020).
A cover between tissue and grating refracts: a ray that left at theta_t goes on at theta_c and lands
at

    r = z tan(theta_t) + d tan(theta_c),    n_t sin(theta_t) = n_c sin(theta_c)    (Snell),

and T counts at theta_c, the angle at which the grating is met, or at the angle in the medium in
which the half angle is stated: interfaces keep n sin(theta). Rays keep their order, so what lands
outside r is what left outside theta_t: `transmission.outer_energy_table`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.imager.psf._base import FitParameter
from fociscope.imager.psf._grating import GratingPsf
from fociscope.imager.psf._media import Index, Medium, refractive_index
from fociscope.imager.psf._transmission import (
    TABLE_INTERVALS,
    Shape,
    half_angle_of,
    outer_energy_table,
    relative_transmission,
)

__all__ = ["AngleSelectivePsf"]

Row = tuple[Annotated[float, Field(ge=0, le=90)], Annotated[float, Field(ge=0)]]


class AngleSelectivePsf(GratingPsf):
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
    half_angle_medium: Literal["adjacent"] | Medium = "adjacent"
    """Medium in which the half angle, and the transmission over angles with it, holds: `air`,
    `water`, `tissue` (of `tissue_index`), a refractive index, or `adjacent`, the medium that
    touches the grating: the tissue, or the cover if there is one."""
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
    angular_parameter: ClassVar[str] = "half_angle_deg"

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

    @property
    def half_angle_index(self) -> float:
        """Refractive index of the medium in which the half angle holds."""
        if self.half_angle_medium == "adjacent":
            return self.cover_index if self.cover_um else self.tissue_index
        if self.half_angle_medium == "tissue":
            return self.tissue_index
        return refractive_index(self.half_angle_medium)

    def half_angle_in(self, medium: Medium) -> float:
        r"""Return the half angle as it is in another medium, $n \sin\theta$ being the same in all.

        Args:
            medium: `air`, `water`, `tissue` (of `tissue_index`) or a refractive index.

        Returns:
            Angle in degrees; not a number if light of the half angle cannot leave for that medium.

        Examples:
            >>> from fociscope.imager import AngleSelectivePsf
            >>> psf = AngleSelectivePsf(half_angle_medium="air", tissue_index=1.37)
            >>> round(psf.half_angle_in("tissue"), 1)
            13.0
        """
        index = self.tissue_index if medium == "tissue" else refractive_index(medium)
        sine = math.sin(math.radians(self.half_angle_deg)) * self.half_angle_index / index
        return math.degrees(math.asin(sine)) if sine <= 1 else math.nan

    def transmission(self, theta_rad: ArrayLike) -> Tensor | np.ndarray:
        """Return the share of light that passes the grating at an angle.

        Args:
            theta_rad: (...) angle from straight down, in the medium of the half angle.

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
        sin_theta = sin_tissue = u * torch.sqrt(2 - u**2)
        if self.half_angle_index != self.tissue_index:
            sin_theta = sin_tissue * (self.tissue_index / self.half_angle_index)
        theta_rad = torch.arcsin(sin_theta.clamp(max=1)).to(half_angle_deg)
        t = self._transmission(theta_rad, half_angle_deg[..., None])
        reflected = (sin_theta > 1).to(t.device)  # beyond the critical angle nothing gets through
        if self.cover_um and self.half_angle_index != self.cover_index:
            in_cover = sin_tissue * (self.tissue_index / self.cover_index)
            reflected = reflected | (in_cover > 1).to(t.device)
        return outer_energy_table(torch.where(reflected, torch.zeros_like(t), t))
