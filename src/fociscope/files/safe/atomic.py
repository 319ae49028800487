"""Output that is either complete or absent: write beside the target, then rename.

A crash, a full disk or Ctrl-C leaves what was there before and no half-written file.
"""

import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path

from fociscope.errors import FociscopeError, OutputExistsError, one_line, printable

if sys.platform != "win32":
    import fcntl

__all__ = [
    "atomic_folder",
    "atomic_path",
    "atomic_tree",
    "discard_leftovers",
    "locked_folder",
    "plain_disk_errors",
    "remove",
    "unused_name",
]

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
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


@contextmanager
def atomic_path(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary file path beside `path`, with its suffix; rename it on success.

    Missing parent folders are made, and removed again on failure.

    Args:
        path: File to write.
        overwrite: Whether a file that exists is replaced.

    Yields:
        Path of an empty file, to be written in place of `path`.

    Raises:
        OutputExistsError: If `path` exists and `overwrite` is False, or `path` is a folder.
        FociscopeError: If the disk refuses (permission, full, read-only).

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.files import atomic_path
        >>> with atomic_path(Path("out/depths.csv")) as part:
        ...     _ = part.write_text("depth_um\\n250\\n")
        >>> Path("out/depths.csv").read_text()
        'depth_um\\n250\\n'
    """
    path = Path(path).absolute()
    with plain_disk_errors(path):
        _refuse_loop(path)
        _refuse_existing(path, overwrite)
    with _temporary(path, path.parent) as temporary:
        temporary.touch(exist_ok=False)  # permission trouble shows before the work
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # a writer that makes its file anew may have made it private
        _sync(temporary)
        _refuse_existing(path, overwrite)
        temporary.replace(path)


@contextmanager
def atomic_folder(
    path: Path, overwrite: bool = False, *, again: bool = False, removes: Sequence[str] = ()
) -> Iterator[Path]:
    """Yield a fresh temporary folder whose content becomes the folder `path` on success.

    A new `path` appears by one rename. Into a folder that exists, the files move one by one, each
    by an atomic rename, and a Zarr store as a whole; if one of them cannot move, those before it
    are put back. Files of other names there are left alone.

    Args:
        path: Folder to write.
        overwrite: Whether to write into a folder that is not empty, replacing files of the same
            names.
        again: Whether this thread may keep the folder already (`locked_folder`).
        removes: Names that mean nothing once the new files are there; they are removed.

    Yields:
        Path of an empty folder, to be filled in place of `path`.

    Raises:
        OutputExistsError: If `path` is a file, or holds something and `overwrite` is False.
        FociscopeError: If another process is writing there, or the disk refuses (permission, full,
            read-only).

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.files import atomic_folder
        >>> with atomic_folder(Path("map")) as part:
        ...     _ = (part / "summary.json").write_text("{}")
        >>> [file.name for file in Path("map").iterdir()]
        ['summary.json']
    """
    path = Path(path).absolute()
    with plain_disk_errors(path):
        _refuse_loop(path)
        path = path.resolve()  # a link to a folder stays a link
        exists = path.exists()
        if exists and not path.is_dir():
            _refuse_full_folder(path, overwrite)
    # Inside a folder that exists, the temporary one is sure to be on the same disk.
    with (
        locked_folder(path, again=again) if exists else nullcontext(),
        _temporary(path, path if exists else path.parent) as temporary,
    ):
        if exists:
            discard_leftovers([path / path.name])  # of a run that was killed
        _refuse_full_folder(path, overwrite)
        temporary.mkdir()
        with nullcontext() if exists else _only_writer(path, temporary):
            yield temporary
            _sync_files(temporary)
            if exists:
                _move_into(path, temporary, removes)
            else:
                _refuse_full_folder(path, overwrite)
                temporary.rename(path)
                _sync_folder(path)


@contextmanager
def atomic_tree(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a fresh temporary folder that becomes `path` as a whole on success.

    Unlike with `atomic_folder`, nothing of a folder that was there stays: it is one thing, such as
    a Zarr store. If the process is killed between the last two renames, `path` is absent, but
    never mixed.

    Args:
        path: Folder to write.
        overwrite: Whether a folder that exists is replaced.

    Yields:
        Path of an empty folder, to be filled in place of `path`.

    Raises:
        OutputExistsError: If `path` exists and `overwrite` is False, or `path` is a file.
        FociscopeError: If the disk refuses (permission, full, read-only).

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.files import atomic_tree
        >>> with atomic_tree(Path("scenes.zarr")) as part:
        ...     _ = (part / "zarr.json").write_text("{}")
        >>> Path("scenes.zarr/zarr.json").read_text()
        '{}'
    """
    path = Path(path).absolute()
    with plain_disk_errors(path):
        _refuse_loop(path)
        _refuse_full_folder(path, overwrite)
    with _temporary(path, path.parent) as temporary:
        temporary.mkdir()
        yield temporary
        _sync_files(temporary)
        _refuse_full_folder(path, overwrite)
        old = unused_name(path.parent, path)
        if os.path.lexists(path):
            path.rename(old)
        try:
            temporary.rename(path)
        except BaseException:
            if os.path.lexists(old):
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def discard_leftovers(paths: Iterable[Path]) -> list[Path]:
    """Remove what killed writers of `paths` have left beside them; return what was removed."""
    removed = []
    for path in paths:
        for entry in _hidden_beside(path):
            removed.append(entry)
            remove(entry)
    return removed


@contextmanager
def locked_folder(path: Path, *, again: bool = False) -> Iterator[None]:
    """Make a folder and keep it to this process for a while; a killed process keeps nothing.

    Where the system or the disk has no such locks (Windows, some network disks), nothing is kept. A
    folder that was made for it is removed again if it is still empty.

    Args:
        path: Folder.
        again: Whether this thread may keep it already, for a larger job of which this is a part.

    Raises:
        FociscopeError: another process is writing there, or the disk refuses.
    """
    with plain_disk_errors(path):
        _refuse_loop(path)
        if path.exists() and not path.is_dir():
            _refuse_full_folder(path, overwrite=True)
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


def _busy(path: Path) -> FociscopeError:
    return FociscopeError(
        f"{printable(path)}: another process is writing into this folder; wait for it, or choose "
        "another folder."
    )


@contextmanager
def _flocked(path: Path) -> Iterator[bool | None]:
    """Lock a folder; yield whether it is ours, False for another's, None where none can be."""
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


@contextmanager
def _only_writer(path: Path, temporary: Path) -> Iterator[None]:
    """Keep the new folder `path` to this process, which writes it as `temporary`.

    What killed writers of it have left beside it is removed.

    Raises:
        FociscopeError: another process is writing it.
    """
    with _flocked(temporary) as is_locked:
        for entry in _hidden_beside(path) if is_locked else ():
            if entry == temporary or not entry.is_dir() or entry.is_symlink():
                continue
            with suppress(FileNotFoundError), _flocked(entry) as is_left:
                if is_left is False:
                    raise _busy(path)
                if is_left:
                    shutil.rmtree(entry, ignore_errors=True)
        about = temporary.stat()
        place = about.st_dev, about.st_ino
        _written.add(place)
        try:
            yield
        finally:
            _written.discard(place)


def _hidden_beside(path: Path) -> list[Path]:
    """Return what stands beside `path` under hidden names of it."""
    start, end = _hidden(path)
    name = re.compile(re.escape(start) + "[0-9a-f]{12}" + re.escape(end))
    entries = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    return [entry for entry in entries if name.fullmatch(entry.name)]


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; nothing need be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unused_name(folder: Path, path: Path) -> Path:
    """Return a hidden name in `folder` for `path`, which `discard_leftovers` knows."""
    start, end = _hidden(path)
    return folder / f"{start}{secrets.token_hex(6)}{end}"


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


@contextmanager
def _temporary(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a hidden name in `folder` for what becomes `path`; whatever stays there is removed.

    Parent folders are made for the time of the body, and kept if it succeeds.
    """
    with plain_disk_errors(path), _parents_of(path):
        temporary = unused_name(folder, path)
        try:
            yield temporary
        finally:
            with suppress(OSError):
                remove(temporary)
        _sync_folder(folder)


def _refuse_loop(path: Path) -> None:
    """Refuse a path on which links lead round in a circle: other calls take it for a new one."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise OutputExistsError(
            f"{printable(path)}: this is a folder, expected a file name to write."
        )
    if not overwrite and os.path.lexists(path):
        raise OutputExistsError(
            f"{printable(path)}: exists already; choose another name or {_ALLOW}.",
            fields=("overwrite",),
        )


def _refuse_full_folder(path: Path, overwrite: bool) -> None:
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


def _move_into(path: Path, temporary: Path, removes: Sequence[str]) -> None:
    """Move what is in `temporary` to its places under `path`; on failure, all is as before."""
    moves = [(entry, path / entry.relative_to(temporary)) for entry in _units(temporary)]
    for entry, target in moves:
        _refuse_another_kind(entry, target, path)
    before = unused_name(path, path)
    before.mkdir()
    done: list[tuple[Path, Path]] = []
    try:
        for number, (entry, target) in enumerate(moves):
            kept = before / str(number)
            target.parent.mkdir(parents=True, exist_ok=True)
            done.append((kept, target))
            if os.path.lexists(target):
                _keep(target, kept)
            entry.replace(target)
        for name in removes:
            if os.path.lexists(path / name):
                done.append((before / name, path / name))
                (path / name).replace(before / name)
    except BaseException:
        for kept, target in reversed(done):
            if os.path.lexists(kept):
                remove(target)
                kept.replace(target)
            elif not os.path.lexists(temporary / target.relative_to(path)):
                remove(target)  # it was new
        raise
    finally:
        shutil.rmtree(before, ignore_errors=True)


def _units(folder: Path) -> Iterator[Path]:
    """Yield what moves as a whole: files, and Zarr stores, whose files mean nothing alone."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and entry.suffix != ".zarr":
            yield from _units(entry)
        else:
            yield entry


def _refuse_another_kind(entry: Path, target: Path, top: Path) -> None:
    """Refuse a file in the place of a folder, and a folder in that of a file."""
    if os.path.lexists(target) and target.is_dir() != entry.is_dir():
        number = errno.EISDIR if target.is_dir() else errno.ENOTDIR
        raise OSError(number, os.strerror(number), str(target))
    for folder in target.parents:
        if folder == top:
            return
        if os.path.lexists(folder) and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def _keep(target: Path, kept: Path) -> None:
    """Have `target` under another name, too; a file stays in its place until it is replaced."""
    try:
        os.link(target, kept, follow_symlinks=False)
    except OSError:  # a folder, or a disk without hard links
        target.rename(kept)


def _hidden(path: Path) -> tuple[str, str]:
    """Return how the hidden names beside `path` start and end; 12 random digits are between."""
    stem, dot, suffixes = path.name.lstrip(".").partition(".")
    return f".{stem[:30]}-", f"{dot}{suffixes[-30:]}"


@contextmanager
def _parents_of(path: Path) -> Iterator[None]:
    """Make the missing folders above `path`; remove them again if the body fails."""
    missing = []
    folder = path.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def _is_elsewhere(named: object, path: Path) -> bool:
    """Whether an error names a file that has nothing to do with writing `path`."""
    if not isinstance(named, str):
        return False
    standing = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    return not Path(named).absolute().is_relative_to(standing)


def _sync(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_files(folder: Path) -> None:
    for entry in folder.rglob("*"):
        if not entry.is_dir():
            _sync(entry)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can (Windows cannot)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
