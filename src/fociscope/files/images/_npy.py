"""NPY arrays from files that nobody has vouched for, as images and stacks; nothing is unpickled."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._npz import read_npy_header
from fociscope.files.formats._stacks import ARRAY_LEADING, Stack
from fociscope.files.formats._values import as_float32
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits, check_claim, decoding, unbounded
from fociscope.typing import Float32Array

__all__ = ["is_npy", "open_npy"]

_MAGIC = b"\x93NUMPY"


def is_npy(head: bytes) -> bool:
    """Return whether a file that starts with `head` is an NPY array."""
    return head.startswith(_MAGIC)


@contextmanager
def open_npy(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Stack]:
    """Open an array of 2 to 4 axes, of which the planes are read as they are asked for.

    Raises:
        FileFormatError: If the header is damaged or unsafe, values are missing, or the array is
            larger than `limits` or has another number of axes.
    """
    shape, fortran, dtype, start_byte = _npy_header(path)
    data_bytes = path.stat().st_size - start_byte
    if not 2 <= len(shape) <= 4:
        raise FileFormatError(
            f"{printable(path)}: an array with {len(shape)} axes, expected (y, x), (frame, y, x) "
            "or (frame, sensor, y, x); save the images alone."
        )
    expected = check_claim(path, shape, dtype, unbounded(limits))
    expected = expected * dtype.itemsize // max(dtype.itemsize, 4)
    if data_bytes < expected:
        raise FileFormatError(
            f"{printable(path)}: holds {data_bytes} bytes of data, expected {expected} for the "
            f"shape {shape}; it is truncated, copy or save it again."
        )

    def planes(start: int, stop: int) -> Float32Array:
        check_claim(path, (stop - start, *shape[-2:]), dtype, limits)
        per = shape[1] if len(shape) == 4 else 1  # planes of one frame, in which runs are counted
        with decoding(path, "NPY array"):
            # Mapped anew each time, so that what was read before leaves memory.
            order: Literal["C", "F"] = "F" if fortran else "C"
            mapped = np.memmap(path, dtype, "r", start_byte, shape, order)
            part = mapped[start // per : stop // per] if len(shape) > 2 else mapped
            return as_float32(path, part).reshape(-1, *shape[-2:])

    yield Stack(path, ARRAY_LEADING[len(shape)], shape[:-2], (shape[-2], shape[-1]), planes)


def _npy_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether in Fortran's order, dtype, and where the data begin."""
    with decoding(path, "NPY array"), path.open("rb") as stream:
        return *read_npy_header(stream), stream.tell()
