"""Many captures: resumable folders, clusters of machines, and instruments that are followed."""

from fociscope.series.following import WatchedFrame, WatchState
from fociscope.series.options import ReconstructionOptions
from fociscope.series.series import SeriesOutcome, reconstruct_series
from fociscope.series.watch import watch_captures

__all__ = [
    "ReconstructionOptions",
    "SeriesOutcome",
    "WatchState",
    "WatchedFrame",
    "reconstruct_series",
    "watch_captures",
]
