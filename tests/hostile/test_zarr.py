"""Zarr stores that point elsewhere, name foreign codecs, miss chunks or blow up."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import Zstd

from fociscope.files import ImagesDepth, read_captures, read_images_depth, write_images_depth

A, MAP = "tumorImage_withPSF_A", "depth_map"
Refused = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a sound store."""
    path = tmp_path / "a.zarr"
    data = ImagesDepth(
        captures=np.ones((3, 1, 6, 6), np.float32),
        depth_map_um=np.ones((3, 4, 6, 6), np.float32),
    )
    write_images_depth(path, data)
    return path


def change(store: Path, name: str, **values: Any) -> None:
    """Write other values into the description of an array, '' for the group."""
    file = store / name / "zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_sound_store_is_read_wherever_a_capture_is_asked_for(store: Path) -> None:
    assert read_captures([store]).shape == (3, 1, 6, 6)


@pytest.mark.parametrize("place", [A, f"{A}/zarr.json", f"{A}/c/0/0/0", "extra"])
def test_links(store: Path, tmp_path: Path, place: str, refused: Refused) -> None:
    target = store / place
    elsewhere = tmp_path / "elsewhere"
    if target.exists():
        target.rename(elsewhere)
    else:
        elsewhere.touch()
    target.symlink_to(elsewhere)
    refused(read_images_depth, store, "link")


def test_devices(store: Path, refused: Refused) -> None:
    os.mkfifo(store / A / "pipe")
    refused(read_images_depth, store, "device")


@pytest.mark.parametrize(
    "codecs",
    [
        [{"name": "numcodecs.pickle"}],
        [{"name": "bytes"}, {"name": "blosc", "configuration": {}}],
        [{"name": "vlen-utf8"}],
        [{"name": "sharding_indexed", "configuration": {}}],
        [{"name": "bytes"}, {"name": "gzip"}, {"name": "gzip"}],
        [{"name": "transpose", "configuration": {"order": [2, 1, 1]}}, {"name": "bytes"}],
        ["bytes", "../../evil"],
        [{"configuration": {}}],
        [],
        [7],
        "bytes",
    ],
)
def test_foreign_codecs(store: Path, codecs: Any, refused: Refused) -> None:
    change(store, A, codecs=codecs)
    refused(read_images_depth, store)


@pytest.mark.parametrize(
    "values",
    [
        {"data_type": "object"},
        {"data_type": "string"},
        {"data_type": "complex64"},
        {"data_type": "r64"},
        {"data_type": {"name": "numpy.datetime64", "configuration": {}}},
        {"shape": [10**6, 10**6, 10**6]},
        {"shape": [3, 6.5, 6]},
        {"shape": [-3, 6, 6]},
        {"shape": [0, 6, 6]},
        {"shape": []},
        {"shape": [10**9, 10**9]},
        {"shape": "3"},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 6, 6]}}},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, 6]}}},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, 60000, 60000]}}},
        {"chunk_grid": {"name": "rectilinear", "configuration": {"chunk_shape": [3, 6, 6]}}},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "/../"}}},
        {"chunk_key_encoding": {"name": "v2"}},
        {"storage_transformers": [{"name": "x"}]},
        {"node_type": "group"},
        {"zarr_format": 2},
        {"fill_value": {"x": 1}},
    ],
)
def test_descriptions_that_lie(store: Path, values: dict[str, Any], refused: Refused) -> None:
    change(store, A, **values)
    refused(read_images_depth, store)


def test_descriptions_that_are_none(store: Path, refused: Refused) -> None:
    for content in (b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"7" * 5000):
        (store / A / "zarr.json").write_bytes(content)
        refused(read_images_depth, store)
    (store / A / "zarr.json").write_bytes(b" " * (2**20 + 1))
    refused(read_images_depth, store, "at most")
    (store / "zarr.json").unlink()
    refused(read_images_depth, store, "Zarr v3")
    (store / ".zgroup").write_text("{}")
    refused(read_images_depth, store, "version 2")


def test_consolidated_descriptions_are_not_believed(store: Path) -> None:
    lie = json.loads((store / A / "zarr.json").read_text()) | {"codecs": [{"name": "evil"}]}
    change(store, "", consolidated_metadata={"kind": "inline", "metadata": {A: lie}})
    assert (read_images_depth(store).captures == 1).all()


def test_missing_and_broken_chunks(store: Path, refused: Refused) -> None:
    chunk = store / A / "c" / "0" / "0" / "0"
    content = chunk.read_bytes()
    for broken in (content[:-4], content + b"1234", content * 3000, b""):
        chunk.write_bytes(broken)
        refused(read_images_depth, store, "chunk")
    chunk.unlink()
    refused(read_images_depth, store, "missing")


@pytest.mark.parametrize(
    "content",
    [
        bytes(Zstd(level=1).encode(bytes(200 * 2**20))),
        b"\x28\xb5\x2f\xfd\x00\x58\x01\x00\x00",  # a frame that does not say its size
        b"not zstd at all",
        b"",
    ],
)
def test_zstd_bombs(store: Path, content: bytes, refused: Refused) -> None:
    (store / MAP / "c" / "0" / "0" / "0" / "0").write_bytes(content)
    refused(read_images_depth, store)


def test_gzip_bombs(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.zarr"
    group = zarr.create_group(path)
    group.create_array(A, data=np.ones((3, 6, 6), "f4"), compressors=zarr.codecs.GzipCodec())
    chunk = path / A / "c" / "0" / "0" / "0"
    assert (read_images_depth(path).captures == 1).all()
    sound = chunk.read_bytes()
    bomb = gzip.compress(bytes(50 * 2**20))
    for content in (bomb, sound + bomb, sound[:-12], b"nothing"):
        chunk.write_bytes(content)
        refused(read_images_depth, path)


def test_stores_of_others(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, 6, 6))
    options: list[dict[str, Any]] = [
        {},
        {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
        {"compressors": None, "dtype": "float64"},
        {"chunk_key_encoding": {"name": "default", "separator": "."}},
    ]
    for number, option in enumerate(options):
        path = tmp_path / f"{number}"
        group = zarr.create_group(path)
        array = group.create_array(
            A, shape=(5, 6, 6), chunks=(2, 4, 6), **{"dtype": "f4", **option}
        )
        array[...] = values
        found = read_images_depth(path).captures[:, 0]
        np.testing.assert_allclose(found, values, rtol=1e-6)


def test_damaged_bytes_never_end_in_another_error(store: Path) -> None:
    from fociscope.errors import FileFormatError

    rng = np.random.default_rng(1)
    files = sorted(file for file in store.rglob("*") if file.is_file())
    for _ in range(150):
        file = files[rng.integers(len(files))]
        content = file.read_bytes()
        broken = bytearray(content)
        for place in rng.integers(0, len(broken), 3):
            broken[place] = rng.integers(256)
        file.write_bytes(broken)
        try:
            read_images_depth(store)
        except FileFormatError as error:
            assert "\n" not in str(error)
        file.write_bytes(content)
