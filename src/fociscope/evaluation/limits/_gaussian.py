"""The bound on depths of layers that nobody has seen: Gaussian fields of known statistics.

Captures are then normal with the mean b A m and the covariance b^2 A C A^T + V: b is a layer's
brightness, m and C its mean and covariance, A the projection from its depth, V the noise. What they
tell of parameters p is

    F_pq = dmean/dp^T K^-1 dmean/dq + 1/2 tr(K^-1 dK/dp K^-1 dK/dq),    K = b^2 A C A^T + V

(Kay, Fundamentals of Statistical Signal Processing, 1993, eq. 3.31). It is computed for all pixels
of the frame with its edges, where light gets lost and in that tells depth as well. Frame, kernels
and statistics are even in y and in x, so even and odd images do not mix, and K falls into four
blocks.

The bound is that of the average specimen under the average noise, not an average of bounds: bright
specimens count for more in it, and V does not follow each one's light.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from fociscope.evaluation.limits._information import depth_bound, value_and_slope
from fociscope.evaluation.limits._noise import capture_noise_variance
from fociscope.evaluation.limits._specimen import SpecimenStatistics
from fociscope.imager.convolution import convolve_and_sum
from fociscope.imager.geometry import Imager
from fociscope.imager.projection import Projection
from fociscope.imager.projector import LayerProjector
from fociscope.imager.registration import Registration
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.typing import Float64Array

__all__ = ["gaussian_layers_bound_um", "gaussian_layers_information"]


#: Images that go through the projector together.
CHUNK_IMAGES = 128


def gaussian_layers_bound_um(
    imager: Imager,
    depth_um: ArrayLike,
    layers: ArrayLike,
    *,
    peak_snr_db: float = REFERENCE_PEAK_SNR_DB,
    shared_gain: bool = False,
) -> Float64Array:
    """Return (layer,): the bound on depths of unknown layers that are Gaussian fields.

    Each layer's brightness is not known, nor are the depths of the others.

    Args:
        imager: the instrument, its sensors taken for aligned. A measured PSF is taken for the mean
            of its mirror images; for `reflect`, the frame's mirror image goes on around it.
        depth_um: (layer,).
        layers: (scene, layer, y, x) emitted light, from which statistics, the same for all layers,
            and the mean noise in each pixel are measured.
        peak_snr_db: of each sensor's image.
        shared_gain: the sensors' gains are alike; else each is unknown.

    Raises:
        ImagerError: a depth outside the imager, or shapes that do not fit.
        SceneError: a peak SNR that the camera does not reach.
    """
    light = torch.as_tensor(np.asarray(layers, np.float64))
    depth = np.asarray(depth_um, np.float64)
    aligned = imager.with_(registration=Registration())
    seen = LayerProjector(aligned).A(light, torch.from_numpy(depth).expand(len(light), -1))
    assert isinstance(seen, Tensor)
    noise = capture_noise_variance(aligned, seen, peak_snr_db).mean(dim=0).numpy()
    information = gaussian_layers_information(
        aligned, depth, SpecimenStatistics.from_layers(light), noise, shared_gain=shared_gain
    )
    return depth_bound(information, layers=len(depth))


def gaussian_layers_information(
    imager: Imager,
    depth_um: Float64Array,
    statistics: SpecimenStatistics,
    noise_variance: Float64Array,
    *,
    shared_gain: bool = False,
) -> Float64Array:
    """Return the Fisher information that captures of Gaussian layers hold.

    Args:
        imager: the instrument, its sensors aligned.
        depth_um: (layer,).
        statistics: of each layer.
        noise_variance: (sensor, y, x), of which the mean over its mirror images counts.
        shared_gain: the sensors' gains are alike; else each is unknown.

    Returns:
        (parameter, parameter). Parameters: depth of each layer, logarithm of the brightness of each
        layer and, of two sensors whose gains are unknown, logarithm of the gain of B.
    """
    height, width = statistics.frame_px
    noise = (noise_variance + noise_variance[:, ::-1]) / 2
    noise = (noise + noise[:, :, ::-1]) / 2
    total: Float64Array = np.zeros(())
    for basis in product(_halves(height), _halves(width)):
        images = np.einsum("iy,jx->ijyx", *basis).reshape(-1, height, width)
        if not len(images):
            continue
        seen, slope = _projected(imager, depth_um, images, basis)  # (layer, sensor, row, column)
        sensors = seen.shape[1]
        a, da = (m.reshape(len(depth_um), -1, len(images)) for m in (seen, slope))
        prior = _within(basis, statistics.covariance_times(images))
        even = images.sum(axis=(-2, -1)) * statistics.mean
        spread = ((images**2).reshape(len(images), -1) @ noise.reshape(sensors, -1).T).T.ravel()

        a_prior = a @ prior
        brightness = a_prior @ a.transpose(0, 2, 1)
        change = da @ a_prior.transpose(0, 2, 1)
        covariances = [change + change.transpose(0, 2, 1), 2 * brightness]
        means = [da @ even, a @ even]
        if sensors == 2 and not shared_gain:
            of_b = np.repeat([0.0, 1.0], len(images))
            light = brightness.sum(axis=0)
            covariances.append((of_b[:, None] * light + light * of_b)[None])
            means.append((of_b * means[1].sum(axis=0))[None])
        inverse = np.linalg.inv(brightness.sum(axis=0) + np.diag(spread))
        relative = inverse @ np.concatenate(covariances)
        slopes = np.concatenate(means)
        size = len(slopes)
        transposed = relative.transpose(0, 2, 1).reshape(size, -1)
        total = total + slopes @ inverse @ slopes.T + relative.reshape(size, -1) @ transposed.T / 2
    return total


def _halves(n: int) -> tuple[Float64Array, Float64Array]:
    """Return the even vectors of n pixels, and the odd ones: (vector, n)."""
    one = np.eye(n)
    even = (one + one[::-1])[: (n + 1) // 2]
    odd = (one - one[::-1])[: n // 2]
    return _normalised(even), _normalised(odd)


def _normalised(vectors: Float64Array) -> Float64Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _projected(
    imager: Imager,
    depth_um: Float64Array,
    basis_images: Float64Array,
    basis: tuple[Float64Array, Float64Array],
) -> tuple[Float64Array, Float64Array]:
    """Return the projection in a basis of images, and its derivative by depth.

    Both (layer, sensor, row, column).
    """
    images = torch.from_numpy(basis_images)[:, None]
    frame_px = images.shape[-2], images.shape[-1]
    found = []
    for z in torch.from_numpy(depth_um):
        projection = LayerProjector(imager).at(z.reshape(1, 1), frame_px)
        columns = [
            _within(basis, _seen_and_slope(projection, z.reshape(1, 1), part).numpy())
            for part in torch.split(images, CHUNK_IMAGES)
        ]
        found.append(np.moveaxis(np.concatenate(columns), 0, -1))
    seen, slope = np.split(np.stack(found), 2, axis=1)
    return seen, slope


def _seen_and_slope(projection: Projection, depth_um: Tensor, images: Tensor) -> Tensor:
    """Return (image, 2 sensors, y, x): the projection of images (image, 1, y, x), and its slope.

    As `seen_and_slope`, but all images lie at one depth (1, 1), whose kernel is computed once.
    """
    projector = LayerProjector(projection.imager)

    @lru_cache
    def transfers(grid: tuple[int, int]) -> Tensor:
        def transfer(depth: Tensor) -> Tensor:
            return projector.at(depth, projection.frame_px).transfer(grid)

        return torch.cat(value_and_slope(transfer, depth_um), dim=2)

    both = convolve_and_sum(
        images,
        lambda _, grid: transfers(grid),
        outputs=2 * projection.imager.sensors,
        source=projection.source,
        target=projection.target,
        radius_px=projection.radii_px,
        memory_bytes=projection.memory_bytes,
    )
    return both if projection.gains is None else both * projection.gains.repeat(2, 1, 1)


def _within(basis: tuple[Float64Array, Float64Array], images: Float64Array) -> Float64Array:
    """Return (..., component) of images (..., y, x) in the products of rows and columns."""
    rows, columns = basis
    found = rows @ images @ columns.T
    return np.asarray(found.reshape(*found.shape[:-2], -1))
