"""What an earlier run has left in a folder, kept until what takes its place is certain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fociscope.errors import FociscopeError, printable
from fociscope.files.safe.disk import plain_disk_errors, remove, unused_name_in

__all__ = ["BACKUP", "Backup"]

#: The hidden place in a folder, and what lies in it once all is there.
BACKUP = ".before-overwriting"
TAKEN = ".taken"


class Backup:
    """A hidden place in a folder; the folder must be kept to one process (`locked_folder`).

    Where the new content grows, this is what `overwriting.move_into` is for one that is whole. New
    files come only once all of the old ones have gone, so that both are never side by side.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """Know the place; nothing is made.

        Args:
            folder: where it is.
            names: of what may be put there and of what takes its place, the first that goes being
                the last that comes back, so that it vouches for the others.
        """
        self._folder, self._names = folder, tuple(names)
        self._place = folder / BACKUP

    @property
    def holds_something(self) -> bool:
        """Whether something lies there: of this run, or of one that was killed."""
        return self._place.is_dir() and not self._place.is_symlink()

    @property
    def inner(self) -> list[Path]:
        """The folders below that something was taken from.

        Raises:
            FociscopeError: one of them is a link now.
        """
        held = self._held() if self.holds_something else {}
        return [self._folder / place for place in held if place != "."]

    def take(self, inner: Sequence[str] = ()) -> None:
        """Put files and folders there, as far as they exist; all of them or none.

        Args:
            inner: Folders below, whose files of the same names go as well, unless they are links.

        Raises:
            FociscopeError: the disk refuses.
        """
        try:
            with plain_disk_errors(self._folder):
                if self._place.is_symlink():
                    self._place.unlink()  # what it leads to is no place of ours
                self._place.mkdir(exist_ok=True)
                for place in ("", *inner):
                    if self._link_above(place) is not None:
                        continue
                    (self._place / place).mkdir(parents=True, exist_ok=True)
                    for name in self._names:
                        if os.path.lexists(self._folder / place / name):
                            (self._folder / place / name).replace(self._place / place / name)
                (self._place / TAKEN).touch()
        except BaseException:
            with suppress(FociscopeError):
                self.restore()
            raise

    def restore(self) -> None:
        """Put all back in its place, instead of what has come there since.

        Raises:
            FociscopeError: the disk refuses, or a folder has become a link.
        """
        if not self.holds_something:
            return
        held = self._held()
        with plain_disk_errors(self._folder):
            if (self._place / TAKEN).exists():  # so that what has these names now is new
                for place, names in held.items():
                    for name in dict.fromkeys([*self._names, *names]):
                        remove(self._folder / place / name)
                (self._place / TAKEN).unlink()
            for place, names in reversed(held.items()):
                for name in sorted(names, key=self._order, reverse=True):
                    (self._folder / place).mkdir(parents=True, exist_ok=True)
                    remove(self._folder / place / name)
                    (self._place / place / name).replace(self._folder / place / name)
                with suppress(OSError):
                    (self._folder / place).rmdir()  # it was new
            self._discard()

    def forget(self) -> None:
        """Remove it for good.

        Raises:
            FociscopeError: the disk refuses.
        """
        if self.holds_something:
            with plain_disk_errors(self._folder):
                self._discard()

    def _discard(self) -> None:
        """Remove the place, at once, so that never a part of it is given back."""
        doomed = unused_name_in(self._folder)
        self._place.replace(doomed)
        remove(doomed)

    def _order(self, name: str) -> int:
        """Return how early a name is: those of other kinds of content come last."""
        return self._names.index(name) if name in self._names else len(self._names)

    def _held(self) -> dict[str, list[str]]:
        """Return folder below -> names that were taken from it, each behind those above it.

        Raises:
            FociscopeError: one of the folders is a link now.
        """
        found: dict[str, list[str]] = {}
        for path, folders, files in os.walk(self._place):
            place = Path(path).relative_to(self._place).as_posix()
            link = self._link_above(place)
            if link is not None:
                raise FociscopeError(
                    f"{printable(link)}: a link, expected a folder, from which a run that was "
                    f"killed has put results aside; remove the link, or {BACKUP} beside it"
                )
            whole = [n for n in folders if n.endswith(".zarr") or (Path(path) / n).is_symlink()]
            folders[:] = sorted(set(folders) - set(whole))
            found[place] = sorted({*files, *whole} - {TAKEN})
        return found

    def _link_above(self, place: str) -> Path | None:
        """Return the first folder on the way to one below that is a link; None if none is."""
        path = self._folder
        for part in Path(place).parts:
            path = path / part
            if path.is_symlink():
                return path
        return None
