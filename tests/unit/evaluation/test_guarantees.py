"""Losses of foci and depths, by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.guarantees import FACTORS, THRESHOLDS, depth_bars, false_foci, losses_of
from fociscope.imager import Imager

TASK = ReconstructionTask(Imager.reference(), 2, 250.0)


class Answer:
    """A method that says what it is given: two foci in the first layer, one of them true."""

    name, kind, inputs, oracle, slow = "answer", "model", "", False, False

    def __init__(self, true_p: float, false_p: float) -> None:
        self.p = true_p, false_p

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        return None

    def prepare(self) -> None:
        pass

    def estimate(self, batch: Batch, task: ReconstructionTask) -> Prediction:
        mask = np.zeros((len(batch), 2, 32, 32), dtype=bool)
        mask[:, 0, 5, 5] = mask[:, 0, 20, 20] = True
        stated = np.zeros(mask.shape, np.float32)
        stated[:, 0, 5, 5], stated[:, 0, 20, 20] = self.p
        depth_um = np.tile(np.array([120.0, 700.0], np.float32), (len(batch), 1))
        return Prediction(
            mask=mask,
            focus_probability=stated,
            depth_um=depth_um,
            depth_std_um=np.full_like(depth_um, 10.0),
        )


def batches(captures: int) -> Iterator[Batch]:
    mask = np.zeros((captures, 2, 32, 32), dtype=bool)
    mask[:, 0, 6, 6] = True  # beside the first focus
    depth_um = np.tile(np.array([100.0, 500.0], np.float32), (captures, 1))
    yield Batch(np.ones((captures, 2, 32, 32), np.float32), mask, depth_um, None, None)


def test_the_threshold_lies_above_the_false_foci() -> None:
    losses = losses_of(Answer(0.9, 0.4), batches(50), TASK)
    share = losses.foci[0]
    assert (share[THRESHOLDS <= 0.4] == 0.5).all()
    assert (share[THRESHOLDS > 0.4001] == 0).all()
    found = false_foci(losses, 0.05)
    assert found is not None and found.threshold == pytest.approx(0.401)
    assert losses.kept(found.threshold) == 1


def test_where_false_foci_are_the_surest_no_threshold_is_given() -> None:
    assert false_foci(losses_of(Answer(0.5, 1.0), batches(50), TASK), 0.05) is None


def test_bars_hold_the_depths_of_layers_with_cells() -> None:
    losses = losses_of(Answer(0.9, 0.4), batches(50), TASK)
    # Off by 20 of 10 um; the second layer has no cells, and does not count.
    np.testing.assert_array_equal(losses.bars, np.tile([20.0, 10.0], (50, 1)))
    assert (losses.depth[0] == (FACTORS < 2)).all()
    found = depth_bars(losses, 0.9)
    assert found is not None and found.factor == pytest.approx(2, rel=0.005)


def test_batches_without_a_truth_are_refused() -> None:
    one = Batch(np.ones((1, 2, 32, 32), np.float32), None, None, None, None)
    with pytest.raises(ValueError, match="masks and the depths"):
        losses_of(Answer(0.9, 0.4), [one], TASK)
