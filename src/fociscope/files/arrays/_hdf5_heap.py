"""Parts of an HDF5 file that are judged before the HDF5 library reads them.

Two things take memory without bounds in the HDF5 library (found by fuzzing h5py 3.16 with HDF5
2.0.0, the newest that was tried): the superblock may name a driver, of which the library believes
any size; and an old-style group keeps its names in a local heap, whose free blocks form a list that
can run in a circle. This module can go once the oldest h5py that `pyproject.toml` allows refuses
both: the cases `hdf5_driver_of_any_size` and `hdf5_free_blocks_in_a_circle` of `tests/hostile` show
it, with the calls of `LocalHeaps` taken out of `hdf5.py`.

Format: HDF5 File Format Specification 3.0: superblock (II.A), local heap (III.D), object header
(IV.A), symbol table message (IV.A.2.r).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["LocalHeaps", "superblock_at"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CONTINUATION, _SYMBOL_TABLE = 0x10, 0x11
_LONGEST_HEADER_BYTES = 4 * 2**20
"""With all its continuations."""
_END_OF_LIST = 1
_HEAP_BYTES = 8


def superblock_at(stream: BinaryIO) -> int | None:
    """Return where an HDF5 file begins, behind a user block or not; None if it is none.

    It begins at 0, or at 512 bytes or twice, four times ... that.
    """
    size = stream.seek(0, 2)
    offset = 0
    while offset < size:
        stream.seek(offset)
        if stream.read(len(_SIGNATURE)) == _SIGNATURE:
            return offset
        offset = max(512, 2 * offset)
    return None


class LocalHeaps:
    """Checks the local heap of groups of one file."""

    def __init__(self, path: Path) -> None:
        """Read the superblock and check the root group.

        Raises:
            ValueError: no HDF5 file, or a free list that runs in a circle.
            struct.error: truncated.
        """
        self._path = path
        with path.open("rb") as stream:
            base = superblock_at(stream)
            if base is None:
                raise ValueError("no HDF5 signature")
            self._base = base
            stream.seek(base + len(_SIGNATURE))
            block = stream.read(120)
        old = block[0] < 2
        sizes = block[5:7] if old else block[1:3]
        if any(side not in (2, 4, 8) for side in sizes):
            raise ValueError(f"addresses of {sizes[0]} and lengths of {sizes[1]} bytes")
        self._address_bytes, self._length_bytes = sizes
        if not old:
            self.check(self._address(block, 4 + 3 * self._address_bytes))
            return
        entry = (16 if block[0] == 0 else 20) + 4 * self._address_bytes
        undefined = 2 ** (8 * self._address_bytes) - 1
        if self._address(block, entry - self._address_bytes) != undefined:
            raise ValueError("a file spread over others by a driver")  # whose size is believed
        self.check(self._address(block, entry + self._address_bytes))
        (cached,) = struct.unpack_from("<I", block, entry + 2 * self._address_bytes)
        if cached == 1:  # the root's heap is named here, too
            scratch = entry + 2 * self._address_bytes + 8
            with path.open("rb") as stream:
                self._check_heap(stream, self._address(block, scratch + self._address_bytes))

    def check(self, header: int) -> None:
        """Check the heap of the group whose object header lies at an address.

        Raises:
            ValueError: its free list runs in a circle, or the header has no end.
            struct.error: truncated.
        """
        with self._path.open("rb") as stream:
            for message in self._symbol_tables(stream, header):
                self._check_heap(stream, self._address(message, self._address_bytes))

    def _symbol_tables(self, stream: BinaryIO, header: int) -> list[bytes]:
        """Return the symbol table messages of an object header."""
        start = self._read(stream, header, 40)
        found: list[bytes] = []
        if start[:4] == b"OHDR":
            flags = start[5]
            at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            wide = 1 << (flags & 3)
            length = int.from_bytes(start[at : at + wide], "little")
            blocks = [(header + at + wide, length)]
            fixed, head = 6 if flags & 4 else 4, "<BHB"
        else:
            (length,) = struct.unpack_from("<I", start, 8)
            blocks = [(header + 16, length)]
            fixed, head = 8, "<HHB"
        total = 0
        for place, (address, length) in enumerate(blocks):
            total += length + _HEAP_BYTES  # so that empty ones come to an end, too
            if total > _LONGEST_HEADER_BYTES:
                raise ValueError("an object header without end")
            block = self._read(stream, address, length)
            at = 4 if place and start[:4] == b"OHDR" else 0  # behind the signature OCHK
            while at + fixed <= len(block):
                kind, size, _ = struct.unpack_from(head, block, at)
                message = block[at + fixed : at + fixed + size]
                if kind == _SYMBOL_TABLE and len(message) >= 2 * self._address_bytes:
                    found.append(message)
                elif kind == _CONTINUATION and len(message) >= 2 * self._address_bytes:
                    more = message[self._address_bytes :][: self._length_bytes]
                    blocks.append((self._address(message, 0), int.from_bytes(more, "little")))
                at += fixed + size
        return found

    def _check_heap(self, stream: BinaryIO, address: int) -> None:
        """Follow the list of free blocks; each must come once."""
        wide = self._length_bytes
        heap = self._read(stream, address, _HEAP_BYTES + 2 * wide + self._address_bytes)
        if heap[:4] != b"HEAP":
            return  # no heap, which the library says itself
        size, place = (
            int.from_bytes(heap[8 + n * wide : 8 + (n + 1) * wide], "little") for n in range(2)
        )
        data = self._address(heap, _HEAP_BYTES + 2 * wide)
        undefined = 2 ** (8 * wide) - 1
        seen: set[int] = set()
        while place not in (_END_OF_LIST, undefined) and place + 2 * wide <= size:
            if place in seen:
                raise ValueError("a list of free blocks that runs in a circle")
            seen.add(place)
            place = int.from_bytes(self._read(stream, data + place, wide), "little")

    def _address(self, block: bytes, at: int) -> int:
        return int.from_bytes(block[at : at + self._address_bytes], "little")

    def _read(self, stream: BinaryIO, address: int, length: int) -> bytes:
        if address + self._base >= 2**63:  # undefined
            return b""
        stream.seek(address + self._base)
        return stream.read(length)
