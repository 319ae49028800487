"""The check of the imager: what a model was not trained for is refused or warned of, in words."""

from __future__ import annotations

import warnings
from functools import lru_cache

from fociscope.errors import FociscopeWarning, ImagerError
from fociscope.imager.geometry import Imager
from fociscope.networks.optics import DISTANCE_SHARES, ENERGIES, optics_features
from fociscope.networks.reprojection import depth_bounds_um
from fociscope.networks.store import ModelInfo
from fociscope.reconstruction.alignment import share_seen_by_both

__all__ = ["check_imager"]

#: Of a feature, in octaves of the blur's width; what the table of a family leaves open.
TOLERANCE = 0.02
#: Less of the frame than this, and the edge that is repeated beyond sensor B's frame rules.
LEAST_SEEN_BY_BOTH = 0.9


def check_imager(imager: Imager, info: ModelInfo) -> list[str]:
    """Warn of an imager unlike those that a model was trained for.

    Pitch, gap and PSF may be any whose blur, in pixels, lies within what training covered.

    Returns:
        What was warned of, in words.

    Raises:
        ImagerError: another number of sensors, or a PSF that is known for no depth at all.
    """
    if imager.sensors != info.imager.sensors:
        raise ImagerError(
            f"{info.name} takes {info.imager.sensors} sensor(s); the imager {imager.name!r} has "
            f"{imager.sensors}"
        )
    low_um, high_um = depth_bounds_um(imager)
    if not low_um < high_um:
        least, most = imager.psf.depth_range_um
        raise ImagerError(
            f"the PSF of the imager {imager.name!r} is known {least:g} to {most:g} um from a "
            f"sensor, so for no layer within the gap of {imager.gap_um:g} um; calibrate it deeper"
        )
    found = [*_unlike(imager, info), *_apart(imager)]
    for problem in found:
        warnings.warn(f"{problem}; expect worse maps and depths", FociscopeWarning, stacklevel=3)
    return found


def _half_light_px(imager: Imager, share: float) -> float:
    """Return the radius of the circle with half of the light, at a share of the gap."""
    least, most = imager.psf.depth_range_um
    distance_um = min(max(share * imager.gap_um, least), most)
    return imager.psf.energy_radius_um(distance_um, ENERGIES[0]) / imager.pixel_pitch_um


@lru_cache(maxsize=8)
def _corners(info: ModelInfo) -> tuple[Imager, Imager]:
    """Return the imagers of the family with the least blur and with the most."""
    pitch_um = info.imager.pixel_pitch_um
    least, most = (
        info.imager.with_(psf=info.imager.psf.with_(half_angle_deg=a, base_blur_um=b * pitch_um))
        for a, b in zip(info.half_angle_deg, info.base_blur_px, strict=True)
    )
    return least, most


def _unlike(imager: Imager, info: ModelInfo) -> list[str]:
    """Say where the blur lies farthest outside the family; nothing if it does not."""
    least, most = _corners(info)
    found = optics_features(imager)
    below, above = optics_features(least) - found, found - optics_features(most)
    outside = below.maximum(above).reshape(len(DISTANCE_SHARES), len(ENERGIES)).amax(dim=1)
    worst = int(outside.argmax())
    if float(outside[worst]) <= TOLERANCE:
        return []
    share = DISTANCE_SHARES[worst]
    has, low, high = (_half_light_px(i, share) for i in (imager, least, most))
    return [
        f"the imager's blur {share * imager.gap_um:.0f} um from a sensor, {has:.2g} pixels to half "
        f"of the light, lies outside the {low:.2g} to {high:.2g} pixels that {info.name} was "
        "trained for"
    ]


def _apart(imager: Imager) -> list[str]:
    if imager.sensors < 2:
        return []
    share = share_seen_by_both(
        imager.registration, imager.frame_px, pixel_pitch_um=imager.pixel_pitch_um
    )
    if share >= LEAST_SEEN_BY_BOTH:
        return []
    return [f"sensor B sees {100 * share:.0f} % of what sensor A sees"]
