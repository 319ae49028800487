"""What `fociscope reconstruct --watch` does: follow an instrument, and say how it goes."""

from __future__ import annotations

import time
from functools import partial

from rich.markup import escape

from fociscope.cli.common import err
from fociscope.cli.reconstruct_job import Job, say_done
from fociscope.errors import FociscopeError, printable
from fociscope.reconstruction.preparation import Preparation
from fociscope.results.writers import check_formats
from fociscope.series.folder import SERIES_FORMATS
from fociscope.series.watch import (
    POLL_S,
    WatchState,
    still_waiting,
    stop_at_signals,
    watch_captures,
)
from fociscope.series.watcher import watch_paths

__all__ = ["run_watch"]

#: Where there is no terminal to draw a line anew on, the state is told so often.
REPORT_EVERY_S = 10.0


def run_watch(job: Job, idle_s: float | None) -> None:
    """Follow an instrument."""
    formats = job.formats or list(SERIES_FORMATS)
    check_formats(formats, SERIES_FORMATS)
    if job.scheduler != "threads":
        raise FociscopeError("--watch computes here; leave out --scheduler")
    correction = job.correction()
    followed = " + ".join(path.name for path in job.captures)
    err.print(f"Following {escape(followed)}; Ctrl-C ends it.", highlight=False, soft_wrap=True)
    model = job.opened(partial(_first_frame_px, job, idle_s))
    last = -REPORT_EVERY_S

    with stop_at_signals() as stopped, err.status("waiting for captures") as status:

        def told(state: WatchState) -> None:
            nonlocal last
            for one in state.skipped:
                err.print(
                    f"[yellow]left out:[/] {escape(printable(one.name))}: {escape(one.why)}",
                    highlight=False,
                    soft_wrap=True,
                )
            line = f"{state.frames} frame(s), {state.rate_per_s:.1f}/s, {state.waiting} waiting"
            status.update(line)
            if not err.is_terminal and time.monotonic() - last >= REPORT_EVERY_S:
                last = time.monotonic()
                err.print(line, highlight=False)

        done = watch_captures(
            model,
            job.captures,
            job.output,
            formats=formats,
            layers=job.layers,
            correction=correction,
            tile_px=job.tile_px,
            preparation=job.preparation,
            pages=job.pages,
            cell_diameter_um=job.cell_diameter_um,
            about=job.sources(None, model),
            resume=job.resume,
            overwrite=job.overwrite,
            idle_s=idle_s,
            stopped=stopped,
            report=told,
        )
    say_done(job, done)
    if done.summary["waiting_count"]:
        waiting = still_waiting(done.summary["waiting_count"], done.summary["waiting"])
        err.print(
            f"[bold yellow]warning:[/] {escape(waiting)}; --resume takes them up",
            highlight=False,
            soft_wrap=True,
        )


def _first_frame_px(job: Job, idle_s: float | None) -> tuple[int, int]:
    """Wait for a capture of two sensors, and return its (y, x) size before it is cropped."""
    source = watch_paths(
        job.captures,
        sensors=2,
        known=set(),
        preparation=Preparation(),
        allow_non_finite=True,
        pages=job.pages,
    )
    began = time.monotonic()
    while idle_s is None or time.monotonic() - began <= idle_s:
        came, _ = source.poll(1)
        if came:
            height, width = came[0].captures.shape[-2:]
            return height, width
        time.sleep(POLL_S)
    raise FociscopeError("no capture came, so nothing is known of their size; nothing is written")
