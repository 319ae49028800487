"""Without a model, the number of sensors decides between the shipped ones."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import tifffile

import fociscope
from fociscope.errors import CaptureError
from fociscope.imager import Imager
from fociscope.workflows import ReconstructionOptions, ReconstructionPlan, reconstruct_captures

DEMO = Path(str(resources.files("fociscope.demo")))
A, B = DEMO / "sensor_a.tif", DEMO / "sensor_b.tif"
TABLES = ReconstructionOptions(formats=("csv",), device="cpu")


@pytest.mark.parametrize(("files", "model"), [([A, B], "layers-ab"), ([A], "layers-a")])
def test_the_files_decide(tmp_path, files, model) -> None:
    plans: list[ReconstructionPlan] = []
    outcome = fociscope.reconstruct(files, tmp_path / "map", TABLES, on_plan=plans.append)
    assert outcome.summary["model"] == model
    assert plans[0].model == model


@pytest.mark.parametrize(("sensors", "model"), [(2, "layers-ab"), (1, "layers-a")])
def test_arrays_decide(sensors, model) -> None:
    captures = np.stack([tifffile.imread(path) for path in (A, B)[:sensors]]).astype(np.float32)
    assert reconstruct_captures(captures, TABLES).model == model


def test_an_imager_of_two_sensors_does_for_one_image(tmp_path) -> None:
    Imager.reference().with_(gap_um=900.0).to_toml(tmp_path / "own.toml")
    options = ReconstructionOptions(formats=("csv",), imager=tmp_path / "own.toml", device="cpu")
    outcome = fociscope.reconstruct(A, tmp_path / "map", options)
    assert outcome.summary["imager"]["gap_um"] == 900.0
    assert outcome.summary["imager"]["sensors"] == 1


def test_a_model_of_two_sensors_refuses_one_image_and_names_what_takes_it(tmp_path) -> None:
    options = ReconstructionOptions(model="layers-ab", device="cpu")
    with pytest.raises(CaptureError, match=r"got 1 .* layers-a takes so many") as raised:
        fociscope.reconstruct(A, tmp_path / "map", options)
    assert raised.value.fields == ("model",)
    assert not (tmp_path / "map").exists()


def test_a_model_of_one_sensor_refuses_two_images(tmp_path) -> None:
    options = ReconstructionOptions(model="layers-a", device="cpu")
    with pytest.raises(CaptureError, match=r"got 2 .* layers-ab takes so many"):
        fociscope.reconstruct([A, B], tmp_path / "map", options)


@pytest.mark.parametrize("name", ["1.tif", "1_A.tif"])
def test_a_followed_folder_decides_by_its_first_files(tmp_path, name) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(A, folder / name)
    if name == "1_A.tif":
        shutil.copy(B, folder / "1_B.tif")
    outcome = fociscope.watch(folder, tmp_path / "maps", TABLES, idle_s=0.3)
    assert outcome.summary["model"] == ("layers-ab" if name == "1_A.tif" else "layers-a")
    assert outcome.frames == 1


def test_a_followed_stack_of_unnamed_pages_is_of_both_sensors(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "run.tif") as stack:
        for path in (A, B, A, B):
            stack.write(tifffile.imread(path), photometric="minisblack", metadata=None)
    outcome = fociscope.watch(tmp_path / "run.tif", tmp_path / "maps", TABLES, idle_s=0.3)
    assert (outcome.summary["model"], outcome.frames) == ("layers-ab", 2)


def test_a_watch_that_has_nothing_to_follow_ends_at_once(tmp_path) -> None:
    for name in ("nowhere", "nowhere.png"):
        with pytest.raises(CaptureError, match="nothing to follow"):
            fociscope.watch(tmp_path / name, tmp_path / "map", TABLES)


def test_a_folder_that_goes_before_its_first_image_ends_the_watch(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fociscope.workflows._watch.GIVEN_UP_S", 0.1)
    folder = tmp_path / "in"
    folder.mkdir()
    polls = iter([False, False])

    def stopped() -> bool:
        if next(polls, None) is None and folder.exists():
            folder.rmdir()
        return False

    with pytest.raises(CaptureError, match="nothing to follow"):
        fociscope.watch(folder, tmp_path / "map", TABLES, stopped=stopped)
