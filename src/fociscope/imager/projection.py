"""A projection at given depths: its kernels, and the way from layers to sensors and back."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fociscope.errors import ImagerError
from fociscope.imager._pixel_response import sensitive_size_um
from fociscope.imager.convolution import Span, Window, convolve_and_sum
from fociscope.imager.psf._areas import PixelGrid, area_transfer
from fociscope.imager.psf._bank import kernel_interpolator
from fociscope.imager.psf._base import KERNEL_ENERGY, Psf
from fociscope.imager.registration import Resampling
from fociscope.registry import unknown_name

if TYPE_CHECKING:
    from fociscope.imager.geometry import Imager

__all__ = ["Projection", "distances_um"]

#: Light from farther away than this many frames is not followed in `reflect`.
FARTHEST_FRAMES = 2


def distances_um(imager: Imager, depth_um: Tensor) -> Tensor:
    """Return (..., layer, sensor): the distance of each layer of (..., layer) from each sensor."""
    distances = [depth_um, imager.gap_um - depth_um][: imager.sensors]
    return torch.stack(distances, dim=-1)


class Projection:
    """The projection of scenes whose depths are known: `LayerProjector.at` makes it.

    `A` and `A_adjoint` take and return tensors with one axis of scenes.
    """

    def __init__(
        self,
        imager: Imager,
        depth_um: Tensor,
        frame_px: tuple[int, int],
        psf_parameters: dict[str, Tensor],
        *,
        memory_bytes: int,
        parameter_range: tuple[str, tuple[float, float]] | None,
        keep: bool,
    ) -> None:
        """Prepare a projection.

        Args:
            imager: Imager to project as.
            depth_um: (..., layer) distances from sensor A, within the imager.
            frame_px: (y, x) pixels of layers and captures.
            psf_parameters: (...) values as for `LayerProjector.A`.
            memory_bytes: Working memory as for `LayerProjector`.
            parameter_range: Name and bounds as for `LayerProjector`.
            keep: Whether transfer functions are computed once and kept, for many uses of `A`.
        """
        self._kept: dict[tuple[int, int, tuple[int, int]], Tensor] | None = {} if keep else None
        self.imager, self.psf = imager, imager.psf
        self.memory_bytes, self.parameter_range = memory_bytes, parameter_range
        parameters_of_scenes = self._checked_parameters(psf_parameters, depth_um)
        # (scene, layer, sensor) and (scene, 1, 1): all leading axes are one here.
        distance = distances_um(imager, depth_um)
        self.distance_um = distance.reshape(-1, *distance.shape[-2:])
        self.per_sample = {name: v.reshape(-1, 1, 1) for name, v in parameters_of_scenes.items()}

        # The gap, not the deepest layer of the batch: a capture must not depend on its neighbours.
        most = {name: float(value.detach().max()) for name, value in parameters_of_scenes.items()}
        if self.parameter_range and self.parameter_range[0] in most:
            most[self.parameter_range[0]] = max(
                most[self.parameter_range[0]], self.parameter_range[1][1]
            )
        widest = self.psf.with_(**most) if most else self.psf
        farthest_um = min(imager.gap_um, widest.depth_range_um[1])
        reach_um = _reach_um(widest, farthest_um)
        offset_um = imager.registration.shift_in_a_um() if imager.sensors == 2 else None
        turned = imager.sensors == 2 and imager.registration.is_rotated_or_scaled
        margin = imager.registration.margin_px(frame_px) if turned else 0
        self.resampling = (
            Resampling.from_registration(imager.registration, frame_px, depth_um)
            if turned
            else None
        )
        self.areas = _pixel_grid(imager, reach_um, offset_um, frame_px, margin)
        self.radii_px = self.areas.radii_px
        self.radius_px = max(self.radii_px)
        self.offsets_um = (None, offset_um)[: imager.sensors]
        self.frame_px, self.margin = frame_px, margin

        above, beside = (
            margin + radius if imager.boundary == "reflect" else 0 for radius in self.radii_px
        )
        height, width = frame_px
        self.source = Window(
            Span(-above, height + above),
            Span(-beside, width + beside),
            mirrors=frame_px if imager.boundary == "reflect" else None,
        )
        self.target = Window(Span(-margin, height + margin), Span(-margin, width + margin))
        gains = imager.sensor_gains[: imager.sensors]
        self.gains = None if set(gains) == {1.0} else depth_um.new_tensor(gains)[:, None, None]

    @property
    def is_even(self) -> bool:
        """Whether all kernels are even in x and in y, so that transfer functions are real."""
        return all(self.areas.is_even(self.psf, offset_um) for offset_um in self.offsets_um)

    def A(self, layers: Tensor) -> Tensor:
        """(scene, layer, y, x) -> (scene, sensor, y, x)."""
        seen = convolve_and_sum(
            layers,
            self._transfer,
            outputs=self.imager.sensors,
            source=self.source,
            target=self.target,
            radius_px=self.radii_px,
            memory_bytes=self.memory_bytes,
        )
        if self.resampling is not None:
            first = seen[:, :1, self.margin : -self.margin, self.margin : -self.margin]
            seen = torch.cat([first, self.resampling(seen[:, 1:])], dim=1)
        return seen if self.gains is None else seen * self.gains

    def A_adjoint(self, captures: Tensor) -> Tensor:
        """(scene, sensor, y, x) -> (scene, layer, y, x)."""
        seen = captures if self.gains is None else captures * self.gains
        if self.resampling is not None:
            first = torch.nn.functional.pad(seen[:, :1], (self.margin,) * 4)
            seen = torch.cat([first, self.resampling.adjoint(seen[:, 1:])], dim=1)
        return convolve_and_sum(
            seen,
            lambda scenes, grid: self._transfer(scenes, grid).transpose(1, 2).conj(),
            outputs=self.distance_um.shape[1],
            source=self.target,
            target=self.source,
            radius_px=self.radii_px,
            memory_bytes=self.memory_bytes,
        )

    def transfer(self, grid: tuple[int, int]) -> Tensor:
        """Return (scene, layer, sensor, ky, kx): the kernels' transfer functions on a Fourier grid.

        In the order of `torch.fft.rfft2`; real where kernels are even and sensor B is not
        displaced. The sensors' gains, and sensor B's turn, are not in them.
        """
        return self._computed_transfer(slice(None), grid)

    def _transfer(self, scenes: slice, grid: tuple[int, int]) -> Tensor:
        """Return the transfer functions (scene, layer, sensor, ky, kx) of some scenes."""
        key = (scenes.start, scenes.stop, grid)
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        transfer = self._computed_transfer(scenes, grid)
        if self._kept is not None:
            self._kept[key] = transfer
        return transfer

    def _computed_transfer(self, scenes: slice, grid: tuple[int, int]) -> Tensor:
        if self.offsets_um[-1] is None:
            return self._transfer_to(self.distance_um[scenes], None, scenes, grid)
        sensors = [
            self._transfer_to(self.distance_um[scenes, :, n, None], offset_um, scenes, grid)
            for n, offset_um in enumerate(self.offsets_um)
        ]
        return torch.cat(sensors, dim=2)  # of mixed type where only B is displaced

    def _transfer_to(
        self,
        distance_um: Tensor,
        offset_um: tuple[float, float] | None,
        scenes: slice,
        grid: tuple[int, int],
    ) -> Tensor:
        """Return (scene, layer, sensor, ky, kx) for distances (scene, layer, sensor)."""
        parameters_of_scenes = {name: value[scenes] for name, value in self.per_sample.items()}
        response = self._interpolated(distance_um, offset_um, parameters_of_scenes)
        if not self.imager.has_plain_pixels:
            return area_transfer(
                self.psf,
                distance_um,
                self.areas,
                grid,
                offset_um=offset_um,
                response=response,
                **parameters_of_scenes,
            )
        return self.psf.transfer(
            distance_um,
            pixel_pitch_um=self.imager.square_pitch_um,
            radius_px=self.radius_px,
            grid=grid,
            offset_um=offset_um,
            pixel_response=response,
            **parameters_of_scenes,
        )

    def _interpolated(
        self,
        distance_um: Tensor,
        offset_um: tuple[float, float] | None,
        parameters_of_scenes: dict[str, Tensor],
    ) -> Tensor | None:
        """Return the pixels' response by interpolation; None if it must be computed."""
        least_um, most_um = self.psf.depth_range_um
        later = self.psf.grid_parameters
        now = {name: value for name, value in parameters_of_scenes.items() if name not in later}
        parameter = (
            self.parameter_range
            if self.parameter_range and set(now) == {self.parameter_range[0]}
            else None
        )
        if now and not (parameter and _within(now[parameter[0]], parameter[1])):
            return None
        plain = self.imager.has_plain_pixels
        interpolator = kernel_interpolator(
            self.psf.model_copy(update=dict.fromkeys(later, 0.0)),
            pixel_pitch_um=self.imager.square_pitch_um if plain else 0.0,
            radius_px=self.radius_px if plain else 0,
            depth_um=(least_um, min(most_um, self.imager.gap_um)),
            offset_um=offset_um,
            parameter=parameter,
            areas=None if plain else self.areas,
        )
        return None if interpolator is None else interpolator.pixel_response(distance_um, **now)

    def _checked_parameters(
        self, psf_parameters: dict[str, Tensor], depth_um: Tensor
    ) -> dict[str, Tensor]:
        """Return the PSF parameters of each sample, like the depths in type and device."""
        unknown = set(psf_parameters) - set(self.psf.batched_parameters)
        if unknown:
            raise unknown_name(
                "parameter that differs from scene to scene",
                min(unknown),
                self.psf.batched_parameters,
                of=f"a PSF of kind {self.psf.kind}",
                error=ImagerError,
            )
        checked = {n: torch.as_tensor(v).to(depth_um) for n, v in psf_parameters.items()}
        for name, value in checked.items():
            if value.shape not in (depth_um.shape[:-1], ()):
                raise ImagerError(
                    f"{name} needs one value per sample, {tuple(depth_um.shape[:-1])}; "
                    f"got the shape {tuple(value.shape)}"
                )
            for extreme in (value.detach().min(), value.detach().max()):
                self.psf.with_(**{name: float(extreme)})
        return {n: v.expand(depth_um.shape[:-1]) for n, v in checked.items()}


def _pixel_grid(
    imager: Imager,
    reach_um: float,
    offset_um: tuple[float, float] | None,
    frame_px: tuple[int, int],
    margin: int,
) -> PixelGrid:
    """Return the pixels of a kernel that holds light as far as it gets, or the frame does.

    Raises:
        ImagerError: If rows are staggered: layers have no such grid.
    """
    if any(imager.row_shift_um):
        raise ImagerError(
            f"imager {imager.name!r} has staggered rows, and layers lie on a grid that has none; "
            "Imager.pixel_response gives what its pixels collect of point emitters"
        )
    if imager.further_psfs:
        raise ImagerError(
            f"imager {imager.name!r} has pixels behind {1 + len(imager.further_psfs)} gratings, "
            "and layers are convolved with the kernels of one; Imager.pixel_response gives what "
            "its pixels collect of point emitters"
        )
    oblong = imager.pitch_um[0] != imager.pitch_um[1]
    if oblong and imager.sensors == 2 and imager.registration.is_rotated_or_scaled:
        raise ImagerError(
            f"imager {imager.name!r} has pixels of {imager.pitch_um[0]:g} x "
            f"{imager.pitch_um[1]:g} µm and a sensor B that is rotated or scaled; images are "
            "turned on square pixels only: state a shift alone"
        )
    shift_um = math.hypot(*(offset_um or (0, 0)))
    # The radius is that of the longer side where pixels are square, as it has always been.
    sides = (max(frame_px),) * 2 if imager.has_plain_pixels else frame_px
    radii = []
    for pitch, side in zip(imager.pitch_um, sides, strict=True):
        radius = math.ceil(reach_um / pitch + 0.5) + math.ceil(shift_um / pitch)
        reflect = imager.boundary == "reflect"
        radii.append(min(radius, FARTHEST_FRAMES * side if reflect else side - 1 + margin))
    return PixelGrid(
        imager.pitch_um,
        (radii[0], radii[1]),
        sensitive_size_um(imager, imager.psf),
        imager.sensitive_offset_um,
    )


@lru_cache(maxsize=64)
def _reach_um(psf: Psf, distance_um: float) -> float:
    """Return how far nearly all light of a point gets; captures that come one by one ask often."""
    return psf.encircled_radius_um(distance_um, KERNEL_ENERGY)


def _within(value: Tensor, bounds: tuple[float, float]) -> bool:
    return bool(((value >= bounds[0]) & (value <= bounds[1])).all())
