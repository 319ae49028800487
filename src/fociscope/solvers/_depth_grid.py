"""Layers at unknown depths: solve on a grid of planes, then read layers and depths out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.errors import SolverError
from fociscope.imager import Imager
from fociscope.solvers._call import solve
from fociscope.solvers._fista import fista
from fociscope.solvers._problem import Solution, check_option
from fociscope.solvers._registry import Solver

__all__ = ["GridSolution", "LayersRead", "plane_depths_um", "read_layers", "solve_on_grid"]


@dataclass(frozen=True)
class GridSolution:
    """The light of planes on a grid of depths, as `solve_on_grid` finds it.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import solve_on_grid
        >>> captures = simulate(1, seed=9000).captures
        >>> grid = solve_on_grid(captures, Imager.reference(), planes=4, solver="tikhonov")
        >>> grid.volume.shape, grid.solution.residual.shape
        ((1, 4, 51, 51), (1, 2))
    """

    volume: Any
    """(..., plane, y, x)."""
    plane_um: Any
    """(plane,) depths, increasing."""
    solution: Solution
    """All that the solver says; its layers are the planes."""


@dataclass(frozen=True)
class LayersRead:
    """Layers that `read_layers` finds in a volume, in order from sensor A.

    Attributes:
        layers: Light of each layer, the sum of its planes, (..., layer, y, x) in the unit of the
            volume.
        depth_um: Depth of each layer in um, (..., layer), increasing.

    Examples:
        >>> import numpy as np
        >>> from fociscope.solvers import read_layers
        >>> volume = np.zeros((4, 8, 8))
        >>> volume[0], volume[3] = 1.0, 2.0
        >>> read = read_layers(volume, [100.0, 300.0, 500.0, 700.0], layers=2)
        >>> read.depth_um, read.layers.shape
        (array([100., 700.]), (2, 8, 8))
    """

    layers: Any
    depth_um: Any


def plane_depths_um(imager: Imager, planes: int) -> Tensor:
    """Return the planes of a depth grid: the middles of equal slices between the sensors.

    The slices cover the depths for which the PSF is known, at both sensors if there are two.

    Args:
        imager: Imager whose gap is divided.
        planes: Number of planes, at least 1.

    Returns:
        Depths in um, (plane,), increasing, as float64.

    Raises:
        SolverError: If there are no planes, or the PSF is known at no depth within the gap.

    Examples:
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import plane_depths_um
        >>> plane_depths_um(Imager.reference(), 5)
        tensor([100., 300., 500., 700., 900.], dtype=torch.float64)
    """
    if planes < 1:
        raise SolverError(f"a depth grid needs at least 1 plane; got {planes}")
    least, most = imager.psf.depth_range_um
    gap = imager.gap_um
    start, end = max(0.0, least), min(gap, most)
    if imager.sensors == 2:
        start, end = max(start, gap - most), min(end, gap - least)
    if start > end:
        raise SolverError(f"the PSF is known {least:g} to {most:g} µm from a sensor: no depth fits")
    return start + (end - start) * (torch.arange(planes, dtype=torch.float64) + 0.5) / planes


def solve_on_grid(
    captures: ArrayLike,
    imager: Imager,
    *,
    planes: int = 20,
    solver: Solver | str = fista,
    **options: Any,
) -> GridSolution:
    """Solve for the light of every plane of a depth grid.

    Args:
        captures: Captures, (..., sensor, y, x), in any unit of light.
        imager: Instrument that took the captures.
        planes: Number of planes.
        solver: Function as `Solver` describes it, or a name of `SOLVERS`, with the options that
            stand there.
        options: Options of the solver.

    Returns:
        The light of each plane, (..., plane, y, x) in the unit of the captures, and the depths of
        the planes in um, (plane,).

    Raises:
        CaptureError: If the captures do not fit the imager.
        SolverError: If the name or an option is unknown, there are no planes, the solver refuses an
            option, or its answer does not fit the captures.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import solve_on_grid
        >>> captures = simulate(1, seed=9000).captures
        >>> grid = solve_on_grid(captures, Imager.reference(), planes=5, solver="tikhonov")
        >>> grid.volume.shape, grid.plane_um
        ((1, 5, 51, 51), array([100., 300., 500., 700., 900.]))
    """
    depth_um = plane_depths_um(imager, planes)
    solution = solve(solver, captures, depth_um, imager, **options)
    return GridSolution(solution.layers, like(depth_um, captures), solution)


def read_layers(
    volume: ArrayLike,
    plane_um: ArrayLike,
    layers: int,
    *,
    min_separation_um: float = 0.0,
) -> LayersRead:
    r"""Read layers out of a volume: neighbouring planes are gathered around their centroids.

    A plane weighs $w_p = \sum x_p^2$: what is in focus is bright and sharp, and light that is
    spread over neighbouring planes weighs little. Of all ways to cut the planes into runs $R_l$,
    the one is taken that minimises $\sum_l \sum_{p \in R_l} w_p (z_p - \bar z_l)^2$ with the
    centroids $\bar z_l$ (k-means in one dimension, solved exactly by dynamic programming: Fisher,
    J. Am. Stat. Assoc. 53:789-798, 1958). Centroids that come too close are moved apart by as
    little as possible.

    Args:
        volume: Light of the planes, (..., plane, y, x); negative light counts as none.
        plane_um: Depths of the planes in um, (plane,), increasing.
        layers: Number of layers.
        min_separation_um: Least distance in um between neighbouring layers.

    Returns:
        The layers, (..., layer, y, x), each the sum of its planes, and their depths in um, (...,
        layer).

    Raises:
        SolverError: If there are more layers than planes or than fit, or the depths do not
            increase.

    Examples:
        >>> import numpy as np
        >>> from fociscope.solvers import read_layers
        >>> volume = np.zeros((4, 5, 5))
        >>> volume[0], volume[2:] = 1.0, 0.5
        >>> read_layers(volume, [100.0, 300.0, 500.0, 700.0], layers=2).depth_um
        array([100., 600.])
    """
    light = as_tensor(volume)
    z = as_tensor(plane_um).to(light.device, torch.float64)
    check_option("min_separation_um", min_separation_um)
    if light.ndim < 3 or z.shape != (light.shape[-3],):
        raise SolverError(
            "a volume (..., plane, y, x) needs one depth per plane; got the shapes "
            f"{tuple(light.shape)} and {tuple(z.shape)}"
        )
    if not bool((z.diff() > 0).all()):
        raise SolverError("the depths of the planes must increase")
    if not 1 <= layers <= len(z):
        raise SolverError(f"{len(z)} planes hold 1 to {len(z)} layers; got {layers}")
    if (layers - 1) * min_separation_um > float(z[-1] - z[0]):
        raise SolverError(
            f"{layers} layers {min_separation_um:g} µm apart do not fit between planes "
            f"{float(z[0]):g} to {float(z[-1]):g} µm deep"
        )
    planes = light.reshape(-1, *light.shape[-3:]).clamp(min=0)
    weight = planes.double().square().sum((-2, -1))
    edges = _best_runs(weight, z, layers)

    def total(values: Tensor) -> Tensor:
        """Sum (scene, plane) over each run: (scene, layer)."""
        sums = torch.nn.functional.pad(values.cumsum(1), (1, 0))
        return sums.gather(1, edges[:, 1:]) - sums.gather(1, edges[:, :-1])

    heavy = total(weight)
    # A run without light lies at its middle.
    middle = total(z.expand(weight.shape)) / total(torch.ones_like(weight))
    centroid = torch.where(heavy > 0, total(weight * z) / heavy.clamp(min=1e-300), middle)
    depth_um = _apart(centroid, heavy, min_separation_um, (float(z[0]), float(z[-1])))

    owner = (torch.arange(len(z), device=z.device)[:, None] >= edges[:, None, 1:-1]).sum(-1)
    images = planes.new_zeros(len(planes), layers, *planes.shape[-2:])
    index = owner[..., None, None].expand(planes.shape)
    images.scatter_add_(1, index, planes)
    lead = light.shape[:-3]
    return LayersRead(
        layers=like(images.reshape((*lead, *images.shape[1:])), volume),
        depth_um=like(depth_um.to(light.dtype).reshape((*lead, layers)), volume),
    )


def _best_runs(weight: Tensor, z: Tensor, runs: int) -> Tensor:
    """Return (scene, run + 1): where runs of planes begin, and the number of planes.

    Args:
        weight: (scene, plane).
        z: (plane,).
        runs: none of them empty.
    """
    scenes, planes = weight.shape
    # Sums of w, w z and w z^2 give the spread of planes i ... j - 1 around their centroid.
    centred = z - z.mean()
    sums = [
        torch.nn.functional.pad((weight * centred**power).cumsum(1), (1, 0)) for power in range(3)
    ]
    mass, first, second = (s[:, None, :] - s[:, :, None] for s in sums)
    spread = second - first.square() / mass.clamp(min=1e-300)
    i = torch.arange(planes + 1, device=z.device)
    spread = torch.where(i[:, None] < i, spread.clamp(min=0), torch.inf)
    cost = spread[:, 0]
    came_from = []
    for _ in range(runs - 1):
        cost, at = (cost[:, :, None] + spread).min(dim=1)
        came_from.append(at)
    edges = [torch.full((scenes, 1), planes, device=z.device)]
    for at in reversed(came_from):
        edges.append(at.gather(1, edges[-1]))
    edges.append(torch.zeros_like(edges[0]))
    return torch.cat(edges[::-1], dim=1)


def _apart(
    depth_um: Tensor, weight: Tensor, least_um: float, bounds: tuple[float, float]
) -> Tensor:
    """Move depths (scene, layer) apart: the weighted least-squares nearest that keep the distance.

    With the distances taken off it is an isotonic regression: its solution is, for each layer, the
    largest over starts before it of the least over ends after it of the mean between.
    """
    layers = depth_um.shape[1]
    offset = least_um * torch.arange(layers, device=depth_um.device)
    target = depth_um - offset
    mass = torch.nn.functional.pad(weight.clamp(min=1e-9).cumsum(1), (1, 0))
    moment = torch.nn.functional.pad((weight.clamp(min=1e-9) * target).cumsum(1), (1, 0))
    mean = (moment[:, None, 1:] - moment[:, :-1, None]) / (mass[:, None, 1:] - mass[:, :-1, None])
    nearest = torch.stack(
        [mean[:, : n + 1, n:].amin(dim=2).amax(dim=1) for n in range(layers)], dim=1
    )
    return nearest.clamp(bounds[0], bounds[1] - float(offset[-1])) + offset
