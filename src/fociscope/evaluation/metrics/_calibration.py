"""Whether stated probabilities come true.

The constant baseline, which always states the share of cells, is perfectly calibrated: read the
calibration error beside a score that rewards knowing, such as `brier_score`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fociscope.typing import Float64Array, Int64Array

__all__ = [
    "BrierScore",
    "ReliabilityCurve",
    "brier_score",
    "expected_calibration_error",
    "reliability_curve",
]


@dataclass(frozen=True)
class ReliabilityCurve:
    """Stated probability against observed frequency; NaN in bins that nothing fell into."""

    edges: Float64Array
    """(bin + 1,) of the probabilities; a bin holds its lower edge, the last one both."""
    probability: Float64Array
    """(bin,) mean of what was stated."""
    frequency: Float64Array
    """(bin,) share of pixels with cells."""
    count: Int64Array
    """(bin,) pixels."""

    @property
    def expected_calibration_error(self) -> float:
        """Mean of |stated - observed| over the bins, weighted by their pixels."""
        filled = self.count > 0
        gap = np.abs(self.probability - self.frequency)[filled]
        return float((gap * self.count[filled]).sum() / self.count.sum())

    @property
    def largest_calibration_error(self) -> float:
        """The largest |stated - observed| of a bin; a bin of few pixels may set it."""
        return float(np.nanmax(np.abs(self.probability - self.frequency)))


class BrierScore(NamedTuple):
    """Mean squared difference of probability and truth, and that of a constant baseline."""

    score: float
    constant: float
    """Of always stating the share of cells: share (1 - share)."""

    @property
    def skill(self) -> float:
        """1 - score / constant: 1 is perfect, 0 no better than the constant baseline."""
        return 1 - self.score / self.constant if self.constant > 0 else float("nan")


def reliability_curve(
    probability: ArrayLike, truth: ArrayLike, *, bins: int = 15, adaptive: bool = False
) -> ReliabilityCurve:
    """Hold stated probabilities against observed frequencies.

    Args:
        probability: (...) of cells, within 0 ... 1.
        truth: (...) whether there are cells.
        bins: how many.
        adaptive: bins of equal numbers of pixels (Nguyen and O'Connor, EMNLP 2015) instead of
            equal widths (Guo et al., ICML 2017). Most pixels of a map are sure ones, which equal
            widths leave to the two outer bins. Pixels of one probability stay together, so that
            fewer bins may come back.

    Raises:
        ValueError: shapes that differ or are empty, probabilities outside 0 ... 1, or no bin.
    """
    p, t = _checked(probability, truth)
    if bins < 1:
        raise ValueError(f"a reliability curve needs a bin or more; got {bins}")
    if adaptive:
        inner = np.unique(np.quantile(p, np.arange(1, bins) / bins))
        edges = np.concatenate([[0.0], inner[(inner > p.min()) & (inner > 0)], [1.0]])
        which = np.searchsorted(edges[1:-1], p, side="right")
    else:
        edges = np.arange(bins + 1) / bins
        which = np.minimum((p * bins).astype(np.intp), bins - 1)
    count = np.bincount(which, minlength=len(edges) - 1)
    some = np.where(count > 0, count, np.nan)
    return ReliabilityCurve(
        edges=edges,
        probability=np.bincount(which, p, len(count)) / some,
        frequency=np.bincount(which, t, len(count)) / some,
        count=count.astype(np.int64),
    )


def expected_calibration_error(
    probability: ArrayLike, truth: ArrayLike, *, bins: int = 15, adaptive: bool = False
) -> float:
    r"""Compute the mean distance of stated probability and observed frequency, weighted by pixels.

    $$ \mathrm{ECE} = \sum_b \frac{n_b}{N} \, \lvert \bar p_b - \bar t_b \rvert $$

    over bins $b$ of the stated probability (Guo et al., ICML 2017, equation 3). The constant
    baseline, the share of cells, scores 0: read it beside `brier_score`.

    Args:
        probability: Stated probabilities of cells, (...), within 0 ... 1.
        truth: Whether there are cells, (...).
        bins: Number of bins.
        adaptive: Whether bins hold equal numbers of pixels (Nguyen, O'Connor, EMNLP 2015) in place
            of equal widths.

    Returns:
        The error, within 0 ... 1.

    Raises:
        ValueError: If shapes differ or are empty, a probability lies outside 0 ... 1, or there is
            no bin.

    Examples:
        >>> from fociscope.evaluation import expected_calibration_error
        >>> round(expected_calibration_error([0.9, 0.9, 0.1, 0.1], [1, 1, 0, 0]), 3)
        0.1
    """
    curve = reliability_curve(probability, truth, bins=bins, adaptive=adaptive)
    return curve.expected_calibration_error


def brier_score(probability: ArrayLike, truth: ArrayLike) -> BrierScore:
    """Return the mean squared difference of probability (...) and truth (...).

    Brier, Mon. Weather Rev. 78:1-3 (1950), for one of two classes.

    Raises:
        ValueError: as for `reliability_curve`.
    """
    p, t = _checked(probability, truth)
    share = t.mean()
    return BrierScore(float(((p - t) ** 2).mean()), float(share * (1 - share)))


def _checked(probability: ArrayLike, truth: ArrayLike) -> tuple[Float64Array, Float64Array]:
    p = np.asarray(probability, dtype=np.float64)
    t = np.asarray(truth, dtype=np.float64)
    if p.shape != t.shape or p.size == 0:
        raise ValueError(
            f"probability and truth need one shape and a pixel; got {p.shape} and {t.shape}"
        )
    if not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probabilities must lie within 0 ... 1; got {p.min():g} to {p.max():g}")
    return p.ravel(), t.ravel()
