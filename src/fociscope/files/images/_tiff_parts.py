"""The strips or tiles of a TIFF page, put together by a decoder of ours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["assembled"]

Values = npt.NDArray[np.generic]


def assembled(page: Any, decode: Callable[[bytes, int, int], Values]) -> Values:
    """Return the values of a page, part by part: (y, x), (sample, y, x) or (y, x, sample).

    Args:
        page: tifffile page whose claims have been checked.
        decode: (stored bytes of a part, its rows, its values per row) -> its values.
    """
    height, width = page.imagelength, page.imagewidth
    rows, columns = page.chunks[:2]
    per_pixel = math.prod(page.chunks[2:])
    planes = page.samplesperpixel // per_pixel
    handle = page.parent.filehandle
    across = -(-width // columns)
    per_plane = across * -(-height // rows)
    found = np.empty((planes, height, width * per_pixel), page.dtype)
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    for number, (start, length) in enumerate(parts):
        plane, place = divmod(number, per_plane)
        if plane >= planes:
            break
        y, x = place // across * rows, place % across * columns
        at = slice(x * per_pixel, (x + columns) * per_pixel)
        if not length:  # never written
            found[plane, y : y + rows, at] = page.nodata
            continue
        # Tiles are whole at the edges, too; the last strip ends with the page.
        held = rows if page.is_tiled else min(rows, height - y)
        handle.seek(start)
        values = decode(handle.read(length), held, columns * per_pixel)
        found[plane, y : y + rows, at] = values[: height - y, : (width - x) * per_pixel]
    return found.reshape(page.shape)
