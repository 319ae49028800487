"""What differs from pixel to pixel, and the level below the light, from ordinary captures.

Tissue changes from capture to capture, the chip does not. Each pixel is compared with the mean of
its four neighbours over all captures by a line: its slope is the pixel's gain over theirs, its
intercept the pixel's own offset. A dead pixel has no slope, a hot one a large intercept. Near cells
light is not smooth, which the scatter about the line holds, so what the captures leave open is
known pixel by pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from fociscope.calibration._psf_fit import Estimate
from fociscope.typing import BoolArray, Float64Array

__all__ = ["PixelStatistics", "background_level", "filled_captures", "pixel_statistics"]

MAD_TO_STD = 1.4826
CERTAIN = 8.0
"""Standard deviations by which a hot pixel stands out."""
DEAD_SLOPE = 0.3
"""A pixel that follows its neighbours by less than this, surely, is dead."""
DEAD_CHANGE = 0.15
"""And one that changes by less than this share of what they do."""
LEAST_LIGHT_SHARE = 0.02
"""Of a frame's mean change from capture to capture, below which a pixel saw too little to judge."""
HOT_SHARE = 0.2
"""Of the mean light, that a hot pixel's intercept exceeds."""
DARK_SIDE_PX = 3
ROUNDS = 5
"""Of the line through the darkest places, outliers given less weight in each."""


@dataclass(frozen=True)
class PixelStatistics:
    """Gain and offset of each pixel over its neighbours, and the pixels that are no use.

    Attributes:
        gain: (sensor, y, x) slope; 1 for a pixel like its neighbours.
        gain_std: (sensor, y, x) its standard deviation.
        offset: (sensor, y, x) intercept in the captures' units.
        offset_std: (sensor, y, x) its standard deviation.
        dead: (sensor, y, x) pixels that do not respond.
        hot: (sensor, y, x) pixels that stand out in the dark.
        gain_halves: (2, sensor, y, x) slopes of the even and of the odd captures.
        offset_halves: (2, sensor, y, x) intercepts of the same.
    """

    gain: Float64Array
    gain_std: Float64Array
    offset: Float64Array
    offset_std: Float64Array
    dead: BoolArray
    hot: BoolArray
    gain_halves: Float64Array
    offset_halves: Float64Array

    @property
    def bad(self) -> BoolArray:
        """(sensor, y, x) pixels to fill."""
        return self.dead | self.hot

    def spread(self, sensor: int, what: str) -> Estimate:
        """Return by how much "gain" or "offset" differs between good pixels.

        Each half of the captures shows the pixels' own differences, and another scatter of tissue:
        what both agree on is the chip's. Pixels at the edges, where light falls off, are left out.
        The value is 0, and the deviation a bound, where the halves do not agree.
        """
        unit = "1" if what == "gain" else "counts"
        good = ~self.bad[sensor]
        good[[0, 1, -2, -1]] = False
        good[:, [0, 1, -2, -1]] = False
        halves = getattr(self, f"{what}_halves")[:, sensor][:, good]
        if halves.shape[1] < 10:
            return Estimate(0.0, float("inf"), unit)
        middle = np.median(halves, axis=1, keepdims=True)
        scale = MAD_TO_STD * np.median(np.abs(halves - middle), axis=1, keepdims=True)
        off = np.clip(halves - middle, -4 * scale, 4 * scale)
        product = off[0] * off[1]
        # A pixel is compared with the mean of four: its own variance is 1 / (1 + 1/4) of that.
        square = float(product.mean()) / 1.25
        square_std = float(product.std()) / 1.25 / product.size**0.5
        value = max(square, 0.0) ** 0.5
        return Estimate(value, min(square_std / (2 * value + 1e-30), square_std**0.5), unit)


def pixel_statistics(captures: Float64Array) -> PixelStatistics:
    """Compare each pixel with its neighbours over captures (capture, sensor, y, x)."""
    around = _neighbours(captures)
    gain, gain_std, offset, offset_std = _lines(captures, around)
    halves = [_lines(captures[n::2], around[n::2]) for n in (0, 1)]
    mean, mean_around = captures.mean(axis=0), around.mean(axis=0)
    enough = np.isfinite(gain_std)
    own_std, std_around = captures.std(axis=0), around.std(axis=0)
    dead = enough & (gain + 4 * gain_std < DEAD_SLOPE + 0.2) & (gain < DEAD_SLOPE)
    dead &= (own_std < DEAD_CHANGE * std_around) & (mean < mean_around)
    jump = mean - _neighbours(mean[None])[0]
    scale = MAD_TO_STD * np.median(np.abs(jump), axis=(1, 2), keepdims=True)
    lowest = np.quantile(captures - around, 0.1, axis=0)
    hot = (jump > CERTAIN * scale) & (lowest > HOT_SHARE * mean.mean(axis=(1, 2), keepdims=True))
    gain_halves, offset_halves = (np.stack([half[n] for half in halves]) for n in (0, 2))
    return PixelStatistics(
        gain, gain_std, offset, offset_std, dead, hot & ~dead, gain_halves, offset_halves
    )


def _lines(
    captures: Float64Array, around: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Return slopes and intercepts of pixels over their neighbours, each with its deviation."""
    mean, mean_around = captures.mean(axis=0), around.mean(axis=0)
    off, off_around = captures - mean, around - mean_around
    known = (off_around**2).sum(axis=0)
    enough = known > LEAST_LIGHT_SHARE**2 * known.mean(axis=(1, 2), keepdims=True)
    gain = np.where(enough, (off * off_around).sum(axis=0) / np.maximum(known, 1e-30), 1.0)
    variance = ((off - gain * off_around) ** 2).sum(axis=0) / max(len(captures) - 2, 1)
    gain_std = np.where(enough, np.sqrt(variance / np.maximum(known, 1e-30)), np.inf)
    level = mean_around.mean(axis=(1, 2), keepdims=True)
    offset = mean - level - gain * (mean_around - level)
    at_level = np.where(enough, gain_std, 0) * np.abs(mean_around - level)
    return gain, gain_std, offset, np.sqrt(variance / len(captures) + at_level**2)


def filled_captures(captures: Float64Array, bad: BoolArray) -> Float64Array:
    """Return captures with bad pixels (sensor, y, x) replaced by the mean of good neighbours."""
    if not bad.any():
        return captures
    out = captures.copy()
    good = ~bad
    size = (1, 1, 3, 3)
    share = uniform_filter(good[None].astype(np.float64), size, mode="nearest")
    sums = uniform_filter(np.where(good, captures, 0.0), size, mode="nearest")
    mean = sums / np.maximum(share, 1e-9)
    out[:, bad] = mean[:, bad]
    return out


def background_level(images: Float64Array) -> tuple[Estimate, float]:
    """Return the level below the light of images (image, y, x) of one sensor, and its upper bound.

    The darkest place of an image is the level plus a share of the image's light. Over images of
    more and of less light, the line through the darkest places ends at the level. Light that is
    equally bright in all captures and everywhere cannot be told from it.

    Returns:
        The level, and the darkest place of all, which it cannot exceed.
    """
    smooth = uniform_filter(images, (0, DARK_SIDE_PX, DARK_SIDE_PX), mode="nearest")
    edge = DARK_SIDE_PX // 2
    dark = np.quantile(smooth[:, edge:-edge, edge:-edge].reshape(len(images), -1), 0.01, axis=1)
    light = images.mean(axis=(1, 2))
    bound = float(dark.min())
    functions = np.stack([np.ones_like(light), light], axis=1)
    weight = np.ones_like(light)
    for _ in range(ROUNDS):
        normal = functions.T @ (functions * weight[:, None])
        inverse = np.linalg.pinv(normal, hermitian=True)
        line = inverse @ (functions.T @ (weight * dark))
        left = dark - functions @ line
        scale = MAD_TO_STD * float(np.median(np.abs(left))) + 1e-12
        weight = 1 / np.maximum(1, np.abs(left) / scale)
    apart = functions * (weight * left)[:, None]
    covariance = inverse @ (apart.T @ apart) @ inverse
    value, std = float(line[0]), float(np.sqrt(max(covariance[0, 0], 0)))
    if value > bound:  # the light of all captures is alike: the line says nothing
        value, std = bound, max(std, value - bound)
    return Estimate(value, std, "counts"), bound


def _neighbours(captures: Float64Array) -> Float64Array:
    """Return (capture, sensor, y, x) the mean of the pixels on the four sides, edges repeated."""
    wide = np.pad(captures, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    sides = wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1] + wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:]
    return np.asarray(sides / 4)
