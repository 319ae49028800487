"""Which of two channels is sensor A's, where their names say so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fociscope.errors import printable

__all__ = ["channel_order", "channel_sensor"]

_MARK = re.compile(r"(?:sensor|chip|camera|cam|side)?[ _\-]*([ab])", re.IGNORECASE)
_BETWEEN = re.compile(r"[ _.\-:/;,()\[\]]+")


def channel_sensor(name: str) -> str | None:
    """Return the sensor that the name of a channel says, "A" or "B"; None if neither."""
    for part in reversed(_BETWEEN.split(name.strip())):
        found = _MARK.fullmatch(part)
        if found is not None:
            return found[1].upper()
    return None


def channel_order(where: str, names: Sequence[str]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return the places of sensor A's and B's channel, and a note where they are in reverse.

    Args:
        where: File, as messages name it.
        names: Of the two channels; shorter, or "", where nothing names them.
    """
    if [channel_sensor(name) for name in names[:2]] != ["B", "A"]:
        return (0, 1), ()
    first, second = (printable(name)[:40] for name in names[:2])
    note = f"{where}: channels {first!r} and {second!r}, by their names taken as sensors B and A."
    return (1, 0), (note,)
