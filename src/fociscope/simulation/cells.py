"""The raw image of each layer: cells inside the tumour masks, faint autofluorescence everywhere."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from scipy.special import ive

__all__ = ["discrete_gaussian_taps", "render_cells"]


def discrete_gaussian_taps(variance_px2: float) -> NDArray[np.float64]:
    """Return the discrete Gaussian e^-t I_n(t) for n = -m ... m, with exactly the variance t.

    Lindeberg, IEEE TPAMI 12:234-254 (1990). It is cut where less than 1e-9 remains.
    """
    reach = math.ceil(6.5 * math.sqrt(variance_px2) + 4)
    taps = ive(np.abs(np.arange(-reach, reach + 1)), variance_px2)
    return np.asarray(taps / taps.sum())


def render_cells(
    rng: np.random.Generator,
    masks: NDArray[np.bool_],
    *,
    pixel_pitch_um: float,
    density_per_mm2: float,
    brightness_sigma: float,
    spread_um: float,
    autofluorescence: tuple[float, float],
    autofluorescence_cv: float,
) -> NDArray[np.float32]:
    """Draw cells where the masks say so, and autofluorescence around and among them.

    Cells lie anywhere within the mask (a Poisson process), with log-normal brightness. A cell's
    light is shared by the four pixels around its centre and spread by a Gaussian.

    Args:
        rng: source of all that is random.
        masks: (layer, y, x), True where there are cells.
        pixel_pitch_um: side of a pixel.
        density_per_mm2: mean number of cells within the mask.
        brightness_sigma: standard deviation of the logarithm of a cell's brightness.
        spread_um: standard deviation of the Gaussian that spreads a cell's light in its layer.
        autofluorescence: lowest and highest mean level, relative to the cells' mean light; drawn
            once per layer.
        autofluorescence_cv: coefficient of variation of the autofluorescence among pixels.

    Returns:
        (layer, y, x) light per pixel; the cells' mean within the mask is 1 on average.
    """
    layers, height, width = masks.shape
    per_pixel = density_per_mm2 * (pixel_pitch_um / 1000) ** 2
    count = rng.poisson(per_pixel * layers * height * width)
    layer = rng.integers(0, layers, count)
    y, x = rng.uniform(0, height, count), rng.uniform(0, width, count)
    brightness = rng.lognormal(-(brightness_sigma**2) / 2, brightness_sigma, count) / per_pixel

    # Bilinear shares: pixel centres lie at half-integers; what falls off the frame is dropped.
    row, column = np.floor(y - 0.5), np.floor(x - 0.5)
    down, right = y - 0.5 - row, x - 0.5 - column
    corner = (layer * (height + 2) + row.astype(np.intp) + 1) * (width + 2)
    corner += column.astype(np.intp) + 1
    light = np.zeros(layers * (height + 2) * (width + 2))
    for step, share in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (width + 2, down * (1 - right)),
        (width + 3, down * right),
    ):
        light += np.bincount(corner + step, brightness * share, light.size)
    cells = light.reshape(layers, height + 2, width + 2)

    taps = discrete_gaussian_taps((spread_um / pixel_pitch_um) ** 2)
    cells = convolve1d(convolve1d(cells, taps, axis=1), taps, axis=2)[:, 1:-1, 1:-1]

    level = rng.uniform(*autofluorescence, (layers, 1, 1))
    sigma = math.sqrt(math.log1p(autofluorescence_cv**2))
    haze = level * rng.lognormal(-(sigma**2) / 2, sigma, masks.shape)
    return np.asarray(cells * masks + haze, dtype=np.float32)
