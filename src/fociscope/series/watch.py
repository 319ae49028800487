"""Following an instrument: each capture is reconstructed as soon as it is whole."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import CaptureError, FociscopeError, FociscopeWarning, printable
from fociscope.reconstruction.black_level import BlackLevel, find_black_level, with_black_level
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.results.provenance import versions
from fociscope.results.summary import summarise
from fociscope.results.tables import TIME, as_written
from fociscope.results.writers import check_formats
from fociscope.series._growing_file import CompleteFrame, SkippedFrame
from fociscope.series.folder import SERIES_FORMATS, SeriesFolder, frame_names, open_series_folder
from fociscope.series.frames import FrameOptions, reconstruct_frames
from fociscope.series.options import ReconstructionOptions
from fociscope.series.series import (
    SeriesOutcome,
    series_about,
    work_identity,
)
from fociscope.series.watcher import Watcher, watch_paths

__all__ = [
    "WatchState",
    "WatchedFrame",
    "still_waiting",
    "stop_at_signals",
    "watch_captures",
]

POLL_S = 0.02
#: Captures that are reconstructed at a time, at most.
MOST_AT_ONCE = 32
#: The rate is that of the last so many.
RATE_FRAMES = 100
#: More than this many captures that were left out, or wait, are counted, not listed.
MOST_SKIPPED_LISTED = 100
#: Columns of `frames.csv`: when the last change of a capture's files was seen (s since 1970), and
#: the time in s from then until its map was there.
ARRIVED, LATENCY = "arrived_s", "latency_s"
#: So many are named in a sentence.
MOST_NAMED = 4


@dataclass(frozen=True)
class WatchedFrame:
    """A capture that was followed, and its figures.

    Examples:
        >>> from fociscope.series.watch import WatchedFrame
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
    them of a capture."""
    arrived_s: float
    """When the last change of its files was seen, s since 1970."""
    latency_s: float
    """Time from then until its map was there, s."""

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
    """Captures that were reconstructed since the report before."""
    model: str = ""
    """Name of the model."""


def watch_captures(
    model: Model,
    paths: Sequence[Path],
    folder: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    correction: ChipCorrection | None = None,
    about: Mapping[str, Any] | None = None,
    black_level_counts: float | None = None,
    idle_s: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    report: Callable[[WatchState], None] | None = None,
) -> SeriesOutcome:
    """Reconstruct captures as they arrive, until stopped.

    After a kill, `options.resume` continues behind the last frame that `journal.json` holds. A
    capture that cannot be read or reconstructed is left out and reported; the others continue.

    Args:
        model: Model from `load_model`. It carries what `options` say of model, imager, device,
            precision and refinement, so those fields are not read here.
        paths: A folder of images, or sensor A's and sensor B's; or TIFF stacks that grow.
        folder: Folder of the results, made if it does not exist.
        options: Preparation (flips and crop), pages, layers, tiles, formats (`csv` always, and
            `ome-zarr` if it is among them), cell diameter, resume and overwrite.
        correction: Dark frames, flat frames and bad pixels of the chip.
        about: Further entries of `summary.json`.
        black_level_counts: Level that the imager states, subtracted if the first capture holds it
            and there is no dark frame; None if it states none.
        idle_s: Seconds without a new capture after which the watch ends; None waits for ever.
        stopped: Function asked before each look; True ends the watch.
        report: Function called after each look that found something.

    Returns:
        Number of frames, summary and files.

    Raises:
        FociscopeError: if there is nothing to follow, no capture came, the watched folder or stack
            cannot be read for `growing_file.GIVEN_UP_S`, the disk refuses, or another run writes
            into the folder.

    Examples:
        >>> import shutil, tempfile
        >>> from importlib import resources
        >>> from pathlib import Path
        >>> import fociscope
        >>> from fociscope.series import ReconstructionOptions, watch_captures
        >>> model = fociscope.load_model("layers-ab", device="cpu")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     arrivals = Path(folder) / "arrivals"
        ...     arrivals.mkdir()
        ...     for sensor in "ab":
        ...         image = resources.files("fociscope.demo") / f"sensor_{sensor}.tif"
        ...         _ = shutil.copy(image, arrivals / f"1_{sensor.upper()}.tif")
        ...     outcome = watch_captures(
        ...         model, [arrivals], f"{folder}/maps", ReconstructionOptions(formats=("csv",)),
        ...         idle_s=0.2,
        ...     )
        >>> outcome.frames
        1
    """
    options = options or ReconstructionOptions()
    chosen = options.chosen_formats or SERIES_FORMATS
    check_formats(chosen, SERIES_FORMATS)
    formats = sorted({*chosen, "csv"})  # which captures are done is known from its names
    each = FrameOptions(options.layers, correction, options.tile_px)
    identity = {
        **work_identity(model, each, formats, options.cell_diameter_um),
        "precision": model.precision,  # of frames whose size is not known yet
        "preparation": options.preparation.model_dump_json(),
        "meaning of pages": options.pages,
        "set of paths": " + ".join(as_written(path.name) for path in paths),
        "set of columns": " ".join((TIME, ARRIVED, LATENCY)),
    }
    with open_series_folder(
        Path(folder),
        formats=formats,
        identity=identity,
        frames_per_chunk=1,
        cell_diameter_um=options.cell_diameter_um,
        resume=options.resume,
        overwrite=options.overwrite,
    ) as output:
        source = watch_paths(
            paths,
            sensors=model.info.architecture.sensors,
            known=frame_names(output.folder),
            preparation=options.preparation,
            allow_non_finite=correction is not None,
            pages=options.pages,
        )
        before = output.frames
        watch = _Watch(model, source, output, each, black_level_counts)
        watch.follow(idle_s, stopped, report)
        followed = [as_written(path.name) for path in paths]
        summary = output.finish(watch.about(dict(about or {}), followed), goes_on=True)
        return SeriesOutcome(output.frames, output.frames - before, summary, output.files)


class _Watch:
    """The looks of one watch, and what they have found."""

    def __init__(
        self,
        model: Model,
        source: Watcher,
        output: SeriesFolder,
        options: FrameOptions,
        black_level_counts: float | None = None,
    ) -> None:
        self._model, self._source, self._output = model, source, output
        self._options = options
        self._stated_counts = black_level_counts
        self._black: BlackLevel | None = None
        self._left_out: list[SkippedFrame] = []
        self._new: list[WatchedFrame] = []
        """Reconstructed since the last report."""
        self._clock: deque[float] = deque(maxlen=RATE_FRAMES)
        self._frame_px = 0, 0
        self._is_pixel_size_known = False

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

    def _state(self, skipped: Sequence[SkippedFrame]) -> WatchState:
        return WatchState(
            frames=self._output.frames,
            rate_per_s=_rate(self._clock),
            waiting=self._source.waiting,
            skipped=tuple(skipped),
            new=tuple(self._new),
            model=self._model.info.name,
        )

    def _look(self) -> tuple[int, list[SkippedFrame]]:
        """Reconstruct what has come; return its number, and what was left out."""
        came, skipped = self._source.poll(MOST_AT_ONCE)
        if not self._is_pixel_size_known:
            self._is_pixel_size_known = _check_pixel_size(came, self._model)
        if came and self._black is None:
            self._find_black_level(came[0])
        skipped += self._append(came)
        self._left_out += skipped
        if came:
            height, width = came[0].captures.shape[-2:]
            self._frame_px = height, width
        return len(came), skipped

    def _append(self, came: Sequence[CompleteFrame]) -> list[SkippedFrame]:
        """Reconstruct and write; return the captures that could not be reconstructed."""
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
        captures = np.stack([one.captures for one in came])
        result = reconstruct_frames(self._model, captures, self._options)
        now_s, before = time.time(), self._output.frames
        latency_s = [max(0.0, now_s - one.arrived_s) for one in came]
        tables = self._output.append(
            result,
            [one.name for one in came],
            labels={TIME: ["" if one.time_s is None else str(one.time_s) for one in came]},
            of_frames={
                ARRIVED: [f"{one.arrived_s:.3f}" for one in came],
                LATENCY: [f"{spell_s:.3f}" for spell_s in latency_s],
            },
        )
        each = zip(came, latency_s, summarise(result, tables)["captures"], strict=True)
        self._new += [
            WatchedFrame(before + n, one.name, figures, one.arrived_s, spell_s)
            for n, (one, spell_s, figures) in enumerate(each, start=1)
        ]

    def _find_black_level(self, first: CompleteFrame) -> None:
        """Decide by the first capture what is subtracted from all."""
        chip = self._options.correction
        self._black = find_black_level(
            first.captures,
            self._stated_counts,
            has_dark=chip is not None and chip.dark is not None,
        )
        self._options = replace(self._options, correction=with_black_level(chip, self._black))
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
        listed = self._left_out[:MOST_SKIPPED_LISTED]
        return {
            **versions(),
            **more,
            **({"black_level_counts": black} if black else {}),
            **series_about(self._model, *self._frame_px, self._options.tile_px),
            "followed": followed,
            "left_out_count": len(self._left_out),
            "left_out": [{"name": one.name, "why": one.why} for one in listed],
            "waiting_count": count,
            "waiting": waiting,
        }


def still_waiting(count: int, names: Sequence[str]) -> str:
    """Say of how many captures a part was seen, and of which (the first of them)."""
    named = ", ".join(printable(name) for name in names[:MOST_NAMED])
    more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
    return (
        f"{count} capture(s) were seen and not reconstructed, as the partner or a part did not "
        f"come, or the watch ended first: {named}{more}"
    )


def _check_pixel_size(came: Sequence[CompleteFrame], model: Model) -> bool:
    """Warn of a pixel size that is not the imager's; return whether any is stated."""
    stated = [one.pixel_size_um for one in came if one.pixel_size_um is not None]
    check_pixel_size(stated[0] if stated else None, model.imager)
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
