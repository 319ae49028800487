"""Captures as an instrument writes them -> layered maps, each as soon as it is complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fociscope.errors import CaptureError, FociscopeError, FociscopeWarning
from fociscope.reconstruction.black_level import stated_black_level
from fociscope.reconstruction.preparation import Preparation
from fociscope.results.writers import FIGURE, check_formats
from fociscope.series.folder import SERIES_FORMATS
from fociscope.series.following import POLL_S, WatchState, still_waiting
from fociscope.series.options import THREADS, ReconstructionOptions
from fociscope.series.watch import watch_captures
from fociscope.series.watcher import (
    GIVEN_UP_S,
    check_followed,
    sensors_followed,
    watch_paths,
)
from fociscope.workflows._loading import (
    as_paths,
    loaded_correction,
    loaded_model,
    named_imager,
    named_order,
    refuse_volume_options,
    sources,
    title_of,
    with_model,
)
from fociscope.workflows._outcome import ReconstructionOutcome
from fociscope.workflows._run import series_warnings

__all__ = ["FirstCapture", "refuse_scheduler", "waiting_warnings", "watch"]

_Found = TypeVar("_Found")


def watch(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    idle_s: float | None = None,
    stopped: Callable[[], bool] | None = None,
    report: Callable[[WatchState], None] | None = None,
) -> ReconstructionOutcome:
    """Follow an instrument, and reconstruct each capture as soon as its files are complete.

    At every moment the folder holds complete frames; after a kill, `options.resume` continues
    behind the last of them.

    Args:
        paths: A folder of images, or sensor A's and sensor B's; or TIFF stacks that grow.
        output: Folder of the results, made if it does not exist.
        options: As for `reconstruct`; formats are `ome-zarr` and `csv`, and
            frames are not averaged. Without a model, the first capture decides, by its sensors;
            one stack that names no axes is taken for A and B in turns.
        idle_s: Seconds without a new capture after which the watch ends; None waits for ever.
        stopped: Function asked before each look; True ends the watch.
        report: Function called after each look that found something.

    Returns:
        Summary, files, and the captures that are seen and not reconstructed as a warning.

    Raises:
        FociscopeError: if there is nothing to follow, no capture came, the options cannot be met
            while following, the disk refuses, or another run writes into the folder.

    Examples:
        >>> import shutil, tempfile
        >>> from importlib import resources
        >>> from pathlib import Path
        >>> import fociscope
        >>> options = fociscope.ReconstructionOptions(formats=("csv",), device="cpu")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     arrivals = Path(folder) / "arrivals"
        ...     arrivals.mkdir()
        ...     for sensor in "ab":
        ...         image = resources.files("fociscope.demo") / f"sensor_{sensor}.tif"
        ...         _ = shutil.copy(image, arrivals / f"1_{sensor.upper()}.tif")
        ...     outcome = fociscope.watch(arrivals, f"{folder}/maps", options, idle_s=0.2)
        >>> outcome.frames, outcome.warnings
        (1, ())
    """
    options = options or ReconstructionOptions()
    refuse_volume_options(options)
    output = Path(output)
    followed = as_paths(paths)
    stopped = stopped or (lambda: False)
    check_formats(options.chosen_formats or SERIES_FORMATS, SERIES_FORMATS)
    refuse_scheduler(options.scheduler)
    waiting = FirstCapture(followed, options, idle_s, stopped)
    if options.model is None:
        options = with_model(options, waiting.sensors())
    model = loaded_model(options, waiting.frame_px)
    model.expect_many()
    correction = loaded_correction(options, model.info.architecture.sensors)
    done = watch_captures(
        model,
        followed,
        output,
        options,
        correction=correction,
        about=sources(options, None, model),
        black_level_counts=stated_black_level(named_imager(options)),
        idle_s=idle_s,
        stopped=stopped,
        report=report,
    )
    figure = (output / FIGURE,) if (output / FIGURE).exists() else ()
    return ReconstructionOutcome(
        frames=done.frames,
        made=done.made,
        summary=done.summary,
        output=output,
        files=(*done.files, *figure),
        title=title_of(followed, 1),
        by_parts=True,
        warnings=(*series_warnings(done), *waiting_warnings(done.summary)),
    )


def refuse_scheduler(scheduler: str) -> None:
    """Refuse a cluster for captures that arrive."""
    if scheduler != THREADS:
        raise FociscopeError(
            "captures that arrive are computed in this process, not on a cluster; leave out the "
            "scheduler",
            fields=("scheduler",),
            value=scheduler,
        )


def waiting_warnings(summary: Mapping[str, Any]) -> tuple[FociscopeWarning, ...]:
    """Return which captures a summary names that were seen, and not worked on."""
    count = summary["waiting_count"]
    if not count:
        return ()
    named = still_waiting(count, summary["waiting"])
    return (FociscopeWarning(f"{named}; resume to take them up", fields=("resume",)),)


@dataclass(frozen=True)
class FirstCapture:
    """What is asked of the first capture, before anything is there that could take it."""

    paths: Sequence[Path]
    options: ReconstructionOptions
    idle_s: float | None
    stopped: Callable[[], bool]

    def sensors(self) -> int:
        """Wait for the first image, and return the number of sensors of its capture.

        Raises:
            CaptureError: If there is nothing to follow, or a folder has been away for `GIVEN_UP_S`.
        """
        check_followed(self.paths)
        seen_s = time.monotonic()

        def look() -> int | None:
            nonlocal seen_s
            found = sensors_followed(self.paths, pages=self.options.pages)
            try:
                check_followed(self.paths)
                seen_s = time.monotonic()
            except CaptureError:
                if time.monotonic() - seen_s >= GIVEN_UP_S:
                    raise
            return found

        return self._first(look)

    def frame_px(self, sensors: int = 2) -> tuple[int, int]:
        """Wait for a capture of so many sensors, and return its (y, x) size before the crop."""
        source = watch_paths(
            self.paths,
            sensors=sensors,
            known=set(),
            preparation=Preparation(),
            allow_non_finite=True,
            pages=self.options.pages,
            pixel_order=named_order(self.options),
        )

        def look() -> tuple[int, int] | None:
            came, _ = source.poll(1)
            if not came:
                return None
            height, width = came[0].captures.shape[-2:]
            return height, width

        return self._first(look)

    def _first(self, look: Callable[[], _Found | None]) -> _Found:
        """Look again and again until something is found."""
        began = time.monotonic()
        while not self.stopped() and not (
            self.idle_s is not None and time.monotonic() - began > self.idle_s
        ):
            found = look()
            if found is not None:
                return found
            time.sleep(POLL_S)
        raise FociscopeError("no capture came, so nothing is known of it; nothing is written")
