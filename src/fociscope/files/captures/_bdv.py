"""BigDataViewer's HDF5: an array (z, y, x) for each time point and view setup, as one stack.

Format: `t00000/s00/0/cells` is time point 0 of setup 0 at full resolution. Cells are stored as
signed 16-bit integers that stand for unsigned ones. The XML file beside it is not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._stacks import Leading, Stack, size
from fociscope.typing import Float32Array

__all__ = ["cells_of", "is_cells", "joined_cells"]

_CELLS = re.compile(r"t(\d{5,9})/s(\d{2,9})/(\d{1,3})/cells")

Cells = dict[tuple[int, int], str]
"""Time point and view setup -> name of the array."""


def is_cells(name: str) -> bool:
    """Return whether an array is one of BigDataViewer's."""
    return _CELLS.fullmatch(name) is not None


def cells_of(names: Sequence[str]) -> Cells:
    """Return the arrays of full resolution; none if the file is of another layout."""
    found = [match for match in map(_CELLS.fullmatch, names) if match is not None]
    return {(int(one[1]), int(one[2])): one[0] for one in found if int(one[3]) == 0}


def joined_cells(path: Path, cells: Cells, opened: Callable[[str], Stack]) -> Stack:
    """Return all time points (or slices) and setups as one stack of frames and sensors.

    Args:
        path: File, for messages.
        cells: Of `cells_of`.
        opened: Opens one array as a stack.

    Raises:
        FileFormatError: If there are more than two setups, several time points of several slices,
            or arrays that are missing or of another size.
    """
    where = printable(path)
    times, setups = (sorted({place[axis] for place in cells}) for axis in (0, 1))
    if len(setups) > 2 or len(cells) != len(times) * len(setups):
        raise FileFormatError(
            f"{where}: BigDataViewer's {len(times)} time points of {len(setups)} view setups in "
            f"{len(cells)} arrays, expected each time point of 1 or 2 setups (sensors A and B); "
            f"export the sensors alone, or name an array, as in {where}:/{min(cells.values())}."
        )
    stacks = {place: opened(name) for place, name in cells.items()}
    first = next(iter(stacks.values()))
    slices = first.frames
    other = next((one for one in stacks.values() if one.shape != first.shape), None)
    if other is not None or (slices > 1 and len(times) > 1):
        found = (
            f"arrays {size(first.shape)} and {size(other.shape)}" if other is not None
            else f"{len(times)} time points of {slices} slices"
        )  # fmt: skip
        raise FileFormatError(
            f"{where}: BigDataViewer's file holds {found}, expected time points of one image, or "
            "slices of one time point; export one of these."
        )

    def planes(start: int, stop: int) -> Float32Array:
        found = np.empty((stop - start, *first.frame_px), np.float32)
        for place, number in enumerate(range(start, stop)):
            frame, sensor = divmod(number, len(setups))
            time, slice_ = (frame, 0) if len(times) > 1 else (0, frame)
            stack = stacks[times[time], setups[sensor]]
            found[place] = stack.planes(slice_, slice_ + 1)[0]
        return found

    frames = len(times) * slices
    leading: Leading = "FS" if len(setups) == 2 else "F" if len(times) > 1 else "P"
    counts: tuple[int, ...] = (frames, 2) if leading == "FS" else (frames,)
    if leading == "FS" and frames == 1:
        leading, counts = "S", (2,)
    elif leading == "P" and frames == 1:
        leading, counts = "", ()
    return replace(first, leading=leading, counts=counts, planes=planes)
