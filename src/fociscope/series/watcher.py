"""What an instrument is writing -> captures, each once it is whole: folders, growing stacks."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fociscope.errors import (
    CaptureError,
    FileFormatError,
    FociscopeError,
    FociscopeWarning,
    one_line,
    printable,
)
from fociscope.files import list_suffixes
from fociscope.files.captures.pairing import (
    camera_of,
    natural_order,
    sensor_of,
    taken_by_number,
    two_sensors_said,
)
from fociscope.files.captures.reader import PageMeaning
from fociscope.reconstruction.preparation import Preparation
from fociscope.results.tables import as_written
from fociscope.series._frames import (
    CompleteFrame,
    ReadSettings,
    SkippedFrame,
    frame_number,
    generation,
)
from fociscope.series._growing_file import (
    AGAIN,
    GIVEN_UP_S,
    READ_VALUES,
    GrowingFile,
    has_lasted,
)
from fociscope.series._ledger import Ledger
from fociscope.series._sensors import NAMES_TRIED, sensors_followed, sensors_in
from fociscope.series._watched_files import WatchedFile, WatchedFolder
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

_GONE = "removed before it was reconstructed; leave files until their capture is reported"
#: So many files that could not be read are looked at for changes.
MOST_TRIED_AGAIN = 256
_CONTINUES = "what has been written stays, and a run that resumes continues behind it"


class Watcher(Protocol):
    """What is asked again and again for captures."""

    def poll(self, most: int) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
        """Return captures that have become whole, so many at most, and what was given up.

        Raises:
            FociscopeError: what is followed could not be read for `GIVEN_UP_S`.
        """

    def last(self) -> list[SkippedFrame]:
        """Return what else was lost, when nothing is polled any more."""

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


@dataclass(frozen=True)
class _Removed:
    """A file that went before it was done: renamed, perhaps."""

    file: WatchedFile
    since: float = field(default_factory=time.monotonic)


class FolderWatcher:
    """Images in a folder, or in sensor A's and sensor B's, paired by their names."""

    def __init__(self, paths: Sequence[Path], known: Iterable[str], settings: ReadSettings) -> None:
        """Use `watch_paths`."""
        self._folders = [WatchedFolder(path) for path in paths]
        self._missing_since: float | None = None
        self._settings = settings
        self._seen: dict[str, GrowingFile] = {}
        """What A's and B's names share -> their files."""
        self._given_up: dict[str, GrowingFile] = {}
        """The same, of files that could not be read; they are tried again if they change."""
        self._done: dict[str, set[int]] = {}
        """The same -> numbers of the frames that were done before the files were followed."""
        self._over = Ledger()
        """Digests of the same, of files that are not followed any more."""
        self._removed: list[_Removed] = []
        self._again: list[SkippedFrame] = []
        """Files whose names were taken before, since the last poll."""
        self._has_numbers: bool | None = None
        """Whether names number two cameras; None before it is known."""
        self._undecided: list[str] = []
        """Names that wait for that."""
        self._first_names: list[str] = []
        """Names that may speak of two sensors; emptied once that was said."""
        self._is_said = len(paths) == 2
        """Whether it was said how names that may speak of two sensors are understood."""
        for name in known:
            file, number = frame_number(name)
            for has_numbers in (False, True):
                self._has_numbers = has_numbers
                self._done.setdefault(self._place(file, "A")[1], set()).add(number)
        self._has_numbers = None

    @property
    def waiting(self) -> int:
        """How many captures are seen and not handed out."""
        seen = sum(growing_file.waiting for growing_file in self._seen.values())
        return seen + len(self._undecided)

    @property
    def waiting_names(self) -> Iterator[str]:
        """Their names, in natural order."""
        for _, growing_file in self._in_order():
            yield from growing_file.waiting_names
        yield from map(as_written, self._undecided)

    def poll(self, most: int) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
        """Return captures that have become whole, in natural order, and what was given up.

        Raises:
            FociscopeError: a folder has been away for `GIVEN_UP_S`.
        """
        arrived: list[CompleteFrame] = []
        if not self._are_there():
            return arrived, []
        self._retry()
        skipped = [*self._again, *self._lost(), *self._rewritten()]
        self._again = []
        values = 0
        for key, growing_file in self._in_order():
            if len(arrived) == most or values >= READ_VALUES:
                break
            if not self._is_complete(growing_file):
                continue
            try:
                came, given_up = growing_file.take(most - len(arrived))
                if growing_file.is_over:
                    self._finish(key)
            except (FileFormatError, CaptureError) as error:
                name = as_written(growing_file.first.name)
                came, given_up = [], [SkippedFrame(name, one_line(error))]
                self._give_up(key)
            arrived += came
            skipped += given_up
            values += sum(one.captures.size for one in came)
        return arrived, skipped

    def last(self) -> list[SkippedFrame]:
        """Return what was lost since the last poll, as all that is there shows."""
        if not self._are_there():
            return []
        skipped = [*self._again, *self._lost(at_once=True)]
        for growing_file in self._seen.values():
            if self._is_complete(growing_file):
                skipped += growing_file.rewritten()
        return [*skipped, *self._rewritten(at_once=True)]

    def _are_there(self) -> bool:
        """Look into the folders; return whether all are there.

        Raises:
            FociscopeError: One has been away for `GIVEN_UP_S`.
        """
        for folder, side in zip(self._folders, "AB", strict=False):
            try:
                self._look_into(folder, side)
            except OSError as error:
                now = time.monotonic()
                if self._missing_since is None:
                    self._missing_since = now
                if has_lasted(now - self._missing_since):
                    raise FociscopeError(
                        f"{printable(folder.path)}: the folder could not be read for "
                        f"{GIVEN_UP_S:g} s ({error.strerror or one_line(error)}); bring it back: "
                        f"{_CONTINUES}",
                        fields=("resume",),
                    ) from None
                return False
        self._missing_since = None
        return True

    def _in_order(self) -> list[tuple[str, GrowingFile]]:
        """Return what is followed in natural order; files that an earlier run knew come last."""
        return sorted(
            self._seen.items(),
            key=lambda seen: (seen[0] in self._done, natural_order(seen[1].first)),
        )

    def _look_into(self, folder: WatchedFolder, side: str) -> None:
        """Follow what is new in a folder and forget what is gone."""
        new, gone = folder.look()
        for name in gone:
            self._forget(folder, name, side)
        images = list_suffixes("image")
        new = [n for n in new if Path(n).suffix.lower() in images and not n.startswith(".")]
        for name in self._decided(folder, new):
            its_side, key = self._place(as_written(name), side)
            if hash(key) in self._over:
                self._again.append(SkippedFrame(as_written(name), AGAIN))
                continue
            if key not in self._seen:
                given_up = self._given_up.pop(key, None)
                self._seen[key] = self._begun(key) if given_up is None else given_up
            files = self._seen[key].files
            if its_side not in files:
                files[its_side] = folder.follow(name)
                renamed = files[its_side].size
                self._removed = [one for one in self._removed if one.file.size != renamed]

    def _decided(self, folder: WatchedFolder, new: list[str]) -> list[str]:
        """Return the names that can be followed: all, once it is known whether they number cameras.

        Where their files hold one image each, they do, and the captures of a model of two sensors
        are pairs.
        """
        if len(self._folders) == 2:
            return new
        if self._settings.sensors == 1:
            self._doubt(folder, new)
            return new
        names = [*(name for name in self._undecided if (folder.path / name).exists()), *new]
        self._undecided = []
        numbered = [n for n in names if sensor_of(n)[0] is None and camera_of(n) is not None]
        if self._has_numbers is None and numbered:
            found = (sensors_in(folder.path / n, self._settings.pages) for n in numbered)
            sensors = next((n for n in found if n is not None), None)
            if sensors is None:
                self._undecided = numbered
                return [name for name in names if name not in numbered]
            self._has_numbers = sensors == 1
        return names

    def _doubt(self, folder: WatchedFolder, new: list[str]) -> None:
        """Warn where names of captures of one sensor may speak of two."""
        if self._is_said or not new:
            return
        self._first_names += new[:NAMES_TRIED]
        doubt = two_sensors_said([folder.path / name for name in self._first_names])
        if doubt is not None:
            self._say(
                f"{printable(folder.path)}: {doubt}, and each is reconstructed by itself; let each "
                "sensor write a folder of its own if they belong together"
            )
        if len(self._first_names) > NAMES_TRIED:
            self._is_said = True

    def _say(self, text: str) -> None:
        self._is_said, self._first_names = True, []
        warnings.warn(FociscopeWarning(text), stacklevel=2)

    def _begun(self, key: str) -> GrowingFile:
        return GrowingFile(
            self._settings,
            pages=self._settings.pages,
            done=self._done.get(key, set()),
            is_stack=False,
        )

    def _forget(self, folder: WatchedFolder, name: str, side: str) -> None:
        """Do not wait for a file that is gone, such as one that was renamed when it was whole."""
        folder.leave(name)
        its_side, key = self._place(as_written(name), side)
        growing_file = self._seen.get(key) or self._given_up.get(key)
        if growing_file is None or its_side not in growing_file.files:
            return
        file = growing_file.files[its_side]
        if file.path != folder.path / name:
            return
        if growing_file.is_taken:
            self._finish(key)
            return
        del growing_file.files[its_side]
        if file.size[0] and key in self._seen:
            self._removed.append(_Removed(file))
        if not growing_file.files:
            self._done[key] = growing_file.done
            self._seen.pop(key, None)
            self._given_up.pop(key, None)

    def _finish(self, key: str) -> None:
        """Have no more interest in files, but for changes of what they hold."""
        followed = self._seen if key in self._seen else self._given_up
        growing_file = followed.pop(key)
        for file in growing_file.files.values():
            self._folder_of(file).finish(file)
        self._over.put(hash(key))
        self._done.pop(key, None)

    def _folder_of(self, file: WatchedFile) -> WatchedFolder:
        return next(one for one in self._folders if one.path == file.path.parent)

    def _give_up(self, key: str) -> None:
        """Look at files only if they change; the oldest of very many not even then."""
        if len(self._given_up) >= MOST_TRIED_AGAIN:
            self._finish(next(iter(self._given_up)))
        self._given_up[key] = self._seen.pop(key)

    def _retry(self) -> None:
        """Take up files that could not be read, and have changed."""
        for key, growing_file in list(self._given_up.items()):
            if growing_file.has_changed():
                self._seen[key] = self._given_up.pop(key)

    def _lost(self, *, at_once: bool = False) -> list[SkippedFrame]:
        """Return files that went some time ago before they were done, and were not renamed."""
        now = time.monotonic()
        lost = [one for one in self._removed if at_once or has_lasted(now - one.since)]
        self._removed = [one for one in self._removed if one not in lost]
        return [SkippedFrame(as_written(one.file.path.name), _GONE) for one in lost]

    def _rewritten(self, *, at_once: bool = False) -> list[SkippedFrame]:
        """Return files that were changed after they were done."""
        names = [name for one in self._folders for name in one.rewritten(at_once=at_once)]
        return [SkippedFrame(as_written(name), AGAIN) for name in names]

    def _place(self, name: str, side: str) -> tuple[str, str]:
        """Return the sensor of an image (A, B, both), and what it shares with its partner."""
        said, key = sensor_of(name)
        if len(self._folders) == 2:
            return side, key.casefold()
        if self._settings.sensors == 2 and said is not None:
            return said, key
        camera = camera_of(name) if self._settings.sensors == 2 and self._has_numbers else None
        if camera is not None:
            return f"{camera[0]:03d}", camera[2]
        return "both", name

    def _is_complete(self, growing_file: GrowingFile) -> bool:
        files = growing_file.files
        if "both" in files or self._settings.sensors == 1:
            return True
        if len(files) == 2 and "A" not in files and not self._is_said:
            first, second = (camera_of(files[side].path.name) for side in sorted(files))
            if first is not None and second is not None:
                where = printable(self._folders[0].path)
                self._say(taken_by_number(where, (first[1], second[1])))
        return len(files) == 2


class StackWatcher:
    """A TIFF stack that grows: of both sensors in turns, or one of sensor A and one of sensor B."""

    def __init__(self, paths: Sequence[Path], known: Iterable[str], settings: ReadSettings) -> None:
        """Use `arrivals`."""
        usual: PageMeaning = "sensors" if len(paths) == 1 and settings.sensors == 2 else "frames"
        known = list(known)
        its_generation = max(map(generation, known), default=1)
        last = max(
            (frame_number(name)[1] for name in known if generation(name) == its_generation),
            default=0,
        )
        self._growing_file = GrowingFile(
            settings,
            pages=usual if settings.pages == "auto" else settings.pages,
            done=set(range(1, last + 1)),
            is_stack=True,
            generation=its_generation,
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

    def last(self) -> list[SkippedFrame]:
        """Return nothing: frames that wait are named as such."""
        return []
