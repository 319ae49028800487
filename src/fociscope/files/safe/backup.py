"""What an earlier run has left in a folder, kept until what takes its place is certain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fociscope.errors import FociscopeError
from fociscope.files.safe.atomic import plain_disk_errors, remove, unused_name

__all__ = ["BACKUP", "Backup"]

#: The hidden place in a folder.
BACKUP = ".before-overwriting"


class Backup:
    """A hidden place in a folder; the folder must be kept to one process (`locked_folder`)."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """Know the place; nothing is made.

        Args:
            folder: where it is.
            names: of what may be put there, the first that goes being the last that comes back, so
                that it vouches for the others.
        """
        self._folder, self._names = folder, tuple(names)
        self._place = folder / BACKUP

    @property
    def holds_something(self) -> bool:
        """Whether something lies there: of this run, or of one that was killed."""
        return self._place.is_dir()

    def take(self) -> None:
        """Put files and folders there, as far as they exist; all of them or none.

        Raises:
            FociscopeError: the disk refuses.
        """
        try:
            with plain_disk_errors(self._folder):
                self._place.mkdir(exist_ok=True)
                for name in self._names:
                    if os.path.lexists(self._folder / name):
                        (self._folder / name).replace(self._place / name)
        except BaseException:
            with suppress(FociscopeError):
                self.restore()
            raise

    def restore(self) -> None:
        """Put all back in its place, instead of what has come there since.

        Raises:
            FociscopeError: the disk refuses.
        """
        if not self.holds_something:
            return
        with plain_disk_errors(self._folder):
            for name in reversed(self._names):
                if os.path.lexists(self._place / name):
                    remove(self._folder / name)
                    (self._place / name).replace(self._folder / name)
            self._place.rmdir()

    def forget(self) -> None:
        """Remove it for good.

        Raises:
            FociscopeError: the disk refuses.
        """
        if not self.holds_something:
            return
        doomed = unused_name(self._folder, self._folder)
        with plain_disk_errors(self._folder):
            self._place.replace(doomed)  # at once, so that never a part of it is given back
            remove(doomed)
