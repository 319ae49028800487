"""A table of where a stage stood in each frame: x, y and depth, their units in the header."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, printable
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
        lines = [
            line for line in read_description(path).decode("utf-8-sig").splitlines() if line.strip()
        ]
        separator = next((m for m in (";", "\t") if any(m in line for line in lines)), ",")
        header, *rows = list(csv.reader(lines, delimiter=separator))
        places = _places([cell.strip().lower() for cell in header])
        cells = np.array([[float(cell) for cell in row] for row in rows]).reshape(len(rows), -1)
        table = [
            cells[:, places[axis][0]] * places[axis][1] if axis in places else np.zeros(len(rows))
            for axis in ("x", "y", "depth")
        ]
    except (UnicodeDecodeError, ValueError, KeyError, IndexError, csv.Error) as error:
        why = f" ({error})" if isinstance(error, KeyError) else ""
        raise FileFormatError(
            f"{printable(path)}: not a table of a stage{why}, {expected}.", fields=("stage",)
        ) from None
    result = np.stack(table, axis=1)
    if not np.isfinite(result).all() or not len(result):
        raise FileFormatError(f"{printable(path)}: holds no finite numbers, {expected}.")
    if "frame" in places:
        number = cells[:, places["frame"][0]]
        if not np.array_equal(np.sort(number), np.arange(1, len(number) + 1)):
            raise FileFormatError(
                f"{printable(path)}: its frames are not 1 to {len(number)}, each once; expected "
                "them counted over all files."
            )
        result = result[np.argsort(number)]
    return result


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
        places[_AXES[found["axis"]]] = place, factor
    for axis in ("x", "depth"):
        if axis not in places:
            raise KeyError(f"no column {axis}_um")
    return places
