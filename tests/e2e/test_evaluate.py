"""`fociscope evaluate`: a report on unseen scenes."""

from __future__ import annotations

import json

import pytest

from fociscope.evaluation import _scores, suite
from fociscope.evaluation import run as module
from fociscope.files.safe.records import read_record


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few scenes and few resamples: what is printed and written is the same with more."""
    few = {"scenes": 4, "slow_scenes": 2}
    for name, one in suite.SUITES.items():
        conditions = tuple(c.model_copy(update=few) for c in one.conditions)
        smaller = one.model_copy(update={"conditions": conditions})
        monkeypatch.setitem(suite.SUITES, name, smaller)
    monkeypatch.setattr(_scores, "RESAMPLES", 50)
    monkeypatch.setattr(_scores, "BIN_RESAMPLES", 50)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports whose pictures are empty files: drawing them takes most of an evaluation."""
    monkeypatch.setattr("fociscope.report.page.file_bytes", lambda figure, suffix: b"")


def test_writes_a_report_and_prints_a_table(fociscope, tmp_path):
    ran = fociscope(
        "evaluate", "layers-ab", "--suite", "quick", "--conditions", "reference,snr-20",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    for word in ("reference", "peak SNR 20 dB", "baseline", "Dice", "µm"):
        assert word in ran.out
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"report.html", "results.json", "tables.md", "figures"}
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [c["name"] for c in results["conditions"]] == ["reference", "snr-20"]
    assert list(results["methods"]) == ["layers-ab", "constant"]


def test_json_is_all_that_is_printed(fociscope, no_pictures, tmp_path):
    ran = fociscope(
        "evaluate", "constant", "--suite", "quick", "--conditions", "reference", "--json",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == read_record(tmp_path / "out" / "results.json", "results")


def test_a_solver_is_evaluated_like_a_model(fociscope, no_pictures, tmp_path):
    ran = fociscope(
        "evaluate", "tikhonov", "--suite", "quick", "--conditions", "reference",
        "--baselines", "none", "--json", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert list(json.loads(ran.out)["methods"]) == ["tikhonov"]


def test_the_table_has_a_row_for_each_baseline_that_was_asked_for(fociscope, no_pictures, tmp_path):
    ran = fociscope(
        "evaluate", "tikhonov", "--suite", "quick", "--conditions", "layers-2",
        "--baselines", "constant,tikhonov-oracle", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = [line for line in ran.out.splitlines() if "│" in line]
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    for label, method in (("layers 2", "tikhonov"), ("  tikhonov-oracle", "tikhonov-oracle")):
        (row,) = [line for line in rows if f"│ {label} " in line]
        scores = results["conditions"][0]["scores"][method]
        assert f" {scores['dice']['value']:.3f} " in row  # from 0 to 1
        assert f" {100 * scores['accuracy']['value']:.1f} " in row


def test_a_data_set_of_one_s_own(fociscope, no_pictures, tmp_path):
    made = fociscope(
        "simulate", "images-depth", "-o", tmp_path / "set", "--files", 1, "--samples", 4
    )
    assert made.code == 0, made.err
    ran = fociscope("evaluate", "layers-ab", "--data", tmp_path / "set", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "data set set" in ran.out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert str(tmp_path) not in json.dumps(results)
    assert results["conditions"][0]["scores"]["layers-ab"]["scenes"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "no model or solver 'nobody'"),
        (["layers-ab", "--suite", "fast"], "no suite 'fast'"),
        (["layers-ab", "--conditions", "snr-1"], "no condition 'snr-1'"),
        (["layers-ab", "--baselines", "wiener"], "no model or solver 'wiener'"),
        (["layers-ab", "--imager", "chip.toml"], "--imager is that of --data"),
        (["layers-ab", "--data", "x", "--suite", "quick"], "--data takes the place of a suite"),
        (["layers-ab", "--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(fociscope, tmp_path, arguments, message):
    ran = fociscope("evaluate", *arguments, "-o", tmp_path / "out")
    assert ran.code == 1
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unasked(fociscope, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    ran = fociscope("evaluate", "constant", "--suite", "quick", "-o", tmp_path)
    assert ran.code == 1
    assert "--overwrite" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_an_interrupted_run_leaves_nothing(fociscope, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "evaluate_suite", interrupted)
    ran = fociscope("evaluate", "constant", "--suite", "quick", "-o", tmp_path / "out")
    assert ran.code == 130
    assert list(tmp_path.iterdir()) == []


def test_the_generalisation_suite_names_what_is_test_only(fociscope, no_pictures, tmp_path):
    ran = fociscope(
        "evaluate", "constant", "--suite", "generalisation", "--conditions", "single-layer-strands",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "no model was trained on them: single-layer-strands" in ran.out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["suite"]["test_only"] == ["single-layer-strands"]
    assert "Generalisation: constant" in (tmp_path / "out" / "tables.md").read_text()
