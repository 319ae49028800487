r"""Whether samples of volumes are calibrated: ranks of the truth among them.

If samples are drawn from the posterior, the rank of a figure of the true volume among those of its
samples is uniform over captures (Cook, Gelman and Rubin, Journal of Computational and Graphical
Statistics 15 (2006), 675-692; Talts et al., arXiv:1804.06788). Figures may depend on the capture,
too (Modrák et al., Bayesian Analysis 2023), as the place of the largest focus does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, stats

from fociscope.networks.volume_copula import FieldCorrelation, VolumeCopula
from fociscope.networks.volume_foci import near_probability
from fociscope.results.volume_map import VolumeMap
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["FIGURES", "VolumeRanks", "fit_copula", "rank_volumes"]

#: Of each volume: voxels with cells, its light, the mean depth of its cells, voxels with cells in
#: the largest focus that was found, and in the middle third of the frame.
FIGURES = ("cells", "light", "mean depth", "largest focus", "middle")
#: Samples of each volume, for ranks and for the fit.
RANKED, FITTED = 99, 20
#: Tried for the fit, in turns.
LENGTHS_UM = (80.0, 150.0, 300.0, 450.0)
SHARES = (0.0, 0.15, 0.3, 0.5, 0.65)
AXIAL_UM = (50.0, 100.0, 175.0, 250.0)
_NEIGHBOURS = np.ones((3, 3, 3), dtype=np.int8)


@dataclass(frozen=True)
class VolumeRanks:
    """Ranks of true volumes among their samples.

    Attributes:
        rank: (volume, figure) rank in 0 ... 1, with ties broken at random.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import VolumeRanks
        >>> even = np.linspace(0.01, 0.99, 50)[:, None].repeat(5, axis=1)
        >>> VolumeRanks(even).is_uniform()
        True
    """

    rank: Float64Array

    @property
    def p_value(self) -> Float64Array:
        """(figure,) p of the Kolmogorov-Smirnov test against uniform ranks."""
        return np.array([stats.kstest(ranks, "uniform").pvalue for ranks in self.rank.T])

    def is_uniform(self, level: float = 0.05) -> bool:
        """Return whether no figure's ranks differ from uniform ones, by Bonferroni's correction."""
        return bool(self.p_value.min() * self.rank.shape[1] > level)


def rank_volumes(
    volumes: VolumeMap,
    mask: BoolArray,
    light: Float32Array,
    *,
    samples: int = RANKED,
    seed: int = 0,
) -> VolumeRanks:
    """Rank true volumes among samples of what was found.

    Args:
        volumes: Volumes of many captures, one leading axis, with a copula.
        mask: (volume, slice, y, x) True where there are cells.
        light: (volume, slice, y, x) true light that reaches sensor A.
        samples: Samples of each.
        seed: Seed of the samples.

    Returns:
        The ranks.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import rank_volumes
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import FieldCorrelation, VolumeCopula
        >>> from fociscope.results import VolumeMap
        >>> scales = FieldCorrelation(lateral_um=100.0)
        >>> volumes = VolumeMap(
        ...     *np.full((2, 4, 3, 9, 9), 0.2, np.float32), np.array([100.0, 300, 500]),
        ...     *np.ones((2, 4, 2, 9, 9), np.float32), Imager.reference(), "own",
        ...     copula=VolumeCopula(presence=scales, depth=scales, axial_um=100.0),
        ... )
        >>> mask = np.random.default_rng(0).random((4, 3, 9, 9)) < 0.2
        >>> rank_volumes(volumes, mask, mask * np.float32(1), samples=9).rank.shape
        (4, 5)
    """
    rng = np.random.default_rng(seed)
    ranks = []
    for n in range(len(mask)):
        volume = volumes.frame(n)
        drawn = volume.samples(samples, seed=seed + n)
        place = _largest_focus(volume)
        theirs = _figures(drawn.occupied, drawn.light, volume.slice_um, place)
        true = _figures(mask[n][None], light[n][None], volume.slice_um, place)[0]
        below, same = (theirs < true).sum(axis=0), (theirs == true).sum(axis=0)
        spot = below + rng.random(len(true)) * (same + 1)
        ranks.append(spot / (samples + 1))
    return VolumeRanks(np.array(ranks))


def _figures(
    occupied: BoolArray, light: Float32Array, slice_um: Float32Array, place: BoolArray
) -> Float64Array:
    """Return (sample, figure)."""
    at_slice = occupied.sum(axis=(2, 3)).astype(np.float64)
    cells = at_slice.sum(axis=1)
    height, width = occupied.shape[-2:]
    middle = np.s_[..., height // 3 : height - height // 3, width // 3 : width - width // 3]
    return np.stack(
        [
            cells,
            light.sum(axis=(1, 2, 3), dtype=np.float64),
            at_slice @ slice_um.astype(np.float64) / np.maximum(cells, 1),
            occupied[:, place].sum(axis=1),
            occupied[middle].sum(axis=(1, 2, 3)),
        ],
        axis=1,
    )


def _largest_focus(volume: VolumeMap) -> BoolArray:
    """Return (slice, y, x) whether a voxel is of the largest focus that was found."""
    near = near_probability(volume.probability, volume.slice_um) >= volume.focus_threshold
    labels, count = ndimage.label(near, _NEIGHBOURS, output=np.int32)
    if not count:
        return np.ones(near.shape, np.bool_)
    held = ndimage.sum_labels(volume.probability, labels, np.arange(1, count + 1))
    return np.asarray(labels == 1 + int(np.argmax(held)))


def fit_copula(
    volumes: VolumeMap, mask: BoolArray, light: Float32Array, *, seed: int = 0
) -> VolumeCopula:
    """Fit how voxels go together, so that ranks of true volumes are as even as can be.

    Each length and share is varied in turn, twice, for the least mean squared difference of the
    sorted ranks from even ones (Cramér-von Mises).

    Args:
        volumes: Volumes of many captures of validation scenes, one leading axis.
        mask: (volume, slice, y, x) True where there are cells.
        light: (volume, slice, y, x) true light that reaches sensor A.
        seed: Seed of the samples.

    Returns:
        The copula.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import fit_copula
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import FieldCorrelation, VolumeCopula
        >>> from fociscope.results import VolumeMap
        >>> scales = FieldCorrelation(lateral_um=100.0)
        >>> volumes = VolumeMap(
        ...     *np.full((2, 4, 3, 9, 9), 0.2, np.float32), np.array([100.0, 300, 500]),
        ...     *np.ones((2, 4, 2, 9, 9), np.float32), Imager.reference(), "own",
        ...     copula=VolumeCopula(presence=scales, depth=scales, axial_um=100.0),
        ... )
        >>> mask = np.random.default_rng(0).random((4, 3, 9, 9)) < 0.2
        >>> fit_copula(volumes, mask, mask * np.float32(1)).axial_um > 0
        True
    """
    per_residual = light_by_residual(volumes, light)
    # presence: length and share; depth: length and share; axial length
    best = [300.0, 0.3, 300.0, 0.15, 175.0]
    known: dict[tuple[float, ...], float] = {}

    def unevenness(values: Sequence[float]) -> float:
        key = tuple(values)
        if key not in known:
            trial = replace(volumes, copula=_copula(values, per_residual))
            ranks = np.sort(
                rank_volumes(trial, mask, light, samples=FITTED, seed=seed).rank, axis=0
            )
            even = (np.arange(len(ranks)) + 0.5) / len(ranks)
            known[key] = float(((ranks - even[:, None]) ** 2).mean())
        return known[key]

    choices: dict[int, tuple[float, ...]] = {
        1: SHARES, 0: LENGTHS_UM, 4: AXIAL_UM, 3: SHARES, 2: LENGTHS_UM
    }  # fmt: skip
    for place, values in (*choices.items(), *choices.items()):
        trials = [[*best[:place], value, *best[place + 1 :]] for value in values]
        best = min(trials, key=unevenness)
    return _copula(best, per_residual)


def light_by_residual(volumes: VolumeMap, light: Float32Array) -> tuple[float, float]:
    """Return median and spread of the logarithm of true light by fitted light, by the residual.

    Args:
        volumes: Volumes of many captures, one leading axis.
        light: (volume, slice, y, x) true light that reaches sensor A.

    Returns:
        Median, and half of the width that holds 68.3 % of the volumes.
    """
    total = (1, 2, 3)
    found = volumes.intensity.sum(axis=total, dtype=np.float64)
    ratio = np.log(light.sum(axis=total, dtype=np.float64) / np.maximum(found, 1e-30))
    by_residual = ratio / np.maximum(volumes.residual.max(axis=-1), 1e-6)
    low, middle, high = np.quantile(by_residual, (0.1585, 0.5, 0.8415))
    return float(np.clip(middle, -10, 10)), float(np.clip((high - low) / 2, 0, 10))


def _copula(values: Sequence[float], light: tuple[float, float]) -> VolumeCopula:
    return VolumeCopula(
        presence=FieldCorrelation(lateral_um=values[0], frame_share=values[1]),
        depth=FieldCorrelation(lateral_um=values[2], frame_share=values[3]),
        axial_um=values[4],
        light_shift_per_residual=round(light[0], 4),
        light_per_residual=round(light[1], 4),
    )
