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
#: Samples of a kernel per pixel and axis, and the longest step in um along an oblong pixel.
PHASES, LONGEST_STEP_UM = 8, 6.0
#: Samples that are computed of kernels farther than FAR_PX pixels; splines give those between.
FAR_PHASES, FAR_PX = 2, 4.0
#: Steps of the distance, as shares of itself: 41 from 20 to 1000 um.
STEP = 0.1
#: Knots of the light over sensitive areas, in units of asinh(place / distance), and those beyond 0.
KNOT_STEP, KNOTS_BEFORE = 0.05, 3
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
        rows: (sample, rank) functions of y.
        columns: (sample, rank) functions of x.
        phases: (y, x) samples a pixel.
        cores: (distance, rank of y, rank of x).
        first: Logarithm of the first distance in um.
        step: Difference of the logarithms of neighbours.
        reach: (y, x) pixels from the middle of a kernel to its edge.
    """

    rows: Float32Array
    columns: Float32Array
    cores: Float32Array
    first: float
    step: float
    phases: tuple[int, int]
    reach: tuple[int, int]


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

        Pixels in staggered rows or of several gratings, and a sensor B that is turned or scaled,
        are computed one by one, with differences for gradients: slower.

        Args:
            imager: Imager whose PSF, pixels, gap, gains and registration hold.
            frame_px: (y, x) pixels of a frame.

        Raises:
            ImagerError: If the frame is too large.
        """
        self.imager, self.frame_px = imager, frame_px
        turned = imager.sensors > 1 and imager.registration.is_rotated_or_scaled
        self._kernels = None
        if imager.has_plain_pixels and not turned:
            self._kernels = _of_square_pixels(imager, max(frame_px))
        elif imager.psf.knows_areas and not (
            turned or any(imager.row_shift_um) or imager.further_psfs or imager.psf.base_blur_um
        ):
            alone = imager.with_(sensors=1, frame_px=frame_px, dead_pixels=(), sensor_gains=(1, 1))
            self._kernels = _of_a_lattice(alone)

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
        kernels, pitch = self._kernels, self.imager.pitch_um
        u, du = _along(kernels, 0, y_um, self.frame_px[0], pitch[0])
        v, dv = _along(kernels, 1, x_um, self.frame_px[1], pitch[1])
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
    kernels: _Kernels, axis: int, place_um: Float64Array, length: int, pitch_um: float
) -> tuple[Float32Array, Float32Array]:
    """Return (emitter, pixel, rank): the basis along y (0) or x, and its derivative per um."""
    basis = kernels.columns if axis else kernels.rows
    phases = kernels.phases[axis]
    sample = (kernels.reach[axis] - place_um / pitch_um) * phases
    base = np.floor(sample).astype(int)
    weight, slope = _cubic(sample - base)
    pixel = phases * np.arange(length)
    taps = basis[base[:, None, None] + np.arange(-1, 3)[:, None] + pixel]  # (e, 4, pixel, rank)
    both = np.stack([weight, slope * (-phases / pitch_um)], 1).astype(np.float32)
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
def _of_square_pixels(imager: Imager, side_px: int) -> _Kernels:
    """Return the kernels of an imager that reach across frames of `side_px` pixels."""
    distance_um, first, step = _distances(imager)
    reach = side_px + 2
    _refuse_large(len(distance_um) * (PHASES * (2 * reach + 1)) ** 2, side_px)
    is_near = distance_um < FAR_PX * imager.square_pitch_um
    near = _sampled(imager, distance_um[is_near], reach, PHASES)
    far = _sampled(imager, distance_um[~is_near], reach, FAR_PHASES)
    fine = np.concatenate([near, _denser(far, PHASES // FAR_PHASES)])
    is_even = imager.psf.symmetric and imager.psf.radial  # then y and x can change places
    return _decomposed(fine, first, step, (PHASES, PHASES), (reach, reach), is_even)


@lru_cache(maxsize=4)
def _of_a_lattice(imager: Imager) -> _Kernels:
    """Return the kernels of one sensor where all pixels are alike, of any sensitive area."""
    distance_um, first, step = _distances(imager)
    reach = (imager.frame_px[0] + 2, imager.frame_px[1] + 2)
    pitch = imager.pitch_um
    phases = tuple(max(PHASES, math.ceil(side / LONGEST_STEP_UM)) for side in pitch)
    sides = [n * (2 * r + 1) for n, r in zip(phases, reach, strict=True)]
    _refuse_large(len(distance_um) * math.prod(sides), max(imager.frame_px))
    # The middle of the sensitive area less the emitter's place, at each sample.
    y_um, x_um = (
        (np.arange(side) / n - r) * p + offset
        for side, n, r, p, offset in zip(
            sides, phases, reach, pitch, imager.sensitive_offset_um, strict=True
        )
    )
    fine = np.stack([_of_areas(imager, z, y_um, x_um) for z in distance_um.tolist()])
    return _decomposed(fine, first, step, (phases[0], phases[1]), reach)


def _of_areas(
    imager: Imager, distance_um: float, y_um: Float64Array, x_um: Float64Array
) -> Float32Array:
    """Return (y, x): what sensitive areas around these places collect, by splines.

    The knots lie at z sinh(t): dense where the light changes, sparse where it fades.
    """
    psf = imager.psf
    knots, matrices = [], []
    for places in (y_um, x_um):
        t = np.arcsinh(places / distance_um)
        first = 0.0 if psf.symmetric else float(t.min())
        own = first + KNOT_STEP * np.arange(
            -KNOTS_BEFORE, (np.abs(t).max() - first) / KNOT_STEP + 3
        )
        at = np.abs(t) if psf.symmetric else t
        matrices.append(make_interp_spline(own, np.eye(len(own)), k=3)(at))
        knots.append(torch.from_numpy(distance_um * np.sinh(own)))
    y, x = torch.meshgrid(*knots, indexing="ij")
    z = torch.tensor([distance_um], dtype=torch.float64)
    seen = psf.area_response(
        z,
        y_um=y.reshape(1, -1),
        x_um=x.reshape(1, -1),
        size_um=imager.sensitive_size_um(),
    )
    values = np.asarray(seen * psf.tissue.transmitted(z), np.float64).reshape(y.shape)
    return np.asarray(matrices[0] @ values @ matrices[1].T, np.float32)


def _distances(imager: Imager) -> tuple[Tensor, float, float]:
    """Return distances in um, the logarithm of the first, and the difference of neighbours'."""
    least, most = imager.psf.depth_range_um
    least, most = max(least, NEAREST_UM), min(most, imager.gap_um)
    first = math.log(least)
    count = max(4, math.ceil((math.log(most) - first) / STEP) + 1)
    step = (math.log(most) - first) / (count - 1)
    distance_um = torch.exp(first + step * torch.arange(count, dtype=torch.float64))
    return distance_um.clamp(least, most), first, step


def _refuse_large(samples: int, side_px: int) -> None:
    """Raise ImagerError if kernels have too many samples."""
    if samples > LARGEST_TABLE:
        raise ImagerError(
            f"frames of {side_px} pixels a side are too large to locate emitters in; crop them"
        )


def _decomposed(
    fine: Float32Array,
    first: float,
    step: float,
    phases: tuple[int, int],
    reach: tuple[int, int],
    is_even: bool = False,
) -> _Kernels:
    """Return kernels (distance, sample, sample), decomposed; y and x can change places if even."""
    scaled = fine / np.linalg.norm(fine, axis=(1, 2), keepdims=True)
    rows = _basis(scaled.swapaxes(1, 2).reshape(-1, fine.shape[1]))
    columns = rows if is_even else _basis(scaled.reshape(-1, fine.shape[2]))
    cores = np.asarray(rows.T @ fine @ columns, np.float32)
    return _Kernels(rows, columns, cores, first, step, phases, reach)


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
