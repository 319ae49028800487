r"""What a focus is, and the probability that one of a map is there.

A focus is a connected part of the mask of a layer: pixels that share an edge or a corner are one
focus (8-connectivity); layers, and frames, are never connected. A focus of a map is *there* if one
of its pixels lies on a true focus of the same layer, or beside one.

The mean probability of a focus's pixels is not the probability that it is there: a large focus
whose pixels are each unsure is surely there, one bright pixel may be noise. A logistic regression
on three measures of a focus, the highest probability of its pixels $p_\text{max}$, their mean
$\bar p$ and their number $n$,

$$P = \sigma\left(w_0 + w_1 \operatorname{logit} p_\text{max} + w_2 \operatorname{logit} \bar p
  + w_3 \log n\right),$$

is fitted once per model to the foci that its network makes out on calibration scenes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, logit

from fociscope.configuration import Configuration
from fociscope.logistic import fit_weights
from fociscope.typing import BoolArray, Float64Array, Int64Array

__all__ = [
    "NEIGHBOURS",
    "FocusProbability",
    "are_there",
    "fit_focus_probability",
    "highest_in_each",
    "number_foci",
]

#: Connects the eight neighbours in an image (y, x), and no image with another.
NEIGHBOURS = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))]).astype(np.int8)
#: Probabilities of pixels nearer to 0 or 1 than this tell foci no further apart.
LEAST_PROBABILITY = 1e-4
#: Weight of the ridge, which keeps weights finite if all foci, or none, are there.
PENALTY = 1e-2


class FocusProbability(Configuration):
    """The logistic regression that turns measures of a focus into the probability of it.

    Examples:
        >>> from fociscope.networks.foci import FocusProbability
        >>> model = FocusProbability(weights=(0.0, 1.0, 0.0, 0.0))
        >>> model([0.9, 0.6], [0.7, 0.6], [4, 1]).round(3)
        array([0.9, 0.6])
    """

    weights: tuple[float, float, float, float]
    """Of 1, the logits of the highest and of the mean probability, and the logarithm of the number
    of pixels."""

    def __call__(
        self,
        highest: Float64Array | list[float],
        mean: Float64Array | list[float],
        pixels: Float64Array | list[int],
    ) -> Float64Array:
        """Return the probability that each focus is there.

        Args:
            highest: Highest probability of the pixels of each focus, (focus,).
            mean: Mean probability of its pixels, (focus,).
            pixels: Number of its pixels, (focus,).

        Returns:
            Probabilities within 0 ... 1, (focus,).
        """
        return np.asarray(expit(_terms(highest, mean, pixels) @ np.array(self.weights)))


def fit_focus_probability(
    highest: Float64Array, mean: Float64Array, pixels: Float64Array, there: BoolArray
) -> FocusProbability | None:
    """Fit the regression by maximum likelihood.

    Args:
        highest: Highest probability of the pixels of each focus, (focus,).
        mean: Mean probability of its pixels, (focus,).
        pixels: Number of its pixels, (focus,).
        there: Whether it is there, (focus,).

    Returns:
        The regression; None if there is no focus to fit it to.
    """
    if len(there) == 0:
        return None
    weights = fit_weights(_terms(highest, mean, pixels), there, penalty=PENALTY)
    return FocusProbability(weights=(weights[0], weights[1], weights[2], weights[3]))


def number_foci(masks: BoolArray) -> tuple[NDArray[np.int32], Int64Array]:
    """Number the foci of masks.

    Args:
        masks: (image, y, x).

    Returns:
        (image, y, x) 0 where there is no focus, else its number from 1 on among those of all
        images, in the order of each focus's first pixel, row by row; and (focus,) its image.
    """
    labels, foci = ndimage.label(masks, NEIGHBOURS, output=np.int32)
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    # scipy does not promise an order of its labels; that of first pixels is ours.
    first = np.full(foci + 1, flat.size, dtype=np.int64)
    np.minimum.at(first, flat[inside], inside)
    order = np.argsort(first[1:])
    numbers = np.zeros(foci + 1, dtype=np.int32)
    numbers[1:][order] = np.arange(1, foci + 1)
    return numbers[labels], first[1:][order] // max(1, masks[0].size)


def are_there(numbers: NDArray[np.int32], foci: int, truth: BoolArray) -> BoolArray:
    """Return (focus,) whether each focus lies on a true one or beside one.

    Args:
        numbers: (image, y, x) as of `number_foci`.
        foci: Number of foci.
        truth: True masks, of the same shape.
    """
    near = ndimage.binary_dilation(truth, NEIGHBOURS)
    return np.asarray(np.bincount(numbers[near], minlength=foci + 1)[1:] > 0)


def highest_in_each(
    numbers: NDArray[np.int32], foci: int, values: NDArray[np.floating]
) -> Float64Array:
    """Return (focus,) the highest of values (image, y, x) within each focus of `number_foci`."""
    highest = np.full(foci + 1, -np.inf)
    np.maximum.at(highest, numbers.ravel(), values.ravel())
    return highest[1:]


def _terms(
    highest: Float64Array | list[float],
    mean: Float64Array | list[float],
    pixels: Float64Array | list[int],
) -> Float64Array:
    """Return (focus, term)."""
    sure = [np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY) for p in (highest, mean)]
    size = np.log(np.asarray(pixels, dtype=np.float64))
    return np.stack([np.ones_like(size), logit(sure[0]), logit(sure[1]), size], axis=1)
