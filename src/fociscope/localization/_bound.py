"""How exactly anybody could locate a lone emitter: the Cramer-Rao bound of its place and light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fociscope.errors import ImagerError
from fociscope.imager import Imager
from fociscope.localization._noise import NoiseModel
from fociscope.localization._response import EmitterResponse
from fociscope.typing import Float64Array

__all__ = ["EmitterBound", "emitter_bound"]

#: The most pixels of a side that are looked at, around the emitter.
MOST_PX = 21
#: Places within a pixel, as shares of the pitch from its middle, over which variances are averaged.
PLACES = ((0.0, 0.0), (0.25, 0.25), (0.5, 0.0), (0.5, 0.5))


@dataclass(frozen=True)
class EmitterBound:
    """The least standard deviations of unbiased estimates of a lone emitter.

    Attributes:
        depth_um: Depths of the emitter in um, (depth,).
        x_std_um: Standard deviation along x, (depth,).
        y_std_um: Standard deviation along y, (depth,).
        depth_std_um: Standard deviation of the depth, (depth,).
        light_std: Standard deviation of the light as a share of it, (depth,).

    Examples:
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization import emitter_bound
        >>> near, far = emitter_bound(Imager.reference(), [100.0, 500.0], photons=1e5).x_std_um
        >>> bool(near < far)
        True
    """

    depth_um: Float64Array
    x_std_um: Float64Array
    y_std_um: Float64Array
    depth_std_um: Float64Array
    light_std: Float64Array


def emitter_bound(
    imager: Imager, depth_um: ArrayLike, *, photons: float, background_photons: float = 0.0
) -> EmitterBound:
    r"""Return the Cramer-Rao bound of a lone emitter above the middle of the frame.

    The mean of pixel $i$ is $\mu_i = n h_i(x, y, z) + b_s$ with $n$ photons and one background per
    sensor, all unknown; the variance is $v_i = \mu_i / q + v_0$ with the quantum efficiency $q$ and
    the camera's noise in the dark. The information is $F = \sum_i \partial\mu_i \partial\mu_i^T /
    v_i$, exact for Poisson counts and a little less than there is with normal noise on top (Ober,
    Ram, Ward, Biophys. J. 86:1185-1200, 2004); the bound is the root of the diagonal of $F^{-1}$.

    Args:
        imager: Imager; its camera's noise counts, its exposure does not.
        depth_um: Depths in um, (depth,).
        photons: Photons that the emitter sends out in all directions in one exposure.
        background_photons: Photons in each pixel besides the emitter's.

    Returns:
        The bound at each depth; variances are means over four places within a pixel.

    Raises:
        ImagerError: If a depth lies nearer than 20 um to a sensor or outside the imager, or if
            there are no photons.

    Examples:
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization import emitter_bound
        >>> bound = emitter_bound(Imager.reference(), [200.0, 500.0], photons=75_000.0)
        >>> bound.depth_std_um.shape
        (2,)
    """
    z = np.atleast_1d(np.asarray(depth_um, np.float64))
    if not (photons > 0 and background_photons >= 0):
        raise ImagerError(
            f"an emitter sends out more than 0 photons on a background of at least 0; got "
            f"{photons:g} and {background_photons:g}"
        )
    small = imager.with_(
        frame_px=(min(imager.frame_px[0], MOST_PX), min(imager.frame_px[1], MOST_PX)),
        dead_pixels=(),
        row_shift_um=imager.row_shift_um[:MOST_PX],
        layout=None,
    )
    response = EmitterResponse(small, small.frame_px)
    low, high = response.depth_range_um
    if not ((z >= low) & (z <= high)).all():
        raise ImagerError(
            f"an emitter lies {low:g} to {high:g} µm deep; got {z.min():g} to {z.max():g} µm"
        )
    camera, sensors = imager.camera, small.sensors
    noise = NoiseModel(
        np.full(sensors, camera.floor_variance_e2 / camera.quantum_efficiency**2),
        np.full(sensors, 1 / camera.quantum_efficiency),
        0.0,
    )
    middle_um = small.pixel_centres_um()[small.frame_px[0] // 2, small.frame_px[1] // 2]
    variances = np.zeros((len(z), 4))
    for share_y, share_x in PLACES:
        place = np.column_stack(
            [
                np.full(len(z), middle_um[1] + share_x * small.pitch_um[1]),
                np.full(len(z), middle_um[0] + share_y * small.pitch_um[0]),
                z,
            ]
        )
        images, slopes = response(place)
        for n in range(len(z)):
            light = photons * images[n].astype(np.float64) + background_photons
            rows = _design(images[n], slopes[n], photons, sensors)
            variances[n] += _variances(rows, noise.variance(light)) / len(PLACES)
    std = np.sqrt(variances)
    return EmitterBound(z, std[:, 0], std[:, 1], std[:, 2], std[:, 3] / photons)


def _design(image: np.ndarray, slopes: np.ndarray, photons: float, sensors: int) -> Float64Array:
    """Return (parameter, pixel): derivatives by x, y, depth, light and each background."""
    backgrounds = np.repeat(np.eye(sensors), image.size // sensors, axis=1)
    return np.concatenate(
        [photons * slopes.astype(np.float64), image[None].astype(np.float64), backgrounds]
    )


def _variances(rows: Float64Array, variance: Float64Array) -> Float64Array:
    """Return (4,): the diagonal of the inverse information of x, y, depth and light."""
    information = (rows / variance) @ rows.T
    unit = 1 / np.sqrt(np.diag(information))
    inverse = np.linalg.inv(information * np.outer(unit, unit)) * np.outer(unit, unit)
    return np.asarray(np.diag(inverse)[:4])
