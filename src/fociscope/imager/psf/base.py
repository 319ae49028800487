"""What every point spread function offers: kernel, transfer function, energy and width by depth."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.configuration import Configuration, changed
from fociscope.errors import ImagerError
from fociscope.imager.psf.fourier import (
    discrete_gaussian_transfer,
    half_plane,
    quadrant_transfer,
    window_transfer,
)
from fociscope.imager.psf.tissue import Tissue

__all__ = ["KERNEL_ENERGY", "LARGEST_RADIUS_PX", "Psf"]

#: Share of the collected light that a kernel must hold before it may be cut off.
KERNEL_ENERGY = 0.999
#: The widest kernel; beyond it memory, not physics, sets the limit.
LARGEST_RADIUS_PX = 1024


class Psf(Configuration):
    """The spread of a point emitter's light over the pixels below it.

    A kernel holds, for each pixel, the share of the light emitted into all directions that the
    pixel collects. Its sum is the `energy_fraction`.
    """

    base_blur_um: Annotated[float, Field(ge=0, le=500)] = 0.0
    """Standard deviation of a blur that does not depend on depth, such as crosstalk of pixels."""
    tissue: Tissue = Tissue()

    symmetric: ClassVar[bool] = True
    """Whether kernels are even in x and in y, so that transfer functions are real."""
    differentiable: ClassVar[bool] = True
    """Whether `pixel_response` can be differentiated in distance."""
    batched_parameters: ClassVar[tuple[str, ...]] = ("base_blur_um",)
    """Fields that `transfer` takes one value per emitter of, and differentiates in."""
    grid_parameters: ClassVar[tuple[str, ...]] = ("base_blur_um",)
    """Those of them that act after `pixel_response`, which do not depend on them."""

    def with_(self, **changes: object) -> Self:
        """Return a copy with some fields changed and all of them checked again.

        Raises:
            ImagerError: a field is unknown or out of its range.
        """
        return changed(self, changes, what="PSF", error=ImagerError)

    @property
    def depth_range_um(self) -> tuple[float, float]:
        """Least and greatest distance from the sensor that the PSF is known for."""
        return 0.0, math.inf

    def energy_fraction(self, distance_um: ArrayLike = 0.0) -> Any:
        """Return the fraction of an emitter's light that lands on an unbounded plane.

        Args:
            distance_um: (...) of the emitter from the sensor plane.

        Returns:
            (...) within 0 ... 1; a float for a float.
        """
        distance = as_tensor(distance_um).double()
        fraction = self._landing(distance) * self.tissue.transmitted(distance)
        if isinstance(distance_um, float | int):
            return float(fraction)
        return like(fraction.to(as_tensor(distance_um).dtype), distance_um)

    def energy_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the radius of the circle that holds the share `energy` of the collected light.

        Where several blurs follow each other the radii are added in quadrature, which is exact for
        Gaussians and an estimate otherwise.
        """
        spread_um2 = float(self._grid_variance_um2(torch.tensor(float(distance_um)).double()))
        blur_um2 = -2 * math.log(1 - energy) * spread_um2
        return math.hypot(self._bare_radius_um(float(distance_um), energy), math.sqrt(blur_um2))

    def second_moment_um2(self, distance_um: float, energy: float = KERNEL_ENERGY) -> float:
        """Return the variance along x of the light within the circle that holds `energy` of it.

        A grating that leaks at grazing angles has no finite variance without such a bound. The
        pixel's own width adds pitch^2 / 12 * fill factor to a kernel's variance; it is not in here.
        """
        spread_um2 = float(self._grid_variance_um2(torch.tensor(float(distance_um)).double()))
        return self._bare_variance_um2(float(distance_um), energy) + spread_um2

    def transfer(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        grid: tuple[int, int],
        offset_um: tuple[float, float] | None = None,
        pixel_response: Tensor | None = None,
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return the transfer function of the kernel on a Fourier grid.

        Args:
            distance_um: (...) distance of the emitter from the sensor plane.
            pixel_pitch_um: side of the square pixel.
            radius_px: where the kernel is cut off.
            grid: (y, x) samples of the Fourier grid.
            offset_um: (y, x) by which the light lands displaced; None for not at all.
            pixel_response: what `pixel_response` gives for all this, where it is known already.
            parameters_of_scenes: in place of this PSF's fields of the same names, broadcastable to
                `distance_um`; see `Psf.batched_parameters`.

        Returns:
            (..., y, x // 2 + 1), in the order of `torch.fft.rfft2`; real where the kernel is `even`
            and not displaced.

        Raises:
            ImagerError: a radius beyond `LARGEST_MEASURED_RADIUS_PX`.
        """
        self._check_radius(radius_px)
        if pixel_response is None:
            pixel_response = self.pixel_response(
                distance_um,
                pixel_pitch_um=pixel_pitch_um,
                radius_px=radius_px,
                offset_um=offset_um,
                **parameters_of_scenes,
            )
        quadrant = self.symmetric and offset_um is None
        transfer = (
            quadrant_transfer(pixel_response, grid)
            if quadrant
            else window_transfer(pixel_response, grid)
        )
        blur_um = parameters_of_scenes.get(
            "base_blur_um", distance_um.new_tensor(self.base_blur_um)
        )
        variance_um2 = self._grid_variance_um2(distance_um, blur_um)
        if bool((variance_um2 != 0).any()):
            blur = discrete_gaussian_transfer(variance_um2 / pixel_pitch_um**2, grid)
            transfer = transfer * (blur if quadrant else half_plane(blur, grid))
        if self.tissue.attenuation_per_mm:
            transfer = transfer * self.tissue.transmitted(distance_um)[..., None, None]
        return half_plane(transfer, grid) if quadrant else transfer

    def kernel(
        self,
        depth_um: ArrayLike,
        pixel_pitch_um: float,
        *,
        energy: float = KERNEL_ENERGY,
        radius_px: int | None = None,
        offset_um: tuple[float, float] = (0.0, 0.0),
    ) -> Tensor | np.ndarray:
        """Return the share of an emitter's light that each pixel around it collects.

        Args:
            depth_um: () distance of the emitter from the sensor plane, or (...) several.
            pixel_pitch_um: side of the square pixel.
            energy: the kernel is wide enough to hold this share of the collected light.
            radius_px: pixels from the middle one to the edge, in place of `energy`.
            offset_um: (y, x) of the emitter from the middle of the middle pixel.

        Returns:
            (..., k, k) with k = 2 radius + 1.

        Raises:
            ImagerError: a depth that the PSF is not known for, a pitch that is none, an energy
                outside 0 ... 1, or a radius that is negative or beyond
                `LARGEST_MEASURED_RADIUS_PX`.
        """
        distance = as_tensor(depth_um)
        self._check_kernel(distance, pixel_pitch_um, energy)
        spread_um = math.sqrt(float(self._grid_variance_um2(distance.detach()).max()))
        margin = math.ceil(8 * spread_um / pixel_pitch_um)
        if radius_px is None:
            reach_um = self.energy_radius_um(float(distance.detach().max()), energy)
            radius_px = math.ceil((reach_um + math.hypot(*offset_um)) / pixel_pitch_um + 0.5)
        self._check_radius(radius_px)
        wide = radius_px + margin
        even = self.symmetric and offset_um == (0.0, 0.0)
        pixel_response = self.pixel_response(
            distance,
            pixel_pitch_um=pixel_pitch_um,
            radius_px=wide,
            offset_um=None if even else offset_um,
        )
        mirror = torch.arange(-wide, wide + 1).abs()
        window = pixel_response[..., mirror[:, None], mirror] if even else pixel_response
        if margin:
            side = 2 * wide + 1
            blur = discrete_gaussian_transfer(
                self._grid_variance_um2(distance) / pixel_pitch_um**2, (side, side)
            )
            spectrum = torch.fft.rfft2(window) * half_plane(blur, (side, side))
            window = torch.fft.irfft2(spectrum, s=(side, side))
            window = window[..., margin : side - margin, margin : side - margin]
        return like(window * self.tissue.transmitted(distance)[..., None, None], depth_um)

    def _check_kernel(self, distance_um: Tensor, pixel_pitch_um: float, energy: float) -> None:
        least, most = self.depth_range_um
        if not bool(((distance_um >= least) & (distance_um <= most)).all()):
            known = f"from {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
            raise ImagerError(
                f"this PSF is known for depths {known} um; got {float(distance_um.min()):g} to "
                f"{float(distance_um.max()):g} um"
            )
        if not (pixel_pitch_um > 0 and 0 < energy < 1):
            raise ImagerError(
                "a kernel needs a pitch above 0 um and an energy within 0 ... 1; "
                f"got {pixel_pitch_um:g} um and {energy:g}"
            )

    @staticmethod
    def _check_radius(radius_px: int) -> None:
        if radius_px < 0:
            raise ImagerError(f"a kernel needs a radius of 0 pixels or more; got {radius_px}")
        if radius_px > LARGEST_RADIUS_PX:
            raise ImagerError(
                f"the light spreads over a radius of {radius_px} pixels, more than "
                f"{LARGEST_RADIUS_PX}; take a narrower half angle, a smaller depth, larger pixels "
                "or, for a kernel, less of its energy"
            )

    def _grid_variance_um2(
        self, distance_um: Tensor, base_blur_um: Tensor | float | None = None
    ) -> Tensor:
        """Return the variance of the Gaussian that follows the bare PSF: base blur and tissue."""
        base_blur_um = self.base_blur_um if base_blur_um is None else base_blur_um
        return self.tissue.variance_um2(distance_um) + base_blur_um**2

    @abstractmethod
    def _landing(self, distance_um: Tensor) -> Tensor:
        """Return the fraction of light that lands anywhere, but for the tissue's loss."""

    @abstractmethod
    def _bare_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the radius that holds `energy` of the light, before `_grid_variance_um2`."""

    @abstractmethod
    def _bare_variance_um2(self, distance_um: float, energy: float) -> float:
        """Return the variance along x within that radius, before `_grid_variance_um2`."""

    @abstractmethod
    def pixel_response(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        offset_um: tuple[float, float] | None = None,
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return what each pixel collects, before the Gaussian on the grid and the tissue's loss.

        Args:
            distance_um: (...) distance of the emitter from the sensor plane.
            pixel_pitch_um: side of the square pixel.
            radius_px: pixels from the middle one to the edge.
            offset_um: (y, x) of the emitter from the middle of the middle pixel; None for none.
            parameters_of_scenes: as for `transfer`; those that act later are passed over.

        Returns:
            (..., radius + 1, radius + 1), one quadrant, where `even` and there is no offset; else
            (..., 2 radius + 1, 2 radius + 1).
        """
