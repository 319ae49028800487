"""In the acquisition loop: frame in, map out, while an instrument runs; the newest frame first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names

if TYPE_CHECKING:
    from fociscope.live.micro_manager import MicroManagerListener as MicroManagerListener
    from fociscope.live.reconstruction import LiveFrame as LiveFrame
    from fociscope.live.reconstruction import LiveReconstruction as LiveReconstruction
    from fociscope.live.statistics import LiveStatistics as LiveStatistics

#: Each is imported when it is first used.
_HOME = {
    "LiveFrame": "fociscope.live.reconstruction",
    "LiveReconstruction": "fociscope.live.reconstruction",
    "LiveStatistics": "fociscope.live.statistics",
    "MicroManagerListener": "fociscope.live.micro_manager",
}

__all__ = ["LiveFrame", "LiveReconstruction", "LiveStatistics", "MicroManagerListener"]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
