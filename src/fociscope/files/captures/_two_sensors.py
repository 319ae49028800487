"""Names that say two sensors otherwise than by A and B: cam0 and cam1, ch00 and ch01, sides.

A number beside a word for a camera or channel says which of two sensors is meant, as Micro-Manager
(`channel000`), Leica (`ch00`) and Prairie View (`Ch1`) write it; the lower one is A's. Others may
mean two sensors, or something else: wavelengths of MetaMorph (`w1`) and NIS (`c1`), sides such as
left and right, serial numbers. Which of them is A's is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TwoSensors", "find_two_sensors"]

_NUMBERED = re.compile(
    r"(?<![a-z])(?P<word>cameras?|cam|sensor|chip|detector|det|channel|chan|chn|ch|side|view)"
    r"[ _.\-]?(?P<value>\d{1,3})(?!\d)",
    re.IGNORECASE,
)
_WAVELENGTH = re.compile(r"(?<![a-z])(?P<word>w)(?P<value>\d)[^_/]*", re.IGNORECASE)
_PERHAPS_NUMBERED = re.compile(
    r"(?<![a-z])(?P<word>c|wl|dev|device)(?P<value>\d{1,2})(?!\d)", re.IGNORECASE
)
_SERIAL = re.compile(r"(?<!\d)(?P<word>)(?P<value>(?!20\d\d[01]\d[0-3]\d(?!\d))\d{7,})(?!\d)")
_OPPOSITES = (
    ("left", "right"),
    ("top", "bottom"),
    ("upper", "lower"),
    ("front", "back"),
    ("above", "below"),
    ("dorsal", "ventral"),
)
_MOST_MATCHES = 4
"""So many marks in a name are tried, from its end and from its start."""


@dataclass(frozen=True)
class TwoSensors:
    """Images whose names differ by a mark of two values."""

    marks: tuple[str, str]
    """Both marks, as the first name of each has them."""
    sides: tuple[dict[str, Path], dict[str, Path]]
    """Of each mark: what the name shares with its partner's -> the image."""
    is_sure: bool
    """Whether the mark stands for a camera or a channel, numbered."""

    @property
    def pairs(self) -> list[tuple[Path, ...]]:
        """The images that have a partner, in the order of the first mark's."""
        first, second = self.sides
        return [(file, second[key]) for key, file in first.items() if key in second]

    @property
    def is_complete(self) -> bool:
        """Whether each image has a partner."""
        return self.sides[0].keys() == self.sides[1].keys()


def find_two_sensors(names: Mapping[Path, str]) -> TwoSensors | None:
    """Return images by a mark of exactly two values that all names have, if any two are partners.

    Args:
        names: Of each image what its name says, folders included, without suffix.
    """
    for pattern, is_sure in _patterns():
        matches = {file: list(pattern.finditer(name)) for file, name in names.items()}
        fewest = min((len(found) for found in matches.values()), default=0)
        for place in _places(fewest):
            found = _split(names, {file: each[place] for file, each in matches.items()}, is_sure)
            if found is not None and found.pairs:
                return found
    return None


def _patterns() -> Iterator[tuple[re.Pattern[str], bool]]:
    """Yield what marks of two sensors look like, and whether they can be nothing else."""
    yield _NUMBERED, True
    yield _WAVELENGTH, False
    yield _PERHAPS_NUMBERED, False
    for words in _OPPOSITES:
        either = "|".join(words)
        yield re.compile(rf"(?<![a-z])(?P<word>)(?P<value>{either})(?![a-z])", re.IGNORECASE), False
    yield _SERIAL, False


def _places(matches: int) -> Iterator[int]:
    few = min(matches, _MOST_MATCHES)
    yield from (-1 - place for place in range(few))
    yield from range(few)


def _split(
    names: Mapping[Path, str], marks: Mapping[Path, re.Match[str]], is_sure: bool
) -> TwoSensors | None:
    """Return the images of both values of a mark; None unless there are two, each name once."""
    by_value: dict[tuple[str, int | str], dict[str, Path]] = {}
    texts: dict[tuple[str, int | str], str] = {}
    for file, mark in marks.items():
        value = mark["value"].casefold()
        said = (mark["word"].casefold(), int(value) if value.isdecimal() else value)
        key = f"{names[file][: mark.start()]}?{names[file][mark.end() :]}"
        images = by_value.setdefault(said, {})
        if key in images or len(by_value) > 2:
            return None
        images[key] = file
        texts.setdefault(said, mark[0])
    if len(by_value) != 2 or len({word for word, _ in by_value}) != 1:
        return None
    first, second = sorted(by_value, key=lambda said: (isinstance(said[1], str), said[1]))
    return TwoSensors((texts[first], texts[second]), (by_value[first], by_value[second]), is_sure)
