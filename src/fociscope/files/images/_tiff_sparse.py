"""Strips and tiles of a TIFF that were never written: offset and length 0, as GDAL leaves them.

GDAL writes no part whose pixels were never set (`SPARSE_OK`), and takes it for the nodata value. A
file that states this value is read so, and says how many parts are missing; one that does not is
refused, as the same zeros stand where a program was stopped.

Source: GDAL's driver GTiff, section "Sparse files"; its tag GDAL_NODATA (42113).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import FileFormatError, printable

__all__ = ["check_written", "fill_value", "missing_parts", "sparse_note"]

_NODATA = 42113
_MOST_PAGES = 1000
"""Of a file of more pages, parts are counted for so many."""


def missing_parts(page: Any) -> int:
    """Return the number of strips or tiles of a page that were never written."""
    return sum(length == 0 for length in page.databytecounts)


def fill_value(page: Any) -> float | int | None:
    """Return the nodata value that a page states; None without one that its type can hold."""
    said = page.tags.valueof(_NODATA)
    try:
        value = float(str(said).replace(",", "."))
    except ValueError:
        return None
    if page.dtype is None or page.dtype.kind not in "uif":
        return None
    if page.dtype.kind == "f":
        return value
    limits = np.iinfo(page.dtype)
    return int(value) if value.is_integer() and limits.min <= value <= limits.max else None


def check_written(path: Path, page: Any) -> None:
    """Refuse a page of which parts are missing, unless it states what they stand for.

    Raises:
        FileFormatError: If it does not.
    """
    missing = missing_parts(page)
    if missing and fill_value(page) is None:
        raise FileFormatError(
            f"{printable(path)}: {missing} of {len(page.databytecounts)} strips or tiles of a page "
            "were never written and no nodata value is stated for them, expected all; write the "
            "missing part, or let GDAL copy the file (gdal_translate), which fills them."
        )


def sparse_note(path: Path, tiff: Any, listed: int) -> tuple[str, ...]:
    """Say how many strips or tiles of a file are filled with its nodata value."""
    first: Any = tiff.pages[0]
    if _NODATA not in first.tags:
        return ()
    pages = [tiff.pages[number] for number in range(min(listed, _MOST_PAGES))]
    missing = sum(missing_parts(page) for page in pages)
    if not missing:
        return ()
    return (
        f"{printable(path)}: {missing} strips or tiles were never written, and are filled with its "
        f"nodata value {fill_value(first):g}.",
    )
