"""What Micro-Manager writes beside each page of a TIFF: axes, channel and pixel size, as JSON.

ScanImage says in its text which channels were saved, whose pages take turns.


Sources: Micro-Manager's file format (tag 51123, a JSON per page), and NDTiff's, of pycro-manager,
whose `Axes` name the place of a page along axes of any name: in the JSON of a page, or in the file
`NDTiff.index` of the folder (NDTiff 3 specification: for each image the JSON of its axes, the name
of its file and eight numbers, the first of them the offset of its pixels).
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._axes import axis_role
from fociscope.typing import Int64Array

__all__ = ["micromanager", "micromanager_axes", "micromanager_times", "scanimage_channels"]

_TAG = 51123
_OF_PAGE = {"FrameIndex": "t", "SliceIndex": "z", "ChannelIndex": "c", "PositionIndex": "position"}
_SHORTEST_AXIS = 2
_SAVED_CHANNELS = re.compile(r"channels?Save\s*=\s*\[?([\d;, ]+)")
_INDEX, _MOST_INDEX_BYTES, _INDEX_NUMBERS = "NDTiff.index", 64 * 2**20, 8


def micromanager(page: Any) -> dict[str, Any]:
    """Return what Micro-Manager says of a page; {} if it says nothing."""
    tags = getattr(page, "tags", None)
    said = tags.valueof(_TAG) if tags is not None and _TAG in tags else None
    return said if isinstance(said, dict) else {}


def micromanager_axes(
    path: Path, tiff: Any, count: int
) -> tuple[tuple[str, ...], Int64Array] | None:
    """Return the names of the channels, and the page of each plane, (frame,) or (frame, sensor).

    Args:
        path: File, for messages.
        tiff: Open `tifffile.TiffFile`.
        count: Number of pages.

    Returns:
        None if the pages do not say their place.

    Raises:
        FileFormatError: They say more than frames and two channels, or planes are missing.
    """
    places = _places(path, tiff, count)
    if not places:
        return None
    names = sorted({name for place in places for name in place})
    values = {name: list(dict.fromkeys(place.get(name) for place in places)) for name in names}
    long = {name: found for name, found in values.items() if len(found) >= _SHORTEST_AXIS}
    roles = {name: axis_role(name) for name in long}
    frames = [name for name, role in roles.items() if role in ("t", "z")]
    sensors = [name for name, role in roles.items() if role == "c"]
    if not long:
        return None
    listed = ", ".join(f"{len(found)} {printable(name)}" for name, found in long.items())
    if len(frames) + len(sensors) < len(long) or len(frames) > 1 or len(sensors) > 1:
        raise FileFormatError(
            f"{printable(path)}: a stack over several axes ({listed}), expected frames (time or z) "
            "and 2 channels at most; save a stack for each."
        )
    channels = _numbers_in_order(values[sensors[0]]) if sensors else [None]
    if len(channels) > 2:
        raise FileFormatError(
            f"{printable(path)}: {len(channels)} channels, expected 2 (sensors A and B) or 1; save "
            "the sensors alone."
        )
    times: list[Any] = _numbers_in_order(values[frames[0]]) if frames else [None]
    page_of = {
        (place.get(frames[0]) if frames else None, place.get(sensors[0]) if sensors else None): n
        for n, place in enumerate(places)
    }
    missing = [(t, c) for t in times for c in channels if (t, c) not in page_of]
    if missing or len(page_of) != count:
        raise FileFormatError(
            f"{printable(path)}: its pages are {count} of {listed}, expected each once "
            f"({len(missing)} missing); export the stack again, without frames of one camera alone."
        )
    pages = np.array([[page_of[t, c] for c in channels] for t in times], np.int64)
    return tuple(str(c) for c in channels), pages if sensors else pages[:, 0]


def scanimage_channels(path: Path, tiff: Any, count: int) -> int:
    """Return how many channels take turns in the pages of a ScanImage stack; 1 of all others.

    Raises:
        FileFormatError: If they are more than two, or one of the last frame is missing.
    """
    page = tiff.pages[0]
    if not page.is_scanimage:
        return 1
    said = _SAVED_CHANNELS.search(f"{page.software}\n{page.description}")
    channels = 1 if said is None else len(said[1].replace(";", " ").replace(",", " ").split())
    if channels > 2 or count % max(channels, 1):
        raise FileFormatError(
            f"{printable(path)}: {count} pages of {channels} channels in turns, expected whole "
            "frames of 2 channels (sensors A and B) or 1; save the sensors alone."
        )
    return max(channels, 1)


def _numbers_in_order(places: list[Any]) -> list[Any]:
    """Return places along an axis, numbers in their order, names as they came.

    Two cameras do not take turns: which page comes first in a file is left to chance.
    """
    numbers = [place for place in places if isinstance(place, int | float)]
    return sorted(numbers) if len(numbers) == len(places) else places


def micromanager_times(tiff: Any, pages: Int64Array) -> tuple[float, ...] | None:
    """Return the time in s that Micro-Manager states of each of some pages, None if not of all."""
    said = [micromanager(tiff.pages[int(page)]).get("ElapsedTime-ms") for page in pages]
    times = [float(ms) / 1000 for ms in said if isinstance(ms, int | float)]
    return tuple(times) if len(times) == len(said) else None


def _places(path: Path, tiff: Any, count: int) -> list[dict[str, Any]]:
    """Return the place of each page along each axis; none if pages do not say it."""
    said = micromanager(tiff.pages[0])
    if _axes_of(said):
        return [_axes_of(micromanager(tiff.pages[index])) for index in range(count)]
    index = path.parent / _INDEX
    if not said or not index.is_file():
        return []
    indexed = _read_index(index, path.name)
    offsets = [tiff.pages[number].dataoffsets[0] for number in range(count)]
    missing = sum(offset not in indexed for offset in offsets)
    if missing:
        raise FileFormatError(
            f"{printable(path)}: {missing} of its {count} pages are not in {_INDEX} beside it, so "
            "which frame and camera they are of is not known; save the data set again."
        )
    return [indexed[offset] for offset in offsets]


def _read_index(path: Path, name: str) -> dict[int, dict[str, Any]]:
    """Return offset of the pixels -> axes of the images of one file.

    Raises:
        FileFormatError: The index is too large, cut off or no index.
    """
    if path.stat().st_size > _MOST_INDEX_BYTES:
        raise FileFormatError(
            f"{printable(path)}: larger than {_MOST_INDEX_BYTES} bytes; split the data set."
        )
    content = path.read_bytes()
    at, images = 0, {}

    def taken(length: int) -> bytes:
        nonlocal at
        part = content[at : at + length]
        if len(part) < length:
            raise ValueError
        at += length
        return part

    def number() -> int:
        return int(struct.unpack("<I", taken(4))[0])

    try:
        while at < len(content):
            axes = json.loads(taken(number()))
            file = taken(number()).decode()
            offset = number()
            taken(4 * (_INDEX_NUMBERS - 1))
            if file == name:
                images[offset] = _axes_of({"Axes": axes})
    except (ValueError, RecursionError):
        raise FileFormatError(
            f"{printable(path)}: cut off, or no index of an NDTiff data set; save the data set "
            "again."
        ) from None
    return images


def _axes_of(said: dict[str, Any]) -> dict[str, Any]:
    """Return the place of a page along each axis."""
    axes = said.get("Axes")
    if not isinstance(axes, dict):
        axes = {name: said[key] for key, name in _OF_PAGE.items() if key in said}
    return {str(k): v for k, v in axes.items() if isinstance(v, int | float | str)}
