r"""Which tissue captures show: shares of specimens whose captures have the same statistics.

Captures of each specimen are simulated through the imager, and turned into the features of
`fociscope.networks.ood`: spectra, skewness, contrast, and the coherence of the sensors. The shares
$w_k \ge 0$, $\sum_k w_k = 1$, bring the mean embedding of the simulated features closest to that of
the captures' (kernel mean matching: Gretton et al., *Dataset Shift in Machine Learning*, MIT Press,
2009, chapter 8),

$$ \min_w \Big\| \sum_k w_k\, \overline{\varphi}_k - \overline{\varphi} \Big\|^2
   + \lambda \sum_k w_k^2 , $$

where $\varphi$ are random Fourier features of a Gaussian kernel (Rahimi and Recht, NIPS 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls

from fociscope.imager.geometry import Imager
from fociscope.networks.conditioning import OPTICS_FEATURES, optics_features
from fociscope.networks.ood import capture_statistics
from fociscope.noise import noise_std
from fociscope.simulation.base import Specimen
from fociscope.simulation.mixtures import ANY_TISSUE, AnyTissue, Mixture, MixturePart, Varied
from fociscope.simulation.scene import simulate
from fociscope.typing import Float32Array, Float64Array, Progress

__all__ = ["TissueMatch", "capture_features", "match_tissue", "peak_snr_db"]

#: Captures of each specimen, and random features of the kernel.
SCENES, RANDOM_FEATURES = 40, 512
#: Weight of even shares, and of the sum of the shares.
_EVENNESS, _SUM = 3e-4, 1e3
#: Share of the scenes that are drawn from the broad mixture, whatever the captures show: what is
#: matched are statistics, and many tissues have the same.
KEPT = 0.5
#: Least share that a specimen is drawn with.
LEAST_SHARE = 0.01
#: Features are held within so many deviations, so that a single odd one does not decide.
_WITHIN = 4.0
_SEED = 60_000
#: Pairs of captures by whose median distance the kernel is scaled.
_FOR_SCALE = 300


@dataclass(frozen=True)
class TissueMatch:
    """The tissue whose captures are most like those that were seen.

    Attributes:
        parts: Specimens.
        shares: (part,) of the scenes, 1 together.
        distance: Distance of the matched tissue's mean embedding from that of the captures.
        usual_distance: The same of the broad mixture's.

    Examples:
        >>> import numpy as np
        >>> from fociscope.adaptation import TissueMatch
        >>> from fociscope.simulation import PerlinFoci, SingleCells
        >>> match = TissueMatch((PerlinFoci(), SingleCells()), np.array([0.2, 0.8]), 0.1, 0.5)
        >>> match.by_kind
        {'single-cells': 0.8, 'perlin-foci': 0.2}
    """

    parts: tuple[Specimen, ...]
    shares: Float64Array
    distance: float
    usual_distance: float

    @property
    def by_kind(self) -> dict[str, float]:
        """Kind of specimen -> its share, the largest first."""
        sums: dict[str, float] = {}
        for part, share in zip(self.parts, self.shares, strict=True):
            kind = part.specimen.kind if isinstance(part, Varied) else part.kind
            sums[kind] = sums.get(kind, 0.0) + float(share)
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    @property
    def specimen(self) -> Mixture:
        """The tissue to draw: the matched specimens, and beside them the broad mixture."""
        usual = AnyTissue()
        parts = [MixturePart(share=KEPT, specimen=usual)]
        parts += [
            MixturePart(share=(1 - KEPT) * float(share), specimen=part)
            for part, share in zip(self.parts, self.shares, strict=True)
            if share >= LEAST_SHARE
        ]
        return Mixture(
            parts=tuple(parts),
            per_layer=usual.per_layer,
            together=usual.together,
            soft=usual.soft / 2,
        )


class _Embedding(NamedTuple):
    """Random Fourier features of features that are brought to one scale."""

    centre: Float64Array
    spread: Float64Array
    waves: Float64Array
    phases: Float64Array

    @classmethod
    def of(cls, features: Float64Array) -> _Embedding:
        """Choose scale and kernel by (capture, feature) features of all specimens."""
        rng = np.random.default_rng(_SEED)
        centre = np.median(features, axis=0)
        spread = np.quantile(np.abs(features - centre), 0.68, axis=0) + 1e-6
        some = features[rng.permutation(len(features))[:_FOR_SCALE]]
        scaled = np.clip((some - centre) / spread, -_WITHIN, _WITHIN)
        apart = np.linalg.norm(scaled[:, None] - scaled, axis=-1)
        width = 0.5 * float(np.median(apart[apart > 0]))
        waves = rng.normal(size=(features.shape[1], RANDOM_FEATURES)) / width
        return cls(centre, spread, waves, rng.uniform(0, 2 * np.pi, RANDOM_FEATURES))

    def mean(self, features: Float64Array) -> Float64Array:
        """Return (random feature,) the mean embedding of (capture, feature)."""
        scaled = np.clip((features - self.centre) / self.spread, -_WITHIN, _WITHIN)
        embedded = np.cos(scaled @ self.waves + self.phases)
        return np.asarray(np.sqrt(2 / RANDOM_FEATURES) * embedded.mean(axis=0))


def match_tissue(
    captures: Float32Array,
    imager: Imager,
    *,
    layers: int,
    min_separation_um: float,
    seed: int = 0,
    parts: tuple[Specimen, ...] | None = None,
    progress: Progress | None = None,
) -> TissueMatch:
    """Find the shares of specimens whose captures have the statistics of those given.

    Args:
        captures: Corrected captures, (capture, sensor, y, x).
        imager: Imager that took them, of their frame.
        layers: Number of layers that scenes have.
        min_separation_um: Least distance of neighbouring layers, um.
        seed: Seed of the scenes.
        parts: Specimens; None for those of `fociscope.simulation.AnyTissue`.
        progress: Function called with the number of specimens done and their total.

    Returns:
        The specimens with their shares.

    Examples:
        >>> from fociscope.adaptation import match_tissue
        >>> from fociscope.imager import Imager
        >>> from fociscope.simulation import PerlinFoci, SingleCells, simulate
        >>> seen = simulate(30, seed=3, specimen=SingleCells())
        >>> match = match_tissue(
        ...     seen.captures, Imager.reference(), layers=4, min_separation_um=250.0,
        ...     parts=(PerlinFoci(), SingleCells()),
        ... )
        >>> list(match.by_kind)
        ['single-cells', 'perlin-foci']
    """
    if parts is None:
        parts = tuple(part.specimen for part in ANY_TISSUE)
        usual = np.array([part.share for part in ANY_TISSUE])
    else:
        usual = np.ones(len(parts))
    snr_db = peak_snr_db(captures)
    most_db = imager.camera.highest_peak_snr_db()
    found = []
    for number, part in enumerate(parts):
        scenes = simulate(
            SCENES,
            seed=_SEED + 1000 * seed + number,
            layers=layers,
            imager=imager,
            peak_snr_db=min(snr_db, most_db),
            min_separation_um=min_separation_um,
            specimen=part,
        )
        found.append(capture_features(scenes.captures, imager))
        if progress is not None:
            progress(number + 1, len(parts))
    embedding = _Embedding.of(np.concatenate(found))
    means = np.stack([embedding.mean(features) for features in found])
    seen = embedding.mean(capture_features(captures, imager))
    shares = _closest(means, seen)
    distance, usual_distance = (
        float(np.linalg.norm(seen - w @ means)) for w in (shares, usual / usual.sum())
    )
    return TissueMatch(parts, shares, distance, usual_distance)


def _closest(means: Float64Array, seen: Float64Array) -> Float64Array:
    """Return (part,) shares whose mean of the embeddings (part, feature) is closest to one."""
    count = len(means)
    rows = [means.T, np.sqrt(_EVENNESS) * np.eye(count), np.full((1, count), _SUM)]
    wanted = np.concatenate([seen, np.zeros(count), [_SUM]])
    shares, _ = nnls(np.concatenate(rows), wanted)
    return np.asarray(shares / shares.sum())


def capture_features(captures: Float32Array, imager: Imager) -> Float64Array:
    """Return the features of captures by which tissues are told apart.

    Args:
        captures: Corrected captures, (capture, sensor, y, x).
        imager: Imager that took them.

    Returns:
        (capture, feature) logarithms of power by spatial frequency, skewness, contrast over noise,
        coherence of the sensors, and widths of the PSF; none depends on the unit of light.

    Examples:
        >>> import fociscope
        >>> from fociscope.adaptation import capture_features
        >>> captures = fociscope.simulate(2, seed=0).captures
        >>> capture_features(captures, fociscope.Imager.reference()).shape
        (2, 37)
    """
    seen = torch.from_numpy(np.ascontiguousarray(captures, np.float32))
    optics = optics_features(imager).expand(len(seen), OPTICS_FEATURES)
    return capture_statistics(seen, seen, optics).features.double().numpy()


def peak_snr_db(captures: Float32Array) -> float:
    """Return the median peak SNR of captures, in dB: the greatest light over the noise.

    Args:
        captures: Corrected captures, (capture, sensor, y, x).

    Returns:
        20 log10 of the brightest pixel over the noise, found by the roughness of the images.

    Examples:
        >>> import fociscope
        >>> from fociscope.adaptation import peak_snr_db
        >>> scenes = fociscope.simulate(8, seed=0, peak_snr_db=30.0)
        >>> 28 < peak_snr_db(scenes.captures) < 34
        True
    """
    light = torch.from_numpy(np.ascontiguousarray(captures, np.float32))
    top = light.amax(dim=(-2, -1))
    ratio = top / noise_std(light).clamp(min=1e-12 * float(top.max()) + 1e-30)
    return float(20 * torch.log10(ratio.clamp(1.1, 1e5)).median())
