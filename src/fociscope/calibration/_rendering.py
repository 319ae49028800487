"""The light of one emitter on the pixels around it, drawn once for all beads of a plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from fociscope.imager.psf import Psf
from fociscope.typing import Float64Array

__all__ = ["SPLINE_ORDER", "BeadRendering", "RenderGrid", "render_oversampled"]


OVERSAMPLING = ((0.2, 11), (0.35, 7), (0.6, 5), (2.0, 3))
"""Where the light is narrower than so many pixels, so many grid points per pixel; else one. So the
spline is within a thousandth of the peak, but for emitters that all but touch the sensor."""
SPLINE_ORDER = 5
SLACK = 1.2
"""Room for the spread to grow during a search."""


@dataclass(frozen=True)
class RenderGrid:
    """How finely and how widely a plane is drawn; the same all through a fit.

    Attributes:
        radius_px: where kernels are cut off, and how far beside the target a picture reaches.
        steps: grid points per pixel, odd.
    """

    radius_px: int
    steps: int

    @classmethod
    def from_psf(
        cls, psf: Psf, distance_um: float, pitch_um: float, *, energy: float, most_px: int
    ) -> RenderGrid:
        """Return what a plane needs for kernels of an energy, at most so wide."""
        reach_um = psf.encircled_radius_um(distance_um, energy)
        width_px = math.sqrt(psf.variance_um2(distance_um)) / pitch_um
        steps = next((steps for below_px, steps in OVERSAMPLING if width_px < below_px), 1)
        return cls(min(math.ceil(SLACK * reach_um / pitch_um + 2), most_px), steps)


def render_oversampled(
    target: Float64Array, psf: Psf, distance_um: float, *, pitch_um: float, render_grid: RenderGrid
) -> Float64Array:
    """Return spline coefficients of what a pixel collects anywhere above or beside a target.

    Args:
        target: (y, x) emission.
        psf: PSF; kernels of a radial one are mirrored, of others each is computed.
        distance_um: of the target.
        pitch_um: of the target's points and of the sensor's pixels.
        render_grid: how finely and how widely.

    Returns:
        (fine y, fine x) coefficients of a spline. Point (steps * radius + steps // 2) lies
        above the middle of target point 0.
    """
    radius_px, steps = render_grid.radius_px, render_grid.steps
    full = [side + 2 * radius_px for side in target.shape]
    size = [fft.next_fast_len(side, real=True) for side in full]
    spectrum = fft.rfft2(target, s=size)
    fine = np.empty((steps * full[0], steps * full[1]))
    half = steps // 2
    for row, column in _offsets(half, radial=psf.radial):
        offset = (-row / steps * pitch_um, -column / steps * pitch_um)
        kernel = np.asarray(
            psf.kernel(np.float64(distance_um), pitch_um, radius_px=radius_px, offset_um=offset)
        )
        images = _mirrored(row, column, kernel) if psf.radial else [(row, column, kernel)]
        for down, right, seen in images:
            picture = fft.irfft2(spectrum * fft.rfft2(seen, s=size), s=size)
            fine[half + down :: steps, half + right :: steps] = picture[: full[0], : full[1]]
    return np.asarray(ndimage.spline_filter(fine, order=SPLINE_ORDER, mode="mirror"))


class BeadRendering:
    """The light of emitters in one plane, for one PSF."""

    def __init__(
        self, psf: Psf, distance_um: float, pitch_um: float, render_grid: RenderGrid
    ) -> None:
        """Draw the light of an emitter.

        Args:
            psf: that spreads the light.
            distance_um: of the plane from the sensor.
            pitch_um: side of a pixel.
            render_grid: how finely and how widely.
        """
        self._render_grid = render_grid
        self._picture = render_oversampled(
            np.ones((1, 1)), psf, max(distance_um, 0.0), pitch_um=pitch_um, render_grid=render_grid
        )

    def at(self, offset_px: tuple[float, float], radius_px: int) -> Float64Array:
        """Return (k, k) what a window collects of an emitter at (y, x) from its middle."""
        axis = np.arange(-radius_px, radius_px + 1)
        y, x = (
            (axis - offset + self._render_grid.radius_px) * self._render_grid.steps
            + self._render_grid.steps // 2
            for offset in offset_px
        )
        fine = np.meshgrid(y, x, indexing="ij")
        return np.asarray(
            ndimage.map_coordinates(
                self._picture, fine, order=SPLINE_ORDER, mode="constant", prefilter=False
            )
        )

    def illuminates(self, window: Float64Array, share: float) -> bool:
        """Whether a window holds a pixel with this share of the light right below the emitter."""
        return bool(window.max() > share * self.at((0.0, 0.0), 0)[0, 0])


def _offsets(half: int, *, radial: bool) -> list[tuple[int, int]]:
    """Return the offsets at which kernels are computed; radial light's others are mirror images."""
    if radial:
        return [(a, b) for a in range(half + 1) for b in range(a, half + 1)]
    every = range(-half, half + 1)
    return [(a, b) for a in every for b in every]


def _mirrored(a: int, b: int, kernel: Float64Array) -> list[tuple[int, int, Float64Array]]:
    """Return a kernel at the offset (a, b) and its mirror images at the offsets they belong to."""
    images = {}
    for row, column, seen in ((a, b, kernel), (b, a, kernel.T)):
        for down in (1, -1):
            for right in (1, -1):
                images[(down * row, right * column)] = seen[::down, ::right]
    return [(row, column, seen) for (row, column), seen in images.items()]
