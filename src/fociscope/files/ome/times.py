"""Times of frames, as OME's formats state them: one interval, if it is one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["even_interval_s"]

_UNIFORM = 1e-3
"""Intervals that differ by less, relatively, are one."""


def even_interval_s(time_s: npt.ArrayLike | None) -> float | None:
    """Return the interval between frames, s; None if it is unknown or not always the same.

    Args:
        time_s: when each frame was taken, (frame,) in s; None if it is unknown.
    """
    times = np.atleast_1d(np.asarray([] if time_s is None else time_s, np.float64))
    if len(times) < 2:
        return None
    steps = np.diff(times)
    interval_s = float((times[-1] - times[0]) / (len(times) - 1))
    is_even = interval_s > 0 and float(np.abs(steps - interval_s).max()) <= _UNIFORM * interval_s
    return round(interval_s, 9) if is_even else None
