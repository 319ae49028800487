"""The base of all point spread functions: kernel, transfer function, energy and width by depth.

A kind of PSF is a subclass of `Psf` that describes the bare spread of light, in clear tissue and
without base blur; `Psf` adds what is the same for all kinds.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, check_result, like
from fociscope.configuration import Configuration, changed
from fociscope.errors import FociscopeError, ImagerError, one_line
from fociscope.imager.psf._fourier import (
    discrete_gaussian_transfer,
    half_plane,
    quadrant_transfer,
    window_transfer,
)
from fociscope.imager.psf._tissue import Tissue
from fociscope.registry import unknown_name

__all__ = ["KERNEL_ENERGY", "LARGEST_RADIUS_PX", "FitParameter", "Psf"]

#: Share of the collected light that a kernel must hold before it may be cut off.
KERNEL_ENERGY = 0.999
#: The widest kernel; beyond it memory, not physics, sets the limit.
LARGEST_RADIUS_PX = 1024

Blur = Literal["base_blur", "scattering"]


@dataclass(frozen=True)
class FitParameter:
    """A field of a PSF that `calibrate` fits to measurements.

    Attributes:
        name: Name of the field.
        lower: Least value of the search.
        upper: Greatest value of the search.
        step: Step of the finite differences, small beside what a measurement resolves.
        unit: Unit of all these, such as "deg", "um" or "um/um"; "1" for a pure number.
        label: Name in figures; the field's name if empty.
        largest_std: Standard deviation above which the user is advised to measure more.

    Examples:
        >>> from fociscope.imager.psf import FitParameter
        >>> FitParameter("spread", 0.02, 3.0, 0.0003, "um/um").label
        'spread'
    """

    name: str
    lower: float
    upper: float
    step: float
    unit: str
    label: str = ""
    largest_std: float = math.inf

    def __post_init__(self) -> None:
        """Take the field's name for an empty label.

        Raises:
            ImagerError: If the bounds do not span a range, or the step is not above 0.
        """
        if not -math.inf < self.lower < self.upper < math.inf or not 0 < self.step < math.inf:
            raise ImagerError(
                f"the fit parameter {self.name!r} needs finite bounds, the lower below the upper, "
                f"and a step above 0; got {self.lower:g}, {self.upper:g} and {self.step:g}"
            )
        if not self.label:
            object.__setattr__(self, "label", self.name)


class Psf(Configuration):
    r"""The spread of a point emitter's light over the pixels below it: base of all kinds.

    A kernel holds, for each pixel, the share of the light emitted into all directions that the
    pixel collects. Its sum is the `collection_efficiency`.

    A kind is a subclass, registered in `fociscope.imager.psf.PSF_KINDS` under the name that is the
    default of its field `kind`. It describes the *bare* spread: an emitter at a distance $z$ in
    tissue that neither attenuates nor scatters, without base blur, on pixels that are sensitive all
    over unless the kind has a fill factor of its own. `Psf` then adds, for all kinds alike,

    - attenuation, as the factor $e^{-\mu z}$ of `Tissue.transmitted`;
    - scattering, a Gaussian of the variance $\mu_s' z^3 / 3$ per axis of `Tissue.variance_um2`;
    - base blur, a Gaussian of the variance `base_blur_um`$^2$ per axis.

    Both blurs are convolved with the pixels' response on the pixel grid, and added in quadrature to
    radius and variance.

    A kind must give:

    - `bare_collection_efficiency`: share of the emitted light that lands;
    - `bare_encircled_radius_um`: radius that holds a share of the light that lands;
    - `bare_variance_um2`: variance of the light within that radius;
    - `pixel_response`: what each pixel collects. `radial_pixel_response` computes it for light that
      depends on the radius alone.

    A kind may give, as class variables or methods:

    - `fit_parameters`: fields that `calibrate` fits;
    - `batched_parameters`: fields that `LayerProjector` takes one value per scene of, in training
      for example;
    - `label`: its name in figures;
    - `integrated_blurs`: blurs that `pixel_response` holds already;
    - `symmetric`, `radial`, `differentiable`, `depth_range_um`: what holds of its light;
    - `file_fields` and `write_files`, if its arrays are kept beside the imager's file.

    Instances are frozen and hashable: results are cached by PSF.

    Examples:
        >>> from fociscope.imager import Imager
        >>> psf = Imager.reference().psf
        >>> psf.kernel(300.0, pixel_pitch_um=55.0).shape
        (19, 19)
        >>> round(psf.collection_efficiency(300.0), 4)
        0.0348
    """

    error: ClassVar[type[FociscopeError]] = ImagerError

    if TYPE_CHECKING:
        kind: str

    base_blur_um: Annotated[float, Field(ge=0, le=500)] = 0.0
    """Standard deviation of a blur that does not depend on depth, such as crosstalk of pixels."""
    tissue: Tissue = Tissue()

    label: ClassVar[str] = ""
    """Name of the kind in figures; its `kind` if empty."""
    symmetric: ClassVar[bool] = True
    """Whether kernels are even in x and in y, so that transfer functions are real."""
    radial: ClassVar[bool] = True
    """Whether light depends on the distance from the emitter alone, not on the direction."""
    differentiable: ClassVar[bool] = True
    """Whether `pixel_response` can be differentiated in distance."""
    fit_parameters: ClassVar[tuple[FitParameter, ...]] = ()
    """Fields that `calibrate` fits, beside the base blur of every kind; a kind without any is not
    fitted."""
    batched_parameters: ClassVar[tuple[str, ...]] = ("base_blur_um",)
    """Fields that `transfer` takes one value per emitter of, and differentiates in."""
    integrated_blurs: ClassVar[tuple[Blur, ...]] = ()
    """Blurs that `pixel_response` integrates over pixels itself, so that they are not convolved on
    the pixel grid. They stay out of the bare radius and variance."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a kind whose parameters are none of its fields.

        Raises:
            ImagerError: If `fit_parameters` or `batched_parameters` name an unknown field.
        """
        super().__pydantic_init_subclass__(**kwargs)
        names = (*(one.name for one in cls.fit_parameters), *cls.batched_parameters)
        for name in names:
            if name not in cls.model_fields:
                what = "field to fit or to vary"
                raise unknown_name(what, name, cls.model_fields, of=cls.__name__, error=ImagerError)

    def with_(self, **changes: object) -> Self:
        """Return a copy with some fields changed and all of them checked again.

        Args:
            changes: New values by field.

        Raises:
            ImagerError: If a field is unknown or out of its range.
        """
        return changed(self, changes, what="PSF", error=ImagerError)

    @property
    def grid_parameters(self) -> tuple[str, ...]:
        """Those of the `batched_parameters` that `pixel_response` does not depend on."""
        return () if "base_blur" in self.integrated_blurs else ("base_blur_um",)

    @property
    def depth_range_um(self) -> tuple[float, float]:
        """Least and greatest distance from the sensor, in um, that the PSF is known for."""
        return 0.0, math.inf

    @property
    def response_error(self) -> tuple[float, float]:
        """What the description is wrong by, as a share of the light, alike within some degrees.

        Where pixels see an emitter at like angles, they err alike. 0 for a PSF that is a formula.
        """
        return 0.0, 12.0

    @abstractmethod
    def bare_collection_efficiency(self, distance_um: Tensor) -> Tensor:
        """Return the share of the emitted light that lands on an unbounded plane of pixels.

        Tissue's attenuation is not in here.

        Args:
            distance_um: (...) distance of the emitter from the sensor plane.

        Returns:
            (...) within 0 ... 1, in the precision of `distance_um`.
        """

    @abstractmethod
    def bare_encircled_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the radius in um of the circle that holds a share of the landing light.

        Base blur and scattering are not in here, whatever `integrated_blurs` says.

        Args:
            distance_um: Distance of the emitter from the sensor plane.
            energy: Share of the light that lands, within 0 ... 1.
        """

    @abstractmethod
    def bare_variance_um2(self, distance_um: float, energy: float) -> float:
        """Return the variance along x, in um^2, of the light within that circle.

        Base blur and scattering are not in here, whatever `integrated_blurs` says.

        Args:
            distance_um: Distance of the emitter from the sensor plane.
            energy: Share of the light that lands, within 0 ... 1, that the circle holds.
        """

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
        """Return what each pixel collects of the emitted light.

        Attenuation is not in here; base blur and scattering are if `integrated_blurs` says so.

        Args:
            distance_um: (...) distance of the emitter from the sensor plane.
            pixel_pitch_um: Side of the square pixel.
            radius_px: Pixels from the middle one to the edge.
            offset_um: (y, x) of the emitter from the middle of the middle pixel; None for none.
            parameters_of_scenes: Values of `batched_parameters` in place of this PSF's own,
                each broadcastable to `distance_um`; those it does not depend on are ignored.

        Returns:
            (..., radius + 1, radius + 1), one quadrant, if `symmetric` and without an offset; else
            (..., 2 radius + 1, 2 radius + 1).
        """

    def area_response(
        self,
        distance_um: Tensor,
        *,
        y_um: Tensor,
        x_um: Tensor,
        size_um: tuple[float, float],
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return what rectangles anywhere collect of the emitted light.

        A kind that gives this is known on pixels of any shape and place; one that does not, on
        square pixels alone. `radial_area_response` computes it for light that depends on the radius
        alone. As in `pixel_response`, attenuation is not in here, and blurs are if
        `integrated_blurs` says so; a fill factor is not, for it is what rectangles stand for.

        Args:
            distance_um: (...) distance of the emitter from the sensor plane.
            y_um: (..., rectangle) middles of the rectangles from the point below the emitter.
            x_um: (..., rectangle) likewise along x.
            size_um: (y, x) sides of every rectangle.
            parameters_of_scenes: As for `pixel_response`.

        Returns:
            (..., rectangle).

        Raises:
            ImagerError: If the kind is known on square pixels only.
        """
        raise ImagerError(
            f"a PSF of kind {self.kind!r} is known on square pixels only; describe this imager's "
            "light by another kind, such as angular-response"
        )

    @property
    def knows_areas(self) -> bool:
        """Whether the kind gives `area_response`."""
        return type(self).area_response is not Psf.area_response

    @property
    def has_files(self) -> bool:
        """Whether the kind keeps files beside the imager's (`write_files`)."""
        return type(self).write_files is not Psf.write_files

    def file_fields(self, imager_file: Path) -> dict[str, Any]:
        """Return what the table `[psf]` of an imager's file holds.

        Args:
            imager_file: Path of the imager's file; those of `write_files` lie beside it.

        Returns:
            Values by field, such as TOML can hold.
        """
        return self.model_dump(mode="json", exclude_none=True)

    def write_files(self, imager_file: Path, *, overwrite: bool = False) -> None:
        """Write the files beside the imager's that `file_fields` refers to; none by default.

        Args:
            imager_file: Path of the imager's file.
            overwrite: Whether files may be replaced.

        Raises:
            OutputExistsError: If a file exists and `overwrite` is not set.
        """

    def collection_efficiency(self, distance_um: ArrayLike = 0.0) -> Any:
        """Return the share of an emitter's light that lands on an unbounded plane of pixels.

        The tissue's attenuation is in here.

        Args:
            distance_um: (...) distance of the emitter from the sensor plane.

        Returns:
            (...) within 0 ... 1; a float for a float.

        Examples:
            >>> from fociscope.imager import GaussianPsf
            >>> GaussianPsf(tissue={"attenuation_per_mm": 1.0}).collection_efficiency(0.0)
            0.035
        """
        distance = as_tensor(distance_um).double()
        bare = self.bare_collection_efficiency(distance)
        what = f"{type(self).__name__}.bare_collection_efficiency"
        check_result(what, bare, tuple(distance.shape), error=ImagerError)
        fraction = bare * self.tissue.transmitted(distance)
        if isinstance(distance_um, float | int):
            return float(fraction)
        return like(fraction.to(as_tensor(distance_um).dtype), distance_um)

    def encircled_radius_um(self, distance_um: float, energy: float) -> float:
        r"""Return the radius in um of the circle that holds a share of the landing light.

        Base blur and scattering are in here. The radii of blurs that follow each other are added in
        quadrature, $r^2 = r_0^2 - 2 \ln(1 - e)\, \sigma^2$, which is exact for Gaussians and an
        estimate otherwise.

        Args:
            distance_um: Distance of the emitter from the sensor plane.
            energy: Share of the light that lands, $e$, within 0 ... 1.
        """
        squared = -2 * math.log(1 - energy)  # radius^2 / variance per axis of a Gaussian
        bare_um = self._checked_number(
            "bare_encircled_radius_um", self.bare_encircled_radius_um(float(distance_um), energy)
        )
        tissue_um = math.sqrt(bare_um**2 + squared * self._scattered_um2(distance_um))
        return math.hypot(tissue_um, math.sqrt(squared * self.base_blur_um**2))

    def variance_um2(self, distance_um: float, energy: float = KERNEL_ENERGY) -> float:
        """Return the variance along x, in um^2, of the light within an encircled radius.

        Base blur and scattering are in here. A grating that leaks at grazing angles has no finite
        variance without such a bound. A kernel's variance is larger by the pixel's own width,
        pitch^2 / 12 * fill factor.

        Args:
            distance_um: Distance of the emitter from the sensor plane.
            energy: Share of the light that lands, within 0 ... 1.
        """
        bare_um2 = self._checked_number(
            "bare_variance_um2", self.bare_variance_um2(float(distance_um), energy)
        )
        return bare_um2 + self._scattered_um2(distance_um) + self.base_blur_um**2

    def energy_fraction(self, distance_um: ArrayLike = 0.0) -> Any:
        """Return `collection_efficiency`, under its former name for one version."""
        _warn_of_former_name("energy_fraction", "collection_efficiency")
        return self.collection_efficiency(distance_um)

    def energy_radius_um(self, distance_um: float, energy: float) -> float:
        """Return `encircled_radius_um`, under its former name for one version."""
        _warn_of_former_name("energy_radius_um", "encircled_radius_um")
        return self.encircled_radius_um(distance_um, energy)

    def second_moment_um2(self, distance_um: float, energy: float = KERNEL_ENERGY) -> float:
        """Return `variance_um2`, under its former name for one version."""
        _warn_of_former_name("second_moment_um2", "variance_um2")
        return self.variance_um2(distance_um, energy)

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
            pixel_pitch_um: Side of the square pixel.
            radius_px: Pixels from the middle one to where the kernel is cut off.
            grid: (y, x) samples of the Fourier grid.
            offset_um: (y, x) by which the light lands displaced; None for not at all.
            pixel_response: Result of `pixel_response` for these arguments, if known already.
            parameters_of_scenes: Values of `batched_parameters` in place of this PSF's own,
                broadcastable to `distance_um`.

        Returns:
            (..., y, x // 2 + 1), in the order of `torch.fft.rfft2`; real if the kernel is
            `symmetric` and not displaced.

        Raises:
            ImagerError: If the radius is negative or beyond `LARGEST_RADIUS_PX`.
        """
        self._check_radius(radius_px)
        if pixel_response is None:
            pixel_response = self.checked_response(
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
        variance_um2 = self.grid_variance_um2(distance_um, blur_um)
        if bool((variance_um2 != 0).any()):
            variance_px2 = variance_um2 / pixel_pitch_um**2
            blur = discrete_gaussian_transfer(variance_px2, variance_px2, grid)
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
            depth_um: (...) distance of the emitter from the sensor plane.
            pixel_pitch_um: Side of the square pixel.
            energy: Share of the collected light that the kernel is wide enough to hold.
            radius_px: Pixels from the middle one to the edge, in place of `energy`.
            offset_um: (y, x) of the emitter from the middle of the middle pixel.

        Returns:
            (..., k, k) with k = 2 radius + 1.

        Raises:
            ImagerError: If a depth is outside `depth_range_um`, the pitch is not above 0, the
                energy is outside 0 ... 1, or the radius is negative or beyond `LARGEST_RADIUS_PX`.

        Examples:
            >>> from fociscope.imager import GaussianPsf
            >>> kernel = GaussianPsf().kernel(100.0, 55.0, radius_px=1)
            >>> kernel.shape, bool(kernel[1, 1] == kernel.max())
            ((3, 3), True)
        """
        distance = as_tensor(depth_um)
        self._check_kernel(distance, pixel_pitch_um, energy)
        spread_um = math.sqrt(float(self.grid_variance_um2(distance.detach()).max()))
        margin = math.ceil(8 * spread_um / pixel_pitch_um)
        if radius_px is None:
            reach_um = self.encircled_radius_um(float(distance.detach().max()), energy)
            radius_px = math.ceil((reach_um + math.hypot(*offset_um)) / pixel_pitch_um + 0.5)
        self._check_radius(radius_px)
        wide = radius_px + margin
        even = self.symmetric and offset_um == (0.0, 0.0)
        pixel_response = self.checked_response(
            distance,
            pixel_pitch_um=pixel_pitch_um,
            radius_px=wide,
            offset_um=None if even else offset_um,
        )
        mirror = torch.arange(-wide, wide + 1).abs()
        window = pixel_response[..., mirror[:, None], mirror] if even else pixel_response
        if margin:
            side = 2 * wide + 1
            variance_px2 = self.grid_variance_um2(distance) / pixel_pitch_um**2
            blur = discrete_gaussian_transfer(variance_px2, variance_px2, (side, side))
            spectrum = torch.fft.rfft2(window) * half_plane(blur, (side, side))
            window = torch.fft.irfft2(spectrum, s=(side, side))
            window = window[..., margin : side - margin, margin : side - margin]
        return like(window * self.tissue.transmitted(distance)[..., None, None], depth_um)

    def checked_response(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        offset_um: tuple[float, float] | None = None,
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return `pixel_response` after a check of its shape and its numbers.

        Raises:
            ImagerError: If the kind returns anything else than `pixel_response` must.
        """
        response = self.pixel_response(
            distance_um,
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
            **parameters_of_scenes,
        )
        quadrant = self.symmetric and offset_um is None
        side = radius_px + 1 if quadrant else 2 * radius_px + 1
        shape = (*distance_um.shape, side, side)
        what = f"{type(self).__name__}.pixel_response"
        check_result(what, response, shape, error=ImagerError)
        return response

    def _checked_number(self, name: str, value: object) -> float:
        """Return a width in um or um^2 that a kind gives, if it is a number and not negative."""
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number < math.inf:
            raise ImagerError(
                f"{type(self).__name__}.{name}: expected a finite number from 0 on; got "
                f"{one_line(ValueError(value), 60)}"
            )
        return number

    def _check_kernel(self, distance_um: Tensor, pixel_pitch_um: float, energy: float) -> None:
        least, most = self.depth_range_um
        if not bool(((distance_um >= least) & (distance_um <= most)).all()):
            known = f"from {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
            raise ImagerError(
                f"this PSF is known for depths {known} µm; got {float(distance_um.min()):g} to "
                f"{float(distance_um.max()):g} µm"
            )
        if not (pixel_pitch_um > 0 and 0 < energy < 1):
            raise ImagerError(
                "a kernel needs a pitch above 0 µm and an energy within 0 ... 1; "
                f"got {pixel_pitch_um:g} µm and {energy:g}"
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

    def _scattered_um2(self, distance_um: float) -> float:
        """Return the variance per axis by which the tissue scatters light."""
        return float(self.tissue.variance_um2(torch.tensor(float(distance_um)).double()))

    def grid_variance_um2(
        self, distance_um: Tensor, base_blur_um: Tensor | float | None = None
    ) -> Tensor:
        """Return the variance of the Gaussian that follows `pixel_response` on the grid."""
        variance_um2 = torch.zeros_like(distance_um)
        if "scattering" not in self.integrated_blurs:
            variance_um2 = variance_um2 + self.tissue.variance_um2(distance_um)
        if "base_blur" not in self.integrated_blurs:
            base_blur_um = self.base_blur_um if base_blur_um is None else base_blur_um
            variance_um2 = variance_um2 + base_blur_um**2
        return variance_um2


def _warn_of_former_name(old: str, new: str) -> None:
    warnings.warn(f"Psf.{old} is now called {new}", DeprecationWarning, stacklevel=3)
