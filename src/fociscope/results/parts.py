"""Checksums of the files of a result, in its summary, and whether they hold."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from fociscope.errors import FileFormatError, printable
from fociscope.files.safe.checksum import sha256

__all__ = [
    "FILES",
    "JOURNAL",
    "SUMMARY",
    "SavedFile",
    "SavedFiles",
    "changed_files",
    "check_parts",
    "checksums",
]

SUMMARY = "summary.json"
#: Says how far a long series has come; beside the files of one that goes on.
JOURNAL = "journal.json"

#: Entry of a summary that holds them.
FILES = "files"
#: More files than a result can have.
MOST_FILES = 1000


class SavedFile(BaseModel):
    """A file of a result, or a store of many."""

    name: Annotated[str, Field(pattern=r"^[^./\\\x00][^/\\\x00]*$", max_length=255)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


SavedFiles = Annotated[list[SavedFile], Field(max_length=MOST_FILES)]


def checksums(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Return the name and the SHA-256 of each file or store, ready for JSON."""
    return [{"name": path.name, "sha256": sha256(path)} for path in paths]


def check_parts(folder: Path, stated: Sequence[SavedFile] | None, names: Sequence[str]) -> None:
    """Refuse files of a result that are not as its summary states; those it does not name pass.

    Args:
        folder: Folder of the result.
        stated: What the summary states; None of an earlier version, which stated none.
        names: Names of the files that are to be read.

    Raises:
        FileFormatError: One of them has changed or is missing, or is a link.
    """
    for name, state in changed_files(folder, [one for one in stated or () if one.name in names]):
        raise FileFormatError(
            f"{printable(folder / name)}: {state} since it was written, as its checksum in the "
            "summary beside it says; take it from a copy, or make it again"
        )


def changed_files(
    folder: Path, stated: Sequence[SavedFile], progress: Callable[[int], None] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield name and state of each file that is not as its summary states; links are not followed.

    Args:
        folder: Folder of the result.
        stated: What the summary states.
        progress: Function called with the number of files done.
    """
    for number, one in enumerate(stated):
        if progress is not None:
            progress(number)
        path = folder / one.name
        try:
            state = "" if _is_plain(path) else "no plain file"
            if not state and sha256(path) != one.sha256:
                state = "changed"
        except FileNotFoundError:
            state = "missing"
        except OSError:
            state = "unreadable"
        if state:
            yield one.name, state


def _is_plain(path: Path) -> bool:
    """Whether a path is a file, or a folder that holds only files and folders."""
    mode = path.lstat().st_mode
    if not stat.S_ISDIR(mode):
        return stat.S_ISREG(mode)
    kinds = (entry.lstat().st_mode for entry in path.rglob("*"))
    return all(stat.S_ISREG(kind) or stat.S_ISDIR(kind) for kind in kinds)
