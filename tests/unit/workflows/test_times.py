"""Times of frames in tables and images; arrival and latency of captures that are followed."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

import fociscope
from fociscope.workflows import ReconstructionOptions

TIMES = [3.0, 3.5, 4.0]
TABLES = ("frames.csv", "layers.csv", "foci.csv")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return np.asarray(fociscope.simulate(len(TIMES), seed=12).captures)


@pytest.fixture
def recording(tmp_path: Path, captures: np.ndarray) -> Path:
    np.savez(tmp_path / "run.npz", captures=captures, time_s=TIMES)
    return tmp_path / "run.npz"


@pytest.mark.parametrize("by_parts", [False, True])
def test_every_row_has_the_time_of_its_frame(tmp_path, recording, by_parts) -> None:
    options = ReconstructionOptions(formats=("ome-zarr", "csv"), by_parts=by_parts, device="cpu")
    fociscope.reconstruct(recording, tmp_path / "map", options)
    for name in TABLES:
        found = rows(tmp_path / "map" / name)
        assert found
        assert all(float(row["time_s"]) == TIMES[int(row["frame"]) - 1] for row in found)
    group = zarr.open_group(tmp_path / "map" / "reconstruction.ome.zarr", mode="r")
    (image,) = group.attrs["ome"]["multiscales"]
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"][0] == 0.5
    np.testing.assert_array_equal(fociscope.load_result(tmp_path / "map").time_s, TIMES)


def test_without_times_tables_have_no_column_of_them(tmp_path, captures) -> None:
    np.save(tmp_path / "run.npy", captures)
    options = ReconstructionOptions(formats=("csv",), device="cpu")
    fociscope.reconstruct(tmp_path / "run.npy", tmp_path / "map", options)
    assert all("time_s" not in rows(tmp_path / "map" / name)[0] for name in TABLES)


def test_a_watch_says_when_captures_came_and_how_long_their_maps_took(tmp_path, captures) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for side, image in zip("AB", captures[0], strict=True):
        np.save(folder / f"1_{side}.npy", image)
    began_s = time.time()
    options = ReconstructionOptions(formats=("csv",), device="cpu")
    fociscope.watch(folder, tmp_path / "map", options, idle_s=0.3)
    (row,) = rows(tmp_path / "map" / "frames.csv")
    assert began_s - 1 <= float(row["arrived_s"]) <= time.time()
    assert 0 < float(row["latency_s"]) <= time.time() - began_s + 1
    assert row["time_s"] == ""
    assert rows(tmp_path / "map" / "layers.csv")[0]["time_s"] == ""
