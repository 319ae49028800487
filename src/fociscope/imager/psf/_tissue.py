"""Tissue between emitter and sensor: light is lost, and is scattered forward.

Loss is exponential in depth. Scattering is many small deflections: light that leaves at a given
angle has come from points spread by a Gaussian whose variance grows with the cube of the distance,

    variance per axis = mu_s' * z^3 / 3,

the Fermi-Eyges result (Eyges, Phys. Rev. 74:1534-1535, 1948) for a scattering power of mu_s' =
mu_s (1 - g): one event turns light by a mean square angle of 2 (1 - g), half of it in each plane.
It holds while z is well below the transport length 1 / mu_s'. Values of mu_s' and of the absorption
for many tissues: Jacques, Phys. Med. Biol. 58:R37-R61 (2013).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ImagerError
from fociscope.imager.psf._pixels import OuterEnergy

__all__ = ["Tissue", "scattered"]

_UM_PER_MM = 1000.0

#: Intervals of the table of scattered light over r / (r + scale), linearly interpolated.
RADIUS_INTERVALS = 1024
#: Gauss-Legendre nodes of the integral over the Gaussian, and where it ends.
SPREAD_NODES = 48
SPREAD_SIGMAS = 6.0
#: Light spread by less than this is not spread.
LEAST_SIGMA_UM = 1e-3


class Tissue(Configuration):
    r"""Attenuation and forward scattering of light on its way to a sensor.

    From a depth $z$, the share $e^{-\mu z}$ of the light is left, spread by a Gaussian whose
    variance per axis is

    $$ \sigma^2 = \mu_s'\, z^3 / 3, $$

    the Fermi-Eyges result (Eyges, Phys. Rev. 74:1534-1535, 1948), good while $z$ is well below
    $1 / \mu_s'$.

    Examples:
        >>> import torch
        >>> from fociscope.imager import Tissue
        >>> tissue = Tissue(attenuation_per_mm=1.0, reduced_scattering_per_mm=0.3)
        >>> tissue.variance_um2(torch.tensor(100.0))
        tensor(100.)
    """

    error: ClassVar[type[FociscopeError]] = ImagerError

    attenuation_per_mm: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Light that goes straight down falls by exp(-attenuation * depth)."""
    reduced_scattering_per_mm: Annotated[float, Field(ge=0, le=100)] = 0.0
    """mu_s' = mu_s (1 - g). Soft tissue in the red: about 0.5 to 2 (Jacques 2013)."""

    def transmitted(self, distance_um: Tensor) -> Tensor:
        """Return (...) the share of light left after paths straight down of lengths (...) in um."""
        return torch.exp(-self.attenuation_per_mm / _UM_PER_MM * distance_um)

    def variance_um2(self, distance_um: Tensor) -> Tensor:
        """Return (...) the variance per axis in um^2 by which paths (...) in um spread light."""
        return self.reduced_scattering_per_mm / _UM_PER_MM * distance_um**3 / 3


def scattered(
    outer_energy: OuterEnergy, total: Tensor, reach_um: Tensor, variance_um2: Tensor
) -> OuterEnergy:
    """Return the outer energy of light that a Gaussian spreads on its way.

    A field whose divergence is the irradiance flows through a circle with all the light N(r) inside
    it. Spread by the Gaussian, it is the field of the spread light, and its flux is

        N'(r) = r / s^2 * integral of N(q) exp(-(r - q)^2 / (2 s^2)) I1e(r q / s^2) dq from q = 0,

    with I1e the exponentially scaled Bessel function and s^2 the variance per axis.

    Args:
        outer_energy: of emitters (...) without the spread.
        total: (...) the light that lands anywhere.
        reach_um: (...) how far light goes on its way, to scale radii by.
        variance_um2: (...) per axis.
    """
    variance = variance_um2.clamp(min=LEAST_SIGMA_UM**2)[..., None]
    scale_um = torch.sqrt(reach_um[..., None] ** 2 + variance)
    whole = total[..., None]
    step = torch.linspace(0, 1, RADIUS_INTERVALS + 1, dtype=torch.float64)[:-1].to(reach_um)
    r_um = scale_um * step / (1 - step)
    node, weight = (
        torch.from_numpy(x).to(r_um) for x in np.polynomial.legendre.leggauss(SPREAD_NODES)
    )
    sigma_um = torch.sqrt(variance)
    first = torch.maximum(-r_um / sigma_um, r_um.new_tensor(-SPREAD_SIGMAS))[..., None]
    t = first + (SPREAD_SIGMAS - first) * (node + 1) / 2
    q_um = (r_um[..., None] + sigma_um[..., None] * t).clamp(min=0)
    inside = whole[..., None] - outer_energy((q_um**2)[..., None, :, :]).squeeze(-3)
    bessel = torch.special.i1e(r_um[..., None] * q_um / variance[..., None])
    integral = (inside * torch.exp(-(t**2) / 2) * bessel * weight).sum(-1)
    integral = integral * (SPREAD_SIGMAS - first[..., 0]) / 2
    outer = whole - r_um / sigma_um * integral
    table = torch.cat([outer, torch.zeros_like(whole)], dim=-1)

    def spread_energy(r2_um2: Tensor) -> Tensor:
        radius_um = torch.sqrt(r2_um2.to(table))
        position = radius_um / (radius_um + scale_um[..., None, None]) * RADIUS_INTERVALS
        index = position.detach().to(torch.int64).clamp_(0, RADIUS_INTERVALS - 1)
        shape, flat = index.shape, index.flatten(-3)
        lower, upper = (table.gather(-1, flat + n).reshape(shape) for n in (0, 1))
        return lower + (position - index) * (upper - lower)

    return spread_energy
