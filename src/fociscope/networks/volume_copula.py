r"""Volumes drawn at random from calibrated probabilities, so that voxels go together.

The probability $p_s$ of a voxel says nothing of its neighbours. Two Gaussian random fields do:
neighbouring columns hold cells together (presence), and where these lie deeper than is likeliest,
they do so together (depth). With $F_s = \sum_{t \le s} p_t$ down a column, the
fraction $f$ of the column's sum, and uniform numbers $v$ and $w$ of the two fields,

$$ u = \begin{cases} f w & v < f \\ f + (1 - f)\, w & \text{else,} \end{cases} \qquad
x_s = \lfloor F_s - u \rfloor > \lfloor F_{s-1} - u \rfloor . $$

As $u$ is uniform, a voxel is occupied with the probability $p_s$ exactly. Where the fields do not
change along a column, this is systematic sampling (Madow, Annals of Mathematical Statistics 20
(1949), 333-354): a focus whose depth is uncertain is drawn at one depth, and not at several or at
none. The fields do change: cells far apart in depth are drawn independently.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError

__all__ = ["FieldCorrelation", "VolumeCopula", "draw_light", "draw_occupied"]

#: Of the axial correlation, less than this share of its largest part is left out.
NEGLIGIBLE = 1e-3
#: The frame is widened by so many correlation lengths, so that its two sides are independent.
APART = 2.5
#: Light moves to occupied voxels within a pixel sideways and two slices in depth.
_LATERAL, _AXIAL = (0.5, 1.0, 0.5), (0.25, 0.5, 1.0, 0.5, 0.25)


class FieldCorrelation(Configuration):
    r"""Correlation of a Gaussian field over pixels, at a distance $r$ sideways.

    $$c_\text{frame} + (1 - c_\text{frame})\, e^{-r^2 / 2 l^2}$$

    Examples:
        >>> from fociscope.networks import FieldCorrelation
        >>> FieldCorrelation(lateral_um=100.0).frame_share
        0.0
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    lateral_um: Annotated[float, Field(gt=0, le=1e5)]
    """$l$."""
    frame_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    r"""$c_\text{frame}$, the share of the variance that is the same for the whole volume."""


class VolumeCopula(Configuration):
    r"""How the voxels of a volume go together, fitted to validation scenes.

    But for what is the same for the whole volume, both fields are correlated along depth by
    $e^{-\Delta z^2 / 2 l_z^2}$.

    Examples:
        >>> from fociscope.networks import FieldCorrelation, VolumeCopula
        >>> scales = FieldCorrelation(lateral_um=100.0)
        >>> VolumeCopula(presence=scales, depth=scales, axial_um=100.0).light_per_residual
        0.5
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    presence: FieldCorrelation
    depth: FieldCorrelation
    axial_um: Annotated[float, Field(gt=0, le=1e5)]
    """$l_z$."""
    light_per_residual: Annotated[float, Field(ge=0, le=10)] = 0.5
    """Standard deviation of the logarithm of a volume's whole light by the residual of its
    re-projection."""
    light_shift_per_residual: Annotated[float, Field(ge=-10, le=10)] = 0.0
    """Mean of that logarithm, of true light by fitted light, by the same residual."""


def draw_occupied(
    probability: Tensor,
    slice_um: Tensor,
    copula: VolumeCopula,
    *,
    pitch_um: float,
    count: int,
    generator: torch.Generator,
) -> Tensor:
    """Draw which voxels hold cells.

    Args:
        probability: Probability of cells in each voxel, (slice, y, x).
        slice_um: Depth of the middle of each slice in um, (slice,).
        copula: How voxels go together.
        pitch_um: Side of a pixel in um.
        count: Number of volumes to draw.
        generator: Source of the random numbers.

    Returns:
        (count, slice, y, x) bool; each voxel is true with its probability.

    Examples:
        >>> import torch
        >>> from fociscope.networks import FieldCorrelation, VolumeCopula, draw_occupied
        >>> scales = FieldCorrelation(lateral_um=100.0)
        >>> copula = VolumeCopula(presence=scales, depth=scales, axial_um=1000.0)
        >>> occupied = draw_occupied(
        ...     torch.full((4, 9, 9), 0.25), torch.tensor([125.0, 375, 625, 875]), copula,
        ...     pitch_um=55.0, count=3, generator=torch.Generator().manual_seed(0),
        ... )
        >>> occupied.shape
        torch.Size([3, 4, 9, 9])
    """
    axial = _axial_factor(slice_um, copula.axial_um)
    frame = (probability.shape[-2], probability.shape[-1])
    v, w = (
        torch.special.ndtr(_fields(count, axial, frame, pitch_um, scales, generator))
        for scales in (copula.presence, copula.depth)
    )
    deeper = probability.double().cumsum(dim=0).float()
    fraction = deeper[-1] - deeper[-1].floor()
    u = torch.where(v < fraction, fraction * w, fraction + (1 - fraction) * w)
    # Both bounds of a voxel are the same numbers as those of its neighbours, so that rounding
    # neither loses a point nor counts it twice.
    shallower = torch.cat([torch.zeros_like(deeper[:1]), deeper[:-1]])
    occupied: Tensor = (deeper - u).floor() > (shallower - u).floor()
    return occupied


def _axial_factor(slice_um: Tensor, length_um: float) -> Tensor:
    """Return (slice, part): a few independent fields make correlated ones of unit variance."""
    z = slice_um.double()
    correlation = torch.exp(-0.5 * ((z[:, None] - z) / length_um) ** 2)
    values, vectors = torch.linalg.eigh(correlation)
    kept = values > NEGLIGIBLE * values.max()
    factor: Tensor = vectors[:, kept] * values[kept].sqrt()
    unit: Tensor = (factor / factor.square().sum(dim=1, keepdim=True).sqrt()).float()
    return unit


def _fields(
    count: int,
    axial: Tensor,
    frame: tuple[int, int],
    pitch_um: float,
    scales: FieldCorrelation,
    generator: torch.Generator,
) -> Tensor:
    """Draw (count, slice, y, x) Gaussian fields of unit variance."""
    length_px = scales.lateral_um / pitch_um
    # No more than the frame again: beyond it, correlation that long is that of the frame.
    height, width = (n + min(n, math.ceil(APART * length_px)) for n in frame)
    fy, fx = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    amplitude = torch.exp(-((math.pi * length_px) ** 2) * (fy**2 + fx**2))
    unit = torch.fft.irfft2(amplitude, s=(height, width)).square().sum().sqrt()
    white = torch.randn(count, axial.shape[1], height, width, generator=generator)
    field = torch.fft.irfft2(torch.fft.rfft2(white) * (amplitude / unit), s=(height, width))
    field = torch.einsum("sk,nkyx->nsyx", axial, field[..., : frame[0], : frame[1]])
    if scales.frame_share > 0:
        same = torch.randn(count, 1, 1, 1, generator=generator)
        share = scales.frame_share
        field = field.mul_(math.sqrt(1 - share)).add_(math.sqrt(share) * same)
    return field


def draw_light(
    intensity: Tensor,
    occupied: Tensor,
    copula: VolumeCopula,
    *,
    residual: float,
    generator: torch.Generator,
) -> Tensor:
    """Draw the light of volumes whose occupied voxels are drawn.

    Light that was fitted to the captures moves to the occupied voxels near it, or stays where there
    is none, so that nothing of it is lost. Then each volume's whole is scaled by a number of
    its own, spread as far as the residual makes likely.

    Args:
        intensity: Light of each voxel, (slice, y, x).
        occupied: Whether voxels hold cells, (count, slice, y, x).
        copula: How voxels go together.
        residual: Largest residual of the re-projection among the sensors.
        generator: Source of the random numbers.

    Returns:
        (count, slice, y, x) light.

    Examples:
        >>> import torch
        >>> from fociscope.networks import FieldCorrelation, VolumeCopula, draw_light
        >>> scales = FieldCorrelation(lateral_um=100.0)
        >>> copula = VolumeCopula(presence=scales, depth=scales, axial_um=100.0)
        >>> intensity, occupied = torch.zeros(2, 4, 9, 9)
        >>> intensity[1, 4, 4] = occupied[2, 4, 4] = 1
        >>> light = draw_light(
        ...     intensity, occupied[None] > 0, copula, residual=0.0,
        ...     generator=torch.Generator().manual_seed(0),
        ... )
        >>> round(light[0, 2, 4, 4].item(), 4)
        1.0
    """
    there = occupied.float()
    near = _spread(there)
    shared = intensity / near.clamp(min=1e-6) * (near > 0)
    light = there * _spread(shared) + intensity * (near == 0)
    noise = torch.randn(len(there), generator=generator)
    scale = residual * (copula.light_shift_per_residual + copula.light_per_residual * noise)
    return light * scale.exp()[:, None, None, None]


def _spread(volumes: Tensor) -> Tensor:
    """Sum (count, slice, y, x) over the neighbours, near ones with more weight."""
    for dim, kernel in ((1, _AXIAL), (2, _LATERAL), (3, _LATERAL)):
        reach, length = len(kernel) // 2, volumes.shape[dim]
        wide = F.pad(volumes, [0, 0] * (3 - dim) + [reach, reach])
        volumes = wide.narrow(dim, 0, length) * kernel[0]
        for k, weight in enumerate(kernel[1:], 1):
            volumes.add_(wide.narrow(dim, k, length), alpha=weight)
    return volumes
