"""Following an instrument: whole captures, one after another, are handed to what works on them."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from fociscope.errors import CaptureError, FociscopeError, FociscopeWarning, printable
from fociscope.imager.geometry import Imager
from fociscope.reconstruction.black_level import BlackLevel, find_black_level, with_black_level
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.results.provenance import versions
from fociscope.results.tables import TIME, Labels
from fociscope.series._frames import CompleteFrame, SkippedFrame
from fociscope.series.folder import AppendedFolder
from fociscope.series.watcher import Watcher
from fociscope.typing import Float32Array

__all__ = [
    "ARRIVED",
    "LATENCY",
    "POLL_S",
    "Follower",
    "WatchState",
    "WatchedFrame",
    "still_waiting",
    "stop_at_signals",
]

POLL_S = 0.02
#: Captures that are worked on at a time, at most.
MOST_AT_ONCE = 32
#: So long is worked until the next look, in which what has come and what has gone is noticed, s.
WORK_S = 0.5
#: The rate is that of the last so many.
RATE_FRAMES = 100
#: More than this many captures that were left out, or wait, are counted, not listed.
MOST_SKIPPED_LISTED = 100
#: Columns of `frames.csv`: when the last change of a capture's files was seen (s since 1970), and
#: the time in s from then until its results were there.
ARRIVED, LATENCY = "arrived_s", "latency_s"
#: So many are named in a sentence.
MOST_NAMED = 4

Latency = Callable[[], Labels]
"""Returns the columns `ARRIVED` and `LATENCY` of captures whose results are there now."""


@dataclass(frozen=True)
class WatchedFrame:
    """A capture that was followed, and its figures.

    Examples:
        >>> from fociscope.series import WatchedFrame
        >>> layer = {"present": True, "depth_um": 240.5, "coverage": 0.02, "foci": 3}
        >>> figures = {"layers": [layer], "self_check_residual": {"A": 0.03}, "quality_flags": ""}
        >>> frame = WatchedFrame(12, "0012_A.tif", figures, arrived_s=1.7e9, latency_s=0.12)
        >>> frame.to_json()["name"], [one["depth_um"] for one in frame.present_layers]
        ('0012_A.tif', [240.5])
    """

    number: int
    """Number of the frame in the folder, from 1."""
    name: str
    """Name of sensor A's file, as in `frames.csv`."""
    figures: dict[str, Any]
    """Depth, coverage and foci of each layer, residual and quality flags, as `summary.json` has
    them of a capture; of `locate`, its emitters, the misfit and whether they explain it."""
    arrived_s: float
    """When the last change of its files was seen, s since 1970."""
    latency_s: float
    """Time from then until its results were there, s."""

    @property
    def present_layers(self) -> list[dict[str, Any]]:
        """The figures of the layers that are more likely there than not."""
        return [layer for layer in self.figures["layers"] if layer["present"]]

    def to_json(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "frame": self.number,
            "name": self.name,
            "arrived_s": round(self.arrived_s, 3),
            "latency_s": round(self.latency_s, 3),
            **self.figures,
        }


@dataclass(frozen=True)
class WatchState:
    """Progress of a watch, after a look that found something.

    Examples:
        >>> from fociscope.series import WatchState
        >>> state = WatchState(frames=12, rate_per_s=4.0, waiting=1, skipped=())
        >>> f"{state.frames} frame(s), {state.rate_per_s:.1f}/s"
        '12 frame(s), 4.0/s'
    """

    frames: int
    """Number of frames in the folder."""
    rate_per_s: float
    """Frames per second over the last `RATE_FRAMES`."""
    waiting: int
    """Number of captures that are seen, and incomplete or not yet reconstructed."""
    skipped: tuple[SkippedFrame, ...]
    """Captures that were left out since the report before."""
    new: tuple[WatchedFrame, ...] = ()
    """Captures that were worked on since the report before."""
    model: str = ""
    """Name of the model, or of the imager where none is used."""


class Follower(ABC):
    """The looks of one watch, and what they have found; a subclass works on the captures."""

    most_at_once = MOST_AT_ONCE

    def __init__(
        self,
        source: Watcher,
        output: AppendedFolder,
        imager: Imager,
        *,
        name: str,
        correction: ChipCorrection | None = None,
        black_level_counts: float | None = None,
    ) -> None:
        """Prepare to follow.

        Args:
            source: what is asked for captures.
            output: folder that takes the results.
            imager: imager whose pixels the captures should have.
            name: of the model, or of the imager, for reports.
            correction: frames of the chip; `self.correction` has the black level, too, once the
                first capture is there.
            black_level_counts: level that the imager states; None if it states none.
        """
        self._source, self._output, self._imager, self._name = source, output, imager, name
        self.correction = correction
        self._stated_counts = black_level_counts
        self._black: BlackLevel | None = None
        self._left_out: list[SkippedFrame] = []
        self._left_out_count = 0
        self._most = self.most_at_once
        self._new: list[WatchedFrame] = []
        """Worked on since the last report."""
        self._clock: deque[float] = deque(maxlen=RATE_FRAMES)
        self.frame_px = 0, 0
        self._is_pixel_size_known = False

    @abstractmethod
    def append(
        self, captures: Float32Array, names: Sequence[str], labels: Labels, latency: Latency
    ) -> tuple[list[dict[str, Any]], Labels]:
        """Work on captures (frame, sensor, y, x) of one size, and append the results.

        Args:
            captures: as they came, after flips and crop.
            names: of the captures.
            labels: column with their times.
            latency: returns the last columns of `frames.csv` once the results are there.

        Returns:
            The figures of each capture, and the columns that `latency` has returned.

        Raises:
            CaptureError: a capture cannot be worked on; nothing is appended.
        """

    def described(self) -> dict[str, Any]:
        """Return entries of the summary that are known at the end."""
        return {}

    def follow(
        self,
        idle_s: float | None,
        stopped: Callable[[], bool],
        report: Callable[[WatchState], None] | None,
    ) -> None:
        """Look again and again until it is stopped, or nothing has come for long."""
        at = time.monotonic()
        while not stopped():
            came, skipped = self._look()
            if came or skipped:
                at = time.monotonic()
                self._clock.extend([at] * came)
                if report is not None:
                    report(self._state(skipped))
                self._new.clear()
            elif idle_s is not None and time.monotonic() - at > idle_s:
                break
            else:
                time.sleep(POLL_S)
        lost = self._source.last()
        self._leave_out(lost)
        if lost and report is not None:
            report(self._state(lost))

    def _leave_out(self, skipped: Sequence[SkippedFrame]) -> None:
        """Count captures that were left out, and keep the first of them for the summary."""
        self._left_out_count += len(skipped)
        self._left_out += skipped[: max(0, MOST_SKIPPED_LISTED - len(self._left_out))]

    def _state(self, skipped: Sequence[SkippedFrame]) -> WatchState:
        return WatchState(
            frames=self._output.frames,
            rate_per_s=_rate(self._clock),
            waiting=self._source.waiting,
            skipped=tuple(skipped),
            new=tuple(self._new),
            model=self._name,
        )

    def _look(self) -> tuple[int, list[SkippedFrame]]:
        """Work on what has come; return its number, and what was left out."""
        came, skipped = self._source.poll(self._most)
        began = time.monotonic()
        if not self._is_pixel_size_known:
            self._is_pixel_size_known = _check_pixel_size(came, self._imager)
        if came and self._black is None:
            self._find_black_level(came[0])
        skipped += self._append(came)
        self._leave_out(skipped)
        if came:
            each_s = (time.monotonic() - began) / len(came)
            self._most = max(1, min(self.most_at_once, int(WORK_S / max(each_s, 1e-6))))
            height, width = came[0].captures.shape[-2:]
            self.frame_px = height, width
        return len(came), skipped

    def _append(self, came: Sequence[CompleteFrame]) -> list[SkippedFrame]:
        """Work on captures and write; return those that could not be worked on."""
        if not came:
            return []
        try:
            self._write(came)
        except CaptureError as error:
            if len(came) > 1:  # one of them spoils the others
                return [s for one in came for s in self._append([one])]
            why = str(error).removeprefix("frame 1: ")
            return [SkippedFrame(came[0].name, why)]
        return []

    def _write(self, came: Sequence[CompleteFrame]) -> None:
        sizes = {one.captures.shape for one in came}
        expected = self._output.frame_px
        found = next(iter(sizes))[-2:]
        if len(sizes) > 1 or (expected is not None and found != expected):
            raise CaptureError(
                f"{found[0]}x{found[1]} pixels, expected "
                f"{'x'.join(map(str, expected)) if expected else 'one size'} as the frames before"
            )
        before = self._output.frames
        figures, columns = self.append(
            np.stack([one.captures for one in came]),
            [one.name for one in came],
            {TIME: ["" if one.time_s is None else str(one.time_s) for one in came]},
            lambda: _latency(came),
        )
        latency_s = [float(text) for text in columns[LATENCY]]
        self._new += [
            WatchedFrame(before + n, one.name, its, one.arrived_s, spell_s)
            for n, (one, spell_s, its) in enumerate(
                zip(came, latency_s, figures, strict=True), start=1
            )
        ]

    def _find_black_level(self, first: CompleteFrame) -> None:
        """Decide by the first capture what is subtracted from all."""
        chip = self.correction
        self._black = find_black_level(
            first.captures,
            self._stated_counts,
            has_dark=chip is not None and chip.dark is not None,
        )
        self.correction = with_black_level(chip, self._black)
        for text in self._black.warnings:
            warnings.warn(FociscopeWarning(text, fields=("dark", "imager")), stacklevel=2)

    def about(self, more: dict[str, Any], followed: list[str]) -> dict[str, Any]:
        """Return the entries of the summary; refuse a watch without a single frame."""
        black = 0.0 if self._black is None else self._black.counts
        count = self._source.waiting
        waiting = list(islice(self._source.waiting_names, MOST_SKIPPED_LISTED))
        if self._output.frames == 0:
            wait = f"; {still_waiting(count, waiting)}" if waiting else ""
            raise FociscopeError(
                f"no capture came that could be reconstructed; nothing is written{wait}"
            )
        return {
            **versions(),
            **more,
            **({"black_level_counts": black} if black else {}),
            **self.described(),
            "followed": followed,
            "left_out_count": self._left_out_count,
            "left_out": [{"name": one.name, "why": one.why} for one in self._left_out],
            "waiting_count": count,
            "waiting": waiting,
        }


def _latency(came: Sequence[CompleteFrame]) -> Labels:
    """Return when captures came, and the time from then until now, as columns."""
    now_s = time.time()
    return {
        ARRIVED: [f"{one.arrived_s:.3f}" for one in came],
        LATENCY: [f"{max(0.0, now_s - one.arrived_s):.3f}" for one in came],
    }


def still_waiting(count: int, names: Sequence[str]) -> str:
    """Say of how many captures a part was seen, and of which (the first of them)."""
    named = ", ".join(printable(name) for name in names[:MOST_NAMED])
    more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
    return (
        f"{count} capture(s) were seen and not reconstructed, as the partner or a part did not "
        f"come, or the watch ended first: {named}{more}"
    )


def _check_pixel_size(came: Sequence[CompleteFrame], imager: Imager) -> bool:
    """Warn of a pixel size that is not the imager's; return whether any is stated."""
    stated = [one.pixel_size_um for one in came if one.pixel_size_um is not None]
    check_pixel_size(stated[0] if stated else None, imager)
    return bool(stated)


def _rate(clock: deque[float]) -> float:
    """Return captures per second between the first and the last of some."""
    later = [at for at in clock if at > clock[0]]
    return len(later) / (clock[-1] - clock[0]) if later else 0.0


@contextmanager
def stop_at_signals() -> Iterator[Callable[[], bool]]:
    """Yield what says whether Ctrl-C (or a request to end) has come; a second Ctrl-C ends at once.

    Outside the main thread, signals are left as they are.
    """
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
