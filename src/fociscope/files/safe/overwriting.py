"""A whole new content for a folder that exists: the old goes aside, then the new comes in.

All of it happens below one hidden folder, so that a kill at any moment leaves a state that the next
writer of the folder can tell: in `old` lies what has gone aside; the new content lies in `waiting`
until all of the old is there, and in `new` from then on. Out of `waiting`, the old content comes
back; out of `new`, the rest of the new one comes in. Old and new files are never side by side.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fociscope.errors import FociscopeError, printable
from fociscope.files.safe.disk import plain_disk_errors, remove, sync_folder, unused_name_in

__all__ = ["OVERWRITING", "end_overwriting", "move_into"]

#: The hidden folder.
OVERWRITING = ".overwriting"
OLD, WAITING, NEW = "old", "waiting", "new"


def move_into(path: Path, temporary: Path, removes: Sequence[str]) -> None:
    """Move what is in `temporary` to its places under `path`; on failure, all is as before.

    Args:
        path: Folder that this process has locked.
        temporary: Folder on the same disk, its files synced.
        removes: Names that go aside as well, as they mean nothing beside the new content.
    """
    names = [entry.relative_to(temporary) for entry in _units(temporary)]
    for name in names:
        _refuse_another_kind(temporary / name, path / name, path)
    leaving = dict.fromkeys([*names, *map(Path, removes)])
    place, done = path / OVERWRITING, []
    place.mkdir()
    (place / OLD).mkdir()
    temporary.replace(place / WAITING)
    try:
        for name in sorted(leaving, key=_is_description, reverse=True):
            if os.path.lexists(path / name):
                _put(path / name, place / OLD / name)
        (place / WAITING).replace(place / NEW)
        sync_folder(place)
        for name in sorted(names, key=_is_description):
            done.append(name)
            _put(place / NEW / name, path / name)
    except BaseException:
        for name in reversed(done):
            if not os.path.lexists(place / NEW / name):
                _put(path / name, place / NEW / name)
        if (place / NEW).exists():
            (place / NEW).replace(place / WAITING)
        _bring(place / OLD, path)
        _clear(path)
        raise
    _clear(path)


def end_overwriting(path: Path) -> None:
    """End what a killed writer has begun in a folder that this process has locked.

    Args:
        path: Folder.

    Raises:
        FociscopeError: The disk refuses, or a folder in it has become a link.
    """
    place = path / OVERWRITING
    if not _is_folder(place):
        return
    with plain_disk_errors(path):
        source = place / (NEW if _is_folder(place / NEW) else OLD)
        if _is_folder(source):
            _refuse_links(source, path)
            _bring(source, path)
        _clear(path)


def _bring(source: Path, path: Path) -> None:
    """Move all that is in `source` to its places under `path`, what describes the rest last."""
    names = [entry.relative_to(source) for entry in _units(source)]
    for name in sorted(names, key=_is_description):
        _put(source / name, path / name)


def _clear(path: Path) -> None:
    """Remove the hidden folder, at once for whoever looks."""
    doomed = unused_name_in(path)
    (path / OVERWRITING).replace(doomed)
    remove(doomed)


def _put(entry: Path, target: Path) -> None:
    """Move a unit to its place, instead of what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if _is_folder(target):
        remove(target)
    entry.replace(target)


def _is_description(name: Path) -> int:
    """Return how late a file comes, as it vouches for others: JSON behind data, TOML behind it."""
    late = {".json": 1, ".toml": 2}
    return late.get(name.suffix.lower(), 0) if len(name.parts) == 1 else 0


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _units(folder: Path) -> Iterator[Path]:
    """Yield what moves as a whole: files, Zarr stores, whose files mean nothing alone, and links.

    So do hidden folders, which are other writers' own.
    """
    for entry in sorted(folder.iterdir()):
        is_one = entry.suffix == ".zarr" or entry.name.startswith(".")
        if _is_folder(entry) and not is_one:
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


def _refuse_links(source: Path, path: Path) -> None:
    """Refuse to put back by way of a link: someone has prepared it, for no writer makes one."""
    for entry in _units(source):
        for folder in (path / entry.relative_to(source)).parents:
            if folder == path:
                break
            if folder.is_symlink():
                raise FociscopeError(
                    f"{printable(folder)}: a link, expected a folder, into which a run that was "
                    f"killed was moving its results; remove the link, or {OVERWRITING} beside it"
                )
