"""Captures that are independent of each other: a folder for each, tables of all, one sheet."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from matplotlib.figure import Figure

import fociscope
from fociscope.errors import FileFormatError, FociscopeError, OutputExistsError
from fociscope.reconstruction.preparation import Preparation
from fociscope.workflows import ReconstructionOptions, ReconstructionPlan, _batch, _loading, _run
from fociscope.workflows._batch import captures_apart
from fociscope.workflows._run import Run

TABLES = ("frames.csv", "layers.csv", "foci.csv")
CSV = ReconstructionOptions(formats=("csv",), device="cpu")
CSV_AGAIN = ReconstructionOptions(formats=("csv",), device="cpu", resume=True)
MICE = ("mouse1", "mouse2")


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return np.asarray(fociscope.simulate(2, seed=58).captures)


@pytest.fixture(autouse=True)
def _quick_figures(monkeypatch) -> None:
    """Draw nothing of each capture, which takes longer than all else."""
    monkeypatch.setattr(_run, "draw_reconstruction", lambda *_: Figure(figsize=(1, 1)))


@pytest.fixture
def mice(tmp_path: Path, captures: np.ndarray) -> list[Path]:
    """The same names in two folders, in capitals."""
    files = []
    for mouse, pair in zip(MICE, captures, strict=True):
        (tmp_path / "in" / mouse).mkdir(parents=True)
        for side, image in zip("AB", pair, strict=True):
            files.append(tmp_path / "in" / mouse / f"x_{side}.TIF")
            tifffile.imwrite(files[-1], image)
    return files


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def tree(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(found)


def test_each_capture_gets_a_folder_and_every_table_its_name(tmp_path, mice) -> None:
    plans: list[ReconstructionPlan] = []
    outcome = fociscope.reconstruct(mice, tmp_path / "map", CSV, on_plan=plans.append)
    assert (outcome.frames, outcome.made, outcome.is_batch, outcome.warnings) == (2, 2, True, ())
    assert plans[0].pairs == (tuple(mice[:2]), tuple(mice[2:]))
    assert plans[0].is_batch
    each = [*TABLES, "figure.png", "summary.json"]
    expected = [*each, "journal.json", *(f"{mouse}/x_A/{name}" for mouse in MICE for name in each)]
    assert tree(tmp_path / "map") == sorted(expected)
    for name in TABLES:
        found = {row["name"] for row in rows(tmp_path / "map" / name)}
        assert found == {"mouse1/x_A.TIF", "mouse2/x_A.TIF"}
    said = [(one["name"], one["folder"]) for one in outcome.summary["captures"]]
    assert said == [(f"{mouse}/x_A.TIF", f"{mouse}/x_A") for mouse in MICE]
    assert set(outcome.files) >= {tmp_path / "map" / mouse / "x_A" for mouse in MICE}


def test_a_batch_is_loaded_capture_by_capture(tmp_path, mice) -> None:
    options = ReconstructionOptions(formats=("npz",), device="cpu")
    fociscope.reconstruct(mice, tmp_path / "map", options)
    with pytest.raises(FileFormatError, match=r"a batch of 2 capture\(s\).*mouse1/x_A"):
        fociscope.load_result(tmp_path / "map")
    assert fociscope.load_result(tmp_path / "map" / "mouse2" / "x_A").names == ("x_A.TIF",)


def test_the_chips_frames_are_read_once_for_all_captures(tmp_path, mice, monkeypatch) -> None:
    read: list[tuple[Path, ...]] = []
    load = _loading._chip_frames

    def counted(paths: tuple[Path, ...], *others: object) -> object:
        read.append(paths)
        return load(paths, *others)

    monkeypatch.setattr(_loading, "_chip_frames", counted)
    dark = tmp_path / "dark.tif"
    tifffile.imwrite(dark, np.zeros((51, 51), np.float32))
    fociscope.reconstruct(mice, tmp_path / "out", ReconstructionOptions(dark=dark))

    assert read == [(dark,)]


def test_the_folder_of_a_capture_is_what_it_gives_alone(tmp_path, mice) -> None:
    fociscope.reconstruct(mice, tmp_path / "map", CSV)
    fociscope.reconstruct(mice[2:], tmp_path / "alone", CSV)
    for name in (*TABLES, "summary.json"):
        in_batch = (tmp_path / "map" / "mouse2" / "x_A" / name).read_bytes()
        assert in_batch == (tmp_path / "alone" / name).read_bytes()


def interrupted_at_mouse2(mice, output: Path, monkeypatch) -> None:
    """Run a batch that Ctrl-C ends at its second capture."""
    written = Run.written

    def stops(run: Run, *more: object) -> object:
        if "mouse2" in run.title:
            raise KeyboardInterrupt
        return written(run, *more)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Run, "written", stops)
        fociscope.reconstruct(mice, output, CSV)


def test_it_goes_on_where_it_was_interrupted(tmp_path, mice, monkeypatch) -> None:
    fociscope.reconstruct(mice, tmp_path / "whole", CSV)
    interrupted_at_mouse2(mice, tmp_path / "map", monkeypatch)
    assert not (tmp_path / "map" / "mouse2").exists()
    with pytest.raises(OutputExistsError) as refused:
        fociscope.reconstruct(mice, tmp_path / "map", CSV)
    assert refused.value.fields == ("resume", "overwrite")
    outcome = fociscope.reconstruct(mice, tmp_path / "map", CSV_AGAIN)
    assert (outcome.frames, outcome.made) == (2, 1)
    assert tree(tmp_path / "map") == tree(tmp_path / "whole")
    for name in (*TABLES, "summary.json"):
        made_again = (tmp_path / "map" / name).read_bytes()
        assert made_again == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("link", ["mouse2", "mouse2/x_A"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_leads_elsewhere_is_not_written(
    tmp_path, mice, monkeypatch, link, overwrite
) -> None:
    interrupted_at_mouse2(mice, tmp_path / "map", monkeypatch)
    for name in ("mine/summary.json", "mine/x_A/summary.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "map" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "map" / link).symlink_to(tmp_path / "mine")
    options = replace(CSV_AGAIN, resume=not overwrite, overwrite=overwrite)
    with pytest.raises(FociscopeError, match="a link, expected a folder of the batch's own"):
        fociscope.reconstruct(mice, tmp_path / "map", options)
    assert tree(tmp_path / "mine") == ["summary.json", "x_A/summary.json"]
    assert (tmp_path / "mine" / "summary.json").read_text() == "mine"


def test_an_interrupted_first_capture_leaves_nothing(tmp_path, mice, monkeypatch) -> None:
    def stops(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "in_memory", stops)
    with pytest.raises(KeyboardInterrupt):
        fociscope.reconstruct(mice, tmp_path / "map", CSV)
    assert not (tmp_path / "map").exists()


def test_a_capture_that_changed_is_not_taken_for_done(tmp_path, mice, captures) -> None:
    fociscope.reconstruct(mice, tmp_path / "map", CSV)
    tifffile.imwrite(mice[0], captures[1, 0])
    with pytest.raises(FociscopeError, match=r"mouse1/x_A\.TIF: its files have changed"):
        fociscope.reconstruct(mice, tmp_path / "map", CSV_AGAIN)


def test_a_capture_that_cannot_be_used_is_left_out_by_name(tmp_path, mice) -> None:
    tifffile.imwrite(mice[0], np.zeros((51, 51), np.float32))
    outcome = fociscope.reconstruct(mice, tmp_path / "map", CSV)
    assert (outcome.frames, outcome.summary["left_out_count"]) == (1, 1)
    (warning,) = outcome.warnings
    assert str(warning).startswith("1 capture(s) left out: mouse1/x_A.TIF: ")
    assert not (tmp_path / "map" / "mouse1").exists()


def test_a_warning_names_the_captures_that_it_is_about(tmp_path, mice, captures) -> None:
    for path, image in zip(mice[:2], captures[0], strict=True):
        tifffile.imwrite(path, image, resolution=(200, 200), resolutionunit="CENTIMETER")
    outcome = fociscope.reconstruct(mice, tmp_path / "map", CSV)
    (warning,) = outcome.warnings
    assert str(warning).startswith("mouse1/x_A.TIF: the files state pixels of 50 µm")
    assert warning.fields == ("imager",)


def test_captures_of_other_sizes_are_one_batch(tmp_path, mice, captures) -> None:
    for path, image in zip(mice[2:], captures[1], strict=True):
        tifffile.imwrite(path, image[:40, :48])
    fociscope.reconstruct(mice, tmp_path / "map", CSV)
    summary = json.loads((tmp_path / "map" / "mouse2" / "x_A" / "summary.json").read_text())
    assert summary["frame_px"] == [40, 48]


def test_stacks_and_pairs_in_files_are_captures_of_a_batch(tmp_path, captures) -> None:
    for name in "pqr":
        np.save(tmp_path / f"{name}.npy", captures)
    files = [tmp_path / f"{name}.npy" for name in "pqr"]
    outcome = fociscope.reconstruct(files, tmp_path / "map", CSV)
    names = [row["name"] for row in rows(tmp_path / "map" / "frames.csv")]
    assert names == ["p.npy#1", "p.npy#2", "q.npy#1", "q.npy#2", "r.npy#1", "r.npy#2"]
    assert [one["folder"] for one in outcome.summary["captures"]] == list("ppqqrr")


@pytest.mark.parametrize(
    ("names", "batch", "average", "apart"),
    [
        (["mouse1/x_A.TIF", "mouse1/x_B.TIF"], None, 1, 0),
        (["mouse1"], None, 1, 0),
        (["mouse*/*.tif"], None, 1, 2),
        (["mouse*/*.tif"], False, 1, 0),
        (["run"], None, 1, 0),
        (["run"], True, 1, 3),
        (["run/1.npy", "run/2.npy", "run/3.npy"], None, 1, 3),
        (["run/1.npy", "run/2.npy", "run/3.npy"], None, 3, 0),
        (["run/1.npy", "run/2.npy", "run/3.npy"], False, 1, 0),
    ],
)
def test_what_is_a_batch(tmp_path, mice, names, batch, average, apart) -> None:
    (tmp_path / "in" / "run").mkdir()
    for number in (1, 2, 3):
        np.save(tmp_path / "in" / "run" / f"{number}.npy", np.ones((51, 51)))
    options = ReconstructionOptions(batch=batch, preparation=Preparation(average=average))
    assert len(captures_apart([tmp_path / "in" / name for name in names], options)) == apart


def test_a_batch_is_not_for_a_scheduler(tmp_path) -> None:
    options = ReconstructionOptions(batch=True, scheduler="tcp://127.0.0.1:8786")
    with pytest.raises(FociscopeError, match="leave out the scheduler"):
        captures_apart([tmp_path], options)


def test_captures_of_one_and_of_two_sensors_are_refused(tmp_path, captures) -> None:
    np.save(tmp_path / "p.npy", captures[0, 0])
    np.save(tmp_path / "q.npy", captures)
    np.save(tmp_path / "r.npy", captures)
    files = [tmp_path / f"{name}.npy" for name in "pqr"]
    with pytest.raises(FociscopeError, match=r"p\.npy is of 1 sensor\(s\), q\.npy of 2"):
        fociscope.reconstruct(files, tmp_path / "map", CSV)
    assert not (tmp_path / "map").exists()


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["x.tif", "y.ome.tif"], ["x", "y"]),
        (["x.tif", "x.png"], ["x.tif", "x.png"]),
        (["x.tif", "X.png"], ["x.tif", "X.png"]),
        (["x.tif", "x/y.tif"], ["x.tif", "x/y.tif"]),
        (["figure.tif", "y.tif"], ["figure", "y"]),
        (["summary.json.tif", "y.tif"], ["summary.json.tif", "y.tif"]),
        (["a.h5:/p", "a.h5:/q"], ["a.h5_/p", "a.h5_/q"]),
    ],
)
def test_no_capture_gets_the_folder_of_another(names, folders) -> None:
    assert _batch.folder_names(names, [Path(name) for name in names]) == folders


def test_a_capture_with_the_name_of_a_file_of_the_batch_is_refused() -> None:
    names = ["figure.png", "figure.tif"]
    with pytest.raises(FociscopeError, match=r"figure\.png: .* rename it"):
        _batch.folder_names(names, [Path(name) for name in names])


def test_overwriting_replaces_an_earlier_batch(tmp_path, mice) -> None:
    fociscope.reconstruct(mice, tmp_path / "map", CSV)
    shutil.rmtree(tmp_path / "in" / "mouse1")
    options = ReconstructionOptions(formats=("csv",), device="cpu", overwrite=True, batch=True)
    shutil.copytree(tmp_path / "in" / "mouse2", tmp_path / "in" / "mouse3")
    again = [*mice[2:], *(tmp_path / "in" / "mouse3" / file.name for file in mice[2:])]
    outcome = fociscope.reconstruct(again, tmp_path / "map", options)
    assert {row["name"] for row in rows(tmp_path / "map" / "frames.csv")} == {
        "mouse2/x_A.TIF",
        "mouse3/x_A.TIF",
    }
    assert outcome.frames == 2


def test_names_that_may_be_two_sensors_are_said(tmp_path, captures) -> None:
    (tmp_path / "in").mkdir()
    for number, pair in enumerate(captures):
        for side, image in zip(("left", "right"), pair, strict=True):
            tifffile.imwrite(tmp_path / "in" / f"{number}_{side}.tif", image)
    options = replace(CSV, batch=True, model="single-a")
    done = fociscope.reconstruct(tmp_path / "in", tmp_path / "out", options)
    assert done.frames == 4
    assert any("'left' and 'right', which may be two sensors" in note for note in done.notes)


def test_numbered_cameras_of_a_batch_are_said(tmp_path, captures) -> None:
    (tmp_path / "in").mkdir()
    for number, pair in enumerate(captures):
        for camera, image in zip((1, 2), pair, strict=True):
            tifffile.imwrite(tmp_path / "in" / f"{number}_cam{camera}.tif", image)
    done = fociscope.reconstruct(tmp_path / "in", tmp_path / "out", replace(CSV, batch=True))
    assert done.frames == 2
    assert any("'cam1' is taken as sensor A" in note for note in done.notes)
