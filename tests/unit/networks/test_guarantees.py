"""Conformal risk control: its formula, its promise over many draws, and an outside reference."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.networks import control_risk, least_captures


def test_the_level_is_that_of_the_formula() -> None:
    # (sum of losses + 1) / (n + 1) is (4 + 1) / 10, (1 + 1) / 10 and (0 + 1) / 10.
    losses = np.zeros((9, 3))
    losses[:4, 0] = losses[0, 1] = 1.0
    assert [control_risk(losses, most) for most in (0.5, 0.49, 0.2, 0.1, 0.09)] == [
        0,
        1,
        1,
        2,
        None,
    ]


def test_a_loss_that_rises_again_counts_as_if_it_had_not_fallen() -> None:
    losses = np.repeat([[0.0, 0.9, 0.0]], 99, axis=0)
    assert control_risk(losses, 0.5) == 2


@pytest.mark.parametrize("most", [0.05, 0.1, 0.32])
def test_fewer_captures_than_the_least_control_nothing(most: float) -> None:
    needed = least_captures(most)
    assert control_risk(np.zeros((needed, 1)), most) == 0
    assert control_risk(np.zeros((needed - 1, 1)), most) is None


def test_the_mean_loss_of_the_next_capture_keeps_its_promise() -> None:
    rng = np.random.default_rng(0)
    levels = np.linspace(0, 1, 101)

    def draw(captures: int) -> np.ndarray:  # 1 below a level of the capture's own, else 0
        return (rng.random((captures, 1)) ** 2 > levels).astype(float)

    found = []
    for _ in range(4000):
        level = control_risk(draw(40), 0.1)
        assert level is not None
        found.append(draw(1)[0, level])
    # Exact control lies between 0.1 - 1/41 and 0.1; the deviation of the mean is 0.005.
    assert 0.06 < np.mean(found) < 0.115


@pytest.mark.parametrize("losses", [np.zeros(3), np.full((2, 2), 1.5), np.full((2, 2), np.nan)])
def test_what_is_no_loss_is_refused(losses: np.ndarray) -> None:
    with pytest.raises(ValueError, match="capture, level"):
        control_risk(losses, 0.1)


@pytest.mark.parametrize(("mean", "captures"), [(0.0, 60), (0.02, 150), (0.05, 300)])
def test_a_confident_level_is_rarely_a_bad_one(mean: float, captures: int) -> None:
    """A mean loss of just above what is allowed is let through in a twentieth of the tries."""
    rng = np.random.default_rng(1)
    most = mean + 0.05
    bad = [
        control_risk(
            (rng.random((captures, 1)) < most * 1.001).astype(float), most, confidence=0.95
        )
        for _ in range(2000)
    ]
    assert np.mean([level is not None for level in bad]) < 0.05


def test_confidence_needs_the_captures_that_luck_needs() -> None:
    # (1 - 0.1)^29 is below 0.05, (1 - 0.1)^28 is not.
    assert least_captures(0.1, confidence=0.95) == 29
    assert control_risk(np.zeros((29, 1)), 0.1, confidence=0.95) == 0
    assert control_risk(np.zeros((28, 1)), 0.1, confidence=0.95) is None


def test_the_level_is_that_which_mapie_chooses() -> None:
    """MAPIE controls the recall of labels; its prediction sets are ours of foci."""
    risk_control = pytest.importorskip("mapie.risk_control")
    rng = np.random.default_rng(3)
    truth = rng.random((200, 8)) < 0.4
    truth[:, 0] = True  # a recall needs at least one label
    stated = np.clip(0.25 + 0.5 * truth + 0.2 * rng.normal(size=truth.shape), 0.001, 0.999)
    thresholds = np.round(np.arange(0.99, -0.001, -0.01), 2)  # ever more cautious
    controller = risk_control.MultiLabelClassificationController(
        lambda x: x, risk="recall", method="crc", target_level=0.9, predict_params=thresholds[::-1]
    )
    controller.calibrate(stated, truth.astype(int))
    shown = stated[:, None] > thresholds[None, :, None]
    recall = (shown & truth[:, None]).sum(axis=-1) / truth.sum(axis=-1)[:, None]
    level = control_risk(1 - recall, 0.1)
    assert level is not None
    assert thresholds[level] == pytest.approx(float(np.ravel(controller.best_predict_param)[0]))
