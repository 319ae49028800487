"""Pixel values of a file -> float32; here the type of its numbers is known for the last time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.typing import Float32Array

__all__ = ["as_float32"]

_WRAPPED_BITS = (8, 16, 32)
_WRAPPED_SHARE = 4
"""Counts that differ from 0 by more than this part of a signed type's negative range have wrapped:
what is left of a dark frame that was subtracted is never so far below 0."""


def as_float32(
    path: Path, array: npt.NDArray[Any], *, name: str | None = None, order: str = "C"
) -> Float32Array:
    """Return pixel values as float32; too large for it becomes infinity, which is judged elsewhere.

    Args:
        path: File, for messages.
        array: Values as the file's type gives them.
        name: Array in the file, for messages.
        order: Order in memory, "C" or "K".

    Raises:
        FileFormatError: If integers of a signed type can only stand for unsigned counts.
    """
    info = np.iinfo(array.dtype) if array.dtype.kind == "i" else None
    if info is not None and info.bits in _WRAPPED_BITS and array.size:
        lowest = int(array.min())
        if lowest < info.min // _WRAPPED_SHARE:
            where = f"{printable(path)}: {name!r:.60}" if name else printable(path)
            raise FileFormatError(
                f"{where} holds {lowest} as a signed {info.bits}-bit integer, expected counts from "
                f"about 0 on: a number beyond {info.max} was saved in a type that is too narrow; "
                f"save the image as uint{info.bits}."
            )
    with np.errstate(over="ignore"):
        return np.array(array, np.float32, order="K" if order == "K" else "C")
