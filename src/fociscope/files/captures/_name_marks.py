"""Marks in names that say A or B, and what remains of a name beside one of them.

A part of a name that reads A or B, whatever its case, is a mark; `camA` and `sensor_b` are strong
ones, since a word such as camera, cam, sensor, chip or side stands with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mark", "NameMarks", "Rule", "common_root", "rules"]

_WORDS = "sensor|chip|camera|cam|side|detector|view"
_JOINED = re.compile(rf"({_WORDS})?([ab])", re.IGNORECASE)
_WORD = re.compile(_WORDS, re.IGNORECASE)
_BETWEEN = re.compile(r"([ _.\-/]+)")
_MOST_MARKS = 4
"""So many marks in a name are tried, from its end and from its start."""


@dataclass(frozen=True)
class Mark:
    """A part of a name that reads A or B."""

    place: int
    """Of the part, among the parts and what separates them."""
    sensor: str
    """A or B."""
    is_strong: bool
    """Whether a word such as camera or sensor stands with it."""


@dataclass(frozen=True)
class NameMarks:
    """A name, or a path below a folder, with its marks."""

    parts: tuple[str, ...]
    marks: tuple[Mark, ...]

    @classmethod
    def of(cls, name: str) -> NameMarks:
        """Read a name without its suffix; slashes separate folders."""
        parts = tuple(_BETWEEN.split(name))
        marks = []
        for place in range(0, len(parts), 2):
            found = _JOINED.fullmatch(parts[place])
            if found is not None:
                before = place >= 2 and _WORD.fullmatch(parts[place - 2]) is not None
                marks.append(Mark(place, found[2].upper(), found[1] is not None or before))
        return cls(parts, tuple(marks))

    @property
    def strong(self) -> tuple[Mark, ...]:
        """The strong marks."""
        return tuple(mark for mark in self.marks if mark.is_strong)

    def key(self, mark: Mark | None) -> str:
        """Return what the name shares with its partner's: all of it but the mark."""
        if mark is None:
            return "".join(self.parts)
        return "".join("?" if n == mark.place else part for n, part in enumerate(self.parts))

    def best(self) -> Mark | None:
        """Return the mark that the name alone suggests: the last strong one, or the last one."""
        marks = self.strong or self.marks
        return marks[-1] if marks else None


Rule = Callable[[NameMarks], Mark | None]


def rules(names: Sequence[NameMarks]) -> Iterator[Rule]:
    """Yield ways to choose one mark of each name, the likeliest first.

    Where any name has a strong mark, the others count for nothing.
    """
    is_strong = any(name.strong for name in names)

    def chosen(place: int) -> Rule:
        def rule(name: NameMarks) -> Mark | None:
            marks = name.strong if is_strong else name.marks
            return marks[place] if -len(marks) <= place < len(marks) else None

        return rule

    most = max((len(name.strong if is_strong else name.marks) for name in names), default=0)
    for place in range(min(most, _MOST_MARKS)):
        yield chosen(-1 - place)
    for place in range(min(most, _MOST_MARKS)):
        yield chosen(place)


def common_root(files: Sequence[Path]) -> Path:
    """Return the deepest folder that holds all files, as their paths have it."""
    folders = {str(file.parent) for file in files}
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # absolute and relative ones, or of several drives
        return Path()
