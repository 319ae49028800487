"""Packed integers in TIFF: values of 2 to 63 bits side by side, which tifffile alone cannot unpack.

TIFF 6.0: rows begin at whole bytes, the highest bit of a value comes first whatever the byte order
(FillOrder 1), or the bits of each byte are in reverse (FillOrder 2); section 9 (PackBits).
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.files.images._tiff_lzw import unpacked_lzw
from fociscope.files.images._tiff_parts import assembled

__all__ = ["DEFLATE", "decoded_packed", "is_packed"]

_LZW, _PACKBITS = 5, 32773
DEFLATE = (8, 32946)
_FROM_THE_LOWEST = 2  # of the tag FillOrder


def is_packed(page: Any) -> bool:
    """Return whether the values of a page are integers that do not fill whole bytes."""
    return bool(page.bitspersample not in (1, 8, 16, 24, 32, 64))


def decoded_packed(page: Any) -> npt.NDArray[np.generic]:
    """Return the values of a tifffile page whose claims have been checked.

    Raises:
        ValueError: a part is damaged, or ends too early.
        zlib.error: a part is damaged.
    """

    def decode(stored: bytes, rows: int, columns: int) -> npt.NDArray[np.generic]:
        row_bytes = (columns * page.bitspersample + 7) // 8
        packed = _decompressed(page, stored, rows * row_bytes)
        return _unpacked(page, packed.reshape(rows, row_bytes), columns)

    return assembled(page, decode)


def _decompressed(page: Any, stored: bytes, size: int) -> npt.NDArray[np.uint8]:
    """Return the first `size` bytes of a part."""
    if page.compression in DEFLATE:
        stored = zlib.decompressobj().decompress(stored, size)
    elif page.compression == _LZW:
        stored = unpacked_lzw(stored, size)
    elif page.compression == _PACKBITS:
        stored = _unpacked_runs(stored, size)
    return np.frombuffer(stored, np.uint8, size)


def _unpacked_runs(stored: bytes, size: int) -> bytes:
    """Return what PackBits stands for, up to `size` bytes."""
    out, at = bytearray(), 0
    while len(out) < size and at < len(stored):
        count = stored[at]
        if count < 128:
            out += stored[at + 1 : at + 2 + count]
            at += 2 + count
        else:
            if count > 128:
                out += stored[at + 1 : at + 2] * (257 - count)
            at += 2 if count > 128 else 1
    return bytes(out[:size])


def _unpacked(page: Any, rows: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.generic]:
    """Return the values of rows of bytes, a few rows at a time: a bit takes a byte in between."""
    bits = page.bitspersample
    order: Any = "little" if page.fillorder == _FROM_THE_LOWEST else "big"
    found = np.empty((len(rows), width), np.uint64)
    step = max(1, 2**22 // (width * bits))
    for start in range(0, len(rows), step):
        each = np.unpackbits(rows[start : start + step], axis=1, bitorder=order)
        each = each[:, : width * bits].reshape(-1, width, bits)
        values = np.zeros(each.shape[:2], np.uint64)
        for place in range(bits):
            values = (values << np.uint64(1)) | each[..., place]
        found[start : start + step] = values
    return found.astype(page.dtype)
