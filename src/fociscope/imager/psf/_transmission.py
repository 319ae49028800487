"""The angular transmission T(theta) of a grating, and the light that it lets through.

A cone of half angle theta holds the solid angle 2 pi (1 - cos theta), so what lands farther out
than a ray that left the emitter at theta is an integral over the rays beyond it, whatever the
distance:

    Q(u) = integral of T u du from u to 1,    u = sqrt(1 - cos theta),

where u grows like the angle, so that even steps of it resolve a narrow grating as well as a wide
one. Q(0) is the fraction that lands anywhere.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

__all__ = ["TABLE_INTERVALS", "Shape", "outer_energy_table", "relative_transmission"]

Shape = Literal["gaussian", "raised-cosine", "tabulated"]

#: Intervals of the table of Q over u, linearly interpolated.
TABLE_INTERVALS = 2048


def relative_transmission(
    theta_rad: Tensor,
    half_angle_deg: Tensor | float,
    *,
    shape: Shape = "gaussian",
    leakage: float = 0.0,
    table: tuple[tuple[float, float], ...] = (),
) -> Tensor:
    """Return T(theta): 1 straight down, and halfway between 1 and the leakage at the half angle.

    - `gaussian`: 2^-(theta / half angle)^2;
    - `raised-cosine`: (1 + cos(pi/2 * theta / half angle)) / 2, none beyond twice the half angle;
    - `tabulated`: the table, joined by straight lines and stretched to the half angle; none beyond
      its last angle.

    Args:
        theta_rad: (...) angle from straight down.
        half_angle_deg: broadcastable to `theta_rad`.
        shape: of the grating's acceptance.
        leakage: share of light that passes at every angle.
        table: (angle in degrees, transmission) from 0 degrees on, for `tabulated`; it is divided
            by its first transmission.
    """
    half_angle_rad = torch.as_tensor(half_angle_deg, dtype=theta_rad.dtype) * (math.pi / 180)
    u = theta_rad / half_angle_rad.to(theta_rad.device)
    if shape == "gaussian":
        accepted = torch.exp2(-(u**2))
    elif shape == "raised-cosine":
        accepted = (1 + torch.cos(u.clamp(max=2) * (math.pi / 2))) / 2
    else:
        accepted = _joined(u * half_angle_of(table), table)
    return leakage + (1 - leakage) * accepted


def half_angle_of(table: tuple[tuple[float, float], ...]) -> float:
    """Return the angle in degrees at which a table first falls to half of its first entry.

    Raises:
        ValueError: it never does.
    """
    half = table[0][1] / 2
    for (angle, t), (next_angle, next_t) in pairwise(table):
        if next_t <= half:
            return angle + (next_angle - angle) * (t - half) / (t - next_t)
    raise ValueError("the table never falls to half of its transmission straight down")


def _joined(theta_deg: Tensor, table: tuple[tuple[float, float], ...]) -> Tensor:
    """Interpolate a table linearly; dark beyond its end."""
    angle = torch.tensor([row[0] for row in table], dtype=torch.float64).to(theta_deg)
    value = torch.tensor([row[1] for row in table], dtype=torch.float64).to(theta_deg) / table[0][1]
    index = torch.searchsorted(angle, theta_deg.detach().contiguous(), right=True)
    index = index.clamp(1, len(table) - 1)
    fraction = (theta_deg - angle[index - 1]) / (angle[index] - angle[index - 1])
    inside = value[index - 1] + fraction * (value[index] - value[index - 1])
    return torch.where(theta_deg <= angle[-1], inside, torch.zeros_like(inside))


def outer_energy_table(transmitted: Tensor) -> Tensor:
    """Tabulate Q(u), the fraction of the emitted light that lands outside the cone of u.

    Args:
        transmitted: (..., 2 * TABLE_INTERVALS + 1) transmission at even steps of u from 0 to 1.

    Returns:
        (..., TABLE_INTERVALS + 1) at u = 0 ... 1, by Simpson's rule; the first entry is all the
        light that passes the grating, the last is 0.
    """
    u = torch.linspace(0, 1, 2 * TABLE_INTERVALS + 1, dtype=torch.float64).to(transmitted)
    f = transmitted * u
    panels = (f[..., 0:-1:2] + 4 * f[..., 1::2] + f[..., 2::2]) / (6 * TABLE_INTERVALS)
    outer = panels.flip(-1).cumsum(-1).flip(-1)
    return torch.cat([outer, torch.zeros_like(outer[..., :1])], dim=-1)
