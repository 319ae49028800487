"""Captures that are read when they are asked for: a series of any length in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, former_attribute, printable
from fociscope.typing import Float32Array

__all__ = ["CaptureSeries", "ReadFrames", "names_apart", "refusing_non_finite"]


ReadFrames = Callable[[int, int], Float32Array]
"""(start, stop) -> float32 (frame, sensor, y, x)."""


@dataclass(frozen=True)
class CaptureSeries:
    """An open series of captures, of which only the frames that are needed are read.

    `fociscope.files.open_captures` opens one.

    Examples:
        >>> import numpy as np
        >>> from fociscope.files import open_captures
        >>> np.save("run.npy", np.zeros((10, 2, 51, 51), np.uint16))
        >>> with open_captures(["run.npy"]) as series:
        ...     len(series), [batch.shape[0] for batch in series.batches(4)]
        (10, [4, 4, 2])
    """

    shape: tuple[int, int, int, int]
    """(frames, sensors, y, x)."""
    read_frames: ReadFrames
    """Reads within 0 ... frames; `read` is what to call."""
    is_single: bool = False
    """Given as one capture, without an axis of frames."""
    pixel_size_um: float | None = None
    """Side of a pixel that the files state, um; None where none does."""
    names: tuple[Path, ...] = ()
    """What is read, for provenance: files, Zarr stores, and folders of images."""
    arrays: tuple[str, ...] = ()
    """Which arrays of these files were asked for by name; for provenance, too."""
    pairs: tuple[tuple[Path, ...], ...] = ()
    """Which files belong together, sensor A's first: one tuple per frame of a set of images, one in
    all for stacks and for files that hold both sensors."""
    incomplete: int = 0
    """How many frames follow of which only one sensor's image is there, in files that grow."""
    notes: tuple[str, ...] = ()
    """How the files were understood where they leave it open; plain sentences for a user."""

    time_s: tuple[float, ...] | None = None
    """When each frame was taken, s from any moment on; None where the files do not state it."""

    begun = former_attribute("begun", "incomplete")

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.shape[0]

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Name of sensor A's file for each frame that has files of its own; empty otherwise.

        Files of several folders are named with their folders below the one that holds them all.
        """
        if len(self.pairs) != len(self):
            return ()
        return names_apart([pair[0] for pair in self.pairs])

    def first(self) -> CaptureSeries:
        """Return the series of the first frame alone."""
        return replace(
            self,
            shape=(1, *self.shape[1:]),
            pairs=self.pairs[:1],
            time_s=None if self.time_s is None else self.time_s[:1],
        )

    def read(self, start: int = 0, stop: int | None = None) -> Float32Array:
        """Return frames `start` up to, not including, `stop` (all without it), as in the files.

        Returns:
            float32 (frame, sensor, y, x). Only these frames take memory.

        Raises:
            FileFormatError: a file turns out damaged, or holds NaN or infinity.
            IndexError: `start` is negative.
        """
        if start < 0:
            raise IndexError(f"frames are counted from 0, got {start}")
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        if stop <= start:
            return np.empty((0, *self.shape[1:]), np.float32)
        return self.read_frames(start, stop)

    def batches(self, frames: int) -> Iterator[Float32Array]:
        """Yield all frames in order, so many at a time."""
        for start in range(0, self.shape[0], frames):
            yield self.read(start, start + frames)


def names_apart(files: Sequence[Path]) -> tuple[str, ...]:
    """Return names of files; those of several folders, with their folders below a common one."""
    folders = {file.absolute().parent for file in files}
    if len(folders) == 1:
        return tuple(file.name for file in files)
    try:
        common = Path(os.path.commonpath(folders))
    except ValueError:  # of several drives
        return tuple(file.absolute().as_posix() for file in files)
    return tuple(file.absolute().relative_to(common).as_posix() for file in files)


def refusing_non_finite(series: CaptureSeries) -> CaptureSeries:
    """Return the series whose `read` refuses NaN and infinity, counting them."""

    def read(start: int, stop: int) -> Float32Array:
        captures = series.read_frames(start, stop)
        if not np.isfinite(captures).all():
            raise _non_finite(series, captures, start)
        return captures

    return replace(series, read_frames=read)


def _non_finite(series: CaptureSeries, captures: Float32Array, start: int) -> FileFormatError:
    """Return the error that says how many values are no numbers, and of which image."""
    bad = ~np.isfinite(captures)
    frame, sensor = (int(at) for at in np.argwhere(bad.any(axis=(-2, -1)))[0])
    image = captures[frame, sensor]
    nan, infinite = int(np.isnan(image).sum()), int(np.isinf(image).sum())
    files = series.pairs[start + frame] if len(series.pairs) == len(series) else series.pairs[0]
    which = printable(files[sensor if sensor < len(files) else 0])
    of_frame = "" if series.is_single else f", frame {start + frame + 1}"
    others = int((bad.any(axis=(-2, -1))).sum()) - 1
    more = f" (and {others} more of the images read with it)" if others else ""
    return FileFormatError(
        f"{which}: sensor {'AB'[sensor]}{of_frame} holds {nan} NaN and {infinite} infinite of "
        f"{image.size} values{more}, expected finite numbers; name such pixels in a bad-pixel map, "
        "which fills them, or replace them and save the image again."
    )
