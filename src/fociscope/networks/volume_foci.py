r"""The foci of a volume: connected voxels in three dimensions, measured in micrometres.

Captures tell the depth of cells less sharply than a slice is thick, so the probability of cells
spreads over neighbouring slices, and none of them may hold half of it. Whether cells lie within
some distance of a depth is surer,

$$ P_s = \min\Big(1,\; \sum_{|z_t - z_s| \le w} p_t \Big) , $$

and a focus is a connected part of the voxels where $P_s$ reaches a threshold (26-connectivity).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from fociscope.errors import FociscopeError
from fociscope.typing import Float32Array, Float64Array, Int64Array

__all__ = ["NEAR_UM", "VolumeFoci", "find_volume_foci", "near_probability"]

#: Within this distance in depth, cells count as here.
NEAR_UM = 60.0
#: Connects all 26 neighbours.
_NEIGHBOURS = np.ones((3, 3, 3), dtype=np.int8)


@dataclass(frozen=True)
class VolumeFoci:
    """The foci of one volume, one row each, the surest first.

    Places are weighted by probability; the outer edge of the frame's first pixel is at 0.

    Examples:
        >>> import numpy as np
        >>> from fociscope.networks.volume_foci import find_volume_foci
        >>> probability = np.zeros((4, 9, 9), np.float32)
        >>> probability[1, 4, 4] = 0.9
        >>> foci = find_volume_foci(probability, probability, [50, 150, 250, 350], pitch_um=55.0)
        >>> len(foci), foci.depth_um, foci.x_um
        (1, array([150.]), array([247.5]))
    """

    label: Int64Array
    """(focus,) number in the labelled volume, from 1."""
    x_um: Float64Array
    y_um: Float64Array
    depth_um: Float64Array
    depth_std_um: Float64Array
    """(focus,) standard deviation of the depth: how far the probability spreads, by the model's
    calibration."""
    shallowest_um: Float64Array
    """(focus,) depth of the uppermost slice that it reaches."""
    deepest_um: Float64Array
    width_um: Float64Array
    """(focus,) extent along x."""
    height_um: Float64Array
    """(focus,) extent along y."""
    volume_um3: Float64Array
    """(focus,) volume that is expected to hold cells: the sum of the probabilities."""
    brightness: Float64Array
    """(focus,) sum of the light, in the unit of sensor A's image."""
    cells: Float64Array
    """(focus,) number of cells of the assumed diameter that, side by side, have its area."""
    probability: Float64Array
    """(focus,) greatest probability that cells lie near a voxel of it."""

    def __len__(self) -> int:
        """Return the number of foci."""
        return len(self.label)

    def rows(self) -> NDArray[np.void]:
        """Return a structured array (focus,) with the columns of `foci.csv`."""
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        rows = np.empty(len(self), dtype=[(name, array.dtype) for name, array in columns.items()])
        for name, array in columns.items():
            rows[name] = array
        return rows


def near_probability(
    probability: ArrayLike, slice_um: ArrayLike, *, near_um: float = NEAR_UM
) -> Float32Array:
    """Return the probability that cells lie within some distance in depth.

    It is the sum over slices, at most 1, as if a column held cells at one depth there.

    Args:
        probability: Probability of cells in each voxel, (..., slice, y, x).
        slice_um: Depth of the middle of each slice in um, (slice,).
        near_um: Distance in um.

    Returns:
        The shape of `probability`.
    """
    p, z = np.asarray(probability, np.float32), np.asarray(slice_um, np.float64)
    near = (np.abs(z[:, None] - z) <= near_um).astype(np.float32)
    return np.asarray(np.minimum(np.einsum("st,...tyx->...syx", near, p), 1), np.float32)


def find_volume_foci(
    probability: ArrayLike,
    light: ArrayLike,
    slice_um: ArrayLike,
    *,
    pitch_um: float,
    threshold: float = 0.5,
    near_um: float = NEAR_UM,
    spread_scale: float = 1.0,
    cell_diameter_um: float = 60.0,
) -> VolumeFoci:
    """Find the foci of one volume.

    Args:
        probability: Probability of cells in each voxel, (slice, y, x).
        light: Light of each voxel, (slice, y, x).
        slice_um: Depth of the middle of each slice in um, (slice,), evenly spaced.
        pitch_um: Side of a pixel in um.
        threshold: Probability near a voxel from which on it belongs to a focus.
        near_um: Distance in depth that counts as near, in um.
        spread_scale: Standard deviation of a depth by the spread of its probability.
        cell_diameter_um: Diameter of a typical cell in um, for the number of cells.

    Returns:
        The foci.

    Raises:
        FociscopeError: If the shapes do not fit, or a number is not above 0.

    Examples:
        >>> import numpy as np
        >>> from fociscope.networks import find_volume_foci
        >>> probability = np.zeros((4, 9, 9))
        >>> probability[[0, 3], 4, 4] = 0.8, 0.9
        >>> find_volume_foci(probability, probability, [125, 375, 625, 875], pitch_um=55).depth_um
        array([875., 125.])
    """
    p, bright = np.asarray(probability, np.float64), np.asarray(light, np.float64)
    z = np.asarray(slice_um, np.float64)
    if p.ndim != 3 or p.shape != bright.shape or z.shape != p.shape[:1]:
        raise FociscopeError(
            "a volume needs probability and light (slice, y, x) and a depth for each slice; got "
            f"the shapes {p.shape}, {bright.shape} and {z.shape}"
        )
    for name, value in (("pitch_um", pitch_um), ("cell_diameter_um", cell_diameter_um)):
        if not value > 0:
            raise FociscopeError(f"{name} must be above 0; got {value:g}")
    near = near_probability(p, z, near_um=near_um)
    labels, count = ndimage.label(near >= threshold, _NEIGHBOURS, output=np.int32)
    index = np.arange(1, count + 1)
    thickness_um = float(z[1] - z[0]) if len(z) > 1 else 0.0

    def total(values: NDArray[np.floating]) -> Float64Array:
        return np.asarray(ndimage.sum_labels(values, labels, index), dtype=np.float64)

    heavy = np.maximum(total(p), 1e-12)
    at_z, at_y, at_x = np.meshgrid(
        z, *((np.arange(n) + 0.5) * pitch_um for n in p.shape[1:]), indexing="ij"
    )
    depth, y, x = (total(p * at) / heavy for at in (at_z, at_y, at_x))
    variance = np.maximum(total(p * at_z**2) / heavy - depth**2, 0)
    boxes = ndimage.find_objects(labels)
    bounds = [[[side.start, side.stop] for side in box] for box in boxes]
    extent = np.array(bounds, np.intp).reshape(count, 3, 2)
    areas = [(labels[box] == n).any(axis=0).sum() for n, box in enumerate(boxes, 1)]
    columns = np.array(areas, np.intp)
    surest = np.asarray(ndimage.maximum(near, labels, index), np.float64).reshape(count)
    order = np.argsort(-surest, kind="stable")
    found = VolumeFoci(
        label=index.astype(np.int64),
        x_um=x,
        y_um=y,
        depth_um=depth,
        depth_std_um=spread_scale * np.sqrt(variance + thickness_um**2 / 12),
        shallowest_um=z[extent[:, 0, 0]],
        deepest_um=z[extent[:, 0, 1] - 1],
        width_um=np.float64(pitch_um) * (extent[:, 2, 1] - extent[:, 2, 0]),
        height_um=np.float64(pitch_um) * (extent[:, 1, 1] - extent[:, 1, 0]),
        volume_um3=total(p) * pitch_um**2 * thickness_um,
        brightness=total(bright),
        cells=np.maximum(
            1.0, columns.reshape(count) * pitch_um**2 / (np.pi / 4 * cell_diameter_um**2)
        ),
        probability=surest,
    )
    return VolumeFoci(**{each.name: getattr(found, each.name)[order] for each in fields(found)})
