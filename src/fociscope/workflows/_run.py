"""Opened and prepared captures, and one run on them: at once, or part by part."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import (
    CaptureError,
    FileFormatError,
    FociscopeError,
    FociscopeWarning,
    one_line,
    printable,
)
from fociscope.figures.reconstruction import draw_reconstruction
from fociscope.files import CaptureSeries, atomic_path
from fociscope.files.safe.records import read_record
from fociscope.reconstruction.black_level import (
    BlackLevel,
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.reconstruction.preparation import prepared
from fociscope.results.result import Reconstruction
from fociscope.results.writers import (
    DEFAULT_FORMATS,
    FIGURE,
    JOURNAL,
    SUMMARY,
    result_folder,
    write_result,
)
from fociscope.series.folder import SERIES_FORMATS
from fociscope.series.frames import FrameOptions, reconstruct_frames
from fociscope.series.options import THREADS, ReconstructionOptions
from fociscope.series.series import SeriesOutcome, is_long, reconstruct_series
from fociscope.simulation.dataset_record import RECORD_NAME
from fociscope.typing import Float32Array, Progress
from fociscope.workflows._loading import (
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
    outlying_pixels,
    quality_warnings,
)
from fociscope.workflows._sparse import sparse_hint
from fociscope.workflows._view import view_hint

__all__ = ["Run", "run_on", "series_warnings"]

LoadCorrection = Callable[[ReconstructionOptions, int], ChipCorrection | None]


def run_on(
    files: CaptureSeries,
    paths: Sequence[Path],
    options: ReconstructionOptions,
    progress: Progress | None,
    *,
    output: Path | None = None,
    title: str | None = None,
    load_correction: LoadCorrection = loaded_correction,
) -> Run:
    """Prepare opened captures, and settle the imager and the black level of the run on them.

    Args:
        files: Opened captures.
        paths: Paths of their files.
        options: Options of the run.
        progress: Function called with the number of captures done and their total.
        output: Folder of the results.
        title: Title of the figure; None for the names of the files.
        load_correction: Returns the correction of options and a number of sensors; runs on many
            captures of one chip share one that reads its files once.
    """
    series = prepared(files, options.preparation)
    options, series = _with_own_imager(options, series, paths)
    options = with_model(options, series.shape[1])
    series, black = _with_black_level(options, files, series)
    return Run(
        options=options,
        output=output or Path(),
        series=series,
        frame_px=(files.shape[2], files.shape[3]),
        title=title or title_of(paths, len(series)),
        progress=progress,
        black=black,
        load_correction=load_correction,
    )


@dataclass(frozen=True)
class Run:
    """Opened and prepared captures, and what to do with them."""

    options: ReconstructionOptions
    output: Path
    series: CaptureSeries
    frame_px: tuple[int, int]
    """(y, x) of the frames in the files, before the crop."""
    title: str
    progress: Progress | None
    black: BlackLevel
    load_correction: LoadCorrection = loaded_correction

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

    def plan(
        self, files: CaptureSeries, formats: tuple[str, ...], by_parts: bool
    ) -> ReconstructionPlan:
        """Return how the files were understood, before any work is done."""
        frames, sensors, height, width = files.shape
        return ReconstructionPlan(
            frames=frames,
            sensors=sensors,
            frame_px=(height, width),
            is_single=files.is_single,
            pairs=files.pairs,
            formats=formats,
            by_parts=by_parts,
            notes=self.series.notes,
            model=str(self.options.model),
        )

    def at_once(self, formats: tuple[str, ...]) -> ReconstructionOutcome:
        """Reconstruct all captures in memory, and write all files or none."""
        result, files, summary = self.written(formats)
        return ReconstructionOutcome(
            frames=len(self.series),
            made=len(self.series),
            summary=summary,
            output=self.output,
            files=files,
            title=self.title,
            first=result.frame(0),
            notes=self.series.notes,
            warnings=(
                *quality_warnings(result),
                *outlying_pixels(result),
                *(sparse_hint(result.frame(0)) or view_hint(result.frame(0))),
            ),
        )

    def written(
        self, formats: tuple[str, ...], model: Model | None = None
    ) -> tuple[Reconstruction, tuple[Path, ...], dict[str, Any]]:
        """Reconstruct all captures in memory, and write all files or none.

        Args:
            formats: Formats of the results.
            model: Model that is loaded already; None to load it.

        Returns:
            Map, files, and content of `summary.json`.
        """
        options, series = self.options, self.series
        with result_folder(self.output, options.overwrite) as part:
            model = model or self.loaded_model()
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
            summary = read_record(part / SUMMARY, "the summary just written")
        return result, files, summary

    def loaded_model(self) -> Model:
        """Load the model, and hold the size of the files' pixels against its imager."""
        model = loaded_model(self.options, lambda: self.frame_px)
        check_pixel_size(self.series.pixel_size_um, model.imager)
        return model

    def in_memory(self, model: Model) -> Reconstruction:
        """Reconstruct all captures in memory, with the names and times of their files."""
        series, options = self.series, self.options
        each = FrameOptions(options.layers, self._correction(), options.tile_px)
        result = self._map(model, series.read(), each)
        time_s = None if series.time_s is None else np.array(series.time_s, np.float64)
        return replace(result, names=series.frame_names, time_s=time_s)

    def _correction(self) -> ChipCorrection | None:
        """Return the correction of the chip, the black level included."""
        correction = self.load_correction(self.options, self.series.shape[1])
        return with_black_level(correction, self.black)

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
        correction = self._correction()
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
            warnings=(
                *series_warnings(done),
                *outlying_pixels(first),
                *(sparse_hint(first) or view_hint(first)),
            ),
        )


def series_warnings(done: SeriesOutcome) -> tuple[FociscopeWarning, ...]:
    """Return which captures of a series are unlike what the model was trained on, and why."""
    odd = done.frames - done.summary["series"]["plausible_frames"]
    if not odd:
        return ()
    tables = [path for path in done.files if path.name == "frames.csv"]
    named = _implausible_rows(tables[0]) if tables else []
    return (implausible_frames(named, odd, done.frames),)


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
    black = find_black_level(files.read(0, 1), stated, has_dark=options.has_dark)
    for text in black.warnings:
        warnings.warn(FociscopeWarning(text, fields=("dark", "imager")), stacklevel=4)
    return replace(series, notes=(*series.notes, *black.notes)), black


def _implausible_rows(table: Path) -> list[tuple[int, str, str]]:
    """Return number, name and flags of the first implausible frames in `frames.csv`.

    Raises:
        FileFormatError: it is no such table.
    """
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            odd = (row for row in csv.DictReader(stream) if row["plausible"] == "0")
            return [
                (int(row["frame"]), row["name"], row["quality_flags"])
                for row in islice(odd, MOST_NAMED)
            ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FileFormatError(
            f"{printable(table)}: no table of frames ({one_line(error, 80)}); overwrite the series "
            "to start anew",
            fields=("overwrite",),
        ) from None
