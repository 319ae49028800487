"""What a `Reconstruction` becomes on the disk: a table of writers, open to users and plug-ins.

Series that do not fit into memory are written by `fociscope.series.series`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fociscope.errors import FociscopeError
from fociscope.files.safe.atomic import atomic_folder
from fociscope.files.safe.backup import BACKUP, Backup
from fociscope.files.safe.locks import locked_folder
from fociscope.files.safe.records import write_record
from fociscope.registry import Registry, unknown_name
from fociscope.results._layered_map import LayeredMap
from fociscope.results.emitters import EMITTER_FILES
from fociscope.results.foci import CELL_DIAMETER_UM
from fociscope.results.formats import (
    MAT,
    NPZ,
    OME_TIFFS,
    OME_ZARR,
    MapContent,
    write_csv,
    write_mat,
    write_npz,
    write_ome_tiffs,
    write_zarr,
)
from fociscope.results.parts import FILES, JOURNAL, SUMMARY, checksums
from fociscope.results.summary import summarise
from fociscope.results.tables import TABLES, Tables

__all__ = [
    "DEFAULT_FORMATS",
    "FIGURE",
    "JOURNAL",
    "OME_ZARR",
    "SUMMARY",
    "WRITERS",
    "Writer",
    "check_formats",
    "result_folder",
    "result_names",
    "write_result",
    "writer_names",
]

DEFAULT_FORMATS: tuple[str, ...] = ("ome-tiff", "csv")
FIGURE = "figure.png"


@dataclass(frozen=True)
class Writer:
    """A format in which maps are written, by the name under which `WRITERS` holds it.

    `Reconstruction.save(formats=...)`, the workflows and the command line write any registered
    format. Files are written into a folder that appears as a whole or not at all, so that a writer
    need not care for a disk that is full; it raises `OSError` or `FociscopeError` if it cannot go
    on.

    Attributes:
        label: One line on what the format holds, for help texts.
        files: Names of all files, or folders, that it writes.
        write: Writes the content into a folder that is there.
        takes_series: Whether the files may hold a series; if not, only one capture is accepted.

    Examples:
        >>> import numpy as np
        >>> from fociscope.results import WRITERS, Writer
        >>> def write_presence(content, folder):
        ...     np.savetxt(folder / "presence.txt", np.atleast_2d(content.result.presence))
        >>> WRITERS.register(
        ...     "presence", Writer("presence of each layer", ("presence.txt",), write_presence)
        ... )
        >>> WRITERS["presence"].files
        ('presence.txt',)
        >>> WRITERS.unregister("presence")
    """

    label: str
    files: tuple[str, ...]
    write: Callable[[MapContent, Path], None]
    takes_series: bool = True


WRITERS: Registry[Writer] = Registry("format", group="fociscope.writers")
"""Formats in which results are written, by name, in the order in which they are written."""
WRITERS.register(
    "ome-tiff", Writer("probability, intensity, depth map as images", OME_TIFFS, write_ome_tiffs)
)
WRITERS.register("ome-zarr", Writer("the same as one store of chunks", (OME_ZARR,), write_zarr))
WRITERS.register("mat", Writer("the published layout, for MATLAB", (MAT,), write_mat))
WRITERS.register("npz", Writer("all arrays, for NumPy", (NPZ,), write_npz))
WRITERS.register("csv", Writer("tables of frames, layers and foci", tuple(TABLES), write_csv))


def writer_names() -> tuple[str, ...]:
    """Return the names of the formats that results can be written in.

    A series too long for memory is written part by part, which only `SERIES_FORMATS` of
    `fociscope.series.folder` allow.

    Returns:
        Names, plug-ins last.

    Examples:
        >>> from fociscope.results import writer_names
        >>> writer_names()
        ('ome-tiff', 'ome-zarr', 'mat', 'npz', 'csv')
    """
    return tuple(WRITERS)


def result_names() -> tuple[str, ...]:
    """Return the names of all that a result may consist of, what vouches for the others first.

    None of them means anything beside files of another result.
    """
    written = (name for writer in WRITERS.values() for name in writer.files)
    return tuple(dict.fromkeys((JOURNAL, SUMMARY, *written, *TABLES, *EMITTER_FILES, FIGURE)))


@contextmanager
def result_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder whose content takes the place of a result, as `atomic_folder` does.

    Args:
        folder: Folder of the result.
        overwrite: Whether one that is there is replaced, in whatever formats. What a series that
            was to take its place had set aside when it was killed comes back before.

    Raises:
        OutputExistsError: If the folder holds something and `overwrite` is not set.
        FociscopeError: If another process is writing there, or the disk refuses.
    """
    names = result_names()
    if overwrite and (folder / BACKUP).exists():
        with locked_folder(folder):
            Backup(folder, names).restore()
    with atomic_folder(folder, overwrite, removes=names) as part:
        yield part


def check_formats(formats: Sequence[str], possible: Sequence[str] | None = None) -> None:
    """Refuse names of unknown formats.

    Args:
        formats: Names of formats.
        possible: Names to choose among; None for all of `WRITERS`.

    Raises:
        FociscopeError: If a format is not among those possible.
    """
    names = writer_names() if possible is None else tuple(possible)
    unknown = sorted(set(formats) - set(names))
    if unknown:
        raise unknown_name("format of results", unknown[0], names, field="formats")


def write_result(
    result: LayeredMap,
    folder: Path,
    formats: Sequence[str],
    *,
    cell_diameter_um: float = CELL_DIAMETER_UM,
    names: Sequence[str] = (),
    **more: Any,
) -> list[Path]:
    """Write the files of `formats` and `summary.json` into a folder that is there.

    Args:
        result: Map of one capture, or of a series with one axis of frames.
        folder: Folder to write into.
        formats: Names in `WRITERS`.
        cell_diameter_um: Diameter of a typical cell, in um, for the number of cells.
        names: Names of the frames' files, for `frames.csv`.
        more: Further entries of the summary, such as the inputs.

    Returns:
        Paths of the files, `summary.json` last.

    Raises:
        FociscopeError: If a format is unknown or does not hold a series, if there is more than one
            leading axis, or if the disk refuses.
    """
    check_formats(formats)
    if result.probability.ndim > 4:
        raise FociscopeError("files hold one capture or one series; save each series by itself")
    if names and not result.names:
        result = replace(result, names=tuple(names))
    writers = {name: writer for name, writer in WRITERS.items() if name in formats}
    if result.probability.ndim == 4:
        _refuse_series(writers)
    tables = Tables.from_reconstruction(result, cell_diameter_um=cell_diameter_um)
    content = MapContent(result, tables, result.names)
    written = []
    for name, writer in writers.items():
        writer.write(content, folder)
        written += _files_of(name, writer, folder)
    summary = {
        **more,
        "cell_diameter_um": cell_diameter_um,
        **summarise(result, tables),
        FILES: checksums(written),
    }
    write_record(folder / SUMMARY, summary, indent=2)
    return [*written, folder / SUMMARY]


def _refuse_series(writers: dict[str, Writer]) -> None:
    single = [name for name, writer in writers.items() if not writer.takes_series]
    if single:
        raise FociscopeError(
            f"the format {', '.join(single)} holds one capture and this is a series; save each "
            "frame by itself (result.frame(n)), or choose another format",
            fields=("formats",),
            value=single[0],
        )


def _files_of(name: str, writer: Writer, folder: Path) -> list[Path]:
    """Return the files of a format; a writer must have written each one that it names."""
    paths = [folder / file for file in writer.files]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise FociscopeError(
            f"the writer of the format {name} has not written {', '.join(missing)}, which its "
            "files name; correct its write or its files"
        )
    return paths
