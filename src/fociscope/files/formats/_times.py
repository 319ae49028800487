"""Times and numbers by which images that are paired in order are checked, and those in names."""

from __future__ import annotations

import bisect
import math
import re
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

__all__ = ["clock_times", "disagreeing", "interval_times", "name_times"]

_DATE = re.compile(
    r"(?<!\d)(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})[T _.\-]?(\d{2})[-_.:h]?(\d{2})[-_.:m]?(\d{2})"
    r"(?:[._,\-](\d{1,9})|(\d{3}|\d{6}))?(?!\d)"
)
"""Parts of a second may follow at once, in ms or us: Basler's 132742484, .NET's fff."""
_EPOCH = re.compile(r"(?<!\d)(1\d{9})(\d{0,9})(?!\d)")
_NUMBER = re.compile(r"\d+")
_SAME_SPELL = 0.5
"""Part of an interval between frames by which offsets of one sequence may differ."""
_TRIED = 12
"""So many moments of each sequence are tried as those that belong together."""


def name_times(names: Sequence[str]) -> list[float] | None:
    """Return the time or the number that each name of one sequence carries; None without.

    Args:
        names: In the order of the frames.

    Returns:
        Seconds for dates with times and for seconds since 1970; else the first number that is not
        the same in all names.
    """
    times = clock_times(names)
    if times is not None:
        return times
    numbers = [[int(number) for number in _NUMBER.findall(name)] for name in names]
    fewest = min((len(one) for one in numbers), default=0)
    for place in range(fewest):
        column = [float(one[place]) for one in numbers]
        if len(set(column)) > 1:
            return column
    return None


def clock_times(names: Sequence[str]) -> list[float] | None:
    """Return the time in s that each name carries as a date or as seconds since 1970.

    Returns:
        None if any of the names carries none.
    """
    for read in (_date_s, _epoch_s):
        times = [read(name) for name in names]
        known = [time for time in times if time is not None]
        if known and len(known) == len(names):
            return known
    return None


def interval_times(interval_s: float, frames: int) -> tuple[float, ...] | None:
    """Return times in s of frames at an interval, None where that is none."""
    if not 0 < interval_s < math.inf:
        return None
    return tuple(round(n * interval_s, 9) for n in range(frames))


def disagreeing(
    times_a: Sequence[float], times_b: Sequence[float], *, step: float = 0.0
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return whose moments have no partner, where two sequences paired in order are not alike.

    The offset between both may be anything, as clocks and counters differ, but not change by more
    than half of an interval between frames.

    Args:
        times_a: Of one sequence, in its order.
        times_b: Of the other.
        step: To which the times are rounded down; offsets may differ by so much.

    Returns:
        Places in both sequences; None if each moment of one is that of the other.
    """
    if len(times_a) < 2 or len(times_b) < 2:
        return None
    steps = [abs(b - a) for times in (times_a, times_b) for a, b in pairwise(times)]
    most = max(_SAME_SPELL * statistics.median(steps), step)
    offsets = [b - a for a, b in zip(times_a, times_b, strict=False)]
    if len(times_a) == len(times_b) and max(offsets) - min(offsets) <= most:
        return None
    tried = {
        *offsets[:_TRIED],
        *(b - a for a in times_a[:_TRIED] for b in times_b[:_TRIED]),
    }
    lone = [
        (_lone(times_a, times_b, one, most), _lone(times_b, times_a, -one, most)) for one in tried
    ]
    return min(lone, key=lambda one: len(one[0]) + len(one[1]))


def _lone(
    times: Sequence[float], others: Sequence[float], offset: float, most: float
) -> tuple[int, ...]:
    """Return the places of times to which no other time, less the offset, is near."""
    ordered = sorted(others)
    found = []
    for place, time in enumerate(times):
        at = bisect.bisect_left(ordered, time + offset)
        near = ordered[max(0, at - 1) : at + 1]
        if all(abs(other - time - offset) > most for other in near):
            found.append(place)
    return tuple(found)


def _date_s(name: str) -> float | None:
    found = _DATE.search(name)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp() + float(f"0.{found[7] or found[8] or 0}")


def _epoch_s(name: str) -> float | None:
    found = _EPOCH.search(name)
    return None if found is None else float(f"{found[1]}.{found[2] or 0}")
