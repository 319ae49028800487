"""The raw image of each layer: cells, and faint autofluorescence everywhere.

Cells fill masks (`render_cells`), or stand where they are put (`render_discs`). A cell is a disc of
an even glow; a disc of diameter d has the variance d^2 / 16 along each axis.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import convolve1d
from scipy.special import ive

from fociscope.simulation._fields import spectral_field
from fociscope.typing import BoolArray, Float32Array, Float64Array, IndexArray

__all__ = ["autofluorescence_light", "discrete_gaussian_taps", "render_cells", "render_discs"]

#: Points of equal area that stand for a cell's disc, at least, and for each pixel of its area.
DISC_POINTS, DISC_POINTS_PER_PIXEL = 64, 16
#: Of the power spectrum of structured autofluorescence: smooth clouds with some grain.
STRUCTURE_EXPONENT = 4.0
#: Between neighbours on the spiral on which they lie (Vogel, Math. Biosciences 44:179-189, 1979).
GOLDEN_ANGLE_RAD = math.pi * (3 - math.sqrt(5))


def discrete_gaussian_taps(variance_px2: float) -> Float64Array:
    """Return the discrete Gaussian e^-t I_n(t) for n = -m ... m, with exactly the variance t.

    Lindeberg, IEEE TPAMI 12:234-254 (1990). It is cut where less than 1e-9 remains.
    """
    reach = math.ceil(6.5 * math.sqrt(variance_px2) + 4)
    taps = ive(np.abs(np.arange(-reach, reach + 1)), variance_px2)
    return np.asarray(taps / taps.sum())


def autofluorescence_light(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    level: tuple[float, float],
    variation: float,
    feature_px: float = 0.0,
) -> Float64Array:
    """Draw (layer, y, x) of autofluorescence.

    Args:
        rng: source of all that is random.
        shape: (layer, y, x).
        level: lowest and highest mean; drawn once per layer.
        variation: coefficient of variation among pixels, which are log-normal.
        feature_px: size of its structure in pixels; pixels are independent below one.
    """
    mean = rng.uniform(*level, (shape[0], 1, 1))
    sigma = math.sqrt(math.log1p(variation**2))
    if feature_px >= 1:
        field = spectral_field(
            rng, shape[0], shape[1:], exponent=STRUCTURE_EXPONENT, largest_px=2 * feature_px
        )
        structure = np.exp(sigma * field)
        return np.asarray(mean * structure / structure.mean(axis=(-2, -1), keepdims=True))
    return np.asarray(mean * rng.lognormal(-(sigma**2) / 2, sigma, shape))


def render_cells(
    rng: np.random.Generator,
    masks: BoolArray,
    *,
    pixel_pitch_um: float,
    density_per_mm2: float,
    brightness_sigma: float,
    cell_diameter_um: float,
    autofluorescence: tuple[float, float],
    autofluorescence_cv: float,
    autofluorescence_feature_px: float = 0.0,
) -> Float32Array:
    """Draw cells where the masks say so, and autofluorescence around and among them.

    Cells lie anywhere within the mask (a Poisson process), with log-normal brightness. A cell's
    light is shared by the four pixels around its centre and spread by a Gaussian that has the
    variance of the cell's disc.

    Args:
        rng: source of all that is random.
        masks: (layer, y, x), True where there are cells.
        pixel_pitch_um: side of a pixel.
        density_per_mm2: mean number of cells within the mask.
        brightness_sigma: standard deviation of the logarithm of a cell's brightness.
        cell_diameter_um: of the disc.
        autofluorescence: lowest and highest mean level, relative to the cells' mean light; drawn
            once per layer.
        autofluorescence_cv: coefficient of variation of the autofluorescence among pixels.
        autofluorescence_feature_px: size of its structure in pixels.

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

    taps = discrete_gaussian_taps((cell_diameter_um / 4 / pixel_pitch_um) ** 2)
    cells = convolve1d(convolve1d(cells, taps, axis=1), taps, axis=2)[:, 1:-1, 1:-1]

    haze = autofluorescence_light(
        rng,
        (layers, height, width),
        level=autofluorescence,
        variation=autofluorescence_cv,
        feature_px=autofluorescence_feature_px,
    )
    return np.asarray(cells * masks + haze, dtype=np.float32)


def render_discs(
    layer: IndexArray,
    y_px: Float64Array,
    x_px: Float64Array,
    light: Float64Array,
    *,
    shape: tuple[int, int, int],
    diameter_px: float,
) -> tuple[Float64Array, BoolArray]:
    """Draw cells at given places; what lies beyond the frame is dropped.

    Args:
        layer: (cell,) in which each lies.
        y_px: (cell,) place of the centre; the first pixel's centre lies at 0.5.
        x_px: (cell,).
        light: (cell,) that each emits.
        shape: (layer, y, x) to draw.
        diameter_px: of the discs, in pixels.

    Returns:
        (layer, y, x) light per pixel, and the mask: the pixel that holds a cell's centre, and every
        pixel whose own centre lies within a cell's disc.
    """
    radius = diameter_px / 2
    image, mask = np.zeros(shape), np.zeros(shape, dtype=np.bool_)

    def inside(row: IndexArray, column: IndexArray) -> BoolArray:
        return (row >= 0) & (row < shape[1]) & (column >= 0) & (column < shape[2])

    points = max(DISC_POINTS, round(DISC_POINTS_PER_PIXEL * math.pi * radius**2))
    for point in range(points):
        distance, azimuth = radius * math.sqrt((point + 0.5) / points), point * GOLDEN_ANGLE_RAD
        row = np.floor(y_px + distance * math.sin(azimuth)).astype(np.intp)
        column = np.floor(x_px + distance * math.cos(azimuth)).astype(np.intp)
        lands = inside(row, column)
        np.add.at(image, (layer[lands], row[lands], column[lands]), light[lands] / points)

    home_row, home_column = np.floor(y_px).astype(np.intp), np.floor(x_px).astype(np.intp)
    reach = math.ceil(radius)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            row, column = home_row + down, home_column + right
            covered = np.hypot(row + 0.5 - y_px, column + 0.5 - x_px) <= radius
            covered |= (down == 0) & (right == 0)
            covered &= inside(row, column)
            mask[layer[covered], row[covered], column[covered]] = True
    return image, mask
