"""Whether the files of a data set are there and as they were written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fociscope.errors import FileFormatError, printable
from fociscope.files import list_suffixes
from fociscope.files.safe.checksum import sha256, total_bytes
from fociscope.simulation.dataset_record import (
    RECORD_NAME,
    DatasetRecord,
    FileRecord,
    has_record,
    read_record,
)

__all__ = ["FileState", "SetState", "check_dataset", "dataset_files", "file_state"]

FileState = Literal["whole", "damaged", "missing"]


@dataclass(frozen=True)
class SetState:
    """What is in the folder of a data set, held against its `dataset.json`."""

    record: DatasetRecord
    states: dict[str, FileState]
    """Recorded file -> how it is."""
    not_made: tuple[str, ...]
    """Planned files that were never recorded: the set was interrupted."""
    extra: tuple[str, ...]
    """Files of the layout's formats that no one recorded."""

    @property
    def is_sound(self) -> bool:
        """Whether all planned files are whole, and nothing else is beside them."""
        whole = all(state == "whole" for state in self.states.values())
        return whole and not self.not_made and not self.extra


def dataset_files(folder: Path) -> list[Path]:
    """Return the files of a data set: those that `dataset.json` records, else all by their suffix.

    Raises:
        FileFormatError: there is none, or a recorded one is missing or not as it was written.
    """
    if has_record(folder):
        record = read_record(folder)
        paths = [folder / file.name for file in record.files]
        for path, file in zip(paths, record.files, strict=True):
            state = file_state(folder, file)
            if state != "whole":
                raise FileFormatError(
                    f"{printable(path)}: {state}, not the file that {RECORD_NAME} records; resume "
                    "the simulation of the set to make it again"
                )
    else:
        paths = _layout_files(folder)
    if not paths:
        raise FileFormatError(
            f"{printable(folder)}: no file of the published layout here, expected "
            f"{', '.join(list_suffixes('dataset'))}."
        )
    return paths


def check_dataset(folder: Path, progress: Callable[[int, int], None] | None = None) -> SetState:
    """Compute the checksums of a data set and compare.

    Args:
        folder: of the set.
        progress: called with the bytes read and their total.

    Raises:
        FileFormatError: `dataset.json` is missing or damaged.
    """
    record = read_record(folder)
    total = sum(file.bytes for file in record.files)
    states: dict[str, FileState] = {}
    done = 0
    for file in record.files:
        states[file.name] = file_state(folder, file)
        done += file.bytes
        if progress is not None:
            progress(done, total)
    planned = [record.plan.file_name(index) for index in range(record.plan.files)]
    return SetState(
        record=record,
        states=states,
        not_made=tuple(name for name in planned if name not in states),
        extra=tuple(p.name for p in _layout_files(folder) if p.name not in states),
    )


def file_state(folder: Path, file: FileRecord) -> FileState:
    """Return whether a recorded file is there with its recorded content."""
    path = folder / file.name
    if not path.exists():
        return "missing"
    try:
        is_same = total_bytes(path) == file.bytes and sha256(path) == file.sha256
    except OSError:  # a store that holds links in a circle, or what may not be read
        is_same = False
    return "whole" if is_same else "damaged"


def _layout_files(folder: Path) -> list[Path]:
    """Return what looks like a file of the layout, by numbers where names are numbers."""
    suffixes = list_suffixes("dataset")
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda p: (len(p.stem) if p.stem.isdigit() else 99, p.name))
