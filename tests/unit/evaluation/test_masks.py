import numpy as np
import pytest

from fociscope.evaluation.bootstrap import bootstrap_of_means
from fociscope.evaluation.metrics import MaskCounts, mask_counts, mask_scores

# One frame of two layers, 2x5 pixels. Layer 0: TP 2, FP 1, FN 1, TN 6; layer 1: TP 4, FP 0, FN 3,
# TN 3.
TRUTH = np.array([[[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]], bool)
PREDICTED = np.array([[[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], [[1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]], bool)


def test_counts_and_scores_by_hand() -> None:
    counts = mask_counts(PREDICTED, TRUTH)
    assert counts.array().tolist() == [[2, 1, 1, 6, 7], [4, 0, 3, 3, 7]]
    scores = counts.scores()
    assert scores.accuracy.tolist() == pytest.approx([0.8, 0.7])
    assert scores.constant_accuracy.tolist() == pytest.approx([0.7, 0.7])
    assert scores.dice.tolist() == pytest.approx([4 / 6, 8 / 11])
    assert scores.iou.tolist() == pytest.approx([2 / 4, 4 / 7])
    # "Cells" everywhere: 3 right of 10, and 7.
    assert scores.constant_dice.tolist() == pytest.approx([6 / 13, 14 / 17])
    assert scores.constant_iou.tolist() == pytest.approx([0.3, 0.7])
    assert counts.sensitivity.tolist() == pytest.approx([2 / 3, 4 / 7])
    assert counts.specificity.tolist() == pytest.approx([6 / 7, 1])


def test_pooled_by_hand() -> None:
    scores = mask_counts(PREDICTED, TRUTH).pooled().scores()
    # TP 6, FP 1, FN 4, TN 9.
    assert scores.accuracy == pytest.approx(15 / 20)
    assert scores.dice == pytest.approx(12 / 17)
    assert scores.iou == pytest.approx(6 / 11)
    assert scores.mcc == pytest.approx((6 * 9 - 4) / np.sqrt(7 * 10 * 10 * 13))
    # The constant baseline may differ from layer to layer: "none" is right 7 times, "cells" 7
    # times.
    assert scores.constant_accuracy == pytest.approx(14 / 20)


def test_a_constant_answer_scores_what_is_said_of_it() -> None:
    truth = np.random.default_rng(0).random((6, 2, 9, 9)) > 0.7
    everywhere = mask_scores(np.ones_like(truth), truth)
    assert everywhere.dice.tolist() == pytest.approx(everywhere.constant_dice.tolist())
    assert everywhere.iou.tolist() == pytest.approx(everywhere.constant_iou.tolist())
    assert everywhere.mcc.tolist() == [0, 0]
    nothing = np.zeros_like(truth)
    empty = mask_scores(nothing, nothing)
    assert empty.constant_dice.tolist() == empty.constant_iou.tolist() == [1, 1]


def test_pixels_are_not_there_to_be_found() -> None:
    counts = mask_counts(np.zeros((1, 3, 3)), np.zeros((1, 3, 3))).pooled()
    assert np.isnan(counts.sensitivity)
    assert counts.specificity == 1


def test_counts_of_scenes_drawn_again() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((40, 2, 8, 8)) > 0.6
    predicted = truth ^ (rng.random(truth.shape) > 0.9)
    counts = mask_counts(predicted, truth)
    dice = bootstrap_of_means(
        counts.array(), lambda mean: MaskCounts.from_array(mean).dice, seed=0, resamples=300
    )
    assert dice.value.tolist() == pytest.approx(mask_scores(predicted, truth).dice.tolist())
    assert (dice.low < dice.value).all()
    assert (dice.value < dice.high).all()


def test_scores_are_those_of_torchmetrics() -> None:
    classification = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    truth = rng.random((3, 20, 20)) > 0.6
    predicted = truth ^ (rng.random(truth.shape) > 0.8)
    ours = mask_counts(predicted, truth).pooled()
    p, t = torch.from_numpy(predicted).int(), torch.from_numpy(truth).int()
    for name, theirs in (
        ("accuracy", classification.binary_accuracy),
        ("dice", classification.binary_f1_score),
        ("iou", classification.binary_jaccard_index),
        ("mcc", classification.binary_matthews_corrcoef),
        ("sensitivity", classification.binary_recall),
        ("specificity", classification.binary_specificity),
    ):
        assert float(getattr(ours, name)) == pytest.approx(float(theirs(p, t)), rel=1e-5), name
