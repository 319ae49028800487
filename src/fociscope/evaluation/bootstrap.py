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
    """A value and the interval around it; three arrays of one shape.

    Examples:
        >>> from fociscope.evaluation import share_interval
        >>> interval = share_interval(9, 10)
        >>> float(interval.value), round(float(interval.low), 3), round(float(interval.high), 3)
        (0.9, 0.596, 0.982)
    """

    value: Float64Array
    low: Float64Array
    high: Float64Array


def bootstrap_mean(
    values: ArrayLike, *, seed: int, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """Compute the mean over scenes and its BCa interval: bias-corrected, accelerated bootstrap.

    Scenes are drawn again, with replacement; pixels and layers of a scene share one draw of tissue
    and noise (Efron, J. Am. Stat. Assoc. 82:171-185, 1987).

    Args:
        values: Scores of each scene, (scene, ...).
        seed: Seed of the draws: the same seed gives the same interval.
        level: Share of repetitions whose interval would hold the truth, within 0 ... 1.
        resamples: Number of times that the scenes are drawn again.

    Returns:
        Mean and both ends, (...). NaN where a value is NaN; the ends are NaN for a single scene.

    Raises:
        ValueError: If there is no scene, or the level or number of resamples is out of its bounds.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import bootstrap_mean
        >>> interval = bootstrap_mean(np.arange(20.0), seed=0)
        >>> float(interval.value), bool(interval.low < 9.5 < interval.high)
        (9.5, True)
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
    """Compute a function of means over scenes, and its BCa bootstrap interval.

    Most scores are such functions: the Dice coefficient over all pixels is one of the mean counts
    of a scene, a root mean square error is the square root of a mean.

    Args:
        values: What is averaged, (scene, ...).
        function: Function of means, (draw, ...) -> (draw, ...), each draw by itself.
        seed: Seed of the draws.
        level: Share of repetitions whose interval would hold the truth, within 0 ... 1.
        resamples: Number of times that the scenes are drawn again.

    Returns:
        Score and both ends, in the shape of the score of one draw.

    Raises:
        ValueError: If there is no scene, or the level or number of resamples is out of its bounds.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import bootstrap_of_means
        >>> squares = np.array([1.0, 4.0, 9.0, 16.0])
        >>> round(float(bootstrap_of_means(squares, np.sqrt, seed=0).value), 4)
        2.7386
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
    """Compute a share of independent events and its Wilson interval.

    Unlike that of the bootstrap it has a width where all events went one way (Wilson, J. Am. Stat.
    Assoc. 22:209-212, 1927).

    Args:
        events: Number of events that went this way, (...).
        total: Number of events, (...); where there are none, all three are NaN.
        level: Level of confidence, within 0 ... 1.

    Returns:
        Share and both ends, (...).

    Examples:
        >>> from fociscope.evaluation import share_interval
        >>> round(float(share_interval(0, 20).high), 3)
        0.161
    """
    k, n = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(total, np.float64))
    some = np.where(n > 0, n, np.nan)
    z = stats.norm.ppf((1 + level) / 2)
    share = k / some
    middle = (share + z**2 / (2 * some)) / (1 + z**2 / some)
    half = z / (1 + z**2 / some) * np.sqrt(share * (1 - share) / some + (z / some) ** 2 / 4)
    return Interval(share, np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1))


def rate_interval(events: ArrayLike, exposure: ArrayLike, *, level: float = 0.95) -> Interval:
    """Compute events per exposure, such as an area, and the exact interval of a Poisson rate.

    The ends are quantiles of chi-squared distributions (Garwood, Biometrika 28:437-442, 1936).

    Args:
        events: Number of events, (...).
        exposure: Exposure in which they were counted, (...), above 0.
        level: Level of confidence, within 0 ... 1.

    Returns:
        Rate and both ends per unit of exposure, (...).

    Examples:
        >>> from fociscope.evaluation import rate_interval
        >>> round(float(rate_interval(0, 10.0).high), 3)
        0.369
    """
    k, area = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(exposure, np.float64))
    tail = (1 - level) / 2
    low = np.where(k > 0, stats.chi2.ppf(tail, 2 * np.maximum(k, 1)) / 2, 0.0)
    high = stats.chi2.ppf(1 - tail, 2 * k + 2) / 2
    return Interval(k / area, low / area, high / area)
