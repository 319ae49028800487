"""Coordinates that name the sensors along their axis: B before A is put in order, and said."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from fociscope.errors import FileFormatError
from fociscope.files import open_captures

FRAMES = np.arange(3 * 2 * 6 * 7, dtype=np.uint16).reshape(3, 2, 6, 7)
"""(frame, sensor, y, x)."""
AXES = ["time", "camera", "y", "x"]


def zarr_store(path: Path, labels: Any, zarr_format: int) -> Path:
    """As xarray writes a data set with a coordinate."""
    group = zarr.create_group(path, zarr_format=zarr_format)
    for name, array, axes in (("captures", FRAMES, AXES), ("camera", labels, ["camera"])):
        if zarr_format == 3:
            group.create_array(name, data=array, dimension_names=axes)
        else:
            group.create_array(name, data=array, attributes={"_ARRAY_DIMENSIONS": axes})
    return path


def netcdf(path: Path, labels: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["captures"] = FRAMES
        file["camera"] = np.array(labels, object if labels.dtype.kind == "T" else "S9")
        file["camera"].make_scale("camera")
        file["captures"].dims[1].attach_scale(file["camera"])
        for axis in (0, 2, 3):
            file[AXES[axis]] = np.arange(FRAMES.shape[axis])
            file[AXES[axis]].make_scale(AXES[axis])
            file["captures"].dims[axis].attach_scale(file[AXES[axis]])
    return path


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("kind", ["U", "T"])
@pytest.mark.parametrize("store", ["zarr2", "zarr3", "netcdf"])
def test_sensors_in_reverse_by_their_coordinate(tmp_path: Path, store: str, kind: str) -> None:
    text = np.dtypes.StringDType() if kind == "T" else "U9"
    for names in (["Camera B", "Camera A"], ["Camera A", "Camera B"], ["red", "blue"]):
        labels = np.array(names, text)
        path = tmp_path / names[0].replace(" ", "_")
        path = (
            netcdf(path, labels) if store == "netcdf" else zarr_store(path, labels, int(store[-1]))
        )
        path = path.rename(path.with_suffix(".h5" if store == "netcdf" else ".zarr"))
        is_reverse = names[0].endswith("B")
        with open_captures([path]) as series:
            np.testing.assert_array_equal(series.read(), FRAMES[:, ::-1] if is_reverse else FRAMES)
            assert ("taken as sensors B and A" in " ".join(series.notes)) == is_reverse


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("labels", [np.arange(2), np.array(["B"] * 40)])
def test_other_arrays_of_the_axis_are_left_alone(tmp_path: Path, labels: np.ndarray) -> None:
    path = zarr_store(tmp_path / "a.zarr", labels, 3)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)


def test_a_damaged_coordinate_is_refused_and_a_large_one_left_alone(tmp_path: Path) -> None:
    path = zarr_store(tmp_path / "a.zarr", np.array(["B", "A"]), 2)
    chunk = path / "camera" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-4])
    with pytest.raises(FileFormatError, match=r"a\.zarr"), open_captures([path]):
        pass
    chunk.write_bytes(bytes(5000))
    with open_captures([path]) as series:
        assert series.notes == ()
