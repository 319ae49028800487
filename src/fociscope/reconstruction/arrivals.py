"""What an instrument is writing -> captures, each once it is whole: folders, growing stacks."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fociscope.errors import CaptureError, FileFormatError
from fociscope.files import IMAGE_SUFFIXES, CaptureSeries, open_captures
from fociscope.files.captures import PageMeaning
from fociscope.files.limits import one_line, shown
from fociscope.files.pairing import natural_order, sensor_of
from fociscope.reconstruction.preparation import Preparation, prepared

__all__ = ["Arrivals", "Arrived", "FolderArrivals", "Skipped", "StackArrivals", "arrivals"]

#: A file that has not changed for so long is taken for whole, if it can be read.
SETTLED_S = 0.05
#: One that has not changed for so long and cannot be read is left out.
GIVEN_UP_S = 5.0
#: Until then, it is tried again after so long.
TRIED_AGAIN_S = 0.25
_STACKS = (".tif", ".tiff")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Arrived:
    """A capture that is whole."""

    name: str
    captures: Floats
    """(sensor, y, x)."""


@dataclass(frozen=True)
class Skipped:
    """A capture that could not be used."""

    name: str
    why: str


class Arrivals(Protocol):
    """What is asked again and again for captures."""

    def poll(self, most: int) -> tuple[list[Arrived], list[Skipped]]:
        """Return captures that have become whole, so many at most, and what was given up."""

    @property
    def waiting(self) -> int:
        """How many are seen and not handed out, as of the last poll."""


def arrivals(
    paths: Sequence[Path],
    *,
    sensors: int,
    known: set[str],
    preparation: Preparation,
    allow_non_finite: bool = False,
) -> Arrivals:
    """Follow a folder (or sensor A's and sensor B's), or a growing TIFF stack (or two).

    Args:
        paths: one or two.
        sensors: of the model.
        known: names that are done already.
        preparation: flips and crop of each capture.
        allow_non_finite: let NaN and infinity pass, as for captures whose bad pixels are filled.

    Raises:
        CaptureError: there is nothing such to follow, or frames are to be averaged.
    """
    if preparation.average > 1:
        raise CaptureError("captures are followed one by one; leave out the averaging")
    if not 1 <= len(paths) <= sensors:
        raise CaptureError(
            f"{len(paths)} path(s) to follow, expected 1 to {sensors} for a model of {sensors} "
            "sensor(s): what holds all, or one of sensor A and one of sensor B"
        )

    def read(series: CaptureSeries) -> CaptureSeries:
        if series.shape[1] != sensors:
            raise CaptureError(f"{series.shape[1]} sensor image(s), expected {sensors}")
        return prepared(series, preparation)

    if all(path.is_dir() for path in paths):
        return FolderArrivals(paths, sensors, known, read, allow_non_finite)
    if all(path.suffix.lower() in _STACKS and not path.is_dir() for path in paths):
        return StackArrivals(paths, sensors, known, read, allow_non_finite)
    raise CaptureError(
        f"{shown(paths[0])}: neither a folder nor a TIFF stack, so there is nothing to follow; "
        "make the folder first, or name a .tif file that is to come"
    )


@dataclass
class _File:
    """An image that has been seen."""

    path: Path
    size: tuple[int, int] = (-1, -1)
    """Bytes, and when they changed."""
    since: float = field(default_factory=time.monotonic)
    tried: float = -math.inf
    """When reading it failed."""

    def look(self) -> float:
        """Return for how long it has not changed, s; 0 while it is empty or not there."""
        try:
            found = self.path.stat()
        except OSError:
            return 0.0
        size = (found.st_size, found.st_mtime_ns)
        if size != self.size:
            self.size, self.since = size, time.monotonic()
        return time.monotonic() - self.since if found.st_size else 0.0


class FolderArrivals:
    """Images in a folder, or in sensor A's and sensor B's, paired by their names."""

    def __init__(
        self,
        paths: Sequence[Path],
        sensors: int,
        known: set[str],
        read: Callable[[CaptureSeries], CaptureSeries],
        allow_non_finite: bool,
    ) -> None:
        """Use `arrivals`."""
        self._paths, self._sensors, self._read = list(paths), sensors, read
        self._allow_non_finite = allow_non_finite
        self._done = {self._place(name, "A")[1] for name in known}
        self._known_names: set[tuple[Path, str]] = set()
        self._seen: dict[str, dict[str, _File]] = {}
        self.waiting = 0

    def poll(self, most: int) -> tuple[list[Arrived], list[Skipped]]:
        """Return captures that have become whole, in natural order, and what was given up."""
        for folder, side in zip(self._paths, "AB", strict=False):
            self._look_into(folder, side)
        arrived: list[Arrived] = []
        skipped: list[Skipped] = []
        frames = sorted(self._seen.items(), key=lambda f: natural_order(self._first(f[1]).path))
        for key, files in frames:
            if len(arrived) == most:
                break
            quiet_s = min(file.look() for file in files.values())
            first = self._first(files)
            tried_s = time.monotonic() - first.tried
            if quiet_s < SETTLED_S or tried_s < TRIED_AGAIN_S or not self._is_complete(files):
                continue
            name = first.path.name
            try:
                arrived.append(Arrived(name, self._captures(files)))
            except (FileFormatError, CaptureError) as error:
                if quiet_s < GIVEN_UP_S:
                    first.tried = time.monotonic()
                    continue
                skipped.append(Skipped(name, one_line(error)))
            del self._seen[key]
            self._done.add(key)
        self.waiting = len(self._seen)
        return arrived, skipped

    def _look_into(self, folder: Path, side: str) -> None:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            if (folder, name) in self._known_names:
                continue
            self._known_names.add((folder, name))
            if Path(name).suffix.lower() not in IMAGE_SUFFIXES or name.startswith("."):
                continue
            its_side, key = self._place(name, side)
            if key not in self._done:
                self._seen.setdefault(key, {}).setdefault(its_side, _File(folder / name))

    def _place(self, name: str, side: str) -> tuple[str, str]:
        """Return the sensor of an image (A, B, both), and what it shares with its partner."""
        said, key = sensor_of(name)
        if len(self._paths) == 2:
            return side, key
        if self._sensors == 2 and said is not None:
            return said, key
        return "both", name

    def _is_complete(self, files: dict[str, _File]) -> bool:
        return "both" in files or self._sensors == 1 or len(files) == 2

    @staticmethod
    def _first(files: dict[str, _File]) -> _File:
        return files[min(files)]

    def _captures(self, files: dict[str, _File]) -> Floats:
        paths = [files[side].path for side in sorted(files)]
        with open_captures(paths, allow_non_finite=self._allow_non_finite) as series:
            return np.asarray(self._read(series).read(0, 1)[0])


class StackArrivals:
    """A TIFF stack that grows: of both sensors in turns, or one of sensor A and one of sensor B."""

    def __init__(
        self,
        paths: Sequence[Path],
        sensors: int,
        known: set[str],
        read: Callable[[CaptureSeries], CaptureSeries],
        allow_non_finite: bool,
    ) -> None:
        """Use `arrivals`."""
        self._files = [_File(path) for path in paths]
        self._sensors, self._read, self._allow_non_finite = sensors, read, allow_non_finite
        self._next = len(known)
        self._parsed: tuple[tuple[int, int], ...] = ()
        self.waiting = 0

    def poll(self, most: int) -> tuple[list[Arrived], list[Skipped]]:
        """Return frames that have become whole; the last one only once the file is quiet."""
        quiet_s = min(file.look() for file in self._files)
        sizes = tuple(file.size for file in self._files)
        is_settled = quiet_s >= SETTLED_S
        if min(size[0] for size in sizes) <= 0 or (sizes == self._parsed and not self.waiting):
            return [], []
        try:
            series = [self._open(file.path, slice(0, 0))[0] for file in self._files]
            frames = min(series) - (0 if is_settled else 1)
            stop = min(frames, self._next + most)
            parts = [self._open(f.path, slice(self._next, stop))[1] for f in self._files]
            captures = self._prepared(np.concatenate(parts, axis=1))
        except (FileFormatError, CaptureError) as error:
            if quiet_s < GIVEN_UP_S:
                return [], []
            raise FileFormatError(f"{error} (it has not grown for {GIVEN_UP_S:g} s)") from None
        name = self._files[0].path.name
        arrived = [
            Arrived(f"{name}#{self._next + n + 1}", frame) for n, frame in enumerate(captures)
        ]
        self._next += len(arrived)
        self.waiting = max(0, min(series) - self._next)
        if is_settled:
            self._parsed = sizes
        return arrived, []

    def _open(self, path: Path, wanted: slice) -> tuple[int, Floats]:
        """Return how many frames a stack holds by now, and those that are wanted."""
        of_all = len(self._files) == 1
        pages: PageMeaning = "sensors" if of_all and self._sensors == 2 else "frames"
        with open_captures([path], pages=pages, allow_non_finite=self._allow_non_finite) as series:
            return len(series), series.read(wanted.start, max(wanted.start, wanted.stop))

    def _prepared(self, captures: Floats) -> Floats:
        if not len(captures):
            return captures
        shape = tuple(captures.shape)
        given = CaptureSeries(
            (shape[0], shape[1], shape[2], shape[3]), lambda start, stop: captures[start:stop]
        )
        return self._read(given).read()
