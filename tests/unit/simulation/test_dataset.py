"""Data sets: plans, records, and what goes on or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from fociscope.errors import FileFormatError, FociscopeError, OutputExistsError, SceneError
from fociscope.files import LayoutFormat, read_images_depth
from fociscope.files.safe.locks import locked_folder
from fociscope.imager import Imager
from fociscope.simulation import Surface, simulate
from fociscope.simulation.dataset import images_depth, write_dataset
from fociscope.simulation.dataset_check import check_dataset, dataset_files
from fociscope.simulation.dataset_record import DatasetPlan, Statistics, read_record


@pytest.fixture(scope="module")
def plan() -> DatasetPlan:
    return DatasetPlan(files=2, samples=3, seed=5, layers=2)


def test_files_hold_the_scenes_of_the_seed(tmp_path: Path, plan: DatasetPlan) -> None:
    seen: list[tuple[int, int]] = []
    done = write_dataset(tmp_path, plan, workers=1, progress=lambda *now: seen.append(now))
    assert done.made == ("1.mat", "2.mat")
    assert seen[0] == (0, 6)
    assert seen[-1] == (6, 6)
    expected = simulate(6, seed=5, layers=2, peak_snr_db=None)
    for index, name in enumerate(done.made):
        found, part = read_images_depth(tmp_path / name), slice(3 * index, 3 * index + 3)
        np.testing.assert_array_equal(found.raw, expected.layers[part])
        np.testing.assert_array_equal(found.captures, expected.captures[part])
        np.testing.assert_allclose(found.depth_um, expected.depth_um[part], rtol=3e-7)
        np.testing.assert_allclose(found.depth_map_um, expected.depth_map_um[part], rtol=3e-7)


def test_the_record_comes_back_equal(tmp_path: Path, plan: DatasetPlan) -> None:
    record = write_dataset(tmp_path, plan, workers=1).record
    assert read_record(tmp_path) == record
    assert record.is_complete
    assert check_dataset(tmp_path).is_sound


def test_statistics_are_those_of_the_values(tmp_path: Path) -> None:
    data = images_depth(simulate(4, seed=1, layers=3))
    found = Statistics.from_data(data)
    coverage = (data.depth_map_um > 0).mean(axis=(2, 3))
    assert found.coverage_mean == pytest.approx(coverage.mean())
    assert found.coverage_min == pytest.approx(coverage.min())
    assert found.depth_um_max == pytest.approx(data.depth_um.max())
    assert found.capture_mean == pytest.approx(data.captures.mean(), rel=1e-5)
    assert found.capture_peak == pytest.approx(data.captures.max())
    joined = Statistics.over([found, found.model_copy(update={"depth_um_max": 5000.0})])
    assert joined.depth_um_max == 5000
    assert joined.coverage_mean == pytest.approx(found.coverage_mean)


def test_single_layers_lie_evenly_in_the_gap(tmp_path: Path) -> None:
    imager = Imager.reference().with_(frame_px=(4, 4), gap_um=800.0)
    plan = DatasetPlan.single_layer(files=1, samples=400, imager=imager, format="hdf5")
    assert plan.imager.sensors == 1
    write_dataset(tmp_path, plan, workers=1)
    depth_um = read_images_depth(tmp_path / "1.h5").depth_um
    assert depth_um is not None
    # Kolmogorov-Smirnov: 1.63 / sqrt(400) is passed by chance once in a hundred seeds.
    steps = np.arange(1, 401) / 400
    assert np.abs(np.sort(depth_um[:, 0]) / 800 - steps).max() < 1.63 / 20


@pytest.mark.parametrize(
    "values",
    [
        {"files": 0},
        {"samples": 0},
        {"seed": -1},
        {"layers": 7},
        {"format": "xml"},
        {"kind": "single-layer"},
        {"min_separation_um": float("nan")},
        {"unknown": 1},
    ],
)
def test_impossible_plans(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DatasetPlan.model_validate(values)


def test_another_writer_is_not_disturbed(tmp_path: Path, plan: DatasetPlan) -> None:
    with locked_folder(tmp_path), pytest.raises(FociscopeError, match="another process"):
        write_dataset(tmp_path, plan, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_overwriting_starts_anew(tmp_path: Path, plan: DatasetPlan) -> None:
    write_dataset(tmp_path, plan, workers=1)
    other = plan.model_copy(update={"seed": 6})
    with pytest.raises(OutputExistsError):
        write_dataset(tmp_path, other, workers=1)
    done = write_dataset(tmp_path, other, workers=1, overwrite=True)
    assert done.made == ("1.mat", "2.mat")
    assert check_dataset(tmp_path).is_sound


def test_overwriting_that_fails_before_its_first_file_leaves_the_set(
    tmp_path: Path, plan: DatasetPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path, plan.model_copy(update={"files": 3, "samples": 1}), workers=1)
    (tmp_path / "4.mat").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(FociscopeError, match="disk is full"):
        patched.setattr("scipy.io.savemat", full)
        write_dataset(tmp_path, plan, workers=1, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    write_dataset(tmp_path, plan, workers=1, overwrite=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["1.mat", "2.mat", "4.mat", "dataset.json"]


def test_a_failure_keeps_the_files_that_are_whole(
    tmp_path: Path, plan: DatasetPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    write_dataset(whole, plan, workers=1)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def after_one(done: int, total: int) -> None:
        if done > 3:
            monkeypatch.setattr("scipy.io.savemat", full)

    folder = tmp_path / "d"
    with pytest.raises(FociscopeError, match="the disk is full"):
        write_dataset(folder, plan, workers=1, progress=after_one)
    monkeypatch.undo()
    assert sorted(path.name for path in folder.iterdir()) == ["1.mat", "dataset.json"]
    assert [file.name for file in read_record(folder).files] == ["1.mat"]
    assert check_dataset(folder).not_made == ("2.mat",)
    done = write_dataset(folder, plan, workers=1, resume=True)
    assert (done.kept, done.made) == (("1.mat",), ("2.mat",))
    for name in ("1.mat", "2.mat", "dataset.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_curved_layers_do_not_fit_the_layout() -> None:
    with pytest.raises(SceneError, match="tilted or curved"):
        images_depth(simulate(1, seed=0, surface=Surface()))


def test_files_of_a_set(tmp_path: Path, plan: DatasetPlan) -> None:
    write_dataset(tmp_path, plan, workers=1)
    (tmp_path / "10.mat").touch()
    assert [path.name for path in dataset_files(tmp_path)] == ["1.mat", "2.mat"]
    (tmp_path / "dataset.json").unlink()
    assert [path.name for path in dataset_files(tmp_path)] == ["1.mat", "2.mat", "10.mat"]
    with pytest.raises(FileFormatError, match="no file"):
        (tmp_path / "empty").mkdir()
        dataset_files(tmp_path / "empty")


@pytest.mark.parametrize("format", LayoutFormat)
def test_names_follow_the_format(format: LayoutFormat) -> None:
    assert DatasetPlan(format=format).file_name(1) == f"2{format.suffix}"
