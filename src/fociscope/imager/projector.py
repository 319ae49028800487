"""The projector: layers at depths -> sensor images, and back by the adjoint.

Each layer is convolved with the PSF of its distance from a sensor, and the sensor sums them. Beyond
the frame there is nothing (`zero`), or tissue goes on as the frame's mirror image (`reflect`), so
that a uniform layer gives a uniform capture. Sensor B's image is then shifted, turned and scaled as
the imager's registration says, and each sensor's gain is put to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like, without_autocast
from fociscope.errors import ImagerError
from fociscope.imager.projection import Projection, distances_um

if TYPE_CHECKING:
    from fociscope.imager.geometry import Imager

__all__ = ["LayerProjector"]

#: Memory for the Fourier space of one tile, where the caller names none.
MEMORY_BYTES = 2**27


class LayerProjector:
    r"""Layers at depths -> sensor images (`A`), and the adjoint (`A_adjoint`).

    With $h_{z}$ the kernel of the distance $z$, sensor $s$ of gain $g_s$ collects of the layers
    $x_l$ at distances $z_{sl}$

    $$ y_s = g_s \sum_l h_{z_{sl}} * x_l , $$

    sensor B shifted, turned and scaled as the imager's registration states.

    It works on the device and in the precision of its arguments, and torch differentiates it in
    layers, depths and PSF parameters. The frame is the layers' own, of any size.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import Imager, LayerProjector
        >>> projector = LayerProjector(Imager.reference())
        >>> layers = np.zeros((2, 51, 51), np.float32)
        >>> layers[0, 25, 25] = 1.0
        >>> captures = projector.A(layers, np.array([200.0, 700.0], np.float32))
        >>> captures.shape
        (2, 51, 51)
        >>> bool(captures[0].max() > captures[1].max())  # sensor A is nearer
        True
    """

    def __init__(
        self,
        imager: Imager,
        *,
        memory_bytes: int = MEMORY_BYTES,
        parameter_range: tuple[str, tuple[float, float]] | None = None,
    ) -> None:
        """Project as `imager` does: its PSF, pixels, sensors, gap, registration and boundary.

        Args:
            imager: Imager to project as.
            memory_bytes: Working memory beside arguments and results; larger frames are projected
                in tiles. The memory that torch needs to differentiate comes on top.
            parameter_range: Name and bounds of a PSF parameter of which `A` will take one value per
                sample, such as ("half_angle_deg", (12.0, 25.0)). Kernels are then interpolated in
                it, ten times as fast as they are computed; without it, or outside the bounds, they
                are computed.

        Raises:
            ImagerError: If `memory_bytes` is below 1.
        """
        if memory_bytes < 1:
            raise ImagerError(f"memory_bytes must be at least 1; got {memory_bytes}")
        self.imager = imager
        self.memory_bytes = memory_bytes
        self.parameter_range = parameter_range

    @without_autocast
    def A(
        self, layers: ArrayLike, depth_um: ArrayLike, **psf_parameters: Tensor
    ) -> Tensor | np.ndarray:
        """Return the noise-free captures of layers.

        Args:
            layers: (..., layer, y, x) emitted light per pixel.
            depth_um: (..., layer) distance of each layer from sensor A, from 0 to the gap.
            psf_parameters: (...) values, one per sample, in place of fields of the imager's PSF
                that its kind lists as `batched_parameters`, such as `base_blur_um`.

        Returns:
            (..., sensor, y, x) light per pixel, in the units of `layers`.

        Raises:
            ImagerError: If shapes do not fit, a depth is outside the imager, or a parameter is
                unknown or outside its range.
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
        frame_px = x.shape[-2], x.shape[-1]
        projection = self._projection(z, frame_px, psf_parameters, keep=False)
        captures = projection.A(x.reshape(-1, *x.shape[-3:]))
        return like(captures.reshape(*x.shape[:-3], *captures.shape[-3:]), layers)

    @without_autocast
    def A_adjoint(
        self, captures: ArrayLike, depth_um: ArrayLike, **psf_parameters: Tensor
    ) -> Tensor | np.ndarray:
        """Return the adjoint: <A layers, captures> = <layers, A_adjoint captures>.

        Args:
            captures: (..., sensor, y, x) light per pixel.
            depth_um: (..., layer) distance of each layer from sensor A.
            psf_parameters: (...) values as for `A`.

        Returns:
            (..., layer, y, x) light per pixel.

        Raises:
            ImagerError: If shapes do not fit, or a depth is outside the imager.
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
        frame_px = y.shape[-2], y.shape[-1]
        projection = self._projection(z, frame_px, psf_parameters, keep=False)
        layers = projection.A_adjoint(y.reshape(-1, *y.shape[-3:]))
        return like(layers.reshape(*y.shape[:-3], *layers.shape[-3:]), captures)

    def at(
        self, depth_um: ArrayLike, frame_px: tuple[int, int], **psf_parameters: Tensor
    ) -> Projection:
        """Return the projection at fixed depths, for iterations: kernels are computed once.

        Args:
            depth_um: (scene, layer) distances from sensor A, whose type and device are the
                projection's.
            frame_px: (y, x) pixels of layers and captures.
            psf_parameters: (scene,) values as for `A`.

        Raises:
            ImagerError: As for `A`.
        """
        z = as_tensor(depth_um)
        if z.ndim != 2:
            raise ImagerError(f"depths need (scene, layer); got the shape {tuple(z.shape)}")
        return self._projection(self._checked_depth(z, z), frame_px, psf_parameters, keep=True)

    def distance_um(self, depth_um: Tensor) -> Tensor:
        """Return (..., layer, sensor): the distance of each layer from each sensor."""
        return distances_um(self.imager, depth_um)

    def _projection(
        self,
        depth_um: Tensor,
        frame_px: tuple[int, int],
        psf_parameters: dict[str, Tensor],
        *,
        keep: bool,
    ) -> Projection:
        return Projection(
            self.imager,
            depth_um,
            frame_px,
            psf_parameters,
            memory_bytes=self.memory_bytes,
            parameter_range=self.parameter_range,
            keep=keep,
        )

    def _checked_depth(self, depth_um: ArrayLike, beside: Tensor) -> Tensor:
        z = as_tensor(depth_um).to(beside)
        gap = self.imager.gap_um
        with torch.no_grad():
            if z.numel() == 0 or not bool(((z >= 0) & (z <= gap * (1 + 1e-6))).all()):
                found = f"{float(z.min()):g} to {float(z.max()):g}" if z.numel() else "none"
                raise ImagerError(f"depths must lie within 0 to {gap:g} µm; got {found}")
            least, most = self.imager.psf.depth_range_um
            distance, rounding = self.distance_um(z.clamp(max=gap)), gap * 1e-6
            if not bool(((distance >= least - rounding) & (distance <= most + rounding)).all()):
                raise ImagerError(
                    f"the PSF is known {least:g} to {most:g} µm from a sensor; got layers "
                    f"{float(distance.min()):g} to {float(distance.max()):g} µm away"
                )
        return z.clamp(max=gap)
