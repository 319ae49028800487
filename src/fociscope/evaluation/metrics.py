"""How good a map is: each figure beside what a guess that ignores the capture would score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MaskScores", "expected_calibration_error", "mask_scores"]


class MaskScores(NamedTuple):
    """Scores of cell / no-cell maps, per layer; each is (layer,)."""

    accuracy: NDArray[np.float64]
    """Share of pixels that are right."""
    constant_accuracy: NDArray[np.float64]
    """What always giving the layer's own majority answer would score, frame by frame."""
    dice: NDArray[np.float64]
    """2 |A and B| / (|A| + |B|) over all pixels of all frames; 1 if both are empty."""
    mcc: NDArray[np.float64]
    """Matthews correlation coefficient over all pixels of all frames; 0 where it is undefined."""


def mask_scores(predicted: ArrayLike, truth: ArrayLike) -> MaskScores:
    """Score masks (..., layer, y, x) against the truth of the same shape."""
    p = np.asarray(predicted, dtype=bool)
    t = np.asarray(truth, dtype=bool)
    if p.shape != t.shape or p.ndim < 3:
        raise ValueError(f"masks need one shape (..., layer, y, x); got {p.shape} and {t.shape}")
    over = tuple(i for i in range(p.ndim) if i != p.ndim - 3)
    true_positive = (p & t).sum(over).astype(float)
    true_negative = (~p & ~t).sum(over).astype(float)
    false_positive = (p & ~t).sum(over).astype(float)
    false_negative = (~p & t).sum(over).astype(float)

    coverage = t.mean((-2, -1))
    frames = tuple(range(coverage.ndim - 1))
    found = 2 * true_positive + false_positive + false_negative
    spread = (
        np.sqrt(true_positive + false_positive)
        * np.sqrt(true_positive + false_negative)
        * np.sqrt(true_negative + false_positive)
        * np.sqrt(true_negative + false_negative)
    )
    correlation = true_positive * true_negative - false_positive * false_negative
    return MaskScores(
        accuracy=np.asarray((p == t).mean(over)),
        constant_accuracy=np.asarray(np.maximum(coverage, 1 - coverage).mean(frames)),
        dice=np.where(found > 0, 2 * true_positive / np.maximum(found, 1), 1.0),
        mcc=np.where(spread > 0, correlation / np.where(spread > 0, spread, 1), 0.0),
    )


def expected_calibration_error(
    probability: ArrayLike, truth: ArrayLike, *, bins: int = 15
) -> float:
    """Return the mean distance of stated probability and observed frequency, weighted by pixels.

    Guo et al., ICML 2017, for the probability of one class in evenly spaced bins.
    """
    p = np.asarray(probability, dtype=np.float64).ravel()
    t = np.asarray(truth, dtype=np.float64).ravel()
    which = np.minimum((p * bins).astype(np.intp), bins - 1)
    gap = np.bincount(which, p - t, bins)
    return float(np.abs(gap).sum() / p.size)
