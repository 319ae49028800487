"""How long work takes: the median of repeats, after warm-ups. One home for all benchmarks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_seconds(work: Callable[[], object], repeats: int, *, warm_ups: int = 1) -> float:
    """Return the median time of `repeats` calls, in s, after calls that are not counted."""
    for _ in range(warm_ups):
        work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
