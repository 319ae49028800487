"""Many captures that are independent of each other: a folder for each, and tables of all of them.

The folder of the batch is appended to capture by capture, as that of a long series is frame by
frame: a capture's own folder appears as a whole, then its rows are certain.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from fociscope.errors import (
    CaptureError,
    FileFormatError,
    FociscopeError,
    FociscopeWarning,
    one_line,
    printable,
)
from fociscope.figures.batch import BatchRow, draw_batch
from fociscope.files import CaptureSeries, atomic_path, is_store, open_captures
from fociscope.files.captures.pairing import number_note, two_sensors_said
from fociscope.files.captures.reader import sort_captures
from fociscope.files.captures.series import names_apart
from fociscope.reconstruction import Model
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.results.load import read_batch_part
from fociscope.results.provenance import inputs, versions
from fociscope.results.result import Reconstruction
from fociscope.results.tables import NAME, TABLES, as_written
from fociscope.results.writers import DEFAULT_FORMATS, FIGURE, JOURNAL, SUMMARY
from fociscope.series.folder import SeriesFolder, frame_names, open_series_folder
from fociscope.series.frames import FrameOptions
from fociscope.series.options import THREADS, ReconstructionOptions
from fociscope.series.series import LONG_FRAMES, work_identity
from fociscope.typing import Progress
from fociscope.workflows._loading import loaded_correction, loaded_model, named_order
from fociscope.workflows._outcome import (
    MOST_NAMED,
    ReconstructionOutcome,
    ReconstructionPlan,
    implausible_frames,
)
from fociscope.workflows._run import Run, run_on
from fociscope.workflows._sparse import sparse_hint

__all__ = ["captures_apart", "folder_names", "reconstruct_batch"]

Groups = Sequence[tuple[Path, ...]]
#: Captures on the sheet, at most.
MOST_DRAWN = 40
_NOT_IN_NAMES = str.maketrans('<>:"|?*\\', "________")


def captures_apart(paths: Sequence[Path], options: ReconstructionOptions) -> Groups:
    """Return the files of each capture of a batch; () if these paths are none.

    Raises:
        FileFormatError: partners are missing.
        FociscopeError: a batch is asked for together with what only a series has.
    """
    is_of_series = options.scheduler != THREADS or bool(options.by_parts)
    if options.batch and is_of_series:
        raise FociscopeError(
            "the captures of a batch are computed one by one in this process; leave out the "
            "scheduler and the parts, or take the captures for frames of one series",
            fields=("scheduler", "batch"),
        )
    if options.batch is False or is_of_series:
        return ()
    if options.batch is None and options.preparation.average > 1:
        return ()  # frames in a row
    if options.batch is None and len(paths) <= 2 and all(path.exists() for path in paths):
        return ()  # no pattern, so images of one folder for each sensor at most
    groups = sort_captures(paths)
    if len(groups) < 2:
        return ()
    if options.batch is None:
        are_apart = len(paths) > 2 or len({group[0].parent for group in groups}) > 1
        return groups if are_apart and len(groups) <= LONG_FRAMES else ()
    return groups


def reconstruct_batch(
    groups: Groups,
    output: Path,
    options: ReconstructionOptions,
    *,
    title: str | None = None,
    progress: Progress | None = None,
    on_plan: Callable[[ReconstructionPlan], None] | None = None,
) -> ReconstructionOutcome:
    """Reconstruct captures one by one, each into a folder of its name; `reconstruct` calls it.

    A capture that cannot be read or reconstructed is left out, with a warning; the others go on.

    Args:
        groups: Files of each capture, from `captures_apart`.
        output: Folder of the results.
        options: As for `reconstruct`.
        title: Title of the sheet; without it, the number of captures.
        progress: Function called with the number of captures done and their total.
        on_plan: Function called with the plan before the work.

    Raises:
        CaptureError: if no capture can be reconstructed.
        OutputExistsError: if the folder is not empty, and neither `overwrite` nor `resume` is set.
        FociscopeError: if captures are of one sensor and of two, one of them is too long to be held
            in memory, the disk refuses, or an earlier run's content was made from something else.
    """
    batch = _Batch(groups, output, options)
    plan = batch.checked()
    if on_plan is not None:
        on_plan(plan)
    with batch.opened() as folder:
        before = folder.frames
        first = batch.reconstruct_all(folder, progress)
        summary = folder.finish(batch.about(folder), goes_on=True)
        rows = batch.rows()
        found = batch.reasons(folder.frames)
        with atomic_path(output / FIGURE, overwrite=True) as part:
            drawn = draw_batch(rows, title or f"{len(groups)} captures", len(groups))
            drawn.savefig(part, format="png")
    return ReconstructionOutcome(
        frames=folder.frames,
        made=folder.frames - before,
        summary=summary,
        output=output,
        files=(*folder.files, output / FIGURE, *batch.folders_there()),
        title=title or f"{len(groups)} captures",
        first=first,
        is_batch=True,
        notes=plan.notes,
        warnings=(*found, *sparse_hint(first)),
    )


def _notes_on_names(groups: Groups) -> tuple[str, ...]:
    """Return how names were understood that may speak of two sensors."""
    where = f"{len(groups)} captures"
    if all(len(group) == 2 for group in groups):
        return number_note(where, list(groups))
    alone = [group[0] for group in groups if len(group) == 1]
    doubt = two_sensors_said(alone) if len(alone) > 1 else None
    if doubt is None:
        return ()
    return (
        f"{where}: {doubt}, and each is reconstructed by itself; give the images of each sensor "
        "as a folder or pattern of its own if they belong together.",
    )


@dataclass
class _Batch:
    """The captures of a batch, and what has become of them."""

    groups: Groups
    output: Path
    options: ReconstructionOptions
    left_out: list[dict[str, str]] = field(default_factory=list)
    said: dict[tuple[str, tuple[str, ...]], list[str]] = field(default_factory=dict)
    """Warning, and the fields that mend it -> names of the captures that it is about."""
    odd: list[tuple[int, str, str]] = field(default_factory=list)
    """Number, name and quality flags of implausible frames of this run."""

    def __post_init__(self) -> None:
        """Name captures and their folders."""
        self.names = names_apart([group[0] for group in self.groups])
        self.folders = folder_names(self.names, [group[0] for group in self.groups])
        self._drawn: dict[str, BatchRow] = {}
        self._loaded: tuple[ReconstructionOptions, tuple[int, int], Model] | None = None
        self._corrections: dict[int, ChipCorrection | None] = {}

    def checked(self) -> ReconstructionPlan:
        """Open each capture, and return the plan; the first decides about the model.

        Raises:
            FociscopeError: as `reconstruct_batch`.
        """
        plan: ReconstructionPlan | None = None
        notes: list[str] = []
        for number, name in enumerate(self.names):
            with self._run(number) as (files, run):
                its = run.plan(files, self.options.chosen_formats or DEFAULT_FORMATS, False)
                if run.is_by_parts():
                    raise FociscopeError(
                        f"{printable(name)}: a series of {its.frames} frames, too long for a "
                        "batch; reconstruct it by itself"
                    )
            plan = plan or its
            if its.sensors != plan.sensors:
                raise FociscopeError(
                    f"{printable(self.names[0])} is of {plan.sensors} sensor(s), "
                    f"{printable(name)} of {its.sensors}, expected one kind of captures; "
                    "reconstruct them apart"
                )
            notes += its.notes
        notes += _notes_on_names(self.groups)
        assert plan is not None
        return replace(
            plan,
            frames=len(self.groups),
            is_single=False,
            pairs=tuple(self.groups),
            notes=tuple(dict.fromkeys(notes)),
            is_batch=True,
        )

    @contextmanager
    def opened(self) -> Iterator[SeriesFolder]:
        """Open the folder of the batch; what it holds must have been made with these options."""
        options = self.options
        with self._run(0) as (_, run):
            model = self._model(run)
        each = FrameOptions(
            options.layers, self._correction(options, run.series.shape[1]), options.tile_px
        )
        formats = options.chosen_formats or DEFAULT_FORMATS
        identity = {
            **work_identity(model, each, formats, options.cell_diameter_um),
            "precision": model.precision,
            "preparation": options.preparation.model_dump_json(),
            "kind of run": "batch",
        }
        with open_series_folder(
            self.output,
            formats=("csv",),
            identity=identity,
            frames_per_chunk=1,
            cell_diameter_um=options.cell_diameter_um,
            resume=options.resume,
            overwrite=options.overwrite,
            inner=self.folders,
        ) as folder:
            yield folder

    def reconstruct_all(
        self, folder: SeriesFolder, progress: Progress | None
    ) -> Reconstruction | None:
        """Reconstruct the captures that are not there yet; return the first frame's map."""
        done = {_without_number(name) for name in frame_names(folder.folder)}
        first: Reconstruction | None = None
        error: FociscopeError | None = None
        for number, name in enumerate(self.names):
            if as_written(name) in done:
                self._check_unchanged(number)
            else:
                try:
                    result = self._write(number, folder)
                except (CaptureError, FileFormatError) as its:
                    error = error or its
                    self._leave_out(name, its)
                else:
                    first = first or result.frame(0)
            if progress is not None:
                progress(number + 1, len(self.names))
        if error is not None and folder.frames == 0:
            raise error
        return first

    def about(self, folder: SeriesFolder) -> dict[str, Any]:
        """Return the entries of the summary: what all captures have in common, and each of them."""
        captures = []
        common: dict[str, Any] = {}
        for name, place in zip(self.names, self.folders, strict=True):
            path = self.output / place / SUMMARY
            if not path.is_file():
                continue
            its = read_batch_part(path)
            common = common or {key: its[key] for key in _COMMON if key in its}
            for number, one in enumerate(its["captures"], start=1):
                mark = f"#{number}" if its["is_series"] else ""
                captures.append({**one, "name": as_written(name) + mark, "folder": place})
        return {
            **versions(),
            **common,
            "is_batch": True,
            "captures": captures,
            "left_out_count": len(self.left_out),
            "left_out": self.left_out,
        }

    def rows(self) -> list[BatchRow]:
        """Return the rows of the sheet; captures of an earlier run are reconstructed for it."""
        rows: list[BatchRow] = []
        for number, (name, place) in enumerate(zip(self.names, self.folders, strict=True)):
            if len(rows) == MOST_DRAWN:
                break
            if name not in self._drawn and (self.output / place / SUMMARY).is_file():
                with self._run(number) as (_, run):
                    first = replace(run, series=run.series.first())
                    result = first.in_memory(self._model(run)).frame(0)
                self._drawn[name] = BatchRow.of(result, name)
            if name in self._drawn:
                rows.append(self._drawn[name])
        return rows

    def folders_there(self) -> list[Path]:
        """Return the folders of the captures that were reconstructed."""
        paths = [self.output / place for place in self.folders]
        return [path for path in paths if (path / SUMMARY).is_file()]

    def reasons(self, frames: int) -> tuple[FociscopeWarning, ...]:
        """Return reasons not to trust the results, with the names of the captures.

        Args:
            frames: Number of frames in the folder.
        """
        about = [
            FociscopeWarning(f"{_listed(names)}: {text}", fields=fields)
            for (text, fields), names in self.said.items()
        ]
        odd = [implausible_frames(self.odd[:MOST_NAMED], len(self.odd), frames)] if self.odd else []
        left = [f"{printable(one['name'])}: {one['why']}" for one in self.left_out[:MOST_NAMED]]
        more = len(self.left_out) - len(left)
        if more > 0:
            left.append(f"{more} more, see {SUMMARY}")
        out = [FociscopeWarning(f"{len(self.left_out)} capture(s) left out: {'; '.join(left)}")]
        return (*about, *odd, *(out if left else ()))

    @contextmanager
    def _run(self, number: int) -> Iterator[tuple[CaptureSeries, Run]]:
        """Open a capture; what is warned of then is noted with its name, each once."""
        name, group = self.names[number], self.groups[number]
        options = replace(self.options, batch=False, by_parts=None, resume=False)
        has_bad_pixels = bool(options.chip_files[2])
        with open_captures(
            list(group),
            pages=options.pages,
            allow_non_finite=has_bad_pixels,
            pixel_order=named_order(options),
        ) as files:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                run = run_on(
                    files,
                    group,
                    options,
                    None,
                    output=self.output / self.folders[number],
                    title=name,
                    load_correction=self._correction,
                )
            self._note(name, caught)
            yield files, run

    def _note(self, name: str, caught: Sequence[warnings.WarningMessage]) -> None:
        """Note warnings about a capture; those that are not ours are given again."""
        for one in caught:
            if not isinstance(one.message, FociscopeWarning):
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
                continue
            names = self.said.setdefault((str(one.message), one.message.fields), [])
            if name not in names:
                names.append(name)

    def _model(self, run: Run) -> Model:
        """Load the model of a run, or take that of the run before, if it is the same."""
        key = (run.options, run.frame_px)
        if self._loaded is None or self._loaded[:2] != key:
            self._loaded = (*key, loaded_model(run.options, lambda: run.frame_px))
        return self._loaded[2]

    def _correction(self, options: ReconstructionOptions, sensors: int) -> ChipCorrection | None:
        """Read the chip's frames once; all captures share them, whatever their imager."""
        if sensors not in self._corrections:
            self._corrections[sensors] = loaded_correction(options, sensors)
        return self._corrections[sensors]

    def _write(self, number: int, folder: SeriesFolder) -> Reconstruction:
        """Reconstruct a capture into its folder, then put its rows into the tables."""
        name = self.names[number]
        self._refuse_links(self.folders[number])
        with self._run(number) as (_, run):
            model = self._model(run)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                check_pixel_size(run.series.pixel_size_um, model.imager)
            self._note(name, caught)
            is_again = self.options.resume or self.options.overwrite
            run = replace(run, options=replace(run.options, overwrite=is_again))
            formats = run.formats(by_parts=False)
            result, _, _ = run.written(formats, model)
        frames = result.depth_um.size // result.depth_um.shape[-1]
        marks = [""] if run.series.is_single else [f"#{n + 1}" for n in range(frames)]
        names = [as_written(name) + mark for mark in marks]
        before = folder.frames
        folder.append(result, names, labels={NAME: names})
        self._drawn[name] = BatchRow.of(result.frame(0), name)
        flags: Sequence[str] = ()
        if result.quality_flags is not None:
            flags = [str(flag) for flag in result.quality_flags.reshape(-1)]
        numbered = zip(names, flags, strict=False)
        self.odd += [(before + n, mark, flag) for n, (mark, flag) in enumerate(numbered, 1) if flag]
        return result

    def _refuse_links(self, place: str) -> None:
        """Refuse a folder below that of the batch that leads elsewhere: others' files lie there."""
        path = self.output
        for part in PurePosixPath(place).parts:
            path = path / part
            if path.is_symlink():
                raise FociscopeError(
                    f"{printable(path)}: a link, expected a folder of the batch's own; remove it, "
                    "or choose another folder for the batch"
                )

    def _leave_out(self, name: str, error: FociscopeError) -> None:
        """Note that a capture is left out, and why."""
        self.left_out.append({"name": as_written(name), "why": one_line(error)})

    def _check_unchanged(self, number: int) -> None:
        """Refuse to go on behind a capture whose files are others than those of its results."""
        path = self.output / self.folders[number] / SUMMARY
        found: list[Any] = []
        with suppress(FileFormatError):
            found = read_batch_part(path).get("inputs", [])
        with self._run(number) as (files, _):
            its = inputs(files.names)  # without the arrays in them
        if [one for one in its if one not in found]:
            raise FociscopeError(
                f"{printable(self.names[number])}: its files have changed since it was "
                "reconstructed, or its folder is gone; overwrite the batch to start anew, or "
                "choose another folder",
                fields=("overwrite",),
            )


#: Entries of a capture's summary that all captures of a batch share.
_COMMON = ("model", "model_sha256", "imager", "imager_sha256", "pixel_pitch_um", "warnings",
           "preparation", "focus_probability", "guarantees")  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    """Name the first few."""
    more = len(names) - MOST_NAMED
    few = ", ".join(printable(name) for name in names[:MOST_NAMED])
    return f"{few} and {more} more" if more > 0 else few


def _without_number(name: str) -> str:
    """Return the name of a capture without the number of a frame of it."""
    file, mark, number = name.rpartition("#")
    return file if mark and number.isdecimal() else name


def folder_names(names: Sequence[str], files: Sequence[Path]) -> list[str]:
    """Return a folder for each name, below that of the batch: the name without its suffix.

    All keep their suffixes where two would share a folder, or one would lie in another's.

    Raises:
        FociscopeError: names collide all the same, or with files of the batch.
    """
    whole = [name.lstrip("/").translate(_NOT_IN_NAMES) for name in names]
    plain = [
        place if file.is_dir() and not is_store(file) else _without_suffix(place)
        for place, file in zip(whole, files, strict=True)
    ]
    for places in (plain, whole):
        if not _collisions(places):
            return places
    raise FociscopeError(
        f"{printable(_collisions(whole)[0])}: the results of this capture would lie where others "
        "do; rename it, or reconstruct it by itself"
    )


def _without_suffix(place: str) -> str:
    path = PurePosixPath(place)
    stem = path.with_suffix("")
    return str(stem.with_suffix("") if stem.suffix.lower() == ".ome" else stem)


def _collisions(places: Sequence[str]) -> list[str]:
    """Return the folders that are there twice, lie above another one, or are files of the batch."""
    taken = [PurePosixPath(place.casefold()) for place in places]
    above = {parent for place in taken for parent in place.parents}
    own = {PurePosixPath(name) for name in (*TABLES, SUMMARY, FIGURE, JOURNAL)}
    return [
        place
        for place, path in zip(places, taken, strict=True)
        if taken.count(path) > 1 or path in above | own or path.name.startswith(".")
    ]
