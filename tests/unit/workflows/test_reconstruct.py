"""`fociscope.reconstruct` and `fociscope.watch`: files to files from Python."""

from __future__ import annotations

import csv
from dataclasses import FrozenInstanceError
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import fociscope
from fociscope.errors import FociscopeError, OutputExistsError
from fociscope.files.safe.records import read_record
from fociscope.imager import Imager
from fociscope.reconstruction import Model
from fociscope.reconstruction.preparation import Preparation
from fociscope.series import series as parts
from fociscope.simulation.dataset import write_dataset
from fociscope.simulation.dataset_record import DatasetPlan
from fociscope.workflows import (
    ReconstructionOptions,
    ReconstructionPlan,
    _run,
    reconstruct,
    reconstruct_captures,
)

DEMO = Path(str(resources.files("fociscope.demo")))
PAIR = [DEMO / "sensor_a.tif", DEMO / "sensor_b.tif"]
FRAMES = 5


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return np.asarray(fociscope.simulate(FRAMES, seed=31).captures)


@pytest.fixture
def stack(tmp_path: Path, captures: np.ndarray) -> Path:
    np.save(tmp_path / "run.npy", captures)
    return tmp_path / "run.npy"


@pytest.fixture
def short_parts(monkeypatch) -> None:
    monkeypatch.setattr(parts, "LONG_FRAMES", 3)
    monkeypatch.setattr(parts, "PART_FRAMES", 2)
    monkeypatch.setattr(parts, "CHUNK_FRAMES", 2)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_pair_becomes_maps_tables_summary_and_figure(tmp_path) -> None:
    plans: list[ReconstructionPlan] = []
    outcome = fociscope.reconstruct(PAIR, tmp_path / "map", on_plan=plans.append)
    assert {path.name for path in outcome.files} == names(tmp_path / "map")
    assert all(path.exists() for path in outcome.files)
    assert outcome.summary == read_record(tmp_path / "map" / "summary.json", "a summary")
    assert (outcome.frames, outcome.made, outcome.by_parts) == (1, 1, False)
    assert outcome.title == "sensor_a.tif + sensor_b.tif"
    (plan,) = plans
    assert (plan.pairs, plan.formats, plan.is_single) == ((tuple(PAIR),), ("ome-tiff", "csv"), True)


def test_files_and_arrays_give_the_same_map(tmp_path, captures, stack) -> None:
    options = ReconstructionOptions(
        preparation=Preparation(crop=(1, 2, 40, 40), average=2), layers=3, formats=("npz",)
    )
    reconstruct(stack, tmp_path / "map", options)
    result = reconstruct_captures(captures, options)
    with np.load(tmp_path / "map" / "reconstruction.npz") as saved:
        assert saved["probability"].shape == (3, 3, 40, 40)
        np.testing.assert_array_equal(saved["probability"], result.probability)


def test_an_imager_may_be_a_file_or_itself(tmp_path) -> None:
    imager = Imager(gap_um=690)
    imager.to_toml(tmp_path / "chip.toml")
    sums = []
    for name, which in (("file", tmp_path / "chip.toml"), ("self", imager)):
        options = ReconstructionOptions(imager=which, formats=("csv",))
        sums.append(reconstruct(PAIR, tmp_path / name, options).summary["imager_sha256"])
    assert sums[0] == sums[1]


def test_a_long_series_draws_the_first_frame_that_it_made(
    tmp_path, stack, short_parts, monkeypatch
) -> None:
    frames: list[int] = []
    real = Model.reconstruct

    def counted(self, captures, **more):
        frames.append(len(captures) if captures.ndim == 4 else 1)
        return real(self, captures, **more)

    monkeypatch.setattr(Model, "reconstruct", counted)
    outcome = reconstruct(stack, tmp_path / "map", ReconstructionOptions(formats=("csv",)))
    assert sum(frames) == FRAMES  # none of them twice
    assert outcome.by_parts
    assert outcome.first is not None
    assert outcome.first.captures.base is None  # not a view that keeps a whole part in memory
    assert "figure.png" in names(tmp_path / "map")
    again = reconstruct(
        stack, tmp_path / "map", ReconstructionOptions(formats=("csv",), resume=True)
    )
    assert (again.frames, again.made, sum(frames)) == (FRAMES, 0, FRAMES)


def test_an_interrupted_series_is_resumed_and_has_its_figure(
    tmp_path, stack, short_parts, monkeypatch
) -> None:
    real, calls = parts.reconstruct_frames, []

    def stops(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    options = ReconstructionOptions(formats=("csv",))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(parts, "reconstruct_frames", stops)
        reconstruct(stack, tmp_path / "map", options)
    with pytest.raises(OutputExistsError) as refused:
        reconstruct(stack, tmp_path / "map", options)
    assert refused.value.fields == ("resume", "overwrite")
    resumed = ReconstructionOptions(formats=("csv",), resume=True)
    outcome = reconstruct(stack, tmp_path / "map", resumed)
    assert (outcome.frames, outcome.made) == (FRAMES, FRAMES - 2)
    assert "figure.png" in names(tmp_path / "map")


@pytest.mark.parametrize(("model", "layers"), [("single-a", 1), ("layers-a", 4)])
def test_the_length_of_a_series_counts_the_models_own_layers(
    tmp_path, captures, monkeypatch, model, layers
) -> None:
    np.save(tmp_path / "a.npy", captures[:, 0])
    asked: list[int] = []

    def noted(shape, count):
        asked.append(count)
        return False

    monkeypatch.setattr(_run, "is_long", noted)
    options = ReconstructionOptions(model=model, formats=("csv",), pages="frames")
    reconstruct(tmp_path / "a.npy", tmp_path / "map", options)
    assert asked == [layers]


def test_parts_can_be_asked_for_and_forbidden(tmp_path, stack, short_parts) -> None:
    at_once = ReconstructionOptions(formats=("mat",), by_parts=False)
    assert not reconstruct(stack, tmp_path / "once", at_once).by_parts
    with pytest.raises(FociscopeError, match="part by part") as refused:
        reconstruct(stack, tmp_path / "parts", ReconstructionOptions(formats=("mat",)))
    assert refused.value.fields == ("formats",)
    assert not (tmp_path / "parts").exists()


def test_a_watch_ends_when_nothing_comes(tmp_path, captures) -> None:
    (tmp_path / "in").mkdir()
    for side, image in zip("AB", captures[0], strict=True):
        np.save(tmp_path / "in" / f"1_{side}.npy", image)
    np.save(tmp_path / "in" / "2_A.npy", captures[1, 0])
    options = ReconstructionOptions(formats=("csv",))
    outcome = fociscope.watch(tmp_path / "in", tmp_path / "map", options, idle_s=0.3)
    with (tmp_path / "map" / "frames.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == ["1_A.npy"]
    (waiting,) = outcome.warnings
    assert "2_A.npy" in str(waiting)
    assert waiting.fields == ("resume",)


def test_a_watch_computes_in_this_process(tmp_path) -> None:
    options = ReconstructionOptions(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(FociscopeError, match="in this process") as refused:
        fociscope.watch(tmp_path, tmp_path / "map", options)
    assert refused.value.fields == ("scheduler",)


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"resume": True, "overwrite": True}, ("resume", "overwrite")),
        ({"cell_diameter_um": 0.0}, ("cell_diameter_um",)),
        ({"pages": "channels"}, ("pages",)),
        ({"precision": "float16"}, ("precision",)),
    ],
)
def test_options_that_make_no_sense_are_refused(options, fields) -> None:
    with pytest.raises(FociscopeError) as refused:
        ReconstructionOptions(**options)
    assert refused.value.fields == fields


def test_options_are_frozen_and_take_one_path_or_many() -> None:
    options = ReconstructionOptions(dark="dark.tif", flat=["a.tif", Path("b.tif")])
    assert options.chip_files == ((Path("dark.tif"),), (Path("a.tif"), Path("b.tif")), ())
    with pytest.raises(FrozenInstanceError):
        options.layers = 3  # type: ignore[misc]


def test_a_data_set_is_reconstructed_for_its_own_imager(tmp_path: Path) -> None:
    imager = Imager.reference().with_(name="thin", gap_um=800.0)
    plan = DatasetPlan(files=1, samples=2, imager=imager)
    write_dataset(tmp_path / "set", plan, workers=1)
    captures = next((tmp_path / "set").glob("1.mat"))
    plans: list[ReconstructionPlan] = []
    options = ReconstructionOptions(formats=("csv",), device="cpu")
    outcome = reconstruct(captures, tmp_path / "map", options, on_plan=plans.append)
    assert outcome.first is not None
    assert outcome.first.imager.gap_um == 800
    assert "'thin', is taken" in " ".join(plans[0].notes)
    named = ReconstructionOptions(imager=Imager.reference(), formats=("csv",), device="cpu")
    other = reconstruct(captures, tmp_path / "other", named)
    assert other.first is not None
    assert other.first.imager.gap_um == 1000
