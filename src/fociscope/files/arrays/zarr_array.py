"""One Zarr array, v2 or v3, in a folder that nobody has vouched for.

Its description is checked here, and every chunk that is needed is held against the size it should
have, before zarr decodes anything: zarr itself would load any codec a file names and follow links.
Chunks that are absent have the array's `fill_value`, as the format says, unless the reader knows
that the array was written in full (our own stores are).

Format: Zarr storage specification, version 2; Zarr core specification, version 3.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._chunk_bytes import COMPRESSORS, CRC32C_BYTES, inflated_bytes
from fociscope.files.arrays._store_files import KIND, DiskFiles, StoreFiles, refuse_links
from fociscope.files.arrays._zarr_shards import SHARDING, ShardIndex, read_at
from fociscope.files.formats._sources import NotNumbersError
from fociscope.files.safe.limits import LARGEST_CHUNK_BYTES, Limits, decoding

__all__ = [
    "DESCRIPTION",
    "KIND",
    "ZarrArray",
    "read_json",
    "refuse_links",
]

DESCRIPTION = "zarr.json"
DESCRIPTION_V2 = ".zarray"
_LONGEST_DESCRIPTION_BYTES = 2**20
_MOST_ABSENT = 4000
"""Chunks without a file in one call of `read`: each costs up to 1 ms, and nothing on the disk."""
_DATA_TYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
               "float16", "float32", "float64")  # fmt: skip


class ZarrArray:
    """A plain numeric array whose description has been judged; its chunks are judged when read."""

    def __init__(
        self,
        path: Path,
        name: str,
        said: Mapping[str, Any],
        *,
        is_complete: bool = False,
        files: StoreFiles | None = None,
    ) -> None:
        """Judge the description of the array `name` ("" for the store itself).

        Args:
            path: Store, for messages.
            name: Path of the array in the store.
            said: Its `zarr.json` or `.zarray`, parsed.
            is_complete: Whether every chunk was written, so that one that is absent was lost.
            files: Files of the store; by default those of the folder `path`.

        Raises:
            FileFormatError: If it is no plain numeric array, or needs a codec that is not on the
                list.
        """
        self.path = path
        self._files = files or DiskFiles(path)
        self._name = name
        self._where = f"{printable(path)}: {printable(name)}" if name else printable(path)
        self.attributes: dict[str, Any] = _attributes(said)
        """What the array says of itself, the names of its axes included."""
        self._may_lack_chunks = not is_complete and said.get("fill_value") is not None
        self.version: Literal[2, 3] = 2 if said.get("zarr_format") == 2 else 3
        self._compressor: str | None
        self._shards: ShardIndex | None = None
        if self.version == 2:
            self._judge_v2(said)
        else:
            self._judge_v3(said)
        if len(self.chunk) != len(self.shape) or self._separator not in ("/", "."):
            raise self._unknown_grid()

    @classmethod
    def open(
        cls,
        path: Path,
        name: str,
        *,
        is_complete: bool = False,
        files: StoreFiles | None = None,
    ) -> ZarrArray:
        """Read the description of an array and check it; arguments as above.

        Raises:
            FileFormatError: As above, or if there is no array.
        """
        files = files or DiskFiles(path)
        top = f"{name}/" if name else ""
        with decoding(path, KIND):
            old = not files.size(top + DESCRIPTION) and bool(files.size(top + DESCRIPTION_V2))
            said = read_json(files, top + (DESCRIPTION_V2 if old else DESCRIPTION))
            if old and files.size(f"{top}.zattrs"):
                said["attributes"] = read_json(files, f"{top}.zattrs")
            return cls(path, name, said, is_complete=is_complete, files=files)

    def read(self, index: tuple[slice, ...], limits: Limits) -> npt.NDArray[Any]:
        """Return a part of the array.

        Raises:
            FileFormatError: If chunks are damaged or decode to another size, or are absent where
                the array was written in full or has no fill value.
        """
        with decoding(self.path, KIND):
            self._check_chunks(index, limits)
            return np.asarray(self._files.opened_array(self._name, self.version)[index])

    def _judge_v3(self, said: Mapping[str, Any]) -> None:
        if said.get("node_type") != "array":
            raise FileFormatError(f"{self._where} is a group, expected an array; save it as one.")
        if said.get("data_type") not in _DATA_TYPES:
            raise self._unknown_type(said.get("data_type"))
        if said.get("storage_transformers"):
            raise FileFormatError(
                f"{self._where} uses storage transformers, expected none; save it without."
            )
        self.dtype = np.dtype(said["data_type"])
        self.shape = _sides(said["shape"], 0)
        grid, keys = said["chunk_grid"], said["chunk_key_encoding"]
        self.chunk = _sides(grid["configuration"]["chunk_shape"], 1)
        is_old = keys["name"] == "v2"
        configuration = keys.get("configuration") or {}
        self._separator = configuration.get("separator", "." if is_old else "/")
        self._prefix: tuple[str, ...] = () if is_old else ("c",)
        if grid["name"] != "regular" or keys["name"] not in ("default", "v2"):
            raise self._unknown_grid()
        names = [_codec_name(codec) for codec in said["codecs"]]
        if names == [SHARDING]:
            self._shards = ShardIndex.of(self._where, said["codecs"][0], self.chunk)
            self.chunk = self._shards.inner
            names = [_codec_name(codec) for codec in self._shards.codecs]
        self._judge_codecs(names)

    def _judge_codecs(self, names: list[str]) -> None:
        """Refuse codecs that are not on the list; those of a shard are those of its chunks."""
        after = names[1:] if names[:1] == ["transpose"] else names
        is_bytes, after = after[:1] == ["bytes"], after[1:]
        self._compressor = after.pop(0) if after and after[0] in COMPRESSORS else None
        if not is_bytes or after not in ([], ["crc32c"]) or self._compressor == "zlib":
            raise FileFormatError(
                f"{self._where} is stored through the codecs {', '.join(names)!r:.80}, expected "
                "bytes, then gzip, zstd, blosc or nothing, then crc32c or nothing, perhaps in "
                "shards; save it with one of these."
            )
        self._tail_bytes = CRC32C_BYTES if after else 0

    def _judge_v2(self, said: Mapping[str, Any]) -> None:
        dtype = said.get("dtype")
        if not isinstance(dtype, str) or np.dtype(dtype).name not in _DATA_TYPES:
            raise self._unknown_type(dtype)
        self.dtype = np.dtype(dtype)
        self.shape = _sides(said["shape"], 0)
        self.chunk = _sides(said["chunks"], 1)
        self._separator = said.get("dimension_separator", ".")
        self._prefix = ()
        compressor, self._tail_bytes = said.get("compressor"), 0
        self._compressor = None if compressor is None else str(compressor["id"])
        if said.get("filters") or self._compressor not in (None, *COMPRESSORS):
            raise FileFormatError(
                f"{self._where} is stored through filters or the codec {self._compressor!r:.40}, "
                f"expected no filter and {', '.join(COMPRESSORS)} or nothing; save it with one of "
                "these."
            )

    def _unknown_type(self, found: object) -> NotNumbersError:
        return NotNumbersError(
            f"{self._where} holds {found!r:.60}, expected real numbers; save it as float32."
        )

    def _unknown_grid(self) -> FileFormatError:
        return FileFormatError(
            f"{self._where} is cut into chunks in a way this reader does not know, expected a "
            "regular grid; save it again."
        )

    def _check_chunks(self, index: tuple[slice, ...], limits: Limits) -> None:
        """Refuse chunks in the part `index` that decode to another size, or were lost."""
        expected = math.prod(self.chunk) * self.dtype.itemsize
        whole = math.prod(self.shape) * self.dtype.itemsize
        if expected > max(whole, min(LARGEST_CHUNK_BYTES, limits.max_bytes)):
            raise FileFormatError(
                f"{self._where} is stored in chunks of {expected} bytes, expected no more than "
                f"the {whole} bytes it holds; save it again."
            )
        side = self.chunk if self._shards is None else self._shards.outer
        absent = 0
        for place in _places(index, side, self.shape):
            key = self._separator.join((*self._prefix, *map(str, place)))
            file = f"{self._name}/{key}" if self._name else key
            if self._may_lack_chunks and self._files.size(file) is None:
                absent += 1
            elif self._shards is None:
                held = self._check_size(file, key, expected)
                self._check_content(key, partial(self._files.read, file), held, expected)
            else:
                absent += self._check_shard(self._shards, file, key, (place, index))
            if absent > _MOST_ABSENT:
                raise FileFormatError(
                    f"{self._where}: more than {_MOST_ABSENT} chunks are absent from the part "
                    "that is read, expected fewer; save it in larger chunks."
                )

    def _check_size(self, file: str, key: str, expected: int) -> int:
        """Refuse a chunk that is not there, or larger than it can be; return its size."""
        size = self._files.size(file)
        if size is None:
            raise self._missing(key)
        if size > expected + expected // 64 + 4096:
            raise FileFormatError(
                f"{self._where}: its chunk {key} has {size} bytes, expected at most about "
                f"{expected}; the store is damaged, get it again."
            )
        return size

    def _missing(self, key: str) -> FileFormatError:
        return FileFormatError(
            f"{self._where}: its chunk {key} is missing, expected all of them, also where all "
            "values are 0 (write_empty_chunks); copy or save it again."
        )

    def _check_content(self, key: str, read: Callable[[], bytes], size: int, expected: int) -> None:
        """Refuse a chunk of a stored size that decodes to another one than it should."""
        held = size - self._tail_bytes
        if self._compressor is not None:
            held = inflated_bytes(self._compressor, read(), expected, self._tail_bytes)
        if held != expected:
            found = "more than" if held > expected else "only a part of"
            raise FileFormatError(
                f"{self._where}: its chunk {key} holds {found} the {expected} bytes it should; the "
                "store is damaged or hostile, get it again."
            )

    def _check_shard(
        self,
        shards: ShardIndex,
        file: str,
        key: str,
        part: tuple[tuple[int, ...], tuple[slice, ...]],
    ) -> int:
        """Refuse chunks of a shard as above; return how many of those that are read are absent."""
        expected = math.prod(self.chunk) * self.dtype.itemsize
        most = math.prod(shards.outer) * self.dtype.itemsize
        self._check_size(file, key, most + shards.index_bytes + 64 * shards.count)
        absent = 0
        with self._files.open(file) as stream:
            for number, start, length in shards.chunks(stream, self._touched(shards, *part)):
                if length is None:
                    absent += 1
                    if not self._may_lack_chunks:
                        raise self._missing(f"{key}, {number}")
                    continue
                self._check_content(
                    f"{key}, {number}", partial(read_at, stream, start, length), length, expected
                )
        return absent

    def _touched(
        self, shards: ShardIndex, place: tuple[int, ...], index: tuple[slice, ...]
    ) -> list[int]:
        """Return the numbers of the chunks of a shard that a part of the array touches."""
        cuts = []
        for at, side, length, cut in zip(place, shards.outer, self.shape, index, strict=True):
            first, last, _ = cut.indices(length)
            cuts.append(slice(max(first - at * side, 0), min(last - at * side, side)))
        places = _places(tuple(cuts), self.chunk, shards.outer)
        return [int(np.ravel_multi_index(one, shards.per_shard)) for one in places]


def _places(
    index: tuple[slice, ...], sides: tuple[int, ...], shape: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Yield the places in the grid of all chunks that a part of an array touches."""
    ranges = []
    for cut, side, length in zip(index, sides, shape, strict=True):
        first, last, _ = cut.indices(length)
        ranges.append(range(first // side, -(-last // side)))
    return itertools.product(*ranges)


def _codec_name(codec: Any) -> str:
    return str(codec["name"]) if isinstance(codec, dict) else str(codec)


def read_json(files: StoreFiles, key: str) -> dict[str, Any]:
    """Return a parsed description: `zarr.json`, `.zarray`, `.zgroup` or `.zattrs`.

    Args:
        files: Files of the store.
        key: Path of the description in it.

    Raises:
        FileFormatError: missing, too long, or of another version than its name says.
        ValueError: no JSON.
    """
    where, size = printable(files.path), files.size(key)
    name = key.rpartition("/")[2]
    if not size:
        raise FileFormatError(
            f"{where}: has no {printable(key)}, expected a Zarr store; check the path, or save it "
            "again."
        )
    if size > _LONGEST_DESCRIPTION_BYTES:
        raise FileFormatError(
            f"{where}: its {name} has {size} bytes, expected at most "
            f"{_LONGEST_DESCRIPTION_BYTES}; save it again."
        )
    said = json.loads(files.read(key))
    expected = {DESCRIPTION: 3, DESCRIPTION_V2: 2, ".zgroup": 2}.get(name)
    if not isinstance(said, dict) or (expected and said.get("zarr_format") != expected):
        raise FileFormatError(
            f"{where}: its {name} is not of Zarr version {expected or 2}, expected that; save it "
            "again."
        )
    return said


def _attributes(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an array, with the names of its axes that version 3 keeps apart."""
    found = said.get("attributes")
    names = said.get("dimension_names")
    attributes = dict(found) if isinstance(found, dict) else {}
    return attributes if names is None else {**attributes, "dimension_names": names}


def _sides(said: Any, least: int) -> tuple[int, ...]:
    """Return a shape as a tuple of whole numbers of at least `least`."""
    sound = isinstance(said, list) and all(type(side) is int and side >= least for side in said)
    if not sound or not said:
        raise ValueError(f"a shape of {said!r:.60}")
    return tuple(said)
