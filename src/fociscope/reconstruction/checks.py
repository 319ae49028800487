"""Checks before a reconstruction: captures, the imager against the model, the pixel size."""

from __future__ import annotations

import warnings
from functools import lru_cache

import torch
from torch import Tensor

from fociscope.errors import CaptureError, FociscopeWarning, ImagerError
from fociscope.imager.geometry import Imager
from fociscope.networks.conditioning import DISTANCE_SHARES, ENERGIES, optics_features
from fociscope.networks.layer_net import SMALLEST_FRAME_PX
from fociscope.networks.reprojection import depth_bounds_um
from fociscope.networks.store import ModelInfo, usual_model
from fociscope.networks.volume_store import VolumeModelInfo
from fociscope.reconstruction._alignment import share_seen_by_both

__all__ = ["PITCH_TOLERANCE", "check_captures", "check_imager", "check_pixel_size", "light_unit"]

#: Brighter pixels leave too little room below the largest float32 for sums and restored light.
LARGEST_LIGHT = 1e35
#: Of a float32: its exponent.
_EXPONENT_BITS = 0x7F800000
#: Of a feature, in octaves of the blur's width; what the table of a family leaves open.
WIDTH_TOLERANCE = 0.02
#: Less of the frame than this, and the edge that is repeated beyond sensor B's frame rules.
LEAST_SEEN_BY_BOTH = 0.9
#: By so much, relatively, may they differ.
PITCH_TOLERANCE = 0.02


def light_unit(peak: Tensor) -> Tensor:
    """Return the powers of two next below peaks: units in which squares of light have room.

    Division by them costs no digit, so that nothing computed in them differs from what it would be
    in the captures' own unit, unless it would overflow or vanish there.

    Args:
        peak: (...) greatest values of images with light, float32.

    Returns:
        (...) powers of two.
    """
    unit = (peak.view(torch.int32) & _EXPONENT_BITS).view(torch.float32)
    return unit.clamp(min=torch.finfo(torch.float32).tiny)


def check_captures(captures: Tensor, *, sensors: int) -> None:
    """Refuse captures that no model for `sensors` sensors can reconstruct.

    Args:
        captures: (..., sensor, y, x) in any unit of light.
        sensors: Number of sensors for which the model was trained.

    Raises:
        CaptureError: If there are too few axes, another number of sensors, too few pixels, NaN or
            infinity, values beyond `LARGEST_LIGHT`, or an image without light or contrast.
    """
    shape = tuple(captures.shape)
    if captures.ndim < 3:
        raise CaptureError(f"captures need the axes (..., sensor, y, x); got the shape {shape}")
    if captures.numel() == 0:
        raise CaptureError(f"no capture to reconstruct: the shape is {shape}")
    if shape[-3] != sensors:
        expected = "sensor A and sensor B" if sensors == 2 else "sensor A alone"
        fitting = f"; {usual_model(shape[-3])} takes so many" if shape[-3] in (1, 2) else ""
        raise CaptureError(
            f"this model takes {sensors} sensor image(s), {expected}; got {shape[-3]} "
            f"in the shape {shape}{fitting}",
            fields=("model",),
            value=shape[-3],
        )
    if min(shape[-2:]) < SMALLEST_FRAME_PX:
        raise CaptureError(
            f"frames of {shape[-2]}x{shape[-1]} pixels are too small; at least "
            f"{SMALLEST_FRAME_PX}x{SMALLEST_FRAME_PX} are needed to tell a depth from its blur"
        )
    # Of an image with NaN or infinity, one of both extremes is no number either.
    bottom, top = captures.flatten(-2).aminmax(dim=-1)
    finite = torch.isfinite(top) & torch.isfinite(bottom)
    if not bool(finite.all()):
        raise CaptureError(
            f"{_where(~finite)} holds NaN or infinity; replace such pixels beforehand"
        )
    large = torch.maximum(top, -bottom) > LARGEST_LIGHT
    if bool(large.any()):
        raise CaptureError(
            f"{_where(large)} holds values beyond {LARGEST_LIGHT:g}; give the captures in a larger "
            "unit of light, or name such pixels as bad"
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


def check_imager(imager: Imager, info: ModelInfo | VolumeModelInfo) -> list[str]:
    """Warn of an imager unlike those that a model was trained for.

    Any pitch, gap and PSF will do if the blur, in pixels, lies within the range of the training.

    Args:
        imager: Instrument of the captures.
        info: Record of the model.

    Returns:
        Texts of the warnings.

    Raises:
        ImagerError: If the number of sensors differs, or if the PSF is defined for no depth within
            the gap.
    """
    if imager.sensors != info.imager.sensors:
        raise ImagerError(
            f"{info.name} takes {info.imager.sensors} sensor(s); the imager {imager.name!r} has "
            f"{imager.sensors}"
        )
    if not imager.has_plain_pixels:
        y, x = imager.pitch_um
        raise ImagerError(
            f"{info.name} was trained on square pixels that are sensitive all over; the imager "
            f"{imager.name!r} has pixels of {y:g} x {x:g} µm (y, x) or a sensitive rectangle: "
            "locate finds point emitters on such chips, and the solvers fista, richardson-lucy and "
            "tikhonov reconstruct layers"
        )
    low_um, high_um = depth_bounds_um(imager)
    if not low_um < high_um:
        least, most = imager.psf.depth_range_um
        raise ImagerError(
            f"the PSF of the imager {imager.name!r} is known {least:g} to {most:g} µm from a "
            f"sensor, so for no layer within the gap of {imager.gap_um:g} µm; calibrate it deeper"
        )
    found = [*_unlike(imager, info), *_apart(imager)]
    for problem in found:
        warnings.warn(f"{problem}; expect worse maps and depths", FociscopeWarning, stacklevel=3)
    return found


def check_pixel_size(pixel_size_um: float | None, imager: Imager) -> None:
    """Warn where the files state another pixel size than the imager has.

    It is no error: programs write sizes of their own, such as that of a screen's pixel.

    Args:
        pixel_size_um: as the files state it; None where none does.
        imager: that the captures are taken for.
    """
    if pixel_size_um is None or any(
        abs(pixel_size_um / pitch_um - 1) <= PITCH_TOLERANCE for pitch_um in imager.pitch_um
    ):
        return
    pitch = " x ".join(f"{pitch_um:g}" for pitch_um in dict.fromkeys(imager.pitch_um))
    warning = FociscopeWarning(
        f"the files state pixels of {pixel_size_um:g} µm, but those of the imager {imager.name!r} "
        f"have {pitch} µm, which all depths and sizes are worked out with; give the imager "
        "that took them, or correct the files",
        fields=("imager",),
    )
    warnings.warn(warning, stacklevel=2)


def _where(flags: Tensor) -> str:
    """Name the first flagged sensor image of (..., sensor) flags."""
    *index, sensor = (int(i) for i in torch.nonzero(flags)[0])
    frame = f", frame {index[0] if len(index) == 1 else tuple(index)}" if index else ""
    return f"sensor {'AB'[sensor] if sensor < 2 else sensor}{frame}"


def _half_light_px(imager: Imager, share: float) -> float:
    """Return the radius of the circle with half of the light, at a share of the gap."""
    least, most = imager.psf.depth_range_um
    distance_um = min(max(share * imager.gap_um, least), most)
    return imager.psf.encircled_radius_um(distance_um, ENERGIES[0]) / imager.square_pitch_um


@lru_cache(maxsize=8)
def _corners(info: ModelInfo | VolumeModelInfo) -> tuple[Imager, Imager]:
    """Return the imagers of the family with the least blur and with the most."""
    pitch_um = info.imager.square_pitch_um
    least, most = (
        info.imager.with_(psf=info.imager.psf.with_(half_angle_deg=a, base_blur_um=b * pitch_um))
        for a, b in zip(info.half_angle_deg, info.base_blur_px, strict=True)
    )
    return least, most


def _unlike(imager: Imager, info: ModelInfo | VolumeModelInfo) -> list[str]:
    """Say where the blur lies farthest outside the family; nothing if it does not."""
    least, most = _corners(info)
    found = optics_features(imager)
    below, above = optics_features(least) - found, found - optics_features(most)
    outside = below.maximum(above).reshape(len(DISTANCE_SHARES), len(ENERGIES)).amax(dim=1)
    worst = int(outside.argmax())
    if float(outside[worst]) <= WIDTH_TOLERANCE:
        return []
    share = DISTANCE_SHARES[worst]
    has, low, high = (_half_light_px(i, share) for i in (imager, least, most))
    return [
        f"the imager's blur {share * imager.gap_um:.0f} µm from a sensor, {has:.2g} pixels to half "
        f"of the light, lies outside the {low:.2g} to {high:.2g} pixels that {info.name} was "
        "trained for"
    ]


def _apart(imager: Imager) -> list[str]:
    if imager.sensors < 2:
        return []
    share = share_seen_by_both(
        imager.registration, imager.frame_px, pixel_pitch_um=imager.square_pitch_um
    )
    if share >= LEAST_SEEN_BY_BOTH:
        return []
    return [f"sensor B sees {100 * share:.0f} % of what sensor A sees"]
