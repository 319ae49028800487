"""When each of many TIFF files of one image was taken, by the tags of its first page alone.

In this order: the AcquisitionDate of OME-XML and the DeltaT of its plane; Micro-Manager's elapsed
time; the tag DateTime. A file is opened once, and a few hundred bytes of it are read.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from fociscope.errors import FileFormatError
from fociscope.files.formats._times import clock_times
from fociscope.files.formats._units import seconds_per_unit
from fociscope.files.images._tiff_times import DATE_STEP_S
from fociscope.files.ome._file_sets import part_in_file
from fociscope.files.ome._xml import read_ome_xml

__all__ = ["taken_times"]

_DESCRIPTION, _DATE_TIME, _MICROMANAGER = 270, 306, 51123
_MOST_TAGS, _LONGEST_TEXT = 1000, 2**20
_TEXT_TYPES = (1, 2, 7)  # BYTE, ASCII, UNDEFINED

Texts = dict[int, str]


def taken_times(files: Sequence[Path]) -> tuple[tuple[float, ...], float] | None:
    """Return when each file of one image was taken.

    Args:
        files: In the order of the frames.

    Returns:
        Times in s from any moment on, none before the one of the file before, and the step to which
        they are rounded down, s. None where not all files state one, or they do not rise.
    """
    ends = (files[0], files[-1])
    if _times(ends, [_texts(file) for file in ends]) is None:  # before all others are opened
        return None
    found = _times(files, [_texts(file) for file in files])
    if found is None:
        return None
    times, step_s = found
    rises = all(a <= b for a, b in pairwise(times))
    return (times, step_s) if rises and times[0] < times[-1] else None


def _times(files: Sequence[Path], texts: list[Texts]) -> tuple[tuple[float, ...], float] | None:
    """Return the times by the first kind of text that all files have."""
    dates = [_ome_date(file, text) for file, text in zip(files, texts, strict=True)]
    times = clock_times([date for date, _ in dates])
    if times is not None:
        is_whole = all("." not in date and not delta_s for date, delta_s in dates)
        step_s = DATE_STEP_S if is_whole else 0.0
        return tuple(t + delta_s for t, (_, delta_s) in zip(times, dates, strict=True)), step_s
    elapsed = [_elapsed_s(text) for text in texts]
    if all(map(math.isfinite, elapsed)):
        return tuple(elapsed), 0.0
    stamps = [text.get(_DATE_TIME, "").strip().replace(":", "-", 2) for text in texts]
    times = clock_times(stamps)
    if times is None:
        return None
    return tuple(times), 0.0 if any("." in stamp for stamp in stamps) else DATE_STEP_S


def _ome_date(path: Path, text: Texts) -> tuple[str, float]:
    """Return the date that OME-XML states, "" without, and the DeltaT of its only plane in s."""
    xml = text.get(_DESCRIPTION, "")
    if "<OME" not in xml[:2000] and "<ome" not in xml[:2000]:
        return "", 0.0
    try:
        image = read_ome_xml(path, xml)
        image = None if image is None else part_in_file(image, path.name)
        if image is None or len(image.planes) > 1:
            return ("" if image is None else image.acquired), 0.0
        plane = image.planes[0] if image.planes else {}
        delta_s = float(plane.get("DeltaT", 0)) * seconds_per_unit(plane.get("DeltaTUnit", "s"))
    except (ValueError, FileFormatError):  # whoever reads the image says so
        return "", 0.0
    return image.acquired, delta_s if math.isfinite(delta_s) else 0.0


def _elapsed_s(text: Texts) -> float:
    """Return Micro-Manager's elapsed time in s, NaN without."""
    try:
        said = json.loads(text.get(_MICROMANAGER, "{}"))
    except (ValueError, RecursionError):
        return math.nan
    elapsed_ms = said.get("ElapsedTime-ms") if isinstance(said, dict) else None
    return elapsed_ms / 1000 if isinstance(elapsed_ms, int | float) else math.nan


def _texts(path: Path) -> Texts:
    """Return the texts of the first page's tags that may state a time; {} of anything else."""
    try:
        with path.open("rb") as stream:
            return _first_page(stream)
    except (OSError, struct.error):
        return {}


def _first_page(stream: BinaryIO) -> Texts:
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return {}
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    stream.seek(at)
    (tags,) = struct.unpack(order + ("Q" if big else "H"), stream.read(8 if big else 2))
    record = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
    content = stream.read(min(tags, _MOST_TAGS) * record.size)
    found = {}
    for number in range(len(content) // record.size):
        code, kind, count, value = record.unpack_from(content, number * record.size)
        if code not in (_DESCRIPTION, _DATE_TIME, _MICROMANAGER) or kind not in _TEXT_TYPES:
            continue
        if count > len(value):
            stream.seek(struct.unpack(order + ("Q" if big else "I"), value)[0])
            value = stream.read(min(count, _LONGEST_TEXT))
        found[code] = value[:count].rstrip(b"\0").decode("utf-8", "replace")
    return found
