"""What each registered format keeps to, and a format from outside the package."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import tifffile
import zarr

from fociscope.errors import FociscopeError
from fociscope.results import WRITERS, MapContent, Reconstruction, Writer, writer_names
from fociscope.series.folder import SERIES_FORMATS

resource = pytest.importorskip("resource")


@pytest.fixture(params=["one capture", "series"])
def result(request: pytest.FixtureRequest, by_hand: Any) -> Reconstruction:
    frames = () if request.param == "one capture" else (3,)
    made: Reconstruction = by_hand(
        np.random.default_rng(5).random((*frames, 4, 20, 24)),
        depth_um=(110.5, 361.25, 592.0, 850.0),
    )
    return made


# --- reading back: name of the format -> (depths in um, depth maps in um) -----------------------


def read_ome_tiff(folder: Path) -> tuple[Any, Any]:
    with tifffile.TiffFile(folder / "depth_map.ome.tif") as tiff:
        text = tiff.ome_metadata or ""
        depths = [float(part.split('"')[0]) for part in text.split('PositionZ="')[1:]]
        return depths, tiff.asarray()


def read_ome_zarr(folder: Path) -> tuple[Any, Any]:
    group: Any = zarr.open_group(folder / "reconstruction.ome.zarr", mode="r")
    return group["depth_um"][:], group["0"][:][..., 2, :, :, :]


def read_mat(folder: Path) -> tuple[Any, Any]:
    mat = scipy.io.loadmat(folder / "reconstruction.mat")
    return mat["zdist_PSF"] * 1000, mat["depth_map"] * 1000


def read_npz(folder: Path) -> tuple[Any, Any]:
    with np.load(folder / "reconstruction.npz", allow_pickle=False) as npz:
        return npz["depth_um"], npz["depth_map_um"]


def read_csv(folder: Path) -> tuple[Any, Any]:
    with (folder / "layers.csv").open(encoding="utf-8", newline="") as stream:
        return [float(row["depth_um"]) for row in csv.DictReader(stream)], None


READERS = {
    "ome-tiff": read_ome_tiff,
    "ome-zarr": read_ome_zarr,
    "mat": read_mat,
    "npz": read_npz,
    "csv": read_csv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_read_back(name: str, result: Reconstruction, tmp_path: Path) -> None:
    if name not in READERS:
        pytest.skip("no reader")
    result.save(tmp_path / "map", formats=(name,))
    depth_um, depth_map_um = READERS[name](tmp_path / "map")
    np.testing.assert_allclose(np.ravel(depth_um), result.depth_um.ravel(), rtol=1e-5, atol=1e-3)
    if depth_map_um is not None:
        np.testing.assert_allclose(
            np.ravel(depth_map_um), result.depth_map_um.ravel(), rtol=1e-5, atol=1e-3
        )


@pytest.mark.parametrize("name", WRITERS)
def test_a_format_names_its_files(name: str, result: Reconstruction, tmp_path: Path) -> None:
    result.save(tmp_path / "map", formats=(name,))
    there = {path.name for path in (tmp_path / "map").iterdir()}
    assert there == {*WRITERS[name].files, "summary.json"}


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """Let no file grow beyond some bytes: the operating system refuses, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_refuses_leaves_nothing(
    name: str, result: Reconstruction, tmp_path: Path
) -> None:
    with full_disk(64), pytest.raises(FociscopeError):
        result.save(tmp_path / "map", formats=(name,))
    assert list(tmp_path.iterdir()) == []


def test_formats_of_long_series_are_registered() -> None:
    assert set(SERIES_FORMATS) <= set(WRITERS)


# --- a format from outside ----------------------------------------------------------------------


def write_presence(content: MapContent, folder: Path) -> None:
    np.save(folder / "presence.npy", content.result.presence)


@pytest.fixture
def presence() -> Iterator[str]:
    WRITERS.register("presence", Writer("presence", ("presence.npy",), write_presence))
    yield "presence"
    WRITERS.unregister("presence")


def test_a_format_from_outside_is_saved_beside_others(
    presence: str, result: Reconstruction, tmp_path: Path
) -> None:
    assert writer_names()[-1] == presence
    result.save(tmp_path / "map", formats=("csv", presence))
    np.testing.assert_array_equal(np.load(tmp_path / "map" / "presence.npy"), result.presence)
    assert (tmp_path / "map" / "layers.csv").exists()


def test_an_unknown_format_is_refused_with_those_there_are(
    presence: str, result: Reconstruction, tmp_path: Path
) -> None:
    with pytest.raises(
        FociscopeError, match=r"no format of results 'jpeg'; choose among: .*presence"
    ) as no:
        result.save(tmp_path / "map", formats=("jpeg",))
    assert no.value.choices == writer_names()


@pytest.fixture
def registered() -> Iterator[Any]:
    names: list[str] = []

    def register(name: str, writer: Writer) -> str:
        WRITERS.register(name, writer)
        names.append(name)
        return name

    yield register
    for name in names:
        WRITERS.unregister(name)


def test_a_format_for_one_capture_refuses_a_series(
    registered: Any, by_hand: Any, tmp_path: Path
) -> None:
    name = registered("one", Writer("one", ("presence.npy",), write_presence, takes_series=False))
    series = by_hand(np.random.default_rng(0).random((2, 4, 10, 10)))
    with pytest.raises(FociscopeError, match="format one holds one capture and this is a series"):
        series.save(tmp_path / "map", formats=(name,))
    series.frame(1).save(tmp_path / "map", formats=(name,))
    assert list(tmp_path.iterdir()) == [tmp_path / "map"]


def test_a_file_that_was_named_and_not_written_is_missed(
    registered: Any, result: Reconstruction, tmp_path: Path
) -> None:
    name = registered("lazy", Writer("lazy", ("nothing.bin",), lambda content, folder: None))
    with pytest.raises(FociscopeError, match=r"lazy has not written nothing\.bin"):
        result.save(tmp_path / "map", formats=(name,))
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_half_way_leaves_nothing(
    registered: Any, result: Reconstruction, tmp_path: Path
) -> None:
    def write(content: MapContent, folder: Path) -> None:
        (folder / "half.bin").write_bytes(b"half")
        raise FociscopeError("cannot go on; try another format")

    name = registered("half", Writer("half", ("half.bin",), write))
    with pytest.raises(FociscopeError, match="cannot go on"):
        result.save(tmp_path / "map", formats=("csv", name))
    assert list(tmp_path.iterdir()) == []
