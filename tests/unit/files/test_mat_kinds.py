"""Variables that are no matrix are said for what they are; HDF5 behind a user block, and SWMR."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

FRAMES = np.arange(3 * 40 * 40, dtype=np.uint16).reshape(3, 40, 40)
LAST = np.moveaxis(FRAMES, 0, -1)
CELL = np.empty((1, 3), object)
for _number, _frame in enumerate(FRAMES):
    CELL[0, _number] = _frame


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ({"img": LAST}, r"x is a struct.*'-struct', 'x'"),
        (CELL, r"x is a cell array of 1 x 3.*cat\(3, x\{:\}\)"),
        (scipy.sparse.csc_matrix(FRAMES[0].astype(float)), r"x is a sparse matrix.*full\(x\)"),
        (LAST + 1j, r"x is complex.*abs\(x\)"),
        ("text", "x is text"),
    ],
)
def test_mat5(tmp_path: Path, variable: Any, says: str) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"x": variable, "pitch_um": 55.0})
    with pytest.raises(FileFormatError, match=says), open_captures([tmp_path / "a.mat"]):
        pass
    scipy.io.savemat(tmp_path / "b.mat", {"x": variable, "img": LAST})
    np.testing.assert_array_equal(read_captures([tmp_path / "b.mat"])[:, 0], FRAMES)


def write_hdf5(path: Path, kind: str) -> None:
    """Write one variable as MATLAB 7.3 does; images of a cell lie in the hidden folder."""
    with h5py.File(path, "w") as file:
        if kind == "cell":
            hidden = [
                file.create_dataset(f"#refs#/{n}", data=f)
                for n, f in zip("bcd", FRAMES, strict=True)
            ]
            file["x"] = np.array([[one.ref] for one in hidden], h5py.ref_dtype)
        elif kind == "complex":
            file["x"] = np.zeros((3, 40, 40), [("real", "f8"), ("imag", "f8")])
        elif kind == "sparse":
            file.create_group("x").attrs["MATLAB_sparse"] = 40
        file["x"].attrs["MATLAB_class"] = np.bytes_("double" if kind != "cell" else kind)


@pytest.mark.parametrize(
    ("kind", "says"),
    [("cell", "x is a cell array of 1 x 3"), ("complex", "x is complex"), ("sparse", None)],
)
def test_mat73(tmp_path: Path, kind: str, says: str | None) -> None:
    path = tmp_path / "a.mat"
    write_hdf5(path, kind)
    if says is not None:
        with pytest.raises(FileFormatError, match=says), open_captures([path]):
            pass
    else:
        with (
            pytest.raises(FileFormatError, match="x is a sparse matrix"),
            open_captures([f"{path}:/x"]),
        ):
            pass
    with h5py.File(path, "a") as file:
        file["img"] = FRAMES
    np.testing.assert_array_equal(read_captures([path])[:, 0], FRAMES)


@pytest.mark.parametrize("block", [512, 1024, 8192])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_hdf5_behind_a_user_block(tmp_path: Path, block: int, libver: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=block, libver=libver) as file:
        file["run/captures"] = FRAMES
    np.testing.assert_array_equal(read_captures([tmp_path / "a.h5"])[:, 0], FRAMES)


def test_hdf5_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        captures = file.create_dataset(
            "captures", shape=(0, 40, 40), maxshape=(None, 40, 40), chunks=(1, 40, 40), dtype="u2"
        )
        file.swmr_mode = True
        captures.resize(3, axis=0)
        captures[:] = FRAMES
        captures.flush()
        np.testing.assert_array_equal(read_captures([path])[:, 0], FRAMES)
