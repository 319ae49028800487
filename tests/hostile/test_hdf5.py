"""MAT v7.3 files that point elsewhere, hold something else or blow up."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fociscope.files import read_images_depth

A = "tumorImage_withPSF_A"
Refused = Callable[..., str]


def hdf5(path: Path, build: Callable[[Any], object]) -> Path:
    with h5py.File(path, "w") as file:
        build(file)
    return path


def test_hdf5_links(tmp_path: Path, refused: Refused) -> None:
    hdf5(tmp_path / "secret.mat", lambda file: file.create_dataset(A, data=np.ones((6, 6))))
    path = tmp_path / "a.mat"
    hdf5(path, lambda file: file.__setitem__(A, h5py.ExternalLink("secret.mat", A)))
    refused(read_images_depth, path, "link")
    hdf5(path, lambda file: file.__setitem__(A, h5py.SoftLink("/elsewhere")))
    refused(read_images_depth, path, "link")


def test_hdf5_external_storage(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(8 * 36))
    path = hdf5(
        tmp_path / "a.mat",
        lambda file: file.create_dataset(
            A, (6, 6), "f8", external=[(str(tmp_path / "secret.bin"), 0, 8 * 36)]
        ),
    )
    refused(read_images_depth, path, "other files")


def test_hdf5_virtual_data_set(tmp_path: Path, refused: Refused) -> None:
    hdf5(tmp_path / "secret.mat", lambda file: file.create_dataset("x", data=np.ones((6, 6))))
    layout = h5py.VirtualLayout((6, 6), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.mat"), "x", (6, 6))
    path = hdf5(tmp_path / "a.mat", lambda file: file.create_virtual_dataset(A, layout))
    refused(read_images_depth, path, "other files")


@pytest.mark.parametrize(
    "options",
    [{"compression": "lzf"}, {"scaleoffset": 2},
     {"compression": 32_015, "allow_unknown_filter": True}],
)  # fmt: skip
def test_hdf5_unknown_filters(tmp_path: Path, options: dict[str, Any], refused: Refused) -> None:
    path = tmp_path / "a.mat"

    def build(file: Any) -> None:
        file.create_dataset(A, (6, 6), "i4", chunks=(6, 6), **options)

    hdf5(path, build)
    refused(read_images_depth, path, "filter")


@pytest.mark.parametrize(
    "build",
    [
        lambda file: file.create_group(A),
        lambda file: file.create_dataset(A, (6, 6), dtype=h5py.ref_dtype),
        lambda file: file.create_dataset(A, (6, 6), dtype=h5py.string_dtype()),
        lambda file: file.create_dataset(A, (6, 6), dtype=h5py.vlen_dtype("f4")),
        lambda file: file.create_dataset(A, (6, 6), dtype=[("a", "f4")]),
        lambda file: file.create_dataset(A, (6, 6), dtype="c8"),
        lambda file: file.create_dataset(A, data=h5py.Empty("f4")),
        lambda file: file.create_dataset(A, data=1.0),
        lambda file: file.create_dataset(A, (10**6, 10**6), "u1", chunks=(64, 64)),
        lambda file: file.create_dataset(A, (150_000, 200, 200), "u1", chunks=(1, 200, 200)),
        lambda file: file.create_dataset(A, (6, 6), "f4", chunks=(20_000, 20_000),
                                         maxshape=(None, None)),
        lambda file: file.create_dataset(A, data=[0, 0]).attrs.update({"MATLAB_empty": 1}),
    ],
)  # fmt: skip
def test_hdf5_of_another_kind_or_size(
    tmp_path: Path, build: Callable[[Any], object], refused: Refused
) -> None:
    path = hdf5(tmp_path / "a.mat", build)
    refused(read_images_depth, path)


def test_hdf5_gzip_bomb(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.mat"

    def build(file: Any) -> None:
        item = file.create_dataset(A, (6, 6), "f8", chunks=(6, 6), compression="gzip")
        item.id.write_direct_chunk((0, 0), zlib.compress(bytes(200 * 2**20), 9))

    hdf5(path, build)
    refused(read_images_depth, path, "inflates")


def test_hdf5_damaged_chunk(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.mat"

    def build(file: Any) -> None:
        item = file.create_dataset(A, (6, 6), "f8", chunks=(6, 6), compression="gzip")
        item.id.write_direct_chunk((0, 0), b"this is not deflate")

    hdf5(path, build)
    refused(read_images_depth, path)
