"""LZW, which tifffile leaves to a library whose decoder is no match for damaged files.

A dictionary of LZW holds nothing but pieces of what was decoded since the last clearing: the entry
that a code makes is what the code stands for and one byte more, and in the output both lie side by
side. So there is no dictionary here, only where each code's bytes begin. Time grows with the codes,
whatever they are.

TIFF 6.0, section 13 (most significant bit first, codes grow wider one entry early).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.files.images._tiff_parts import assembled

__all__ = ["PREDICTORS", "decoded_lzw", "unpacked_lzw"]

_NO_PREDICTOR, _HORIZONTAL = 1, 2
#: What may have been done to the values before they were packed.
PREDICTORS = (_NO_PREDICTOR, _HORIZONTAL)

_CLEAR, _END, _FIRST_ENTRY, _ENTRIES = 256, 257, 258, 4096
#: Bits of a code by how many came since the clearing: it makes entry 257 and so many.
_WIDTHS = [9] * 254 + [10] * 512 + [11] * 1024 + [12] * (_ENTRIES - 1790)


def decoded_lzw(page: Any) -> npt.NDArray[np.generic]:
    """Return the values of a tifffile page whose claims have been checked.

    Raises:
        ValueError: a part is damaged, or ends too early.
    """
    dtype = page.dtype
    whole = np.dtype(f"u{dtype.itemsize}")  # as which the values were subtracted, whatever they are
    in_file = whole.newbyteorder(page.parent.byteorder)

    def decode(packed: bytes, rows: int, columns: int) -> npt.NDArray[np.generic]:
        content = unpacked_lzw(packed, rows * columns * dtype.itemsize)
        values = np.frombuffer(content, in_file).reshape(rows, columns).astype(whole)
        if page.predictor == _HORIZONTAL:
            pixels = values.reshape(rows, -1, math.prod(page.chunks[2:]))
            values = pixels.cumsum(axis=1, dtype=whole).reshape(rows, columns)
        return values.view(dtype)

    return assembled(page, decode)


def unpacked_lzw(packed: bytes, size: int) -> bytes:
    """Return the first `size` bytes that codes stand for.

    Raises:
        ValueError: they stand for fewer, or for something that was never there.
    """
    out = bytearray()
    begins: list[int] = []
    at, bits = 0, 8 * len(packed)
    padded = packed + bytes(2)  # no code reaches over more than three bytes
    while len(out) < size and len(begins) < _ENTRIES:
        width = _WIDTHS[len(begins)]
        if at + width > bits:
            break
        byte, bit = at >> 3, at & 7
        three = int.from_bytes(padded[byte : byte + 3], "big")
        code = (three >> (24 - bit - width)) & ((1 << width) - 1)
        at += width
        if code == _CLEAR:
            begins.clear()
            continue
        if code == _END:
            break
        here = len(out)
        if code < _CLEAR:
            out.append(code)
        else:
            entry = code - _FIRST_ENTRY
            if entry >= len(begins):
                raise ValueError("LZW: a code of something that was never there")
            begin = begins[entry]
            end = begins[entry + 1] if entry + 1 < len(begins) else here
            out += out[begin : end + 1]
            if end == here:  # its own first byte is its last
                out.append(out[begin])
        begins.append(here)
    if len(out) < size:
        raise ValueError(f"LZW: {len(out)} bytes of {size}")
    return bytes(out[:size])
