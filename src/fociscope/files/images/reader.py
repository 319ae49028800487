"""Images on disk -> plain float32 arrays: TIFF, OME-TIFF, PNG and NPY.

The first bytes decide what a file is; its suffix only has to be one of those that are read here.
Values come as they are in the file, without any rescaling.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays.npz import read_npy_header
from fociscope.files.images.png import is_png, read_png
from fociscope.files.images.stacks import Stack
from fociscope.files.images.tiff import is_tiff, open_tiff, read_tiff
from fociscope.files.safe.limits import (
    DEFAULT_LIMITS,
    Limits,
    check_claim,
    decoding,
    require_file,
    unbounded,
)
from fociscope.typing import Float32Array

__all__ = ["ARRAY_LEADING", "IMAGE_SUFFIXES", "open_image", "read_image"]

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".npy")

ARRAY_LEADING = {2: "", 3: "P", 4: "FS"}
"""What the leading axes of a plain array are, by its number of axes."""

_NPY_MAGIC = b"\x93NUMPY"
_STRANGERS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB": "a MAT file",
}


def read_image(path: Path, limits: Limits = DEFAULT_LIMITS) -> Float32Array:
    """Read one image or stack.

    Args:
        path: a `.tif`, `.tiff`, `.png` or `.npy` file.
        limits: what the file may claim.

    Returns:
        float32, (y, x) or (frame, y, x); from `.npy` also (frame, sensor, y, x).

    Raises:
        FileFormatError: the file is missing, damaged, unsafe, in colour, too large, or of a kind
            that is not read here.
    """
    kind = _kind(path)
    if kind == "tiff":
        return read_tiff(path, limits)
    if kind == "png":
        return read_png(path, limits)
    with _open_npy(path, limits) as stack:
        check_claim(path, stack.shape, np.dtype(np.float32), limits)
        count = int(np.prod(stack.counts))
        return stack.planes(0, count).reshape(stack.shape)


@contextmanager
def open_image(
    path: Path, limits: Limits = DEFAULT_LIMITS, *, growing: bool = False
) -> Iterator[Stack]:
    """Open one image or stack, of which planes are decoded as they are asked for.

    Args:
        path: a `.tif`, `.tiff`, `.png` or `.npy` file.
        limits: what the file may claim.
        growing: it is being written; see `fociscope.files.images.tiff.open_tiff`.

    Raises:
        FileFormatError: as for `read_image`, as far as it shows now.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "tiff":
        with open_tiff(path, limits, growing=growing) as stack:
            yield stack
    elif kind == "png":
        image = read_png(path, limits)
        height, width = image.shape
        yield Stack(path, "", (), (height, width), lambda start, stop: image[None])
    else:
        with _open_npy(path, limits) as stack:
            yield stack


def _kind(path: Path) -> str:
    """Return "tiff", "png" or "npy", by the first bytes."""
    path = require_file(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise FileFormatError(
            f"{printable(path)}: not an image file that is read here, expected one of "
            f"{', '.join(IMAGE_SUFFIXES)}; export it as 16-bit TIFF."
        )
    with path.open("rb") as stream:
        head = stream.read(16)
    if is_tiff(head):
        return "tiff"
    if is_png(head):
        return "png"
    if head.startswith(_NPY_MAGIC):
        return "npy"
    raise FileFormatError(
        f"{printable(path)}: {_describe(head)}, expected a TIFF, PNG or NPY image as its name "
        "says; export the image again."
    )


def _describe(head: bytes) -> str:
    """Say what a file that is no image here looks like."""
    for magic, kind in _STRANGERS.items():
        if head.startswith(magic):
            return kind
    text = all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head)
    return "a text file" if text else f"starts with the unknown bytes {head[:8].hex(' ')}"


@contextmanager
def _open_npy(path: Path, limits: Limits) -> Iterator[Stack]:
    """Open an array whose header is sound and whose data are all there."""
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
        with decoding(path, "NPY array"), np.errstate(over="ignore"):
            # Mapped anew each time, so that what was read before leaves memory. Too large for
            # float32 becomes inf, judged elsewhere.
            order: Literal["C", "F"] = "F" if fortran else "C"
            mapped = np.memmap(path, dtype, "r", start_byte, shape, order)
            part = mapped[start // per : stop // per] if len(shape) > 2 else mapped
            return np.array(part, dtype=np.float32, order="C").reshape(-1, *shape[-2:])

    yield Stack(path, ARRAY_LEADING[len(shape)], shape[:-2], (shape[-2], shape[-1]), planes)


def _npy_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether in Fortran's order, dtype, and where the data begin."""
    with decoding(path, "NPY array"), path.open("rb") as stream:
        return *read_npy_header(stream), stream.tell()
