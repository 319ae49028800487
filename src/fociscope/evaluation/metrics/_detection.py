"""Detecting foci: of what size they are found, and how often something is found where none is.

A focus is a connected part of a mask; pixels that share an edge or a corner are connected
(8-connectivity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fociscope.evaluation.bootstrap import Interval, rate_interval, share_interval
from fociscope.networks.foci import are_there, highest_in_each, number_foci
from fociscope.typing import BoolArray, Float64Array, IndexArray, Int64Array

__all__ = ["FociDetection", "SizeSensitivity", "detect_foci", "foci_stated_and_there"]


@dataclass(frozen=True)
class SizeSensitivity:
    """The share of foci that were detected, by their size."""

    edges_cells: Float64Array
    """(bin + 1,) sizes; a bin holds its lower edge and not its upper one."""
    detected: Int64Array
    """(bin,) foci found."""
    foci: Int64Array
    """(bin,) foci there were."""
    share: Interval
    """(bin,) with its Wilson interval, which takes foci for independent; NaN in empty bins."""


@dataclass(frozen=True)
class FociDetection:
    """The foci of many frames, and whether they were found."""

    cells: Float64Array
    """(focus,) size of each true focus in cells."""
    area_px: Int64Array
    """(focus,) its pixels."""
    covered: Float64Array
    """(focus,) share of its pixels that were predicted."""
    frame: IndexArray
    """(focus,) number of its frame, all leading axes counted as one."""
    predicted_foci: Int64Array
    """(frame,) foci of the prediction."""
    false_foci: Int64Array
    """(frame,) those of them that share no pixel with the truth."""
    frame_mm2: float
    """Area of a frame."""

    def detected(self, fraction: float = 0.0) -> BoolArray:
        """Return (focus,): at least one of its pixels was predicted, and this share of them."""
        return (self.covered > 0) & (self.covered >= fraction)

    def sensitivity(
        self, edges_cells: ArrayLike, *, fraction: float = 0.0, level: float = 0.95
    ) -> SizeSensitivity:
        """Return the share of foci that were detected, by their size.

        Args:
            edges_cells: (bin + 1,) increasing sizes; the last may be infinite.
            fraction: of a focus that must be predicted; without it, any pixel will do.
            level: of the intervals.

        Raises:
            ValueError: edges that do not increase.
        """
        edges = np.asarray(edges_cells, dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ValueError(f"sizes need two edges or more that increase; got {edges.tolist()}")
        which = np.searchsorted(edges, self.cells, side="right") - 1
        inside = (which >= 0) & (which < len(edges) - 1)
        bins = len(edges) - 1
        foci = np.bincount(which[inside], minlength=bins)
        found = np.bincount(which[inside & self.detected(fraction)], minlength=bins)
        return SizeSensitivity(edges, found, foci, share_interval(found, foci, level=level))

    def false_foci_per_mm2(self, *, level: float = 0.95) -> Interval:
        """Return false foci per area imaged, with the interval of a Poisson rate."""
        area_mm2 = self.frame_mm2 * len(self.false_foci)
        return rate_interval(self.false_foci.sum(), area_mm2, level=level)

    def precision(self, *, level: float = 0.95) -> Interval:
        """Return the share of predicted foci that are not false, with its Wilson interval."""
        total = self.predicted_foci.sum()
        return share_interval(total - self.false_foci.sum(), total, level=level)


def detect_foci(
    predicted: ArrayLike, truth: ArrayLike, *, cells_per_pixel: ArrayLike, pixel_pitch_um: float
) -> FociDetection:
    """Find the foci of true masks, which of them a prediction detects, and its false foci.

    A focus is a connected part of a mask, by edges or corners of pixels (8-connectivity).

    Args:
        predicted: Predicted masks, (..., y, x), true in foci.
        truth: True masks, (..., y, x), true in foci.
        cells_per_pixel: Mean number of cells in a pixel of the true mask, from which the size of a
            focus is estimated (density times the area of a pixel, `Specimen.cells_per_unit_light`
            if masks are filled); or the number of cells in each pixel, (..., y, x).
        pixel_pitch_um: Side of a pixel in um.

    Returns:
        The size of each true focus in cells and in pixels, (focus,), the share of its pixels that
        is predicted, and the number of predicted and of false foci, (frame,).

    Raises:
        ValueError: If the shapes of the masks differ, `cells_per_pixel` has another shape or is
            negative, or the pitch is not above 0.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import detect_foci
        >>> predicted, truth = np.zeros((2, 10, 10), dtype=bool)
        >>> truth[1:4, 1:4] = truth[7:9, 7:9] = True
        >>> predicted[2:4, 2:4] = predicted[0, 9] = True
        >>> foci = detect_foci(predicted, truth, cells_per_pixel=2.0, pixel_pitch_um=55.0)
        >>> foci.cells, foci.detected(), foci.false_foci
        (array([18.,  8.]), array([ True, False]), array([1]))
    """
    p, t = _frames(predicted, truth)
    cells = np.asarray(cells_per_pixel, dtype=np.float64)
    if cells.ndim and cells.shape != np.shape(truth):
        raise ValueError(
            f"cells_per_pixel needs to be a number or of the masks' shape {np.shape(truth)}; "
            f"got {cells.shape}"
        )
    if not (cells >= 0).all() or not pixel_pitch_um > 0:
        raise ValueError(
            f"cells must be 0 or more in each pixel, and the pitch above 0; got {cells.min():g} "
            f"and {pixel_pitch_um:g} µm"
        )
    labels, frame = number_foci(t)
    foci = len(frame)
    # Label 0 is what lies between the foci.
    area = np.bincount(labels.ravel(), minlength=foci + 1)[1:]
    covered = np.bincount(labels.ravel(), p.ravel(), foci + 1)[1:]
    if not cells.ndim:
        cells = np.full(t.shape, float(cells))
    size = np.bincount(labels.ravel(), cells.ravel(), foci + 1)[1:].astype(np.float64)
    found, home = number_foci(p)
    touching = np.bincount(found.ravel(), t.ravel(), len(home) + 1)[1:]
    return FociDetection(
        cells=size,
        area_px=area.astype(np.int64),
        covered=covered / np.maximum(area, 1),
        frame=frame,
        predicted_foci=np.bincount(home, minlength=len(t)),
        false_foci=np.bincount(home[touching == 0], minlength=len(t)),
        frame_mm2=t.shape[1] * t.shape[2] * (pixel_pitch_um / 1000) ** 2,
    )


def foci_stated_and_there(
    predicted: ArrayLike, focus_probability: ArrayLike, truth: ArrayLike
) -> Float64Array:
    """Return what is stated of each predicted focus, and whether it is there.

    A predicted focus is there if one of its pixels lies on a true focus or beside one.

    Args:
        predicted: Predicted masks, (..., y, x).
        focus_probability: Probability of the focus that a pixel belongs to, (..., y, x).
        truth: True masks, (..., y, x).

    Returns:
        (focus, 2) stated probability, and 1 where the focus is there, else 0.

    Raises:
        ValueError: If the shapes differ.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation.metrics import foci_stated_and_there
        >>> predicted, truth = np.zeros((2, 9, 9), dtype=bool)
        >>> predicted[2, 2] = predicted[6, 6] = truth[3, 3] = True
        >>> foci_stated_and_there(predicted, 0.75 * predicted, truth)
        array([[0.75, 1.  ],
               [0.75, 0.  ]])
    """
    p, t = _frames(predicted, truth)
    stated = np.asarray(focus_probability, dtype=np.float64).reshape(p.shape)
    numbers, frame = number_foci(p)
    foci = len(frame)
    return np.stack(
        [highest_in_each(numbers, foci, stated), are_there(numbers, foci, t)], axis=1
    ).astype(np.float64)


def _frames(predicted: ArrayLike, truth: ArrayLike) -> tuple[BoolArray, BoolArray]:
    p, t = np.asarray(predicted, dtype=bool), np.asarray(truth, dtype=bool)
    if p.shape != t.shape or p.ndim < 2 or p.size == 0:
        raise ValueError(f"masks need one shape (..., y, x); got {p.shape} and {t.shape}")
    frames = math.prod(p.shape[:-2])
    return p.reshape(frames, *p.shape[-2:]), t.reshape(frames, *t.shape[-2:])
