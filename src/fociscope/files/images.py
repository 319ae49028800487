"""Captures on disk -> plain float32 arrays: TIFF, OME-TIFF, PNG and NPY.

The first bytes decide what a file is; its suffix only has to be one of those that are read here.
Values come as they are in the file, without any rescaling.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError
from fociscope.files.limits import (
    DEFAULT_LIMITS,
    Limits,
    check_claim,
    decoding,
    require_file,
    shown,
)
from fociscope.files.png import is_png, read_png
from fociscope.files.tiff import is_tiff, read_tiff

__all__ = ["IMAGE_SUFFIXES", "read_image"]

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".npy")

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


def read_image(path: Path, limits: Limits = DEFAULT_LIMITS) -> npt.NDArray[np.float32]:
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
    path = require_file(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise FileFormatError(
            f"{shown(path)}: not an image file that is read here, expected one of "
            f"{', '.join(IMAGE_SUFFIXES)}; export it as 16-bit TIFF."
        )
    with path.open("rb") as stream:
        head = stream.read(16)
    if is_tiff(head):
        return read_tiff(path, limits)
    if is_png(head):
        return read_png(path, limits)
    if head.startswith(_NPY_MAGIC):
        return _read_npy(path, limits)
    raise FileFormatError(
        f"{shown(path)}: {_describe(head)}, expected a TIFF, PNG or NPY image as its name says; "
        "export the image again."
    )


def _describe(head: bytes) -> str:
    """Say what a file that is no image here looks like."""
    for magic, kind in _STRANGERS.items():
        if head.startswith(magic):
            return kind
    text = all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head)
    return "a text file" if text else f"starts with the unknown bytes {head[:8].hex(' ')}"


def _read_npy(path: Path, limits: Limits) -> npt.NDArray[np.float32]:
    """Read an array whose header is sound and whose data are all there."""
    shape, dtype, data_bytes = _npy_header(path)
    if not 2 <= len(shape) <= 4:
        raise FileFormatError(
            f"{shown(path)}: an array with {len(shape)} axes, expected (y, x), (frame, y, x) or "
            "(frame, sensor, y, x); save the images alone."
        )
    check_claim(path, shape, dtype, limits)
    expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if data_bytes < expected:
        raise FileFormatError(
            f"{shown(path)}: holds {data_bytes} bytes of data, expected {expected} for the shape "
            f"{shape}; it is truncated, copy or save it again."
        )
    with decoding(path, "NPY array"):
        array = np.load(path, allow_pickle=False)
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, judged elsewhere
        return np.ascontiguousarray(array, dtype=np.float32)


def _npy_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape, dtype and the bytes that follow the header; no data are read."""
    with decoding(path, "NPY array"), path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"format version {version[0]}.{version[1]}, expected 1.0 or 2.0")
        return shape, dtype, path.stat().st_size - stream.tell()
