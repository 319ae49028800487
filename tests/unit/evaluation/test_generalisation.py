"""The suite of test-only families: what it holds, how it is scored, what it states."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fociscope.errors import FociscopeError
from fociscope.evaluation._scores import ScoreAccumulator
from fociscope.evaluation.batches import Batch, Prediction
from fociscope.evaluation.generalisation import HeldOutFamily, optics_of, worst_first
from fociscope.evaluation.independent import FAMILIES
from fociscope.evaluation.methods.constant import ConstantBaseline
from fociscope.evaluation.results import (
    ConditionResult,
    MethodScores,
    NotApplicable,
    Score,
    as_json,
)
from fociscope.evaluation.run import evaluate_suite
from fociscope.evaluation.suite import SUITES, VALIDATION, selected
from fociscope.imager import Imager, Registration
from fociscope.report.tables import generalisation_table
from fociscope.training.recipe import Seeds


@pytest.fixture(scope="module")
def suite():
    return SUITES["generalisation"]


@pytest.fixture(scope="module")
def results(suite):
    few = selected(suite, "seen-in-training,clusters,clouds,single-layer-strands")
    conditions = tuple(c.model_copy(update={"scenes": 2}) for c in few.conditions)
    return evaluate_suite(
        few.model_copy(update={"conditions": conditions}), [ConstantBaseline()]
    ).results


def test_every_family_stands_in_it_with_four_layers_and_with_one(suite):
    held_out = [c for c in suite.conditions if isinstance(c, HeldOutFamily)]
    assert {c.value for c in held_out if c.layers == 4} == set(FAMILIES)
    assert {c.value for c in held_out if c.layers == 1} == set(FAMILIES) - {"mixed"}
    for condition in held_out:
        assert condition.imager == Imager.reference()
        assert condition.imager.frame_px == (51, 51)
        assert condition.peak_snr_db == 40.0
        assert condition.min_separation_um == (250.0 if condition.layers == 4 else 0.0)


def test_no_seed_is_shared(suite):
    seeds = [c.seed for c in (*suite.conditions, *SUITES["reference"].conditions, VALIDATION)]
    assert len(set(seeds)) == len(seeds)
    assert not set(seeds) & {*Seeds().model_dump().values()}


def test_the_batches_are_the_scenes_of_the_family(suite):
    condition = next(c for c in suite.conditions if c.name == "single-layer-clusters")
    few = condition.model_copy(update={"scenes": 13})
    batches = list(few.batches())
    assert sum(len(batch) for batch in batches) == 13
    assert batches[0].captures.shape[1:] == (2, 51, 51)
    assert batches[0].mask.shape[1:] == (1, 51, 51)
    assert (batches[0].cells_per_pixel[batches[0].mask] >= 1).all()


def test_results_state_which_families_are_test_only(results):
    assert results.suite.test_only == ("clusters", "clouds", "single-layer-strands")
    by_name = {c["name"]: c for c in json.loads(as_json(results))["conditions"]}
    assert by_name["clusters"]["test_only"] is True
    assert "test_only" not in by_name["seen-in-training"]


def test_accuracy_and_depth_stand_beside_the_constant_baseline(results):
    scores = results.conditions[1].scored("constant")
    for key in ("accuracy", "constant_accuracy", "depth_error_um", "constant_depth_error_um"):
        assert scores.value(key) is not None


def test_the_table_has_the_worst_row_first(results):
    rows = worst_first(results.conditions, "constant")
    assert rows[-1].name == "clouds"  # right about no cells at all
    table = generalisation_table(results, "constant")
    assert len(table.rows) == len(results.conditions)
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_who_cannot_answer_stands_last():
    def row(name, scores):
        return ConditionResult(name=name, group="", value=name, scenes=1, scores={"m": scores})

    def with_dice(value):
        dice = Score(value=value, low=None, high=None)
        return MethodScores(scenes=1, matched_layers=False, dice=dice)

    rows = [
        row("cannot", NotApplicable(not_applicable="one layer")),
        row("good", with_dice(0.9)),
        row("bad", with_dice(0.1)),
    ]
    assert [r.name for r in worst_first(rows, "m")] == ["bad", "good", "cannot"]


def test_an_imager_that_the_second_simulator_lacks_is_refused():
    imager = Imager(registration=Registration(rotation_deg=1.0))
    with pytest.raises(FociscopeError, match="two sensors in register"):
        optics_of(imager)


def test_the_second_simulator_gets_the_numbers_of_the_imager():
    psf = Imager().psf.with_(half_angle_deg=12.0, base_blur_um=30.0)
    optics = optics_of(Imager(psf=psf, gap_um=800.0, boundary="reflect", frame_px=(20, 30)))
    assert (optics.half_angle_deg, optics.base_blur_um, optics.gap_um) == (12.0, 30.0, 800.0)
    assert (optics.boundary, optics.frame_px) == ("reflect", (20, 30))


def test_flags_are_counted_of_wrong_and_of_sound_maps():
    mask = np.zeros((4, 1, 8, 8), dtype=bool)
    mask[:, :, 2:4, 2:4] = True
    predicted = mask.copy()
    predicted[1] = False  # Dice 0
    true_um = np.full((4, 1), 400.0, dtype=np.float32)
    depth_um = true_um + np.array([[5], [5], [100], [5]], dtype=np.float32)  # the third is off
    accumulator = ScoreAccumulator(pixel_pitch_um=55.0, deepest_um=1000.0)
    accumulator.add(
        Batch(np.zeros((4, 2, 8, 8), dtype=np.float32), mask, true_um),
        Prediction(mask=predicted, depth_um=depth_um, flagged=np.array([True, True, False, False])),
    )
    scores = accumulator.scores(seed=0, by_depth=False)
    assert (scores.flagged, scores.wrong) == (0.5, 0.5)
    assert (scores.flagged_of_wrong, scores.flagged_of_sound) == (0.5, 0.5)


def test_sensitivity_by_size_is_stated_where_cells_are_counted():
    mask = np.zeros((1, 1, 20, 20), dtype=bool)
    mask[0, 0, 3, 3] = mask[0, 0, 15, 15] = True
    cells = np.zeros(mask.shape, dtype=np.int64)
    cells[0, 0, 3, 3], cells[0, 0, 15, 15] = 1, 4
    probability = np.zeros(mask.shape, dtype=np.float32)
    probability[0, 0, 3, 3], probability[0, 0, 15, 15] = 0.2, 0.9
    probability[0, 0, 3, 15], probability[0, 0, 15, 3] = 0.5, 0.4  # one false focus is allowed
    accumulator = ScoreAccumulator(pixel_pitch_um=55.0, deepest_um=1000.0)
    accumulator.add(
        Batch(np.zeros((1, 2, 20, 20), dtype=np.float32), mask, cells_per_pixel=cells),
        Prediction(mask=probability > 0.5, probability=probability),
    )
    found = accumulator.scores(seed=0, by_depth=False).detection_at_false_rate
    assert found.foci == (1, 1, 0, 0)
    assert found.detected == (0, 1, 0, 0)
    assert found.false_foci_per_mm2 == pytest.approx(1 / (20 * 0.055) ** 2, abs=1e-6)
    assert found.nearest_layer is None


def test_sensitivity_in_the_nearest_layer_stands_by_itself_where_there_are_more():
    mask = np.zeros((1, 2, 20, 20), dtype=bool)
    mask[0, :, 3, 3] = True
    probability = np.zeros(mask.shape, dtype=np.float32)
    probability[0, :, 3, 3] = 0.9, 0.1
    probability[0, 1, 15, 3:18:7] = 0.5  # false foci of the far layer hide its own cell
    accumulator = ScoreAccumulator(pixel_pitch_um=55.0, deepest_um=1000.0)
    accumulator.add(
        Batch(np.zeros((1, 2, 20, 20), np.float32), mask, cells_per_pixel=mask.astype(np.int64)),
        Prediction(mask=probability > 0.5, probability=probability),
    )
    found = accumulator.scores(seed=0, by_depth=False).detection_at_false_rate
    assert (found.detected[0], found.foci[0]) == (1, 2)
    assert (found.nearest_layer.detected[0], found.nearest_layer.foci[0]) == (1, 1)
