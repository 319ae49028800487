"""OME-Zarr that grows: what is announced, cut off, forgotten; and shapes that do not fit."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from fociscope.errors import OutputExistsError
from fociscope.files.ome.zarr import Channel, OmeZarrSeries, write_ome_zarr

CHANNELS = [Channel("probability", 1.0), Channel("intensity", float("nan"))]
PLACED = {"channels": CHANNELS, "pixel_pitch_um": 55.0, "layer_um": 250.0}


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 2, 3, 8, 9), dtype=np.float32)


@pytest.fixture
def series(tmp_path: Path) -> OmeZarrSeries:
    store = OmeZarrSeries(tmp_path / "x.ome.zarr")
    store.create((2, 3, 8, 9), ["depth_um"], frames_per_chunk=2, **PLACED)
    return store


def append(store: OmeZarrSeries, image: np.ndarray) -> None:
    store.append(image, {"depth_um": np.ascontiguousarray(image[:, 0, :, 0, 0])})


def read(path: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(path, mode="r")["0"][:])


def test_parts_are_the_whole(series: OmeZarrSeries) -> None:
    image = frames(7)
    for start in range(0, 7, 4):
        append(series, image[start : start + 4])
    np.testing.assert_array_equal(read(series.path), image)
    depth_um = zarr.open_group(series.path, mode="r")["depth_um"][:]
    np.testing.assert_array_equal(depth_um, image[:, 0, :, 0, 0])


def test_what_is_cut_off_is_gone_from_the_disk_and_can_come_again(series: OmeZarrSeries) -> None:
    image = frames(6)
    append(series, image[:4])
    before = {p: p.read_bytes() for p in series.path.rglob("*") if p.is_file()}
    append(series, image[4:])
    (series.path / "0" / "c" / ".5.partial").write_bytes(b"half")
    again = OmeZarrSeries(series.path)
    assert again.cut(4) == (8, 9)
    assert {p: p.read_bytes() for p in series.path.rglob("*") if p.is_file()} == before
    append(again, image[4:])
    np.testing.assert_array_equal(read(series.path), image)


def test_frames_that_were_announced_and_not_written_are_nan(series: OmeZarrSeries) -> None:
    append(series, frames(2))
    zarr.open_array(series.path / "0", mode="r+").resize((4, 2, 3, 8, 9))
    assert np.isnan(read(series.path)[2:]).all()


def test_a_brightness_that_is_none_becomes_one(series: OmeZarrSeries) -> None:
    shown = zarr.open_group(series.path, mode="r").attrs["ome"]["omero"]["channels"][1]
    assert shown["window"]["end"] == 1.0


def test_shapes_that_do_not_fit_and_stores_that_are_there(tmp_path: Path) -> None:
    image = frames(2)
    for bad in (image[0, 0], image[:, :1]):
        with pytest.raises(ValueError, match="shape"):
            write_ome_zarr(tmp_path / "x.ome.zarr", bad, {}, **PLACED)
    with pytest.raises(ValueError, match="depth_um"):
        write_ome_zarr(tmp_path / "x.ome.zarr", image, {"depth_um": np.ones(3)}, **PLACED)
    assert list(tmp_path.iterdir()) == []
    write_ome_zarr(tmp_path / "x.ome.zarr", image, {}, **PLACED)
    with pytest.raises(OutputExistsError):
        write_ome_zarr(tmp_path / "x.ome.zarr", image, {}, **PLACED)
    write_ome_zarr(tmp_path / "x.ome.zarr", image[:1], {}, **PLACED, overwrite=True)
    assert len(read(tmp_path / "x.ome.zarr")) == 1
