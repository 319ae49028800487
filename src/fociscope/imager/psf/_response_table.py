"""The table of a measured angular response: rows of angle and transmission, and its CSV file."""

from __future__ import annotations

import csv
import hashlib
import math
from itertools import pairwise
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError
from fociscope.files.safe.limits import read_description
from fociscope.typing import Float64Array

__all__ = ["Rows", "even_and_odd", "read_response_file", "response_problem"]

Rows = tuple[tuple[float, float], ...]
"""(angle in degrees, transmission), angles increasing."""


def response_problem(rows: Rows) -> str | None:
    """Return why rows are no angular response, or None if they are one."""
    angles = [angle for angle, _ in rows]
    if any(b <= a for a, b in pairwise(angles)):
        return "the table's angles must increase from row to row"
    if not angles[0] <= 0 < angles[-1]:
        return (
            "the table must reach from 0 degrees, or below, to above 0; it goes from "
            f"{angles[0]:g} to {angles[-1]:g}"
        )
    if not any(value > 0 for angle, value in rows if abs(angle) < 90):
        return "the table lets no light through"
    return None


def even_and_odd(rows: Rows) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return angles from 0 degrees on, and the even and the odd part of the response there.

    Where one side of 0 degrees alone was measured, the other is taken to be like it; beyond the
    last angle on either side it is dark.
    """
    angle, value = np.array(rows).T
    folded = np.unique(np.abs([0.0, *angle]))
    right = np.interp(folded, angle, value, right=np.nan)
    left = np.interp(-folded, angle, value, left=np.nan)
    right, left = np.where(np.isnan(right), left, right), np.where(np.isnan(left), right, left)
    return folded, (right + left) / 2, (right - left) / 2


def read_response_file(path: Path, column: str | None) -> tuple[Rows, str]:
    """Read a response from a CSV file: angles in degrees in the first column.

    Args:
        path: Path of the file.
        column: Header of the column of transmissions; None for the second of two columns.

    Returns:
        The rows by increasing angle, and the SHA-256 checksum of the file.

    Raises:
        FileFormatError: If there is no such file, or it is no such table.
    """
    content = read_description(path)
    try:
        lines = content.decode("utf-8-sig").splitlines()
        table = [row for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as cause:
        raise FileFormatError(f"{path}: not a CSV file: {cause}") from None
    if not table:
        raise FileFormatError(
            f"{path}: an empty file; expected rows of an angle in degrees and a transmission"
        )
    has_header = _number(table[0][0]) is None
    header = [cell.strip() for cell in table[0]] if has_header else []
    place = _place(path, header, column, len(table[0]))
    rows = []
    for line, row in enumerate(table[has_header:], start=1 + has_header):
        numbers = [_number(row[n]) if n < len(row) else None for n in (0, place)]
        if numbers[0] is None or numbers[1] is None:
            raise FileFormatError(
                f"{path}: row {line} reads {','.join(row)!r:.40}; expected an angle in degrees and "
                "a transmission"
            )
        rows.append((numbers[0], numbers[1]))
    return tuple(sorted(rows)), hashlib.sha256(content).hexdigest()


def _place(path: Path, header: list[str], column: str | None, width: int) -> int:
    """Return the index of the column of transmissions."""
    if column is not None:
        if column not in header[1:]:
            raise FileFormatError(
                f"{path}: no column {column!r}; its columns are {', '.join(header) or 'not named'}"
            )
        return header.index(column, 1)
    if width != 2:
        raise FileFormatError(
            f"{path}: expected two columns, angle in degrees and transmission, got {width}"
            + (f" ({', '.join(header)}); name the column of transmissions" if header else "")
        )
    return 1


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
