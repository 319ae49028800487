import numpy as np
import pytest

from fociscope.evaluation.metrics import brier_score, expected_calibration_error, reliability_curve

PROBABILITY = [0.1, 0.15, 0.5, 0.9, 1.0]
TRUTH = [0, 0, 1, 1, 0]


def test_curve_by_hand() -> None:
    curve = reliability_curve(PROBABILITY, TRUTH, bins=5)
    assert curve.edges.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert curve.count.tolist() == [2, 0, 1, 0, 2]
    assert curve.probability == pytest.approx([0.125, np.nan, 0.5, np.nan, 0.95], nan_ok=True)
    assert curve.frequency == pytest.approx([0, np.nan, 1, np.nan, 0.5], nan_ok=True)
    assert curve.expected_calibration_error == pytest.approx((2 * 0.125 + 0.5 + 2 * 0.45) / 5)
    assert curve.largest_calibration_error == pytest.approx(0.5)


def test_adaptive_bins_hold_equal_numbers() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(10_000) ** 8  # most of them near 0
    curve = reliability_curve(probability, rng.random(10_000) < probability, bins=10, adaptive=True)
    assert curve.count.tolist() == pytest.approx([1000] * 10, abs=1)
    assert (np.diff(curve.edges) > 0).all()
    assert curve.expected_calibration_error < 0.02


def test_adaptive_bins_keep_equal_probabilities_together() -> None:
    probability = [0, 0, 0, 0, 0, 0.5, 1, 1]
    curve = reliability_curve(probability, [0, 0, 0, 0, 1, 1, 1, 1], bins=4, adaptive=True)
    # Quarters would end at 0, 0 and between 0.5 and 1; zeros are not torn apart.
    assert curve.count.tolist() == [6, 2]
    assert curve.frequency == pytest.approx([2 / 6, 1])
    constant = reliability_curve(np.full(9, 0.3), np.zeros(9), bins=5, adaptive=True)
    assert constant.count.tolist() == [9]
    assert constant.expected_calibration_error == pytest.approx(0.3)


def test_adaptive_bins_see_what_equal_widths_hide() -> None:
    # In 0 ... 1/15, low probabilities are overstated and higher ones understated: it cancels.
    probability = np.repeat([0.02, 0.05], 1000)
    truth = np.concatenate([np.zeros(1000), np.arange(1000) % 1000 < 70])
    assert expected_calibration_error(probability, truth) == pytest.approx(0, abs=1e-12)
    adaptive = expected_calibration_error(probability, truth, adaptive=True)
    assert adaptive == pytest.approx(0.02)


def test_calibration_error_is_that_of_torchmetrics() -> None:
    classification = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    probability = rng.random(5000).astype(np.float32)
    truth = rng.random(5000) < probability**2
    theirs = classification.binary_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(truth).int(), n_bins=15
    )
    # Theirs is of the probability of class 1, and of equal widths, too.
    assert expected_calibration_error(probability, truth) == pytest.approx(float(theirs), abs=1e-4)


def test_brier_score_by_hand() -> None:
    score = brier_score(PROBABILITY, TRUTH)
    squares = 0.1**2 + 0.15**2 + 0.5**2 + 0.1**2 + 1
    assert score.score == pytest.approx(squares / 5)
    assert score.constant == pytest.approx(0.4 * 0.6)
    assert score.skill == pytest.approx(1 - squares / 5 / 0.24)
    assert brier_score(TRUTH, TRUTH).skill == 1
    share = brier_score(np.full(5, 0.4), TRUTH)
    assert share.skill == pytest.approx(0)
    assert expected_calibration_error(np.full(5, 0.4), TRUTH) == pytest.approx(0)


def test_what_is_refused() -> None:
    for probability in ([-0.1, 0.5], [0.5, 1.1], [0.5, np.nan]):
        with pytest.raises(ValueError, match="within 0"):
            expected_calibration_error(probability, [0, 1])
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        reliability_curve([0.1, 0.2], [0, 1, 1])
    with pytest.raises(ValueError, match="a bin or more"):
        reliability_curve([0.1], [0], bins=0)
