"""How a live reconstruction keeps up: what came, what was dropped, and how long a map takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan

__all__ = ["LiveStatistics"]


@dataclass(frozen=True)
class LiveStatistics:
    """Numbers of frames, and latencies of the last maps, at one moment.

    Every frame that was received is done, dropped, failed, or in hand.

    Examples:
        >>> from fociscope.live import LiveStatistics
        >>> print(LiveStatistics(9, 6, 2, 1, median_s=0.02, p90_s=0.03))
        9 frames: 6 maps, 2 dropped under load, 1 failed; latency 20 ms (median), 30 ms (90 %)
    """

    received: int = 0
    """Frames that came in."""
    done: int = 0
    """Frames whose map was handed out."""
    dropped: int = 0
    """Frames that newer ones displaced, before any work on them began."""
    failed: int = 0
    """Frames that could not be reconstructed, or whose map could not be taken."""
    median_s: float = nan
    """Median time in s from arrival to map, of the last maps; NaN before the first."""
    p90_s: float = nan
    """Time in s within which nine in ten of the last maps were there; NaN before the first."""

    @property
    def in_hand(self) -> int:
        """Frames that wait or are being reconstructed."""
        return self.received - self.done - self.dropped - self.failed

    def __str__(self) -> str:
        """Return all of it in one line."""
        line = (
            f"{self.received} frames: {self.done} maps, {self.dropped} dropped under load, "
            f"{self.failed} failed"
        )
        if isnan(self.median_s):
            return line
        return (
            f"{line}; latency {1000 * self.median_s:.0f} ms (median), "
            f"{1000 * self.p90_s:.0f} ms (90 %)"
        )
