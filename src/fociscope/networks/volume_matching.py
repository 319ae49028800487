"""Scores of volumes: foci matched in three dimensions, masks within a tolerance, surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from fociscope.typing import BoolArray, Float64Array

__all__ = ["VolumeMatch", "f1_score", "masks_within", "match_volume_foci", "true_volume_foci"]

#: Foci match within these distances sideways and in depth, in um.
LATERAL_UM, AXIAL_UM = 80.0, 60.0


@dataclass(frozen=True)
class VolumeMatch:
    """How the foci that were found fit the true ones of one volume.

    Examples:
        >>> from fociscope.evaluation import match_volume_foci
        >>> match = match_volume_foci([[100, 50, 50]], [[120, 50, 60], [500, 50, 60]])
        >>> match.hits, match.missed, match.false, round(match.f1, 2)
        (1, 1, 0, 0.67)
    """

    pairs: Float64Array
    """(pair, 2) numbers of a focus found and of its true one."""
    axial_um: Float64Array
    """(pair,) depth found less true depth in um."""
    missed: int
    """True foci, of those that count, that nothing was found for."""
    false: int
    """Foci found that no true one explains."""

    @property
    def hits(self) -> int:
        """Number of true foci that count and were found."""
        return len(self.pairs)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN if there is nothing to find or found."""
        return f1_score(self.hits, self.missed, self.false)


def f1_score(hits: int, missed: int, false: int) -> float:
    """Return 2 hits / (2 hits + missed + false); NaN of nothing."""
    total = 2 * hits + missed + false
    return 2 * hits / total if total else float("nan")


def match_volume_foci(
    found: ArrayLike,
    true: ArrayLike,
    *,
    counts: ArrayLike | None = None,
    lateral_um: float = LATERAL_UM,
    axial_um: float = AXIAL_UM,
) -> VolumeMatch:
    """Match foci in three dimensions, one to one, as many and as near as can be.

    Args:
        found: Depth, y and x in um of each focus found, (focus, 3).
        true: The same of each true focus, (focus, 3).
        counts: Whether a true focus counts, (focus,); one that does not is neither a hit nor
            missed, and excuses what is found there. All by default.
        lateral_um: Greatest distance sideways in um.
        axial_um: Greatest difference of depth in um.

    Returns:
        The match.

    Raises:
        ValueError: If the places are not (focus, 3).

    Examples:
        >>> from fociscope.evaluation import match_volume_foci
        >>> match_volume_foci([[100, 50, 50]], [[120, 50, 60]]).axial_um
        array([-20.])
    """
    p, t = (np.asarray(a, np.float64).reshape(-1, 3) for a in (found, true))
    counting = np.ones(len(t), np.bool_) if counts is None else np.asarray(counts, np.bool_)
    apart = p[:, None] - t
    axial, lateral = np.abs(apart[..., 0]), np.hypot(apart[..., 1], apart[..., 2])
    fits = (axial <= axial_um) & (lateral <= lateral_um)
    # A pair that fits costs less than any that does not, and foci that count come first.
    cost = np.where(fits, axial / axial_um + lateral / lateral_um + 2.0 * ~counting, 1e6)
    rows, columns = linear_sum_assignment(cost) if cost.size else (np.zeros(0, int),) * 2
    kept = fits[rows, columns]
    rows, columns = rows[kept], columns[kept]
    hit = counting[columns]
    pairs = np.stack([rows[hit], columns[hit]], axis=-1)
    signed = apart[rows[hit], columns[hit], 0]
    # One focus that was split explains all its parts.
    false = int((~fits.any(axis=1)).sum()) if fits.size else len(p)
    return VolumeMatch(pairs, signed, int(counting.sum()) - int(hit.sum()), false)


def true_volume_foci(
    mask: BoolArray, light: ArrayLike, depth_um: ArrayLike, cells: ArrayLike, *, pitch_um: float
) -> tuple[Float64Array, Float64Array]:
    """Return the foci of a simulated volume: connected voxels that hold cells.

    Args:
        mask: True where there are cells, (slice, y, x).
        light: Light of each voxel, (slice, y, x).
        depth_um: Mean depth of that light in um, (slice, y, x).
        cells: Number of cells in each voxel, (slice, y, x).
        pitch_um: Side of a pixel in um.

    Returns:
        Depth, y and x in um of each focus, (focus, 3), weighted by light; and its number of cells,
        (focus,).

    Raises:
        ValueError: If the shapes differ.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import true_volume_foci
        >>> mask = np.zeros((4, 9, 9), dtype=bool)
        >>> mask[1, 4, 4] = True
        >>> depth_um = np.full(mask.shape, 300.0)
        >>> places, cells = true_volume_foci(mask, 1.0 * mask, depth_um, 3.0 * mask, pitch_um=50.0)
        >>> places, cells
        (array([[300., 225., 225.]]), array([3.]))
    """
    if not mask.shape == np.shape(light) == np.shape(depth_um) == np.shape(cells):
        raise ValueError("mask, light, depth_um and cells need one shape (slice, y, x)")
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    index = np.arange(1, count + 1)
    bright = np.asarray(light, np.float64) + 1e-12
    y, x = ((np.arange(n) + 0.5) * pitch_um for n in mask.shape[1:])
    places = (np.asarray(depth_um, np.float64), y[:, None] + 0 * x, x + 0 * y[:, None])
    heavy = ndimage.sum_labels(bright, labels, index)
    centroid = [ndimage.sum_labels(bright * at, labels, index) / heavy for at in places]
    return np.stack(centroid, axis=-1).reshape(count, 3), np.asarray(
        ndimage.sum_labels(np.asarray(cells, np.float64), labels, index)
    ).reshape(count)


def masks_within(
    predicted: BoolArray, truth: BoolArray, *, lateral_px: int = 1, slices: int = 1
) -> tuple[float, float]:
    r"""Return Dice and Jaccard of masks whose edges may be off by a tolerance.

    With the share $P$ of predicted voxels near true ones and the share $R$ of true voxels near
    predicted ones, Dice is $2PR/(P + R)$, and Jaccard is Dice over two less Dice.

    Args:
        predicted: Predicted mask, (slice, y, x).
        truth: True mask, (slice, y, x).
        lateral_px: Voxels this far away sideways are near.
        slices: The same in depth.

    Returns:
        Dice and Jaccard; 1 where both masks are empty.

    Raises:
        ValueError: If the shapes differ.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation import masks_within
        >>> predicted, truth = np.zeros((2, 4, 9, 9), dtype=bool)
        >>> predicted[1, 4, 4] = truth[2, 4, 5] = True
        >>> masks_within(predicted, truth), masks_within(predicted, truth, slices=0)
        ((1.0, 1.0), (0.0, 0.0))
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"masks need one shape; got {predicted.shape} and {truth.shape}")
    if not predicted.any() and not truth.any():
        return 1.0, 1.0
    if not predicted.any() or not truth.any():
        return 0.0, 0.0
    size = (2 * slices + 1, 2 * lateral_px + 1, 2 * lateral_px + 1)
    near = [ndimage.maximum_filter(mask, size, mode="constant") for mask in (truth, predicted)]
    precision, recall = near[0][predicted].mean(), near[1][truth].mean()
    dice = 2 * precision * recall / max(precision + recall, 1e-12)
    return float(dice), float(dice / (2 - dice))
