"""Numeric arrays out of a Zarr v3 group (a folder) that nobody has vouched for.

All descriptions are read and judged here, and every chunk that is asked for is tried against the
size it should have, before zarr decodes anything: zarr itself would load any codec a file names,
follow links, and read chunks that are missing as zeros.

Format: Zarr core specification, version 3; RFC 8878 for the header of a zstd frame.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError
from fociscope.files.hdf5 import SAMPLES_FIRST
from fociscope.files.limits import Limits, decoding, shown
from fociscope.files.sources import Claims, Part

__all__ = ["DESCRIPTION", "ZarrSource", "is_zarr"]

DESCRIPTION = "zarr.json"
_KIND = "Zarr store"
_LONGEST_DESCRIPTION_BYTES = 2**20
_MOST_FILES = 1_000_000
_LARGEST_CHUNK_BYTES = 64 * 2**20  # beyond this, a chunk may not be larger than its array
_DATA_TYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
               "float16", "float32", "float64")  # fmt: skip
_COMPRESSORS = ("gzip", "zstd")
_CRC32C_BYTES = 4
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def is_zarr(path: Path) -> bool:
    """Return whether `path` is a folder that Zarr v2 or v3 describes, or that is named so."""
    if not path.is_dir():
        return False
    descriptions = (DESCRIPTION, ".zgroup", ".zarray")
    return path.suffix.lower() == ".zarr" or any((path / name).exists() for name in descriptions)


class ZarrSource:
    """The numeric arrays at the root of a Zarr v3 group."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Judge the group; use `ZarrSource.open`."""
        self.path = path
        self._limits = limits
        self._arrays: dict[str, _ArrayPlan] = {}
        _refuse_links(path)
        group = _description(path, path / DESCRIPTION)
        if group.get("node_type") != "group":
            raise FileFormatError(
                f"{shown(path)}: its {DESCRIPTION} describes no group, expected a group with one "
                "array per variable; save them as one."
            )
        attributes = group.get("attributes")
        self.samples_first = isinstance(attributes, dict) and all(
            attributes.get(key) == value for key, value in SAMPLES_FIRST.items()
        )

    @classmethod
    @contextmanager
    def open(cls, path: Path, limits: Limits) -> Iterator[ZarrSource]:
        """Open the folder `path` for reading.

        Raises:
            FileFormatError: it is no sound Zarr v3 group, or holds links.
        """
        with decoding(path, _KIND):
            source = cls(path, limits)
        yield source

    def claims(self, names: tuple[str, ...]) -> Claims:
        """Return shape and dtype of those of `names` that are there; no chunk is read.

        Raises:
            FileFormatError: a variable is no plain numeric array, or needs a codec that is not
                gzip, zstd or crc32c.
        """
        found: Claims = {}
        for name in names:
            folder = self.path / name
            if not folder.is_dir():
                continue
            with decoding(self.path, _KIND):
                plan = _ArrayPlan(self.path, name, _description(self.path, folder / DESCRIPTION))
            self._arrays[name] = plan
            found[name] = (plan.shape, plan.dtype)
        return found

    def is_sliceable(self, name: str) -> bool:
        """Return whether a part can be read without decoding the whole: in Zarr it always can."""
        return True

    def read(self, name: str, part: Part | None = None) -> npt.NDArray[Any]:
        """Return one array that `claims` accepted, or a part of it."""
        import zarr
        from zarr.storage import LocalStore

        plan = self._arrays[name]
        index = (slice(None),) * len(plan.shape) if part is None else part.index(len(plan.shape))
        with decoding(self.path, _KIND):
            plan.check_chunks(index, self._limits)
            # The array alone is opened: a group could bring other descriptions of its arrays.
            store = LocalStore(self.path / name, read_only=True)
            array = zarr.open_array(store=store, mode="r", zarr_format=3)
            return np.asarray(array[index])


class _ArrayPlan:
    """What the description of one array says, judged."""

    def __init__(self, path: Path, name: str, said: Mapping[str, Any]) -> None:
        self.folder = path / name
        self._where = f"{shown(path)}: {name}"
        if said.get("node_type") != "array":
            raise FileFormatError(f"{self._where} is a group, expected an array; save it as one.")
        if said.get("data_type") not in _DATA_TYPES:
            raise FileFormatError(
                f"{self._where} holds {said.get('data_type')!r:.60}, expected real numbers; save "
                "it as float32."
            )
        if said.get("storage_transformers"):
            raise FileFormatError(
                f"{self._where} uses storage transformers, expected none; save it without."
            )
        self.dtype = np.dtype(said["data_type"])
        self.shape = _sides(said["shape"], 0)
        grid, keys = said["chunk_grid"], said["chunk_key_encoding"]
        self.chunk = _sides(grid["configuration"]["chunk_shape"], 1)
        separator = keys.get("configuration", {}).get("separator", "/")
        sound = grid["name"] == "regular" and keys["name"] == "default"
        if not sound or separator not in ("/", ".") or len(self.chunk) != len(self.shape):
            raise FileFormatError(
                f"{self._where} is cut into chunks in a way this reader does not know, expected a "
                "regular grid; save it again."
            )
        self._separator = separator
        self._compressor, self._checked = self._codecs(said["codecs"])

    def _codecs(self, codecs: list[Any]) -> tuple[str | None, bool]:
        """Return the compressor, and whether checksums follow; refuse what is not on the list."""
        names = [codec["name"] if isinstance(codec, dict) else str(codec) for codec in codecs]
        after = names[1:]
        compressor = after.pop(0) if after and after[0] in _COMPRESSORS else None
        if names[:1] != ["bytes"] or after not in ([], ["crc32c"]):
            raise FileFormatError(
                f"{self._where} is stored through the codecs {', '.join(names)!r:.80}, expected "
                "bytes, then gzip, zstd or nothing, then crc32c or nothing; save it with one of "
                "these."
            )
        return compressor, bool(after)

    def check_chunks(self, index: tuple[slice, ...], limits: Limits) -> None:
        """Refuse chunks in the part `index` that are missing or decode to another size."""
        expected = math.prod(self.chunk) * self.dtype.itemsize
        whole = math.prod(self.shape) * self.dtype.itemsize
        if expected > max(whole, min(_LARGEST_CHUNK_BYTES, limits.max_bytes)):
            raise FileFormatError(
                f"{self._where} is stored in chunks of {expected} bytes, expected no more than "
                f"the {whole} bytes it holds; save it again."
            )
        ranges = []
        for cut, side, length in zip(index, self.chunk, self.shape, strict=True):
            first, last, _ = cut.indices(length)
            ranges.append(range(first // side, -(-last // side)))
        for place in itertools.product(*ranges):
            key = self._separator.join(("c", *map(str, place)))
            self._check_chunk(self.folder / key, key, expected)

    def _check_chunk(self, file: Path, key: str, expected: int) -> None:
        if not file.is_file():
            raise FileFormatError(
                f"{self._where}: its chunk {key} is missing, expected all of them, also where all "
                "values are 0 (write_empty_chunks); copy or save it again."
            )
        tail = _CRC32C_BYTES if self._checked else 0
        size = file.stat().st_size
        if size > expected + expected // 64 + 4096:
            raise FileFormatError(
                f"{self._where}: its chunk {key} has {size} bytes, expected at most about "
                f"{expected}; the store is damaged, get it again."
            )
        held = size - tail if self._compressor is None else self._inflated(file, expected)
        if held != expected:
            found = "more than" if held > expected else "only a part of"
            raise FileFormatError(
                f"{self._where}: its chunk {key} holds {found} the {expected} bytes it should; the "
                "store is damaged or hostile, get it again."
            )

    def _inflated(self, file: Path, expected: int) -> int:
        """Return the bytes that a chunk decodes to, counted up to one more than `expected`."""
        stored = file.read_bytes()
        if self._compressor == "zstd":
            return _zstd_content_bytes(stored)
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        held = len(inflater.decompress(stored, expected + 1))
        if held == expected and len(inflater.unused_data) > _CRC32C_BYTES:
            raise ValueError("a chunk that goes on behind its gzip data")
        return held


def _zstd_content_bytes(stored: bytes) -> int:
    """Return what the header of a zstd frame says it decodes to; the decoder holds it to that."""
    if stored[:4] != _ZSTD_MAGIC:
        raise ValueError("a chunk that is no zstd frame")
    descriptor = stored[4]
    size_flag, single_segment = descriptor >> 6, bool(descriptor & 0x20)
    start = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    length = (int(single_segment), 2, 4, 8)[size_flag]
    if length == 0:
        raise ValueError("a zstd frame that does not say its size")
    size = int.from_bytes(stored[start : start + length], "little")
    return size + 256 if length == 2 else size


def _refuse_links(path: Path) -> None:
    """Walk the folder; all of it must be folders and regular files of its own."""
    count = 0
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            count += 1
            entry = Path(folder, name)
            mode = entry.lstat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise FileFormatError(
                    f"{shown(path)}: {shown(entry.relative_to(path))} is a link or a device, "
                    "expected plain files; copy what it points to into the store."
                )
            if count > _MOST_FILES:
                raise FileFormatError(
                    f"{shown(path)}: more than {_MOST_FILES} files, expected fewer; save it in "
                    "larger chunks."
                )


def _description(path: Path, file: Path) -> dict[str, Any]:
    """Return the parsed `zarr.json` of the group or of an array."""
    if not file.is_file():
        old = any((file.parent / name).exists() for name in (".zgroup", ".zarray"))
        raise FileFormatError(
            f"{shown(path)}: {'of Zarr version 2' if old else f'has no {DESCRIPTION}'}, expected a "
            "Zarr v3 group with one array per variable; save it with zarr_format=3."
        )
    if file.stat().st_size > _LONGEST_DESCRIPTION_BYTES:
        raise FileFormatError(
            f"{shown(path)}: its {DESCRIPTION} has {file.stat().st_size} bytes, expected at most "
            f"{_LONGEST_DESCRIPTION_BYTES}; save it again."
        )
    said = json.loads(file.read_bytes())
    if not isinstance(said, dict) or said.get("zarr_format") != 3:
        raise FileFormatError(
            f"{shown(path)}: its {DESCRIPTION} is not of Zarr version 3, expected that; save it "
            "with zarr_format=3."
        )
    return said


def _sides(said: Any, least: int) -> tuple[int, ...]:
    """Return a shape as a tuple of whole numbers of at least `least`."""
    sound = isinstance(said, list) and all(type(side) is int and side >= least for side in said)
    if not sound or not said:
        raise ValueError(f"a shape of {said!r:.60}")
    return tuple(said)
