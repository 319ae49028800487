"""What the projector could have been: each choice as a convolution of its own, to be measured.

Same arguments as in `peers/convolutions.py`, but for what is prepared beforehand.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from fociscope.imager.psf import AngleSelectivePsf
from fociscope.imager.psf._bank import chebyshev, kernel_interpolator
from fociscope.imager.psf._fourier import half_plane, quadrant_transfer

__all__ = [
    "Factors",
    "dense_matrix",
    "fft_per_pair",
    "fft_shared",
    "linear_table",
    "separable",
    "transfer_series",
]

#: First index of the kernel that the first pixel of the result meets at the first of the image.
START = {"same": lambda k: k // 2, "valid": lambda k: k - 1, "full": lambda k: 0}
GROWN = {"same": lambda k: 0, "valid": lambda k: 1 - k, "full": lambda k: k - 1}


def fft_per_pair(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Transform there and back for each pair of layer and sensor: nothing is shared."""
    return _by_fft(images[:, :, None].repeat(1, 1, kernels.shape[2], 1, 1), kernels, mode).sum(1)


def _by_fft(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    k, side = kernels.shape[-1], images.shape[-1]
    samples = _samples(side, k, mode)
    grid = samples, samples
    product = torch.fft.rfft2(images, s=grid) * torch.fft.rfft2(kernels, s=grid)
    return _part(torch.fft.irfft2(product, s=grid), side, k, mode)


def fft_shared(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Transform each image once, sum in Fourier space, transform each sum back once."""
    k, side = kernels.shape[-1], images.shape[-1]
    samples = _samples(side, k, mode)
    grid = samples, samples
    spectra, transfer = torch.fft.rfft2(images, s=grid), torch.fft.rfft2(kernels, s=grid)
    return _part(torch.fft.irfft2(_summed(spectra, transfer), s=grid), side, k, mode)


def _summed(spectra: Tensor, transfer: Tensor) -> Tensor:
    total = spectra[:, 0, None] * transfer[:, 0]
    for n in range(1, spectra.shape[1]):
        total = torch.addcmul(total, spectra[:, n, None], transfer[:, n])
    return total


def _samples(side: int, k: int, mode: str) -> int:
    """Return the least fast grid on which what wraps around misses the part that is asked for."""
    least = {"same": side + k // 2, "valid": side, "full": side + k - 1}[mode]
    return int(next_fast_len(least, real=True))


def _part(circular: Tensor, side: int, k: int, mode: str) -> Tensor:
    start, wanted = START[mode](k), side + GROWN[mode](k)
    return circular[..., start : start + wanted, start : start + wanted]


class Factors(NamedTuple):
    """Kernels as sums of products of a column (scene, from, to, rank, k) and a row."""

    columns: Tensor
    rows: Tensor

    @staticmethod
    def of(kernels: Tensor, tolerance: float) -> "Factors":
        """Return the least rank at which every kernel is within `tolerance` of its light in L1."""
        u, s, vh = torch.linalg.svd(kernels.double())
        light = kernels.double().abs().sum((-2, -1))
        for rank in range(1, kernels.shape[-1] + 1):
            columns, rows = u[..., :rank] * s[..., None, :rank], vh[..., :rank, :]
            if float(((columns @ rows - kernels).abs().sum((-2, -1)) / light).max()) < tolerance:
                break
        return Factors(columns.mT.contiguous().to(kernels), rows.contiguous().to(kernels))


def separable(images: Tensor, factors: Factors, mode: str) -> Tensor:
    """Multiply by the Toeplitz matrices of the columns and of the rows."""
    left, right = (
        _toeplitz(f, images.shape[-1], mode) for f in factors
    )  # (scene, from, to, rank, out, in)
    half = images[:, :, None, None] @ right.mT
    left = left.permute(0, 2, 4, 1, 3, 5).flatten(3)  # (scene, to, out, from * rank * in)
    return left @ half.permute(0, 2, 1, 3, 4, 5).flatten(2, 4)


def _toeplitz(kernels: Tensor, side: int, mode: str) -> Tensor:
    """Return (..., out, in), the matrices of 1-D convolutions with kernels (..., k)."""
    index = _toeplitz_index(side, kernels.shape[-1], mode)
    return torch.nn.functional.pad(kernels, (0, 1))[..., index]


@lru_cache
def _toeplitz_index(side: int, k: int, mode: str) -> Tensor:
    out, inside = torch.arange(side + GROWN[mode](k))[:, None], torch.arange(side)
    index = out - inside + START[mode](k)
    return torch.where((index >= 0) & (index < k), index, k)  # the one beyond the end is zero


def dense_matrix(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Multiply by the whole matrix of each pair, pixels by pixels."""
    k, side = kernels.shape[-1], images.shape[-1]
    index = _toeplitz_index(side, k, mode)
    wanted = len(index)
    flat = (index[:, None, :, None] * (k + 1) + index[None, :, None, :]).reshape(wanted**2, -1)
    padded = torch.nn.functional.pad(kernels, (0, 1, 0, 1)).flatten(-2)
    sums = [
        sum(padded[s, i, o][flat] @ images[s, i].flatten() for i in range(images.shape[1]))
        for s in range(len(images))
        for o in range(kernels.shape[2])
    ]
    return torch.stack(sums).reshape(len(images), -1, wanted, wanted)


def transfer_series(
    images: Tensor, distance_um: Tensor, mode: str, *, psf: AngleSelectivePsf, shape: "Shape"
) -> Tensor:
    """Interpolate transfer functions, not kernels: one Chebyshev series for each frequency."""
    samples = _samples(images.shape[-1], shape.side, mode)
    series = _transfer_series(psf, shape, samples)
    x = 2 * distance_um.double().flatten() / shape.deepest_um - 1
    quadrants = chebyshev(x, len(series)).to(series) @ series
    return _with_quadrants(images, quadrants, distance_um, samples, shape.side, mode)


def linear_table(
    images: Tensor, distance_um: Tensor, mode: str, *, psf: AngleSelectivePsf, shape: "Shape"
) -> Tensor:
    """Interpolate transfer functions linearly between evenly spaced depths."""
    samples = _samples(images.shape[-1], shape.side, mode)
    table = _transfer_table(psf, shape, samples)
    position = distance_um.flatten() / shape.deepest_um * (len(table) - 1)
    index = position.detach().long().clamp(max=len(table) - 2)
    lower, upper = table[index], table[index + 1]
    quadrants = torch.lerp(lower, upper, (position - index)[:, None])
    return _with_quadrants(images, quadrants, distance_um, samples, shape.side, mode)


class Shape(NamedTuple):
    """What kernels are made for."""

    pixel_pitch_um: float
    side: int
    deepest_um: float
    table_depths: int = 257


@lru_cache
def _transfer_series(psf: AngleSelectivePsf, shape: Shape, samples: int) -> Tensor:
    interpolator = kernel_interpolator(
        psf,
        pixel_pitch_um=shape.pixel_pitch_um,
        radius_px=shape.side // 2,
        depth_um=(0.0, shape.deepest_um),
    )
    assert interpolator is not None
    quadrants = interpolator.coefficients.unflatten(-1, (interpolator.side, interpolator.side))
    return quadrant_transfer(quadrants, (samples, samples)).flatten(1).float()


@lru_cache
def _transfer_table(psf: AngleSelectivePsf, shape: Shape, samples: int) -> Tensor:
    quadrants = psf.pixel_response(
        torch.linspace(0, shape.deepest_um, shape.table_depths, dtype=torch.float64),
        pixel_pitch_um=shape.pixel_pitch_um,
        radius_px=shape.side // 2,
    )
    return quadrant_transfer(quadrants, (samples, samples)).flatten(1).float()


def _with_quadrants(
    images: Tensor, quadrants: Tensor, distance_um: Tensor, samples: int, k: int, mode: str
) -> Tensor:
    """Convolve with kernels whose transfer functions are real: one quadrant of each."""
    grid = samples, samples
    quadrants = quadrants.reshape(*distance_um.shape, samples // 2 + 1, samples // 2 + 1)
    total = _summed(torch.fft.rfft2(images, s=grid), half_plane(quadrants, grid))
    circular = torch.fft.irfft2(total, s=grid)
    # The middle of these kernels lies at 0, not at k // 2: what starts below 0 is at the end.
    start, wanted = START[mode](k) - k // 2, images.shape[-1] + GROWN[mode](k)
    if start < 0:
        circular, start = circular.roll((-start, -start), (-2, -1)), 0
    return circular[..., start : start + wanted, start : start + wanted]
