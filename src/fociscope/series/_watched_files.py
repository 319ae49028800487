"""Files and folders that others write: what is new in them, what is gone, and what was changed."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fociscope.series._ledger import Ledger, digests_of
from fociscope.typing import BoolArray, Int64Array

__all__ = ["NOTHING", "FileSize", "WatchedFile", "WatchedFolder"]

FileSize = tuple[int, int, int]
"""Bytes, when they changed (ns), and the number of the file on its disk."""
#: Of a file that is not there.
NOTHING: FileSize = (0, 0, 0)
#: A file that was done is compared once it has been quiet for so long after a change.
COMPARED_S = 0.25
#: So many files that are done, and for so long, are looked at again at each look into a folder.
LOOKED_AT_AGAIN, LOOKED_AT_AGAIN_S = 256, 0.005
#: Larger files are not read again to see whether a change of theirs is one of their content.
MOST_COMPARED_BYTES = 2**26


@dataclass
class WatchedFile:
    """A file that has been seen, or is to come."""

    path: Path
    size: FileSize = NOTHING
    since: float = field(default_factory=time.monotonic)
    """When `size` was first seen."""

    def look(self) -> float:
        """Return for how long it has not changed, s; 0 while it is empty or not there."""
        try:
            found = self.path.stat()
            size = (found.st_size, found.st_mtime_ns, found.st_ino)
        except OSError:
            size = NOTHING
        if size != self.size:
            self.size, self.since = size, time.monotonic()
        return time.monotonic() - self.since if size[0] else 0.0


class WatchedFolder:
    """A folder, the names that it held when it was last looked into, and the files done."""

    def __init__(self, path: Path) -> None:
        """Start with an empty one."""
        self.path = path
        self.followed: dict[int, str] = {}
        """Digest of a name -> name, of files whose absence is to be noticed."""
        self._known: Int64Array = np.empty(0, np.int64)
        """Digests of the names as of the last look, sorted; names would take five times that."""
        self._done = Ledger()
        """Digest of a name -> digests of the file's size and of its content (0: not known)."""
        self._changing: dict[int, WatchedFile] = {}
        """Files that were done, and have another size since."""
        self._next = 0
        self._some: list[str] = []
        """Names that are to be looked at again."""

    def look(self) -> tuple[list[str], list[str]]:
        """Return the names that are new, in order, and those of followed files that are gone.

        Raises:
            OSError: If the folder cannot be read.
        """
        names = os.listdir(self.path)  # noqa: PTH208 (paths take five times the time)
        digests = digests_of(names)
        new = [names[n] for n in np.flatnonzero(~_among(digests, self._known))]
        known = np.sort(digests)
        gone = self._known[~_among(self._known, known)]
        self._known = known
        self._some = self._next_few(names, digests)
        for name in new:
            if hash(name) in self._done:  # it was away
                self._changing[hash(name)] = WatchedFile(self.path / name)
        new = [name for name in new if hash(name) not in self._changing]
        return sorted(new), sorted(self.followed[d] for d in gone.tolist() if d in self.followed)

    def follow(self, name: str) -> WatchedFile:
        """Return a file whose absence is to be noticed."""
        self.followed[hash(name)] = name
        file = WatchedFile(self.path / name)
        file.look()
        return file

    def leave(self, name: str) -> None:
        """Have no interest in a file any more."""
        self.followed.pop(hash(name), None)

    def finish(self, file: WatchedFile) -> None:
        """Keep what a file is that was done, so that a change is noticed."""
        name = file.path.name
        self.leave(name)
        self._done.put(hash(name), hash(file.size), _content(file))

    def rewritten(self, *, at_once: bool = False) -> list[str]:
        """Return names of files whose content is another than when they were done.

        Each call looks at some, in turns; `at_once` at all, even those that are being written.
        """
        until = time.monotonic() + LOOKED_AT_AGAIN_S
        for number, name in enumerate(self._all() if at_once else self._some):
            self._compare_size(name)
            if not at_once and (time.monotonic() > until or number + 1 == len(self._some)):
                self._next += number + 1
                break
        found = []
        for digest, file in list(self._changing.items()):
            quiet_s = file.look()
            if file.size == NOTHING:
                del self._changing[digest]
            elif at_once or quiet_s >= COMPARED_S:
                del self._changing[digest]
                before, now = self._done.get(digest), _content(file)
                if before is None or now == 0 or now != before[1]:
                    found.append(file.path.name)
                self._done.put(digest, hash(file.size), now)
        return sorted(found)

    def _compare_size(self, name: str) -> None:
        digest = hash(name)
        done = self._done.get(digest)
        if done is None or digest in self._changing:
            return
        file = WatchedFile(self.path / name)
        file.look()
        if file.size != NOTHING and hash(file.size) != done[0]:
            self._changing[digest] = file

    def _all(self) -> list[str]:
        try:
            return os.listdir(self.path)  # noqa: PTH208
        except OSError:
            return []

    def _next_few(self, names: list[str], digests: Int64Array) -> list[str]:
        """Return the next few names of all, by their digests."""
        if not len(self._known):
            return []
        if self._next >= len(self._known):
            self._next = 0
        window = self._known[self._next : self._next + LOOKED_AT_AGAIN]
        places = np.flatnonzero((digests >= window[0]) & (digests <= window[-1]))
        return [names[place] for place in places[np.argsort(digests[places])]]


def _among(some: Int64Array, others: Int64Array) -> BoolArray:
    """Return which numbers are among others, which are sorted."""
    if not len(others):
        return np.zeros(len(some), np.bool_)
    places = np.minimum(np.searchsorted(others, some), len(others) - 1)
    return np.asarray(others[places] == some, dtype=np.bool_)


def _content(file: WatchedFile) -> int:
    """Return a digest of a file's content, never 0; 0 if it is too large or cannot be read."""
    if file.size[0] > MOST_COMPARED_BYTES:
        return 0
    try:
        content = file.path.read_bytes()
    except OSError:
        return 0
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1
