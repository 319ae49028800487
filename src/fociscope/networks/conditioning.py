"""What a network is conditioned on: how wide its PSF is, at several distances from the sensor.

Widths in pixels are all that a blurred image knows of its optics: pitch, gap, grating, cover and
tissue come in through them, so an imager of another pitch or gap, or with a measured PSF, is told
in the same numbers.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from fociscope.imager.geometry import Imager
from fociscope.imager.psf import AngleSelectivePsf

__all__ = ["OPTICS_FEATURES", "TabulatedOptics", "optics_features", "radii_px"]

#: Distances from a sensor, as shares of the gap.
DISTANCE_SHARES = tuple((2 * k + 1) / 16 for k in range(8))
#: The circles that hold half and most of the light.
ENERGIES = (0.5, 0.8)
OPTICS_FEATURES = len(DISTANCE_SHARES) * len(ENERGIES)

#: Features of the imagers that we know of lie within about -2 ... 2.
_CENTRE_OCTAVES, _SPREAD_OCTAVES = 1.5, 1.0
#: Widths well below a pixel are all alike.
_FLOOR_PX = 0.5
#: Half angles at which a family's bare widths are tabulated.
_TABLE_DEG = 0.5


def _as_features(radius_px: Tensor) -> Tensor:
    return ((radius_px + _FLOOR_PX).log2() - _CENTRE_OCTAVES) / _SPREAD_OCTAVES


def radii_px(features: Tensor) -> Tensor:
    """(..., feature) -> (..., feature) the radii in pixels that they stand for."""
    return (features * _SPREAD_OCTAVES + _CENTRE_OCTAVES).exp2() - _FLOOR_PX


@lru_cache(maxsize=16)
def optics_features(imager: Imager) -> Tensor:
    """Return (feature,) of an imager: logarithms of energy radii, distance by distance.

    A PSF that is known for a part of the gap only stands still at the ends of that part.
    """
    nearest_um, farthest_um = imager.psf.depth_range_um
    radius_px = [
        imager.psf.encircled_radius_um(
            min(max(share * imager.gap_um, nearest_um), farthest_um), energy
        )
        / imager.pixel_pitch_um
        for share in DISTANCE_SHARES
        for energy in ENERGIES
    ]
    return _as_features(torch.tensor(radius_px, dtype=torch.float32))


class TabulatedOptics:
    """The features of many imagers of a family at once: one half angle and base blur for each."""

    def __init__(self, imager: Imager, half_angle_deg: tuple[float, float]) -> None:
        """Tabulate the widths of an imager's grating over half angles.

        Args:
            imager: what all of the family share; its PSF is angle-selective.
            half_angle_deg: least and greatest; beyond them, the widths of the ends are given.
        """
        psf = imager.psf
        assert isinstance(psf, AngleSelectivePsf)
        self._low_deg = half_angle_deg[0]
        steps = max(1, math.ceil((half_angle_deg[1] - half_angle_deg[0]) / _TABLE_DEG))
        self._step_deg = max((half_angle_deg[1] - half_angle_deg[0]) / steps, 1e-6)
        self._bare_px = torch.tensor(
            [
                [
                    psf.with_(
                        half_angle_deg=half_angle_deg[0] + n * self._step_deg, base_blur_um=0.0
                    ).encircled_radius_um(share * imager.gap_um, energy)
                    / imager.pixel_pitch_um
                    for share in DISTANCE_SHARES
                    for energy in ENERGIES
                ]
                for n in range(steps + 1)
            ]
        )
        self._blur_radius = torch.tensor(
            [math.sqrt(-2 * math.log(1 - e)) for _ in DISTANCE_SHARES for e in ENERGIES]
        )

    def __call__(self, half_angle_deg: Tensor, base_blur_px: Tensor) -> Tensor:
        """(batch,), (batch,) -> (batch, feature)."""
        position = (half_angle_deg - self._low_deg) / self._step_deg
        position = position.clamp(0, len(self._bare_px) - 1)
        before = position.floor().long().clamp(max=len(self._bare_px) - 2)
        share = (position - before)[:, None]
        bare_px = (1 - share) * self._bare_px[before] + share * self._bare_px[before + 1]
        return _as_features(torch.hypot(bare_px, base_blur_px[:, None] * self._blur_radius))
