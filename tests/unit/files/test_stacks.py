"""What the axes of a file mean: TIFF metadata, NPZ, HDF5, MAT and Zarr of any layout."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numcodecs import GZip, Zlib, Zstd
from numcodecs.blosc import Blosc

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

FRAMES = np.arange(3 * 2 * 6 * 7, dtype=np.uint16).reshape(3, 2, 6, 7)
"""(frame, sensor, y, x)."""


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize(
    ("axes", "array", "expected"),
    [
        ("TCYX", FRAMES, FRAMES),
        ("CTYX", FRAMES.swapaxes(0, 1), FRAMES),
        ("ZCYX", FRAMES, FRAMES),
        ("TYX", FRAMES[:, 0], FRAMES[:, :1]),
        ("TYX", FRAMES[:2, 0], FRAMES[:2, :1]),
        ("ZYX", FRAMES[:, 0], FRAMES[:, :1]),
        ("ZYX", FRAMES[0], FRAMES[0]),
        ("CYX", FRAMES[0], FRAMES[0]),
    ],
)
def test_tiff_axes(
    tmp_path: Path, ome: bool, axes: str, array: np.ndarray, expected: np.ndarray
) -> None:
    if not ome and axes == "CTYX":
        pytest.skip("ImageJ knows one order only")
    path = tmp_path / "a.tif"
    kind = {"ome": True} if ome else {"imagej": True}
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes}, **kind)
    np.testing.assert_array_equal(read_captures([path]), expected)


def test_plain_tiff_of_an_array_with_sensors(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, photometric="minisblack")
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif"]), FRAMES)


def test_ome_planes_in_any_order_of_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    planes = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" IFD="{5 - (t * 2 + c)}"/>'
        for t in range(3)
        for c in range(2)
    )
    xml = (
        '<OME><Image><Pixels DimensionOrder="XYZCT" SizeT="3" SizeC="2" SizeZ="1" SizeX="7" '
        f'SizeY="6" Type="uint16">{planes}</Pixels></Image></OME>'
    )
    tifffile.imwrite(
        path, FRAMES.reshape(6, 6, 7)[::-1], description=xml, metadata=None,
        photometric="minisblack",
    )  # fmt: skip
    np.testing.assert_array_equal(read_captures([path]), FRAMES)


@pytest.mark.parametrize(
    ("axes", "shape", "words"),
    [("TZYX", (2, 3, 6, 7), "several axes"), ("CYX", (3, 6, 7), "3 channels"),
     ("TCYX", (2, 4, 6, 7), "4 channels")],
)  # fmt: skip
def test_tiff_axes_that_are_no_captures(
    tmp_path: Path, axes: str, shape: tuple[int, ...], words: str
) -> None:
    for kind in ({"ome": True}, {"imagej": True}):
        path = tmp_path / "a.tif"
        tifffile.imwrite(
            path, np.zeros(shape, np.uint16), photometric="minisblack", metadata={"axes": axes},
            **kind,
        )  # fmt: skip
        with pytest.raises(FileFormatError, match=words):
            read_captures([path])


def test_stacks_of_a_and_b_with_named_axes(tmp_path: Path) -> None:
    for name, sensor in (("a.tif", 0), ("b.tif", 1)):
        tifffile.imwrite(tmp_path / name, FRAMES[:, sensor], imagej=True, metadata={"axes": "TYX"})
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif", tmp_path / "b.tif"]), FRAMES)
    tifffile.imwrite(tmp_path / "ab.tif", FRAMES, imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(FileFormatError, match="give this file alone"):
        read_captures([tmp_path / "ab.tif", tmp_path / "b.tif"])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "a.npz"
    save(path, captures=FRAMES, dark=FRAMES[0], pixel_size_um=55.0)
    with open_captures([path]) as series:
        assert series.pixel_size_um == 55.0
        parts = [series.read(2), series.read(0, 1), series.read(1, 2), series.read(1, 3)]
    for part, expected in zip(
        parts, (FRAMES[2:], FRAMES[:1], FRAMES[1:2], FRAMES[1:3]), strict=True
    ):
        np.testing.assert_array_equal(part, expected)
    np.testing.assert_array_equal(read_captures([f"{path}:/dark"]), FRAMES[0])
    save(path, sensor_a=FRAMES[:, 0], sensor_b=FRAMES[:, 1], other=FRAMES[:, 0])
    np.testing.assert_array_equal(read_captures([path]), FRAMES)
    save(path, np.asfortranarray(FRAMES[:, 0]))
    np.testing.assert_array_equal(read_captures([path]), FRAMES[:, :1])
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(1, 2), FRAMES[1:2, :1])


def test_hdf5_data_sets_of_any_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        item = file.create_dataset(
            "run/1/data", data=FRAMES, chunks=(1, 2, 6, 7), compression="gzip"
        )
        item.attrs["element_size_um"] = [250.0, 55.0, 55.0]
        file["run/temperature"] = np.ones(5)
        file["run/1/self"] = file["run"]  # a circle
        file["elsewhere"] = h5py.SoftLink("/run/1/data")
        file["note"] = "text"
    with open_captures([path]) as series:
        assert series.shape == (3, 2, 6, 7)
        assert series.pixel_size_um == 55.0
        np.testing.assert_array_equal(series.read(1, 2), FRAMES[1:2])
    with h5py.File(path, "a") as file:
        file["flat"] = FRAMES[0]
    with pytest.raises(FileFormatError, match=r"2 arrays could be .*a\.h5:/flat"):
        read_captures([path])
    np.testing.assert_array_equal(read_captures([f"{path}:/run/1/data"]), FRAMES)
    with pytest.raises(FileFormatError, match=r"has no array 'run/2/data', expected one of"):
        read_captures([f"{path}:/run/2/data"])
    with pytest.raises(FileFormatError, match="is a link"):
        read_captures([f"{path}:/elsewhere"])
    with pytest.raises(FileFormatError, match="cells, text or records"):
        read_captures([f"{path}:/note"])


def test_hdf5_pairs_of_data_sets(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x/cam_B"], file["x/cam_A"], file["x/bias"] = FRAMES[:, 1], FRAMES[:, 0], FRAMES
    np.testing.assert_array_equal(read_captures([path]), FRAMES)
    a, b = (f"{path}:/x/cam_{sensor}" for sensor in "AB")
    np.testing.assert_array_equal(read_captures([a, b]), FRAMES)


@pytest.mark.parametrize("compressed", [False, True])
def test_mat_v5_counts_frames_last(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    square = FRAMES[..., :6]
    scipy.io.savemat(path, {"stack": np.moveaxis(square[:, 0], 0, -1)}, do_compression=compressed)
    np.testing.assert_array_equal(read_captures([path]), square[:, :1])
    scipy.io.savemat(path, {"ab": square.transpose(2, 3, 1, 0)}, do_compression=compressed)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(1, 3), square[1:3])
    scipy.io.savemat(path, {"open": FRAMES[:, 0]}, do_compression=compressed)
    with pytest.raises(FileFormatError, match="leave open which axis"):
        read_captures([path])


def test_mat_frames_that_are_not_square_tell_a_depth_in_one_reading(tmp_path: Path) -> None:
    frames = np.arange(36 * 80 * 7, dtype=np.float32).reshape(7, 36, 80)
    for stored in (frames, np.moveaxis(frames, 0, -1)):
        scipy.io.savemat(tmp_path / "a.mat", {"stack": stored})
        np.testing.assert_array_equal(read_captures([tmp_path / "a.mat"])[:, 0], frames)


def write_as(path: Path, array: np.ndarray, kind: str) -> None:
    """Write (frame, sensor, y, x) as a format that knows its axes."""
    if kind == "ome.tif":
        tifffile.imwrite(path, array, ome=True, metadata={"axes": "TCYX"}, photometric="minisblack")
    elif kind == "imagej.tif":
        tifffile.imwrite(path, array, imagej=True, metadata={"axes": "TCYX"})
    elif kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez_compressed(path, captures=array)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("a/b", data=array, compression="gzip", chunks=(1, *array.shape[1:]))
    elif kind == "v2.zarr":
        write_v2(path, array, overwrite=True, config={"write_empty_chunks": True})
    else:
        options = {"overwrite": True, "config": {"write_empty_chunks": True}}
        zarr.create_array(path, data=array, chunks=(2, *array.shape[1:]), **options)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("fill", [0, 7])
def test_absent_chunks_of_a_zarr_array_have_its_fill_value(
    tmp_path: Path, version: Any, fill: int
) -> None:
    path = tmp_path / "a.zarr"
    array = np.full((3, 8, 10), fill, np.uint16)
    array[1, :, :5] += 100
    options = {"chunks": (1, 8, 5), "zarr_format": version, "fill_value": fill}
    stored = zarr.create_array(path, shape=array.shape, dtype=array.dtype, **options)
    stored[...] = array
    chunks = [p for p in path.rglob("*") if p.is_file() and not p.name.startswith((".", "zarr"))]
    assert len(chunks) == 1  # zarr leaves out chunks of the fill value alone
    np.testing.assert_array_equal(read_captures([path])[:, 0], array)


def test_many_tiny_absent_chunks_are_refused_before_zarr_visits_them(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(1000, 1000), chunks=(1, 1), dtype="u1", fill_value=0)
    with pytest.raises(FileFormatError, match="more than 4000 chunks are absent"):
        read_captures([path])


@settings(
    max_examples=70, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    shape=st.tuples(st.integers(1, 5), st.just(2), st.integers(2, 7), st.integers(2, 7)),
    dtype=st.sampled_from(["u1", "u2", "f4"]),
    kind=st.sampled_from(["ome.tif", "imagej.tif", "npy", "npz", "h5", "v2.zarr", "v3.zarr"]),
    step=st.integers(1, 6),
    data=st.data(),
)
def test_captures_come_back_in_parts_of_any_size(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, kind: str, step: int, data: st.DataObject
) -> None:
    array = data.draw(hnp.arrays(dtype, shape, elements=st.integers(0, 200)))
    path = tmp_path / f"a.{kind}"
    write_as(path, array, kind)
    with open_captures([path]) as series:
        assert series.shape == shape
        np.testing.assert_array_equal(np.concatenate(list(series.batches(step))), array)


def write_v2(path: Path, array: np.ndarray, **options: Any) -> None:
    stored = zarr.create_array(
        path, shape=array.shape, dtype=array.dtype, zarr_format=2,
        **{"chunks": (1, *array.shape[1:]), "filters": None, **options},
    )  # fmt: skip
    stored[...] = array


@pytest.mark.parametrize(
    "compressor", [None, Zlib(), GZip(), Zstd(), Blosc("lz4"), Blosc("zstd", shuffle=2)]
)
def test_zarr_v2_arrays(tmp_path: Path, compressor: Any) -> None:
    path = tmp_path / "a.zarr"
    write_v2(path, FRAMES + 1, compressors=compressor)
    with open_captures([path]) as series:
        assert series.shape == FRAMES.shape
        np.testing.assert_array_equal(series.read(1, 2), FRAMES[1:2] + 1)


def test_zarr_v3_arrays(tmp_path: Path) -> None:
    path = tmp_path / "store"
    group = zarr.create_group(path)
    for name in ("run/A", "run/B"):
        stored = group.create_array(
            name, shape=(3, 6, 7), chunks=(2, 6, 7), dtype="u2",
            compressors=zarr.codecs.BloscCodec(),
        )  # fmt: skip
        stored[...] = FRAMES[:, "AB".index(name[-1])] + 1
    np.testing.assert_array_equal(read_captures([path]), FRAMES + 1)
    np.testing.assert_array_equal(read_captures([f"{path}:/run/B"]), FRAMES[:, 1:] + 1)
    with pytest.raises(FileFormatError, match="leads out of the store"):
        read_captures([f"{path}:/run/../../a"])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("axes", "array", "expected"),
    [
        ("tczyx", FRAMES[:, :, None], FRAMES),
        ("cyx", FRAMES[0], FRAMES[0]),
        ("ctyx", FRAMES.swapaxes(0, 1), FRAMES),
        ("tyx", FRAMES[:1, 0], FRAMES[:1, :1]),
        ("yx", FRAMES[0, 0], FRAMES[0, :1]),
    ],
)
def test_ome_zarr(
    tmp_path: Path, version: int, axes: str, array: np.ndarray, expected: np.ndarray
) -> None:
    path = tmp_path / "a.ome.zarr"
    kinds = {"t": "time", "c": "channel"}
    image = {
        "axes": [
            {"name": axis, "type": kinds.get(axis, "space")}
            | ({"unit": "millimeter"} if axis in "yx" else {})
            for axis in axes
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0] * (len(axes) - 2) + [0.0275, 0.0275]}
                ],
            },
            {"path": "1"},
        ],
        "coordinateTransformations": [{"type": "scale", "scale": [2.0] * len(axes)}],
    }
    attributes = {"multiscales": [image]} if version == 2 else {"ome": {"multiscales": [image]}}
    group = zarr.create_group(path, zarr_format=version, attributes=attributes)
    group.create_array("0", data=array + 1)
    group.create_array("1", data=array[..., ::2, ::2] + 1)
    with open_captures([path]) as series:
        assert series.pixel_size_um == pytest.approx(55)
        captures = series.read()[0] if series.is_single else series.read()
    np.testing.assert_array_equal(captures, expected + 1)


def test_ome_zarr_axes_that_are_no_captures(tmp_path: Path) -> None:
    for axes, shape, words in (
        ("tzyx", (2, 3, 6, 7), "several axes"),
        ("cyx", (3, 6, 7), "3 channels"),
        ("qyc", (6, 7, 2), "in any order"),
    ):
        path = tmp_path / f"{axes}.zarr"
        image = {"axes": [{"name": axis} for axis in axes], "datasets": [{"path": "0"}]}
        group = zarr.create_group(path, attributes={"ome": {"multiscales": [image]}})
        group.create_array("0", data=np.ones(shape, "f4"))
        with pytest.raises(FileFormatError, match=words):
            read_captures([path])
