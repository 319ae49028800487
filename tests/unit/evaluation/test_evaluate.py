import json
import warnings

import numpy as np
import pytest

from fociscope.errors import FileFormatError, FociscopeError
from fociscope.evaluation.batches import Prediction
from fociscope.evaluation.methods import ConstantBaseline, ModelMethod, find_methods
from fociscope.evaluation.results import NotApplicable, Score, as_json, read_results
from fociscope.evaluation.run import evaluate_suite
from fociscope.evaluation.suite import SUITES, selected


def conditions(pattern):
    return selected(SUITES["quick"], pattern)


@pytest.fixture(scope="module")
def done():
    methods = find_methods("layers-ab", "constant,tikhonov,tikhonov-oracle", device="cpu")
    return evaluate_suite(conditions("reference,layers-2,half-angle-25"), methods)


def scores(done, condition, method):
    row = next(c for c in done.results.conditions if c.name == condition)
    return row.scores[method]


def test_the_evaluated_method_comes_first_and_says_what_it_is_told(done):
    about = done.results.methods
    assert list(about) == ["layers-ab", "constant", "tikhonov", "tikhonov-oracle"]
    assert about["layers-ab"].kind == "model"
    assert len(about["layers-ab"].sha256) == 64
    assert [a.oracle for a in about.values()] == [False, False, False, True]
    assert all(a.seconds_per_scene > 0 for a in about.values())


def test_accuracy_never_stands_without_the_constant(done):
    s = scores(done, "reference", "layers-ab")
    assert s.accuracy.value > s.constant_accuracy.value + 0.1
    assert s.accuracy.low <= s.accuracy.value <= s.accuracy.high
    blind = scores(done, "reference", "constant").accuracy.value
    assert blind <= s.constant_accuracy.value


def test_all_methods_see_the_same_scenes(done):
    """Slow ones the first of them; what the constant would score tells the scenes."""
    row = done.results.conditions[0]
    truths: dict[int, list[Score]] = {}
    for s in row.scores.values():
        truths.setdefault(s.scenes, []).append(s.constant_accuracy)
    assert max(map(len, truths.values())) > 1
    assert all(truth == same[0] for same in truths.values() for truth in same)


def test_who_is_told_the_number_of_layers_answers_with_it(done):
    assert not scores(done, "layers-2", "layers-ab").matched_layers
    assert not scores(done, "layers-2", "tikhonov").matched_layers


def test_depth_curves_and_bounds_belong_to_the_reference(done):
    reference, *others = sorted(done.results.conditions, key=lambda c: c.group != "reference")
    bound = [v for v in reference.depth_limit.known_um if v is not None]
    assert min(bound) > 0 and reference.scored("layers-ab").by_depth is not None
    assert not any(c.depth_limit or c.scored("layers-ab").by_depth for c in others)


def test_best_median_and_worst_are_kept(done):
    assert [case.title for case in done.cases] == ["best", "median", "worst"]
    accuracies = [case.accuracy for case in done.cases]
    assert accuracies == sorted(accuracies, reverse=True)
    case = done.cases[0]
    assert (case.estimate.mask == case.true_mask).mean() == pytest.approx(case.accuracy)


def test_the_same_run_gives_the_same_scores(done):
    again = evaluate_suite(conditions("reference"), [ModelMethod("layers-ab", device="cpu")])

    def timeless(values):
        return values.model_copy(update={"seconds_per_scene": None})

    assert timeless(scores(again, "reference", "layers-ab")) == timeless(
        scores(done, "reference", "layers-ab")
    )


def test_results_hold_no_place_of_this_machine_and_come_back_from_json(done, tmp_path):
    import socket

    text = as_json(done.results)
    assert socket.gethostname() not in text.replace("localhost", "")
    assert str(tmp_path.home()) + "/" not in text
    path = tmp_path / "results.json"
    path.write_text(text)
    assert read_results(path) == done.results
    assert as_json(read_results(path)) == text


def test_results_of_an_earlier_version_are_read_and_what_they_lack_stays_absent(tmp_path):
    counts = {"edges_cells": [1.0, None], "detected": [1.0], "foci": [2.0]}
    row = {
        "name": "clouds",
        "group": "generalisation",
        "value": "clouds",
        "peak_snr_db": None,
        "scenes": 2,
        "scores": {
            "net": {
                "scenes": 2,
                "matched_layers": False,
                "specificity": None,
                "detection_at_false_rate": counts | {"false_foci_per_frame": 1.0},
            },
            "other": {"not_applicable": "one layer"},
        },
    }
    about = {"kind": "model", "oracle": False, "seconds_per_scene": None}
    written = {
        "format": "fociscope-evaluation",
        "format_version": 1,
        "suite": {"name": "generalisation"},
        "versions": {"torch": "2.0"},
        "threads": 1,
        "candidates": {name: about | {"told": "both sensors"} for name in ("net", "other")},
        "conditions": [row],
    }
    path = tmp_path / "results.json"
    path.write_text(json.dumps(written))
    results = read_results(path)
    assert results.evaluated == "net"
    assert results.methods["net"].inputs == "both sensors"
    assert results.conditions[0].scored("net").detection_at_false_rate.foci == (2.0,)
    assert results.conditions[0].scored("other") is None
    again = json.loads(as_json(results))
    assert again["conditions"] == [row]
    assert "pixel_pitch_um" not in again


def test_a_damaged_file_is_refused_in_a_short_line(tmp_path, done):
    values = json.loads(as_json(done.results))
    for condition in values["conditions"]:
        for scores in condition["scores"].values():
            scores["accuracy"] = "high"
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values))
    with pytest.raises(FileFormatError, match=r"accuracy.*evaluate again") as caught:
        read_results(path)
    assert len(str(caught.value)) < 600


def test_results_answer_as_the_dictionaries_that_they_were_for_one_version(done):
    with pytest.warns(DeprecationWarning, match=r"\['suite'\] is now the attribute suite"):
        assert done.results["suite"] == done.results.suite
    with pytest.warns(DeprecationWarning), pytest.raises(KeyError):
        scores(done, "layers-2", "layers-ab")["by_depth"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("[]", "not the results of"),
        ('{"format": "fociscope-dataset"}', "not the results of"),
        ('{"format": "fociscope-evaluation", "format_version": 99}', "version 99"),
    ],
)
def test_files_that_are_no_results_are_refused(tmp_path, content, message):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=message):
        read_results(path)


class TwoLayers(ConstantBaseline):
    """Refuses all but two layers; slow, and warns each time."""

    name, slow = "two", True

    def __init__(self):
        self.seen = 0

    def unsupported_reason(self, task):
        return None if task.layers == 2 else "two layers alone"

    def estimate(self, batch, task) -> Prediction:
        from fociscope.errors import FociscopeWarning

        self.seen += len(batch)
        warnings.warn("beware", FociscopeWarning, stacklevel=1)
        return super().estimate(batch, task)


def test_who_cannot_answer_says_why_and_the_others_go_on():
    done = evaluate_suite(conditions("reference,layers-2"), [TwoLayers(), ConstantBaseline()])
    assert scores(done, "reference", "two") == NotApplicable(not_applicable="two layers alone")
    assert scores(done, "reference", "constant").accuracy is not None
    assert scores(done, "layers-2", "two").accuracy is not None


def test_a_slow_method_is_scored_on_the_first_scenes():
    slow, condition = TwoLayers(), conditions("layers-2")
    done = evaluate_suite(condition, [slow, ConstantBaseline()])
    few = condition.conditions[0].slow_scenes
    assert slow.seen == scores(done, "layers-2", "two").scenes == few
    assert scores(done, "layers-2", "constant").scenes > few


def test_warnings_are_noted_once_and_not_printed():
    done = evaluate_suite(conditions("layers-2"), [TwoLayers()])
    assert done.results.conditions[0].notes == ("beware",)


def test_a_method_that_can_answer_nothing_is_refused_at_once():
    with pytest.raises(FociscopeError, match="two cannot be evaluated here: two layers alone"):
        evaluate_suite(conditions("reference"), [TwoLayers()])


def test_progress_reaches_its_end():
    steps = []
    evaluate_suite(
        conditions("reference,layers-2"),
        [TwoLayers(), ConstantBaseline()],
        progress=lambda name, done, total: steps.append((name, done, total)),
    )
    assert steps[-1][1] == steps[-1][2]
    assert np.all(np.diff([done for _, done, _ in steps]) > 0)
