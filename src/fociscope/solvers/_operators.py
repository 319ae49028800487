"""The projection that a solver applies hundreds of times: as few operations per use as can be.

Where kernels are even and frames small, A is F^T T F: F takes an image to cosines and sines, T
multiplies each of them by a real number, summed over the layers. F is a small matrix along each
axis, so that a whole batch is transformed by matrix products, which on frames of 51 pixels take
half the time of fast Fourier transforms. Elsewhere `Projection` does the work.

For `zero`, F's columns are part of an orthonormal basis of a frame so much larger that light that
wraps around does not come back into the frame. For `reflect`, F is the cosine transform (DCT-II)
of the frame itself: the mirror images around it make A exactly diagonal there.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from fociscope.imager import Imager, LayerProjector
from fociscope.imager.projection import Projection

__all__ = [
    "Operator",
    "ProjectedOperator",
    "SpectralOperator",
    "cosine_basis",
    "largest_eigenvalue",
    "operator_at",
    "transfer_with_gains",
]

#: The longest basis for which matrix products outrun fast Fourier transforms.
LONGEST_BASIS = 128
#: Power iterations, and what their estimate from below is raised by.
POWER_ITERATIONS, POWER_MARGIN = 40, 1.05


class Operator(Protocol):
    r"""The projection $A$ of layers at fixed depths onto the sensors, and its adjoint $A^T$.

    `Problem.map_chunks` passes one to a solver; all arrays have one axis of scenes.

    Examples:
        >>> import torch
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import Operator, Problem
        >>> problem = Problem(torch.ones(1, 2, 9, 9), [300.0, 700.0], Imager.reference())
        >>> operator: Operator = problem.operator(slice(0, 1))
        >>> x, y = torch.rand(1, 2, 9, 9), torch.rand(1, 2, 9, 9)
        >>> bool(torch.isclose((operator.A(x) * y).sum(), (x * operator.A_adjoint(y)).sum()))
        True
    """

    def A(self, layers: Tensor) -> Tensor:
        """Project layers onto the sensors.

        Args:
            layers: Light of the layers, (scene, layer, y, x).

        Returns:
            Captures, (scene, sensor, y, x), in the same unit.
        """

    def A_adjoint(self, captures: Tensor) -> Tensor:
        """Apply the adjoint of the projection.

        Args:
            captures: Captures, (scene, sensor, y, x).

        Returns:
            Layers, (scene, layer, y, x).
        """

    def subset(self, scenes: Tensor) -> Operator:
        """Return the operator of some scenes.

        Args:
            scenes: Numbers of the scenes, (scene,), of integers.

        Returns:
            Their operator, in that order.
        """

    def norm2(self, weight: Tensor) -> Tensor:
        """Return a close upper bound of the largest eigenvalue of A^T W A.

        Args:
            weight: Weights W of the sensors, (scene, sensor, 1, 1).

        Returns:
            The bound, (scene,).
        """


def operator_at(imager: Imager, depth_um: Tensor, frame_px: tuple[int, int]) -> Operator:
    """Return the fastest operator for depths (scene, layer); it works where they lie."""
    shared = len(depth_um) > 1 and bool((depth_um == depth_um[0]).all())
    projector = LayerProjector(imager)
    projection = projector.at(depth_um[:1] if shared else depth_um, frame_px)
    if SpectralOperator.possible(projection):
        return SpectralOperator.from_projection(projection)
    if shared:
        projection = projector.at(depth_um, frame_px)
    return ProjectedOperator(projector, depth_um, projection)


class SpectralOperator:
    """A = F^T T F, by matrix products."""

    def __init__(self, analysis_y: Tensor, analysis_x: Tensor, transfer: Tensor) -> None:
        """Hold the bases (frequency, pixel) of both axes and T.

        Args:
            analysis_y: (ky, y).
            analysis_x: (kx, x).
            transfer: (scene, layer, sensor, ky, kx), or one scene's for all.
        """
        self.analysis_y, self.analysis_x = analysis_y, analysis_x
        self.synthesis_y = analysis_y.T.contiguous()
        self.synthesis_x = analysis_x.T.contiguous()
        self.transfer = transfer

    @staticmethod
    def possible(projection: Projection) -> bool:
        """Return whether a projection has even kernels and a frame small enough."""
        if projection.resampling is not None or not projection.is_even:
            return False
        longest = max(projection.frame_px)
        if projection.imager.boundary == "zero":
            longest += projection.radius_px
        return longest <= LONGEST_BASIS

    @classmethod
    def from_projection(cls, projection: Projection) -> SpectralOperator:
        """Return the same operator as a projection for which it is `possible`."""
        if projection.imager.boundary == "reflect":
            bases = [cosine_basis(n) for n in projection.frame_px]
            height, width = projection.frame_px
            transfer = transfer_with_gains(projection, (2 * height, 2 * width))[
                ..., :height, :width
            ]
        else:
            grid = [n + projection.radius_px for n in projection.frame_px]
            bases = [_frame_basis(n, g) for n, g in zip(projection.frame_px, grid, strict=True)]
            kernels = transfer_with_gains(projection, (grid[0], grid[1]))
            order_y, order_x = (_quadrant_order(g).to(kernels.device) for g in grid)
            transfer = kernels.index_select(-2, order_y).index_select(-1, order_x)
        analysis_y, analysis_x = (basis.to(transfer) for basis in bases)
        return cls(analysis_y, analysis_x, transfer)

    def analysed(self, images: Tensor) -> Tensor:
        """(..., y, x) -> (..., ky, kx), which keeps sums of squares."""
        return self.analysis_y @ (images @ self.synthesis_x)

    def synthesised(self, coefficients: Tensor) -> Tensor:
        """(..., ky, kx) -> (..., y, x): the adjoint of `analysed`, and what undoes it."""
        return self.synthesis_y @ (coefficients @ self.analysis_x)

    def widened(self) -> SpectralOperator:
        """Return the operator on the whole grid of the basis, on which it is circular for `zero`.

        The frame is its first pixels along both axes.
        """
        bases = [
            basis if len(basis) == basis.shape[1] else _frame_basis(len(basis), len(basis))
            for basis in (self.analysis_y, self.analysis_x)
        ]
        analysis_y, analysis_x = (basis.to(self.transfer) for basis in bases)
        return SpectralOperator(analysis_y, analysis_x, self.transfer)

    def frequencies_per_px(self, mirrored: bool) -> tuple[Tensor, Tensor]:
        """Return (ky,) and (kx,): cycles per pixel of each basis function."""
        if mirrored:
            y, x = (_counted(torch.arange(n)) / (2 * n) for n in self.transfer.shape[-2:])
        else:
            y, x = (_counted(_quadrant_order(n)) / n for n in self.transfer.shape[-2:])
        return y, x

    def A(self, layers: Tensor) -> Tensor:
        """(scene, layer, y, x) -> (scene, sensor, y, x)."""
        found = self.analysed(layers)
        total = found[:, 0, None] * self.transfer[:, 0]
        for n in range(1, found.shape[1]):
            total.addcmul_(found[:, n, None], self.transfer[:, n])
        return self.synthesised(total)

    def A_adjoint(self, captures: Tensor) -> Tensor:
        """(scene, sensor, y, x) -> (scene, layer, y, x)."""
        found = self.analysed(captures)
        total = found[:, 0, None] * self.transfer[:, :, 0]
        for n in range(1, found.shape[1]):
            total.addcmul_(found[:, n, None], self.transfer[:, :, n])
        return self.synthesised(total)

    def subset(self, scenes: Tensor) -> SpectralOperator:
        """Return the operator of some scenes, by their numbers."""
        if len(self.transfer) == 1:
            return self
        return SpectralOperator(self.analysis_y, self.analysis_x, self.transfer[scenes])

    def norm2(self, weight: Tensor) -> Tensor:
        """Return (scene,): the largest eigenvalue of T^T W T at any frequency.

        F neither stretches an image nor its adjoint one, so A^T W A has none above it.
        """
        return largest_eigenvalue(self.transfer, weight).amax(dim=(-2, -1)).expand(len(weight))


class ProjectedOperator:
    """Any projection as an operator."""

    def __init__(self, projector: LayerProjector, depth_um: Tensor, projection: Projection) -> None:
        """Hold the projection of depths (scene, layer), and what made it."""
        self.projector, self.depth_um, self.projection = projector, depth_um, projection

    def A(self, layers: Tensor) -> Tensor:
        """(scene, layer, y, x) -> (scene, sensor, y, x)."""
        return self.projection.A(layers)

    def A_adjoint(self, captures: Tensor) -> Tensor:
        """(scene, sensor, y, x) -> (scene, layer, y, x)."""
        return self.projection.A_adjoint(captures)

    def subset(self, scenes: Tensor) -> ProjectedOperator:
        """Return the operator of some scenes, by their numbers."""
        depth_um = self.depth_um[scenes]
        projection = self.projector.at(depth_um, self.projection.frame_px)
        return ProjectedOperator(self.projector, depth_um, projection)

    def norm2(self, weight: Tensor) -> Tensor:
        """Return (scene,), by power iterations from a uniform layer, raised a little."""
        x = self.depth_um.new_ones(*self.depth_um.shape, *self.projection.frame_px)
        size = x.new_ones(len(x))
        for _ in range(POWER_ITERATIONS):
            x = self.A_adjoint(weight * self.A(x / size[:, None, None, None]))
            size = x.flatten(1).norm(dim=1)
        return POWER_MARGIN * size


def transfer_with_gains(projection: Projection, grid: tuple[int, int]) -> Tensor:
    """Return (scene, layer, sensor, ky, kx) in the order of `torch.fft.rfft2`."""
    transfer = projection.transfer(grid)
    gains = projection.imager.sensor_gains[: transfer.shape[2]]
    if set(gains) == {1.0}:
        return transfer
    return transfer * projection.distance_um.new_tensor(gains)[:, None, None]


def largest_eigenvalue(transfer: Tensor, weight: Tensor) -> Tensor:
    """Return (scene, ky, kx): of T W T^T, which is 1x1 or 2x2 at each frequency.

    Args:
        transfer: real (scene, layer, sensor, ky, kx).
        weight: (scene, sensor, 1, 1).
    """
    weighted = transfer * weight[:, None].sqrt()
    a = weighted[:, :, 0].square().sum(1)
    if weighted.shape[2] == 1:
        return a
    b = weighted[:, :, 1].square().sum(1)
    mixed = (weighted[:, :, 0] * weighted[:, :, 1]).sum(1)
    return (a + b) / 2 + torch.hypot((a - b) / 2, mixed)


@lru_cache(maxsize=16)
def cosine_basis(pixels: int) -> Tensor:
    """Return the orthonormal DCT-II (frequency, pixel) in float64."""
    k = torch.arange(pixels, dtype=torch.float64)[:, None]
    n = torch.arange(pixels, dtype=torch.float64)[None, :]
    basis = torch.cos(math.pi * k * (2 * n + 1) / (2 * pixels)) * math.sqrt(2 / pixels)
    basis[0] /= math.sqrt(2)
    return basis


@lru_cache(maxsize=16)
def _frame_basis(pixels: int, grid: int) -> Tensor:
    """Return (frequency, pixel): columns of the orthonormal cosines and sines on `grid`."""
    n = torch.arange(pixels, dtype=torch.float64)[None, :]
    order = _quadrant_order(grid)
    wave = 2 * math.pi * order.to(torch.float64)[:, None] * n / grid
    is_sine = (torch.arange(grid) > grid // 2)[:, None]
    single = ((order == 0) | (2 * order == grid))[:, None]
    scale = ((2 - single.to(torch.float64)) / grid).sqrt()
    return torch.where(is_sine, torch.sin(wave), torch.cos(wave)) * scale


@lru_cache(maxsize=16)
def _counted(whole: Tensor) -> Tensor:
    """Return whole numbers as float32, whatever torch's default is."""
    return whole.to(torch.float32)


def _quadrant_order(grid: int) -> Tensor:
    """Return the frequency of each basis function: cosines 0 ... grid // 2, then the sines."""
    cosines = torch.arange(grid // 2 + 1)
    return torch.cat([cosines, torch.arange(1, (grid + 1) // 2)])
