"""Kernels over depth as Chebyshev series: computed once at chosen depths, then any depth at once.

A kernel changes smoothly with depth, so each of its pixels is a short sum of Chebyshev polynomials
in depth. Kernels of a whole batch are then one matrix product, and so is their exact derivative by
depth. The series is doubled until it predicts the kernels that it has not seen. The same goes for
a parameter of the PSF that differs from sample to sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from fociscope.imager.psf._areas import PixelGrid, window_response
from fociscope.imager.psf._base import Psf

__all__ = ["KernelInterpolator", "chebyshev", "kernel_interpolator"]

Bounds = tuple[float, float]

#: L1 error of a predicted kernel, relative to its light, at which the series is long enough; the
#: kernels themselves are that near to the converged integral.
INTERPOLATION_TOLERANCE = 1e-4
#: Series lengths tried, each with the nodes of the one before among its own.
DEPTH_LENGTHS = (17, 33, 65, 129, 257)
PARAMETER_LENGTHS = (5, 9, 17, 33)
#: Coefficients that a bank may hold, 256 MiB of them.
LARGEST_INTERPOLATOR = 2**25
#: Kernels that are interpolated together at least.
LEAST_ROWS = 8


class KernelInterpolator:
    """The kernels of one PSF on one pixel grid, at any depth and parameter within bounds."""

    def __init__(
        self,
        coefficients: Tensor,
        shape: tuple[int, int],
        depth_um: Bounds,
        parameters: dict[str, Bounds] | None = None,
    ) -> None:
        """Hold a series (order by parameter ..., order by depth, pixels of a `shape` (y, x))."""
        self.coefficients = coefficients
        self.shape = shape
        self.depth_um = depth_um
        self.parameters = parameters or {}
        self._copies = {(coefficients.device, coefficients.dtype): coefficients}

    def pixel_response(self, distance_um: Tensor, **parameters: Tensor) -> Tensor:
        """Return (..., y, x), what `Psf.pixel_response` gives, for distances (...) in the range.

        Args:
            distance_um: (...).
            parameters: the bank's own, each broadcastable to (...).
        """
        key = distance_um.device, distance_um.dtype
        if key not in self._copies:
            self._copies[key] = self.coefficients.to(distance_um)
        coefficients = self._copies[key]
        axes = [(parameters[name], bounds) for name, bounds in self.parameters.items()]
        orders = coefficients.ndim - 1
        basis = None
        for axis, (value, bounds) in enumerate([*axes, (distance_um, self.depth_um)]):
            x = _on_the_unit(value, bounds).expand(distance_um.shape).reshape(-1)
            further = chebyshev(x, coefficients.shape[axis])
            products = further if basis is None else basis[:, :, None] * further[:, None, :]
            basis = products.flatten(1)
        assert basis is not None
        # A product of fewer rows is rounded differently: scenes would depend on their neighbours.
        rows = torch.nn.functional.pad(basis, (0, 0, 0, max(0, LEAST_ROWS - len(basis))))
        kernels = rows.to(distance_um.dtype) @ coefficients.flatten(0, orders - 1)
        return kernels[: len(basis)].reshape(*distance_um.shape, *self.shape)


def chebyshev(x: Tensor, length: int) -> Tensor:
    """Return (point, order): the Chebyshev polynomials T_0 ... T_(length-1) at x (point,).

    By doubling, T_(m+k) = 2 T_m T_k - T_(m-k): exact to differentiate, at the ends of -1 ... 1 too,
    where the cosine form is not.
    """
    basis = torch.stack([torch.ones_like(x), x], dim=1)
    while (have := basis.shape[1]) < length:
        m = have - 1
        further = 2 * basis[:, m:] * basis[:, 1:] - basis[:, :m].flip(1)
        basis = torch.cat([basis, further], dim=1)
    return basis[:, :length]


def _on_the_unit(value: Tensor, bounds: Bounds) -> Tensor:
    """Map values within bounds onto -1 ... 1, in double precision where the device has it."""
    start, end = bounds
    precise = value if value.device.type == "mps" else value.double()
    return (2 * precise - (start + end)) / (end - start)


def _nodes(length: int, bounds: Bounds) -> Tensor:
    """Return the extrema of T_(length-1), mapped onto bounds: (length,) from the upper end down."""
    angle = math.pi * torch.arange(length, dtype=torch.float64) / (length - 1)
    start, end = bounds
    return start + (end - start) * (1 + torch.cos(angle)) / 2


def _series(values: Tensor) -> Tensor:
    """Return the Chebyshev coefficients of values (length, ...) at the nodes."""
    n = len(values) - 1
    k = torch.arange(n + 1, dtype=torch.float64)
    half = torch.where((k == 0) | (k == n), 0.5, 1.0).to(torch.float64)
    cosines = torch.cos(math.pi * k[:, None] * k[None, :] / n)
    transform = 2 / n * half[:, None] * cosines * half
    series: Tensor = torch.tensordot(transform, values, dims=1)
    return series


def _values(
    kernels: Callable[[Tensor], Tensor], bounds: Bounds, lengths: tuple[int, ...], most: int
) -> tuple[Tensor, bool]:
    """Return kernels at the nodes of a series that is long enough, and whether it is.

    Args:
        kernels: points (n,) -> (n, ..., pixel).
        bounds: of the points.
        lengths: to try, each twice the one before but for the node that they share.
        most: length that is not to be exceeded.
    """
    values = kernels(_nodes(lengths[0], bounds))
    for longer in lengths[1:]:
        if longer > most:
            return values, False
        between = kernels(_nodes(longer, bounds)[1::2])
        predicted = torch.tensordot(
            chebyshev(_on_the_unit(_nodes(longer, bounds)[1::2], bounds), len(values)),
            _series(values),
            dims=1,
        )
        error = (predicted - between).abs().sum(-1) / between.abs().sum(-1)
        if float(error.max()) < INTERPOLATION_TOLERANCE:
            return values, True
        merged = values.new_empty(longer, *values.shape[1:])
        merged[0::2], merged[1::2] = values, between
        values = merged
    return values, False


@lru_cache(maxsize=16)
def kernel_interpolator(
    psf: Psf,
    *,
    pixel_pitch_um: float = 0.0,
    radius_px: int = 0,
    depth_um: Bounds,
    offset_um: tuple[float, float] | None = None,
    parameter: tuple[str, Bounds] | None = None,
    areas: PixelGrid | None = None,
) -> KernelInterpolator | None:
    """Return the bank of a PSF, or None where the kernels are too large or change too abruptly.

    A PSF that cannot be differentiated in depth gets a bank in any case, the longest if need be.

    Args:
        psf: the spread of light.
        pixel_pitch_um: side of the square pixel.
        radius_px: pixels from the middle one to the kernel's edge.
        depth_um: least and greatest distance from the sensor.
        offset_um: as for `Psf.pixel_response`.
        parameter: name and bounds of a field of the PSF that differs from sample to sample.
        areas: pixels of another shape, in place of pitch and radius.
    """
    side = radius_px + 1 if psf.symmetric and offset_um is None else 2 * radius_px + 1
    shape = (side, side) if areas is None else areas.shape
    pixels = shape[0] * shape[1]

    def of_some(z: Tensor, **own: Tensor) -> Tensor:
        if areas is not None:
            return window_response(psf, z, areas, offset_um=offset_um, **own)
        return psf.checked_response(
            z, pixel_pitch_um=pixel_pitch_um, radius_px=radius_px, offset_um=offset_um, **own
        )

    def pixel_response(distance_um: Tensor, **parameters_of_scenes: Tensor) -> Tensor:
        found = []
        for z in torch.split(distance_um, max(1, 2**18 // pixels)):
            own = {name: value.expand(z.shape) for name, value in parameters_of_scenes.items()}
            found.append(of_some(z, **own))
        return torch.cat(found).reshape(len(distance_um), -1)

    most = LARGEST_INTERPOLATOR // pixels
    if most < DEPTH_LENGTHS[0] and psf.differentiable:
        return None
    if parameter is None:
        values, enough = _values(pixel_response, depth_um, DEPTH_LENGTHS, most)
        if not enough and psf.differentiable:
            return None
        return KernelInterpolator(_without_negligible(_series(values), values), shape, depth_um)

    name, bounds = parameter
    depths = 0
    for end in bounds:
        at_the_end = psf.model_copy(update={name: end})
        interpolator = kernel_interpolator(
            at_the_end, pixel_pitch_um=pixel_pitch_um, radius_px=radius_px, depth_um=depth_um,
            offset_um=offset_um, areas=areas,
        )  # fmt: skip
        if interpolator is None:
            return None
        depths = max(depths, len(interpolator.coefficients))
    nodes = _nodes(depths, depth_um)

    def over_depth(points: Tensor) -> Tensor:
        return torch.stack([pixel_response(nodes, **{name: point}) for point in points])

    values, enough = _values(over_depth, bounds, PARAMETER_LENGTHS, most // depths)
    if not enough:
        return None
    coefficients = _series(_series(values).transpose(0, 1)).transpose(0, 1)
    return KernelInterpolator(coefficients.contiguous(), shape, depth_um, {name: bounds})


def _without_negligible(coefficients: Tensor, values: Tensor) -> Tensor:
    """Leave out the highest orders that together hold less than a tenth of the tolerance."""
    rest = coefficients.abs().sum(-1).flip(0).cumsum(0).flip(0)
    light = float(values.abs().sum(-1).max())
    kept = max(2, int((rest > 0.1 * INTERPOLATION_TOLERANCE * light).sum()))
    return coefficients[:kept]
