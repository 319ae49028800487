"""Following an instrument: whole captures only, each once, whatever arrives in between."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from fociscope.errors import FociscopeError, FociscopeWarning, OutputExistsError
from fociscope.reconstruction import Model, load_model
from fociscope.series import _growing_file as recording
from fociscope.series.following import WatchState
from fociscope.series.options import ReconstructionOptions
from fociscope.series.watch import watch_captures
from fociscope.simulation import simulate

FRAMES = 5


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab", device="cpu")


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return np.asarray(simulate(FRAMES, seed=88).captures)


@pytest.fixture(autouse=True)
def _given_up_soon(monkeypatch) -> None:
    monkeypatch.setattr(recording, "GIVEN_UP_S", 0.4)
    monkeypatch.setattr(recording, "TRIED_AGAIN_S", 0.05)


def write_pair(folder: Path, number: int, pair: np.ndarray) -> None:
    for side, image in zip("AB", pair, strict=True):
        tifffile.imwrite(folder / f"{number:04}_{side}.tif", image)


class Instrument:
    """Takes a step at each look, and stops the watch a while after its last one."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)
        self.states: list[WatchState] = []

    def stopped(self) -> bool:
        if self.steps:
            self.steps.pop(0)()
        return False

    def watch(self, model: Model, paths: list[Path], output: Path, **options: object):
        return watch_captures(
            model, paths, output, ReconstructionOptions(**options), idle_s=0.8,
            stopped=self.stopped, report=self.states.append,
        )  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_pairs_are_taken_as_they_come(model, captures, tmp_path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write_pair(folder, 1, captures[0])
    steps = [lambda n=n: write_pair(folder, n + 1, captures[n]) for n in range(1, FRAMES)]
    instrument = Instrument(*steps)
    done = instrument.watch(model, [folder], output)
    assert (done.frames, done.made) == (FRAMES, FRAMES)
    names = [row["name"] for row in rows(output / "frames.csv")]
    assert names == [f"{n + 1:04}_A.tif" for n in range(FRAMES)]
    group = zarr.open_group(output / "reconstruction.ome.zarr", mode="r")
    expected = model.reconstruct(captures)
    np.testing.assert_allclose(group["0"][:, 0], expected.probability, atol=1e-4)
    assert instrument.states[-1].frames == FRAMES
    assert instrument.states[-1].waiting == 0
    new = [frame for state in instrument.states for frame in state.new]
    assert [(frame.number, frame.name) for frame in new] == list(enumerate(names, start=1))
    layers = rows(output / "layers.csv")
    assert [len(frame.present_layers) for frame in new] == [
        sum(row["present"] == "1" for row in layers if row["frame"] == str(n + 1))
        for n in range(FRAMES)
    ]


def test_a_file_that_is_being_written_is_waited_for(model, captures, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_pair(tmp_path, 1, captures[0])
    whole = (tmp_path / "0001_B.tif").read_bytes()
    (folder / "0001_A.tif").write_bytes((tmp_path / "0001_A.tif").read_bytes())
    half = folder / "0001_B.tif"
    steps = [lambda: half.write_bytes(whole[: len(whole) // 2])] + [lambda: None] * 8
    steps.append(lambda: half.write_bytes(whole))
    done = Instrument(*steps).watch(model, [folder], tmp_path / "out")
    assert done.frames == 1
    assert done.summary["left_out_count"] == 0


def test_what_cannot_be_used_is_left_out_and_the_rest_goes_on(model, captures, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_pair(folder, 1, captures[0])
    (folder / "0002_A.tif").write_bytes(b"II*\0 no image")
    write_pair(folder, 2, captures[1])
    (folder / "0002_A.tif").write_bytes(b"II*\0 no image")
    write_pair(folder, 3, np.stack([captures[2, 0], 0 * captures[2, 1]]))
    write_pair(folder, 4, captures[3])
    write_pair(folder, 5, captures[4, :, :40, :40])
    tifffile.imwrite(folder / "0006_A.tif", captures[4, 0])  # its partner never comes
    (folder / "notes.txt").write_text("mine")
    instrument = Instrument()
    done = instrument.watch(model, [folder], tmp_path / "out")
    assert [row["name"] for row in rows(tmp_path / "out" / "frames.csv")] == [
        "0001_A.tif",
        "0004_A.tif",
    ]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    why = {one["name"]: one["why"] for one in summary["left_out"]}
    assert set(why) == {"0002_A.tif", "0003_A.tif", "0005_A.tif"}
    assert "no light" in why["0003_A.tif"]
    assert "40x40 pixels, expected 51x51" in why["0005_A.tif"]
    assert done.frames == 2


def test_another_run_goes_on_and_does_nothing_twice(model, captures, tmp_path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for n in range(2):
        write_pair(folder, n + 1, captures[n])
    Instrument().watch(model, [folder], output)
    for n in range(2, FRAMES):
        write_pair(folder, n + 1, captures[n])
    with pytest.raises(OutputExistsError, match="resume"):
        Instrument().watch(model, [folder], output)
    # A killed run leaves rows that its journal does not vouch for.
    with (output / "layers.csv").open("a") as stream:
        stream.write("3,1,1,0.9")
    done = Instrument().watch(model, [folder], output, resume=True)
    assert (done.frames, done.made) == (FRAMES, FRAMES - 2)
    numbers = [int(row["frame"]) for row in rows(output / "layers.csv")]
    assert numbers == [n + 1 for n in range(FRAMES) for _ in range(4)]


@pytest.mark.parametrize("sides", [1, 2])
def test_growing_stacks_are_followed_page_by_page(model, captures, tmp_path, sides) -> None:
    paths = [tmp_path / "live.tif"] if sides == 1 else [tmp_path / f"{s}.tif" for s in "ab"]

    def grow(number: int) -> None:
        for side, image in enumerate(captures[number]):
            tifffile.imwrite(
                paths[side % sides], image, append=True, contiguous=False, metadata=None
            )

    steps = [lambda n=n: grow(n) for n in range(FRAMES)]
    done = Instrument(*steps).watch(model, paths, tmp_path / "out")
    assert done.frames == FRAMES
    group = zarr.open_group(tmp_path / "out" / "reconstruction.ome.zarr", mode="r")
    expected = model.reconstruct(captures)
    np.testing.assert_allclose(group["0"][:, 0], expected.probability, atol=1e-4)


def test_two_folders_are_paired_by_name(model, captures, tmp_path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, image in zip(folders, captures[0], strict=True):
        folder.mkdir()
        tifffile.imwrite(folder / "x1.tif", image)
    tifffile.imwrite(folders[0] / "x2.tif", captures[1, 0])
    assert Instrument().watch(model, folders, tmp_path / "out").frames == 1


def test_a_resumed_stack_goes_on_behind_a_frame_that_was_left_out(
    model, captures, tmp_path
) -> None:
    stack, output = tmp_path / "live.tif", tmp_path / "out"
    dark = np.zeros_like(captures[0])
    for frame in (captures[0], dark, captures[1]):
        for image in frame:
            tifffile.imwrite(stack, image, append=True, contiguous=False, metadata=None)
    assert Instrument().watch(model, [stack], output).summary["left_out_count"] == 1
    done = Instrument().watch(model, [stack], output, resume=True)
    assert (done.frames, done.made) == (2, 0)


def test_a_wrong_pixel_size_is_said_once(model, captures, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_pair(folder, 1, captures[0])  # states none
    for n in (2, 3):
        for side, image in zip("AB", captures[n], strict=True):
            tifffile.imwrite(
                folder / f"{n:04}_{side}.ome.tif",
                image,
                metadata={"axes": "YX", "PhysicalSizeX": 20.0, "PhysicalSizeY": 20.0},
            )
    with pytest.warns(FociscopeWarning, match="pixels of 20 µm") as said:
        Instrument().watch(model, [folder], tmp_path / "out")
    assert len(said) == 1


def test_what_still_waits_at_the_end_stands_in_the_summary(model, captures, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_pair(folder, 1, captures[0])
    tifffile.imwrite(folder / "0002_A.tif", captures[1, 0])
    Instrument().watch(model, [folder], tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["waiting_count"], summary["waiting"]) == (1, ["0002_A.tif"])


def test_two_folders_that_share_no_name_are_told_so(model, captures, tmp_path) -> None:
    for name, image in zip(("x1", "y1"), captures[0], strict=True):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / f"{name}.tif", image)
    with pytest.raises(FociscopeError, match=r"no capture came .* x1.tif, y1.tif"):
        Instrument().watch(model, [tmp_path / "x1", tmp_path / "y1"], tmp_path / "out")


def test_nothing_to_follow_and_nothing_that_comes_are_one_line(model, tmp_path) -> None:
    with pytest.raises(FociscopeError, match="nothing to follow"):
        Instrument().watch(model, [tmp_path / "nowhere"], tmp_path / "out")
    (tmp_path / "in").mkdir()
    with pytest.raises(FociscopeError, match="no capture came"):
        Instrument().watch(model, [tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
