"""What Zeiss' LSM files state in a tag of their own: frames, slices, channels, pixel size, times.

An LSM file holds a page for each slice and time point, whose channels are values of one pixel, and
behind each page a small picture of it, which its tag NewSubfileType marks.

Source: the tag CZ_LSMINFO (34412), a record of little-endian numbers, as tifffile lists its fields.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fociscope.files.formats._times import interval_times

__all__ = ["Lsm", "read_lsm"]

_TAG = 34412
_MAGIC = {0x0300494C, 0x0400494C}
_SIZES, _VOXELS, _SCAN, _INTERVAL, _STAMPS, _PLACES = 8, 40, 88, 112, 132, 264
"""Where fields begin in the record, in bytes."""
_SHORTEST = _STAMPS + 4
_MOST_TIMES = 1_000_000
_OF_PLANES = {0, 3, 6, 7}
"""Types of scans whose pages are images over y and x: stacks, time series, and both."""


@dataclass(frozen=True)
class Lsm:
    """The record of an LSM file, as far as it is about planes."""

    sizes: dict[str, int]
    """Length of the axes T, Z and C; of P and M, places of the stage, where it states them."""
    pixel_um: tuple[float, float]
    """Pitch along x and y, um."""
    time_s: tuple[float, ...] | None
    """When each time point was taken, s; None where the file does not say it."""

    @property
    def pages(self) -> int:
        """Number of pages that the record counts, without the small pictures."""
        return math.prod(size for axis, size in self.sizes.items() if axis != "C")


def read_lsm(tiff: Any) -> Lsm | None:
    """Return the record of an open `tifffile.TiffFile`.

    Returns:
        None if it has none, or one whose pages are no images over y and x, such as line scans.
    """
    tag = tiff.pages[0].tags.get(_TAG)
    if tag is None or tiff.byteorder != "<":
        return None
    record = _bytes_at(tiff, tag.valueoffset, min(int(tag.valuebytecount), _PLACES + 8))
    if len(record) < _SHORTEST:
        return None
    magic, length = struct.unpack_from("<II", record)
    scan = struct.unpack_from("<H", record, _SCAN)[0]
    if magic not in _MAGIC or scan not in _OF_PLANES:
        return None
    _, _, z, c, t = struct.unpack_from("<5i", record, _SIZES)
    sizes = {"T": max(t, 1), "Z": max(z, 1), "C": max(c, 1)}
    if len(record) >= _PLACES + 8 and length >= _PLACES + 8:
        p, m = struct.unpack_from("<2i", record, _PLACES)
        sizes |= {"P": max(p, 1), "M": max(m, 1)}
    x_m, y_m = struct.unpack_from("<2d", record, _VOXELS)
    return Lsm(sizes, (1e6 * x_m, 1e6 * y_m), _times(tiff, record, sizes["T"]))


def _times(tiff: Any, record: bytes, count: int) -> tuple[float, ...] | None:
    """Return the moment of each time point: of the list of stamps, else by the stated interval."""
    if count > _MOST_TIMES:
        return None
    (at,) = struct.unpack_from("<I", record, _STAMPS)
    head = _bytes_at(tiff, at, 8) if at else b""
    if len(head) == 8 and struct.unpack("<2i", head) == (8 + 8 * count, count):
        content = _bytes_at(tiff, at + 8, 8 * count)
        if len(content) == 8 * count:
            times: tuple[float, ...] = struct.unpack(f"<{count}d", content)
            if all(a < b for a, b in pairwise(times)) and all(map(math.isfinite, times)):
                return times
    (interval_s,) = struct.unpack_from("<d", record, _INTERVAL)
    return interval_times(interval_s, count)


def _bytes_at(tiff: Any, offset: int, length: int) -> bytes:
    """Return bytes of the file, fewer where it ends before."""
    tiff.filehandle.seek(offset)
    content: bytes = tiff.filehandle.read(length)
    return content
