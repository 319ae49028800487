"""How many bytes a compressed chunk decodes to, with a bound: decoders themselves set none.

Sources: RFC 1950 and 1952 (zlib, gzip), RFC 8878 (Zstandard), the header of Blosc 1.
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["COMPRESSORS", "CRC32C_BYTES", "inflated_bytes"]

COMPRESSORS = ("gzip", "zlib", "zstd", "blosc")
CRC32C_BYTES = 4
_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "zlib": zlib.MAX_WBITS}  # zlib's way to ask for a header
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_EIGHT_BYTES = 0xC0
"""In a frame's descriptor: its size follows in eight bytes."""
_BLOSC_HEADER = struct.Struct("<BBBBIII")


def inflated_bytes(compressor: str, stored: bytes, expected: int, tail_bytes: int = 0) -> int:
    """Return the bytes that a chunk decodes to, counted up to one more than `expected`.

    Args:
        compressor: one of `COMPRESSORS`.
        stored: the chunk, perhaps with a CRC32C behind it.
        expected: what it should decode to.
        tail_bytes: how many bytes of a checksum stand behind it.

    Raises:
        ValueError: it is no such chunk, or goes on behind its end.
        zlib.error: damaged gzip or zlib data.
    """
    if compressor == "zstd":
        return _zstd_content_bytes(stored[: len(stored) - tail_bytes], expected)
    if compressor == "blosc":
        return _blosc_content_bytes(stored)
    inflater = zlib.decompressobj(_WINDOW[compressor])
    held = len(inflater.decompress(stored, expected + 1))
    if held == expected and len(inflater.unused_data) > CRC32C_BYTES:
        raise ValueError(f"a chunk that goes on behind its {compressor} data")
    return held


def _zstd_content_bytes(stored: bytes, expected: int) -> int:
    """Return what a zstd frame decodes to: by its header, to which the decoder holds it.

    A frame of a streaming compressor does not say it. Its header is completed by the size that it
    should have, so that decoding it can take no more.
    """
    if stored[:4] != _ZSTD_MAGIC or len(stored) < 6:
        raise ValueError("a chunk that is no zstd frame")
    descriptor = stored[4]
    size_flag, single_segment = descriptor >> 6, bool(descriptor & 0x20)
    start = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    length = (int(single_segment), 2, 4, 8)[size_flag]
    if length == 0:
        from numcodecs.zstd import Zstd

        sized = _ZSTD_MAGIC + bytes([descriptor | _ZSTD_EIGHT_BYTES]) + stored[5:start]
        return len(Zstd().decode(sized + struct.pack("<Q", expected) + stored[start:]))
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
