"""A folder that an instrument writes into, or a stack that grows: captures as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fociscope.app.capture_input import CaptureInput
from fociscope.app.methods import described
from fociscope.reconstruction import Preparation
from fociscope.series import ReconstructionOptions
from fociscope.series.watcher import (
    CompleteFrame,
    SkippedFrame,
    Watcher,
    sensors_followed,
    watch_paths,
)
from fociscope.typing import Float32Array

__all__ = ["Following", "watcher_of"]

#: Captures that are taken at a time, at most.
MOST_AT_ONCE = 16
#: The newest captures are kept, of so many bytes; so many at least.
KEPT_BYTES, LEAST_KEPT = 2**28, 16
#: Captures that were left out and are named.
MOST_NAMED = 5


def watcher_of(path: Path, options: ReconstructionOptions, sensors: int = 2) -> Watcher:
    """Follow a folder of images or a growing TIFF stack.

    Args:
        path: folder or stack.
        options: meaning of pages, and whether bad pixels are known.
        sensors: of each capture.

    Raises:
        CaptureError: there is nothing such to follow.
    """
    return watch_paths(
        [path],
        sensors=sensors,
        known=set(),
        preparation=Preparation(),  # done by the reconstruction, as for files that are dropped
        allow_non_finite=bool(options.chip_files[2]),
        pages=options.pages,
    )


class Following:
    """The captures of one watch, as far as they are kept."""

    def __init__(self, path: Path, options: ReconstructionOptions) -> None:
        """Begin; without a model, the first image decides by its sensors."""
        self._path, self._options = path, options
        self._source: Watcher | None = None
        self.captures: CaptureInput | None = None
        """All that came; None before the first."""
        self.came = 0
        """Number of captures so far."""
        self.left_out: list[SkippedFrame] = []
        """The last that could not be used."""

    @property
    def waiting(self) -> int:
        """How many captures are seen and not complete."""
        return 0 if self._source is None else self._source.waiting

    def poll(self) -> int:
        """Take the captures that have become complete, and return their number.

        Raises:
            FociscopeError: what is followed could not be read for seconds.
        """
        if self._source is None:
            sensors = self._sensors()
            if sensors is None:
                return 0
            self._source = watcher_of(self._path, self._options, sensors)
        came, skipped = self._source.poll(MOST_AT_ONCE)
        fitting: list[CompleteFrame] = []
        for one in came:
            first = fitting[0].captures if self.captures is None and fitting else one.captures
            known = first if self.captures is None else self.captures.frames[0]
            if one.captures.shape == known.shape:
                fitting.append(one)
            else:
                size = "x".join(map(str, one.captures.shape[-2:]))
                skipped.append(SkippedFrame(one.name, f"{size} pixels, unlike those before"))
        self.left_out = [*self.left_out, *skipped][-MOST_NAMED:]
        if fitting:
            self._append(fitting)
        return len(fitting)

    def _sensors(self) -> int | None:
        """Return the number of sensors of each capture; None before any came."""
        model, pages = self._options.model, self._options.pages
        if model is not None:
            return described(model).architecture.sensors
        return sensors_followed([self._path], pages=pages)

    def _append(self, came: Sequence[CompleteFrame]) -> None:
        new = np.stack([one.captures for one in came]).astype(np.float32)
        names = tuple(one.name for one in came)
        times = tuple(one.time_s for one in came if one.time_s is not None)
        self.came += len(came)
        if self.captures is None:
            self.captures = CaptureInput(
                kind="watched",
                frames=new,
                names=(self._path.name,),
                is_series=True,
                pixel_size_um=came[0].pixel_size_um,
                frame_names=names,
                time_s=times if len(times) == len(came) else None,
            )
            return
        known = (*(self.captures.time_s or ()), *times)
        frames: Float32Array = np.concatenate([self.captures.frames, new])
        kept = max(LEAST_KEPT, KEPT_BYTES // frames[0].nbytes)
        self.captures = replace(
            self.captures,
            frames=frames[-kept:],
            frame_names=(*self.captures.frame_names, *names)[-kept:],
            time_s=known[-kept:] if len(known) == len(frames) else None,
        )
