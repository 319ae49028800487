"""The depths of planes, out of a table or of a few words."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError
from fociscope.files import require_file
from fociscope.files.limits import shown

__all__ = ["read_depths"]

FloatArray = npt.NDArray[np.float64]

LARGEST_TABLE_BYTES = 2**20


def read_depths(given: str | Path) -> FloatArray:
    """Read depths from a table file, or from numbers separated by commas.

    Args:
        given: such as "50,150,250"; or a CSV or text file with one depth per line, or with a
            header that names a column `depth_um`.

    Returns:
        (depth,) um, in the order given.

    Raises:
        FileFormatError: there is no such file, or it does not read as depths.
    """
    text = str(given)
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        return _read_table(Path(given))
    return _checked(numbers, text)


def _read_table(path: Path) -> FloatArray:
    path = require_file(path)
    if path.stat().st_size > LARGEST_TABLE_BYTES:
        raise FileFormatError(f"{shown(path)}: too large for a table of depths, expected text.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = [row for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error):
        raise FileFormatError(
            f"{shown(path)}: not a table of depths, expected a text file with one depth in um per "
            "line."
        ) from None
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = header.index("depth_um") if "depth_um" in header else 0
    body = rows[1:] if "depth_um" in header else rows
    if "depth_um" not in header and any(len(row) > 1 for row in rows):
        raise FileFormatError(
            f"{shown(path)}: several columns and none is named depth_um; add a header line that "
            "names it."
        )
    numbers = []
    for number, row in enumerate(body, start=1):
        try:
            numbers.append(float(row[column]))
        except (IndexError, ValueError):
            what = row[column].strip()[:30] if column < len(row) else ""
            raise FileFormatError(
                f"{shown(path)}: depth {number} reads {what!r}, expected a number in um."
            ) from None
    return _checked(numbers, shown(path))


def _checked(numbers: Iterable[float], where: str) -> FloatArray:
    depth_um = np.array(list(numbers), dtype=np.float64)
    if depth_um.size == 0 or not np.isfinite(depth_um).all():
        raise FileFormatError(f"{where[:80]}: expected finite depths in um, one for each plane.")
    return depth_um
