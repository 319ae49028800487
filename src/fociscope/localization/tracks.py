r"""Emitters that are linked from frame to frame: which of a frame is which of the frame before.

Two emitters may be one and the same if their distance $\Delta$ is within the way that an emitter
moves in the time, and what both places may be wrong by in that direction:

$$ |\Delta| < v\, n + k\, \sigma_\Delta, \qquad
   \sigma_\Delta^2 = \sum_i \frac{\Delta_i^2}{|\Delta|^2} (\sigma_{1i}^2 + \sigma_{2i}^2), $$

with the speed $v$ in um per frame, $n$ frames and $k$ standard deviations. Among all such links,
those are taken whose squared shares of this bound have the least sum (linear assignment, with gaps
closed in a second step: Jaqaman et al., Nature Methods 5:695, 2008), by laptrack.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from fociscope.errors import FociscopeError
from fociscope.localization.emitters import Emitters
from fociscope.typing import Float64Array, Int64Array

__all__ = ["DEVIATIONS", "MOST_GAP", "link_emitters", "require_laptrack"]

#: Standard deviations of a displacement that are within reach: two places of an emitter at rest are
#: apart by more in one of a thousand pairs.
DEVIATIONS = 4.0
#: Frames in a row in which an emitter may be missing.
MOST_GAP = 1
#: The least cost of a link; one of 0 is none to a sparse matrix.
LEAST_COST = 1e-9


def require_laptrack() -> Any:
    """Return the package laptrack.

    Raises:
        FociscopeError: If it is not installed.
    """
    try:
        # It is not always there for a type checker to see.
        return import_module("laptrack")
    except ImportError:
        raise FociscopeError(
            "linking emitters needs laptrack, which is not installed; run in a clone of "
            "Fociscope: pip install '.[track]'",
            fields=("track",),
        ) from None


def link_emitters(
    emitters: Emitters,
    *,
    most_speed_um: float = 0.0,
    most_gap: int = MOST_GAP,
    deviations: float = DEVIATIONS,
) -> Int64Array:
    """Return which emitters of a series are one and the same; needs the extra `track`.

    Args:
        emitters: Emitters of a series.
        most_speed_um: Greatest distance in um that an emitter moves from one frame to the next; 0
            for emitters at rest.
        most_gap: Frames in a row in which an emitter may be missing, such as one that blinks.
        deviations: Standard deviations of a displacement that are within reach, too.

    Returns:
        (emitter,) number of its track, from 0, in the order in which tracks begin.

    Raises:
        FociscopeError: If laptrack is not installed, or a number is out of its range.

    Examples:
        >>> import numpy as np
        >>> from fociscope.localization import Emitters, link_emitters
        >>> one, std = np.ones(4), np.full(4, 0.5)
        >>> emitters = Emitters(
        ...     frame=np.array([0, 0, 1, 1]), x_um=np.array([10.0, 300.0, 301.0, 10.5]),
        ...     y_um=one, depth_um=one, x_std_um=std, y_std_um=std, depth_std_um=std,
        ...     brightness=one, probability=one, background=np.zeros((2, 1)), misfit=np.ones(2),
        ... )
        >>> link_emitters(emitters).tolist()  # doctest: +SKIP
        [0, 1, 1, 0]
    """
    for name, value, least in (
        ("most_speed_um", most_speed_um, 0.0),
        ("most_gap", most_gap, 0),
        ("deviations", deviations, 0.0),
    ):
        if not (np.isfinite(value) and value >= least):
            raise FociscopeError(
                f"{name} is {value}; expected a finite number from {least:g} on",
                fields=(name,),
                value=value,
                least=least,
            )
    laptrack = require_laptrack()
    if len(emitters) == 0:
        return np.zeros(0, np.int64)

    def cost(one: Float64Array, other: Float64Array) -> float:
        return _cost(one, other, most_speed_um, deviations)

    tracker = laptrack.LapTrack(
        metric=cost,
        cutoff=1.0,
        # All that is within reach is linked, and not only what costs as little as the most.
        track_start_cost=1.0,
        track_end_cost=1.0,
        gap_closing_metric=cost,
        gap_closing_cutoff=1.0 if most_gap else False,
        gap_closing_max_frame_count=most_gap + 1,  # counts from the last frame to the next one
        segment_start_cost=1.0,
        segment_end_cost=1.0,
    )
    rows = [np.flatnonzero(emitters.frame == frame) for frame in range(len(emitters.misfit))]
    columns = ("frame", "x_um", "y_um", "depth_um", "x_std_um", "y_std_um", "depth_std_um")
    places = np.stack([getattr(emitters, name).astype(np.float64) for name in columns], 1)
    linked = tracker.predict([places[its] for its in rows])
    return _numbered(linked, rows, len(emitters))


def _cost(one: Float64Array, other: Float64Array, speed_um: float, deviations: float) -> float:
    """Return the squared share of the reach that lies between two (frame, places, deviations)."""
    apart = other[1:4] - one[1:4]
    distance = float(np.sqrt(apart @ apart))
    if distance == 0:
        return LEAST_COST
    std = float(np.sqrt((apart / distance) ** 2 @ (one[4:] ** 2 + other[4:] ** 2)))
    reach = speed_um * abs(other[0] - one[0]) + deviations * std
    return float(max((distance / max(reach, 1e-300)) ** 2, LEAST_COST))


def _numbered(linked: Any, rows: list[Int64Array], count: int) -> Int64Array:
    """Return (emitter,) numbers of the tracks of a graph of (frame, place in the frame)."""
    track = np.full(count, -1, np.int64)
    following = 0
    for frame, its in enumerate(rows):
        for place, row in enumerate(its):
            if track[row] >= 0:
                continue
            waiting = [(frame, place)]
            while waiting:
                node = waiting.pop()
                if track[rows[node[0]][node[1]]] < 0:
                    track[rows[node[0]][node[1]]] = following
                    waiting += [(int(f), int(n)) for f, n in linked[node]]
            following += 1
    return track
