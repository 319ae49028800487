"""One writer for each folder: locks that end with their process, and what killed writers left."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from fociscope.errors import FociscopeError, printable
from fociscope.files.safe.disk import (
    CONTENT,
    hidden_beside,
    plain_disk_errors,
    refuse_full_folder,
    refuse_loop,
    remove,
)
from fociscope.files.safe.overwriting import end_overwriting

if sys.platform != "win32":
    import fcntl

__all__ = ["discard_leftovers", "is_abandoned", "locked_folder", "only_writer", "writing"]

#: What systems and disks say that have no such locks; NFS wants a handle that may write.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


def discard_leftovers(paths: Iterable[Path]) -> list[Path]:
    """Remove what killed writers of `paths` have left beside them.

    Args:
        paths: Files and folders, which need not be there.

    Returns:
        What was removed; what another writer has locked, who is at it, is left alone, and so is
        another user's.
    """
    removed = []
    for path in paths:
        for entry in hidden_beside(path):
            with suppress(OSError):
                if not _is_busy(entry):
                    remove(entry)
                    removed.append(entry)
    return removed


@contextmanager
def locked_folder(path: Path, *, again: bool = False) -> Iterator[None]:
    """Make a folder and keep it to this process for a while; a killed process keeps nothing.

    What a killed writer has begun there is ended first. Where the system or the disk has no such
    locks (Windows, some network disks), nothing is kept. A folder that was made for it is removed
    again if it is still empty.

    Args:
        path: Folder.
        again: Whether this thread may keep it already, for a larger job of which this is a part.

    Raises:
        FociscopeError: another process is writing there, or the disk refuses.
    """
    with plain_disk_errors(path):
        refuse_loop(path)
        if path.exists() and not path.is_dir():
            refuse_full_folder(path, overwrite=True)
        is_new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        about = path.stat()
    place = about.st_dev, about.st_ino
    if place in _written or (again and place in _held.get()):
        yield
        return
    try:
        with _flocked(path) as is_locked:
            if is_locked is False:
                raise _busy(path)
            folder = path.resolve()
            # The last is how earlier versions named the second.
            discard_leftovers([folder, folder / CONTENT, folder / folder.name])
            end_overwriting(folder)
            token = _held.set(_held.get() | {place})
            try:
                yield
            finally:
                _held.reset(token)
    finally:
        if is_new:
            with suppress(OSError):
                path.rmdir()


_held: ContextVar[frozenset[tuple[int, int]]] = ContextVar("held", default=frozenset())
"""Device and number of the folders that this thread has locked."""
_written: set[tuple[int, int]] = set()
"""Device and number of the hidden folders that this process is writing, and has locked as such."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Lock a hidden file for as long as it is written, so that no one takes it for left."""
    with _flocked(path):
        yield


@contextmanager
def only_writer(path: Path, temporary: Path) -> Iterator[None]:
    """Keep the new folder `path` to this process, which writes it as `temporary`.

    What killed writers of it have left beside it is removed.

    Raises:
        FociscopeError: another process is writing it.
    """
    with _flocked(temporary) as is_locked:
        for entry in hidden_beside(path) if is_locked else ():
            if entry == temporary or not entry.is_dir() or entry.is_symlink():
                continue
            if _is_busy(entry):
                raise _busy(path)
            with suppress(OSError):
                remove(entry)
        about = temporary.stat()
        place = about.st_dev, about.st_ino
        _written.add(place)
        try:
            yield
        finally:
            _written.discard(place)


def _is_busy(entry: Path) -> bool:
    """Whether another writer has locked what stands under a hidden name."""
    if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
        return False  # nothing that a writer makes
    try:
        with _flocked(entry) as is_locked:
            return is_locked is False
    except OSError:
        return False  # gone, or not ours to open


def is_abandoned(path: Path) -> bool:
    """Return whether nobody has locked a file or folder, where the system has locks that tell."""
    try:
        with _flocked(path) as is_locked:
            return is_locked is True
    except OSError:
        return False


def _busy(path: Path) -> FociscopeError:
    return FociscopeError(
        f"{printable(path)}: another process is writing into this folder; wait for it, or choose "
        "another folder."
    )


@contextmanager
def _flocked(path: Path) -> Iterator[bool | None]:
    """Lock a file or folder; yield whether it is ours, False for another's, None if none can be."""
    if sys.platform == "win32":
        yield None
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        is_locked: bool | None = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                is_locked = False
            elif error.errno in _NO_LOCKS:
                is_locked = None
            else:
                raise
        yield is_locked
    finally:
        os.close(handle)
