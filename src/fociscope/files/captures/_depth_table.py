"""A table of depths as people and spreadsheets save it: units in headers, commas in numbers."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._units import um_per_unit

__all__ = ["read_depth_table"]

_COLUMN = re.compile(
    r"(?:depths?|z|distances?|positions?|positionz)"
    r"[ _]*[(\[]? *(?P<unit>[a-z\u00b5\u03bc]*) *[)\]]?"
)
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_WITH_UNIT = re.compile(r"([+-]?[\d.,]+(?:e[+-]?\d+)?)\s*([a-z\u00b5\u03bc]+)", re.IGNORECASE)
_EXCEL_SEPARATOR = re.compile(r"sep=.", re.IGNORECASE)


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
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and _EXCEL_SEPARATOR.fullmatch(lines[0].strip()):
        lines = lines[1:]
    separator = next((mark for mark in (";", "\t") if any(mark in line for line in lines)), ",")
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error:
        raise FileFormatError(
            f"{printable(path)}: not a table of depths, expected a text file with one depth in µm "
            "per line."
        ) from None
    header = [cell.strip().lower() for cell in rows[0]]
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
    return [n * um for n, um in zip(_numbers(path, cells), factors, strict=True)]


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

    The unit is NaN where a column of depths is there that names none.
    """
    bare = None
    for place, cell in enumerate(header):
        found = _COLUMN.fullmatch(cell)
        if found is None:
            continue
        factor = um_per_unit(found["unit"])
        if math.isfinite(factor):
            return place, factor
        bare = place if bare is None else bare
    return (None, 1.0) if bare is None else (bare, math.nan)


def _cells(path: Path, rows: list[list[str]], column: int, width: int, separator: str) -> list[str]:
    """Return the text of each depth; a row that a decimal comma has torn apart is put together."""
    cells = []
    for number, row in enumerate(rows, start=1):
        texts = [cell.strip() for cell in row]
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


def _numbers(path: Path, cells: list[str]) -> list[float]:
    """Return the numbers; a comma is a decimal one unless all of them could mark thousands."""
    commas = [cell for cell in cells if _COMMA_NUMBER.fullmatch(cell)]
    if commas and all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise FileFormatError(
            f"{printable(path)}: a depth reads {commas[0]!r}, which can mean thousands or a "
            "decimal comma; write it without a comma."
        )
    points = [cell for cell in cells if "." in cell]
    if 0 < len(points) < len(cells) and all(_POINT_THOUSANDS.fullmatch(cell) for cell in points):
        raise FileFormatError(
            f"{printable(path)}: a depth reads {points[0]!r} and others have no point, so that it "
            "can mean thousands; write all depths with as many decimals, or none."
        )
    numbers = []
    for number, cell in enumerate(cells, start=1):
        try:
            text = cell.replace(",", ".") if cell in commas else cell
            numbers.append(float(text))
        except ValueError:
            raise FileFormatError(
                f"{printable(path)}: depth {number} reads {cell[:30]!r}, expected a number in µm, "
                "and above the first, if anything, the name depth_um."
            ) from None
    return numbers
