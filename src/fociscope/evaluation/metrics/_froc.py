r"""Detection of foci over all thresholds: sensitivity by size at a stated rate of false foci.

A free-response receiver operating characteristic (Bunch et al., Proc. SPIE 127:124-135, 1977).
Candidates are the local maxima of a probability map, so that marking everything finds nothing: a
blob over the whole frame has one maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from fociscope.networks.foci import NEIGHBOURS, number_foci
from fociscope.typing import Float64Array, IndexArray

__all__ = ["FocusCandidates", "focus_candidates"]

#: Least probability of a candidate.
FLOOR = 1e-3


@dataclass(frozen=True)
class FocusCandidates:
    """Candidates of many frames: the best at each true focus, and those that lie at none.

    Attributes:
        cells: (focus,) size of each true focus in cells.
        score: (focus,) probability of the best candidate in it or beside it; 0 without any.
        false_score: (candidate,) probability of each candidate that lies at no true focus.
        frames: Number of frames.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation.metrics import FocusCandidates
        >>> found = FocusCandidates(
        ...     np.array([1.0, 4.0]), np.array([0.4, 0.8]), np.array([0.9, 0.6, 0.2]), frames=1
        ... )
        >>> found.threshold(1.0) > 0.6
        True
        >>> [count.tolist() for count in found.detected([1, 2, 6], false_per_frame=1.0)]
        [[0, 1], [1, 1]]
    """

    cells: Float64Array
    score: Float64Array
    false_score: Float64Array
    frames: int

    def threshold(self, false_per_frame: float) -> float:
        """Return the least threshold with at most so many false candidates per frame.

        Args:
            false_per_frame: Mean number of false candidates that is allowed.
        """
        allowed = int(false_per_frame * self.frames)
        if len(self.false_score) <= allowed:
            return FLOOR
        worst = np.sort(self.false_score)[::-1][allowed]
        return float(np.nextafter(worst, np.inf))

    def detected(
        self, edges_cells: ArrayLike, *, false_per_frame: float = 1.0
    ) -> tuple[IndexArray, IndexArray]:
        """Return how many foci are detected at a rate of false candidates, and how many there are.

        Args:
            edges_cells: (bin + 1,) increasing sizes in cells; a bin holds its lower edge.
            false_per_frame: Mean number of false candidates per frame that is allowed.

        Returns:
            (bin,) detected foci, and (bin,) foci.
        """
        edges = np.asarray(edges_cells, dtype=np.float64)
        which = np.searchsorted(edges, self.cells, side="right") - 1
        inside = (which >= 0) & (which < len(edges) - 1)
        found = inside & (self.score >= self.threshold(false_per_frame))
        bins = len(edges) - 1
        return np.bincount(which[found], minlength=bins), np.bincount(which[inside], minlength=bins)

    @classmethod
    def joined(cls, parts: list[FocusCandidates]) -> FocusCandidates:
        """Return the candidates of all parts."""
        return cls(
            np.concatenate([part.cells for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.false_score for part in parts]),
            sum(part.frames for part in parts),
        )


def focus_candidates(probability: ArrayLike, mask: ArrayLike, cells: ArrayLike) -> FocusCandidates:
    """Return the local maxima of probability maps, beside the true foci.

    A candidate is a maximum among its eight neighbours (a plateau counts once, at the pixel next to
    its centre) with a probability of at least 0.001. It belongs to a true focus if it lies on a
    pixel of it or beside one.

    Args:
        probability: (..., y, x) of cells.
        mask: (..., y, x) pixels with cells.
        cells: (..., y, x) cells in each pixel.

    Returns:
        The candidates; each (y, x) is a frame.

    Raises:
        ValueError: If the shapes differ.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation.metrics import focus_candidates
        >>> probability, mask = np.zeros((9, 9)), np.zeros((9, 9), bool)
        >>> mask[2, 2], probability[2, 3], probability[7, 7] = True, 0.8, 0.3
        >>> found = focus_candidates(probability, mask, mask.astype(int))
        >>> found.score, found.false_score
        (array([0.8]), array([0.3]))
    """
    p = np.asarray(probability, dtype=np.float64)
    t, n = np.asarray(mask, dtype=bool), np.asarray(cells, dtype=np.float64)
    if p.shape != t.shape or n.shape != t.shape or t.ndim < 2:
        raise ValueError(
            f"probability, mask and cells need one shape (..., y, x); got {p.shape}, {t.shape} "
            f"and {n.shape}"
        )
    p, t, n = (a.reshape(-1, *t.shape[-2:]) for a in (p, t, n))
    foci, frame = number_foci(np.asarray(t, dtype=np.bool_))
    number = len(frame)
    size = np.bincount(foci.ravel(), n.ravel(), number + 1)[1:].astype(np.float64)
    peak, maxima = ndimage.label(
        (p == ndimage.maximum_filter(p, (1, 3, 3))) & (p >= FLOOR), NEIGHBOURS
    )
    best, false = np.zeros(number + 1), []
    if maxima:
        place = _middles(peak, maxima)
        # Of two foci beside a candidate, the one of the higher number has it.
        beside = ndimage.maximum_filter(foci, (1, 3, 3))
        on = foci[tuple(place.T)]
        home = np.where(on > 0, on, beside[tuple(place.T)])
        score = p[tuple(place.T)]
        np.maximum.at(best, home, score)
        false = score[home == 0]
    return FocusCandidates(size, best[1:], np.asarray(false, dtype=np.float64), len(t))


def _middles(labels: IndexArray, number: int) -> IndexArray:
    """Return (label, 3) the pixel of each label that is nearest to its centre."""
    place = np.argwhere(labels)
    which = labels[labels > 0] - 1
    count = np.bincount(which, minlength=number)
    centre = np.stack([np.bincount(which, axis, number) / count for axis in place.T], axis=1)
    distance = ((place - centre[which]) ** 2).sum(axis=1)
    order = np.lexsort((distance, which))
    first = np.searchsorted(which[order], np.arange(number))
    return place[order[first]]
