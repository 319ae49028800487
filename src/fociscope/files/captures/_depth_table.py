"""A table of depths as people and spreadsheets save it: units in headers, commas in numbers."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

from fociscope.errors import FileFormatError, printable
from fociscope.files.captures._text_table import is_decimal_comma, number_text, table_rows
from fociscope.files.formats._units import um_per_unit

__all__ = ["read_depth_table", "table_numbers"]

_COLUMN = re.compile(
    r"(?:(?P<depth>depths?)|(?P<distance>distances?)|z|(?:z[ _]?)?positions?(?:[ _]?z)?)"
    r"[ _/,]*[(\[]? *(?P<unit>[a-z\u00b5\u03bc]*) *[)\]]?"
)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_WITH_UNIT = re.compile(r"([+-]?[\d.,]+(?:e[+-]?\d+)?)\s*([a-z\u00b5\u03bc]+)", re.IGNORECASE)


def read_depth_table(path: Path, text: str) -> list[float]:
    """Return the depths of a table in um, in its order.

    The header names the column and its unit: `depth_um`, `depth_mm`, `z (um)`; without a header,
    there is one column, in um. A unit beside a number counts before that of the header. Numbers may
    have a decimal comma where nothing else can be meant.

    Args:
        path: File, for messages.
        text: Its content.

    Raises:
        FileFormatError: If it is no such table, or a comma can be meant in two ways.
    """
    try:
        rows, separator = table_rows(text, lambda cell: _COLUMN.fullmatch(cell.lower()) is not None)
    except csv.Error:
        rows = []
    if not rows:
        raise FileFormatError(
            f"{printable(path)}: not a table of depths, expected a text file with one depth in µm "
            "per line."
        )
    header = [cell.lower() for cell in rows[0]]
    column, factor = _column(path, header)
    if column is not None:
        rows, width = rows[1:], len(header)
    else:
        column, width = 0, 1
        if any(len(row) > 1 for row in rows):
            raise FileFormatError(
                f"{printable(path)}: several columns and none is named depth_um; add a header line "
                "that names it."
            )
    cells, units = _without_units(_cells(path, rows, column, width, separator))
    if math.isnan(factor) and any(math.isnan(unit) for unit in units):
        raise FileFormatError(
            f"{printable(path)}: its header {', '.join(header)!r:.60} names no unit of the depths, "
            "expected a column depth_um or depth_mm; name it so."
        )
    factors = [factor if math.isnan(unit) else unit for unit in units]
    return [n * um for n, um in zip(table_numbers(path, cells), factors, strict=True)]


def _without_units(cells: list[str]) -> tuple[list[str], list[float]]:
    """Return cells without the units that stand in them, and um per unit, NaN without one."""
    found = [_WITH_UNIT.fullmatch(cell) for cell in cells]
    units = [math.nan if one is None else um_per_unit(one[2]) for one in found]
    numbers = [
        cell if one is None or math.isnan(unit) else one[1]
        for cell, one, unit in zip(cells, found, units, strict=True)
    ]
    return numbers, units


def _column(path: Path, header: list[str]) -> tuple[int | None, float]:
    """Return the column of the depths, and um per unit; None for a table without a header.

    A depth counts before a distance, and both before z, which may be where a stage stood. The unit
    is NaN where the column names none.
    """
    found = []
    for place, cell in enumerate(header):
        said = _COLUMN.fullmatch(cell)
        if said is not None:
            factor = um_per_unit(said["unit"])
            rank = 0 if said["depth"] else 1 if said["distance"] else 2
            found.append((rank, math.isnan(factor), place, factor))
    if not found:
        return None, 1.0
    _, _, column, unit_um = min(found)
    return column, unit_um


def _cells(path: Path, rows: list[list[str]], column: int, width: int, separator: str) -> list[str]:
    """Return the text of each depth; a row that a decimal comma has torn apart is put together."""
    cells = []
    for number, row in enumerate(rows, start=1):
        texts = list(row)
        while len(texts) > width and not texts[-1]:
            texts.pop()
        if len(texts) == 2 and width == 1 and separator == ",":
            texts = [",".join(texts)]
        if len(texts) > width:
            raise FileFormatError(
                f"{printable(path)}: row {number} has {len(texts)} cells, expected {width} as the "
                "first row; write decimal points, or separate columns by semicolons."
            )
        cells.append(texts[column] if column < len(texts) else "")
    return cells


def table_numbers(path: Path, cells: list[str], column: str = "depth") -> list[float]:
    """Return the numbers of a column; a comma is a decimal one unless all could mark thousands.

    Raises:
        FileFormatError: If a cell is no number, or can be meant in two ways.
    """
    cells = [number_text(cell) for cell in cells]
    commas = [cell for cell in cells if is_decimal_comma(cell)]
    if commas and all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise FileFormatError(
            f"{printable(path)}: a {column} reads {commas[0]!r}, which can mean thousands or a "
            "decimal comma; write it without a comma."
        )
    points = [cell for cell in cells if "." in cell]
    if 0 < len(points) < len(cells) and all(_POINT_THOUSANDS.fullmatch(cell) for cell in points):
        raise FileFormatError(
            f"{printable(path)}: a {column} reads {points[0]!r} and others have no point, so that "
            "it can mean thousands; write all of them with as many decimals, or none."
        )
    numbers = []
    for number, cell in enumerate(cells, start=1):
        try:
            text = cell.replace(",", ".") if cell in commas else cell
            numbers.append(float(text))
        except ValueError:
            expected = "number in µm, and above the first, if anything, the name depth_um"
            if column != "depth":
                expected = "number in each row"
            raise FileFormatError(
                f"{printable(path)}: {column} {number} reads {cell[:30]!r}, expected a {expected}."
            ) from None
    return numbers
