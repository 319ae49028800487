import numpy as np
import pytest

from fociscope.evaluation import expected_calibration_error, mask_scores

# Two frames of two layers, 2x3 pixels. Layer 0: 3 true and 4 predicted of which 2 are right, then
# 2 of 2; layer 1: nothing anywhere, then nothing predicted where one pixel is true.
TRUTH = np.array(
    [[[[1, 1, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]]],
     [[[0, 0, 0], [0, 1, 1]], [[1, 0, 0], [0, 0, 0]]]], bool,
)  # fmt: skip
PREDICTED = np.array(
    [[[[1, 1, 1], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]]],
     [[[0, 0, 0], [0, 1, 1]], [[0, 0, 0], [0, 0, 0]]]], bool,
)  # fmt: skip


def test_scores_by_hand() -> None:
    # Layer 0, both frames: TP 4, FP 2, FN 1, TN 5.
    scores = mask_scores(PREDICTED, TRUTH)
    assert scores.accuracy.tolist() == pytest.approx([9 / 12, 11 / 12])
    assert scores.dice.tolist() == pytest.approx([2 * 4 / (2 * 4 + 2 + 1), 0.0])
    expected = (4 * 5 - 2 * 1) / np.sqrt((4 + 2) * (4 + 1) * (5 + 2) * (5 + 1))
    assert scores.mcc.tolist() == pytest.approx([expected, 0.0])


def test_the_constant_answer_is_the_majority_of_each_frame() -> None:
    # Layer 0 is true at 3/6 and 2/6, layer 1 at 0/6 and 1/6.
    expected = [(3 / 6 + 4 / 6) / 2, (1 + 5 / 6) / 2]
    for predicted, truth in ((PREDICTED, TRUTH), (TRUTH, ~TRUTH)):
        assert mask_scores(predicted, truth).constant_accuracy.tolist() == pytest.approx(expected)


def test_the_constant_answer_may_change_from_frame_to_frame() -> None:
    truth = np.zeros((2, 1, 2, 3), bool)
    truth[0], truth[1, 0, 0, 0] = True, True
    assert mask_scores(truth, truth).constant_accuracy.tolist() == pytest.approx([(1 + 5 / 6) / 2])


def test_a_perfect_and_a_reversed_answer() -> None:
    truth = np.random.default_rng(0).random((5, 3, 8, 9)) > 0.4
    perfect, reversed_ = mask_scores(truth, truth), mask_scores(~truth, truth)
    for scores, accuracy, dice, mcc in ((perfect, 1, 1, 1), (reversed_, 0, 0, -1)):
        assert scores.accuracy.tolist() == [accuracy] * 3
        assert scores.dice.tolist() == [dice] * 3
        assert scores.mcc.tolist() == pytest.approx([mcc] * 3)


def test_nothing_found_where_nothing_is_counts_as_right() -> None:
    nothing = np.zeros((2, 1, 4, 4), bool)
    scores = mask_scores(nothing, nothing)
    assert (scores.accuracy, scores.dice, scores.mcc) == (1, 1, 0)
    assert mask_scores(~nothing, ~nothing).mcc == 0


def test_leading_axes_are_all_frames() -> None:
    rng = np.random.default_rng(1)
    predicted, truth = rng.random((2, 2, 3, 4, 5, 6)) > 0.5
    whole = mask_scores(predicted, truth)
    flat = mask_scores(predicted.reshape(6, 4, 5, 6), truth.reshape(6, 4, 5, 6))
    for ours, theirs in zip(whole, flat, strict=True):
        assert ours.tolist() == pytest.approx(theirs.tolist())
    single = mask_scores(predicted[0, 0], truth[0, 0])
    assert all(score.shape == (4,) for score in single)


def test_many_pixels_do_not_overflow() -> None:
    predicted = np.ones((1, 4000, 4000), bool)
    truth = predicted.copy()
    predicted[0, :1000], truth[0, 500:1500] = False, False
    assert mask_scores(predicted, truth).mcc[0] == pytest.approx(1 / 3)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4, 4\) and \(3, 4, 4\)"):
        mask_scores(np.zeros((2, 4, 4)), np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match=r"layer, y, x"):
        mask_scores(np.zeros((4, 4)), np.zeros((4, 4)))


def test_calibration_error_by_hand() -> None:
    # Five bins; 0.1 and 0.15 share the first, of which none is true; 0.9 and 1.0 the last.
    probability = [0.1, 0.15, 0.5, 0.9, 1.0]
    truth = [0, 0, 1, 1, 0]
    by_hand = (2 * 0.125 + 1 * 0.5 + 2 * 0.45) / 5
    assert expected_calibration_error(probability, truth, bins=5) == pytest.approx(by_hand)
    # One bin: all that counts is the mean.
    assert expected_calibration_error(probability, truth, bins=1) == pytest.approx(
        abs(np.mean(probability) - np.mean(truth))
    )


def test_edges_of_bins() -> None:
    # 0.5 opens the upper of two bins, so its errors do not cancel those of 0.4.
    assert expected_calibration_error([0.4, 0.5], [1, 0], bins=2) == pytest.approx(0.55)
    assert expected_calibration_error([0.0, 1.0], [0, 1]) == 0
    assert expected_calibration_error([0.0, 1.0], [1, 0]) == 1


def test_true_probabilities_are_calibrated_and_sharper_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    probability = rng.random((4, 100, 100))
    truth = rng.random(probability.shape) < probability
    assert expected_calibration_error(probability, truth) < 0.01
    overconfident = np.clip(2 * probability - 0.5, 0, 1)
    # Its mean distance from the truth: |2 p - 0.5 - p| over the middle half, p at the ends.
    assert expected_calibration_error(overconfident, truth) == pytest.approx(0.125, abs=0.01)
