r"""The response of all pixels to point emitters, at any place off the grid, and its gradient.

Kernels of all distances are sampled eight times a pixel and compressed as one Tucker decomposition
(Kolda and Bader, SIAM Review 51:455-500, 2009): with functions $U$ of y and $V$ of x that all
distances share, and a core $C$ for each distance,

$$ h(y, x; z) = \sum_{ij} U_i(y)\, C_{ij}(z)\, V_j(x) . $$

Cubic convolution (Keys, IEEE Trans. ASSP 29:1153-1160, 1981) interpolates $U$, $V$ and $C$, and
gives their derivatives. The images of all emitters and their gradients are then small matrix
products.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from torch import Tensor

from fociscope.errors import ImagerError
from fociscope.imager import Imager
from fociscope.typing import Float32Array, Float64Array

__all__ = ["EmitterResponse"]

#: Least distance of an emitter from a sensor: nearer ones differ by less than a pixel shows.
NEAREST_UM = 20.0
#: Samples of a kernel per pixel and axis.
PHASES = 8
#: Samples that are computed of kernels farther than FAR_PX pixels; splines give those between.
FAR_PHASES, FAR_PX = 2, 4.0
#: Steps of the distance, as shares of itself: 41 from 20 to 1000 um.
STEP = 0.1
#: Share of a kernel's norm that the decomposition may miss.
MISSED = 3e-5
#: Step of the differences in um, where gradients are not known.
DIFFERENCE_UM = 0.2
#: The most samples of all kernels, 1 GiB of them.
LARGEST_TABLE = 2**28


@dataclass(frozen=True)
class _Kernels:
    """The kernels of one PSF, decomposed.

    Attributes:
        rows: (sample, rank) functions of y, `PHASES` samples a pixel.
        columns: (sample, rank) functions of x.
        cores: (distance, rank of y, rank of x).
        first: Logarithm of the first distance in um.
        step: Difference of the logarithms of neighbours.
        reach: Pixels from the middle of a kernel to its edge.
    """

    rows: Float32Array
    columns: Float32Array
    cores: Float32Array
    first: float
    step: float
    reach: int


class EmitterResponse:
    """The light of point emitters on the pixels of an imager's sensors.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization import EmitterResponse
        >>> response = EmitterResponse(Imager.reference(), (51, 51))
        >>> images, gradients = response(np.array([[1400.0, 1380.0, 300.0]]))
        >>> images.shape, gradients.shape
        ((1, 5202), (1, 3, 5202))
    """

    def __init__(self, imager: Imager, frame_px: tuple[int, int]) -> None:
        """Decompose the imager's kernels for frames of `frame_px`.

        Pixels that are not square, staggered or of several gratings, and a sensor B that is turned
        or scaled, are computed one by one, with differences for gradients: slower.

        Args:
            imager: Imager whose PSF, pixels, gap, gains and registration hold.
            frame_px: (y, x) pixels of a frame.

        Raises:
            ImagerError: If the frame is too large.
        """
        self.imager, self.frame_px = imager, frame_px
        turned = imager.sensors > 1 and imager.registration.is_rotated_or_scaled
        self._kernels = (
            _decomposed(imager, max(frame_px)) if imager.has_plain_pixels and not turned else None
        )

    def widened(self) -> EmitterResponse:
        """Return the response on a frame that holds all pixels around each of this frame's.

        The decomposition reaches as far already, so nothing is computed anew.
        """
        height, width = self.frame_px
        wide = copy(self)
        wide.frame_px = (2 * height - 1, 2 * width - 1)
        wide.imager = self.imager.with_(frame_px=wide.frame_px, dead_pixels=())
        return wide

    @property
    def pixels(self) -> int:
        """Number of pixels of all sensors."""
        return self.imager.sensors * math.prod(self.frame_px)

    @property
    def depth_range_um(self) -> tuple[float, float]:
        """Least and greatest depth of an emitter, in um."""
        least, most = self.imager.psf.depth_range_um
        least = max(least, NEAREST_UM)
        gap = self.imager.gap_um
        if self.imager.sensors < 2:
            return least, min(most, gap)
        return max(least, gap - most), min(most, gap - least)

    def __call__(self, place_um: Float64Array) -> tuple[Float32Array, Float32Array]:
        """Return the images of emitters of unit light, and how they change with the place.

        Args:
            place_um: (emitter, 3) x, y, depth in um, x and y from the middle of pixel (0, 0).

        Returns:
            (emitter, pixel) images, sensor by sensor and row by row; (emitter, 3, pixel) their
            derivatives by x, y and depth, per um.
        """
        if self._kernels is None:
            return self._one_by_one(place_um)
        count, sensors = len(place_um), self.imager.sensors
        both = np.empty((count, 4, sensors, *self.frame_px), np.float32)
        for s in range(sensors):
            shift = self.imager.registration.shift_um if s else (0.0, 0.0)
            depth = place_um[:, 2]
            self._images(
                both[:, :, s],
                place_um[:, 1] + shift[0],
                place_um[:, 0] + shift[1],
                self.imager.gap_um - depth if s else depth,
                self.imager.sensor_gains[s],
                -1.0 if s else 1.0,  # deeper is nearer to sensor B
            )
        flat = both.reshape(count, 4, self.pixels)
        return flat[:, 0], flat[:, 1:]

    def _one_by_one(self, place_um: Float64Array) -> tuple[Float32Array, Float32Array]:
        """Return images and gradients by the imager's own response and its differences."""
        low, high = self.depth_range_um
        steps = DIFFERENCE_UM * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
        moved = place_um[:, None] + steps
        moved[..., 2] = moved[..., 2].clip(low, high)
        seen = np.asarray(self.imager.pixel_response(moved.reshape(-1, 3)), np.float64)
        seen = seen.reshape(len(place_um), 7, self.pixels)
        apart = (moved[:, 1:4] - moved[:, 4:7])[:, range(3), range(3)]
        gradients = (seen[:, 1:4] - seen[:, 4:7]) / apart[..., None]
        return seen[:, 0].astype(np.float32), gradients.astype(np.float32)

    def _images(
        self,
        out: Float32Array,
        y_um: Float64Array,
        x_um: Float64Array,
        distance_um: Float64Array,
        gain: float,
        sign: float,
    ) -> None:
        """Put images on one sensor, and their derivatives by x, y and depth, into (e, 4, y, x)."""
        assert self._kernels is not None
        kernels, pitch = self._kernels, self.imager.square_pitch_um
        u, du = _along(kernels.rows, y_um / pitch, kernels.reach, self.frame_px[0], pitch)
        v, dv = _along(kernels.columns, x_um / pitch, kernels.reach, self.frame_px[1], pitch)
        core, dcore = self._core(distance_um)
        core, dcore = np.float32(gain) * core, np.float32(sign * gain) * dcore
        left = u @ core
        v, dv = v.swapaxes(1, 2), dv.swapaxes(1, 2)
        for n, (one, other) in enumerate(((left, v), (left, dv), (du @ core, v), (u @ dcore, v))):
            np.matmul(one, other, out=out[:, n])

    def _core(self, distance_um: Float64Array) -> tuple[Float32Array, Float32Array]:
        """Return (emitter, rank, rank) cores at distances, and their derivatives per um."""
        assert self._kernels is not None
        kernels = self._kernels
        place = (np.log(distance_um) - kernels.first) / kernels.step
        base = np.clip(np.floor(place).astype(int), 1, len(kernels.cores) - 3)
        weight, slope = _cubic(place - base)
        slope = slope / (kernels.step * distance_um[:, None])
        taps = kernels.cores[base[:, None] + np.arange(-1, 3)]
        flat = taps.reshape(len(taps), 4, math.prod(kernels.cores.shape[1:]))
        both = np.stack([weight, slope], 1).astype(np.float32) @ flat
        both = both.reshape(len(taps), 2, *kernels.cores.shape[1:])
        return both[:, 0], both[:, 1]


def _along(
    basis: Float32Array, place_px: Float64Array, reach: int, length: int, pitch_um: float
) -> tuple[Float32Array, Float32Array]:
    """Return (emitter, pixel, rank): the basis along one axis, and its derivative per um."""
    sample = (reach - place_px) * PHASES
    base = np.floor(sample).astype(int)
    weight, slope = _cubic(sample - base)
    pixel = PHASES * np.arange(length)
    taps = basis[base[:, None, None] + np.arange(-1, 3)[:, None] + pixel]  # (e, 4, pixel, rank)
    both = np.stack([weight, slope * (-PHASES / pitch_um)], 1).astype(np.float32)
    both = both @ taps.reshape(len(base), 4, length * basis.shape[1])
    both = both.reshape(len(base), 2, length, basis.shape[1])
    return both[:, 0], both[:, 1]


def _cubic(t: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return (..., 4) weights of Keys' cubic convolution at -1, 0, 1, 2, and their slopes by t."""
    powers = t[..., None] ** np.arange(4)
    return powers @ _KEYS, powers[..., :3] @ _KEYS_SLOPE


#: Coefficients (power, tap) of the weights, and of their derivatives.
_KEYS = np.array(
    [[0, 1, 0, 0], [-0.5, 0, 0.5, 0], [1, -2.5, 2, -0.5], [-0.5, 1.5, -1.5, 0.5]], np.float64
)
_KEYS_SLOPE = np.arange(1, 4)[:, None] * _KEYS[1:]


@lru_cache(maxsize=4)
def _decomposed(imager: Imager, side_px: int) -> _Kernels:
    """Return the decomposed kernels of an imager that reach across frames of `side_px` pixels."""
    least, most = imager.psf.depth_range_um
    least, most = max(least, NEAREST_UM), min(most, imager.gap_um)
    first = math.log(least)
    count = max(4, math.ceil((math.log(most) - first) / STEP) + 1)
    step = (math.log(most) - first) / (count - 1)
    reach = side_px + 2
    samples = PHASES * (2 * reach + 1)
    if count * samples**2 > LARGEST_TABLE:
        raise ImagerError(
            f"frames of {side_px} pixels a side are too large to locate emitters in; crop them"
        )
    distance_um = torch.exp(first + step * torch.arange(count, dtype=torch.float64))
    distance_um = distance_um.clamp(least, most)
    is_near = distance_um < FAR_PX * imager.square_pitch_um
    near = _sampled(imager, distance_um[is_near], reach, PHASES)
    far = _sampled(imager, distance_um[~is_near], reach, FAR_PHASES)
    fine = np.concatenate([near, _denser(far, PHASES // FAR_PHASES)])
    scaled = fine / np.linalg.norm(fine, axis=(1, 2), keepdims=True)
    rows = _basis(scaled.swapaxes(1, 2).reshape(-1, samples))
    is_even = imager.psf.symmetric and imager.psf.radial  # then y and x can change places
    columns = rows if is_even else _basis(scaled.reshape(-1, samples))
    cores = rows.T @ fine @ columns
    return _Kernels(rows, columns, cores, first, step, reach)


def _basis(vectors: Float32Array) -> Float32Array:
    """Return (sample, rank): the fewest orthonormal functions that hold all vectors but MISSED."""
    values, functions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    missed = np.cumsum(values)
    rank = len(values) - int(np.searchsorted(missed, MISSED**2 * missed[-1]))
    return np.ascontiguousarray(functions[:, ::-1][:, :rank], np.float32)


def _sampled(imager: Imager, distance_um: Tensor, reach: int, phases: int) -> Float32Array:
    """Return (distance, sample, sample): kernels with `phases` samples a pixel and axis."""
    side = phases * (2 * reach + 1)
    fine = np.zeros((len(distance_um), side, side), np.float32)
    if len(distance_um) == 0:
        return fine
    pitch = imager.square_pitch_um
    even = imager.psf.symmetric and imager.psf.radial
    widest_um = imager.psf.encircled_radius_um(float(distance_um.max()), 1 - MISSED)
    radius = min(reach, math.ceil(widest_um / pitch) + 2)
    inside = slice(reach - radius, reach + radius + 1)
    for y in range(phases):
        for x in range(phases):
            # An emitter y / phases beyond a pixel's middle: the pixel sees the sample at -y.
            to = fine[:, (-y) % phases :: phases, (-x) % phases :: phases]
            if even and x < y:
                to[:] = fine[:, (-x) % phases :: phases, (-y) % phases :: phases].swapaxes(1, 2)
                continue
            kernel = imager.psf.kernel(
                distance_um,
                pitch,
                radius_px=radius,
                offset_um=(y / phases * pitch, x / phases * pitch),
            )
            whole = np.zeros(to.shape, np.float32)
            whole[:, inside, inside] = np.asarray(kernel)
            to[:] = np.roll(whole, (-(y > 0), -(x > 0)), axis=(1, 2))
    return fine


def _denser(samples: Float32Array, times: int) -> Float32Array:
    """Return images with `times` as many samples a side, by splines of the fifth order."""
    if len(samples) == 0:
        return np.zeros((0, times * samples.shape[1], times * samples.shape[2]), np.float32)
    side = samples.shape[-1]
    at = np.minimum(np.arange(side * times) / times, side - 1)
    matrix = make_interp_spline(np.arange(side), np.eye(side), k=5)(at).astype(np.float32)
    return np.asarray(matrix @ samples @ matrix.T, np.float32)
