"""The check at the door: a capture is what a model can reconstruct, or it is refused in words."""

from __future__ import annotations

import torch
from torch import Tensor

from fociscope.errors import CaptureError
from fociscope.networks.layer_net import SMALLEST_FRAME_PX

__all__ = ["check_captures", "light_unit"]

#: Brighter pixels leave too little room below the largest float32 for sums and restored light.
LARGEST = 1e35
#: Of a float32: its exponent.
_EXPONENT_BITS = 0x7F800000


def light_unit(peak: Tensor) -> Tensor:
    """Return the powers of two next below peaks: units in which squares of light have room.

    Division by them costs no digit, so that nothing computed in them differs from what it would be
    in the captures' own unit, unless it would overflow or vanish there.

    Args:
        peak: (...) float32, the greatest values of images with light.
    """
    unit = (peak.view(torch.int32) & _EXPONENT_BITS).view(torch.float32)
    return unit.clamp(min=torch.finfo(torch.float32).tiny)


def _where(flags: Tensor) -> str:
    """Name the first flagged sensor image of (..., sensor) flags."""
    *index, sensor = (int(i) for i in torch.nonzero(flags)[0])
    frame = f", frame {index[0] if len(index) == 1 else tuple(index)}" if index else ""
    return f"sensor {'AB'[sensor] if sensor < 2 else sensor}{frame}"


def check_captures(captures: Tensor, *, sensors: int) -> None:
    """Refuse what is no capture of `sensors` sensors.

    Args:
        captures: (..., sensor, y, x).
        sensors: how many the model was trained for.

    Raises:
        CaptureError: too few axes, another number of sensors, frames too small, NaN or infinity,
            values beyond `LARGEST`, an image without light or without any contrast.
    """
    shape = tuple(captures.shape)
    if captures.ndim < 3:
        raise CaptureError(f"captures need the axes (..., sensor, y, x); got the shape {shape}")
    if captures.numel() == 0:
        raise CaptureError(f"no capture to reconstruct: the shape is {shape}")
    if shape[-3] != sensors:
        expected = "sensor A and sensor B" if sensors == 2 else "sensor A alone"
        raise CaptureError(
            f"this model takes {sensors} sensor image(s), {expected}; got {shape[-3]} "
            f"in the shape {shape}"
        )
    if min(shape[-2:]) < SMALLEST_FRAME_PX:
        raise CaptureError(
            f"frames of {shape[-2]}x{shape[-1]} pixels are too small; at least "
            f"{SMALLEST_FRAME_PX}x{SMALLEST_FRAME_PX} are needed to tell a depth from its blur"
        )
    finite = torch.isfinite(captures).all(dim=-1).all(dim=-1)
    if not bool(finite.all()):
        raise CaptureError(
            f"{_where(~finite)} holds NaN or infinity; replace such pixels beforehand"
        )
    top, bottom = captures.amax(dim=(-2, -1)), captures.amin(dim=(-2, -1))
    large = torch.maximum(top, -bottom) > LARGEST
    if bool(large.any()):
        raise CaptureError(
            f"{_where(large)} holds values beyond {LARGEST:g}; give the captures in a larger unit "
            "of light, or name such pixels as bad"
        )
    dark = (captures / light_unit(top)[..., None, None]).mean(dim=(-2, -1)) <= 0
    if bool(dark.any()):
        raise CaptureError(
            f"{_where(dark)} holds no light (its mean is not above 0); is it the right file, "
            "and was too much background subtracted?"
        )
    flat = top == bottom
    if bool(flat.any()):
        raise CaptureError(f"{_where(flat)} has the same value in every pixel")
