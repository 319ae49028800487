r"""Conditioning on the imager: how wide its PSF is, at several distances from the sensor.

Widths in pixels are all that a blurred image depends on: pitch, gap, grating, cover and tissue act
through them, so an imager of another pitch or gap, or with a measured PSF, is described by the same
numbers. With the radius $r$ in pixels that holds a given share of a point's light, the feature is

$$f = \log_2(r + 0.5) - 1.5.$$
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from fociscope.errors import ImagerError
from fociscope.imager.geometry import Imager
from fociscope.registry import unknown_name

__all__ = ["OPTICS_FEATURES", "TabulatedOptics", "optics_features", "radii_px"]

#: Distances from a sensor, as shares of the gap.
DISTANCE_SHARES = tuple((2 * k + 1) / 16 for k in range(8))
#: The circles that hold half and most of the light.
ENERGIES = (0.5, 0.8)
OPTICS_FEATURES = len(DISTANCE_SHARES) * len(ENERGIES)

#: With these, the features of known imagers lie within about -2 ... 2.
_CENTRE_OCTAVES, _SPREAD_OCTAVES = 1.5, 1.0
#: Widths well below a pixel are all alike.
_FLOOR_PX = 0.5
#: Steps of the table of widths: of an angle, and parts of another parameter's range.
_TABLE_DEG, _TABLE_STEPS = 0.5, 40


def _as_features(radius_px: Tensor) -> Tensor:
    return ((radius_px + _FLOOR_PX).log2() - _CENTRE_OCTAVES) / _SPREAD_OCTAVES


def radii_px(features: Tensor) -> Tensor:
    """(..., feature) -> (..., feature) the radii in pixels of these features."""
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
        / imager.square_pitch_um
        for share in DISTANCE_SHARES
        for energy in ENERGIES
    ]
    return _as_features(torch.tensor(radius_px, dtype=torch.float32))


class TabulatedOptics:
    """The features of many imagers at once: one PSF parameter and base blur for each.

    Examples:
        >>> import torch
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks.conditioning import TabulatedOptics
        >>> tabulated = TabulatedOptics(Imager.reference(), (14.0, 22.0))
        >>> tabulated(torch.tensor([15.0, 18.0, 21.0]), torch.zeros(3)).shape
        torch.Size([3, 16])
    """

    def __init__(
        self, imager: Imager, bounds: tuple[float, float], parameter: str = "half_angle_deg"
    ) -> None:
        """Tabulate the widths of an imager's PSF over one of its parameters.

        Args:
            imager: What all the imagers share.
            bounds: Least and greatest value of the parameter; beyond them, the widths of the ends
                are returned.
            parameter: One of the PSF's `batched_parameters`.

        Raises:
            ImagerError: If the PSF does not take the parameter scene by scene.
        """
        psf = imager.psf
        if parameter not in psf.batched_parameters:
            raise unknown_name(
                "parameter that differs from scene to scene",
                parameter,
                psf.batched_parameters,
                of=f"a PSF of kind {psf.kind}",
                error=ImagerError,
            )
        width = bounds[1] - bounds[0]
        steps = max(1, math.ceil(width / _table_step(parameter, width)))
        self._low, self._step = bounds[0], max(width / steps, 1e-6)
        self._bare_px = torch.tensor(
            [
                [
                    psf.with_(
                        **{parameter: bounds[0] + n * self._step, "base_blur_um": 0.0}
                    ).encircled_radius_um(share * imager.gap_um, energy)
                    / imager.square_pitch_um
                    for share in DISTANCE_SHARES
                    for energy in ENERGIES
                ]
                for n in range(steps + 1)
            ]
        )
        self._blur_radius = torch.tensor(
            [math.sqrt(-2 * math.log(1 - e)) for _ in DISTANCE_SHARES for e in ENERGIES]
        )

    def __call__(self, values: Tensor, base_blur_px: Tensor) -> Tensor:
        """Return the features of imagers.

        Args:
            values: (batch,) of the parameter.
            base_blur_px: (batch,) standard deviation of the base blur in pixels.

        Returns:
            (batch, feature).
        """
        position = (values - self._low) / self._step
        position = position.clamp(0, len(self._bare_px) - 1)
        before = position.floor().long().clamp(max=len(self._bare_px) - 2)
        share = (position - before)[:, None]
        bare_px = (1 - share) * self._bare_px[before] + share * self._bare_px[before + 1]
        return _as_features(torch.hypot(bare_px, base_blur_px[:, None] * self._blur_radius))


def _table_step(parameter: str, width: float) -> float:
    """Return the step of the table: half a degree of an angle, else a part of the range."""
    return _TABLE_DEG if parameter.endswith("_deg") else max(width / _TABLE_STEPS, 1e-6)
