"""Kernels on pixels of any shape: on a grid of pitch (y, x), with a sensitive rectangle in each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fociscope.arrays import check_result
from fociscope.errors import ImagerError
from fociscope.imager.psf._base import Psf
from fociscope.imager.psf._fourier import (
    discrete_gaussian_transfer,
    half_plane,
    quadrant_transfer,
    window_transfer,
)

__all__ = ["PixelGrid", "area_transfer", "window_response"]


class PixelGrid(NamedTuple):
    """Pixels around the one below an emitter."""

    pitch_um: tuple[float, float]
    """(y, x) from row to row and from column to column."""
    radii_px: tuple[int, int]
    """(y, x) pixels from the middle one to the kernel's edge."""
    size_um: tuple[float, float]
    """(y, x) sides of the sensitive rectangle."""
    centre_um: tuple[float, float] = (0.0, 0.0)
    """(y, x) of the rectangle's middle from the pixel's."""

    def is_even(self, psf: Psf, offset_um: tuple[float, float] | None) -> bool:
        """Whether kernels are even in x and in y, so that transfer functions are real."""
        return psf.symmetric and offset_um is None and self.centre_um == (0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) pixels of a kernel."""
        return 2 * self.radii_px[0] + 1, 2 * self.radii_px[1] + 1


def window_response(
    psf: Psf,
    distance_um: Tensor,
    grid: PixelGrid,
    *,
    offset_um: tuple[float, float] | None = None,
    **parameters_of_scenes: Tensor,
) -> Tensor:
    """Return what each pixel of a grid collects, after a check of its shape and its numbers.

    Args:
        psf: The spread of light.
        distance_um: (...) distance of the emitter from the sensor plane.
        grid: The pixels.
        offset_um: (y, x) of the emitter from the middle of the middle pixel; None for none.
        parameters_of_scenes: As for `Psf.pixel_response`.

    Returns:
        (..., 2 radius y + 1, 2 radius x + 1).

    Raises:
        ImagerError: If the kind knows square pixels only, or returns anything impossible.
    """
    y_um, x_um = (
        torch.arange(-radius, radius + 1, dtype=torch.float64) * pitch + centre - offset
        for radius, pitch, centre, offset in zip(
            grid.radii_px, grid.pitch_um, grid.centre_um, offset_um or (0.0, 0.0), strict=True
        )
    )
    # Of light within a small rectangle, single precision leaves three digits.
    precise = distance_um if distance_um.device.type == "mps" else distance_um.double()
    response = psf.area_response(
        precise,
        y_um=y_um.repeat_interleave(len(x_um)).to(precise),
        x_um=x_um.repeat(len(y_um)).to(precise),
        size_um=grid.size_um,
        **{name: value.to(precise) for name, value in parameters_of_scenes.items()},
    )
    pixels = grid.shape[0] * grid.shape[1]
    what = f"{type(psf).__name__}.area_response"
    check_result(what, response, (*distance_um.shape, pixels), error=ImagerError)
    return response.reshape(*distance_um.shape, *grid.shape).to(distance_um.dtype)


def area_transfer(
    psf: Psf,
    distance_um: Tensor,
    grid: PixelGrid,
    fourier: tuple[int, int],
    *,
    offset_um: tuple[float, float] | None = None,
    response: Tensor | None = None,
    **parameters_of_scenes: Tensor,
) -> Tensor:
    """Return the transfer function of a grid's kernel on a Fourier grid, as `Psf.transfer` does.

    Args:
        psf: The spread of light.
        distance_um: (...) distance of the emitter from the sensor plane.
        grid: The pixels.
        fourier: (y, x) samples of the Fourier grid.
        offset_um: (y, x) by which the light lands displaced; None for not at all.
        response: Result of `window_response` for these arguments, if known already.
        parameters_of_scenes: As for `Psf.transfer`.

    Returns:
        (..., y, x // 2 + 1), in the order of `torch.fft.rfft2`; real if the kernel is even.
    """
    if response is None:
        response = window_response(
            psf, distance_um, grid, offset_um=offset_um, **parameters_of_scenes
        )
    if grid.is_even(psf, offset_um):
        quadrant = response[..., grid.radii_px[0] :, grid.radii_px[1] :]
        transfer = half_plane(quadrant_transfer(quadrant, fourier), fourier)
    else:
        transfer = window_transfer(response, fourier)
    blur_um = parameters_of_scenes.get("base_blur_um", distance_um.new_tensor(psf.base_blur_um))
    variance_um2 = psf.grid_variance_um2(distance_um, blur_um)
    if bool((variance_um2 != 0).any()):
        along_y, along_x = (variance_um2 / pitch**2 for pitch in grid.pitch_um)
        blur = discrete_gaussian_transfer(along_y, along_x, fourier)
        transfer = transfer * half_plane(blur, fourier)
    return transfer * psf.tissue.transmitted(distance_um)[..., None, None]
