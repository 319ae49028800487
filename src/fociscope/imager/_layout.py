"""The order in which a chip's counts come: which count of a frame is which pixel."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo

from fociscope.configuration import file_beside
from fociscope.errors import FociscopeError, printable
from fociscope.files.safe.limits import read_description
from fociscope.typing import IndexArray

__all__ = ["Layout", "layout_order"]

#: Names of layouts, and what they mean for (row, column) of a frame of so many rows and columns.
LAYOUTS = {
    "row-major": lambda y, x, rows, columns: y * columns + x,
    "column-major": lambda y, x, rows, columns: x * rows + y,
    "serpentine": lambda y, x, rows, columns: y * columns + np.where(y % 2, columns - 1 - x, x),
}


def _read_layout(value: Any, info: ValidationInfo) -> Any:
    """Read the table of a CSV file beside the imager's; names and tables stay as they are."""
    if not isinstance(value, str) or value in LAYOUTS:
        return value
    if Path(value).suffix.lower() != ".csv":
        raise ValueError(
            f"the layout {value!r:.40} is none of {', '.join(LAYOUTS)}, nor a .csv file of the "
            "number of each pixel's count"
        )
    path = file_beside(info, value)
    try:
        text = read_description(path).decode("utf-8-sig")
        return tuple(tuple(int(cell) for cell in row) for row in csv.reader(text.splitlines()))
    except FociscopeError as error:
        raise ValueError(str(error)) from None
    except (ValueError, csv.Error):
        raise ValueError(
            f"{printable(path)}: not a table of whole numbers, expected a line per row of pixels, "
            "with the number of each pixel's count, from 0 on"
        ) from None


_Number = Annotated[int, Field(ge=0)]
Layout = Annotated[str | tuple[tuple[_Number, ...], ...], BeforeValidator(_read_layout)]


def layout_order(
    layout: str | tuple[tuple[int, ...], ...], frame_px: tuple[int, int]
) -> IndexArray:
    """Return (y, x) which of a frame's counts, from 0 on, is that of each pixel.

    Raises:
        ValueError: If a table is not of the frame's size, or does not hold each number once.
    """
    rows, columns = frame_px
    if isinstance(layout, str):
        y, x = np.indices(frame_px)
        return np.asarray(LAYOUTS[layout](y, x, rows, columns))
    if {len(row) for row in layout} != {columns} or len(layout) != rows:
        found = " or ".join(str(n) for n in sorted({len(row) for row in layout})[:3])
        raise ValueError(
            f"the layout has {len(layout)} row(s) of {found or 0} numbers, the frame {rows} of "
            f"{columns}"
        )
    order = np.array(layout, dtype=np.intp)
    if not np.array_equal(np.sort(order, axis=None), np.arange(rows * columns)):
        raise ValueError(
            f"the layout must hold each number from 0 to {rows * columns - 1} once, the number of "
            "each pixel's count"
        )
    return order
