"""A table of where a stage stood in each frame: x, y and depth, their units in the header."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.captures._depth_table import table_numbers
from fociscope.files.captures._text_table import decoded_table, table_rows
from fociscope.files.formats._units import um_per_unit
from fociscope.files.safe.limits import read_description
from fociscope.typing import Float64Array

__all__ = ["read_stage_table"]

#: Columns of a stage's table, and what they may be called.
_AXES = {"x": "x", "y": "y", "depth": "depth", "depths": "depth", "z": "depth"}
_COLUMN = re.compile(r"(?P<axis>[a-z]+)[ _]*[(\[]? *(?P<unit>[a-z\u00b5\u03bc]*) *[)\]]?")


def read_stage_table(path: Path) -> Float64Array:
    """Read where a stage stood in each frame.

    Args:
        path: CSV file whose first line names columns: `x_um` and `depth_um`, where needed `y_um`,
            in any unit of length, and `frame`, counted from 1.

    Returns:
        (frame, 3) x, y and depth in um, in the order of the frames.

    Raises:
        FileFormatError: If it is no such table.
    """
    expected = (
        "expected a line of column names, x_um and depth_um (y_um and frame, where needed), and a "
        "row of numbers for each frame"
    )
    try:
        rows, _ = table_rows(decoded_table(read_description(path)), _is_column)
        header, *rows = rows
        if not rows:
            raise ValueError
        places = _places([cell.lower() for cell in header])
        table = [
            _column(path, rows, axis, places) if axis in places else np.zeros(len(rows))
            for axis in ("x", "y", "depth")
        ]
        number = _column(path, rows, "frame", places) if "frame" in places else None
    except FileFormatError:
        raise
    except (UnicodeDecodeError, ValueError, KeyError, IndexError, csv.Error) as error:
        why = f" ({error})" if isinstance(error, KeyError) else ""
        raise FileFormatError(
            f"{printable(path)}: not a table of a stage{why}, {expected}.", fields=("stage",)
        ) from None
    result = np.stack(table, axis=1)
    if not np.isfinite(result).all() or not len(result):
        raise FileFormatError(f"{printable(path)}: holds no finite numbers, {expected}.")
    if number is not None:
        if not np.array_equal(np.sort(number), np.arange(1, len(number) + 1)):
            raise FileFormatError(
                f"{printable(path)}: its frames are not 1 to {len(number)}, each once; expected "
                "them counted over all files."
            )
        result = result[np.argsort(number)]
    return result


def _is_column(cell: str) -> bool:
    found = _COLUMN.fullmatch(cell.lower())
    return found is not None and (found["axis"] in _AXES or found["axis"] == "frame")


def _column(
    path: Path, rows: list[list[str]], axis: str, places: dict[str, tuple[int, float]]
) -> Float64Array:
    """Return the numbers of a column, in um."""
    place, factor = places[axis]
    return np.array(table_numbers(path, [row[place] for row in rows], f"stage's {axis}")) * factor


def _places(header: list[str]) -> dict[str, tuple[int, float]]:
    """Return the column of each axis, and um per unit.

    Raises:
        KeyError: If x or the depth is missing, or names no unit of length.
    """
    places = {}
    for place, cell in enumerate(header):
        if cell == "frame":
            places["frame"] = place, 1.0
        found = _COLUMN.fullmatch(cell)
        if found is None or found["axis"] not in _AXES:
            continue
        factor = um_per_unit(found["unit"])
        if math.isnan(factor):
            raise KeyError(f"the column {cell!r} names no unit")
        if found["axis"] != "z" or "depth" not in places:  # z may be where the stage stood
            places[_AXES[found["axis"]]] = place, factor
    for axis in ("x", "depth"):
        if axis not in places:
            raise KeyError(f"no column {axis}_um")
    return places
