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

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from fociscope.configuration import Configuration

__all__ = ["Tissue"]

_UM_PER_MM = 1000.0


class Tissue(Configuration):
    """What the tissue does to light on its way to a sensor."""

    attenuation_per_mm: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Light that goes straight down falls by exp(-attenuation * depth)."""
    reduced_scattering_per_mm: Annotated[float, Field(ge=0, le=100)] = 0.0
    """mu_s' = mu_s (1 - g). Soft tissue in the red: about 0.5 to 2 (Jacques 2013)."""

    def transmitted(self, distance_um: Tensor) -> Tensor:
        """Return the share of light that a path straight down of this length leaves."""
        return torch.exp(-self.attenuation_per_mm / _UM_PER_MM * distance_um)

    def variance_um2(self, distance_um: Tensor) -> Tensor:
        """Return the variance per axis by which forward scattering spreads light."""
        return self.reduced_scattering_per_mm / _UM_PER_MM * distance_um**3 / 3
