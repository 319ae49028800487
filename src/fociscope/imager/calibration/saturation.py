"""Which pixels are cut off at the top, although a file rarely says where its converter ends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["saturated"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FLAT_PIXELS = 3
"""So many pixels at the very maximum, side by side, are no chance."""
FULL_SCALES = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16))


def saturated(planes: FloatArray, saturation_counts: float | None) -> BoolArray:
    """Return which pixels of a sensor's stack are saturated.

    Without `saturation_counts` the very maximum of the stack counts as saturation where several
    pixels share it and it is the full scale of a converter, or they lie side by side or in
    successive planes.

    Args:
        planes: (depth, y, x) counts; minus infinity where a pixel does not count.
        saturation_counts: from where on a pixel is saturated, if that is known.
    """
    if saturation_counts is not None:
        return np.asarray(planes >= saturation_counts)
    top = float(planes.max())
    at_top = np.asarray(planes == top)
    runs, _ = ndimage.label(at_top)
    flat = int(np.bincount(runs.ravel())[1:].max()) >= FLAT_PIXELS
    full_scale = top in FULL_SCALES and int(at_top.sum()) >= FLAT_PIXELS
    return at_top if flat or full_scale else np.zeros_like(at_top)
