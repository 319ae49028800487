"""The strips or tiles of a TIFF page, put together by a decoder of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["assembled"]

Values = npt.NDArray[np.generic]


def assembled(page: Any, decode: Callable[[bytes, int, int], Values]) -> Values:
    """Return the values (y, x) of a page, part by part.

    Args:
        page: tifffile page whose claims have been checked.
        decode: (stored bytes of a part, its rows, its columns) -> its values (rows, columns).
    """
    height, width = page.shape
    rows, columns = page.chunks
    handle = page.parent.filehandle
    across = -(-width // columns)
    found = np.empty((height, width), page.dtype)
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    for number, (start, length) in enumerate(parts):
        y, x = number // across * rows, number % across * columns
        if y >= height:
            break
        # Tiles are whole at the edges, too; the last strip ends with the page.
        held = rows if page.is_tiled else min(rows, height - y)
        handle.seek(start)
        values = decode(handle.read(length), held, columns)
        found[y : y + rows, x : x + columns] = values[: height - y, : width - x]
    return found
