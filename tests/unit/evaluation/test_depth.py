import numpy as np
import pytest

from fociscope.evaluation.metrics import (
    depth_scores,
    depth_z_scores,
    match_depths,
)

TRUTH = np.array([[100.0, 400.0], [200.0, 600.0]])
DEPTH = np.array([[110.0, 250.0], [170.0, 650.0]])  # errors: 10, -150; -30, 50
STD = np.array([[10.0, 100.0], [10.0, 20.0]])  # z: 1, -1.5; -3, 2.5


def test_scores_by_hand() -> None:
    scores = depth_scores(DEPTH, TRUTH, std_um=STD)
    assert scores.mae_um.tolist() == pytest.approx([20, 100])
    assert scores.rmse_um.tolist() == pytest.approx([np.sqrt(500), np.sqrt(12_500)])
    assert scores.bias_um.tolist() == pytest.approx([-10, -50])
    assert scores.within.tolist() == [1, 0.5]
    assert scores.within_one_std.tolist() == [0.5, 0]
    assert scores.within_two_std.tolist() == [0.5, 0.5]
    # The constant baseline says 150 and 500.
    assert scores.constant_mae_um.tolist() == [50, 100]
    assert scores.constant_rmse_um.tolist() == [50, 100]
    assert scores.constant_within.tolist() == [1, 1]


def test_pooled_by_hand() -> None:
    scores = depth_scores(DEPTH, TRUTH, std_um=STD, within_um=40, pooled=True)
    assert scores.mae_um == pytest.approx(60)
    assert scores.rmse_um == pytest.approx(np.sqrt(6500))
    assert scores.within == 0.5
    assert (scores.within_one_std, scores.within_two_std) == (0.25, 0.5)
    assert scores.constant_mae_um == 75  # still one constant for each layer


def test_a_constant_of_ones_own() -> None:
    scores = depth_scores(DEPTH, TRUTH, constant_um=[100, 400])
    assert scores.constant_mae_um.tolist() == [50, 100]
    assert scores.within_one_std is None


def test_z_scores() -> None:
    assert depth_z_scores(DEPTH, TRUTH, STD).tolist() == [[1, -1.5], [-3, 2.5]]
    assert depth_z_scores([1, 2.0], [1, 1], [0, 0]).tolist() == [0, np.inf]
    for std in ([-1.0, 1.0], [np.nan, 1.0], [1.0]):
        with pytest.raises(ValueError, match="standard deviations"):
            depth_z_scores([1.0, 2.0], [1.0, 2.0], std)


def test_matching_by_hand() -> None:
    match = match_depths([480, 90, 700], [100, 450], within_um=60)
    assert match.estimated.tolist() == [1, 0]
    assert match.true.tolist() == [0, 1]
    assert match.error_um.tolist() == [-10, 30]
    assert match.missed.tolist() == []
    assert match.false.tolist() == [2]


def test_a_partner_too_far_is_none() -> None:
    match = match_depths([100, 600], [90, 400], within_um=100)
    assert match.error_um.tolist() == [10]
    assert (match.missed.tolist(), match.false.tolist()) == ([1], [1])


def test_as_many_pairs_as_possible() -> None:
    # The nearest pair, 200 and 210, would leave the others without a partner.
    match = match_depths([200, 290], [130, 210], within_um=80)
    assert match.error_um.tolist() == [70, 80]
    # And among those ways, the least sum.
    assert match_depths([0, 10], [1, 12], within_um=50).error_um.tolist() == [-1, -2]


def test_absent_layers_are_nan_or_not_there() -> None:
    match = match_depths([np.nan, 300.0], [310.0, np.nan])
    assert (match.estimated.tolist(), match.true.tolist()) == ([1], [0])
    assert (len(match.missed), len(match.false)) == (0, 0)
    assert match_depths([], [5.0]).missed.tolist() == [0]
    assert match_depths([5.0], []).false.tolist() == [0]
    assert match_depths([], []).error_um.size == 0


def test_other_numbers_of_layers_are_not_scored_by_order() -> None:
    with pytest.raises(ValueError, match="match_depths"):
        depth_scores([[1.0, 2.0]], [[1.0, 2.0, 3.0]])
