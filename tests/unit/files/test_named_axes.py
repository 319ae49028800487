"""Arrays that name their axes, their order in memory, or what their numbers stand for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures
from fociscope.files.formats._axes import said_axes

FRAMES = np.arange(3 * 2 * 6 * 7, dtype=np.uint16).reshape(3, 2, 6, 7)
"""(frame, sensor, y, x)."""

PAIR = np.arange(2 * 40 * 41, dtype=np.uint16).reshape(2, 40, 41)

ORDERS = [
    (("sensor", "time", "y", "x"), (1, 0, 2, 3)),
    (("x", "y", "channel", "t"), (3, 2, 1, 0)),
    (("time", "camera", "col", "row"), (0, 1, 3, 2)),
    (("Y_px", "frame", "X_px", "cam"), (2, 0, 3, 1)),
]


def zarr2(path: Path, array: np.ndarray, names: list[str]) -> None:
    group = zarr.create_group(path, zarr_format=2)
    group.create_array("captures", data=array, attributes={"_ARRAY_DIMENSIONS": names})


def zarr3(path: Path, array: np.ndarray, names: list[str]) -> None:
    zarr.create_array(path, data=array, dimension_names=names)


def attribute(key: str, encode: Callable[[list[str]], Any]) -> Callable[..., None]:
    def write(path: Path, array: np.ndarray, names: list[str]) -> None:
        with h5py.File(path, "w") as file:
            file["img"] = array
            file["img"].attrs[key] = encode(names)

    return write


def labels(path: Path, array: np.ndarray, names: list[str]) -> None:
    with h5py.File(path, "w") as file:
        file["img"] = array
        for dimension, name in zip(file["img"].dims, names, strict=True):
            dimension.label = name


def scales(path: Path, array: np.ndarray, names: list[str]) -> None:
    """As netCDF 4 and xarray write it."""
    with h5py.File(path, "w") as file:
        file["img"] = array
        for dimension, name, side in zip(file["img"].dims, names, array.shape, strict=True):
            file[name] = np.arange(side)
            file[name].make_scale(name)
            dimension.attach_scale(file[name])


def nexus(path: Path, array: np.ndarray, names: list[str]) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group["img"] = array
        group.attrs.update({"NX_class": "NXdata", "signal": "img", "axes": names})


WRITERS = {
    "zarr2": zarr2,
    "zarr3": zarr3,
    "axistags": attribute(
        "axistags", lambda names: json.dumps({"axes": [{"key": name} for name in names]})
    ),
    "list": attribute("axes", lambda names: names),
    "text": attribute("dims", ",".join),
    "labels": labels,
    "scales": scales,
    "nexus": nexus,
}


@pytest.mark.parametrize(("names", "order"), ORDERS)
@pytest.mark.parametrize("kind", WRITERS)
def test_axes_are_taken_by_their_names(
    tmp_path: Path, kind: str, names: tuple[str, ...], order: tuple[int, ...]
) -> None:
    path = tmp_path / ("a.zarr" if kind.startswith("zarr") else "a.h5")
    WRITERS[kind](path, FRAMES.transpose(order), list(names))
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
        np.testing.assert_array_equal(series.read(1, 3), FRAMES[1:])


@pytest.mark.parametrize("kind", ["zarr3", "labels"])
def test_axes_of_frames_alone_and_axes_that_are_none_of_ours(tmp_path: Path, kind: str) -> None:
    suffix = "zarr" if kind == "zarr3" else "h5"
    WRITERS[kind](tmp_path / f"a.{suffix}", FRAMES[:, 0].transpose(1, 2, 0), ["y", "x", "time"])
    np.testing.assert_array_equal(read_captures([tmp_path / f"a.{suffix}"]), FRAMES[:, :1])
    WRITERS[kind](tmp_path / f"b.{suffix}", FRAMES[:, 0], ["energy", "y", "x"])
    with pytest.raises(FileFormatError, match=r"energy 3, y 6, x 7.*expected"):
        read_captures([tmp_path / f"b.{suffix}"])
    WRITERS[kind](tmp_path / f"c.{suffix}", FRAMES, [f"dim_{n}" for n in range(4)])
    np.testing.assert_array_equal(read_captures([tmp_path / f"c.{suffix}"]), FRAMES)


@pytest.mark.parametrize(
    ("names", "ndim"),
    [
        (["time", ".", "."], 3),
        (["frame_number", "y_pixel_offset", "x_pixel_offset"], 3),
        (["time", "", ""], 3),
        (["", "y", "x"], 3),
        (["time", "camera", "", ""], 4),
        ([".", "camera", "y", "x"], 4),
        ([".", ".", "."], 3),
    ],
)
def test_axes_of_which_only_some_have_a_name(tmp_path: Path, names: list[str], ndim: int) -> None:
    """NeXus writes a dot for an axis that nothing describes, HDF5 leaves a label empty."""
    frames = FRAMES if ndim == 4 else FRAMES[:, 0]
    nexus(tmp_path / "a.nxs", frames, names)
    with open_captures([tmp_path / "a.nxs"]) as series:
        np.testing.assert_array_equal(series.read().reshape(frames.shape), frames)
        assert series.shape[0] == 3


def test_a_plane_of_no_known_axes_is_refused_beside_named_ones(tmp_path: Path) -> None:
    nexus(tmp_path / "a.h5", FRAMES[:, 0], ["time", "energy", "."])
    with pytest.raises(FileFormatError, match=r"energy 6, \. 7"):
        read_captures([tmp_path / "a.h5"])


def test_frames_of_nwb_are_put_upright(tmp_path: Path) -> None:
    """NWB defines (frame, x, y); some save (frame, y, x) all the same, and can say so."""
    path = tmp_path / "session.nwb"
    with h5py.File(path, "w") as file:
        group = file.create_group("acquisition/OnePhotonSeries")
        group.attrs.update({"namespace": "core", "neurodata_type": "OnePhotonSeries"})
        group["data"] = FRAMES[:, 0].swapaxes(1, 2)
        group["timestamps"] = np.arange(3.0)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES[:, :1])
        assert "(frame, x, y), as NWB's OnePhotonSeries" in series.notes[0]
    with h5py.File(path, "r+") as file:
        file["acquisition/OnePhotonSeries/data"].attrs["axes"] = "t,y,x"
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES[:, :1].swapaxes(2, 3))


def test_waves_of_igor_are_refused_until_their_axes_have_names(tmp_path: Path) -> None:
    """Igor counts (x, y, layer) and keeps that order, or turns x and y by /TRAN, unmarked."""
    path = tmp_path / "a.h5"
    for axes, order in (("x,y,t", (2, 1, 0)), ("y,x,t", (1, 2, 0))):
        with h5py.File(path, "w") as file:
            file["wave0"] = FRAMES[:, 0].transpose(order)
            file["wave0"].attrs["IGORWaveType"] = np.int32(80)
        with pytest.raises(FileFormatError, match=f"'{axes}'"):
            read_captures([path])
        with h5py.File(path, "r+") as file:
            file["wave0"].attrs["axes"] = axes
        np.testing.assert_array_equal(read_captures([path]), FRAMES[:, :1])
    with h5py.File(path, "w") as file:  # HDF5SaveImage
        file["image"] = FRAMES[0, 0]
        file["image"].attrs.update({"IGORWaveType": np.int32(80), "CLASS": np.bytes_("IMAGE")})
    np.testing.assert_array_equal(read_captures([path]), FRAMES[0, :1])


def test_names_of_axes_in_any_spelling() -> None:
    assert said_axes({"axes": "tcyx"}, 4) == ("t", "c", "y", "x")
    assert said_axes({"axes": '["t", "y", "x"]'}, 3) == ("t", "y", "x")
    assert said_axes({"axes": [b"t", b"y", b"x"]}, 3) == ("t", "y", "x")
    assert said_axes({"axes": "tyx"}, 4) is None
    assert said_axes({"dimension_names": [None, None]}, 2) is None


def octave(path: Path, mark: str | None) -> None:
    """As Octave's `save -hdf5` writes a variable: a group with its mark, reversed inside."""
    with h5py.File(path, "w") as file:
        group = file.create_group("ab")
        group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
        group["type"] = b"matrix"
        group["value"] = PAIR.astype("f4").transpose(1, 2, 0).T  # cat(3, A, B), reversed


def by_columns(path: Path, mark: str | None) -> None:
    with h5py.File(path, "w") as file:
        file["ab"] = PAIR.transpose(1, 2, 0).T
        if mark == "rhdf5-NA.OK":
            file["ab"].attrs[mark] = np.int32(1)
        elif mark is not None and "=" in mark:
            where, key, value = mark.split("=")
            (file["ab"] if where == "array" else file).attrs[key] = value
        elif mark is not None:
            file["ab"].attrs["order"] = mark


def julia(path: Path, mark: str | None) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["ab"] = PAIR.transpose(1, 2, 0).T
    with path.open("r+b") as stream:
        stream.write(b"HDF5-based Julia Data Format, version 0.1.1\0")


@pytest.mark.parametrize(
    ("write", "mark"),
    [(octave, None), (julia, None), (by_columns, "rhdf5-NA.OK"), (by_columns, "F"),
     (by_columns, "column_major"), (by_columns, "array=Memory Order=Column Major"),
     (by_columns, "array=is_fortran=True"), (by_columns, "file=ORDER=F")],
)  # fmt: skip
def test_arrays_stored_by_columns_are_put_upright(
    tmp_path: Path, write: Callable[[Path, str | None], None], mark: str | None
) -> None:
    write(tmp_path / "ab.h5", mark)
    with open_captures([tmp_path / "ab.h5"]) as series:
        np.testing.assert_array_equal(series.read().reshape(PAIR.shape), PAIR)


@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_packed_and_unsigned_numbers(tmp_path: Path, kind: str) -> None:
    path, counts = tmp_path / f"a.{kind}", (FRAMES + 40_000).astype(np.uint16)
    said = {"_Unsigned": "true", "scale_factor": 0.5, "add_offset": 10.0, "_FillValue": 40_000}
    for attributes, expected in (
        ({"_Unsigned": "true"}, counts.astype("f4")),
        (said, np.where(counts == 40_000, np.nan, counts * 0.5 + 10)),
    ):
        if kind == "h5":
            with h5py.File(path, "w") as file:
                file["img"] = counts.view(np.int16)
                file["img"].attrs.update(attributes)
        else:
            zarr.create_array(
                path, data=counts.view(np.int16), attributes=attributes, overwrite=True
            )
        with open_captures([path], allow_non_finite=True) as series:
            np.testing.assert_array_equal(series.read(), expected)


def test_channels_of_an_ome_zarr_and_a_resolution_named_by_its_path(tmp_path: Path) -> None:
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
    ]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 55.0, 55.0]}]
    image = {"axes": axes, "datasets": [{"path": "s0", "coordinateTransformations": scale}]}
    for labels_, order in ((["A", "B"], [0, 1]), (["camB", "camA"], [1, 0])):
        omero = {"channels": [{"label": label} for label in labels_]}
        path = tmp_path / f"{labels_[0]}.zarr"
        plate = zarr.create_group(path)
        about = {"ome": {"multiscales": [image], "omero": omero}}
        well = plate.create_group("B/3/0", attributes=about)
        well.create_array("s0", data=FRAMES[0][:, None])
        for inner in ("/B/3/0", "/B/3/0/s0", None):
            with open_captures([path if inner is None else f"{path}:{inner}"]) as series:
                assert series.is_single
                assert series.pixel_size_um == 55
                np.testing.assert_array_equal(series.read()[0], FRAMES[0][order])
