r"""A volume on another grid of depths, without cells won or lost.

A voxel's probability and light are shared by the slices that overlap it, in proportion,

$$ p'_t = \min\Big(1,\; \sum_s p_s \frac{|s \cap t|}{|s|}\Big) , $$

as if its cells lay at one depth somewhere within it. So a column holds as many expected cells as
before, unless a thick slice is sure to hold some and can hold no more.
"""

from __future__ import annotations

import math

import numpy as np

from fociscope.errors import FociscopeError
from fociscope.typing import Float32Array, Float64Array

__all__ = ["Grid", "grid_edges", "overlaps"]

#: Number of slices of the gap, or the first edge, the last one and the step in um.
Grid = int | tuple[float, float, float]
LEAST_SLICES, MOST_SLICES = 2, 1000


def grid_edges(grid: Grid, gap_um: float) -> Float64Array:
    """Return the edges of the slices of a grid of depths, in um.

    Args:
        grid: Number of slices of equal thickness over the whole gap, or the first edge, the last
            one and the step in um.
        gap_um: Thickness of the whole volume in um.

    Returns:
        (slice + 1,) edges.

    Raises:
        FociscopeError: If the grid has fewer than 2 slices or very many, or leaves the gap.

    Examples:
        >>> from fociscope.results.volume_regrid import grid_edges
        >>> grid_edges((100, 200, 25), 1000.0)
        array([100., 125., 150., 175., 200.])
    """
    if isinstance(grid, tuple):
        first, last, step = (float(value) for value in grid)
        fits = all(map(math.isfinite, grid)) and step > 0 and 0 <= first < last <= gap_um
        count = round((last - first) / step) if fits else 0
        if not fits or abs(count * step - (last - first)) > 1e-6 * step * max(count, 1):
            raise FociscopeError(
                f"depths from {first:g} to {last:g} µm by {step:g}; expected whole steps within 0 "
                f"to {gap_um:g} µm",
                fields=("grid",),
            )
    else:
        first, last, count = 0.0, float(gap_um), int(grid)
    if not LEAST_SLICES <= count <= MOST_SLICES:
        raise FociscopeError(
            f"a grid of {count} slices; expected {LEAST_SLICES} to {MOST_SLICES}",
            fields=("grid",),
            value=count,
            least=LEAST_SLICES,
            most=MOST_SLICES,
        )
    return np.linspace(first, last, count + 1)


def overlaps(slice_um: Float32Array, edges_um: Float64Array, gap_um: float) -> Float64Array:
    """Return the share of each slice that lies in each slice of another grid.

    Args:
        slice_um: (slice,) middles of evenly spaced slices in um.
        edges_um: (other + 1,) edges of the other slices in um.
        gap_um: Thickness of the whole volume in um, that of a single slice.

    Returns:
        (other, slice) shares.

    Examples:
        >>> import numpy as np
        >>> from fociscope.results.volume_regrid import overlaps
        >>> overlaps(np.array([50.0, 150.0]), np.array([0.0, 150.0, 200.0]), 200.0)
        array([[1. , 0.5],
               [0. , 0.5]])
    """
    middle = np.asarray(slice_um, np.float64)
    half = 0.5 * (middle[1] - middle[0]) if len(middle) > 1 else 0.5 * gap_um
    low = np.maximum(edges_um[:-1, None], middle - half)
    high = np.minimum(edges_um[1:, None], middle + half)
    return np.asarray(np.maximum(high - low, 0) / (2 * half))
