"""Cell / no-cell maps against the truth, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fociscope.typing import Float64Array

__all__ = ["MaskCounts", "MaskScores", "mask_counts", "mask_scores"]


class MaskScores(NamedTuple):
    r"""Scores of cell / no-cell maps: (layer,) for each layer, or () pooled over the layers.

    With true and false positives and negatives (TP, FP, TN, FN),

    $$ \mathrm{Dice} = \frac{2 TP}{2 TP + FP + FN}, \qquad
       \mathrm{IoU} = \frac{TP}{TP + FP + FN}, \qquad
       \mathrm{MCC} = \frac{TP \cdot TN - FP \cdot FN}{\sqrt{(TP+FP)(TP+FN)(TN+FP)(TN+FN)}}. $$

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import mask_scores
        >>> truth = np.array([[[1, 1, 0, 0]]])
        >>> scores = mask_scores(np.array([[[1, 0, 0, 0]]]), truth)
        >>> float(scores.accuracy[0]), float(scores.constant_accuracy[0])
        (0.75, 0.5)
    """

    accuracy: Float64Array
    """Share of pixels that are right."""
    constant_accuracy: Float64Array
    """What always giving the layer's own constant baseline would score, frame by frame."""
    dice: Float64Array
    """2 |A and B| / (|A| + |B|) over all pixels of all frames; 1 if both are empty."""
    mcc: Float64Array
    """Matthews correlation coefficient over all pixels of all frames; 0 where it is undefined."""
    iou: Float64Array
    """|A and B| / |A or B| over all pixels of all frames; 1 if both are empty."""
    constant_dice: Float64Array
    """Dice of saying "cells" everywhere, the best that a constant baseline gets."""
    constant_iou: Float64Array
    """IoU of the same."""


@dataclass(frozen=True)
class MaskCounts:
    """Counted pixels, of which all scores of masks are made; any shape, the same for all.

    `mask_counts` gives (..., layer). Counts add up, so that scores can be pooled over any axis, and
    over scenes that are drawn again:

        bootstrap_of_means(counts.array(), lambda mean: MaskCounts.of(mean).dice, seed=0)
    """

    true_positive: Float64Array
    false_positive: Float64Array
    false_negative: Float64Array
    true_negative: Float64Array
    majority: Float64Array
    """Pixels that the constant baseline of their own frame gets right."""

    @classmethod
    def from_array(cls, array: Float64Array) -> MaskCounts:
        """Return the counts of an array (..., 5) as `array` makes it."""
        return cls(*np.moveaxis(np.asarray(array, dtype=np.float64), -1, 0))

    def array(self) -> Float64Array:
        """Return (..., 5), one count beside the other."""
        return np.stack([getattr(self, field.name) for field in fields(self)], axis=-1)

    def per_layer(self) -> MaskCounts:
        """Return (layer,): the sums over all axes but the last."""
        return MaskCounts.from_array(
            self.array().reshape(-1, self.majority.shape[-1], 5).sum(axis=0)
        )

    def pooled(self) -> MaskCounts:
        """Return (): the sums over all axes."""
        return MaskCounts.from_array(self.array().reshape(-1, 5).sum(axis=0))

    @property
    def _pixels(self) -> Float64Array:
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def _cells(self) -> Float64Array:
        return self.true_positive + self.false_negative

    @property
    def accuracy(self) -> Float64Array:
        """(TP + TN) / N."""
        return (self.true_positive + self.true_negative) / self._pixels

    @property
    def constant_accuracy(self) -> Float64Array:
        """The share of pixels that the constant baseline of each frame gets right."""
        return self.majority / self._pixels

    @property
    def dice(self) -> Float64Array:
        """2 TP / (2 TP + FP + FN); 1 where there is nothing to find and nothing was found."""
        wrong = self.false_positive + self.false_negative
        return _share(2 * self.true_positive, 2 * self.true_positive + wrong, empty=1.0)

    @property
    def iou(self) -> Float64Array:
        """TP / (TP + FP + FN); 1 where there is nothing to find and nothing was found."""
        union = self.true_positive + self.false_positive + self.false_negative
        return _share(self.true_positive, union, empty=1.0)

    @property
    def constant_dice(self) -> Float64Array:
        """2 P / (N + P) with P pixels of cells; 1 where there are none, for "no cells"."""
        return np.where(self._cells > 0, 2 * self._cells / (self._pixels + self._cells), 1.0)

    @property
    def constant_iou(self) -> Float64Array:
        """P / N with P pixels of cells; 1 where there are none, for "no cells"."""
        return np.where(self._cells > 0, self._cells / self._pixels, 1.0)

    @property
    def sensitivity(self) -> Float64Array:
        """TP / (TP + FN), of pixels; NaN where there are no cells."""
        return _share(self.true_positive, self._cells, empty=np.nan)

    @property
    def specificity(self) -> Float64Array:
        """TN / (TN + FP), of pixels; NaN where there is nothing but cells."""
        return _share(self.true_negative, self.true_negative + self.false_positive, empty=np.nan)

    @property
    def mcc(self) -> Float64Array:
        """(TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)); 0 where it is undefined."""
        spread = (
            np.sqrt(self.true_positive + self.false_positive)
            * np.sqrt(self._cells)
            * np.sqrt(self.true_negative + self.false_positive)
            * np.sqrt(self.true_negative + self.false_negative)
        )
        right = self.true_positive * self.true_negative
        return _share(right - self.false_positive * self.false_negative, spread, empty=0.0)

    def scores(self) -> MaskScores:
        """Return the scores of each element."""
        return MaskScores(*(np.asarray(getattr(self, name)) for name in MaskScores._fields))


def mask_counts(predicted: ArrayLike, truth: ArrayLike) -> MaskCounts:
    """Count the pixels of masks (..., layer, y, x) against the truth: (..., layer).

    Raises:
        ValueError: the shapes differ, or have no layers, or no pixels.
    """
    p = np.asarray(predicted, dtype=bool)
    t = np.asarray(truth, dtype=bool)
    if p.shape != t.shape or p.ndim < 3 or p.size == 0:
        raise ValueError(f"masks need one shape (..., layer, y, x); got {p.shape} and {t.shape}")
    found, cells, both = (a.sum((-2, -1), dtype=np.float64) for a in (p, t, p & t))
    pixels = float(p.shape[-2] * p.shape[-1])
    return MaskCounts(
        true_positive=both,
        false_positive=found - both,
        false_negative=cells - both,
        true_negative=pixels - found - cells + both,
        majority=np.maximum(cells, pixels - cells),
    )


def mask_scores(predicted: ArrayLike, truth: ArrayLike) -> MaskScores:
    """Score masks against the truth, for each layer, beside the constant baseline.

    For scores over all layers together: `mask_counts(predicted, truth).pooled().scores()`.

    Args:
        predicted: Predicted masks, (..., layer, y, x).
        truth: True masks, of the same shape.

    Returns:
        The scores of each layer over all scenes, each (layer,).

    Raises:
        ValueError: If the shapes differ, or have no layers or no pixels.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import mask_scores
        >>> truth = np.zeros((1, 2, 4, 4), bool)
        >>> truth[0, 0, :2] = True
        >>> mask_scores(truth, truth).dice
        array([1., 1.])
    """
    return mask_counts(predicted, truth).per_layer().scores()


def _share(part: Float64Array, whole: Float64Array, *, empty: float) -> Float64Array:
    some = np.where(whole > 0, whole, 1.0)
    return np.asarray(np.where(whole > 0, part / some, empty))
