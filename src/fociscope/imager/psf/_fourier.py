"""Kernels on the pixel grid -> transfer functions on a Fourier grid."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["discrete_gaussian_transfer", "half_plane", "quadrant_transfer", "window_transfer"]


@lru_cache(maxsize=32)
def _cosines(samples: int, radius_px: int) -> Tensor:
    """Return cos(2 pi n i / samples), doubled for i > 0: (samples // 2 + 1, radius + 1) float64."""
    n = torch.arange(samples // 2 + 1, dtype=torch.float64)[:, None]
    i = torch.arange(radius_px + 1, dtype=torch.float64)[None, :]
    return torch.cos(2 * math.pi * n * i / samples) * torch.where(i == 0, 1.0, 2.0)


def quadrant_transfer(quadrant: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the transfer function of a kernel that is even in x and in y, from one quadrant.

    Args:
        quadrant: (..., radius y + 1, radius x + 1).
        grid: (y, x) samples of the Fourier grid.

    Returns:
        Real (..., y // 2 + 1, x // 2 + 1): the first quadrant of frequencies.
    """
    cosines_y, cosines_x = (
        _cosines(n, side - 1).to(quadrant)
        for n, side in zip(grid, quadrant.shape[-2:], strict=True)
    )
    return cosines_y @ quadrant @ cosines_x.T


def half_plane(transfer: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mirror the first quadrant of frequencies to (..., y, x // 2 + 1), the order of `rfft2`."""
    row = torch.arange(grid[0], device=transfer.device)
    return transfer.index_select(-2, torch.minimum(row, grid[0] - row))


def window_transfer(window: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the transfer function of any kernel of odd sides, complex (..., y, x // 2 + 1).

    A kernel wider than the grid wraps around, as circular convolution wants it.
    """
    wave = []
    for axis, samples, frequencies in ((-2, grid[0], grid[0]), (-1, grid[1], grid[1] // 2 + 1)):
        middle = window.shape[axis] // 2
        position = torch.arange(-middle, middle + 1, dtype=torch.float64, device=window.device)
        n = torch.arange(frequencies, dtype=torch.float64, device=window.device)
        wave.append(torch.exp(-2j * math.pi * n[:, None] * position / samples))
    complex_type = torch.complex(window.new_zeros(()), window.new_zeros(())).dtype
    wave_y, wave_x = (w.to(complex_type) for w in wave)
    return wave_y @ window.to(complex_type) @ wave_x.T


def discrete_gaussian_transfer(
    variance_y_px2: Tensor, variance_x_px2: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Return the transfer function of the discrete Gaussian, exp(t (cos kx + cos ky - 2)).

    Unlike a sampled Gaussian it has exactly the variance t on the pixel grid at every width, is
    never negative, and is a delta at t = 0 (Lindeberg, IEEE TPAMI 12:234-254, 1990).

    Args:
        variance_y_px2: (...) along y.
        variance_x_px2: (...) along x; the same tensor where pixels are square.
        grid: (y, x) samples of the Fourier grid.

    Returns:
        Real (..., y // 2 + 1, x // 2 + 1).
    """
    drop_y, drop_x = (
        torch.cos(2 * math.pi * torch.arange(n // 2 + 1, dtype=torch.float64) / n) - 1 for n in grid
    )
    if variance_x_px2 is variance_y_px2:
        drop = (drop_y[:, None] + drop_x[None, :]).to(variance_y_px2)
        return torch.exp(variance_y_px2[..., None, None] * drop)
    fall_y = variance_y_px2[..., None, None] * drop_y[:, None].to(variance_y_px2)
    fall_x = variance_x_px2[..., None, None] * drop_x[None, :].to(variance_x_px2)
    return torch.exp(fall_y + fall_x)
