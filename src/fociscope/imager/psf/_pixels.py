"""The share of a radial light distribution that each square pixel collects.

Light of irradiance E(r) around the point below an emitter is the divergence of

    -Q(r) / (2 pi r^2) * (x, y),    Q(r) = the light that lands farther out than r,

but for a point source of strength Q(0) at the origin. Gauss's theorem turns the integral over a
pixel's square into one along its four edges, where the integrand is smooth however close the
emitter is: an emitter that touches the sensor gives all its light to the pixel underneath.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "OuterEnergy",
    "potential_area_response",
    "radial_area_response",
    "radial_pixel_response",
]

OuterEnergy = Callable[[Tensor], Tensor]
"""Squared distances (edge, row, node) from the point below the emitter, in um^2 -> (..., edge, row,
node) the light that lands farther out; the leading axes are the emitters'."""

Edges = tuple[np.ndarray, np.ndarray, np.ndarray]

#: Gauss-Legendre nodes on an edge of a pixel whose middle lies below the emitter or a whole number
#: of pixels beside it: a kernel is within 1e-4 in L1 of the converged integral.
EDGE_NODES = 4
#: The same for an edge that may run close past the emitter, which spreads it over half a turn, and
#: for one that lies farther from it than `NEAR_PX` pixels.
NEAR_EDGE_NODES = 24
FAR_EDGE_NODES = 6
NEAR_PX = 2.0
#: The same for areas anywhere, along edges whose nodes are dense near the emitter.
AREA_NODES = 12
#: An edge this near to the emitter passes through it.
TOUCHING_UM = 1e-9


def radial_pixel_response(
    outer_energy: OuterEnergy,
    total: Tensor,
    *,
    pixel_pitch_um: float,
    radius_px: int,
    offset_um: tuple[float, float] | None = None,
    fill_factor: float = 1.0,
    edge_nodes: int = EDGE_NODES,
) -> Tensor:
    r"""Return what each pixel collects of radial light.

    With $Q(r)$ the light that lands farther out than $r$, the irradiance is the divergence of
    $-Q(r)\,(x, y) / (2 \pi r^2)$ but for the source at the origin, so that a pixel collects a line
    integral along its four edges.

    Args:
        outer_energy: $Q$ of the emitters (...), all above the same point: squared distances
            (edge, row, node) in um^2 -> (..., edge, row, node).
        total: (...) light that lands, $Q(0)$.
        pixel_pitch_um: Side of the square pixel.
        radius_px: Pixels from the middle one to the last row and column.
        offset_um: (y, x) of the emitter from the middle of the middle pixel; None for none.
        fill_factor: Share of the pixel that is sensitive, a square in its middle.
        edge_nodes: Gauss-Legendre nodes on an edge, without an offset; more of them for light
            that changes within a pixel.

    Returns:
        Without an offset (..., radius + 1, radius + 1), one quadrant, whose entry [0, 0] lies under
        the emitter; else (..., 2 radius + 1, 2 radius + 1).

    Examples:
        >>> import torch
        >>> from fociscope.imager import radial_pixel_response
        >>> gaussian = lambda r2_um2: torch.exp(-r2_um2 / (2 * 40.0**2))
        >>> total = torch.ones((), dtype=torch.float64)
        >>> quadrant = radial_pixel_response(gaussian, total, pixel_pitch_um=55.0, radius_px=5)
        >>> round(float(quadrant[0, 0]), 3)  # erf(55 / 2 / 40 / sqrt(2))^2
        0.258
    """
    aperture = math.sqrt(fill_factor)
    if offset_um is None:
        return _quadrant(outer_energy, total, pixel_pitch_um, radius_px, aperture, edge_nodes)
    return _window(outer_energy, total, pixel_pitch_um, radius_px, aperture, offset_um)


def radial_area_response(
    outer_energy: OuterEnergy,
    total: Tensor,
    scale_um: Tensor,
    *,
    y_um: Tensor,
    x_um: Tensor,
    size_um: tuple[float, float],
) -> Tensor:
    r"""Return what rectangles anywhere collect of radial light.

    With $N(r) = Q(0) - Q(r)$ the light that lands within $r$, the irradiance is the divergence of
    $N(r)\,(x, y) / (2 \pi r^2)$, which is smooth at the origin, so that a rectangle collects a line
    integral along its four edges wherever it lies.

    Args:
        outer_energy: $Q$ of the emitters (...): squared distances (..., edge, rectangle, node) in
            um^2 -> the light that lands farther out.
        total: (...) light that lands, $Q(0)$.
        scale_um: (...) radius within which the light changes little.
        y_um: (..., rectangle) of the rectangles' middles from the point below the emitter.
        x_um: (..., rectangle) likewise along x.
        size_um: (y, x) sides of every rectangle.

    Returns:
        (..., rectangle).

    Examples:
        >>> import torch
        >>> from fociscope.imager import radial_area_response
        >>> gaussian = lambda r2_um2: torch.exp(-r2_um2 / (2 * 40.0**2))
        >>> one, place = torch.ones((), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        >>> seen = radial_area_response(
        ...     gaussian, one, 40.0 * one, y_um=place, x_um=place, size_um=(55.0, 55.0)
        ... )
        >>> round(float(seen[0]), 3)  # erf(55 / 2 / 40 / sqrt(2))^2
        0.258
    """
    across_um, r2_um2, step_um = _edges(y_um, x_um, size_um, scale_um)
    inside = total[..., None, None, None] - outer_energy(r2_um2)
    density = inside / r2_um2.clamp(min=TOUCHING_UM**2) / (2 * math.pi)
    flux = (density * step_um).sum(-1) * across_um
    return flux[..., 0, :] - flux[..., 1, :] + flux[..., 2, :] - flux[..., 3, :]


def potential_area_response(
    potential: OuterEnergy,
    scale_um: Tensor,
    *,
    direction: tuple[float, float],
    y_um: Tensor,
    x_um: Tensor,
    size_um: tuple[float, float],
) -> Tensor:
    r"""Return what rectangles collect of light that goes as the cosine of the azimuth.

    Irradiance $f(r) \cos\varphi$, with $\varphi$ the azimuth from a direction $e$, is the
    divergence of $-G(r)\, e$ with the potential $G(r) = \int_r^\infty f$: a rectangle collects line
    integrals of $G$ along its edges.

    Args:
        potential: $G$ of the emitters (...), in 1/um: squared distances (..., edge, rectangle,
            node) in um^2 -> as many values.
        scale_um: (...) radius within which the light changes little.
        direction: (y, x) of $e$, of length 1.
        y_um: (..., rectangle) of the rectangles' middles from the point below the emitter.
        x_um: (..., rectangle) likewise along x.
        size_um: (y, x) sides of every rectangle.

    Returns:
        (..., rectangle), of both signs.
    """
    _, r2_um2, step_um = _edges(y_um, x_um, size_um, scale_um)
    flux = (potential(r2_um2) * step_um).sum(-1)
    over_x, over_y = flux[..., 0, :] - flux[..., 1, :], flux[..., 2, :] - flux[..., 3, :]
    return -(direction[1] * over_x + direction[0] * over_y)


def _edges(
    y_um: Tensor, x_um: Tensor, size_um: tuple[float, float], scale_um: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return nodes along the edges of rectangles, dense within a scale of the emitter.

    Returns:
        (..., edge, rectangle) where edges facing +x, -x, +y and -y lie across, and (..., edge,
        rectangle, node) squared distances from the emitter and steps along the edge.
    """
    half_y, half_x = size_um[0] / 2, size_um[1] / 2
    across = torch.stack([x_um + half_x, x_um - half_x, y_um + half_y, y_um - half_y], dim=-2)
    along = torch.stack([y_um, y_um, x_um, x_um], dim=-2)
    half = across.new_tensor([half_y, half_y, half_x, half_x])[:, None]
    node, weight = (torch.from_numpy(n).to(across) for n in _gauss_legendre(AREA_NODES))
    scale = scale_um.clamp(min=TOUCHING_UM)[..., None, None]
    reach = torch.sqrt(across**2 + scale**2)
    first, last = torch.asinh((along - half) / reach), torch.asinh((along + half) / reach)
    middle, spread = (first + last)[..., None] / 2, (last - first)[..., None] / 2
    t = middle + spread * node
    position = reach[..., None] * torch.sinh(t)
    step = reach[..., None] * torch.cosh(t) * spread * weight
    return across, across[..., None] ** 2 + position**2, step


def _flux(outer_energy: OuterEnergy, edges: Edges, nodes: int) -> Tensor:
    """Return the light that flows through edges (x, start, end): at x from y = start to y = end.

    Along an edge x / r^2 dy is the step of the azimuth, so the nodes lie evenly in azimuth, and
    the flux of (x, y) / r^2 through an edge is its angle, exactly.
    """
    x, start, end = edges
    node, weight = _gauss_legendre(nodes)
    first, last = np.arctan2(start, np.abs(x)), np.arctan2(end, np.abs(x))
    azimuth = (first + last)[..., None] / 2 + (last - first)[..., None] / 2 * node
    r2 = np.maximum((x[..., None] / np.cos(azimuth)) ** 2, TOUCHING_UM**2)
    share = np.sign(x)[..., None] * (last - first)[..., None] / (4 * math.pi) * weight
    q = outer_energy(torch.from_numpy(r2))
    return (q * torch.from_numpy(share).to(q)).sum(-1)


@lru_cache
def _gauss_legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(nodes)


@lru_cache(maxsize=8)
def _quadrant_edges(radius_px: int, aperture: float) -> Edges:
    """Return x, start and end in pixels of the edges that face +x, and then of those facing -x."""
    i = np.arange(radius_px + 1)
    out = i + aperture / 2
    back = i[1:] - aperture / 2 if aperture < 1 else i[:0]
    x = np.concatenate([out, back])[:, None]
    start, end = (i - aperture / 2)[None, :], (i + aperture / 2)[None, :]
    x, start, end = np.broadcast_arrays(x, start, end)
    return x, start, end


def _quadrant(
    outer_energy: OuterEnergy,
    total: Tensor,
    pixel_pitch_um: float,
    radius_px: int,
    aperture: float,
    nodes: int,
) -> Tensor:
    x, start, end = (e * pixel_pitch_um for e in _quadrant_edges(radius_px, aperture))
    edges = x, start, end
    flux = _flux(outer_energy, edges, nodes)
    out = flux[..., : radius_px + 1, :]
    # Neighbours without a gap between them share an edge.
    back = flux[..., radius_px + 1 :, :] if aperture < 1 else out[..., :-1, :]
    outflow = out.clone()
    outflow[..., 0, :] += out[..., 0, :]
    outflow[..., 1:, :] -= back
    shares = -(outflow + outflow.transpose(-1, -2))
    under = torch.zeros_like(shares)
    under[..., 0, 0] = total.expand(shares.shape[:-2])
    return shares + under


def _window(
    outer_energy: OuterEnergy,
    total: Tensor,
    pixel_pitch_um: float,
    radius_px: int,
    aperture: float,
    offset_um: tuple[float, float],
) -> Tensor:
    half_um = aperture * pixel_pitch_um / 2
    middle = np.arange(-radius_px, radius_px + 1) * pixel_pitch_um
    y, x = middle - offset_um[0], middle - offset_um[1]

    def outflow(across: np.ndarray, along: np.ndarray) -> Tensor:
        """Return (..., across, along) the light that leaves through the edges facing an axis."""
        # Neighbours without a gap between them share an edge.
        shared = aperture == 1
        front = across[-1:] if shared else across
        ends = np.concatenate([across - half_um, front + half_um])
        x_um, start, end = np.broadcast_arrays(
            np.where(np.abs(ends) < TOUCHING_UM, 0, ends)[:, None],
            (along - half_um)[None, :],
            (along + half_um)[None, :],
        )
        beside = np.hypot(x_um, np.maximum(np.maximum(start, -end), 0))
        near = beside < NEAR_PX * pixel_pitch_um
        flux = total.new_zeros(*total.shape, *near.shape)
        for some, nodes in ((near, NEAR_EDGE_NODES), (~near, FAR_EDGE_NODES)):
            edges = tuple(e[some][None, :] for e in (x_um, start, end))
            flux[..., torch.from_numpy(some)] = _flux(outer_energy, edges, nodes)[..., 0, :]
        forward = flux[..., 1:, :] if shared else flux[..., len(across) :, :]
        return forward - flux[..., : len(across), :]

    def inside(position: np.ndarray) -> np.ndarray:
        """Return 1 where the emitter is above a pixel, 1/2 on its edge, 0 beside it."""
        beyond = half_um - np.abs(position)
        return np.heaviside(np.where(np.abs(beyond) < TOUCHING_UM, 0, beyond), 0.5)

    shares = -(outflow(x, y).transpose(-1, -2) + outflow(y, x))
    under = torch.from_numpy(inside(y)[:, None] * inside(x)[None, :]).to(shares)
    return shares + under * total[..., None, None]
