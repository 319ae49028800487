"""Which spots of a stack are point emitters that a PSF can be read from, and which are not.

Spots are found where they are sharpest, in the plane nearest to the sensor. Each is seen through a
window as wide as its light spreads in the farthest plane; the middle of it must be the bead's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from fociscope.calibration._noise import robust_std, saturated
from fociscope.errors import CaptureError
from fociscope.imager.psf import Psf
from fociscope.typing import BoolArray, Float64Array

__all__ = ["Bead", "Excluded", "Spots", "check_saturation", "find_beads", "hot_pixels", "window_px"]


BEAD_WINDOW_ENERGY = 0.95
"""Share of a bead's light in the widest plane that its window holds."""
DETECTION_STD = 8.0
"""A spot stands out by so many standard deviations of the filtered noise."""
FAINTEST_BEAD = 0.02
"""Contrast, beside the brightest bead's, below which a spot is no bead."""
HARMLESS = 0.03
"""Contrast, beside a bead's own, below which a neighbour does no harm."""
CROWDED = 0.75
"""Share of the window's radius within which a bead must be the only one."""
MOST_BEADS = 16
"""The brightest so many of a sensor are fitted; more add time and little else."""
HOT_STD = 8.0
HOT_SHARE = 0.3
"""A hot pixel rises above its neighbours by this share of its own light where beads are blurred,
and by twice the share that a bead does; where that is more than the next, nothing is called hot."""
MOST_HOT_SHARE = 0.8


@dataclass(frozen=True)
class Bead:
    """A spot in the sharpest plane.

    Attributes:
        y_px: of its brightest pixel; so is `x_px`.
        contrast: its rise above its surround.
        centre_px: (y, x) of its light, within a fraction of a pixel.
    """

    y_px: int
    x_px: int
    contrast: float
    centre_px: tuple[float, float]


@dataclass(frozen=True)
class Excluded:
    """A spot that is not fitted, and why."""

    sensor: int
    y_px: int
    x_px: int
    why: str


@dataclass(frozen=True)
class Spots:
    """What was found on one sensor.

    Attributes:
        beads: to be fitted.
        excluded: not to be fitted.
        every: spot that may send light into a bead's window, the beads themselves included.
        sound: (y, x) pixels that are not hot.
    """

    beads: list[Bead]
    excluded: list[Excluded]
    every: list[Bead]
    sound: BoolArray

    def neighbours(self, bead: Bead, within_px: float) -> list[Bead]:
        """Return the spots that lie about a bead and are bright enough beside it to matter."""
        return [
            other
            for other in self.every
            if 0 < math.hypot(other.y_px - bead.y_px, other.x_px - bead.x_px) < within_px
            and other.contrast > HARMLESS * bead.contrast
        ]


def window_px(psf: Psf, distance_um: Float64Array, pixel_pitch_um: float) -> int:
    """Return the radius in pixels of the window that the light of the farthest plane needs."""
    reach_um = psf.encircled_radius_um(float(distance_um.max()), BEAD_WINDOW_ENERGY)
    return math.ceil(reach_um / pixel_pitch_um + 1.5)


def find_beads(
    planes: Float64Array,
    distance_um: Float64Array,
    *,
    psf: Psf,
    pixel_pitch_um: float,
    radius_px: int,
    sensor: int,
) -> Spots:
    """Find the emitters of one sensor's stack that a PSF can be read from.

    Args:
        planes: (depth, y, x) counts.
        distance_um: (depth,) of the emitters from this sensor.
        psf: roughly right, to know how wide spots are.
        pixel_pitch_um: side of a pixel.
        radius_px: of the window through which a bead is seen.
        sensor: 0 for A, 1 for B; for messages.

    Raises:
        CaptureError: nothing stands out of the noise, or no bead can be told from others.
    """
    sharpest = int(distance_um.argmin())
    sound = ~hot_pixels(planes, distance_um, psf=psf, pixel_pitch_um=pixel_pitch_um)
    image = np.where(sound, planes[sharpest], _neighbours_median(planes[sharpest]))
    spot_um = math.sqrt(psf.variance_um2(float(distance_um[sharpest])))
    spread_px = max(0.6, spot_um / pixel_pitch_um)
    contrast = _band_pass(image, spread_px)
    noise = robust_std(contrast)
    top = float(contrast.max())
    if top <= DETECTION_STD * noise:
        raise CaptureError(
            f"sensor {'AB'[sensor]}: no bead found: in the sharpest plane "
            f"({distance_um[sharpest]:g} µm) the brightest spot rises only "
            f"{top / max(noise, 1e-30):.1f} standard deviations above the noise, expected "
            f"at least {DETECTION_STD:g}; expose longer, average frames, or take brighter beads"
        )
    side = 2 * math.ceil(1.5 * spread_px) + 1
    peaks = contrast == ndimage.maximum_filter(contrast, size=side, mode="nearest")
    peaks &= contrast > max(DETECTION_STD * noise, HARMLESS * FAINTEST_BEAD * top)
    rows, columns = np.nonzero(peaks)
    spots = [
        Bead(int(y), int(x), float(contrast[y, x]), _centre(contrast, int(y), int(x)))
        for y, x in zip(rows, columns, strict=True)
    ]
    spots.sort(key=lambda bead: -bead.contrast)
    return _chosen(Spots([], [], spots, sound), image.shape, radius_px, sensor)


def _chosen(found: Spots, frame: tuple[int, ...], radius_px: int, sensor: int) -> Spots:
    """Keep the spots that are bright, far enough from the edge and from others."""
    beads: list[Bead] = []
    excluded: list[Excluded] = []
    spots = found.every
    # A bead at this distance from the edge still shows most of its window.
    margin = max(2, radius_px // 3)
    room = CROWDED * radius_px
    for spot in spots:
        if spot.contrast < FAINTEST_BEAD * spots[0].contrast:
            continue
        edge = min(spot.y_px, spot.x_px, frame[0] - 1 - spot.y_px, frame[1] - 1 - spot.x_px)
        why = None
        if edge < margin:
            why = f"{edge} pixels from the edge, expected at least {margin}"
        for other in found.neighbours(spot, room)[:1]:
            apart = math.hypot(spot.y_px - other.y_px, spot.x_px - other.x_px)
            why = (
                f"another bead in its window, {apart:.0f} pixels away at (y {other.y_px}, "
                f"x {other.x_px}), expected at least {room:.0f}"
            )
        if why is None and len(beads) == MOST_BEADS:
            why = f"the {MOST_BEADS} brightest suffice"
        if why is None:
            beads.append(spot)
        else:
            excluded.append(Excluded(sensor, spot.y_px, spot.x_px, why))
    if not beads:
        first = excluded[0]
        raise CaptureError(
            f"sensor {'AB'[sensor]}: none of the {len(excluded)} bead(s) can be used: at "
            f"(y {first.y_px}, x {first.x_px}): {first.why}; spread fewer beads, or leave out the "
            "farthest planes"
        )
    return replace(found, beads=beads, excluded=excluded)


def hot_pixels(
    planes: Float64Array, distance_um: Float64Array, *, psf: Psf, pixel_pitch_um: float
) -> BoolArray:
    """Return (y, x): the pixels that stay bright alone in the plane where beads are most blurred.

    Nothing is hot where even there a bead is hardly wider than a pixel.
    """
    farthest = int(distance_um.argmax())
    image = planes[farthest]
    kernel = np.asarray(psf.kernel(distance_um[farthest], pixel_pitch_um, radius_px=1))
    bead_share = 1 - float(np.median(np.delete(kernel.ravel(), 4))) / float(kernel[1, 1])
    share = max(HOT_SHARE, 2 * bead_share)
    if share > MOST_HOT_SHARE:
        return np.zeros(image.shape, dtype=np.bool_)
    excess = image - _neighbours_median(image)
    level = image - np.median(image)
    hot = (excess > HOT_STD * robust_std(excess)) & (excess > share * level)
    tops = ndimage.maximum_filter(image, size=3, mode="nearest")
    return np.asarray(hot & (excess > 0) & (image == tops))


def check_saturation(
    planes: Float64Array,
    depth_um: Float64Array,
    spots: Spots,
    *,
    sensor: int,
    saturation_counts: float | None,
) -> None:
    """Refuse a stack whose beads are cut off at the top.

    Raises:
        CaptureError: naming the first plane and pixel.
    """
    at_top = saturated(np.where(spots.sound, planes, -np.inf), saturation_counts)
    for bead in spots.beads:
        rows = slice(max(0, bead.y_px - 2), bead.y_px + 3)
        columns = slice(max(0, bead.x_px - 2), bead.x_px + 3)
        full = at_top[:, rows, columns]
        if full.any():
            plane, y, x = (int(n) for n in np.argwhere(full)[0])
            raise CaptureError(
                f"sensor {'AB'[sensor]}: the bead at (y {bead.y_px}, x {bead.x_px}) is saturated: "
                f"plane {plane + 1} ({depth_um[plane]:g} µm), pixel (y {rows.start + y}, "
                f"x {columns.start + x}) stands at {planes[plane, rows, columns][y, x]:g}; expose "
                "less, or leave this plane out"
            )


def _centre(contrast: Float64Array, y_px: int, x_px: int) -> tuple[float, float]:
    """Return the centre of the light in the 3 x 3 pixels about a peak."""
    rows = np.clip(np.arange(y_px - 1, y_px + 2), 0, contrast.shape[0] - 1)
    columns = np.clip(np.arange(x_px - 1, x_px + 2), 0, contrast.shape[1] - 1)
    light = np.clip(contrast[np.ix_(rows, columns)], 0, None)
    total = float(light.sum())
    y, x = (float((light.sum(axis=1 - n) * np.array([-1, 0, 1])).sum()) / total for n in (0, 1))
    return y_px + y, x_px + x


def _band_pass(image: Float64Array, spread_px: float) -> Float64Array:
    """Return how far each spot of about this width rises above its surround."""
    near = ndimage.gaussian_filter(image, spread_px, mode="nearest")
    far = ndimage.gaussian_filter(image, 3 * spread_px + 1, mode="nearest")
    return np.asarray(near - far)


def _neighbours_median(image: Float64Array) -> Float64Array:
    """Return the median of each pixel's eight neighbours."""
    ring = np.ones((3, 3), dtype=bool)
    ring[1, 1] = False
    return np.asarray(ndimage.median_filter(image, footprint=ring, mode="nearest"))
