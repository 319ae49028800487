"""The files of a Zarr store: in a folder, or in a ZIP archive that is never unpacked.

Formats: Zarr storage specification (a file per key); NGFF's RFC 9 (`.ozx`, one archive per image);
APPNOTE.TXT of PKWARE.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._zip import check_member, read_directory
from fociscope.files.safe.limits import decoding

__all__ = [
    "DESCRIPTIONS",
    "KIND",
    "DiskFiles",
    "StoreFiles",
    "is_zipped_zarr",
    "opened_files",
    "refuse_links",
]

KIND = "Zarr store"
DESCRIPTIONS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_MOST_FILES = 1_000_000
_LONGEST_DIRECTORY_BYTES = 16 * 2**20


class StoreFiles(Protocol):
    """The files of a store; a key is a path below its root, such as `0/zarr.json`."""

    path: Path
    """The store, for messages."""

    def size(self, key: str) -> int | None:
        """Return the bytes of a file; None if there is nothing of this name, 0 if it is no file."""

    def read(self, key: str) -> bytes:
        """Return the content of a file."""

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading."""

    def children(self, name: str) -> list[str]:
        """Return the names of the folders in a folder."""

    def opened_array(self, name: str, version: int) -> Any:
        """Return the array of this name as zarr opens it, of which all has been checked."""


class DiskFiles:
    """The files of a store in a folder."""

    def __init__(self, path: Path) -> None:
        """Take the folder of the store."""
        self.path = path

    def size(self, key: str) -> int | None:
        """Return the bytes of a file; None if there is nothing of this name, 0 if it is no file."""
        file = self.path / key
        if not file.exists():
            return None
        return file.stat().st_size if file.is_file() else 0

    def read(self, key: str) -> bytes:
        """Return the content of a file."""
        return (self.path / key).read_bytes()

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading."""
        return (self.path / key).open("rb")

    def children(self, name: str) -> list[str]:
        """Return the names of the folders in a folder."""
        with os.scandir(self.path / name) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def opened_array(self, name: str, version: int) -> Any:
        """Return an array; it alone is opened: a group could bring other descriptions of it."""
        import zarr
        from zarr.storage import LocalStore

        store = LocalStore(self.path / name, read_only=True)
        return zarr.open_array(store=store, mode="r", zarr_format=cast(Any, version))


class ZipFiles:
    """The files of a store in a ZIP archive, at its root or in the one folder that it holds."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        """List an open archive; use `opened_files`."""
        self.path, self._archive = path, archive
        members = {one.filename: one for one in archive.infolist() if not one.is_dir()}
        tops = {name.partition("/")[0] for name in members}
        is_inside = len(tops) == 1 and not any(name in members for name in DESCRIPTIONS)
        self._root = f"{tops.pop()}/" if is_inside else ""
        self._members = {name.removeprefix(self._root): one for name, one in members.items()}
        self._children: dict[str, set[str]] = {}
        for name in self._members:
            folder, _, _ = name.rpartition("/")
            while folder:
                above, _, own = folder.rpartition("/")
                if own in self._children.setdefault(above, set()):
                    break
                self._children[above].add(own)
                folder = above

    def size(self, key: str) -> int | None:
        """Return the bytes of a file; None if there is nothing of this name, 0 if it is no file."""
        if key not in self._members:
            return None
        member, where = self._members[key], f"{printable(self.path)}: {key!r:.60}"
        if member.file_size > check_member(where, member):
            raise FileFormatError(
                f"{where} claims {member.file_size} bytes, which its {member.compress_size} cannot "
                "stand for; the archive is damaged or hostile, get it again."
            )
        return member.file_size

    def read(self, key: str) -> bytes:
        """Return the content of a file."""
        return self._archive.read(self._members[key])

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading."""
        return cast(BinaryIO, self._archive.open(self._members[key]))

    def children(self, name: str) -> list[str]:
        """Return the names of the folders in a folder."""
        return sorted(self._children.get(name, ()))

    def opened_array(self, name: str, version: int) -> Any:
        """Return an array; it alone is opened: a group could bring other descriptions of it."""
        import zarr
        from zarr.storage import ZipStore

        store = ZipStore(self.path, mode="r")
        inner = f"{self._root}{name}".strip("/")
        return zarr.open_array(store=store, path=inner, mode="r", zarr_format=cast(Any, version))


def is_zipped_zarr(path: Path) -> bool:
    """Return whether a file is a ZIP archive whose list of members names a Zarr description."""
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return False
    try:
        with decoding(path, "ZIP archive"):
            directory = read_directory(path, _LONGEST_DIRECTORY_BYTES)
    except FileFormatError:
        return False
    return any(name.encode() in directory for name in DESCRIPTIONS)


@contextmanager
def opened_files(path: Path) -> Iterator[StoreFiles]:
    """Open a store: a folder, or a ZIP archive.

    Raises:
        FileFormatError: It holds links, or is no sound archive.
    """
    if path.is_dir():
        with decoding(path, KIND):
            refuse_links(path)
        yield DiskFiles(path)
        return
    with decoding(path, "zipped Zarr store"):
        read_directory(path, _LONGEST_DIRECTORY_BYTES)
        archive = zipfile.ZipFile(path)
    with archive:
        yield ZipFiles(path, archive)


def refuse_links(path: Path, *, most_files: int | None = _MOST_FILES) -> None:
    """Walk the folder; all of it must be folders and regular files of its own.

    Args:
        path: Folder of the store.
        most_files: Number of files that are believed; None for any.

    Raises:
        FileFormatError: it holds a link, a device, or more files than are believed.
    """
    count = 0
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            count += 1
            entry = Path(folder, name)
            mode = entry.lstat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise FileFormatError(
                    f"{printable(path)}: {printable(entry.relative_to(path))} is a link or a "
                    "device, expected plain files; copy what it points to into the store."
                )
            if most_files is not None and count > most_files:
                raise FileFormatError(
                    f"{printable(path)}: more than {most_files} files, expected fewer; save it in "
                    "larger chunks."
                )
