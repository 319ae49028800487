"""Where sensor B lies with respect to sensor A: shifted, turned, and of a slightly different scale.

A point at (y, x) um from the middle of the frame in sensor A's coordinates appears on sensor B at

    p_B = scale * R p_A + shift,    R = [[cos, -sin], [sin, cos]] of the rotation.

The shift moves the kernels by any fraction of a pixel, exactly. Rotation and scale move each pixel
differently; there the image on A's grid is interpolated by the third-order convolution kernel of
six samples (Keys, IEEE T-ASSP 29:1153-1160, 1981; Meijering et al., IEEE TIP 8:192-201, 1999).
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from fociscope.configuration import Configuration, changed
from fociscope.errors import ImagerError

__all__ = ["Registration", "Resampling"]

Micrometres = Annotated[float, Field(ge=-20_000, le=20_000)]


class Registration(Configuration):
    """Sensor B's frame in terms of sensor A's."""

    shift_um: tuple[Micrometres, Micrometres] = (0.0, 0.0)
    """(y, x) at which the middle of sensor A's frame appears on sensor B."""
    rotation_deg: Annotated[float, Field(ge=-180, le=180)] = 0.0
    """Positive turns +y towards +x."""
    scale: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """Above 1, sensor B shows the tissue larger, on more pixels."""

    @property
    def turned(self) -> bool:
        """Whether pixels move differently from one another."""
        return self.rotation_deg != 0 or self.scale != 1

    def to_b(self, y_um: float, x_um: float) -> tuple[float, float]:
        """Return where a point in sensor A's coordinates appears on sensor B."""
        turn = math.radians(self.rotation_deg)
        c, s = math.cos(turn) * self.scale, math.sin(turn) * self.scale
        return c * y_um - s * x_um + self.shift_um[0], s * y_um + c * x_um + self.shift_um[1]

    def about(self, y_um: float, x_um: float) -> Registration:
        """Return the same registration in coordinates that begin at a point, on both sensors.

        With the point at c, p_B - c = scale * R (p_A - c) + shift', so that
        shift' = shift + (scale * R - 1) c.

        Raises:
            ImagerError: sensor B lies farther off there than a registration may say.
        """
        if not self.turned:
            return self
        y_on_b_um, x_on_b_um = self.to_b(y_um, x_um)
        shift_um = (y_on_b_um - y_um, x_on_b_um - x_um)
        return changed(self, {"shift_um": shift_um}, what="registration", error=ImagerError)

    def shift_in_a_um(self) -> tuple[float, float] | None:
        """Return the shift, turned and scaled back to sensor A's axes; None for no shift."""
        if self.shift_um == (0.0, 0.0):
            return None
        turn = math.radians(self.rotation_deg)
        c, s = math.cos(turn) / self.scale, math.sin(turn) / self.scale
        y, x = self.shift_um
        return c * y + s * x, -s * y + c * x

    def margin_px(self, frame_px: tuple[int, int]) -> int:
        """Return how far beyond sensor A's frame its image is needed for sensor B's."""
        if not self.turned:
            return 0
        turn = math.radians(self.rotation_deg)
        height, width = ((n - 1) / 2 for n in frame_px)
        c, s = abs(math.cos(turn)) / self.scale, abs(math.sin(turn)) / self.scale
        beyond = max(c * height + s * width - height, s * height + c * width - width)
        return max(0, math.ceil(beyond)) + TAPS // 2


#: Samples that the interpolation takes from along each axis.
TAPS = 6


def _tap_weights(fraction: Tensor) -> Tensor:
    """Return (..., TAPS): the weights of the samples at -2 ... 3 for a position in 0 ... 1."""
    t = (fraction[..., None] - torch.arange(-2, 4, device=fraction.device)).abs()
    near = (4 / 3 * t - 7 / 3) * t**2 + 1
    middle = ((-7 / 12 * t + 3) * t - 59 / 12) * t + 5 / 2
    far = ((t / 12 - 2 / 3) * t + 7 / 4) * t - 3 / 2
    return torch.where(t < 1, near, torch.where(t < 2, middle, far))


class Resampling(NamedTuple):
    """Takes an image on sensor A's grid, with a margin, to sensor B's turned and scaled grid."""

    corner: Tensor
    """(y * x) flat index of the first sample that a pixel takes from."""
    weight_y: Tensor
    """(y * x, TAPS)."""
    weight_x: Tensor
    frame_px: tuple[int, int]
    wide_px: tuple[int, int]

    @classmethod
    def of(
        cls, registration: Registration, frame_px: tuple[int, int], beside: Tensor
    ) -> Resampling:
        """Return the resampling of a frame, on the device and in the precision of `beside`."""
        margin = registration.margin_px(frame_px)
        height, width = frame_px
        turn = math.radians(registration.rotation_deg)
        c, s = math.cos(turn) / registration.scale, math.sin(turn) / registration.scale
        y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
        x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
        wide = height + 2 * margin, width + 2 * margin
        in_a = (c * y + s * x + (wide[0] - 1) / 2, -s * y + c * x + (wide[1] - 1) / 2)
        whole = [torch.floor(p) for p in in_a]
        weights = [
            _tap_weights((p - w).reshape(-1)).to(beside) / registration.scale
            for p, w in zip(in_a, whole, strict=True)
        ]  # a pixel of B covers 1 / scale^2 of a pixel of A
        corner = (whole[0] - 2) * wide[1] + whole[1] - 2
        corner = corner.reshape(-1).to(torch.int64).to(beside.device)
        return cls(corner, weights[0], weights[1], frame_px, wide)

    def __call__(self, wide: Tensor) -> Tensor:
        """Return (..., y, x) on sensor B's grid from (..., wide y, wide x) on sensor A's."""
        flat = wide.flatten(-2)
        out = torch.zeros_like(flat[..., : len(self.corner)])
        for step, weight in self._taps():
            out = out + flat.index_select(-1, self.corner + step) * weight
        return out.reshape(*out.shape[:-1], *self.frame_px)

    def adjoint(self, image: Tensor) -> Tensor:
        """Return the adjoint: (..., y, x) -> (..., wide y, wide x)."""
        flat = image.flatten(-2)
        out = flat.new_zeros(*flat.shape[:-1], self.wide_px[0] * self.wide_px[1])
        for step, weight in self._taps():
            out = out.index_add(-1, self.corner + step, flat * weight)
        return out.reshape(*out.shape[:-1], *self.wide_px)

    def _taps(self) -> list[tuple[int, Tensor]]:
        """Return the step from the first sample, and the weight of each pixel, for each tap."""
        return [
            (i * self.wide_px[1] + j, self.weight_y[:, i] * self.weight_x[:, j])
            for i in range(TAPS)
            for j in range(TAPS)
        ]
