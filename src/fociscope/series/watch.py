"""Following an instrument: each capture is reconstructed as soon as it is whole."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import CaptureError, FociscopeError, printable
from fociscope.files.captures.reader import PageMeaning
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.reconstruction.preparation import Preparation
from fociscope.results.foci import CELL_DIAMETER_UM
from fociscope.results.provenance import versions
from fociscope.results.result import Reconstruction
from fociscope.results.tables import as_written
from fociscope.results.writers import check_formats
from fociscope.series.folder import SERIES_FORMATS, SeriesFolder, frame_names, open_series_folder
from fociscope.series.frames import Options, reconstruct_frames
from fociscope.series.growing_file import CompleteFrame, SkippedFrame
from fociscope.series.series import (
    SeriesDone,
    series_about,
    work_identity,
)
from fociscope.series.watcher import watch_paths

__all__ = ["WatchState", "still_waiting", "stop_at_signals", "watch_captures"]

POLL_S = 0.02
#: Captures that are reconstructed at a time, at most.
MOST_AT_ONCE = 32
#: The rate is that of the last so many.
RATE_FRAMES = 100
#: More than this many captures that were left out, or wait, are counted, not listed.
MOST_SKIPPED_LISTED = 100
#: So many are named in a sentence.
MOST_NAMED = 4


@dataclass(frozen=True)
class WatchState:
    """How it goes."""

    frames: int
    """On the disk."""
    rate_per_s: float
    """Of the last `RATE_FRAMES`, over the time from the first of them to the last."""
    waiting: int
    """Seen, and not whole or not yet reconstructed."""
    skipped: tuple[SkippedFrame, ...]
    """Left out since the last word."""


def watch_captures(
    model: Model,
    paths: Sequence[Path],
    folder: Path | str,
    *,
    formats: Sequence[str] = SERIES_FORMATS,
    layers: int | None = None,
    correction: ChipCorrection | None = None,
    tile_px: int | None = None,
    preparation: Preparation | None = None,
    pages: PageMeaning = "auto",
    cell_diameter_um: float = CELL_DIAMETER_UM,
    about: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    idle_s: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    report: Callable[[WatchState], None] | None = None,
) -> SeriesDone:
    """Reconstruct captures as they arrive, until told to stop.

    After a kill, `resume` goes on behind the last frame that `journal.json` vouches for. A capture
    that cannot be read or reconstructed is left out, and said so; the others go on.

    Args:
        model: from `load_model`.
        paths: a folder of images, or sensor A's and sensor B's; or TIFF stacks that grow.
        folder: made if it is not there.
        formats: `csv`, and `ome-zarr` if wanted.
        layers: how many to look for at most; without it, the model's own number.
        correction: what is known of the chip.
        tile_px: side of the tiles of large frames, if the engine shall not choose.
        preparation: flips and crop.
        pages: what pages are where a file does not say, see `arrivals`.
        cell_diameter_um: of a typical cell, for the number of cells.
        about: more for `summary.json`.
        resume: go on with what an earlier run has left; its captures are not done again.
        overwrite: remove what an earlier run has written here, first.
        idle_s: stop when nothing has come for so long; None waits for ever.
        stopped: asked before each look; True ends it.
        report: called after each look that found something.

    Raises:
        FociscopeError: nothing to follow, no capture came, the watched folder is away or the stack
            cannot be read for `recording.GIVEN_UP_S`, the disk refuses, or another run writes into
            the folder.
    """
    check_formats(formats, SERIES_FORMATS)
    formats = sorted({*formats, "csv"})  # which captures are done is known from its names
    options = Options(layers=layers, correction=correction, tile_px=tile_px)
    preparation = preparation or Preparation()
    identity = {
        **work_identity(model, options, formats, cell_diameter_um),
        "precision": model.precision,  # of frames whose size is not known yet
        "preparation": preparation.model_dump_json(),
        "meaning of pages": pages,
        "set of paths": " + ".join(as_written(path.name) for path in paths),
    }
    with open_series_folder(
        Path(folder),
        formats=formats,
        identity=identity,
        frames_per_chunk=1,
        cell_diameter_um=cell_diameter_um,
        resume=resume,
        overwrite=overwrite,
    ) as output:
        source = watch_paths(
            paths,
            sensors=model.info.architecture.sensors,
            known=frame_names(output.folder),
            preparation=preparation,
            allow_non_finite=correction is not None,
            pages=pages,
        )
        before, at = output.frames, time.monotonic()
        left_out: list[SkippedFrame] = []
        clock: deque[float] = deque(maxlen=RATE_FRAMES)
        height, width = 0, 0
        is_size_known = False
        while not stopped():
            came, skipped = source.poll(MOST_AT_ONCE)
            if not is_size_known:
                is_size_known = _check_pixel_size(came, model)
            skipped += _append(output, model, came, options)
            left_out += skipped
            if came or skipped:
                at = time.monotonic()
                clock.extend([at] * len(came))
                if came:
                    height, width = came[0].captures.shape[-2:]
                if report is not None:
                    state = WatchState(output.frames, _rate(clock), source.waiting, tuple(skipped))
                    report(state)
            elif idle_s is not None and time.monotonic() - at > idle_s:
                break
            else:
                time.sleep(POLL_S)
        waiting = list(islice(source.waiting_names, MOST_SKIPPED_LISTED))
        if output.frames == 0:
            wait = f"; {still_waiting(source.waiting, waiting)}" if waiting else ""
            raise FociscopeError(
                f"no capture came that could be reconstructed; nothing is written{wait}"
            )
        summary = output.finish(
            {
                **versions(),
                **(about or {}),
                **series_about(model, height, width, tile_px),
                "followed": [as_written(path.name) for path in paths],
                "left_out_count": len(left_out),
                "left_out": [
                    {"name": s.name, "why": s.why} for s in left_out[:MOST_SKIPPED_LISTED]
                ],
                "waiting_count": source.waiting,
                "waiting": waiting,
            },
            goes_on=True,
        )
        return SeriesDone(output.frames, output.frames - before, summary, output.files)


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


def _append(
    output: SeriesFolder, model: Model, came: Sequence[CompleteFrame], options: Options
) -> list[SkippedFrame]:
    """Reconstruct and write; return the captures that could not be reconstructed."""
    if not came:
        return []
    try:
        _write(output, model, came, options)
    except CaptureError as error:
        if len(came) > 1:  # one of them spoils the others
            return [s for one in came for s in _append(output, model, [one], options)]
        why = str(error).removeprefix("frame 1: ")
        return [SkippedFrame(came[0].name, why)]
    return []


def _write(
    output: SeriesFolder, model: Model, came: Sequence[CompleteFrame], options: Options
) -> Reconstruction:
    sizes = {one.captures.shape for one in came}
    expected = output.frame_px
    found = next(iter(sizes))[-2:]
    if len(sizes) > 1 or (expected is not None and found != expected):
        raise CaptureError(
            f"{found[0]}x{found[1]} pixels, expected "
            f"{'x'.join(map(str, expected)) if expected else 'one size'} as the frames before"
        )
    result = reconstruct_frames(model, np.stack([one.captures for one in came]), options)
    output.append(result, [one.name for one in came])
    return result


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
