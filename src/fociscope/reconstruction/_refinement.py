"""The light that explains the captures, nearest to what the network restored.

A network restores light as the mean of all that it holds possible, so what the imager would see of
it differs from the captures by far more than noise. A few steps of accelerated proximal gradient
(`fociscope.solvers.fista` has the sources), begun at the network's answer, take that
difference away. What the captures do not tell, they leave as the network has it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fociscope.imager.projector import LayerProjector
from fociscope.networks.reprojection import depth_bounds_um
from fociscope.noise import noise_std

__all__ = ["refined_light"]

#: Chosen on scenes of no other use (benchmarks/networks_limits.md).
STEPS = 100
#: How far the truth may lie from the network's light: a part of it, and a part of the mean.
RELATIVE, FLOOR = 0.5, 0.2
#: Weight of that beside the noise; more where light is sure to be as restored.
TRUST = 3.0
#: Of one sensor beside the other, in the units of each one's peak.
LARGEST_GAIN = 100.0
#: Noise below this share of the mean is not believed.
LEAST_RELATIVE_NOISE = 1e-3


def refined_light(
    projector: LayerProjector,
    intensity: Tensor,
    depth_um: Tensor,
    captures: Tensor,
    *,
    good: Tensor | None = None,
    steps: int = STEPS,
) -> Tensor:
    """Minimise |A x - y / g|^2 / s^2 + TRUST |(x - x0) / w|^2 over x >= 0, some steps toward it.

    g are the sensors' gains that fit the network's light x0 best, that of sensor A being in the
    light, so that both sensors count alike in whatever units their images are; s is the deviation
    of sensor A's noise, and w = RELATIVE x0 + FLOOR times the mean of its image how far a pixel may
    be off: where it is dark, the network is nearly right. Every pixel has a step of its own, which
    both terms bound.

    Args:
        projector: of the imager.
        intensity: (batch, layer, y, x) light that reaches sensor A, as restored; layers without any
            stay without.
        depth_um: (batch, layer); taken for the nearest depth that the PSF is known for.
        captures: (batch, sensor, y, x), y.
        good: (sensor, y, x) 1 where pixels count, 0 where they do not.
        steps: of accelerated proximal gradient.

    Returns:
        (batch, layer, y, x) light that reaches sensor A.
    """
    imager = projector.imager
    depth_um = depth_um.clamp(*depth_bounds_um(imager))
    collected = float(imager.psf.collection_efficiency())
    weight = torch.ones_like(captures) if good is None else good.expand_as(captures)
    projection = projector.at(depth_um, (captures.shape[-2], captures.shape[-1]))

    def seen(light: Tensor) -> Tensor:
        return projection.A(light / collected) * weight

    def back(images: Tensor) -> Tensor:
        return projection.A_adjoint(images * weight) / collected

    first = seen(intensity)
    overlap = (first * captures).sum(dim=(-2, -1), keepdim=True)
    fitting = overlap / first.square().sum(dim=(-2, -1), keepdim=True).clamp(min=1e-30)
    at_a = fitting[:, :1].clamp(min=1e-30)
    gain = (fitting / at_a).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    wanted = captures / gain * weight
    there = (intensity.amax(dim=(-2, -1), keepdim=True) > 0).to(intensity.dtype)
    anchor = intensity * at_a
    on_a, counted = captures[:, :1], weight[:, :1]
    pixels = counted.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    mean = ((on_a * counted).sum(dim=(-2, -1), keepdim=True) / pixels).clamp(min=1e-30)
    noise = noise_std(torch.where(counted > 0, on_a / mean, 1.0)).clamp(min=LEAST_RELATIVE_NOISE)
    width = RELATIVE * anchor / mean + FLOOR
    nearness = TRUST * (noise[..., None, None] / width).square()
    # No pixel sends a sensor more than all of its light, so |A|^2 is at most sensors times layers.
    bound = intensity.shape[1] * captures.shape[1] + nearness
    now = ahead = anchor
    t = 1.0
    for _ in range(steps):
        slope = back(seen(ahead) - wanted)
        further = (ahead - (slope + nearness * (ahead - anchor)) / bound).clamp(min=0) * there
        t_next = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead = further + (t - 1) / t_next * (further - now)
        now, t = further, t_next
    return now
