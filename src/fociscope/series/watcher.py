"""What an instrument is writing -> captures, each once it is whole: folders, growing stacks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from fociscope.errors import CaptureError, FileFormatError, FociscopeError, one_line, printable
from fociscope.files import list_suffixes, open_captures
from fociscope.files.captures.pairing import natural_order, sensor_of
from fociscope.files.captures.reader import PageMeaning
from fociscope.reconstruction.preparation import Preparation
from fociscope.results.tables import as_written
from fociscope.series._growing_file import (
    GIVEN_UP_S,
    READ_VALUES,
    CompleteFrame,
    GrowingFile,
    ReadSettings,
    SkippedFrame,
    WatchedFile,
    frame_number,
    has_lasted,
)
from fociscope.typing import IndexArray

__all__ = [
    "GIVEN_UP_S",
    "CompleteFrame",
    "FolderWatcher",
    "SkippedFrame",
    "StackWatcher",
    "Watcher",
    "check_followed",
    "sensors_followed",
    "watch_paths",
]

_AGAIN = (
    "written again after it was taken, so this version is left out; give each capture a name of "
    "its own"
)
_CONTINUES = "what has been written stays, and a run that resumes continues behind it"


class Watcher(Protocol):
    """What is asked again and again for captures."""

    def poll(self, most: int) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
        """Return captures that have become whole, so many at most, and what was given up.

        Raises:
            FociscopeError: what is followed could not be read for `GIVEN_UP_S`.
        """

    @property
    def waiting(self) -> int:
        """How many are seen and not handed out, as of the last poll."""

    @property
    def waiting_names(self) -> Iterator[str]:
        """Their names."""


def watch_paths(
    paths: Sequence[Path],
    *,
    sensors: int,
    known: set[str],
    preparation: Preparation,
    allow_non_finite: bool = False,
    pages: PageMeaning = "auto",
    pixel_order: IndexArray | None = None,
) -> Watcher:
    """Follow a folder (or sensor A's and sensor B's), or a growing TIFF stack (or two).

    Args:
        paths: one or two.
        sensors: of the model.
        known: names that are done already, as `tables.as_written` gives them.
        preparation: flips and crop of each capture.
        allow_non_finite: let NaN and infinity pass, as for captures whose bad pixels are filled.
        pages: what pages are where a file does not say. In a stack that grows they are A and B in
            turns for a model of two sensors, and otherwise frames.
        pixel_order: of raw counts, as for `open_captures`.

    Raises:
        CaptureError: there is nothing such to follow, or frames are to be averaged.
    """
    if preparation.average > 1:
        raise CaptureError("captures are followed one by one; leave out the averaging")
    if not 1 <= len(paths) <= sensors:
        raise CaptureError(
            f"{len(paths)} path(s) to follow, expected 1 to {sensors} for a model of {sensors} "
            "sensor(s): what holds all, or one of sensor A and one of sensor B"
        )
    settings = ReadSettings(sensors, preparation, allow_non_finite, pages, pixel_order)
    if check_followed(paths):
        return FolderWatcher(paths, known, settings)
    return StackWatcher(paths, known, settings)


def check_followed(paths: Sequence[Path]) -> bool:
    """Return whether paths are folders; stacks that grow, which need not be there yet, are none.

    Raises:
        CaptureError: they are neither.
    """
    if all(path.is_dir() for path in paths):
        return True
    growing = list_suffixes("growing")
    if all(path.suffix.lower() in growing and not path.is_dir() for path in paths):
        return False
    raise CaptureError(
        f"{printable(paths[0])}: neither a folder nor a TIFF stack, so there is nothing to follow; "
        "make the folder first, or name a .tif file that is to come"
    )


def sensors_followed(paths: Sequence[Path], *, pages: PageMeaning = "auto") -> int | None:
    """Return how many sensors captures have that are followed; None before any can be read.

    Args:
        paths: one or two, as for `watch_paths`.
        pages: what pages are where a file does not say; in one stack that grows, A and B in turns.
    """
    if len(paths) > 1:
        return 2
    (path,) = paths
    if path.is_dir():
        images = list_suffixes("image")
        with suppress(OSError):
            files = sorted(
                one
                for one in path.iterdir()
                if one.suffix.lower() in images and not one.name.startswith(".")
            )
            if any(sensor_of(file.name)[0] is not None for file in files):
                return 2
            return next((found for file in files if (found := _sensors_in(file, pages))), None)
        return None
    return _sensors_in(path, "sensors" if pages == "auto" else pages)


def _sensors_in(path: Path, pages: PageMeaning) -> int | None:
    """Return how many sensors the frames of a file have; None if it cannot be read, as yet."""
    with suppress(FociscopeError), open_captures([path], pages=pages, growing=True) as series:
        return series.shape[1]
    return None


class _Folder:
    """A folder, and the names that it held when it was last looked into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: set[str] = set()
        self._missing_since: float | None = None

    def look(self) -> tuple[list[str], list[str]] | None:
        """Return the names that are new and those that are gone; None if it is not there now.

        Raises:
            FociscopeError: it has been away for `GIVEN_UP_S`.
        """
        try:
            with os.scandir(self.path) as entries:
                names = {entry.name for entry in entries}
        except OSError as error:
            now = time.monotonic()
            if self._missing_since is None:
                self._missing_since = now
            if has_lasted(now - self._missing_since):
                raise FociscopeError(
                    f"{printable(self.path)}: the folder could not be read for {GIVEN_UP_S:g} s "
                    f"({error.strerror or one_line(error)}); bring it back: {_CONTINUES}",
                    fields=("resume",),
                ) from None
            return None
        self._missing_since = None
        new, gone = sorted(names - self._names), sorted(self._names - names)
        self._names = names
        return new, gone


class FolderWatcher:
    """Images in a folder, or in sensor A's and sensor B's, paired by their names."""

    def __init__(self, paths: Sequence[Path], known: Iterable[str], settings: ReadSettings) -> None:
        """Use `arrivals`."""
        self._folders = [_Folder(path) for path in paths]
        self._settings = settings
        self._seen: dict[str, GrowingFile] = {}
        """What A's and B's names share -> their files."""
        self._done: dict[str, set[int]] = {}
        """The same -> numbers of the frames that were done before the files were followed."""
        self._over: set[str] = set()
        """The same, of files that are not looked at any more."""
        self._again: list[SkippedFrame] = []
        """Files whose names were taken before, since the last poll."""
        for name in known:
            file, number = frame_number(name)
            self._done.setdefault(self._place(file, "A")[1], set()).add(number)

    @property
    def waiting(self) -> int:
        """How many captures are seen and not handed out."""
        return sum(growing_file.waiting for growing_file in self._seen.values())

    @property
    def waiting_names(self) -> Iterator[str]:
        """Their names, in natural order."""
        for _, growing_file in self._in_order():
            yield from growing_file.waiting_names

    def poll(self, most: int) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
        """Return captures that have become whole, in natural order, and what was given up.

        Raises:
            FociscopeError: a folder has been away for `GIVEN_UP_S`.
        """
        arrived: list[CompleteFrame] = []
        skipped: list[SkippedFrame] = []
        if not all(self._look_into(*each) for each in zip(self._folders, "AB", strict=False)):
            return arrived, skipped
        skipped, self._again = self._again, []
        values = 0
        for key, growing_file in self._in_order():
            if len(arrived) == most or values >= READ_VALUES:
                break
            if not self._is_complete(growing_file):
                continue
            try:
                came, given_up = growing_file.take(most - len(arrived))
                is_over = growing_file.is_over
            except (FileFormatError, CaptureError) as error:
                name = as_written(growing_file.first.name)
                came, given_up, is_over = [], [SkippedFrame(name, one_line(error))], True
            arrived += came
            skipped += given_up
            values += sum(one.captures.size for one in came)
            if is_over:
                del self._seen[key]
                self._over.add(key)
        return arrived, skipped

    def _in_order(self) -> list[tuple[str, GrowingFile]]:
        """Return what is followed in natural order; files that an earlier run knew come last."""
        return sorted(
            self._seen.items(),
            key=lambda seen: (seen[0] in self._done, natural_order(seen[1].first)),
        )

    def _look_into(self, folder: _Folder, side: str) -> bool:
        """Follow what is new in a folder and forget what is gone; False if it is not there."""
        changes = folder.look()
        if changes is None:
            return False
        new, gone = changes
        for name in gone:
            self._forget(folder.path / name, side)
        images = list_suffixes("image")
        for name in new:
            if Path(name).suffix.lower() not in images or name.startswith("."):
                continue
            its_side, key = self._place(as_written(name), side)
            if key in self._over:
                self._again.append(SkippedFrame(as_written(name), _AGAIN))
                continue
            if key not in self._seen:
                self._seen[key] = GrowingFile(
                    self._settings,
                    pages=self._settings.pages,
                    done=self._done.get(key, set()),
                    is_stack=False,
                )
            self._seen[key].files.setdefault(its_side, WatchedFile(folder.path / name))
        return True

    def _forget(self, path: Path, side: str) -> None:
        """Do not wait for a file that is gone, such as one that was renamed when it was whole."""
        its_side, key = self._place(as_written(path.name), side)
        growing_file = self._seen.get(key)
        if growing_file is None or its_side not in growing_file.files:
            return
        if growing_file.files[its_side].path == path:
            del growing_file.files[its_side]
        if not growing_file.files:
            self._done[key] = growing_file.done
            del self._seen[key]

    def _place(self, name: str, side: str) -> tuple[str, str]:
        """Return the sensor of an image (A, B, both), and what it shares with its partner."""
        said, key = sensor_of(name)
        if len(self._folders) == 2:
            return side, key.casefold()
        if self._settings.sensors == 2 and said is not None:
            return said, key
        return "both", name

    def _is_complete(self, growing_file: GrowingFile) -> bool:
        files = growing_file.files
        return "both" in files or self._settings.sensors == 1 or len(files) == 2


class StackWatcher:
    """A TIFF stack that grows: of both sensors in turns, or one of sensor A and one of sensor B."""

    def __init__(self, paths: Sequence[Path], known: Iterable[str], settings: ReadSettings) -> None:
        """Use `arrivals`."""
        usual: PageMeaning = "sensors" if len(paths) == 1 and settings.sensors == 2 else "frames"
        last = max((frame_number(name)[1] for name in known), default=0)
        self._growing_file = GrowingFile(
            settings,
            pages=usual if settings.pages == "auto" else settings.pages,
            done=set(range(1, last + 1)),
            is_stack=True,
        )
        for side, path in zip("AB", paths, strict=False):
            self._growing_file.files[side] = WatchedFile(path)

    @property
    def waiting(self) -> int:
        """How many frames are seen and not handed out."""
        return self._growing_file.waiting

    @property
    def waiting_names(self) -> Iterator[str]:
        """Their names."""
        return self._growing_file.waiting_names

    def poll(self, most: int) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
        """Return frames that have become whole; the last one only once the file is quiet.

        Raises:
            FileFormatError: the stack cannot be read at all, and has not grown for `GIVEN_UP_S`.
        """
        try:
            return self._growing_file.take(most)
        except (FileFormatError, CaptureError) as error:
            raise FileFormatError(
                f"{error} (it has not grown for {GIVEN_UP_S:g} s; {_CONTINUES})",
                fields=("resume",),
            ) from None
