"""The point spread function: how one emitter's light spreads over the pixels below it.

An isotropic emitter at distance z above an angle-selective plane lights it with the irradiance
(per emitted photon)

    E(r) = z / (4 pi (z^2 + r^2)^(3/2)) * T(theta),    theta = atan(r / z),

where T is the grating's angular transmission (Papageorgiou, Boser, Anwar, IEEE TBioCAS 14, 2020).
A cone of half angle theta holds the solid angle 2 pi (1 - cos theta), so the fraction of all light
that lands outside a circle is an integral over c = cos theta alone, whatever the distance:

    Q(c) = 1/2 * integral of T from 0 to c,    Q(1) = the fraction that lands anywhere.

A pixel's share is an integral of E over its square. Because E is radial, it is the divergence of
-Q / (2 pi r^2) * (x, y), and Gauss's theorem turns the square into its four edges, where the
integrand is smooth however close the emitter is: at z -> 0 the pixel underneath collects all.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.configuration import Configuration
from fociscope.errors import ImagerError

__all__ = [
    "AngleSelectivePsf",
    "angle_selective_quadrant",
    "discrete_gaussian_transfer",
    "gaussian_transmission",
    "outer_energy_table",
    "quadrant_transfer",
]

#: Intervals of the table of Q over cos theta, linearly interpolated: 1e-4 of a kernel in L1.
TABLE_INTERVALS = 2048
#: Gauss-Legendre nodes on each pixel edge: a kernel is within 1e-4 in L1 of the converged integral.
EDGE_NODES = 4
#: The widest kernel; beyond it memory, not physics, sets the limit.
LARGEST_RADIUS_PX = 1024


def gaussian_transmission(theta_rad: Tensor, half_angle_deg: Tensor | float) -> Tensor:
    """Return T(theta) = 2^-(theta / half angle)^2: 1 straight down, 1/2 at the half angle."""
    half_angle_rad = torch.as_tensor(half_angle_deg, dtype=theta_rad.dtype) * (math.pi / 180)
    return torch.exp2(-((theta_rad / half_angle_rad.to(theta_rad.device)) ** 2))


def outer_energy_table(half_angle_deg: Tensor) -> Tensor:
    """Tabulate Q(c), the fraction of the emitted light that lands outside the cone cos theta = c.

    Args:
        half_angle_deg: (...) half width at half maximum of the transmission.

    Returns:
        (..., TABLE_INTERVALS + 1) at c = 0 ... 1, by Simpson's rule; the last entry is all the
        light that passes the grating.
    """
    n = TABLE_INTERVALS
    theta_rad = torch.arccos(torch.linspace(0, 1, 2 * n + 1, dtype=torch.float64))
    t = gaussian_transmission(theta_rad.to(half_angle_deg), half_angle_deg[..., None])
    panels = (t[..., 0:-1:2] + 4 * t[..., 1::2] + t[..., 2::2]) / (12 * n)
    return torch.cat([torch.zeros_like(panels[..., :1]), panels.cumsum(-1)], dim=-1)


@lru_cache(maxsize=64)
def _outer_energy(half_angle_deg: float) -> Tensor:
    """Return the table of one half angle in double precision; every projection asks for it."""
    return outer_energy_table(torch.tensor(half_angle_deg, dtype=torch.float64))


@lru_cache(maxsize=4)
def _edge_nodes(radius_px: int) -> tuple[Tensor, Tensor]:
    """Return the squared distance and the weight of each node on the edges facing +x, in pixels.

    Both are (radius + 1, radius + 1, nodes) float64, indexed by [edge i, row j]: the edge runs at
    x = i + 1/2 from y = j - 1/2 to j + 1/2. Along it x / r^2 dy is the step of the azimuth, so the
    nodes lie evenly in azimuth and the flux of (x, y) / r^2 through an edge is its angle, exactly.
    """
    node, weight = np.polynomial.legendre.leggauss(EDGE_NODES)
    x = np.arange(radius_px + 1)[:, None] + 0.5
    j = np.arange(radius_px + 1)[None, :]
    start, end = np.arctan((j - 0.5) / x), np.arctan((j + 0.5) / x)
    azimuth = (start + end)[..., None] / 2 + (end - start)[..., None] / 2 * node
    r2 = (x[..., None] / np.cos(azimuth)) ** 2
    return torch.from_numpy(r2), torch.from_numpy((end - start)[..., None] / 2 * weight)


def angle_selective_quadrant(
    distance_um: Tensor, half_angle_deg: Tensor, *, pixel_pitch_um: float, radius_px: int
) -> Tensor:
    """Integrate the irradiance of point emitters over each pixel of one quadrant.

    Args:
        distance_um: (...) distance of the emitter from the sensor plane, at least 0.
        half_angle_deg: broadcastable to `distance_um`.
        pixel_pitch_um: side of the square pixel.
        radius_px: pixels from the centre to the last row and column.

    Returns:
        (..., radius + 1, radius + 1): the fraction of the emitted light that each pixel collects;
        entry [0, 0] lies under the emitter. Differentiable in both tensors.

    Raises:
        ImagerError: the kernel is wider than memory allows.
    """
    if radius_px > LARGEST_RADIUS_PX:
        raise ImagerError(
            f"the light spreads over a radius of {radius_px} pixels, more than "
            f"{LARGEST_RADIUS_PX}; take a narrower half angle, a smaller depth or larger pixels"
        )
    r2, weight = (t.to(distance_um) for t in _edge_nodes(radius_px))
    z = (distance_um / pixel_pitch_um)[..., None, None, None]
    cos_theta = z * torch.rsqrt(z * z + r2)

    table = outer_energy_table(half_angle_deg.to(distance_um))
    width = table.shape[-1]
    row = torch.arange(half_angle_deg.numel(), device=z.device) * width
    row = row.reshape(half_angle_deg.shape).expand(distance_um.shape)[..., None, None, None]
    position = cos_theta * (width - 1)
    index = position.detach().to(torch.int64).clamp_(0, width - 2)
    fraction = position - index
    flat, index = table.reshape(-1), index + row
    lower = flat[index]
    q = lower + fraction * (flat[index + 1] - lower)

    flux = (q * weight).sum(-1) / (2 * math.pi)
    outflow = flux.clone()
    outflow[..., 0, :] += flux[..., 0, :]
    outflow[..., 1:, :] -= flux[..., :-1, :]
    quadrant = -(outflow + outflow.transpose(-1, -2))
    total = torch.zeros_like(quadrant)
    total[..., 0, 0] = table[..., -1].expand(distance_um.shape)
    return quadrant + total


@lru_cache(maxsize=32)
def _cosines(samples: int, radius_px: int) -> Tensor:
    """Return cos(2 pi n i / samples), doubled for i > 0: (samples // 2 + 1, radius + 1) float64."""
    n = torch.arange(samples // 2 + 1, dtype=torch.float64)[:, None]
    i = torch.arange(radius_px + 1, dtype=torch.float64)[None, :]
    return torch.cos(2 * math.pi * n * i / samples) * torch.where(i == 0, 1.0, 2.0)


def quadrant_transfer(quadrant: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the transfer function of a kernel that is even in x and in y, from one quadrant.

    Args:
        quadrant: (..., radius + 1, radius + 1).
        grid: (y, x) samples of the Fourier grid.

    Returns:
        Real (..., y // 2 + 1, x // 2 + 1): the first quadrant of frequencies.
    """
    cosines_y, cosines_x = (_cosines(n, quadrant.shape[-1] - 1).to(quadrant) for n in grid)
    return cosines_y @ quadrant @ cosines_x.T


def discrete_gaussian_transfer(variance_px2: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the transfer function of the discrete Gaussian, exp(t (cos kx + cos ky - 2)).

    Unlike a sampled Gaussian it has exactly the variance t on the pixel grid at every width, is
    never negative, and is a delta at t = 0 (Lindeberg, IEEE TPAMI 12:234-254, 1990).

    Args:
        variance_px2: (...).
        grid: (y, x) samples of the Fourier grid.

    Returns:
        Real (..., y // 2 + 1, x // 2 + 1).
    """
    drop_y, drop_x = (
        torch.cos(2 * math.pi * torch.arange(n // 2 + 1, dtype=torch.float64) / n) - 1 for n in grid
    )
    drop = (drop_y[:, None] + drop_x[None, :]).to(variance_px2)
    return torch.exp(variance_px2[..., None, None] * drop)


class AngleSelectivePsf(Configuration):
    """The spread of a point emitter's light behind an angle-selective grating."""

    kind: Literal["angle-selective"] = "angle-selective"
    half_angle_deg: Annotated[float, Field(ge=4, le=60)] = 18.0
    """Angle from straight down at which half of the light still passes. Assumption, REFERENCES."""
    base_blur_um: Annotated[float, Field(ge=0, le=500)] = 0.0
    """Standard deviation of a blur that does not depend on depth, such as crosstalk of pixels."""

    def transmission(self, theta_rad: ArrayLike) -> Tensor | np.ndarray:
        """Return T(theta), the share of light that passes the grating at an angle, in 0 ... 1."""
        return like(gaussian_transmission(as_tensor(theta_rad), self.half_angle_deg), theta_rad)

    @property
    def energy_fraction(self) -> float:
        """The fraction of an emitter's light that lands on an unbounded plane, at any distance."""
        return float(_outer_energy(self.half_angle_deg)[-1])

    def energy_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the radius of the circle that holds the share `energy` of the collected light."""
        outer = _outer_energy(self.half_angle_deg)
        entry = int(torch.searchsorted(outer, (1 - energy) * outer[-1], right=True)) - 1
        cos_theta = max(entry, 1) / TABLE_INTERVALS
        blur = self.base_blur_um * math.sqrt(-2 * math.log(1 - energy))
        return math.hypot(distance_um * math.sqrt(1 / cos_theta**2 - 1), blur)

    def transfer(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        grid: tuple[int, int],
        half_angle_deg: Tensor | None = None,
        base_blur_um: Tensor | None = None,
    ) -> Tensor:
        """Return the transfer function of the kernel on a Fourier grid.

        Args:
            distance_um: (...) distance of the emitter from the sensor plane.
            pixel_pitch_um: side of the square pixel.
            radius_px: where the kernel is cut off.
            grid: (y, x) samples of the Fourier grid.
            half_angle_deg: in place of this PSF's, broadcastable to `distance_um`.
            base_blur_um: in place of this PSF's, broadcastable to `distance_um`.

        Returns:
            Real (..., y, x // 2 + 1), in the order of `torch.fft.rfft2`.
        """
        if half_angle_deg is None:
            half_angle_deg = distance_um.new_full((1,) * distance_um.ndim, self.half_angle_deg)
        transfer = quadrant_transfer(
            angle_selective_quadrant(
                distance_um,
                half_angle_deg,
                pixel_pitch_um=pixel_pitch_um,
                radius_px=radius_px,
            ),
            grid,
        )
        if base_blur_um is None:
            base_blur_um = distance_um.new_full((1,) * distance_um.ndim, self.base_blur_um)
        if bool((base_blur_um != 0).any()):
            variance_px2 = (base_blur_um.to(transfer) / pixel_pitch_um) ** 2
            transfer = transfer * discrete_gaussian_transfer(variance_px2, grid)
        mirrored = torch.arange(grid[0], device=transfer.device)
        return transfer[..., torch.minimum(mirrored, grid[0] - mirrored), :]

    def kernel(
        self, depth_um: ArrayLike, pixel_pitch_um: float, *, energy: float = 0.999
    ) -> Tensor | np.ndarray:
        """Return the share of an emitter's light that each pixel around it collects.

        Args:
            depth_um: () distance of the emitter from the sensor plane, or (...) several.
            pixel_pitch_um: side of the square pixel.
            energy: the kernel is wide enough to hold this share of the collected light.

        Returns:
            (..., k, k) with k odd and the emitter above the centre of the middle pixel. Its sum
            tends to `energy_fraction`.

        Raises:
            ImagerError: a negative depth, a pitch that is none, or an energy outside 0 ... 1.
        """
        distance = as_tensor(depth_um)
        if not (bool((distance >= 0).all()) and pixel_pitch_um > 0 and 0 < energy < 1):
            raise ImagerError(
                "a kernel needs depths from 0 um, a pitch above 0 um and an energy within 0 ... 1; "
                f"got {float(distance.min()):g} um, {pixel_pitch_um:g} um and {energy:g}"
            )
        reach_um = self.energy_radius_um(float(distance.max()), energy)
        radius = math.ceil(reach_um / pixel_pitch_um + 0.5)
        margin = math.ceil(8 * self.base_blur_um / pixel_pitch_um)
        side = 2 * (radius + margin) + 1
        transfer = self.transfer(
            distance, pixel_pitch_um=pixel_pitch_um, radius_px=radius, grid=(side, side)
        )
        full = torch.fft.fftshift(torch.fft.irfft2(transfer, s=(side, side)), dim=(-2, -1))
        cut = slice(margin, side - margin)
        return like(full[..., cut, cut], depth_um)
