"""The map of an oracle: what can be known of one layer where all else is known.

The oracle is told the imager, every depth, and the light of all other layers, which it takes off
the captures (their shot noise stays). It then

1. restores the layer by the linear estimate of least mean squared error,
   x = m + C A^T (A C A^T + V)^-1 (y - A m), with the specimens' own mean m and covariance C, the
   projection A and the noise V of each pixel: no linear estimate is better on average;
2. turns it into probabilities by a logistic regression on the logarithm of the restored light, as
   it is and blurred to several widths, fitted on scenes of another seed.

It is an estimate of the limit, not a bound. What it is told, no method can know, so that a method
that comes near has little left to gain. But its second step is not the best there can be, and its
first is best among linear ones only: a method that knows the look of foci better may surpass it
where layers are easy to tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter
from scipy.special import expit
from torch import Tensor

from fociscope.errors import SceneError
from fociscope.evaluation.limits._noise import capture_noise_variance
from fociscope.evaluation.limits._specimen import SpecimenStatistics
from fociscope.imager.geometry import Imager
from fociscope.imager.projection import Projection
from fociscope.imager.projector import LayerProjector
from fociscope.logistic import fit_weights
from fociscope.simulation.base import Specimen
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.scene import Scenes, simulate
from fociscope.typing import Float32Array, Float64Array

__all__ = ["MapOracle"]


#: Scenes that are restored together.
CHUNK_SCENES = 16
#: Conjugate gradients end when the residual, as the preconditioner weighs it, has fallen to this
#: share in every scene, or after so many steps. Noise that varies much within a frame, as that of
#: one layer alone does, takes many. Going on changes at most 3e-4 of the squared light.
RESIDUAL, MOST_STEPS = 3e-3, 600
#: The preconditioner's power at all frequencies, relative to the mean: edges spread some there.
POWER_FLOOR = 0.03
#: Widths to which the restored light is blurred, in pixels.
WIDTHS_PX = (0.0, 0.7, 1.5, 3.0, 6.0)
#: Light below this share of the mean counts as this share; a linear estimate can be negative.
DARKEST = 0.05
#: Weight of the logistic regression's ridge.
PENALTY = 1e-3


@dataclass(frozen=True)
class MapOracle:
    """Maps by somebody who knows all but the layer in question; `fit` makes it."""

    imager: Imager
    peak_snr_db: float
    statistics: SpecimenStatistics
    """Of the layers, from the scenes it was fitted on."""
    centre: Float64Array
    """(feature,) and the scale and (term,) weights: of the logistic regression."""
    scale: Float64Array
    weights: Float64Array

    @classmethod
    def fit(
        cls,
        imager: Imager,
        *,
        seed: int,
        scenes: int = 50,
        peak_snr_db: float = REFERENCE_PEAK_SNR_DB,
        layers: int = 4,
        min_separation_um: float = 250.0,
        specimen: Specimen | None = None,
    ) -> MapOracle:
        """Fit the oracle on simulated scenes; choose another seed than that of the scenes to judge.

        Args:
            imager: the instrument, with a `zero` boundary.
            seed: of the scenes.
            scenes: how many.
            peak_snr_db: of the captures.
            layers: how many, as in the scenes to judge.
            min_separation_um: least distance between neighbouring layers.
            specimen: kind of specimen; None for the reference one.

        Raises:
            SceneError: another boundary, or what `simulate` refuses.
        """
        known = simulate(
            scenes,
            seed=seed,
            imager=imager,
            peak_snr_db=peak_snr_db,
            layers=layers,
            min_separation_um=min_separation_um,
            specimen=specimen,
        )
        _check(imager, known)
        statistics = SpecimenStatistics.from_layers(known.layers)
        blank = cls(imager, peak_snr_db, statistics, np.zeros(0), np.ones(0), np.zeros(0))
        features = blank._features(blank.restored(known), known.depth_um)
        centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
        terms = _terms((features - centre) / scale)
        weights = fit_weights(terms, known.mask.ravel(), penalty=PENALTY)
        return cls(imager, peak_snr_db, statistics, centre, scale, weights)

    def probability(self, scenes: Scenes) -> Float64Array:
        """Return (scene, layer, y, x) probability of cells.

        Args:
            scenes: taken by this imager at this peak SNR; the truth in them is used.

        Raises:
            SceneError: layers that are not flat, or not of the frame it was fitted on.
        """
        features = self._features(self.restored(scenes), scenes.depth_um)
        logit = _terms((features - self.centre) / self.scale) @ self.weights
        return np.asarray(expit(logit).reshape(scenes.mask.shape))

    def restored(self, scenes: Scenes) -> Float64Array:
        """Return (scene, layer, y, x): each layer, given all others.

        Raises:
            SceneError: as for `probability`.
        """
        _check(self.imager, scenes)
        if scenes.layers.shape[-2:] != self.statistics.frame_px:
            raise SceneError(
                f"this oracle knows layers of {self.statistics.frame_px} pixels; "
                f"got {scenes.layers.shape[-2:]}"
            )
        chunks = []
        for start in range(0, len(scenes), CHUNK_SCENES):
            part = slice(start, start + CHUNK_SCENES)
            arrays = scenes.layers[part], scenes.depth_um[part], scenes.captures[part]
            chunks.append(self._restored(*(torch.from_numpy(a) for a in arrays)))
        return np.concatenate(chunks).astype(np.float64)

    def _restored(self, layers: Tensor, depth_um: Tensor, captures: Tensor) -> Float32Array:
        projector = LayerProjector(self.imager)
        clean = projector.A(layers, depth_um)
        assert isinstance(clean, Tensor)
        noise = capture_noise_variance(self.imager, clean, self.peak_snr_db)
        covariance = _Covariance(self.statistics)
        found = []
        for number in range(layers.shape[1]):
            own = slice(number, number + 1)
            one = projector.at(depth_um[:, own], self.statistics.frame_px)
            known = clean - one.A(layers[:, own])
            even = torch.full_like(layers[:, own], self.statistics.mean)
            weight = _solved(one, covariance, noise, captures - known - one.A(even))
            found.append(even + covariance(one.A_adjoint(weight)))
        return torch.cat(found, dim=1).numpy()

    def _features(self, restored: Float64Array, depth_um: Float32Array) -> Float64Array:
        """Return (pixel, feature): the light at several widths, and how far away it is."""
        darkest = DARKEST * self.statistics.mean
        blurred = [gaussian_filter(restored, width, axes=(-2, -1)) for width in WIDTHS_PX]
        light = [np.log(np.maximum(image, darkest)) for image in blurred]
        distance = depth_um / self.imager.gap_um
        if self.imager.sensors == 2:
            distance = np.minimum(distance, 1 - distance)
        light.append(np.broadcast_to(distance[..., None, None], restored.shape))
        return np.stack([feature.ravel() for feature in light], axis=-1)


class _Covariance:
    """The covariance of a layer's pixels, applied to images (..., y, x) on a fast grid."""

    def __init__(self, statistics: SpecimenStatistics) -> None:
        self.frame_px = statistics.frame_px
        lags = np.fft.ifft2(statistics.power).real
        grid = [next_fast_len(n, real=True) for n in lags.shape]
        places = [np.arange(n) - n // 2 for n in lags.shape]
        kernel = np.zeros(grid)
        kernel[np.ix_(*places)] = lags[np.ix_(*places)]
        self.grid = grid
        self.power = torch.from_numpy(np.fft.rfft2(kernel).real.astype(np.float32))

    def __call__(self, images: Tensor) -> Tensor:
        height, width = self.frame_px
        spectrum = torch.fft.rfft2(images, s=self.grid) * self.power
        images = torch.fft.irfft2(spectrum, s=self.grid)
        return images[..., :height, :width]


class _Preconditioner:
    """About the inverse of A C A^T + V: for a frame without edges and even noise.

    It then falls into frequencies, in each of which the noise is followed by a matrix of rank one.
    """

    def __init__(self, one: Projection, covariance: _Covariance, noise: Tensor) -> None:
        self.frame_px, self.grid = covariance.frame_px, covariance.grid
        height, width = self.frame_px
        point = noise.new_zeros(len(noise), 1, height, width)
        point[..., height // 2, width // 2] = 1
        power = covariance.power + POWER_FLOOR * covariance.power.mean()
        self.spread = noise.log().mean(dim=(-2, -1), keepdim=True).div(2).exp()
        # Where the point lies does not matter: only phases between sensors do.
        transfer = torch.fft.rfft2(one.A(point), s=self.grid)
        self.column = transfer * power.clamp(min=0).sqrt() / self.spread
        self.whole = 1 + self.column.abs().square().sum(dim=1, keepdim=True)

    def __call__(self, images: Tensor) -> Tensor:
        height, width = self.frame_px
        white = images / self.spread
        spectrum = torch.fft.rfft2(white, s=self.grid)
        along = (self.column.conj() * spectrum).sum(dim=1, keepdim=True) / self.whole
        explained: Tensor = torch.fft.irfft2(self.column * along, s=self.grid)[..., :height, :width]
        return (white - explained) / self.spread


def _solved(one: Projection, covariance: _Covariance, noise: Tensor, gap: Tensor) -> Tensor:
    """Return w of (A C A^T + V) w = gap, all (scene, sensor, y, x), by conjugate gradients."""
    precondition = _Preconditioner(one, covariance, noise)

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=(-3, -2, -1), keepdim=True)

    w, residual = torch.zeros_like(gap), gap
    direction = nearer = precondition(residual)
    power = dot(residual, nearer)
    enough = RESIDUAL**2 * power
    for _ in range(MOST_STEPS):
        onward = one.A(covariance(one.A_adjoint(direction))) + noise * direction
        step = power / dot(direction, onward).clamp(min=1e-30)
        w = w + step * direction
        residual = residual - step * onward
        nearer = precondition(residual)
        before, power = power, dot(residual, nearer)
        if bool((power <= enough).all()):
            break
        direction = nearer + power / before.clamp(min=1e-30) * direction
    return w


def _terms(features: Float64Array) -> Float64Array:
    """Return (pixel, term): a constant, the features, and all their products."""
    first, second = np.triu_indices(features.shape[-1])
    one = np.ones((len(features), 1))
    return np.concatenate([one, features, features[:, first] * features[:, second]], axis=1)


def _check(imager: Imager, scenes: Scenes) -> None:
    if imager.boundary != "zero":
        raise SceneError(
            "the oracle knows all light but one layer's, which needs a `zero` boundary; "
            f"got `{imager.boundary}`"
        )
    if scenes.surface_um is not None:
        raise SceneError("the oracle needs flat layers; these are tilted or curved")
