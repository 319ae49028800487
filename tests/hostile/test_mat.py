"""MAT v5 files that lie, hold something else or blow up."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from fociscope.files import read_images_depth

A = "tumorImage_withPSF_A"
Refused = Callable[..., str]


@pytest.mark.parametrize(
    "value",
    [{"x": 1}, np.array([1, "two"], dtype=object), "text", scipy.sparse.eye(4).tocsc(),
     np.ones((4, 4)) * 1j, np.zeros((0, 4))],
)  # fmt: skip
@pytest.mark.parametrize("compressed", [False, True])
def test_mat_of_another_class(
    tmp_path: Path, value: object, compressed: bool, refused: Refused
) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {A: value}, do_compression=compressed)
    refused(read_images_depth, path, A)


def matrix(shape: tuple[int, ...], data_bytes: int, data: bytes, name: bytes = A.encode()) -> bytes:
    """A double matrix element that claims what it is told to."""
    sizes = struct.pack(f"<{len(shape)}i", *shape)
    sizes += bytes(-len(sizes) % 8)
    body = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<II", 5, 4 * len(shape)) + sizes
    body += struct.pack("<II", 1, len(name)) + name + bytes(-len(name) % 8)
    body += struct.pack("<II", 9, data_bytes) + data
    return struct.pack("<II", 14, len(body)) + body


def mat5(path: Path, *elements: bytes) -> None:
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements))


@pytest.mark.parametrize(
    ("shape", "claimed"),
    [((1000, 1000), 32), ((2, 2), 2**31), ((2, 2), 40), ((-2, -2), 32), ((2**30, 2**30), 32),
     ((60_000, 60_000), 60_000**2 * 8 % 2**32)],
)  # fmt: skip
@pytest.mark.parametrize("compressed", [False, True])
def test_mat_claims_lie(
    tmp_path: Path, shape: tuple[int, ...], claimed: int, compressed: bool, refused: Refused
) -> None:
    element = matrix(shape, claimed, bytes(32))
    if compressed:
        packed = zlib.compress(element)
        element = struct.pack("<II", 15, len(packed)) + packed
    mat5(tmp_path / "a.mat", element)
    refused(read_images_depth, tmp_path / "a.mat")


def test_mat_built_by_hand_is_read(tmp_path: Path) -> None:
    mat5(tmp_path / "a.mat", matrix((2, 2), 32, np.arange(4.0).tobytes()))
    assert read_images_depth(tmp_path / "a.mat").captures.ravel().tolist() == [0, 2, 1, 3]


def test_mat_bombs_and_doubles(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.mat"
    sound = matrix((2, 2), 32, bytes(32))
    packed = zlib.compress(bytes(300 * 2**20), 1)
    mat5(path, sound, struct.pack("<II", 15, len(packed)) + packed)
    refused(read_images_depth, path)
    mat5(path, sound, sound)
    refused(read_images_depth, path, "twice")
    mat5(path, sound, matrix((2, 2), 32, bytes(32), name=b"n" * 3000))
    refused(read_images_depth, path)
    mat5(path, struct.pack("<II", 14, 2**32 - 1))
    refused(read_images_depth, path, "too early")
