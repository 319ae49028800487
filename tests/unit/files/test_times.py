"""When frames were taken: read as many programs state it, written as OME states it."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from fociscope.files import open_captures, write_ome_tiff
from fociscope.files.ome.times import even_interval_s
from fociscope.files.ome.zarr import Channel, write_ome_zarr

FRAMES = np.arange(3 * 6 * 7, dtype=np.uint16).reshape(3, 6, 7) + 1
OME = {"axes": "TYX", "TimeIncrement": 0.5, "TimeIncrementUnit": "min"}


def by_ome(folder: Path, **more: object) -> Path:
    tifffile.imwrite(folder / "x.ome.tif", FRAMES, metadata={**OME, **more})
    return folder / "x.ome.tif"


def by_plane(folder: Path) -> Path:
    return by_ome(folder, Plane={"DeltaT": [0.0, 20.0, 50.0], "DeltaTUnit": ["ms"] * 3})


def by_imagej(folder: Path) -> Path:
    metadata = {"axes": "TYX", "finterval": 2.5, "tunit": "ms"}
    tifffile.imwrite(folder / "x.tif", FRAMES, imagej=True, metadata=metadata)
    return folder / "x.tif"


def by_rate(folder: Path) -> Path:
    metadata = {"axes": "TYX", "fps": 4.0}
    tifffile.imwrite(folder / "x.tif", FRAMES, imagej=True, metadata=metadata)
    return folder / "x.tif"


def by_micromanager(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "x.tif") as stack:
        for n, frame in enumerate(FRAMES):
            said = json.dumps({"Axes": {"time": n}, "ElapsedTime-ms": 100.0 * n**2})
            stack.write(frame, metadata=None, extratags=[(51123, 2, 0, said, True)])
    return folder / "x.tif"


def by_ome_zarr(folder: Path) -> Path:
    axes = [{"name": "t", "type": "time", "unit": "millisecond"}]
    axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    place = {"type": "scale", "scale": [40.0, 55.0, 55.0]}
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [place]}]}
    ome = {"version": "0.5", "multiscales": [image]}
    group = zarr.create_group(folder / "x.zarr", zarr_format=3, attributes={"ome": ome})
    group.create_array("0", data=FRAMES)
    return folder / "x.zarr"


def by_hdf5(folder: Path) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file["run/captures"] = FRAMES
        file["run/time_s"] = [10.0, 11.0, 13.5]
    return folder / "x.h5"


def by_npz(folder: Path) -> Path:
    np.savez(folder / "x.npz", captures=FRAMES, time_s=np.array([[1.0], [2.0], [4.0]]))
    return folder / "x.npz"


def by_names(folder: Path) -> Path:
    (folder / "run").mkdir()
    for second, frame in enumerate(FRAMES):
        np.save(folder / "run" / f"x_2026-03-01_12-00-0{2 * second}.npy", frame)
    return folder / "run"


@pytest.mark.parametrize(
    ("write", "since_first"),
    [
        (by_ome, (0, 30, 60)),
        (by_plane, (0, 0.02, 0.05)),
        (by_imagej, (0, 0.0025, 0.005)),
        (by_rate, (0, 0.25, 0.5)),
        (by_micromanager, (0, 0.1, 0.4)),
        (by_ome_zarr, (0, 0.04, 0.08)),
        (by_hdf5, (0, 1, 3.5)),
        (by_npz, (0, 1, 3)),
        (by_names, (0, 2, 4)),
    ],
)
def test_times_are_read(tmp_path, write, since_first) -> None:
    with open_captures(write(tmp_path)) as series:
        assert series.time_s is not None
        np.testing.assert_allclose(np.array(series.time_s) - series.time_s[0], since_first)


def test_times_of_either_sensor_are_those_of_both(tmp_path) -> None:
    np.save(tmp_path / "a.npy", FRAMES)
    with open_captures([tmp_path / "a.npy", by_imagej(tmp_path)]) as series:
        assert series.time_s == (0, 0.0025, 0.005)


def test_numbers_in_names_are_no_times(tmp_path) -> None:
    for n, frame in enumerate(FRAMES):
        np.save(tmp_path / f"x_{n}.npy", frame)
    with open_captures(tmp_path) as series:
        assert series.time_s is None


@pytest.mark.parametrize("interval", [0, "nan", "soon", -1])
def test_what_is_no_interval_states_no_times(tmp_path, interval) -> None:
    with open_captures(by_ome(tmp_path, TimeIncrement=interval)) as series:
        assert series.time_s is None


def test_even_times_are_one_interval() -> None:
    assert even_interval_s([5.0, 5.5, 6.0]) == 0.5
    assert even_interval_s([5.0, 5.5, 7.0]) is None
    assert even_interval_s([3.0, 3.0]) is None
    assert even_interval_s([1.0]) is None
    assert even_interval_s(None) is None


@pytest.mark.parametrize(("times", "interval"), [([7.0, 7.5], "0.5"), (None, None)])
def test_ome_tiff_states_them(tmp_path, times, interval) -> None:
    path = tmp_path / "x.ome.tif"
    images = np.zeros((2, 3, 6, 7), np.float32)
    write_ome_tiff(
        path, images, pixel_pitch_um=55, depth_um=[1, 2, 3], channel_name="x", time_s=times
    )
    text = tifffile.TiffFile(path).ome_metadata or ""
    assert ("DeltaT=" in text) is (times is not None)
    assert (f'TimeIncrement="{interval}"' in text) is (times is not None)
    assert text.count('DeltaT="0.5"') == (3 if times else 0)


@pytest.mark.parametrize(("times", "step"), [([7.0, 7.5], 0.5), ([7.0, 7.0], 1.0), (None, 1.0)])
def test_ome_zarr_states_their_interval(tmp_path, times, step) -> None:
    write_ome_zarr(
        tmp_path / "x.ome.zarr",
        np.zeros((2, 1, 3, 6, 7)),
        {},
        channels=[Channel("x", 1.0)],
        pixel_pitch_um=55,
        layer_um=250,
        time_s=times,
    )
    said = json.loads((tmp_path / "x.ome.zarr" / "zarr.json").read_text())
    (image,) = said["attributes"]["ome"]["multiscales"]
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == [step, 1.0, 250, 55, 55]
    assert image["axes"][0].get("unit") == ("second" if step == 0.5 else None)
