"""What a stored Zarr chunk decodes to, judged by its own header before anything decodes it.

Formats: RFC 1950 to 1952 (zlib, gzip), RFC 8878 (the header of a zstd frame), and the 16-byte
header of c-blosc (README_CHUNK_FORMAT of version 1).
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["COMPRESSORS", "inflated_bytes"]

COMPRESSORS = ("gzip", "zlib", "zstd", "blosc")
CRC32C_BYTES = 4
_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "zlib": zlib.MAX_WBITS}  # zlib's way to ask for a header
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOSC_HEADER = struct.Struct("<BBBBIII")


def inflated_bytes(compressor: str, stored: bytes, expected: int) -> int:
    """Return the bytes that a chunk decodes to, counted up to one more than `expected`.

    Args:
        compressor: one of `COMPRESSORS`.
        stored: the chunk, perhaps with a CRC32C behind it.
        expected: what it should decode to.

    Raises:
        ValueError: it is no such chunk, does not say its size, or goes on behind its end.
        zlib.error: damaged gzip or zlib data.
    """
    if compressor == "zstd":
        return _zstd_content_bytes(stored)
    if compressor == "blosc":
        return _blosc_content_bytes(stored)
    inflater = zlib.decompressobj(_WINDOW[compressor])
    held = len(inflater.decompress(stored, expected + 1))
    if held == expected and len(inflater.unused_data) > CRC32C_BYTES:
        raise ValueError(f"a chunk that goes on behind its {compressor} data")
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


def _blosc_content_bytes(stored: bytes) -> int:
    """Return what the header says, which blosc holds itself to; it must not lie of its own size."""
    if len(stored) < _BLOSC_HEADER.size:
        raise ValueError("a chunk without the header of blosc")
    *_, content, _, total = _BLOSC_HEADER.unpack_from(stored)
    if not total <= len(stored) <= total + CRC32C_BYTES:
        raise ValueError(f"a blosc chunk of {len(stored)} bytes that claims {total}")
    return int(content)
