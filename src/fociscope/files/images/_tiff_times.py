"""When the frames of a TIFF were taken: by an interval that is stated, or page by page.

Sources: OME's `TimeIncrement`, in s where no unit stands; ImageJ's `finterval`, in `tunit`, and
`fps`; the tag DateTime of TIFF 6.0, section 8, to the second.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._times import clock_times, disagreeing, interval_times
from fociscope.files.formats._units import seconds_per_unit
from fociscope.files.ome._xml import OmeImage
from fociscope.typing import Int64Array

__all__ = ["DATE_STEP_S", "check_sensor_times", "date_times", "even_times"]

_DATE_TIME = 306
DATE_STEP_S = 1.0
"""To this the tag DateTime is rounded down, s."""


def even_times(image: OmeImage | None, tiff: Any, frames: int) -> tuple[float, ...] | None:
    """Return times in s by the interval that OME-XML or ImageJ's text states, None without one."""
    if image is not None:
        said, unit = image.pixels.get("TimeIncrement"), image.pixels.get("TimeIncrementUnit", "s")
        interval_s = _number(said) * seconds_per_unit(unit)
    else:
        imagej = tiff.imagej_metadata or {}
        unit = imagej.get("tunit", "s")
        interval_s = _number(imagej.get("finterval")) * seconds_per_unit(unit)
        if not interval_s > 0:
            rate = _number(imagej.get("fps"))
            interval_s = 1 / rate if rate > 0 else math.nan
    return interval_times(interval_s, frames)


def date_times(tiff: Any, pages: Int64Array) -> tuple[float, ...] | None:
    """Return the time in s that the tag DateTime of some pages states.

    Args:
        tiff: Open `tifffile.TiffFile`.
        pages: Number of each page.

    Returns:
        None unless each page states one, none earlier than the page before.
    """
    listed = len(tiff.pages)
    if len(pages) < 2 or max(pages) >= listed or _DATE_TIME not in tiff.pages[0].tags:
        return None
    ends = clock_times([_date_time(tiff.pages[int(pages[n])]) for n in (0, -1)])
    if ends is None or not ends[0] < ends[1]:
        return None
    times = clock_times([_date_time(tiff.pages[int(page)]) for page in pages])
    if times is None or not all(a <= b for a, b in pairwise(times)):
        return None
    return tuple(times)


def check_sensor_times(path: Path, time_a_s: Sequence[float], time_b_s: Sequence[float]) -> None:
    """Refuse a file whose channels were taken at other moments, as where frames were dropped.

    Args:
        path: File, for messages.
        time_a_s: When each frame of the first channel was taken, s.
        time_b_s: When each frame of the second one was.

    Raises:
        FileFormatError: If the times of both do not go side by side.
    """
    if not all(map(math.isfinite, (*time_a_s, *time_b_s))):
        return
    lone = disagreeing(time_a_s, time_b_s)
    if lone is None:
        return
    frames = ", ".join(
        f"frame {n + 1} of channel {number}"
        for number, all_ in enumerate(lone, start=1)
        for n in all_[:2]
    )
    raise FileFormatError(
        f"{printable(path)}: by the times that it states, not all frames of its two channels were "
        f"taken together ({frames or 'they come in another order'}), expected frames of one moment "
        "side by side; take out the frames without a partner."
    )


def _date_time(page: Any) -> str:
    """Return the tag DateTime of a page, its date written as clocks are read: 2024-05-01 12:00."""
    said = getattr(page, "tags", {}).get(_DATE_TIME)
    return "" if said is None else str(said.value).strip().replace(":", "-", 2)


def _number(said: object) -> float:
    """Return a number that metadata state, NaN where it is none."""
    try:
        return float(str(said))
    except ValueError:
        return math.nan
