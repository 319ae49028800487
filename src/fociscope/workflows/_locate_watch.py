"""Captures as an instrument writes them -> point emitters in 3D, each as soon as it is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fociscope.errors import FociscopeError
from fociscope.imager.geometry import Imager
from fociscope.localization import Emitters
from fociscope.localization.emitters import COLUMNS
from fociscope.reconstruction.black_level import stated_black_level
from fociscope.results.emitters import FORMATS, read_emitters
from fociscope.results.tables import Labels, as_written
from fociscope.series.folder import EmittersFolder, frame_names, open_folder
from fociscope.series.following import Follower, Latency, WatchState
from fociscope.series.watcher import Watcher, watch_paths
from fociscope.typing import Float32Array
from fociscope.workflows._loading import (
    as_paths,
    loaded_correction,
    named_imager,
    named_order,
    title_of,
)
from fociscope.workflows._locate_options import LocateOptions, LocateOutcome
from fociscope.workflows._locating import Locating, located_imager
from fociscope.workflows._watch import FirstCapture, refuse_scheduler, waiting_warnings

__all__ = ["watch_emitters"]


def watch_emitters(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: LocateOptions | None = None,
    *,
    idle_s: float | None = None,
    stopped: Callable[[], bool] | None = None,
    report: Callable[[WatchState], None] | None = None,
    on_plan: Callable[[int, Imager], None] | None = None,
) -> LocateOutcome:
    """Follow an instrument, and locate the emitters of each capture when its files are complete.

    At every moment the folder holds complete frames; after a kill, `options.resume` continues
    behind the last of them. Captures that emitters do not explain are written and marked, too.

    Args:
        paths: A folder of images, or sensor A's and sensor B's; or TIFF stacks that grow.
        output: Folder of the results, made if it does not exist.
        options: As for `locate`; frames are not averaged. Without an imager, the reference imager.
        idle_s: Seconds without a new capture after which the watch ends; None waits for ever.
        stopped: Function asked before each look; True ends the watch.
        report: Function called after each look that found something.
        on_plan: Function called with the number of sensors and the imager, before the work.

    Returns:
        Summary, files, and reasons not to trust the results.

    Raises:
        FociscopeError: If there is nothing to follow, no capture came, the disk refuses, or another
            run writes into the folder.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import tifffile
        >>> from pathlib import Path
        >>> from fociscope.workflows import watch_emitters
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     arrivals = Path(folder) / "arrivals"
        ...     arrivals.mkdir()
        ...     noise = np.random.default_rng(0).normal(0, 1, (2, 51, 51))
        ...     for sensor, image in zip("AB", noise.astype(np.float32)):
        ...         tifffile.imwrite(arrivals / f"1_{sensor}.tif", image)
        ...     outcome = watch_emitters(arrivals, f"{folder}/beads", idle_s=0.2)
        >>> outcome.frames, outcome.summary["emitters"]
        (1, 0)
    """
    options = options or LocateOptions()
    refuse_scheduler(options.scheduler)
    _refuse_joint(options)
    output, followed, shared = Path(output), as_paths(paths), options.of_captures
    first = FirstCapture(followed, shared, idle_s, stopped or (lambda: False))
    sensors = first.sensors()
    frame_px = first.frame_px(sensors)
    imager, notes = located_imager(options, followed, sensors, frame_px)
    if on_plan is not None:
        on_plan(sensors, imager)
    run = Locating(imager, options, loaded_correction(shared, sensors))
    identity = {
        **run.identity,
        "meaning of pages": options.pages,
        "set of paths": " + ".join(as_written(path.name) for path in followed),
        "frame size": f"{frame_px[0]} x {frame_px[1]}",
    }
    with open_folder(
        output, EmittersFolder, identity, resume=options.resume, overwrite=options.overwrite
    ) as folder:
        folder.frame_px = imager.frame_px
        source = watch_paths(
            followed,
            sensors=sensors,
            known=frame_names(folder.folder),
            preparation=options.preparation,
            allow_non_finite=run.correction is not None,
            pages=options.pages,
            pixel_order=named_order(shared),
        )
        before, title = folder.frames, title_of(followed, 1)
        watch = _EmitterFollower(
            run, source, folder, title, stated_black_level(named_imager(shared))
        )
        watch.follow(idle_s, first.stopped, report)
        about = watch.about({}, [as_written(path.name) for path in followed])
        counted, counts = run.about(folder)
        summary = folder.finish({**counted, **about}, goes_on=True)
        return LocateOutcome(
            frames=folder.frames,
            made=folder.frames - before,
            summary=summary,
            output=output,
            files=tuple(output / path.name for path in run.files(folder) if path.exists()),
            title=title,
            first=read_emitters(folder.folder, frames=1),
            notes=notes,
            warnings=(*run.warnings(folder.frames, counts), *waiting_warnings(summary)),
        )


def _refuse_joint(options: LocateOptions) -> None:
    """Raise FociscopeError if all captures are to be fitted together."""
    if options.joint:
        raise FociscopeError(
            "an instrument that is followed gives captures one by one, and a joint fit takes all "
            "at once; leave the joint fit out, or locate when the series is there",
            fields=("joint",),
        )


class _EmitterFollower(Follower):
    """Locates the emitters of what comes."""

    most_at_once = 1  # a capture takes so long that each is worth a report

    def __init__(
        self,
        run: Locating,
        source: Watcher,
        output: EmittersFolder,
        title: str,
        black_level_counts: float | None,
    ) -> None:
        super().__init__(
            source,
            output,
            run.imager,
            name=run.imager.name,
            correction=run.correction,
            black_level_counts=black_level_counts,
        )
        self._run, self._folder, self._title = run, output, title

    def append(
        self, captures: Float32Array, names: Sequence[str], labels: Labels, latency: Latency
    ) -> tuple[list[dict[str, Any]], Labels]:
        """Locate emitters and append them; the first capture is drawn."""
        self._run.correction = self.correction
        emitters = self._run.located(captures)
        of_frames = latency()
        if not self._folder.frames:  # before the frame is certain, so that a kill loses neither
            self._run.draw_first(
                self._folder.folder, emitters.of_frame(0), captures[0], self._title
            )
        self._folder.append(emitters, names, labels=labels, of_frames=of_frames)
        return [_figures(emitters.of_frame(n)) for n in range(len(captures))], of_frames


def _figures(emitters: Emitters) -> dict[str, Any]:
    """Return what a report says of one capture."""
    rows = [
        {
            name: float(text.format(getattr(emitters, name)[n]))
            for name, text in zip(COLUMNS[1:], FORMATS, strict=True)
        }
        for n in range(len(emitters))
    ]
    return {
        "emitters": rows,
        "misfit": round(float(emitters.misfit[0]), 4),
        "explained": bool(emitters.is_explained[0]),
    }
