"""Noise read from the residuals of a fit, outliers, and pixels cut off at the top of their range.

The noise of a sensor is not known beforehand; a file rarely says where its converter ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fociscope.typing import BoolArray, Float64Array, IndexArray

__all__ = [
    "MAD_TO_STD",
    "OUTLIER_STD",
    "first_guess",
    "from_residuals",
    "robust_std",
    "saturated",
]


OUTLIER_STD = 6.0
"""Residuals beyond so many standard deviations of the noise are left out: hot pixels, dust."""
CLIP_STD = 4.0
"""The same for the noise in the dark: of normal noise it leaves out nothing to speak of."""
LEAST_KEPT = 0.5
"""Pixels whose noise the fit takes up by more than the rest of this tell little about it."""
MAD_TO_STD = 1.4826  # of a normal distribution
FLAT_PIXELS = 3
"""So many pixels at the very maximum, side by side, are no chance."""
PILED_UP = 3
"""So many pixels of a converter's numbers at the very maximum, and hardly any just below it,
are a pile-up: wherever the top of the range lies, moved to the left or less a black level."""
_JUST_BELOW_STD = 3.0
_BITS = (8, 10, 12, 14, 16)
FULL_SCALES = tuple(float((2**bits - 1) << left) for bits in _BITS for left in range(17 - bits))
"""Tops of converters of so many bits, in 16 bits moved to the left by some or none."""


def robust_std(values: Float64Array) -> float:
    """Return a standard deviation that a few outliers do not change: from the median deviation."""
    if values.size == 0:
        return 0.0
    return float(MAD_TO_STD * np.median(np.abs(values - np.median(values))))


def first_guess(data: Float64Array, used: BoolArray, plane: IndexArray) -> Float64Array:
    """Return (plane,) the spread of each plane's dimmer half.

    Args:
        data: (block, pixel).
        used: (block, pixel).
        plane: (block,).
    """
    std = np.empty(int(plane.max()) + 1)
    for number in range(std.size):
        values = data[plane == number][used[plane == number]]
        middle = np.median(values) if values.size else 0.0
        below = values[values < middle]  # of a normal distribution one half tells the width
        std[number] = MAD_TO_STD * np.median(middle - below) if below.size else 0.0
    return _at_least_something(std)


def from_residuals(
    residual: Float64Array,
    light: Float64Array,
    used: BoolArray,
    leverage: Float64Array,
    plane: IndexArray,
    sensor: IndexArray,
    shape: tuple[int, int],
) -> Float64Array:
    """Return (block, pixel) the standard deviation of the noise.

    It is read from how four neighbouring pixels differ crosswise, a - b - c + d: what a wrong model
    leaves over is smooth and drops out, so that it is not taken for noise.

    Args:
        residual: (block, pixel) data minus model.
        light: (block, pixel) fitted, above the background.
        used: (block, pixel).
        leverage: (block, pixel) how far the fit bends toward each pixel, which leaves less over.
        plane: (block,), each with a noise in the dark of its own.
        sensor: (block,), each with a shot noise of its own.
        shape: (y, x) of a block's pixels.
    """

    def four(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
        v = values.reshape(-1, *shape)
        every = v[:, :-1, :-1], v[:, :-1, 1:], v[:, 1:, :-1], v[:, 1:, 1:]
        return tuple(part.reshape(len(v), -1) for part in every)

    a, b, c, d = four(residual)
    across = np.asarray(a - b - c + d) / 2  # has the variance of one pixel
    whole = np.logical_and.reduce(four(used))
    level, kept = (np.mean(four(v), axis=0) for v in (np.clip(light, 0, None), 1 - leverage))
    dark = np.empty(int(plane.max()) + 1)
    for number in range(dark.size):
        here = (plane == number)[:, None] & whole
        dim = here & (level <= (np.median(level[here]) if here.any() else 0.0))
        dark[number] = _clipped_std(across[dim])
    base = _at_least_something(dark)[plane, None]
    squared = (across / base) ** 2
    std = np.broadcast_to(base, light.shape).copy()
    for number in np.unique(sensor):
        rows = sensor == number
        fair = whole[rows] & (kept[rows] > LEAST_KEPT)
        slope = _slope(squared[rows], level[rows] / base[rows], fair, kept[rows])
        std[rows] = base[rows] * np.sqrt(1 + slope * np.clip(light[rows], 0, None) / base[rows])
    return std


def saturated(planes: Float64Array, saturation_counts: float | None) -> BoolArray:
    """Return which pixels of a sensor's stack are saturated.

    Without `saturation_counts` the very maximum of the stack counts as saturation where several
    pixels share it and hardly any stand just below it (a pile-up, at any full scale), or they lie
    side by side or in successive planes; two are enough at the full scale of a converter.

    Args:
        planes: (depth, y, x) counts; minus infinity where a pixel does not count.
        saturation_counts: from where on a pixel is saturated, if that is known.
    """
    if saturation_counts is not None:
        return np.asarray(planes >= saturation_counts)
    top = float(planes.max())
    at_top = np.asarray(planes == top)
    runs, _ = ndimage.label(at_top)
    flat = int(np.bincount(runs.ravel())[1:].max()) >= FLAT_PIXELS
    return at_top if flat or _is_piled_up(planes, at_top) else np.zeros_like(at_top)


def _is_piled_up(planes: Float64Array, at_top: BoolArray) -> bool:
    """Whether a converter's numbers, scaled or not, gather at the maximum, and not just below it.

    Without noise, pixels may be alike that are not saturated.
    """
    values = planes[np.isfinite(planes)]
    top, count = float(values.max()), int(at_top.sum())
    if count < (2 if top in FULL_SCALES else PILED_UP):
        return False
    below = top - values
    steps = below[below > 0]
    dark = robust_std(values[values <= np.median(values)])
    if not dark > 0 and not (below == np.round(below)).all():
        return False
    near = max(_JUST_BELOW_STD * dark, float(steps.min()) if steps.size else 0.0)
    return int((steps <= near).sum()) < count / 2


def _clipped_std(values: Float64Array) -> float:
    """Return the root mean square without outliers; a median would be as coarse as the counts."""
    inlier = values[np.abs(values) <= OUTLIER_STD * robust_std(values)]
    for _ in range(3):
        std = float(np.sqrt(np.mean(inlier**2))) if inlier.size else 0.0
        inlier = values[np.abs(values) <= CLIP_STD * std]
    return std


def _slope(
    squared: Float64Array, bright: Float64Array, used: BoolArray, kept: Float64Array
) -> float:
    """Return k of squared = kept (1 + k bright), by weighted least squares without outliers."""
    slope = 0.0
    for _ in range(5):
        inlier = used & (squared <= OUTLIER_STD**2 * (1 + max(slope, 1.0) * bright))
        weight = inlier / (1 + slope * bright) ** 2
        bottom = float((weight * (kept * bright) ** 2).sum())
        top = float((weight * kept * bright * (squared - kept)).sum())
        slope = max(0.0, top / bottom) if bottom > 0 else 0.0
    return slope


def _at_least_something(std: Float64Array) -> Float64Array:
    """Give planes without any noise that of the noisiest, for weights to stay finite."""
    most = float(std.max())
    return np.where(std > 0, std, most if most > 0 else 1e-12)
