"""Arrays of any name into a MATLAB file, the same bytes of the same content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scipy.io
from numpy.typing import NDArray

from fociscope.files.arrays._mat5 import HEADER_TEXT_BYTES
from fociscope.files.safe.atomic import atomic_path

__all__ = ["write_mat_arrays"]


def write_mat_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, text: str) -> None:
    """Write arrays with their axes in the order of Python.

    Args:
        path: Path of the file.
        arrays: Arrays by their names.
        text: What the header says of the file, ASCII.

    Raises:
        FociscopeError: If the file exists, or the disk refuses.
    """
    with atomic_path(path) as part, part.open("wb") as stream:
        scipy.io.savemat(stream, dict(arrays), format="5", oned_as="row")
        stream.seek(0)  # scipy writes the date here
        stream.write(f"MATLAB 5.0 MAT-file, {text}".encode("ascii").ljust(HEADER_TEXT_BYTES))
