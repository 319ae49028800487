"""The projector: layers at depths -> sensor images, and back by the adjoint.

Each layer is convolved with the PSF of its distance from a sensor, and the sensor sums them. Both
boundaries are circular convolutions in Fourier space, exact for the kernel they are given:

- `zero`: the frame is padded with dark by the kernel's radius;
- `surround`: tissue goes on outside as the mirror image of the frame, which has twice its period.
  A uniform layer then gives a uniform capture.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.errors import ImagerError

if TYPE_CHECKING:
    from fociscope.imager.geometry import Imager

__all__ = ["LayerProjector"]

#: Share of the collected light that a kernel must hold before it may be cut off.
KERNEL_ENERGY = 0.999


class LayerProjector:
    """Layers at depths -> sensor images (`A`), and the adjoint (`A_adjoint`).

    It works on the device and in the precision of what it is given, and torch differentiates it in
    layers, depths and PSF parameters. The frame is the layers' own, of any size.
    """

    def __init__(self, imager: Imager) -> None:
        """Project as `imager` does: its PSF, pixel pitch, sensors, gap and boundary."""
        self.imager = imager

    def A(
        self, layers: ArrayLike, depth_um: ArrayLike, **psf_parameters: Tensor
    ) -> Tensor | np.ndarray:
        """Return the noise-free captures of layers.

        Args:
            layers: (..., layer, y, x) emitted light per pixel.
            depth_um: (..., layer) distance of each layer from sensor A, from 0 to the gap.
            psf_parameters: fields of the imager's PSF to replace, one value per sample (...),
                such as `half_angle_deg` and `base_blur_um`.

        Returns:
            (..., sensor, y, x) light per pixel, in the units of `layers`.

        Raises:
            ImagerError: shapes that do not fit, a depth outside the imager, or a parameter outside
                its range.
        """
        x = as_tensor(layers)
        if x.ndim < 3:
            raise ImagerError(f"layers need (..., layer, y, x); got the shape {tuple(x.shape)}")
        z = self._checked_depth(depth_um, x)
        if x.shape[:-2] != z.shape:
            raise ImagerError(
                f"layers of shape {tuple(x.shape)} need depths of shape {tuple(x.shape[:-2])}; "
                f"got {tuple(z.shape)}"
            )
        frame = (x.shape[-2], x.shape[-1])
        transfer, grid = self._transfer(z, frame, psf_parameters)
        spectrum = torch.fft.rfft2(self._extend(x), s=grid)
        seen = torch.einsum("...lyx,...lsyx->...syx", spectrum, transfer.to(spectrum.dtype))
        captures = torch.fft.irfft2(seen, s=grid)[..., : frame[0], : frame[1]]
        return like(captures, layers)

    def A_adjoint(
        self, captures: ArrayLike, depth_um: ArrayLike, **psf_parameters: Tensor
    ) -> Tensor | np.ndarray:
        """Return the adjoint: <A layers, captures> = <layers, A_adjoint captures>.

        Args:
            captures: (..., sensor, y, x).
            depth_um: (..., layer) distance of each layer from sensor A.
            psf_parameters: as for `A`.

        Returns:
            (..., layer, y, x).

        Raises:
            ImagerError: shapes that do not fit, or a depth outside the imager.
        """
        y = as_tensor(captures)
        if y.ndim < 3 or y.shape[-3] != self.imager.sensors:
            raise ImagerError(
                f"captures need (..., sensor, y, x) with {self.imager.sensors} sensor(s); "
                f"got the shape {tuple(y.shape)}"
            )
        z = self._checked_depth(depth_um, y)
        if z.ndim == 0 or y.shape[:-3] != z.shape[:-1]:
            raise ImagerError(
                f"captures of shape {tuple(y.shape)} need depths of shape "
                f"{(*y.shape[:-3], 'layer')}; got {tuple(z.shape)}"
            )
        frame = (y.shape[-2], y.shape[-1])
        transfer, grid = self._transfer(z, frame, psf_parameters)
        spectrum = torch.fft.rfft2(y, s=grid)
        back = torch.einsum("...syx,...lsyx->...lyx", spectrum, transfer.to(spectrum.dtype).conj())
        return like(self._fold(torch.fft.irfft2(back, s=grid), frame), captures)

    def distance_um(self, depth_um: Tensor) -> Tensor:
        """Return (..., layer, sensor): the distance of each layer from each sensor."""
        distances = [depth_um, self.imager.gap_um - depth_um][: self.imager.sensors]
        return torch.stack(distances, dim=-1)

    def _checked_depth(self, depth_um: ArrayLike, beside: Tensor) -> Tensor:
        z = as_tensor(depth_um).to(beside)
        gap = self.imager.gap_um
        with torch.no_grad():
            if z.numel() == 0 or not bool(((z >= 0) & (z <= gap * (1 + 1e-6))).all()):
                found = f"{float(z.min()):g} to {float(z.max()):g}" if z.numel() else "none"
                raise ImagerError(f"depths must lie within 0 to {gap:g} um; got {found}")
        return z.clamp(max=gap)

    def _checked_parameters(
        self, psf_parameters: dict[str, Tensor], depth_um: Tensor
    ) -> dict[str, Tensor]:
        """Return the PSF parameters of each sample, like the depths in type and device."""
        psf = self.imager.psf
        known = {name for name in type(psf).model_fields if name != "kind"}
        unknown = set(psf_parameters) - known
        if unknown:
            raise ImagerError(f"a PSF of kind {psf.kind} has no {', '.join(sorted(unknown))}")
        checked = {n: torch.as_tensor(v).to(depth_um) for n, v in psf_parameters.items()}
        for name, value in checked.items():
            if value.shape not in (depth_um.shape[:-1], ()):
                raise ImagerError(
                    f"{name} needs one value per sample, {tuple(depth_um.shape[:-1])}; "
                    f"got the shape {tuple(value.shape)}"
                )
            for extreme in (value.detach().min(), value.detach().max()):
                self.imager.with_(psf={**psf.model_dump(), name: float(extreme)})
        return {n: v.expand(depth_um.shape[:-1]) for n, v in checked.items()}

    def _transfer(
        self, depth_um: Tensor, frame: tuple[int, int], psf_parameters: dict[str, Tensor]
    ) -> tuple[Tensor, tuple[int, int]]:
        """Return the transfer functions (..., layer, sensor, ky, kx) and their grid."""
        psf, pitch = self.imager.psf, self.imager.pixel_pitch_um
        per_sample = self._checked_parameters(psf_parameters, depth_um)
        per_layer = {name: value[..., None, None] for name, value in per_sample.items()}
        distance = self.distance_um(depth_um)
        # The gap, not the deepest layer of the batch: a capture must not depend on its neighbours.
        widest = psf.model_copy(update={n: float(v.detach().max()) for n, v in per_sample.items()})
        reach_um = widest.energy_radius_um(self.imager.gap_um, KERNEL_ENERGY)
        reach_px = math.ceil(reach_um / pitch + 0.5)
        radius = min(max(frame) - 1, reach_px)
        if self.imager.boundary == "surround":
            radius, grid = reach_px, (2 * frame[0], 2 * frame[1])
        else:
            grid = (next_fast_len(frame[0] + radius), next_fast_len(frame[1] + radius))
        transfer = psf.transfer(
            distance, pixel_pitch_um=pitch, radius_px=radius, grid=grid, **per_layer
        )
        return transfer, grid

    def _extend(self, frame: Tensor) -> Tensor:
        """Continue a frame beyond its edges: mirrored for `surround`; the FFT pads with zeros."""
        if self.imager.boundary == "zero":
            return frame
        tall = torch.cat([frame, frame.flip(-2)], dim=-2)
        return torch.cat([tall, tall.flip(-1)], dim=-1)

    def _fold(self, extended: Tensor, frame: tuple[int, int]) -> Tensor:
        """The adjoint of `_extend` and the padding: cut off, or add the mirror images up."""
        y, x = frame
        if self.imager.boundary == "zero":
            return extended[..., :y, :x]
        tall = extended[..., :x] + extended[..., x:].flip(-1)
        return tall[..., :y, :] + tall[..., y:, :].flip(-2)
