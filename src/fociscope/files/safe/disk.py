"""What all writers share: hidden names, errors of the disk in plain words, syncing, refusals."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fociscope.errors import FociscopeError, OutputExistsError, one_line, printable

__all__ = [
    "CONTENT",
    "hidden_beside",
    "plain_disk_errors",
    "refuse_existing",
    "refuse_full_folder",
    "refuse_loop",
    "remove",
    "sync",
    "sync_files",
    "sync_folder",
    "unused_name",
    "unused_name_in",
]

#: What hidden names of a folder's own content begin with.
CONTENT = "writing"
_ALLOW = "allow overwriting (overwrite=True)"
_DISK_ERRORS = {
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "permission denied; choose a folder you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOSPC: "the disk is full; free some space or choose another disk",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another disk",
    errno.EFBIG: "the file is larger than the disk allows; write fewer frames per file",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "a folder stands where a file should go; choose another path",
    errno.ENOENT: "there is no such folder, and none can be made; choose another path",
    errno.EEXIST: "something of that name is in the way; choose another path",
    errno.ENOTEMPTY: "something of that name is in the way; choose another path",
    errno.ELOOP: "its links lead round in a circle; choose another path",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; nothing need be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unused_name_in(folder: Path) -> Path:
    """Return a hidden name in a folder for its own content, whatever it is called later."""
    return unused_name(folder, folder / CONTENT)


def unused_name(folder: Path, path: Path) -> Path:
    """Return a hidden name in `folder` for `path`, which `discard_leftovers` knows."""
    start, end = _hidden(path)
    return folder / f"{start}{secrets.token_hex(6)}{end}"


def hidden_beside(path: Path) -> list[Path]:
    """Return what stands beside `path` under hidden names of it, where the folder may be read."""
    start, end = _hidden(path)
    name = re.compile(re.escape(start) + "[0-9a-f]{12}" + re.escape(end))
    try:
        return sorted(entry for entry in path.parent.iterdir() if name.fullmatch(entry.name))
    except OSError:
        return []


@contextmanager
def plain_disk_errors(path: Path) -> Iterator[None]:
    """Turn a refusal of the disk into one plain line; other errors pass unchanged."""
    try:
        yield
    except OSError as error:
        # NumPy reports a short write as an OSError without a number.
        full = error.errno is None and " requested and " in str(error)
        advice = _DISK_ERRORS.get(errno.ENOSPC if full else error.errno or 0)
        if advice is None or _is_elsewhere(error.filename, path):
            raise
        raise FociscopeError(
            f"{printable(path)}: cannot be written: {advice} ({one_line(error)})."
        ) from error


def refuse_loop(path: Path) -> None:
    """Refuse a path on which links lead round in a circle: other calls take it for a new one."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse a folder, and a file that exists unless `overwrite` is set."""
    if path.is_dir():
        raise OutputExistsError(
            f"{printable(path)}: this is a folder, expected a file name to write."
        )
    if not overwrite and os.path.lexists(path):
        raise OutputExistsError(
            f"{printable(path)}: exists already; choose another name or {_ALLOW}.",
            fields=("overwrite",),
        )


def refuse_full_folder(path: Path, overwrite: bool) -> None:
    """Refuse a file, and a folder that holds something unless `overwrite` is set."""
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputExistsError(
            f"{printable(path)}: this is a file, expected a folder to write into."
        )
    if not overwrite and any(path.iterdir()):
        raise OutputExistsError(
            f"{printable(path)}: the folder is not empty; choose another or {_ALLOW}.",
            fields=("overwrite",),
        )


def sync(file: Path) -> None:
    """Have a file's content on the disk itself."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def sync_files(folder: Path) -> None:
    """Have the content of all files below a folder on the disk itself."""
    for entry in folder.rglob("*"):
        if not entry.is_dir():
            sync(entry)


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can (Windows cannot)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _hidden(path: Path) -> tuple[str, str]:
    """Return how the hidden names beside `path` start and end; 12 random digits are between."""
    stem, dot, suffixes = path.name.lstrip(".").partition(".")
    return f".{stem[:30]}-", f"{dot}{suffixes[-30:]}"


def _is_elsewhere(named: object, path: Path) -> bool:
    """Whether an error names a file that has nothing to do with writing `path`."""
    if not isinstance(named, str):
        return False
    standing = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    return not Path(named).absolute().is_relative_to(standing)
