"""Output that is either complete or absent: write beside the target, then rename.

A crash, a full disk or Ctrl-C leaves what was there before and no half-written file; what a kill
leaves under hidden names, the next writer of the same name removes or puts in place.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from fociscope.files.safe.disk import (
    plain_disk_errors,
    refuse_existing,
    refuse_full_folder,
    refuse_loop,
    remove,
    sync,
    sync_files,
    sync_folder,
    unused_name,
    unused_name_in,
)
from fociscope.files.safe.locks import discard_leftovers, locked_folder, only_writer, writing
from fociscope.files.safe.overwriting import move_into

__all__ = ["atomic_folder", "atomic_path", "atomic_tree", "check_target"]

#: Where a tree goes while another one takes its place.
_ASIDE = ".{}.before-overwriting"


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
    check_target(path, overwrite)
    with _temporary(path, path.parent) as temporary:
        temporary.touch(exist_ok=False)  # permission trouble shows before the work
        mode = temporary.stat().st_mode
        with writing(temporary):
            yield temporary
            temporary.chmod(mode)  # a writer that makes its file anew may have made it private
            sync(temporary)
            refuse_existing(path, overwrite)
            temporary.replace(path)


def check_target(path: Path, overwrite: bool = False) -> None:
    """Refuse a file that may not be written, before long work; remove what killed writers left.

    Args:
        path: File to write.
        overwrite: Whether a file that exists is replaced.

    Raises:
        OutputExistsError: If `path` exists and `overwrite` is False, or `path` is a folder.
        FociscopeError: If the disk refuses, or `path` is a link in a circle.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.files.safe.atomic import check_target
        >>> check_target(Path("depths.csv"))
    """
    path = Path(path).absolute()
    with plain_disk_errors(path):
        refuse_loop(path)
        discard_leftovers([path])
        refuse_existing(path, overwrite)


@contextmanager
def atomic_folder(
    path: Path, overwrite: bool = False, *, again: bool = False, removes: Sequence[str] = ()
) -> Iterator[Path]:
    """Yield a fresh temporary folder whose content becomes the folder `path` on success.

    A new `path` appears by one rename. In a folder that exists, files of the same names go aside
    before the new ones come in, so that old and new are never side by side; if one of them cannot
    move, all is put back. If the process is killed meanwhile, the next writer of the folder ends
    it. Files of other names there are left alone.

    Args:
        path: Folder to write.
        overwrite: Whether to write into a folder that is not empty, replacing files of the same
            names.
        again: Whether this thread may keep the folder already (`locked_folder`).
        removes: Names of all that such content may consist of, which mean nothing beside the new
            files; those that are not written anew are removed.

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
        refuse_loop(path)
        path = path.resolve()  # a link to a folder stays a link
        exists = path.exists()
        if exists and not path.is_dir():
            refuse_full_folder(path, overwrite)
    # Inside a folder that exists, the temporary one is sure to be on the same disk.
    with (
        locked_folder(path, again=again) if exists else nullcontext(),
        _temporary(path, path if exists else path.parent) as temporary,
    ):
        refuse_full_folder(path, overwrite)
        temporary.mkdir()
        with nullcontext() if exists else only_writer(path, temporary):
            yield temporary
            sync_files(temporary)
            if exists:
                move_into(path, temporary, removes)
            else:
                refuse_full_folder(path, overwrite)
                temporary.rename(path)
                sync_folder(path)


@contextmanager
def atomic_tree(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a fresh temporary folder that becomes `path` as a whole on success.

    Unlike with `atomic_folder`, nothing of a folder that was there stays: it is one thing, such as
    a Zarr store. If the process is killed between the last two renames, `path` is absent until its
    next writer puts back what was there, but never mixed.

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
        refuse_loop(path)
        discard_leftovers([path])
        aside = path.with_name(_ASIDE.format(path.name))
        if os.path.lexists(path):
            remove(aside)
        elif os.path.lexists(aside):
            aside.rename(path)
        refuse_full_folder(path, overwrite)
    with _temporary(path, path.parent) as temporary:
        temporary.mkdir()
        with writing(temporary):
            yield temporary
            sync_files(temporary)
            refuse_full_folder(path, overwrite)
            if os.path.lexists(path):
                path.rename(aside)
            try:
                temporary.rename(path)
            except BaseException:
                if os.path.lexists(aside):
                    aside.rename(path)
                raise
            with suppress(OSError):
                remove(aside)


@contextmanager
def _temporary(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a hidden name in `folder` for what `path` is to hold; whatever stays is removed.

    Parent folders are made for the time of the body, and kept if it succeeds.
    """
    with plain_disk_errors(path), _parents_of(path):
        temporary = unused_name_in(path) if folder == path else unused_name(folder, path)
        try:
            yield temporary
        finally:
            with suppress(OSError):
                remove(temporary)
        sync_folder(folder)


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
