"""LZW, which tifffile leaves to a library whose decoder is no match for damaged files.

A dictionary of LZW holds nothing but pieces of what was decoded since the last clearing: the entry
that a code makes is what the code stands for and one byte more, and in the output both lie side by
side. So there is no dictionary here, only where each code's bytes begin; and since a code's width
follows from its number, all codes up to the next clearing are cut out of the bits at once.

TIFF 6.0, section 13 (most significant bit first, codes grow wider one entry early).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PREDICTORS", "decoded_lzw", "unpacked_lzw"]

_NO_PREDICTOR, _HORIZONTAL = 1, 2
#: What may have been done to the values before they were packed.
PREDICTORS = (_NO_PREDICTOR, _HORIZONTAL)

_CLEAR, _END, _FIRST_ENTRY, _ENTRIES = 256, 257, 258, 4096
_LEAST_BITS, _MOST_BITS = 9, 12


def _ends() -> npt.NDArray[np.int64]:
    """Return after how many bits the codes end that follow a clearing; one too many is enough."""
    number = np.arange(_ENTRIES)
    newest = _FIRST_ENTRY + number - 1  # the entry that is there before code `number` is read
    bits = _LEAST_BITS + sum((newest > 2**n - 2).astype(np.int64) for n in (9, 10, 11))
    return np.cumsum(np.minimum(bits, _MOST_BITS))


_ENDS = _ends()
_WIDTHS = np.diff(_ENDS, prepend=0)


def decoded_lzw(page: Any) -> npt.NDArray[np.generic]:
    """Return the values (y, x) of a tifffile page whose claims have been checked.

    Raises:
        ValueError: a part is damaged, or ends too early.
    """
    height, width = page.shape
    rows, columns = page.chunks
    dtype = page.dtype
    whole = np.dtype(f"u{dtype.itemsize}")  # as which the values were subtracted, whatever they are
    handle = page.parent.filehandle
    across = -(-width // columns)
    found = np.empty((height, width), dtype)
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    for number, (start, length) in enumerate(parts):
        y, x = number // across * rows, number % across * columns
        if y >= height:
            break
        # Tiles are whole at the edges, too; the last strip ends with the page.
        held = rows if page.is_tiled else min(rows, height - y)
        handle.seek(start)
        content = unpacked_lzw(handle.read(length), held * columns * dtype.itemsize)
        stored = np.frombuffer(content, whole.newbyteorder(page.parent.byteorder))
        values = stored.reshape(held, columns).astype(whole)
        if page.predictor == _HORIZONTAL:
            values = values.cumsum(axis=1, dtype=whole)
        found[y : y + rows, x : x + columns] = values.view(dtype)[: height - y, : width - x]
    return found


def unpacked_lzw(packed: bytes, size: int) -> bytes:
    """Return the first `size` bytes that codes stand for.

    Raises:
        ValueError: they stand for fewer, or for something that was never there.
    """
    out = bytearray()
    at = 0
    while len(out) < size:
        codes = _codes(packed, at)
        begins: list[int] = []
        ended = False
        for code in codes:
            if len(out) >= size:
                break
            here = len(out)
            if code < _CLEAR:
                out.append(code)
            elif code == _CLEAR:
                break
            elif code == _END:
                ended = True
                break
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
        if ended or len(begins) == len(codes):  # neither an end nor a clearing
            break
        at += int(_ENDS[len(begins)])  # the clearing itself is a code, too
    if len(out) < size:
        raise ValueError(f"LZW: {len(out)} bytes of {size}")
    return bytes(out[:size])


def _codes(packed: bytes, at: int) -> list[int]:
    """Return the codes from bit `at` on, as if none of them cleared the dictionary."""
    first, shift = divmod(at, 8)
    held = np.frombuffer(packed, np.uint8, offset=min(first, len(packed)))
    held = held[: -(-(int(_ENDS[-1]) + shift) // 8) + 4]
    count = int(np.searchsorted(_ENDS, 8 * len(held) - shift, side="right"))
    padded = np.concatenate([held, np.zeros(4, np.uint8)]).astype(np.int64)
    ends = _ENDS[:count] + shift
    byte, bit = np.divmod(ends - _WIDTHS[:count], 8)
    width = _WIDTHS[:count]
    three = (padded[byte] << 16) | (padded[byte + 1] << 8) | padded[byte + 2]
    codes = (three >> (24 - bit - width)) & ((1 << width) - 1)
    found: list[int] = codes.tolist()
    return found
