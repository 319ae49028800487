"""A folder that results are appended to: at every moment whole frames, after a kill as well.

A part is written behind what is certain; then the journal says that it is certain, too. Whatever
lies behind the journal's word when a run ends is cut off, by that run or by the next. What a run
takes up is input like any other: tables must have the checksums that the journal states, the store
the description that it was made with, and links are not followed.
"""

from __future__ import annotations

import csv
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fociscope.errors import (
    FileFormatError,
    FociscopeError,
    OutputExistsError,
    one_line,
    printable,
)
from fociscope.files.arrays.zarr_array import KIND, refuse_links
from fociscope.files.ome.zarr import OmeZarrSeries
from fociscope.files.safe.backup import Backup
from fociscope.files.safe.disk import plain_disk_errors, remove
from fociscope.files.safe.limits import decoding
from fociscope.files.safe.locks import discard_leftovers, locked_folder
from fociscope.files.safe.records import write_record
from fociscope.localization import Emitters
from fociscope.results.emitters import (
    EMITTER_FILES,
    EMITTERS_TABLE,
    FRAMES_TABLE,
    emitter_headers,
    emitter_lines,
)
from fociscope.results.foci import CELL_DIAMETER_UM
from fociscope.results.formats import (
    OME_ZARR,
    layer_figures,
    layer_spacing_um,
    zarr_channels,
    zarr_image,
)
from fociscope.results.parts import FILES, check_parts, checksums
from fociscope.results.result import Reconstruction
from fociscope.results.tables import TABLES, Labels, Tables, encoded, header
from fociscope.results.writers import FIGURE, JOURNAL, SUMMARY, result_names
from fociscope.series.finished import read_finished
from fociscope.series.journal import CertainTable, Journal, Totals

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = [
    "SERIES_FORMATS",
    "AppendedFolder",
    "EmittersFolder",
    "SeriesFolder",
    "frame_names",
    "open_folder",
    "open_series_folder",
]

#: What can be written part by part.
SERIES_FORMATS = ("ome-zarr", "csv")
#: For so long a chunk may still be written after zarr has said that another one failed.
STRAY_S = 0.1
#: Of a table that is read for its checksum.
_BLOCK_BYTES = 2**20

Opened = TypeVar("Opened", bound="AppendedFolder")


class AppendedFolder:
    """A folder whose tables grow; `append` of a subclass adds frames, which are then certain."""

    tables: tuple[str, ...] = ()
    """Names of the tables."""

    def __init__(
        self, folder: Path, journal: Journal, *, is_complete: bool, before: Backup
    ) -> None:
        """Take up where the journal ends."""
        self.folder = folder
        self.journal = journal
        self._before = before
        self._digests: dict[str, _Hash] = {}
        self.is_complete = is_complete
        self.frame_px: tuple[int, int] | None = None
        """(y, x) of the frames; None before it is known."""
        self._place = _place_of(folder)

    @property
    def frames(self) -> int:
        """How many frames are on the disk for certain."""
        return self.journal.frames

    def _check_there(self) -> None:
        """Refuse to write where the folder, or a part of it, is not what this run has written.

        Raises:
            FociscopeError: it was removed or replaced meanwhile.
        """
        sizes = {name: certain.bytes for name, certain in self.journal.tables.items()}
        gone: Path | None
        if _place_of(self.folder) != self._place or not (self.folder / JOURNAL).is_file():
            gone = self.folder
        else:
            changed = (name for name, size in sizes.items() if _size_of(self.folder / name) != size)
            gone = next((self.folder / name for name in changed), None) or self._missing_store()
        if gone is not None:
            raise FociscopeError(
                f"{printable(gone)}: removed or replaced while results were written to it; "
                "start again, into another folder or anew",
                fields=("overwrite",),
            )

    def _missing_store(self) -> Path | None:
        """Return what is no table, and should be there and is not."""
        return None

    def _note(self, lines: Mapping[str, str], totals: Totals, store: str | None = None) -> None:
        """Write lines behind the tables, then the journal, with the sums that include them."""
        tables = {}
        for name, text in lines.items():
            length = self._append_lines(self.folder / name, encoded(text))
            digest = self._digests.setdefault(name, hashlib.sha256())
            digest.update(encoded(text))
            tables[name] = CertainTable(bytes=length, sha256=digest.hexdigest())
        noted = {"tables": tables, "totals": totals, "store": store or self.journal.store}
        grown = self.journal.model_copy(update=noted)
        grown.write(self.folder)
        was_empty, self.journal = self.frames == 0, grown
        if was_empty:
            self._before.forget()

    def _append_lines(self, path: Path, lines: bytes) -> int:
        with plain_disk_errors(path), path.open("ab") as stream:
            stream.write(lines)
            stream.flush()
            os.fsync(stream.fileno())
            return stream.tell()

    def _parts(self) -> list[Path]:
        """Return the files and stores that `summary.json` vouches for."""
        names = (OME_ZARR, *TABLES, *EMITTER_FILES)
        return [self.folder / name for name in names if (self.folder / name).exists()]

    def rewind(self, *, again: bool = False) -> None:
        """Cut off what is not certain.

        Args:
            again: whether writers that failed may still be at it; zarr's are, for a moment.

        Raises:
            FociscopeError: the disk refuses, or a file is not the one that the journal vouches for.
        """
        self._digests = {}
        if self.frames == 0:
            for name in (OME_ZARR, *TABLES, *EMITTER_FILES, FIGURE):
                remove(self.folder / name)
            if again:
                self._discard_stray()
            return
        if set(self.journal.tables) != set(self.tables):
            raise self._changed(self.folder / JOURNAL, "vouches for other tables than this series'")
        for name, certain in self.journal.tables.items():
            path = self.folder / name
            with plain_disk_errors(path):
                self._digests[name] = self._checked(path, certain)
        self._check_stores()
        for name, certain in self.journal.tables.items():
            with plain_disk_errors(self.folder / name):
                os.truncate(self.folder / name, certain.bytes)
        self._cut_stores()

    def _checked(self, path: Path, certain: CertainTable) -> _Hash:
        """Return the checksum of a table, if it is a file of its own that begins as it should."""
        if path.is_symlink() or not path.is_file() or path.stat().st_nlink > 1:
            raise self._changed(path, "no file of its own")
        digest, left = hashlib.sha256(), certain.bytes
        with path.open("rb") as stream:
            while left and (block := stream.read(min(left, _BLOCK_BYTES))):
                digest.update(block)
                left -= len(block)
        if left:
            raise self._changed(path, f"shorter than {JOURNAL} says")
        if digest.hexdigest() != certain.sha256:
            raise self._changed(path, f"its checksum is not the one in {JOURNAL}")
        return digest

    @staticmethod
    def _changed(path: Path, why: str) -> FociscopeError:
        return FileFormatError(
            f"{printable(path)}: {why}, so it was changed after the run that wrote it; overwrite "
            "it to start anew",
            fields=("overwrite",),
        )

    def _check_stores(self) -> None:
        """Refuse what is no table and was changed after the run that wrote it."""

    def _discard_stray(self) -> None:
        """Remove what writers that failed may have written since."""

    def _cut_stores(self) -> None:
        """Cut off what is not certain where it is no table."""

    def finish(self, summary: Mapping[str, Any], *, goes_on: bool = False) -> dict[str, Any]:
        """Write `summary.json`; the journal goes, unless the series may go on another time."""
        if not self.is_complete:
            self._check_there()
        said = {**summary, "identity": self.journal.identity, FILES: checksums(self._parts())}
        write_record(self.folder / SUMMARY, said, overwrite=True, indent=2)
        if not goes_on:
            with plain_disk_errors(self.folder):
                (self.folder / JOURNAL).unlink(missing_ok=True)
        self.is_complete = True
        return said

    def read_summary(self) -> dict[str, Any]:
        """Return the summary of a complete series."""
        return read_finished(self.folder)[0]


class SeriesFolder(AppendedFolder):
    """Appends reconstructions to files; use `open_series_folder` to get one."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        *,
        formats: Sequence[str],
        frames_per_chunk: int,
        cell_diameter_um: float,
        is_complete: bool,
        before: Backup,
        interval_s: float | None = None,
    ) -> None:
        """Take up where the journal ends."""
        super().__init__(folder, journal, is_complete=is_complete, before=before)
        self.tables = tuple(TABLES) if "csv" in formats else ()
        self._zarr = OmeZarrSeries(folder / OME_ZARR) if "ome-zarr" in formats else None
        self._frames_per_chunk = frames_per_chunk
        self._cell_diameter_um = cell_diameter_um
        self._interval_s = interval_s

    @property
    def files(self) -> list[Path]:
        """What the folder holds for its reader."""
        names = (*([OME_ZARR] if self._zarr else []), *self.tables, SUMMARY)
        return [self.folder / name for name in names]

    def append(
        self,
        result: Reconstruction,
        names: Sequence[str] = (),
        *,
        labels: Labels | None = None,
        of_frames: Labels | None = None,
    ) -> Tables:
        """Add frames (frame, layer, y, x) and their names; then they are certain.

        Args:
            result: map of the frames.
            names: of their files.
            labels: columns of every table, the same for all frames of the series; without them, the
                times of the frames, if they are known.
            of_frames: further columns of `frames.csv`, the same for all frames of the series.

        Returns:
            The tables of these frames.

        Raises:
            FociscopeError: the disk refuses.
        """
        self._check_there()
        tables = Tables.from_reconstruction(result, cell_diameter_um=self._cell_diameter_um)
        totals, store = self.journal.totals.plus(tables), None
        if self._zarr is not None:
            if self.frames == 0:
                self._create_zarr(self._zarr, result)
            self._zarr.append(zarr_image(result), layer_figures(result))
            store = self.journal.store or self._zarr.described()[0]
        labels = tables.labels if labels is None else labels
        of_frames = of_frames or {}
        text = tables.text(first_frame=self.frames, names=names, labels=labels, of_frames=of_frames)
        is_first = self.frames == 0
        lines = {
            name: (header(name, labels, of_frames) if is_first else "") + text[name]
            for name in self.tables
        }
        self._note(lines, totals, store)
        height, width = result.probability.shape[-2:]
        self.frame_px = (height, width)
        return tables

    def _missing_store(self) -> Path | None:
        is_due = self._zarr is not None and self.frames > 0
        return self.folder / OME_ZARR if is_due and not (self.folder / OME_ZARR).is_dir() else None

    def _create_zarr(self, store: OmeZarrSeries, result: Reconstruction) -> None:
        remove(store.path)
        store.create(
            (3, *result.probability.shape[-3:]),
            list(layer_figures(result)),
            channels=zarr_channels(result),
            pixel_pitch_um=result.imager.square_pitch_um,
            layer_um=layer_spacing_um(result),
            frames_per_chunk=self._frames_per_chunk,
            interval_s=self._interval_s,
            about={"model": result.model, "imager": result.imager.name},
        )

    def _discard_stray(self) -> None:
        """Remove the store once more: zarr's writers may have been at it, for a moment."""
        if self._zarr is not None:
            time.sleep(STRAY_S)
            remove(self.folder / OME_ZARR)

    def _check_stores(self) -> None:
        """Refuse a store that holds links, lacks frames, or is described otherwise than it was."""
        if self._zarr is None:
            return
        store = self._zarr.path
        if store.is_symlink() or not store.is_dir():
            raise self._changed(store, "no folder of its own")
        with decoding(store, KIND):
            refuse_links(store, most_files=None)
            checksum, frames = self._zarr.described()
        if checksum != self.journal.store:
            raise self._changed(store, "it is described otherwise than at first")
        missing = self._zarr.missing_chunk(self.frames)
        if frames < self.frames or missing is not None:
            raise self._changed(missing or store, f"lacks a part of the frames that {JOURNAL} says")

    def _cut_stores(self) -> None:
        """Cut the store to the frames that are certain."""
        if self._zarr is not None:
            self.frame_px = self._zarr.cut(self.frames)

    def finish(self, summary: Mapping[str, Any], *, goes_on: bool = False) -> dict[str, Any]:
        """Write `summary.json`, with the means of all frames."""
        means = {
            "cell_diameter_um": self._cell_diameter_um,
            "series": self.journal.totals.summary(),
        }
        return super().finish({**summary, **means}, goes_on=goes_on)


class EmittersFolder(AppendedFolder):
    """Appends emitters to `emitters.csv` and `frames.csv`; see `open_folder`."""

    tables = (EMITTERS_TABLE, FRAMES_TABLE)

    @property
    def files(self) -> list[Path]:
        """What the folder holds for its reader."""
        names = (EMITTERS_TABLE, FRAMES_TABLE, SUMMARY)
        return [self.folder / name for name in names]

    def append(
        self,
        emitters: Emitters,
        names: Sequence[str] = (),
        *,
        labels: Labels | None = None,
        of_frames: Labels | None = None,
    ) -> None:
        """Add the emitters of frames, and their names; then they are certain.

        Args:
            emitters: of one frame or of many.
            names: of their files; without them, the column stays empty.
            labels: columns of `frames.csv` behind the name, the same for all frames of the series.
            of_frames: its last columns.

        Raises:
            FociscopeError: the disk refuses.
        """
        self._check_there()
        columns = {"labels": labels or {}, "of_frames": of_frames or {}}
        sensors = emitters.background.shape[1]
        lines = emitter_lines(emitters, first_frame=self.frames, names=names, **columns)
        if self.frames == 0:
            headers = emitter_headers(sensors, **columns)
            lines = {name: headers[name] + lines[name] for name in lines}
        frames = self.frames + len(emitters.misfit)
        self._note(lines, self.journal.totals.model_copy(update={"frames": frames}))


@contextmanager
def open_series_folder(
    folder: Path,
    *,
    formats: Sequence[str],
    identity: Mapping[str, str],
    frames_per_chunk: int,
    cell_diameter_um: float = CELL_DIAMETER_UM,
    interval_s: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    inner: Sequence[str] = (),
) -> Iterator[SeriesFolder]:
    """Open a folder for appending maps, and keep other runs out of it.

    Args:
        folder: made if it is not there.
        formats: some of `SERIES_FORMATS`.
        identity: what the results depend on.
        frames_per_chunk: see `OmeZarrSeries.create`.
        cell_diameter_um: of a typical cell, for the number of cells.
        interval_s: between frames, s; None if it is unknown or uneven.
        resume: as for `open_folder`.
        overwrite: as for `open_folder`.
        inner: as for `open_folder`.

    Raises:
        OutputExistsError: the folder holds something, and neither is asked for.
        FociscopeError: another run is writing here, what is here came about otherwise, or the disk
            refuses.
    """
    make = partial(
        SeriesFolder,
        formats=formats,
        frames_per_chunk=frames_per_chunk,
        cell_diameter_um=cell_diameter_um,
        interval_s=interval_s,
    )
    with open_folder(
        folder, make, identity, resume=resume, overwrite=overwrite, inner=inner
    ) as series:
        yield series


@contextmanager
def open_folder(
    folder: Path,
    make: Callable[..., Opened],
    identity: Mapping[str, str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    inner: Sequence[str] = (),
) -> Iterator[Opened]:
    """Open a folder for appending, and keep other runs out of it.

    Args:
        folder: made if it is not there.
        make: class of what is opened.
        identity: what the results depend on.
        resume: go on with what an earlier run has left; start where there is nothing.
        overwrite: let it take the place of what an earlier run has written here, as soon as its
            first frames are certain; until then, failure or a kill leave the earlier run's.
        inner: folders below that hold results of their own, which go together with the others.

    Raises:
        OutputExistsError: the folder holds something, and neither is asked for.
        FociscopeError: another run is writing here, what is here came about otherwise, or the disk
            refuses.
    """
    folder = Path(folder).absolute()
    was_there = folder.exists()
    with locked_folder(folder):
        before = Backup(folder, result_names())
        _mend(folder, before)
        journal, is_complete = _start(folder, dict(identity), resume, overwrite)
        if overwrite and not is_complete:
            before.take(inner)
        series = make(folder, journal, is_complete=is_complete, before=before)
        try:
            if not is_complete:
                series.rewind()
                if series.frames == 0:
                    journal.write(folder)
            yield series
        except BaseException:
            if not series.is_complete:
                with suppress(FociscopeError, OSError):  # the disk may refuse this as well
                    if (folder / JOURNAL).exists():  # may be a part ahead of an interrupted run
                        series.journal = Journal.read(folder)
                    series.rewind(again=True)
            if series.frames == 0:
                with suppress(FociscopeError, OSError):
                    (folder / JOURNAL).unlink(missing_ok=True)
                    before.restore()
                    if not was_there:
                        folder.rmdir()
            raise


def _place_of(folder: Path) -> tuple[int, int] | None:
    """Return the device and number of a folder; None if it is not there."""
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _size_of(path: Path) -> int:
    """Return the bytes of a file; -1 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _mend(folder: Path, before: Backup) -> None:
    """Put in order what a killed run has left."""
    discard_leftovers([folder / name for name in result_names()])
    if not before.holds_something:
        return
    certain = 0
    with suppress(FociscopeError):
        certain = Journal.read(folder).frames
    if certain:
        before.forget()
    else:
        for inner in before.inner:
            with locked_folder(inner):  # ends what was begun there
                pass
        with plain_disk_errors(folder):
            (folder / JOURNAL).unlink(missing_ok=True)
        before.restore()


def _start(
    folder: Path, identity: dict[str, str], resume: bool, overwrite: bool
) -> tuple[Journal, bool]:
    """Return where to go on, and whether nothing is left to do."""
    fresh = Journal(identity=identity)
    if not any(folder.iterdir()):
        return fresh, False
    unfinished, complete = (folder / JOURNAL).exists(), (folder / SUMMARY).exists()
    if resume and unfinished:
        found = Journal.read(folder)
        _check_same(folder, found.identity, identity)
        return found, False
    if resume and complete:
        said, files = read_finished(folder)
        _check_same(folder, said["identity"], identity)
        check_parts(folder, files, (*TABLES, *EMITTER_FILES))
        return fresh, True
    if overwrite:
        return fresh, False
    if unfinished:
        raise OutputExistsError(
            f"{printable(folder)}: holds a series of {Journal.read(folder).frames} frame(s) that "
            "may go on; resume it, or overwrite it to start anew",
            fields=("resume", "overwrite"),
        )
    raise OutputExistsError(
        f"{printable(folder)}: the folder is not empty; choose another or allow overwriting",
        fields=("overwrite",),
    )


def _check_same(folder: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    other = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if other:
        said = [f"{name}{_in_short(found.get(name), wanted.get(name))}" for name in other]
        raise FociscopeError(
            f"{printable(folder)}: what is here was made with another {', '.join(said)}, so it "
            "cannot go on; give what it was made with, or choose another folder."
        )


def _in_short(found: object, wanted: object) -> str:
    """Return both values in brackets, where they are short enough to be read."""
    texts = [str(value) for value in (found, wanted)]
    is_short = all(value is not None for value in (found, wanted)) and max(map(len, texts)) <= 24
    return f" ({printable(texts[0])}, now {printable(texts[1])})" if is_short else ""


def frame_names(folder: Path) -> set[str]:
    """Return the names in a folder's `frames.csv`, as `tables.as_written` gives them."""
    path = folder / FRAMES_TABLE
    if not path.exists():
        return set()
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {str(row["name"]) for row in csv.DictReader(stream)}
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(
            f"{printable(path)}: no table of frames ({one_line(error, 80)}); overwrite it to start "
            "anew",
            fields=("overwrite",),
        ) from None
