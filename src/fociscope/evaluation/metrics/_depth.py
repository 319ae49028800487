"""Depths of layers against the truth, the intervals stated for them, and layers that were missed.

`depth_scores` takes layers in their order, as many as there are. Where their number is not known,
`match_depths` pairs them first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from fociscope.typing import BoolArray, Float64Array, IndexArray

__all__ = [
    "DepthScores",
    "LayerMatch",
    "depth_scores",
    "depth_z_scores",
    "match_depths",
]


@dataclass(frozen=True)
class DepthScores:
    """Errors of depths: (layer,) for each layer, or () pooled over the layers."""

    mae_um: Float64Array
    """Mean absolute error."""
    rmse_um: Float64Array
    """Root mean square error."""
    bias_um: Float64Array
    """Mean of estimate minus truth."""
    within: Float64Array
    """Share of layers that are right within `within_um`."""
    constant_mae_um: Float64Array
    """Of always giving the constant depth of the layer."""
    constant_rmse_um: Float64Array
    constant_within: Float64Array
    within_one_std: Float64Array | None
    """Share of true depths within one stated standard deviation: 0.683 where that is so."""
    within_two_std: Float64Array | None
    """Within two of them: 0.954."""


def depth_scores(
    depth_um: ArrayLike,
    true_depth_um: ArrayLike,
    *,
    std_um: ArrayLike | None = None,
    within_um: float = 100.0,
    constant_um: ArrayLike | None = None,
    pooled: bool = False,
) -> DepthScores:
    """Score depths of layers that are matched by their order, beside the constant baseline.

    Args:
        depth_um: Estimated depths in um, (..., layer).
        true_depth_um: True depths in um, (..., layer).
        std_um: Stated standard deviations of the estimates in um, (..., layer); None if there are
            none.
        within_um: Largest error in um that counts as right.
        constant_um: Depths of the constant baseline in um, (layer,); None for the mean of the true
            depths. If depths are drawn from a known range, pass its middle.
        pooled: Whether scores are pooled over the layers, rather than one for each layer.

    Returns:
        Errors in um and shares from 0 to 1, (layer,) each, or () if pooled.

    Raises:
        ValueError: If the shapes differ or hold no layer, or standard deviations are negative or
            NaN.

    Examples:
        >>> from fociscope.evaluation import depth_scores
        >>> true_um = [[120.0, 500.0], [120.0, 460.0]]
        >>> scores = depth_scores([[110.0, 480.0], [150.0, 300.0]], true_um)
        >>> scores.mae_um, scores.within, scores.constant_mae_um
        (array([20., 90.]), array([1. , 0.5]), array([ 0., 20.]))
    """
    estimate, truth = _same(depth_um, true_depth_um)
    over = None if pooled else tuple(range(truth.ndim - 1))
    every = tuple(range(truth.ndim - 1))
    constant = truth.mean(axis=every) if constant_um is None else np.asarray(constant_um)
    error, spread = estimate - truth, constant - truth

    def mean(values: Float64Array | BoolArray) -> Float64Array:
        return np.asarray(values.mean(axis=over, dtype=np.float64))

    stated = None
    if std_um is not None:
        stated = np.abs(depth_z_scores(estimate, truth, std_um))
    return DepthScores(
        mae_um=mean(np.abs(error)),
        rmse_um=np.sqrt(mean(error**2)),
        bias_um=mean(error),
        within=mean(np.abs(error) <= within_um),
        constant_mae_um=mean(np.abs(spread)),
        constant_rmse_um=np.sqrt(mean(spread**2)),
        constant_within=mean(np.abs(spread) <= within_um),
        within_one_std=None if stated is None else mean(stated <= 1),
        within_two_std=None if stated is None else mean(stated <= 2),
    )


def depth_z_scores(
    depth_um: ArrayLike, true_depth_um: ArrayLike, std_um: ArrayLike
) -> Float64Array:
    """Return (estimate - truth) / stated standard deviation, all (...).

    A standard deviation of 0 gives 0 where the depth is exact, and infinity elsewhere.

    Raises:
        ValueError: shapes that differ, or standard deviations that are negative or NaN.
    """
    estimate, truth = _same(depth_um, true_depth_um)
    std = np.asarray(std_um, dtype=np.float64)
    if std.shape != truth.shape or not (std >= 0).all():
        raise ValueError(
            f"standard deviations need the shape {truth.shape} and values of 0 or more; "
            f"got {std.shape}" + (f", least {np.min(std):g}" if std.size else "")
        )
    error = estimate - truth
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0, 0.0, error / std)


class LayerMatch(NamedTuple):
    """Which estimated layer is which true one, in one scene."""

    estimated: IndexArray
    """(pair,) numbers of the estimated layers that were matched, by depth."""
    true: IndexArray
    """(pair,) numbers of the true layers they were matched with."""
    error_um: Float64Array
    """(pair,) estimate minus truth."""
    missed: IndexArray
    """True layers that nothing was matched with."""
    false: IndexArray
    """Estimated layers that match no true one."""


def match_depths(
    depth_um: ArrayLike, true_depth_um: ArrayLike, *, within_um: float = 100.0
) -> LayerMatch:
    """Match estimated layers with true ones, where their numbers may differ.

    As many pairs as possible lie within `within_um`, and among all such ways the sum of the
    distances is least (`scipy.optimize.linear_sum_assignment`). What has no partner that near is
    missed, or false.

    Args:
        depth_um: (estimate,) in any order; NaN stands for no layer.
        true_depth_um: (layer,) likewise.
        within_um: greatest distance of a pair.

    Raises:
        ValueError: depths with more than one axis.
    """
    estimate, truth = (np.asarray(d, dtype=np.float64) for d in (depth_um, true_depth_um))
    if estimate.ndim != 1 or truth.ndim != 1:
        raise ValueError(
            f"depths to match need one axis, of layers; got {estimate.shape} and {truth.shape}"
        )
    there, real = np.flatnonzero(~np.isnan(estimate)), np.flatnonzero(~np.isnan(truth))
    distance = np.abs(estimate[there][:, None] - truth[real][None, :])
    # Farther pairs cost more than all near ones together, so that none is formed needlessly.
    too_far = within_um * (min(distance.shape) + 1) + 1
    row, column = linear_sum_assignment(np.where(distance <= within_um, distance, too_far))
    near = distance[row, column] <= within_um
    one, other = there[row[near]], real[column[near]]
    order = np.argsort(estimate[one], kind="stable")
    one, other = one[order], other[order]
    return LayerMatch(
        estimated=one,
        true=other,
        error_um=estimate[one] - truth[other],
        missed=np.setdiff1d(real, other),
        false=np.setdiff1d(there, one),
    )


def _same(depth_um: ArrayLike, true_depth_um: ArrayLike) -> tuple[Float64Array, Float64Array]:
    estimate, truth = (np.asarray(d, dtype=np.float64) for d in (depth_um, true_depth_um))
    if estimate.shape != truth.shape or truth.ndim == 0 or truth.size == 0:
        raise ValueError(
            f"depths need one shape (..., layer) and a layer; got {estimate.shape} and "
            f"{truth.shape}; where their numbers differ, match them (match_depths)"
        )
    return estimate, truth
