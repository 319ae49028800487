"""How sure a score is: intervals over scenes by the bootstrap, and of shares and rates of events.

Pixels of a scene, and its layers, share one draw of tissue and noise; scenes are independent. So it
is scenes that are drawn again. The intervals are bias-corrected and accelerated (BCa; Efron, J. Am.
Stat. Assoc. 82:171-185, 1987): scores pile up at 1 and errors at 0, their distributions are skewed,
and BCa follows the skew, while plain percentiles would lie too far from the wall.

A share that is 0 or 1 in every scene has no spread to draw from, and its bootstrap interval no
width. For the share of events that are few use `share_interval`, for their rate `rate_interval`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from fociscope.typing import Float64Array, IndexArray

__all__ = [
    "Interval",
    "bootstrap_mean",
    "bootstrap_of_means",
    "rate_interval",
    "share_interval",
]


#: Values that are drawn at a time, 64 MiB of them.
BATCH_VALUES = 2**23


class Interval(NamedTuple):
    """A value and the interval around it; each is an array of one shape, or of none."""

    value: Float64Array
    low: Float64Array
    high: Float64Array


def bootstrap_mean(
    values: ArrayLike, *, seed: int, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """Return the mean over scenes and its BCa bootstrap interval.

    Args:
        values: (scene, ...) one score of each scene, or several.
        seed: of the draws: the same seed, the same interval.
        level: share of repetitions whose interval would hold the truth.
        resamples: how often the scenes are drawn again.

    Returns:
        (...) of mean, low and high. NaN where a value is NaN; low and high are NaN for a single
        scene, of which nothing can be said.

    Raises:
        ValueError: no scene, or a level or number of resamples that makes no sense.
    """
    return bootstrap_of_means(
        values, lambda means: means, seed=seed, level=level, resamples=resamples
    )


def bootstrap_of_means(
    values: ArrayLike,
    function: Callable[[Float64Array], Float64Array],
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Return a function of means over scenes, and its BCa bootstrap interval.

    Most scores are such functions: the Dice coefficient over all pixels is one of the mean counts
    of a scene, a root mean square error is the square root of a mean.

    Args:
        values: (scene, ...) what is averaged.
        function: (draw, ...) means -> (draw, ...) scores, each draw by itself.
        seed: of the draws.
        level: share of repetitions whose interval would hold the truth.
        resamples: how often the scenes are drawn again.

    Returns:
        The shape of one draw's score.

    Raises:
        ValueError: as for `bootstrap_mean`.
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim == 0 or len(v) == 0:
        raise ValueError(f"a bootstrap needs (scene, ...) values of a scene or more; got {v.shape}")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(
            "a bootstrap needs a level within 0 ... 1 and a resample or more; "
            f"got {level:g} and {resamples}"
        )
    value = np.asarray(function(v.mean(axis=0)[None])[0])
    if len(v) == 1:
        return Interval(value, np.full_like(value, np.nan), np.full_like(value, np.nan))

    def statistic(scenes: IndexArray, axis: int = -1) -> Float64Array:
        # SciPy resamples the scenes' numbers: (draw, scene), and takes (score, draw) back.
        drawn = np.atleast_2d(scenes)
        step = max(1, BATCH_VALUES // v.size)
        scores = [
            np.asarray(function(v[drawn[i : i + step]].mean(axis=1)))
            for i in range(0, len(drawn), step)
        ]
        flat = np.concatenate(scores).reshape(len(drawn), -1).T
        return flat if scenes.ndim > 1 else flat[:, 0]

    with warnings.catch_warnings():
        # Scores without any spread are ours to handle, below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.bootstrap(
            (np.arange(len(v)),),
            statistic,
            n_resamples=resamples,
            vectorized=True,
            axis=-1,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    low, high = (
        np.asarray(end, dtype=np.float64).reshape(value.shape) for end in found.confidence_interval
    )
    draws = np.asarray(found.bootstrap_distribution).reshape(*value.shape, -1)
    # BCa divides by the spread over scenes: where there is none, the value is all there is.
    still = np.ptp(draws, axis=-1) <= 1e-12 * np.abs(value)
    return Interval(value, np.where(still, value, low), np.where(still, value, high))


def share_interval(events: ArrayLike, total: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return a share of independent events and its Wilson interval.

    Wilson, J. Am. Stat. Assoc. 22:209-212 (1927). Unlike the bootstrap's it has a width where all
    events went one way.

    Args:
        events: (...) how many went this way.
        total: (...) how many there were; where there were none, all three are NaN.
        level: of confidence.
    """
    k, n = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(total, np.float64))
    some = np.where(n > 0, n, np.nan)
    z = stats.norm.ppf((1 + level) / 2)
    share = k / some
    middle = (share + z**2 / (2 * some)) / (1 + z**2 / some)
    half = z / (1 + z**2 / some) * np.sqrt(share * (1 - share) / some + (z / some) ** 2 / 4)
    return Interval(share, np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1))


def rate_interval(events: ArrayLike, exposure: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return events per exposure, such as an area, and the exact interval of a Poisson rate.

    Garwood, Biometrika 28:437-442 (1936).

    Args:
        events: (...) how many there were.
        exposure: (...) in which they were counted, above 0.
        level: of confidence.
    """
    k, area = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(exposure, np.float64))
    tail = (1 - level) / 2
    low = np.where(k > 0, stats.chi2.ppf(tail, 2 * np.maximum(k, 1)) / 2, 0.0)
    high = stats.chi2.ppf(1 - tail, 2 * k + 2) / 2
    return Interval(k / area, low / area, high / area)
