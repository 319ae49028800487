r"""Spectra of ordinary captures of tissue, and what they say of a chip, whatever the tissue.

A layer at depth $z$ reaches sensor A through the blur $H_z(k)$ and sensor B through $H_{g-z}(k)$,
so that the power of A, the power of B and their cross power are

$$ S_{AA} = \sum_l H_{z_l}^2 P_l, \quad S_{BB} = \sum_l H_{g-z_l}^2 P_l, \quad
   S_{AB} = \sum_l H_{z_l} H_{g-z_l} P_l, $$

with the power $P_l$ of the layer. The blurs of one layer add up over the gap: where layers lie near
a sensor, the other one sees them at their widest, and the coherence falls with the frequency as the
width of the PSF says. `spectrum_features` describes these three by their bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter

from fociscope.calibration._psf_fit import Estimate
from fociscope.imager.registration import Similarity
from fociscope.typing import Float64Array

__all__ = [
    "TILE_PX",
    "CaptureSpectra",
    "capture_spectra",
    "gain_of_b",
    "hann",
    "moved_back",
    "spectrum_features",
    "splines_of",
]

TILE_PX = 51
"""Side of the tiles whose spectra are taken: those of the reference imager's frame."""
GRID = 128
"""Samples of the Fourier grid along an axis."""
RINGS = 26
"""Rings of one cycle per tile each, up to half a cycle per pixel."""
BANDS = (0, 1, 2, 3, 5, 7, 10, 14, 19, 26)
"""First ring of each band, and the end of the last one."""
REFERENCE_BANDS = slice(1, 3)
"""Bands whose mean power other powers are compared with."""
LARGEST_COHERENCE = 0.93
LARGEST_SHAPE = 10.0
"""Skewness beyond which a capture counts as this skew."""
MAD_TO_STD = 1.4826
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class CaptureSpectra:
    """Mean power in rings of spatial frequency, for each tile of each capture.

    Attributes:
        power: (tile, 3, ring) power of A, of B, and real part of their cross power.
        shape: (tile, 2, sensor) skewness and excess kurtosis of the pixels.
        capture: (tile,) number of the capture.
    """

    power: Float64Array
    shape: Float64Array
    capture: np.ndarray

    def of(self, captures: np.ndarray) -> CaptureSpectra:
        """Return the spectra of captures by their numbers, which may repeat."""
        at = np.concatenate([np.flatnonzero(self.capture == one) for one in captures])
        return CaptureSpectra(self.power[at], self.shape[at], self.capture[at])


def capture_spectra(
    captures: Float64Array, registration: Similarity, pitch_um: float
) -> CaptureSpectra:
    """Return the spectra of captures, tile by tile.

    Args:
        captures: (capture, 2, y, x) light of sensors A and B, with frames of at least 51 pixels.
        registration: Where sensor A's frame appears on B.
        pitch_um: Side of a pixel.
    """
    on_a = moved_back(splines_of(captures[:, 1]), registration, pitch_um)
    powers, shapes, numbers = [], [], []
    for y in _tile_starts(captures.shape[2]):
        for x in _tile_starts(captures.shape[3]):
            at = (slice(None), slice(y, y + TILE_PX), slice(x, x + TILE_PX))
            a, b = captures[:, 0][at], on_a[at]
            of_a, of_b = _spectrum(a), _spectrum(b)
            power = [np.abs(of_a) ** 2, np.abs(of_b) ** 2, (of_a.conj() * of_b).real]
            powers.append(np.stack([_ring_mean(one) for one in power], axis=1))
            shapes.append(np.stack([_skewness_and_kurtosis(one) for one in (a, b)], axis=2))
            numbers.append(np.arange(len(captures)))
    return CaptureSpectra(np.concatenate(powers), np.concatenate(shapes), np.concatenate(numbers))


def spectrum_features(spectra: CaptureSpectra) -> Float64Array:
    """Return (feature,) what describes the spectra of one chip, in any unit of light.

    Each tile gives, by bands: the power of the sharper and of the blurrier sensor, how they differ,
    and their coherence; and the skewness and kurtosis of both. Their mean, their standard deviation
    and their quantiles over the tiles are the features.
    """
    band = np.stack(
        [spectra.power[:, :, i:j].mean(axis=2) for i, j in pairwise(BANDS)],
        axis=2,
    )
    a, b = (np.maximum(band[:, n], 1e-30) for n in (0, 1))
    unit = np.log(np.sqrt(a * b)[:, REFERENCE_BANDS].mean(axis=1))[:, None]
    log_a, log_b = np.log(a) - unit, np.log(b) - unit
    coherence = np.clip(band[:, 2] / np.sqrt(a * b), -0.99, LARGEST_COHERENCE)
    shape = np.sort(spectra.shape, axis=2)
    parts = [
        np.maximum(log_a, log_b),
        np.minimum(log_a, log_b),
        np.arctanh(coherence),
        np.abs(log_a - log_b),
        np.clip(shape[:, 0], -LARGEST_SHAPE, LARGEST_SHAPE),
        np.clip(np.log1p(np.abs(shape[:, 1])), 0, LARGEST_SHAPE),
    ]
    each = np.concatenate(parts, axis=1)
    quantiles = np.quantile(each, QUANTILES, axis=0)
    return np.concatenate([each.mean(axis=0), each.std(axis=0), quantiles.ravel()])


def gain_of_b(captures: Float64Array) -> Estimate:
    """Return sensor B's gain over A's, by the light that varies most slowly over the frame.

    Blur takes least of it, and over many captures as much from A as from B. A level below the light
    has no part in it.

    Args:
        captures: (capture, 2, y, x) light of both sensors.
    """
    height, width = captures.shape[2:]
    taper = hann(height, width)
    mean = (captures * taper).sum(axis=(2, 3), keepdims=True) / taper.sum()
    power = np.abs(np.fft.fft2((captures - mean) * taper)) ** 2
    slow = power[:, :, 0, 1] + power[:, :, 1, 0] + power[:, :, 1, 1] + power[:, :, 1, -1]
    ratio = np.log(np.maximum(slow[:, 1], 1e-30) / np.maximum(slow[:, 0], 1e-30)) / 2
    middle = float(np.median(ratio))
    spread = MAD_TO_STD * float(np.median(np.abs(ratio - middle)))
    # The median of n normal numbers scatters 1.25 times as much as their mean.
    gain = float(np.exp(middle))
    return Estimate(gain, 1.25 * gain * spread / float(np.sqrt(len(ratio))), "1")


def splines_of(images: Float64Array) -> Float64Array:
    """Return (image, y, x) the cubic splines of images, for `moved_back`."""
    return np.stack([spline_filter(one) for one in images])


def moved_back(splines: Float64Array, registration: Similarity, pitch_um: float) -> Float64Array:
    """Return sensor B's images (image, y, x) as sensor A's pixels would see them; edges repeat.

    Args:
        splines: `splines_of` B's images.
        registration: Where sensor A's frame appears on B.
        pitch_um: Side of a pixel.
    """
    height, width = splines.shape[1:]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    down, right = registration.rotated(y, x)
    at = [
        down + registration.shift_um[0] / pitch_um + (height - 1) / 2,
        right + registration.shift_um[1] / pitch_um + (width - 1) / 2,
    ]
    return np.stack(
        [map_coordinates(one, at, order=3, prefilter=False, mode="nearest") for one in splines]
    )


def hann(height: int, width: int) -> Float64Array:
    """Return (y, x) a taper that is 1 in the middle and falls to 0 at the edges."""
    sides = [np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in (height, width)]
    return np.outer(*sides)


def _tile_starts(side: int) -> list[int]:
    """Return where tiles begin that lie side by side, as many as fit, around the middle."""
    count = side // TILE_PX
    first = (side - count * TILE_PX) // 2
    return [first + n * TILE_PX for n in range(count)]


def _spectrum(images: Float64Array) -> np.ndarray:
    """Return (image, ky, kx) the Fourier transform of tapered images (image, y, x)."""
    taper = hann(TILE_PX, TILE_PX)
    mean = (images * taper).sum(axis=(1, 2), keepdims=True) / taper.sum()
    tapered = (images - mean) * (taper / np.sqrt((taper**2).sum()))
    return np.asarray(np.fft.fft2(tapered, (GRID, GRID)))


def _ring_mean(power: Float64Array) -> Float64Array:
    """Return (image, ring) the mean of (image, ky, kx) over rings 1 to RINGS cycles per tile."""
    cycles = np.fft.fftfreq(GRID) * TILE_PX
    ring = np.round(np.hypot(cycles[:, None], cycles[None, :])).astype(int).ravel()
    ring[ring > RINGS] = 0
    count = np.bincount(ring, minlength=RINGS + 1)[1:]
    sums = [np.bincount(ring, one.ravel(), RINGS + 1)[1:] for one in power]
    return np.stack(sums) / count


def _skewness_and_kurtosis(images: Float64Array) -> Float64Array:
    """Return (image, 2) the skewness and the excess kurtosis of images (image, y, x)."""
    pixels = images.reshape(len(images), -1)
    pixels = pixels - pixels.mean(axis=1, keepdims=True)
    std = np.maximum(pixels.std(axis=1), 1e-30)
    skewness = (pixels**3).mean(axis=1) / std**3
    return np.stack([skewness, (pixels**4).mean(axis=1) / std**4 - 3], axis=1)
