"""Captures in, layered maps out: at once, or part by part where a series is long."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np

from fociscope.arrays import as_tensor, is_path
from fociscope.errors import CaptureError, FociscopeError, FociscopeWarning, printable
from fociscope.figures.reconstruction import draw_reconstruction
from fociscope.files import CaptureSeries, atomic_folder, atomic_path, open_captures
from fociscope.reconstruction.black_level import (
    BlackLevel,
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.engine import Model
from fociscope.reconstruction.preparation import Preparation, prepared
from fociscope.results.result import Reconstruction
from fociscope.results.writers import (
    DEFAULT_FORMATS,
    FIGURE,
    JOURNAL,
    OF_SERIES,
    write_result,
)
from fociscope.series.folder import SERIES_FORMATS
from fociscope.series.frames import FrameOptions, reconstruct_frames
from fociscope.series.options import THREADS, ReconstructionOptions
from fociscope.series.series import SeriesOutcome, is_long, reconstruct_series
from fociscope.simulation.dataset_record import RECORD_NAME
from fociscope.typing import ArrayLike, CapturesLike, Float32Array, Progress
from fociscope.workflows._loading import (
    as_paths,
    data_set_imager,
    layers_of,
    loaded_correction,
    loaded_model,
    named_imager,
    sources,
    title_of,
    with_model,
)
from fociscope.workflows._outcome import (
    MOST_NAMED,
    ReconstructionOutcome,
    ReconstructionPlan,
    implausible_frames,
    quality_warnings,
)

__all__ = ["load_model_for", "reconstruct", "reconstruct_captures", "series_warnings"]


def reconstruct(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    title: str | None = None,
    progress: Progress | None = None,
    on_plan: Callable[[ReconstructionPlan], None] | None = None,
) -> ReconstructionOutcome:
    """Reconstruct the captures in files, and write maps, tables, summary and figure.

    Sensor A's and sensor B's files are paired; flipped, cropped and averaged; corrected by the
    chip's frames; and held against the imager's pixel pitch. A long series is read and written part
    by part, in bounded memory, on this machine or on a cluster; it may be interrupted, and
    continued with `options.resume`. A short one is written whole or not at all.

    Args:
        paths: Sensor A's image and sensor B's: files, stacks, folders, or patterns such as
            `run/*.tif`; or one file that holds both.
        output: Folder of the results, made if it does not exist.
        options: Model, imager, preparation, correction, formats and the like.
        title: Title of the figure; without it, the names of the captures.
        progress: Function called with the number of captures done and their total.
        on_plan: Function called with the plan, once the files are paired, before the work.

    Returns:
        Summary, files, the first frame's map, and reasons not to trust the results.

    Raises:
        FileFormatError: if a file is missing, broken or unsafe.
        CaptureError: if a capture cannot be reconstructed.
        OutputExistsError: if the folder is not empty, and neither `overwrite` nor `resume` is set.
        FociscopeError: if options contradict each other or the captures, the model or the device
            does not exist, or the disk refuses.

    Examples:
        >>> import tempfile
        >>> from importlib import resources
        >>> import fociscope
        >>> demo = resources.files("fociscope.demo")
        >>> options = fociscope.ReconstructionOptions(formats=("csv",), device="cpu")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outcome = fociscope.reconstruct(
        ...         [demo / "sensor_a.tif", demo / "sensor_b.tif"], folder, options
        ...     )
        >>> outcome.frames, len(outcome.first.depth_um)
        (1, 4)
        >>> [path.name for path in outcome.files]
        ['frames.csv', 'layers.csv', 'foci.csv', 'summary.json', 'figure.png']
    """
    options = options or ReconstructionOptions()
    named = as_paths(paths)
    with open_captures(
        named, pages=options.pages, allow_non_finite=bool(options.chip_files[2])
    ) as files:
        run = _run_on(files, named, options, progress, output=Path(output), title=title)
        by_parts = run.is_by_parts()
        formats = run.formats(by_parts)
        if on_plan is not None:
            on_plan(_plan(files, run, formats, by_parts))
        return run.by_parts(formats) if by_parts else run.at_once(formats)


def reconstruct_captures(
    captures: CapturesLike,
    options: ReconstructionOptions | None = None,
    *,
    frame: int | None = None,
    model: Model | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstruct captures that are in memory, with the options of `reconstruct`; write nothing.

    Args:
        captures: Captures (..., sensor, y, x) in any unit of light; to be averaged, they need one
            axis of frames: (frame, sensor, y, x). Or paths of files.
        options: Model, imager, preparation, correction and the like; those that concern files are
            not read.
        frame: Number of the only capture of a series (frame, sensor, y, x) to reconstruct, from 0;
            None for all. The black level is that of the series.
        model: Model that `load_model_for` has loaded for these options; None to load it.
        progress: Function called with the number of captures done and their total.

    Returns:
        Map of each capture, with arrays (..., layer, y, x).

    Raises:
        CaptureError: if a capture cannot be reconstructed or prepared.
        FociscopeError: if the model, the imager or the device does not exist.

    Examples:
        >>> from importlib import resources
        >>> from fociscope.files import read_captures
        >>> from fociscope.workflows import reconstruct_captures
        >>> demo = resources.files("fociscope.demo")
        >>> captures = read_captures([demo / "sensor_a.tif", demo / "sensor_b.tif"])
        >>> reconstruct_captures(captures).probability.shape
        (4, 51, 51)
    """
    options = options or ReconstructionOptions()
    if is_path(captures):
        return _of_files(as_paths(captures), options, progress)
    captures = cast(ArrayLike, captures)
    *lead, height, width = np.shape(captures)
    options = with_model(options, lead[-1] if lead else 2)
    if options.preparation != Preparation():
        captures = _prepared_array(np.asarray(captures, np.float32), options.preparation)
    model = model or load_model_for(options, (height, width))
    raw = captures if isinstance(captures, np.ndarray) else np.asarray(as_tensor(captures).cpu())
    black = find_black_level(
        raw[:1] if raw.ndim > 3 else raw,
        stated_black_level(named_imager(options)),
        has_dark=bool(options.chip_files[0]),
    )
    result = model.reconstruct(
        captures if frame is None else raw[frame],
        layers=options.layers,
        correction=with_black_level(loaded_correction(options), black),
        tile_px=options.tile_px,
        progress=progress,
    )
    return replace(result, warnings=(*result.warnings, *black.notes, *black.warnings))


def load_model_for(
    options: ReconstructionOptions, frame_px: tuple[int, int], *, sensors: int = 2
) -> Model:
    """Load the model that options name, for their imager, crop, device and precision.

    Args:
        options: Model, imager, preparation, device, refinement and precision.
        frame_px: Height and width of the captures before the crop, pixels.
        sensors: Number of sensors of the captures, for options that name no model.

    Returns:
        The model, for `reconstruct_captures` with the same options.

    Raises:
        FociscopeError: if the model, the imager or the device does not exist, or does not fit.

    Examples:
        >>> from fociscope.workflows import ReconstructionOptions, load_model_for
        >>> load_model_for(ReconstructionOptions(model="layers-a"), (51, 51)).info.name
        'layers-a'
    """
    return loaded_model(with_model(options, sensors), lambda: frame_px)


def _with_own_imager(
    options: ReconstructionOptions, series: CaptureSeries, paths: Sequence[Path]
) -> tuple[ReconstructionOptions, CaptureSeries]:
    """Take the imager of the data set that the captures are of, if the options name none."""
    imager = data_set_imager(paths) if options.imager is None else None
    if imager is None or imager.sensors < series.shape[1]:
        return options, series
    imager = imager.with_(sensors=series.shape[1])
    note = (
        f"the imager of the data set, {imager.name!r}, is taken: {RECORD_NAME} beside the captures "
        "describes it."
    )
    return replace(options, imager=imager), replace(series, notes=(*series.notes, note))


def _with_black_level(
    options: ReconstructionOptions, files: CaptureSeries, series: CaptureSeries
) -> tuple[CaptureSeries, BlackLevel]:
    """Find the black level by the first capture, and say what is done about it."""
    stated = stated_black_level(named_imager(options))
    black = find_black_level(files.read(0, 1), stated, has_dark=bool(options.chip_files[0]))
    for text in black.warnings:
        warnings.warn(FociscopeWarning(text, fields=("dark", "imager")), stacklevel=4)
    return replace(series, notes=(*series.notes, *black.notes)), black


def _of_files(
    paths: Sequence[Path], options: ReconstructionOptions, progress: Progress | None
) -> Reconstruction:
    """Reconstruct all captures of files in memory."""
    has_bad_pixels = bool(options.chip_files[2])
    with open_captures(paths, pages=options.pages, allow_non_finite=has_bad_pixels) as files:
        run = _run_on(files, paths, options, progress)
        return run.in_memory(run.loaded_model())


def _run_on(
    files: CaptureSeries,
    paths: Sequence[Path],
    options: ReconstructionOptions,
    progress: Progress | None,
    *,
    output: Path | None = None,
    title: str | None = None,
) -> _Run:
    """Prepare opened captures, and settle the imager and the black level of the run on them."""
    series = prepared(files, options.preparation)
    options, series = _with_own_imager(options, series, paths)
    options = with_model(options, series.shape[1])
    series, black = _with_black_level(options, files, series)
    return _Run(
        options=options,
        output=output or Path(),
        series=series,
        frame_px=(files.shape[2], files.shape[3]),
        title=title or title_of(paths, len(series)),
        progress=progress,
        black=black,
    )


def _prepared_array(captures: Float32Array, preparation: Preparation) -> Float32Array:
    """Return captures (sensor, y, x) or (frame, sensor, y, x) flipped, cropped and averaged."""
    if captures.ndim not in (3, 4):
        raise CaptureError(
            f"captures of the shape {captures.shape} cannot be prepared; expected "
            "(sensor, y, x) or (frame, sensor, y, x)"
        )
    frames = captures if captures.ndim == 4 else captures[None]
    count, sensors, height, width = frames.shape
    series = CaptureSeries(
        shape=(count, sensors, height, width),
        read_frames=lambda start, stop: frames[start:stop],
        is_single=captures.ndim == 3,
    )
    ready = prepared(series, preparation).read()
    return ready if captures.ndim == 4 else ready[0]


def _plan(
    files: CaptureSeries, run: _Run, formats: tuple[str, ...], by_parts: bool
) -> ReconstructionPlan:
    frames, sensors, height, width = files.shape
    return ReconstructionPlan(
        frames=frames,
        sensors=sensors,
        frame_px=(height, width),
        is_single=files.is_single,
        pairs=files.pairs,
        formats=formats,
        by_parts=by_parts,
        notes=run.series.notes,
        model=str(run.options.model),
    )


@dataclass(frozen=True)
class _Run:
    """Opened and prepared captures, and what to do with them."""

    options: ReconstructionOptions
    output: Path
    series: CaptureSeries
    frame_px: tuple[int, int]
    """(y, x) of the frames in the files, before the crop."""
    title: str
    progress: Progress | None
    black: BlackLevel

    def is_by_parts(self) -> bool:
        """Whether the series is read and written part by part."""
        options = self.options
        if options.by_parts is not None:
            return options.by_parts
        if options.scheduler != THREADS or (options.resume and (self.output / JOURNAL).exists()):
            return True
        return len(self.series) > 1 and is_long(self.series.shape, layers_of(options))

    def formats(self, by_parts: bool) -> tuple[str, ...]:
        """Return the formats to write; refuse those that are not written part by part."""
        chosen = self.options.chosen_formats or (SERIES_FORMATS if by_parts else DEFAULT_FORMATS)
        if by_parts and set(chosen) - set(SERIES_FORMATS):
            frames, _, height, width = self.series.shape
            raise FociscopeError(
                f"{frames} frames of {height} x {width} pixels are written part by part, which "
                f"only {' and '.join(SERIES_FORMATS)} allow; leave out the other formats, or give "
                "shorter series",
                fields=("formats",),
                choices=SERIES_FORMATS,
            )
        return chosen

    def at_once(self, formats: tuple[str, ...]) -> ReconstructionOutcome:
        """Reconstruct all captures in memory, and write all files or none."""
        options, series = self.options, self.series
        with atomic_folder(self.output, options.overwrite, removes=OF_SERIES) as part:
            model = self.loaded_model()
            result = self.in_memory(model)
            first = result.frame(0)
            written = write_result(
                result,
                part,
                formats,
                cell_diameter_um=options.cell_diameter_um,
                **sources(options, series, model, self.black.counts),
            )
            draw_reconstruction(first, self.title).savefig(part / FIGURE)
            files = tuple(self.output / path.name for path in (*written, part / FIGURE))
            summary = json.loads((part / "summary.json").read_text(encoding="utf-8"))
        return ReconstructionOutcome(
            frames=len(series),
            made=len(series),
            summary=summary,
            output=self.output,
            files=files,
            title=self.title,
            first=first,
            notes=series.notes,
            warnings=quality_warnings(result),
        )

    def loaded_model(self) -> Model:
        """Load the model, and hold the size of the files' pixels against its imager."""
        model = loaded_model(self.options, lambda: self.frame_px)
        check_pixel_size(self.series.pixel_size_um, model.imager)
        return model

    def in_memory(self, model: Model) -> Reconstruction:
        """Reconstruct all captures in memory, with the names and times of their files."""
        series, options = self.series, self.options
        correction = with_black_level(loaded_correction(options), self.black)
        each = FrameOptions(options.layers, correction, options.tile_px)
        result = self._map(model, series.read(), each)
        time_s = None if series.time_s is None else np.array(series.time_s, np.float64)
        return replace(result, names=series.frame_names, time_s=time_s)

    def _map(self, model: Model, captures: Float32Array, each: FrameOptions) -> Reconstruction:
        """Reconstruct all captures; an error names the file."""
        files = " + ".join(printable(path.name) for path in self.series.names)
        if not self.series.is_single:
            names = self.series.frame_names or [files] * len(captures)
            return reconstruct_frames(model, captures, each, names=names, progress=self.progress)
        try:
            return each.reconstruct(model, captures[0], self.progress)
        except CaptureError as error:
            raise CaptureError(
                f"{files}: {error}", fields=error.fields, value=error.value
            ) from None

    def by_parts(self, formats: tuple[str, ...]) -> ReconstructionOutcome:
        """Reconstruct a series part by part; what is complete stays, however it ends."""
        options, series = self.options, self.series
        correction = with_black_level(loaded_correction(options), self.black)
        model = self.loaded_model()
        done = reconstruct_series(
            model,
            series,
            self.output,
            replace(options, formats=formats),
            correction=correction,
            names=series.frame_names,
            about=sources(options, series, model, self.black.counts),
            progress=self.progress,
        )
        first, figure = done.first, self.output / FIGURE
        if first is None and not figure.exists():  # an earlier run made it, and drew no figure
            each = FrameOptions(options.layers, correction, options.tile_px)
            first = each.reconstruct(model, series.read(0, 1)[0])
        if first is not None:
            with atomic_path(figure, overwrite=True) as part:
                draw_reconstruction(first, self.title).savefig(part, format="png")
        return ReconstructionOutcome(
            frames=done.frames,
            made=done.made,
            summary=done.summary,
            output=self.output,
            files=(*done.files, figure),
            title=self.title,
            first=first,
            by_parts=True,
            notes=series.notes,
            warnings=series_warnings(done),
        )


def series_warnings(done: SeriesOutcome) -> tuple[FociscopeWarning, ...]:
    """Return which captures of a series are unlike what the model was trained on, and why."""
    odd = done.frames - done.summary["series"]["plausible_frames"]
    if not odd:
        return ()
    tables = [path for path in done.files if path.name == "frames.csv"]
    named = _implausible_rows(tables[0]) if tables else []
    return (implausible_frames(named, odd, done.frames),)


def _implausible_rows(table: Path) -> list[tuple[int, str, str]]:
    """Return number, name and flags of the first implausible frames in `frames.csv`."""
    with table.open(encoding="utf-8", newline="") as stream:
        odd = (row for row in csv.DictReader(stream) if row["plausible"] == "0")
        return [
            (int(row["frame"]), row["name"], row["quality_flags"])
            for row in islice(odd, MOST_NAMED)
        ]
