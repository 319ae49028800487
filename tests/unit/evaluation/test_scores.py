"""The tally: scores of made-up answers that can be checked by hand."""

import json

import numpy as np
import pytest

from fociscope.evaluation._scores import ScoreAccumulator
from fociscope.evaluation.batches import Batch, Prediction, match_predicted_layers
from fociscope.evaluation.results import MethodScores

SIDE = 32
DEPTH_UM = np.array([[100.0, 600.0]], np.float32)


def batch(scenes: int = 4) -> Batch:
    """Half of the first layer has cells, a quarter of the second."""
    mask = np.zeros((scenes, 2, SIDE, SIDE), bool)
    mask[:, 0, : SIDE // 2] = True
    mask[:, 1, : SIDE // 2, : SIDE // 2] = True
    return Batch(
        captures=np.ones((scenes, 2, SIDE, SIDE), np.float32),
        mask=mask,
        depth_um=np.repeat(DEPTH_UM, scenes, axis=0),
        layers=mask.astype(np.float32) + 0.1,
        cells_per_pixel=1.0,
    )


def perfect(truth: Batch) -> Prediction:
    return Prediction(
        mask=truth.mask,
        probability=truth.mask.astype(np.float32),
        intensity=3 * truth.layers,
        depth_um=truth.depth_um,
        depth_std_um=np.ones_like(truth.depth_um),
    )


def scores(truth: Batch, estimate: Prediction, *, by_depth: bool = False) -> MethodScores:
    tally = ScoreAccumulator(pixel_pitch_um=55.0, deepest_um=1000.0)
    tally.add(truth, estimate)
    return tally.scores(seed=0, by_depth=by_depth)


def test_a_perfect_answer_scores_perfectly() -> None:
    truth = batch()
    s = scores(truth, perfect(truth))
    for name in ("accuracy", "dice", "iou", "mcc", "within_100_um", "within_one_std"):
        assert s.value(name) == pytest.approx(1), name
    for name in ("depth_error_um", "image_error", "brier"):
        assert s.value(name) == pytest.approx(0, abs=1e-6), name
    assert s.calibration_error == 0
    assert s.detection.false_foci == 0


def test_foci_are_held_to_what_is_stated_of_them() -> None:
    truth = batch(1)
    mask = truth.mask.copy()
    mask[0, 1, 25:27, 25:27] = True  # a focus where none is
    stated = np.where(truth.mask, 0.95, 0.75).astype(np.float32) * mask
    estimate = Prediction(mask=mask, probability=stated, focus_probability=stated)
    foci = scores(truth, estimate).foci
    assert (foci.foci, foci.there) == (3, pytest.approx(2 / 3))
    assert foci.stated == pytest.approx((0.95 + 0.95 + 0.75) / 3, abs=1e-5)
    assert foci.calibration_error == pytest.approx((0.05 + 0.05 + 0.75) / 3, abs=1e-5)
    assert foci.reliability.foci[-1] == 2


def test_what_a_blind_answer_would_score_stands_beside() -> None:
    truth = batch()
    s = scores(truth, perfect(truth))
    assert s.constant_accuracy.value == pytest.approx((0.5 + 0.75) / 2)
    # 2 P / (N + P) with P = (1/2 + 1/4) / 2 of all pixels.
    assert s.constant_dice.value == pytest.approx(2 * 0.375 / 1.375)
    assert s.by_layer.constant_accuracy == pytest.approx([0.5, 0.75])


def test_errors_by_hand() -> None:
    truth = batch()
    wrong = truth.mask.copy()
    wrong[:, 0] = True
    shifted = truth.depth_um + np.array([30.0, -150.0], np.float32)
    said = Prediction(mask=wrong, depth_um=shifted, depth_std_um=np.full((4, 2), 40.0))
    s = scores(truth, said)
    assert s.accuracy.value == pytest.approx(0.75)
    assert s.by_layer.accuracy == pytest.approx([0.5, 1.0])
    assert s.depth_error_um.value == pytest.approx(90)
    assert s.depth_bias_um.value == pytest.approx(-60)
    assert s.within_100_um.value == pytest.approx(0.5)
    assert s.within_one_std.value == pytest.approx(0.5)
    assert (s.brier, s.reliability, s.image_error) == (None, None, None)


def test_batches_add_up() -> None:
    truth = batch(6)
    rng = np.random.default_rng(0)
    said = Prediction(
        mask=rng.random(truth.mask.shape) > 0.5,
        probability=rng.random(truth.mask.shape, dtype=np.float32),
        intensity=rng.random(truth.mask.shape, dtype=np.float32),
        depth_um=rng.uniform(0, 1000, truth.depth_um.shape),
    )
    parts = ScoreAccumulator(pixel_pitch_um=55.0, deepest_um=1000.0)
    for part in (slice(0, 2), slice(2, 6)):
        some = {n: a[part] if isinstance(a, np.ndarray) else a for n, a in vars(truth).items()}
        answer = {n: None if a is None else a[part] for n, a in vars(said).items()}
        parts.add(Batch(**some), Prediction(**answer))
    assert parts.scores(seed=0, by_depth=True) == scores(truth, said, by_depth=True)


def test_the_depth_of_a_layer_without_cells_is_not_scored() -> None:
    truth = batch()
    truth.mask[:, 1] = False
    far = truth.depth_um + np.array([0.0, 350.0], np.float32)
    s = scores(truth, Prediction(mask=truth.mask, depth_um=far))
    assert s.depth_error_um.value == 0


def test_layers_of_another_number_are_matched_by_depth() -> None:
    truth = batch()
    # Four layers said: one near each true one, a needless one with cells and one without.
    said_um = np.tile(np.array([130.0, 350.0, 590.0, 900.0], np.float32), (4, 1))
    mask = np.zeros((4, 4, SIDE, SIDE), bool)
    mask[:, 0], mask[:, 2] = truth.mask[:, 0], truth.mask[:, 1]
    mask[:, 1, :3, :3] = True
    s = scores(truth, Prediction(mask=mask, depth_um=said_um))
    assert s.matched_layers is True
    assert s.accuracy.value == 1
    assert s.depth_error_um.value == pytest.approx(20)
    assert (s.missed_layers, s.false_layers_per_scene) == (0, 1)


def test_a_layer_that_nothing_lies_near_is_missed() -> None:
    truth = batch()
    far = np.full((4, 1), 350.0, np.float32)
    said = Prediction(
        mask=np.ones((4, 1, SIDE, SIDE), bool),
        probability=np.ones((4, 1, SIDE, SIDE), np.float32),
        depth_um=far,
    )
    placed, false = match_predicted_layers(said, truth.depth_um)
    assert not placed.mask.any()
    assert np.isnan(placed.depth_um).all()
    assert false.tolist() == [1] * 4
    s = scores(truth, said)
    assert s.missed_layers == 1
    assert s.within_100_um.value == 0
    assert s.depth_error_um is None


def test_bins_of_depth_hold_their_own_layers() -> None:
    truth = batch()
    off = truth.depth_um + np.array([10.0, -40.0], np.float32)
    curve = scores(truth, Prediction(mask=truth.mask, depth_um=off), by_depth=True).by_depth
    assert curve.layers == (0, 4, 0, 0, 0, 0, 4, 0, 0, 0)
    assert curve.depth_error_um[1].value == pytest.approx(10)
    assert curve.depth_error_um[6].value == pytest.approx(40)
    assert curve.depth_error_um[0] is None
    assert curve.depth_rmse_um[6] == pytest.approx(40)


def test_maps_of_whoever_says_no_depth_are_binned_by_the_true_one() -> None:
    truth = batch()
    curve = scores(truth, Prediction(mask=truth.mask), by_depth=True).by_depth
    assert curve.accuracy[1].value == curve.accuracy[6].value == 1
    assert (curve.depth_error_um, curve.within_100_um, curve.depth_rmse_um) == (None, None, None)


def test_scores_are_valid_json_even_where_nothing_can_be_said() -> None:
    truth = batch(1)
    truth.mask[:] = False
    s = scores(truth, perfect(truth), by_depth=True)
    json.dumps(s.model_dump(mode="json"), allow_nan=False)


def test_captures_alone_are_counted_and_no_more() -> None:
    truth = Batch(captures=np.ones((3, 2, SIDE, SIDE), np.float32))
    s = scores(truth, Prediction(mask=np.zeros((3, 4, SIDE, SIDE), bool)))
    assert s == MethodScores(scenes=3, matched_layers=False)
