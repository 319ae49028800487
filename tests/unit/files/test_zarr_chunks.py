"""Ways in which Zarr stores keep their chunks: shards, absent chunks, streams without a size."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import Zstd

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

FRAMES = np.random.default_rng(0).integers(1, 60_000, (7, 2, 30, 31), dtype=np.uint16)
FRAMES[2] = FRAMES[5:, 1] = 0  # chunks that writers leave out


def streamed(frame: bytes) -> bytes:
    """Return a zstd frame as a streaming compressor writes it: without the size of its content."""
    descriptor = frame[4]
    size_bytes = (1, 2, 4, 8)[descriptor >> 6]
    window_of_8_mb = b"\x68"
    return frame[:4] + bytes([descriptor & 0x1C]) + window_of_8_mb + frame[5 + size_bytes :]


SHARDED: list[dict[str, Any]] = [
    {"shards": (4, 2, 30, 31), "chunks": (1, 1, 30, 31)},
    {"shards": (8, 2, 32, 32), "chunks": (2, 1, 16, 16)},
    {"shards": (8, 2, 32, 32), "chunks": (2, 1, 16, 16), "compressors": None},
    {"shards": (3, 2, 30, 31), "chunks": (1, 1, 10, 31), "compressors": zarr.codecs.GzipCodec()},
    {"shards": (1, 1, 30, 62), "chunks": (1, 1, 15, 31), "compressors": zarr.codecs.BloscCodec()},
]


@pytest.mark.parametrize("layout", SHARDED)
def test_shards_are_read_whole_and_in_part(tmp_path: Path, layout: dict[str, Any]) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=FRAMES.shape, dtype="u2", **layout)[:] = FRAMES
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
        np.testing.assert_array_equal(series.read(3, 5), FRAMES[3:5])


@pytest.mark.parametrize("place", ["start", "end"])
def test_shards_with_their_list_at_either_end(tmp_path: Path, place: str) -> None:
    path = tmp_path / "a.zarr"
    codec = zarr.codecs.ShardingCodec(chunk_shape=(1, 1, 30, 31), index_location=place)
    array = zarr.create(
        store=path, shape=FRAMES.shape, chunks=(7, 2, 30, 31), dtype="u2", codecs=[codec]
    )
    array[:] = FRAMES
    np.testing.assert_array_equal(read_captures([path]), FRAMES)


def test_a_shard_whose_chunk_lies_behind_its_end_or_that_lost_its_list(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=FRAMES.shape, dtype="u2", **SHARDED[0])[:] = FRAMES
    shard = path / "c" / "0" / "0" / "0" / "0"
    content = shard.read_bytes()
    listed = 4 * 2 * 16 + 4
    lies = struct.pack("<QQ", 10, len(content))
    behind = content[:-listed] + lies + content[16 - listed :]
    for broken in (behind, content[: listed - 1], content[: len(content) // 2]):
        shard.write_bytes(broken)
        with pytest.raises(FileFormatError):
            read_captures([path])


def test_a_chunk_of_a_shard_that_inflates_beyond_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=FRAMES.shape, dtype="u2", **SHARDED[0])[:] = FRAMES
    bomb = bytes(Zstd().encode(bytes(2**27)))
    entries = struct.pack("<QQ", 0, len(bomb)) + b"\xff" * 16 * 7
    (path / "c" / "0" / "0" / "0" / "0").write_bytes(bomb + entries + bytes(4))
    with pytest.raises(FileFormatError, match=r"more than|has \d+ bytes"):
        read_captures([path])


@pytest.mark.parametrize("version", [2, 3])
def test_zstd_frames_without_their_size(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.zarr"
    compressor = Zstd() if version == 2 else zarr.codecs.ZstdCodec()
    zarr.create_array(path, data=FRAMES, chunks=(1, 1, 30, 31), compressors=compressor,
                      zarr_format=version)  # fmt: skip
    for file in path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        if content[:4] == b"\x28\xb5\x2f\xfd":
            file.write_bytes(streamed(content))
    np.testing.assert_array_equal(read_captures([path]), FRAMES)


@pytest.mark.parametrize("length", [2**27, 30 * 31 * 2 - 1, 30 * 31 * 2 + 1])
def test_zstd_frames_of_another_length_are_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=FRAMES[0], chunks=(1, 30, 31), compressors=Zstd(), zarr_format=2)
    (path / "0.0.0").write_bytes(streamed(bytes(Zstd().encode(bytes(length)))))
    with pytest.raises(FileFormatError):
        read_captures([path])


@pytest.mark.parametrize(
    "change",
    [
        {"chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}}},
        {"chunk_key_encoding": {"name": "v2"}},
    ],
)
def test_other_spellings_of_version_3(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=FRAMES, chunks=(7, 2, 30, 31))
    file = path / "zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    (path / "c" / "0" / "0" / "0" / "0").rename(path / "0.0.0.0")
    np.testing.assert_array_equal(read_captures([path]), FRAMES)


def test_axes_that_version_3_stores_transposed(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(
        path,
        data=FRAMES,
        chunks=(1, 2, 30, 31),
        filters=zarr.codecs.TransposeCodec(order=(3, 2, 1, 0)),
    )
    np.testing.assert_array_equal(read_captures([path]), FRAMES)
