"""Shards of a Zarr v3 array: many chunks in one file, with a list of where each one lies.

Format: Zarr codec `sharding_indexed`, version 1.0: the list holds offset and length of each chunk
as unsigned 64-bit integers, all ones for a chunk that is absent; it lies at an end of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from fociscope.errors import FileFormatError
from fociscope.files.arrays._chunk_bytes import CRC32C_BYTES

__all__ = ["SHARDING", "ShardIndex", "read_at"]

SHARDING = "sharding_indexed"
_ENTRY_BYTES = 16
_ABSENT = 2**64 - 1
_MOST_CHUNKS = 2**20


@dataclass(frozen=True)
class ShardIndex:
    """How the shards of one array are laid out."""

    outer: tuple[int, ...]
    """Shape of a shard."""
    inner: tuple[int, ...]
    """Shape of a chunk in it."""
    codecs: tuple[Any, ...]
    """Through which its chunks are stored."""
    is_at_end: bool
    byte_order: str
    index_bytes: int

    @classmethod
    def of(cls, where: str, codec: Any, outer: tuple[int, ...]) -> ShardIndex:
        """Return the layout that the description of an array states.

        Args:
            where: Array, for messages.
            codec: Entry of its `codecs`.
            outer: Shape of a shard.

        Raises:
            FileFormatError: If the list is not stored plainly, or chunks do not fill a shard.
            LookupError: If the description is not complete.
        """
        said = codec["configuration"]
        sides, place = said["chunk_shape"], said.get("index_location", "end")
        sound = isinstance(sides, list) and all(type(n) is int and n > 0 for n in sides)
        if (
            not sound
            or len(sides) != len(outer)
            or any(side % n for side, n in zip(outer, sides, strict=True))
        ):
            raise FileFormatError(
                f"{where} is stored in shards of {outer} with chunks of {sides!r:.60}, expected "
                "chunks that fill a shard; save it again."
            )
        of_index = said["index_codecs"]
        names = [one["name"] if isinstance(one, dict) else one for one in of_index]
        count = math.prod(side // n for side, n in zip(outer, sides, strict=True))
        if (
            names not in (["bytes"], ["bytes", "crc32c"])
            or place not in ("start", "end")
            or count > _MOST_CHUNKS
        ):
            raise FileFormatError(
                f"{where} is stored in shards of {count} chunks, whose list lies at the "
                f"{place!s:.20} through {names!r:.60}, expected at most {_MOST_CHUNKS}, listed at "
                "the start or end through bytes, then crc32c or nothing; save it again."
            )
        first = of_index[0]
        order = (first.get("configuration") or {}) if isinstance(first, dict) else {}
        return cls(
            outer,
            tuple(sides),
            tuple(said["codecs"]),
            place == "end",
            ">" if order.get("endian") == "big" else "<",
            count * _ENTRY_BYTES + CRC32C_BYTES * (len(names) - 1),
        )

    @property
    def per_shard(self) -> tuple[int, ...]:
        """How many chunks a shard has along each axis."""
        return tuple(side // n for side, n in zip(self.outer, self.inner, strict=True))

    @property
    def count(self) -> int:
        """How many chunks a shard has."""
        return math.prod(self.per_shard)

    def chunks(
        self, stream: BinaryIO, numbers: Sequence[int]
    ) -> Iterator[tuple[int, int, int | None]]:
        """Yield number, offset and length of some chunks of a shard; no length where one is absent.

        Raises:
            ValueError: If the shard is too short for its list, or for a chunk that is listed.
        """
        size = stream.seek(0, 2)
        if size < self.index_bytes:
            raise ValueError(f"a shard of {size} bytes, which is less than its list takes")
        start = size - self.index_bytes if self.is_at_end else 0
        listed = read_at(stream, start, self.count * _ENTRY_BYTES)
        entries = np.frombuffer(listed, np.dtype(f"{self.byte_order}u8")).reshape(-1, 2)
        for number in numbers:
            offset, length = (int(n) for n in entries[number])
            if offset == length == _ABSENT:
                yield number, 0, None
                continue
            if offset + length > size:
                raise ValueError(f"a shard whose chunk {number} lies behind its end")
            yield number, offset, length


def read_at(stream: BinaryIO, start: int, length: int) -> bytes:
    """Return some bytes of an open file."""
    stream.seek(start)
    return stream.read(length)
