"""Files for a calibration that are broken, too large, or out to harm: one plain line, quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from fociscope.calibration import read_depths, read_stack
from fociscope.errors import FileFormatError, FociscopeError
from fociscope.files import Limits

Refused = Callable[..., str]
DEPTH_UM = [50.0, 150.0, 250.0]
PLANES = np.ones((3, 20, 30), np.float32)


def read(path: Path) -> object:
    return read_stack(path, depth_um=DEPTH_UM)


@pytest.mark.parametrize("name", ["s.tif", "s.npy", "s.mat", "s"])
@pytest.mark.parametrize("content", [b"x", b"a,b\n1,2\n" * 20, bytes(200), b"\xff\xd8\xff\xe0JFIF"])
def test_other_content(tmp_path: Path, name: str, content: bytes, refused: Refused) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(read, path)


@pytest.mark.parametrize("name", ["s.tif", "s.npy", "s.mat"])
def test_missing_and_empty(tmp_path: Path, name: str, refused: Refused) -> None:
    path = tmp_path / name
    refused(read, path, "no such file")
    path.touch()
    refused(read, path, "empty")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_truncated_mat(tmp_path: Path, kept: float, refused: Refused) -> None:
    path = tmp_path / "s.mat"
    scipy.io.savemat(path, {"beads": PLANES})
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refused(read, path)


def test_damaged_mat_never_ends_in_another_error(tmp_path: Path) -> None:
    path = tmp_path / "s.mat"
    scipy.io.savemat(path, {"beads": PLANES, "depth_um": DEPTH_UM}, do_compression=True)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(80):
        broken = bytearray(content)
        for place in rng.integers(0, len(broken), 3):
            broken[place] = rng.integers(256)
        path.write_bytes(broken)
        try:
            read_stack(path)
        except FociscopeError as error:
            assert "\n" not in str(error)


def test_a_pickle_in_an_npy_is_not_unpickled(
    tmp_path: Path, touch: Callable[[Path], object], refused: Refused
) -> None:
    path = tmp_path / "s.npy"
    np.save(path, np.array([touch(tmp_path / "touched")] * 3, dtype=object), allow_pickle=True)
    refused(read, path)
    assert not (tmp_path / "touched").exists()


def test_hdf5_links_lead_nowhere(tmp_path: Path, refused: Refused) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["beads"] = PLANES
    path = tmp_path / "s.mat"
    with h5py.File(path, "w") as file:
        file["beads"] = h5py.ExternalLink(str(other), "/beads")
    refused(read, path, "found none")
    refused(lambda p: read_stack(p, depth_um=DEPTH_UM, variable="beads"), path, "link")


def test_a_claim_beyond_the_limits_is_not_believed(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "s.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("beads", (3, 20_000, 20_000), "f4", chunks=(1, 1000, 1000))
    refused(read, path, "at most 8192")
    path = tmp_path / "s.npy"
    np.save(path, PLANES)
    small = Limits(max_bytes=100)
    refused(lambda p: read_stack(p, depth_um=DEPTH_UM, limits=small), path, "GiB")


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02",
        b"\xff\xfe5\x000",
        b"x" * 50_000,
        b"1" * 2**21,
        b"\n\n",
        b"1e999\n",
        b'"',
    ],
)
def test_tables_that_are_none(tmp_path: Path, content: bytes, refused: Refused) -> None:
    path = tmp_path / "depths.csv"
    path.write_bytes(content)
    refused(read_depths, path)


def test_words_that_name_no_file(tmp_path: Path) -> None:
    for words in ("fifty", "50;150", "50,150,deep", "", "a\nb", "nan,1", "50," * 3000):
        with pytest.raises(FileFormatError) as caught:
            read_depths(words)
        assert "\n" not in str(caught.value)
