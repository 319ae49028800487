"""What `fociscope info` says of captures: whatever `fociscope reconstruct` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fociscope.cli.common import show
from fociscope.errors import printable
from fociscope.files import open_captures
from fociscope.files.captures.reader import is_published

if TYPE_CHECKING:
    from fociscope.imager import Imager

__all__ = ["describe_captures", "is_published"]

STEP_VALUES = 2**24
"""Values that are read at a time."""
PAIRS_LISTED = 5


def describe_captures(path: Path, imager: Imager | None = None) -> None:
    """Say what captures hold, and how their files are understood; all frames are read.

    Args:
        path: File, folder or pattern, or an array in a file, as for `open_captures`.
        imager: Imager whose layout the raw counts have; None for images.

    Raises:
        FileFormatError: They cannot be read.
    """
    order = None if imager is None else imager.pixel_order()
    with open_captures([path], allow_non_finite=True, pixel_order=order) as series:
        frames, sensors, height, width = series.shape
        sides = "sensors A and B" if sensors == 2 else "sensor A alone"
        show("Captures", f"{path}, {frames} frame(s) of {sides}, {height} x {width} pixels (y, x)")
        for pair in series.pairs[:PAIRS_LISTED]:
            show("", " + ".join(printable(file) for file in pair))
        if len(series.pairs) > PAIRS_LISTED:
            show("", f"and {len(series.pairs) - PAIRS_LISTED} more")
        low, high, total, finite, count = np.inf, -np.inf, 0.0, 0, 0
        for batch in series.batches(max(1, STEP_VALUES // (sensors * height * width))):
            values = batch[np.isfinite(batch)]
            count, finite = count + batch.size, finite + values.size
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
                total += float(values.sum(dtype=np.float64))
        if finite:
            show("Values", f"{low:g} … {high:g}, mean {total / finite:.4g}")
        if finite < count:
            show("", f"{count - finite} of {count} are NaN or infinite")
        pitch_um = series.pixel_size_um
        show("Pixel", "size not stated" if pitch_um is None else f"{pitch_um:g} µm")
        if series.time_s is not None and len(series.time_s) > 1:
            show("Times", f"{series.time_s[-1] - series.time_s[0]:g} s from first to last frame")
        for note in series.notes:
            show("Note", note)
