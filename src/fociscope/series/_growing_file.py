"""What an instrument is writing, a file or sensor A's and B's together: each whole frame once."""

from __future__ import annotations

import hashlib
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fociscope.errors import (
    CaptureError,
    FileFormatError,
    FociscopeWarning,
    one_line,
    printable,
)
from fociscope.files import CaptureSeries
from fociscope.files.captures.reader import PageMeaning
from fociscope.results.tables import as_written
from fociscope.series._frames import CompleteFrame, ReadSettings, SkippedFrame
from fociscope.series._watched_files import FileSize, WatchedFile
from fociscope.typing import BoolArray, Float32Array

__all__ = [
    "AGAIN",
    "GrowingFile",
    "has_lasted",
]

#: A file that has not changed for so long is taken for whole, if it can be read.
SETTLED_S = 0.05
#: What could not be read for so long, and has not changed, is left out.
GIVEN_UP_S = 5.0
#: Until then, it is tried again after so long.
TRIED_AGAIN_S = 0.25
#: Values (frame, sensor, y, x) that are read at a time: 256 MiB of float32.
READ_VALUES = 2**26
#: So many frames of a stack that are still empty are looked at again at a time.
LOOKED_AT_AGAIN = 32
#: Frames that were taken half empty, so many and for so long, are looked at again.
LATE_FRAMES, LATE_S = 4, 60.0
AGAIN = (
    "written again after it was taken, so this version is left out; give each capture a name of "
    "its own"
)
_LATE = (
    "filled only after it was taken half empty, so its later pixels are left out; have the "
    "instrument write whole images"
)
_REPLACED = "not reconstructed: another stack took the place of the one that it was in"
_HALF = (
    "another stack took its place, but not that of its partner: nothing more is reconstructed "
    "until both are replaced"
)
EMPTY = "no light in an image so far (all pixels are 0); it is reconstructed if they are filled"
#: A TIFF that is no longer has a header at most, and no page yet.
_HEADER_BYTES = 16


_Found = tuple[list[CompleteFrame], list[SkippedFrame]]


@dataclass
class _Unfilled:
    """A frame of which an image, or its first or last row, is 0: room that is not filled yet."""

    content: bytes
    is_empty: bool
    """Whether a whole image is 0."""
    since: float = field(default_factory=time.monotonic)
    """Since when it has been as it is."""
    is_reported: bool = False


class GrowingFile:
    """Frames of one file, or of sensor A's and sensor B's file, as they become whole."""

    def __init__(
        self,
        settings: ReadSettings,
        *,
        pages: PageMeaning,
        done: set[int],
        is_stack: bool,
        generation: int = 1,
    ) -> None:
        """Start to follow files, which are then put into `files`.

        Args:
            settings: how files become captures.
            pages: what pages are where a file does not say.
            done: numbers of the frames, from 1, that an earlier run has written.
            is_stack: it grows as long as the watch lasts: all frames but the last are taken at
                once, and a last one that cannot be read is waited for. Otherwise frames are taken
                once the files are quiet, and what cannot be read then is given up.
            generation: number of the stack, if others were at its place before it; from the
                second on, names of frames say it.
        """
        self.files: dict[str, WatchedFile] = {}
        """Sensor (A, B, both) -> its file."""
        self._settings, self._pages, self._is_stack = settings, pages, is_stack
        self._next, self._done = 1, set(done)
        self._total: int | None = None
        """Frames as of the last look, with those that are begun; None before the first."""
        self._read: tuple[FileSize, ...] = ()
        """Sizes of the files of which all that can be had has been taken."""
        self._quiet_s, self._rests_until = 0.0, -math.inf
        self._unfilled: dict[int, _Unfilled] = {}
        """Numbers of frames whose room is there, and that are looked at again when it changes."""
        self._last_filled = 0
        self._unfilled_sizes: tuple[FileSize, ...] = ()
        """Sizes of the files when these frames were looked at."""
        self._failed, self._failed_since = 0, 0.0
        """Number of the frame that could not be read, and since when."""
        self._generation, self._most_done = generation, max(done, default=0)
        self._identity: tuple[int, tuple[bytes, ...]] | None = None
        """Number of the first frame that was taken, and digests of its images, file by file."""
        self._late: dict[int, tuple[bytes, float]] = {}
        """Number of a frame that was taken half empty -> its digest, and when it was taken."""
        self._half_since: float | None = None
        """Since when one file of two is another; infinite once that was reported."""
        self._is_closed = False

    @property
    def first(self) -> Path:
        """Sensor A's file, or the one that is there."""
        return self.files[min(self.files)].path

    @property
    def done(self) -> set[int]:
        """Numbers of the frames, from 1, that were handed out or left out."""
        return self._done | set(range(1, self._next))

    @property
    def is_over(self) -> bool:
        """Whether all was taken, and the files have not changed for long; or they are others."""
        if self._is_closed:
            return True
        is_done = not self.waiting and not self._unfilled
        return bool(self._read) and is_done and has_lasted(self._quiet_s)

    @property
    def is_taken(self) -> bool:
        """Whether all that the files held was handed out or left out."""
        return self._is_closed or (
            self._total is not None and not self.waiting and not self._unfilled
        )

    def has_changed(self) -> bool:
        """Whether a file is another than when it was last looked at, and not absent."""
        before = [file.size for file in self.files.values()]
        for file in self.files.values():
            file.look()
        now = [file.size for file in self.files.values()]
        return now != before and all(size[0] for size in now)

    @property
    def waiting(self) -> int:
        """How many frames are seen and not handed out."""
        if self._is_closed:
            return 0
        if self._total is None:
            return int(not self._done and self._is_seen)
        unfilled = sum(not one.is_reported for one in self._unfilled.values())
        return max(0, self._total + 1 - self._next - len(self._done)) + unfilled

    @property
    def waiting_names(self) -> Iterator[str]:
        """Names of the frames that are seen and not handed out."""
        if self._total is not None:
            held = (n for n, one in sorted(self._unfilled.items()) if not one.is_reported)
            yield from map(self._name, held)
            frames = range(self._next, self._total + 1)
            yield from (self._name(number) for number in frames if number not in self._done)
        elif self.waiting:
            yield as_written(self.first.name)

    @property
    def _is_seen(self) -> bool:
        return not self._is_stack or any(file.size[0] for file in self.files.values())

    def take(self, most: int) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
        """Return frames that have become whole, so many at most, and what was given up.

        Raises:
            FileFormatError: a file that has not changed for `GIVEN_UP_S` cannot be opened.
            CaptureError: what such a file holds does not fit the model, or the crop.
        """
        if self._is_closed or time.monotonic() < self._rests_until:
            return [], []
        self._quiet_s = min(file.look() for file in self.files.values())
        sizes = tuple(file.size for file in self.files.values())
        fewest_bytes = min(size[0] for size in sizes)
        is_settled = self._quiet_s >= SETTLED_S
        if self._is_stack:
            is_ready = fewest_bytes > _HEADER_BYTES
        else:
            is_ready = fewest_bytes > 0 and is_settled
        if not is_ready or (sizes == self._read and not self._is_due):
            return [], []
        paths = [self.files[side].path for side in sorted(self.files)]
        try:
            with self._settings.opened(paths, self._pages) as series:
                settled = sizes if is_settled else None
                return (
                    self._replaced(series, settled)
                    or self._filled_late(series)
                    or self._refilled(series, most, sizes)
                    or self._taken(series, most, settled)
                )
        except (FileFormatError, CaptureError):
            if has_lasted(self._quiet_s):
                raise
            self._rest()
            return [], []

    def rewritten(self) -> list[SkippedFrame]:
        """Return files of which all was taken, and that are others now; nothing is taken."""
        for file in self.files.values():
            file.look()
        sizes = tuple(file.size for file in self.files.values())
        if self._is_closed or not self.is_taken or sizes == self._read or self._is_stack:
            return []
        paths = [self.files[side].path for side in sorted(self.files)]
        try:
            with self._settings.opened(paths, self._pages) as series:
                return (self._replaced(series, None) or ([], []))[1]
        except (FileFormatError, CaptureError):
            return [SkippedFrame(as_written(path.name), AGAIN) for path in paths]

    def _replaced(
        self, series: CaptureSeries, settled: tuple[FileSize, ...] | None
    ) -> _Found | None:
        """Return what is lost where a file is another one than before; None where none is."""
        others = self._other_files(series, is_settled=settled is not None)
        if not others:
            self._half_since = None
            return None
        if not self._is_stack:
            self._is_closed = True
            return [], [SkippedFrame(as_written(path.name), AGAIN) for path in others]
        if len(others) < len(self.files):
            self._rest()
            if self._half_since is None:
                self._half_since = time.monotonic()
            if not has_lasted(time.monotonic() - self._half_since):
                return [], []
            self._half_since = math.inf
            return [], [SkippedFrame(as_written(path.name), _HALF) for path in others]
        return [], self._begun_anew()

    def _other_files(self, series: CaptureSeries, *, is_settled: bool) -> list[Path]:
        """Return the files whose first frame is another than it was when it was taken."""
        paths = [self.files[side].path for side in sorted(self.files)]
        if self._identity is None:
            frames = len(series) + series.incomplete
            is_shorter = self._is_stack and is_settled and frames < self._most_done
            return paths if is_shorter and len(paths) == 1 else []
        number, before = self._identity
        if number > len(series):
            return []
        captures, wrong = _until_damaged(series, range(number, number + 1))
        if wrong is not None:
            return []
        now = _identity(captures[0], len(paths))
        return [path for path, a, b in zip(paths, before, now, strict=True) if a != b]

    def _begun_anew(self) -> list[SkippedFrame]:
        """Take a stack that is another one from its first frame; return the frames that are lost.

        Its frames get names of their own, by its number.
        """
        lost, taken = [], self._next - 1
        if self._total is not None and self._total >= self._next:
            first, last = self._name(self._next), self._total
            name = first if last == self._next else f"{first} to #{last}"
            lost.append(SkippedFrame(name, _REPLACED))
        self._generation += 1
        self._next, self._done, self._most_done, self._total = 1, set(), 0, None
        self._read, self._unfilled, self._unfilled_sizes = (), {}, ()
        self._last_filled, self._failed, self._late = 0, 0, {}
        self._identity = self._half_since = None
        name = as_written(self.first.name)
        text = (
            f"{printable(name)}: another stack took its place after {taken} frame(s); its frames "
            f"are named {printable(self._name(1))} and so on"
        )
        warnings.warn(FociscopeWarning(text), stacklevel=2)
        return lost

    def _filled_late(self, series: CaptureSeries) -> _Found | None:
        """Return frames that were taken half empty and have changed; None if none has."""
        skipped = []
        for number, (before, since) in list(self._late.items()):
            if time.monotonic() - since > LATE_S:
                del self._late[number]
            elif number <= len(series):
                captures, wrong = _until_damaged(series, range(number, number + 1))
                if wrong is None and _digest(captures[0]) != before:
                    del self._late[number]
                    skipped.append(SkippedFrame(self._name(number), _LATE))
        return ([], skipped) if skipped else None

    def _taken(
        self, series: CaptureSeries, most: int, settled: tuple[FileSize, ...] | None
    ) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
        """Return frames of the open files; `settled` are their sizes, if they are quiet."""
        self._total = len(series) + series.incomplete
        at_once = max(1, min(most, READ_VALUES // math.prod(series.shape[1:])))
        numbers = self._numbers(len(series) if settled else len(series) - 1, at_once)
        if not numbers:
            if settled:
                self._all_read(settled)
            return [], []
        captures, wrong = _until_damaged(series, numbers)
        arrived = []
        for number, frame in zip(numbers, captures, strict=False):
            held = _unfilled(frame)
            if held is None:
                self._last_filled = max(self._last_filled, number)
                arrived.append(self._complete(number, frame, series))
                self._identify(number, frame)
            else:
                self._unfilled[number] = held
        self._next += len(captures)
        if captures or wrong is None:
            return arrived, []
        is_last = numbers.start == len(series)
        if not self._has_failed_long(numbers.start, is_last):
            self._rest()
            return [], []
        if is_last and self._is_stack and settled:
            self._all_read(settled)
            return [], []
        self._next += 1
        return [], [SkippedFrame(self._name(numbers.start), one_line(wrong))]

    def _complete(
        self, number: int, captures: Float32Array, series: CaptureSeries
    ) -> CompleteFrame:
        """Return a frame with what the files say of it."""
        return CompleteFrame(
            self._name(number),
            captures,
            series.pixel_size_um,
            arrived_s=time.time() - self._quiet_s,
            time_s=None if series.time_s is None else series.time_s[number - 1],
        )

    @property
    def _is_due(self) -> bool:
        """Whether a frame has been unfilled for so long that something is to be done about it."""
        return any(self._is_over_due(*held) for held in self._unfilled.items())

    def _is_over_due(self, number: int, one: _Unfilled) -> bool:
        """Whether a part of a frame is not to come any more, or an empty image is to be reported.

        Empty frames at the end of a stack are room for what comes, and wait as long as the watch
        lasts.
        """
        lasts = has_lasted(time.monotonic() - one.since)
        is_room = one.is_empty and self._is_stack and number > self._last_filled
        return lasts and not one.is_reported and not is_room

    def _refilled(
        self, series: CaptureSeries, most: int, sizes: tuple[FileSize, ...]
    ) -> _Found | None:
        """Return frames that were unfilled and are not, or stay as they are; and report others.

        None if there are neither.
        """
        arrived: list[CompleteFrame] = []
        skipped: list[SkippedFrame] = []
        if not self._unfilled or (sizes == self._unfilled_sizes and not self._is_due):
            return None
        empty = 0
        for number in sorted(self._unfilled):
            if len(arrived) >= most or empty >= LOOKED_AT_AGAIN:
                return (
                    (arrived, skipped) if arrived or skipped else None
                )  # the sizes are kept, so that it goes on from here
            before = self._unfilled[number]
            captures, wrong = _until_damaged(series, range(number, number + 1))
            if wrong is not None:
                continue
            now = _unfilled(captures[0])
            if now is not None and now.content == before.content:
                now = before
            if now is not None and self._is_over_due(number, now) and now.is_empty:
                now.is_reported = True
                skipped.append(SkippedFrame(self._name(number), EMPTY))
            if now is None or (self._is_over_due(number, now) and not now.is_empty):
                del self._unfilled[number]
                arrived.append(self._complete(number, captures[0], series))
                self._last_filled = max(self._last_filled, number)
                if now is None or not self._is_stack:
                    self._identify(number, captures[0])
                elif len(self._late) < LATE_FRAMES:
                    self._late[number] = (_digest(captures[0]), time.monotonic())
            else:
                self._unfilled[number] = now
                empty += now.is_empty
        self._unfilled_sizes = sizes
        return (arrived, skipped) if arrived or skipped else None

    def _identify(self, number: int, captures: Float32Array) -> None:
        """Keep what the first frame that is taken is, to know the files by."""
        if self._identity is None:
            self._identity = number, _identity(captures, len(self.files))

    def _numbers(self, last: int, most: int) -> range:
        """Return the next frames in a row that are not done, up to a last one."""
        while self._next in self._done:
            self._done.remove(self._next)
            self._next += 1
        stop = self._next
        while stop <= last and stop not in self._done and stop < self._next + most:
            stop += 1
        return range(self._next, stop)

    def _has_failed_long(self, number: int, is_last: bool) -> bool:
        """Whether a frame cannot be read for long; the last one may only not be written yet."""
        if number != self._failed:
            self._failed, self._failed_since = number, time.monotonic()
        return has_lasted(self._quiet_s if is_last else time.monotonic() - self._failed_since)

    def _all_read(self, sizes: tuple[FileSize, ...]) -> None:
        self._read = sizes
        if not self._is_stack:  # one of very many, which hardly ever goes on
            self._rest()

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + TRIED_AGAIN_S

    def _name(self, number: int) -> str:
        name = as_written(self.first.name)
        if self._generation > 1:
            name = f"{name} ({self._generation})"
        return name if self._total == 1 and not self._is_stack else f"{name}#{number}"


def has_lasted(spell_s: float) -> bool:
    """Whether what is wrong for so long is taken to stay so."""
    return spell_s >= GIVEN_UP_S


def _digest(captures: Float32Array) -> bytes:
    return hashlib.blake2b(captures.tobytes(), digest_size=8).digest()


def _identity(captures: Float32Array, files: int) -> tuple[bytes, ...]:
    """Return a digest for each file of a frame (sensor, y, x)."""
    if files == 1:
        return (_digest(captures),)
    return tuple(_digest(image) for image in captures)


def _unfilled(captures: Float32Array) -> _Unfilled | None:
    """Return what is known of a frame (sensor, y, x) whose room is not filled; None of any other.

    Writers on a memory map, and those that allocate files beforehand, leave zeros where nothing has
    been written; a camera's image begins and ends with a row that is not all 0.
    """
    rows: BoolArray = np.asarray(np.any(captures != 0, axis=-1), dtype=np.bool_)
    if rows[:, 0].all() and rows[:, -1].all():
        return None
    return _Unfilled(hashlib.sha256(captures.tobytes()).digest(), not rows.any(axis=-1).all())


def _until_damaged(
    series: CaptureSeries, numbers: range
) -> tuple[list[Float32Array], FileFormatError | None]:
    """Return frames (sensor, y, x) up to the first that cannot be read, and why it cannot."""
    try:
        return list(series.read(numbers.start - 1, numbers.stop - 1)), None
    except FileFormatError as error:
        if len(numbers) == 1:
            return [], error
    captures: list[Float32Array] = []
    for number in numbers:
        captures_of_one, wrong = _until_damaged(series, range(number, number + 1))
        captures += captures_of_one
        if wrong is not None:
            return captures, wrong
    return captures, None
