"""One capture of an instrument that is followed: as it is read, named, and left out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fociscope.errors import CaptureError, printable
from fociscope.files import CaptureSeries, open_captures
from fociscope.files.captures.reader import PageMeaning
from fociscope.reconstruction.preparation import Preparation, prepared
from fociscope.typing import Float32Array, IndexArray

__all__ = ["CompleteFrame", "ReadSettings", "SkippedFrame", "frame_number", "generation"]

_GENERATION = re.compile(r" \((\d{1,9})\)$")


@dataclass(frozen=True)
class CompleteFrame:
    """A capture that is whole."""

    name: str
    """As tables write it: of sensor A's file, and `#2` for the second of several frames in it."""
    captures: Float32Array
    """(sensor, y, x)."""
    pixel_size_um: float | None = None
    """As its files state it."""
    arrived_s: float = field(default_factory=time.time)
    """When the last change of its files was seen, s since 1970."""
    time_s: float | None = None
    """When it was taken, s from any moment on, as its files state it."""


@dataclass(frozen=True)
class SkippedFrame:
    """A capture that could not be used."""

    name: str
    why: str


@dataclass(frozen=True)
class ReadSettings:
    """How files become captures."""

    sensors: int
    """Of the model."""
    preparation: Preparation
    """Flips and crop."""
    allow_non_finite: bool = False
    """Let NaN and infinity pass, as for captures whose bad pixels are filled."""
    pages: PageMeaning = "auto"
    """What pages are where a file does not say."""
    pixel_order: IndexArray | None = None
    """Of raw counts; None for images."""

    @contextmanager
    def opened(self, paths: Sequence[Path], pages: PageMeaning) -> Iterator[CaptureSeries]:
        """Open the frames that files hold by now.

        Raises:
            FileFormatError: a file cannot be read.
            CaptureError: another number of sensors, or the crop goes beyond the frame.
        """
        with open_captures(
            paths,
            pages=pages,
            allow_non_finite=self.allow_non_finite,
            growing=True,
            pixel_order=self.pixel_order,
        ) as series:
            if series.shape[1] != self.sensors:
                raise CaptureError(
                    f"{printable(paths[0])}: {series.shape[1]} sensor image(s), "
                    f"expected {self.sensors}"
                )
            ready = prepared(series, self.preparation) if len(series) else series
            yield replace(ready, incomplete=series.incomplete)


def generation(name: str) -> int:
    """Return which stack of its name a frame's name says, from 1."""
    found = _GENERATION.search(frame_number(name)[0])
    return int(found[1]) if found else 1


def frame_number(name: str) -> tuple[str, int]:
    """Return the name of a frame's file, and the frame's number in it, from 1."""
    file, _, number = name.rpartition("#")
    is_numbered = bool(file) and number.isascii() and number.isdigit()
    return (file, int(number)) if is_numbered else (name, 1)
