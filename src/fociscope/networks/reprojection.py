"""Reprojection: from the output of a network to the captures that its imager would take of it."""

from __future__ import annotations

from torch import Tensor

from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.networks.layer_net import LayerNetOutput, mean_light
from fociscope.residuals import at_best_gain

__all__ = ["depth_bounds_um", "light_and_depth", "reproject"]


def light_and_depth(
    output: LayerNetOutput, present: Tensor, captures: Tensor, gap_um: float
) -> tuple[Tensor, Tensor]:
    """Return light in units of the captures and depths in um.

    Args:
        output: Output of the network.
        present: Whether there is such a layer, (batch, layer); absent layers send no light.
        captures: Captures that the output is for, (batch, sensor, y, x).
        gap_um: Gap of the imager, in um.

    Returns:
        Light that reaches sensor A, (batch, layer, y, x), and depths in 0 ... gap, (batch, layer).
    """
    unit = mean_light(captures[:, :1])
    intensity = output.intensity * unit * present[..., None, None]
    return intensity, (output.depth * gap_um).clamp(0, gap_um)


def depth_bounds_um(imager: Imager) -> tuple[float, float]:
    """Return the depths that an imager's PSF is known for, from each of its sensors."""
    least, most = imager.psf.depth_range_um
    low, high = max(0.0, least), min(imager.gap_um, most)
    if imager.sensors == 2:
        low, high = max(low, imager.gap_um - most), min(high, imager.gap_um - least)
    return low, max(low, high)


def reproject(
    projector: LayerProjector,
    intensity: Tensor,
    depth_um: Tensor,
    captures: Tensor,
    *,
    good: Tensor | None = None,
    **psf_parameters: Tensor,
) -> Tensor:
    """Return what an imager would see of layers, each sensor at the gain that fits it best.

    Args:
        projector: Projector of the imager.
        intensity: Light that reaches sensor A, (batch, layer, y, x).
        depth_um: Depths in um, (batch, layer), moved into the range that the PSF is known for.
        captures: Captures as taken, (batch, sensor, y, x).
        good: 1 where pixels count for the gain, 0 where they do not, (sensor, y, x).
        psf_parameters: PSF parameters as for `LayerProjector.A`.

    Returns:
        Captures of the layers, (batch, sensor, y, x).
    """
    imager = projector.imager
    # The share of the emitted light that a sensor gets is part of its gain.
    seen = projector.A(intensity, depth_um.clamp(*depth_bounds_um(imager)), **psf_parameters)
    assert isinstance(seen, Tensor)
    return at_best_gain(seen, captures, good=good)
