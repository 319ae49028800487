"""Raw counts in the order of a chip's readout -> frames of its pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.captures.series import CaptureSeries
from fociscope.typing import Float32Array, IndexArray

__all__ = ["in_layout"]


def in_layout(series: CaptureSeries, order: IndexArray) -> CaptureSeries:
    """Return captures whose counts are put where their pixels lie.

    Frames may hold as many counts as there are pixels, in any shape, which are taken in the order
    of the file. An array of (frame, count) or (frame, sensor, count), which reads as images, is
    taken for what it is.

    Args:
        series: Captures as the files hold them.
        order: (y, x) which of a frame's counts, from 0 on, is that of each pixel.

    Returns:
        Captures (frame, sensor, y, x).

    Raises:
        FileFormatError: If a frame has another number of counts.
    """
    frames, sensors, height, width = series.shape
    count, of_rows = order.size, height * width != order.size
    is_single = series.is_single and not of_rows
    if of_rows and width == count and frames == 1:
        frames, one_by_one = height, True
    elif of_rows and width == count and sensors == 1 and height == 2:
        sensors, one_by_one = height, False
    elif of_rows:
        where = printable(series.names[0]) if series.names else "the captures"
        raise FileFormatError(
            f"{where}: frames of {height} x {width} counts, expected {count} of each frame as the "
            f"imager's layout has; name the imager of these captures, or leave its layout out."
        )
    else:
        one_by_one = False

    def read(start: int, stop: int) -> Float32Array:
        if one_by_one:  # frames are the rows of what reads as one image
            raw = series.read_frames(0, 1)[0].swapaxes(0, 1)[start:stop]
        else:
            raw = series.read_frames(start, stop).reshape(stop - start, sensors, count)
        return np.ascontiguousarray(raw[..., order])

    return replace(
        series,
        shape=(frames, sensors, *order.shape),
        read_frames=read,
        is_single=is_single,
        time_s=None if one_by_one else series.time_s,
        pairs=series.pairs[:1] if one_by_one else series.pairs,
    )
