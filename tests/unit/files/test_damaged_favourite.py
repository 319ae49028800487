"""An array that is damaged is an error, never a reason to take another one in its place."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from fociscope.calibration import read_stack
from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

SHAPE = (4, 2, 40, 41)
CAPTURES = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
DARK = np.full((40, 41), 7, np.float32)


def cut(path: Path, name: str) -> Path:
    """The member `name` of an NPZ archive without its last values, its header as before."""
    with zipfile.ZipFile(path) as archive:
        content = {one: archive.read(one) for one in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in content.items():
            archive.writestr(one, data[:-8] if one == f"{name}.npy" else data)
    return path


def npz(path: Path, damaged: str, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return cut(path, damaged)


@pytest.mark.parametrize(
    ("damaged", "names"),
    [
        ("captures", ("captures", "dark")),
        ("captures", ("captures", "x_A", "x_B")),
        ("x_A", ("x_A", "x_B")),
        ("data", ("data", "dark")),
    ],
)
def test_in_npz(tmp_path: Path, damaged: str, names: tuple[str, ...]) -> None:
    arrays = {name: DARK if name == "dark" else CAPTURES[:, 0] for name in names}
    path = npz(tmp_path / "a.npz", damaged, **arrays)
    with pytest.raises(FileFormatError, match=rf"'{damaged}' claims .*name another array"):
        read_captures([path])
    other = names[-1]
    assert read_captures([f"{path}:/{other}"]).shape[-2:] == (40, 41)


def test_a_damaged_array_beside_a_sound_favourite_or_pair_does_not_matter(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", "other", captures=CAPTURES, other=DARK)
    np.testing.assert_array_equal(read_captures([path]), CAPTURES)
    path = npz(tmp_path / "b.npz", "other", x_A=DARK, x_B=DARK, other=DARK)
    assert read_captures([path]).shape == (2, 40, 41)


def test_times_that_are_damaged(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", "time_s", captures=CAPTURES, time_s=np.arange(40.0)[:4])
    with pytest.raises(FileFormatError, match="'time_s' claims"):
        read_captures([path])


def test_beads_that_are_damaged(tmp_path: Path) -> None:
    arrays = {"beads": CAPTURES[:, 0], "dark": CAPTURES[:3, 0], "depth_um": np.arange(4.0)}
    path = npz(tmp_path / "a.npz", "beads", **arrays)
    with pytest.raises(FileFormatError, match="'beads' claims"):
        read_stack(path)


def test_in_hdf5_text_of_the_favourite_name_and_unreadable_filters(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["captures"], file["dark"] = "what we saw", DARK
    with pytest.raises(FileFormatError, match="captures holds cells, text or records"):
        read_captures([tmp_path / "a.h5"])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["notes"], file["dark"] = "what we saw", DARK
        file.create_dataset("images", data=CAPTURES, compression="lzf")
    with pytest.raises(FileFormatError, match=r"filter 'lzf'.*name another array .*:/dark"):
        read_captures([tmp_path / "b.h5"])


def test_in_zarr(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for name, array in (("captures", CAPTURES), ("dark", DARK)):
        group.create_array(name, shape=array.shape, dtype=array.dtype)[:] = array
    description = tmp_path / "a.zarr" / "captures" / "zarr.json"
    text = description.read_text()
    description.write_text(text.replace('"regular"', '"irregular"'))
    with pytest.raises(FileFormatError, match="captures is cut into chunks in a way"):
        read_captures([tmp_path / "a.zarr"])
    description.unlink()
    with pytest.raises(FileFormatError, match="captures has no description"):
        read_captures([tmp_path / "a.zarr"])


def preallocated(path: Path, frames: int, **how: object) -> Path:
    """A data set of which only the first frames were written."""
    with h5py.File(path, "w") as file:
        made = file.create_dataset("captures", SHAPE, "f4", chunks=(1, 2, 40, 41), **how)
        made[:frames] = CAPTURES[:frames]
    return path


@pytest.mark.parametrize("how", [{}, {"compression": "gzip"}])
def test_chunks_of_hdf5_that_were_never_written(tmp_path: Path, how: dict[str, object]) -> None:
    path = preallocated(tmp_path / "a.h5", 3, **how)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(0, 3), CAPTURES[:3])
        with pytest.raises(FileFormatError, match="1 of 2 chunks of the part that is read"):
            series.read(2, 4)
    np.testing.assert_array_equal(
        read_captures([preallocated(tmp_path / "b.h5", 4, **how)]), CAPTURES
    )


def test_an_array_of_hdf5_of_which_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="were never written"):
        read_captures([preallocated(tmp_path / "a.h5", 0)])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("captures", SHAPE, "f4")
    with pytest.raises(FileFormatError, match="were never written"):
        read_captures([tmp_path / "b.h5"])


def test_a_fill_value_that_is_stated_is_what_was_meant(tmp_path: Path) -> None:
    path = preallocated(tmp_path / "a.h5", 3, fillvalue=5.0)
    assert (read_captures([path])[3] == 5).all()
