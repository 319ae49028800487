"""Captures in, point emitters in 3D out: tables, a rendering, a summary and a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from fociscope.errors import CaptureError, FociscopeWarning, printable
from fociscope.files import CaptureSeries, open_captures
from fociscope.imager.geometry import Imager
from fociscope.localization import Emitters
from fociscope.localization.emitters import LARGEST_MISFIT
from fociscope.reconstruction.black_level import (
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.preparation import prepared
from fociscope.results.emitters import count_emitters, read_emitters
from fociscope.results.provenance import inputs
from fociscope.results.tables import TIME, Labels
from fociscope.results.writers import FIGURE
from fociscope.series.cluster import computed_on_cluster
from fociscope.series.folder import EmittersFolder, open_folder
from fociscope.series.options import THREADS
from fociscope.series.series import LONG_FRAMES, captures_identity
from fociscope.typing import Progress
from fociscope.workflows._loading import (
    as_paths,
    loaded_correction,
    named_imager,
    named_order,
    title_of,
)
from fociscope.workflows._locate_options import LocateOptions, LocateOutcome
from fociscope.workflows._locating import ADVICE, Locating, locate_part, located_imager
from fociscope.workflows._outcome import MOST_NAMED

__all__ = ["locate"]

#: Pixels of all captures that are fitted together, 4 GiB of them in double precision.
MOST_JOINT_PIXELS = 2**29
#: So many captures that emitters do not explain, before one that they do, end a run.
MOST_UNEXPLAINED = 16


def locate(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: LocateOptions | None = None,
    *,
    title: str | None = None,
    progress: Progress | None = None,
    on_plan: Callable[[CaptureSeries, Imager], None] | None = None,
) -> LocateOutcome:
    """Locate point emitters in captures: beads, single cells, micro-foci, anywhere in depth.

    Their number is chosen by the data; see `fociscope.localization.Locator`. Captures are read one
    by one, and the rows of each are written at once: `emitters.csv`, `frames.csv`; then
    `emitters.ome.tif` (the first capture, rendered; not of oblong pixels), `figure.png` and
    `summary.json`. A run that was interrupted is continued with `options.resume`, and then ends
    with the tables of one that was not.

    Args:
        paths: Sensor A's image and sensor B's: files, stacks, folders, or patterns; or one file
            that holds both.
        output: Folder of the results, made if it does not exist.
        options: Imager, preparation, correction and the like.
        title: Title of the figure; without it, the names of the captures.
        progress: Function called with the number of captures done and their total.
        on_plan: Function called with the opened captures and the imager, before the work.

    Returns:
        Emitters, files, and reasons not to trust the results.

    Raises:
        FileFormatError: If a file is missing, broken or unsafe.
        CaptureError: If captures do not fit the imager, or emitters explain none of the first
            `MOST_UNEXPLAINED`.
        OutputExistsError: If the folder is not empty, and neither `overwrite` nor `resume` is set.
        ImagerError: If the imager is none that emitters can be located with.
        FociscopeError: If another run writes into the folder, its content was made from something
            else, or the disk refuses.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import fociscope
        >>> imager = fociscope.Imager.reference()
        >>> response = fociscope.localization.EmitterResponse(imager, (51, 51))
        >>> light, _ = response(np.array([[1400.0, 1380.0, 300.0]]))
        >>> noise = np.random.default_rng(0).normal(0, 1e-5, (1, 2, 51, 51))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/bead.npy", light.reshape(1, 2, 51, 51) + noise)
        ...     found = fociscope.locate(f"{folder}/bead.npy", f"{folder}/out")
        >>> len(found.emitters)
        1
    """
    options = options or LocateOptions()
    named, shared = as_paths(paths), options.of_captures
    with open_captures(
        named,
        pages=options.pages,
        allow_non_finite=bool(shared.chip_files[2]),
        pixel_order=named_order(shared),
    ) as files:
        series = prepared(files, options.preparation)
        _, sensors, height, width = files.shape
        imager, notes = located_imager(options, named, sensors, (height, width))
        check_pixel_size(series.pixel_size_um, imager)
        if on_plan is not None:
            on_plan(files, imager)
        black = find_black_level(
            files.read(0, 1), stated_black_level(named_imager(shared)), has_dark=shared.has_dark
        )
        correction = with_black_level(loaded_correction(shared, sensors), black)
        run = Locating(imager, options, correction)
        title = title or title_of(named, len(series))
        done = _into_folder(run, series, Path(output), title, progress)
    said = tuple(FociscopeWarning(text, fields=("dark", "imager")) for text in black.warnings)
    return replace(
        done,
        notes=(*series.notes, *notes, *black.notes),
        warnings=(*said, *done.warnings),
    )


def _into_folder(
    run: Locating, series: CaptureSeries, output: Path, title: str, progress: Progress | None
) -> LocateOutcome:
    """Locate the emitters of captures that the folder does not hold yet, and write the rest."""
    options, sources = run.options, inputs(series.names)
    identity = {**run.identity, **captures_identity(series, sources)}
    with open_folder(
        output, EmittersFolder, identity, resume=options.resume, overwrite=options.overwrite
    ) as folder:
        before, in_memory = folder.frames, None
        if folder.is_complete:
            before, summary = len(series), folder.read_summary()
            first = read_emitters(folder.folder, frames=1)
            counts = count_emitters(folder.folder, MOST_NAMED)
            if options.track:
                summary = folder.finish({**summary, **run.linked(folder)})
        else:
            in_memory = _append(run, series, folder, title, progress)
            if in_memory is None:
                first = read_emitters(folder.folder, frames=1)
            else:
                first = in_memory.of_frame(0)
            if not (output / FIGURE).exists():  # a run of an earlier version ended before it
                run.draw_first(folder.folder, first, series.read(0, 1)[0], title)
            about, counts = run.about(folder)
            summary = folder.finish({**about, "inputs": sources})
        return LocateOutcome(
            frames=len(series),
            made=len(series) - before,
            summary=summary,
            output=output,
            files=tuple(output / path.name for path in run.files(folder)),
            title=title,
            first=first,
            warnings=run.warnings(len(series), counts),
            in_memory=in_memory,
        )


def _append(
    run: Locating,
    series: CaptureSeries,
    folder: EmittersFolder,
    title: str,
    progress: Progress | None,
) -> Emitters | None:
    """Locate emitters capture by capture, and write those of each.

    Captures that emitters do not explain are held back until one comes that they do.

    Returns:
        The emitters of all captures; None if they are many, or an earlier run has located some.

    Raises:
        CaptureError: If that one does not come.
    """
    if run.options.joint:
        return _append_jointly(run, series, folder, title, progress)
    kept: list[Emitters] | None = [] if not folder.frames and len(series) <= LONG_FRAMES else None
    held: list[Emitters] = []
    names = series.frame_names
    for frame, emitters in _computed(run, series, range(folder.frames, len(series)), names):
        held.append(emitters)
        if kept is not None:
            kept.append(held[-1])
        if folder.frames or held[-1].is_explained[0]:
            its = slice(folder.frames, frame + 1)
            if not folder.frames:
                run.draw_first(folder.folder, held[0], series.read(0, 1)[0], title)
            folder.append(Emitters.joined(held), names[its], labels=_times(series, its))
            held = []
        elif len(held) == min(MOST_UNEXPLAINED, len(series)):
            raise _unexplained(Emitters.joined(held), title)
        if progress is not None:
            progress(frame + 1, len(series))
    return None if kept is None else Emitters.joined(kept)


def _append_jointly(
    run: Locating,
    series: CaptureSeries,
    folder: EmittersFolder,
    title: str,
    progress: Progress | None,
) -> Emitters:
    """Locate emitters that stand still in all captures, and write those of each capture.

    Raises:
        CaptureError: If the captures do not fit into memory, or emitters do not explain them.
    """
    if (pixels := math.prod(series.shape)) > MOST_JOINT_PIXELS:
        raise CaptureError(
            f"{printable(title)}: {len(series)} captures hold {pixels} pixels, too many to be "
            f"fitted together (at most {MOST_JOINT_PIXELS}); average them, or take a part",
            fields=("preparation", "joint"),
        )
    emitters = run.located_jointly(series.read(0, len(series)))
    if not emitters.is_explained.any():
        raise _unexplained(emitters.of_frame(0), title)
    its = slice(folder.frames, len(series))
    rest = [emitters.of_frame(n) for n in range(its.start, its.stop)]
    if not folder.frames:
        run.draw_first(folder.folder, rest[0], series.read(0, 1)[0], title)
    folder.append(Emitters.joined(rest), series.frame_names[its], labels=_times(series, its))
    if progress is not None:
        progress(len(series), len(series))
    return emitters


def _computed(
    run: Locating, series: CaptureSeries, frames: range, names: Sequence[str]
) -> Iterator[tuple[int, Emitters]]:
    """Yield the number of each frame and its emitters, in order."""
    if run.options.scheduler != THREADS:
        parts = (range(frame, frame + 1) for frame in frames)
        work = partial(locate_part, run.imager, run.options, run.correction)
        done = computed_on_cluster(work, series, parts, run.options.scheduler, names)
        yield from ((part.start, emitters) for part, emitters in done)
        return
    for frame in frames:
        captures = series.read(frame, frame + 1)
        yield frame, run.part(captures, frame, names[frame : frame + 1])


def _times(series: CaptureSeries, its: slice) -> Labels:
    """Return the column with the times of some frames, if they are known."""
    if series.time_s is None:
        return {}
    return {TIME: [str(round(float(time), 6)) for time in series.time_s[its]]}


def _unexplained(emitters: Emitters, title: str) -> CaptureError:
    misfit = float(np.median(emitters.misfit))
    return CaptureError(
        f"{printable(title)}: emitters do not explain the light: {len(emitters)} of them leave "
        f"{misfit:.1f} times the noise (at most {LARGEST_MISFIT:g} are expected); {ADVICE}",
        fields=("background", "imager", "model_error"),
    )
