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
from itertools import islice
from pathlib import Path

__all__ = ["TwoSensors", "find_two_sensors", "numbered_camera"]

_CAMERA = "cameras?|cam|sensor|chip|detector|det|side|view"
_NUMBERED = (
    rf"(?<![a-z])(?P<word>{_CAMERA}|channel|chan|chn|ch)"
    r"[ _.\-]?(?P<value>(?<=[a-z])\d{1,3}|(?<=[ _.\-])\d)(?!\d)",
    rf"(?<![a-z])(?P<word>{_CAMERA})(?P<value>[ab])(?=\d)",
)
"""Apart from its word, a number of several digits is more likely one of frames: camera_001."""
_WAVELENGTHS = (
    r"(?<![a-z])(?P<word>w)(?P<value>\d)[^_/]*",
    r"(?<![a-z])(?P<word>c|wl|dev|device)(?P<value>\d{1,2})(?!\d)",
)
_LETTERS = (
    r"(?<![a-z])(?P<word>(?:image|img|frame|pic|shot)?)(?P<value>[ab])(?=\d|[ _.\-/]|$)",
    r"(?<=\d)(?P<word>)(?P<value>[ab])(?![a-z0-9])",
)
_OPPOSITES = (
    ("left", "right"),
    ("l", "r"),
    ("top", "bottom"),
    ("upper", "lower"),
    ("front", "back"),
    ("above", "below"),
    ("dorsal", "ventral"),
    ("master", "slave"),
)
_SERIAL = r"(?<!\d)(?P<word>)(?P<value>(?!20\d\d[01]\d[0-3]\d(?!\d))\d{7,})(?!\d)"
_LAST_NUMBER = r"(?<=[_\-. ])(?P<word>)(?P<value>[0-2])$"
_TRIED = 100
"""So many names are looked at first; of a long series most have the same form."""
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
    unmarked: tuple[Path, ...] = ()
    """Images among them without such a mark."""

    @property
    def pairs(self) -> list[tuple[Path, ...]]:
        """The images that have a partner, in the order of the first mark's."""
        first, second = self.sides
        return [(file, second[key]) for key, file in first.items() if key in second]

    @property
    def is_complete(self) -> bool:
        """Whether each image has a partner."""
        return not self.unmarked and self.sides[0].keys() == self.sides[1].keys()


@dataclass(frozen=True)
class _Kind:
    """A way to mark two sensors."""

    pattern: re.Pattern[str]
    is_sure: bool = False
    fewest_pairs: int = 1
    """So many partners show that it is meant so; 0 if two images of each are enough."""
    is_of_all: bool = True
    """Whether all names must have it."""


def find_two_sensors(names: Mapping[Path, str], *, sure: bool = False) -> TwoSensors | None:
    """Return images by a mark of exactly two values in their names.

    Args:
        names: Of each image what its name says, folders included, without suffix.
        sure: Whether only numbered cameras and channels count.

    Returns:
        None without such a mark. Where it stands for cameras or sides beyond doubt, a few names may
        lack it, and no two need be partners.
    """
    for kind in _KINDS:
        if (sure and not kind.is_sure) or not _may_be(kind, names):
            continue
        every = {file: list(kind.pattern.finditer(name)) for file, name in names.items()}
        matches = {file: found for file, found in every.items() if found}
        unmarked = tuple(file for file, found in every.items() if not found)
        if not matches or (unmarked and (kind.is_of_all or len(unmarked) > len(matches) // 2)):
            continue
        for place in _places(min(len(found) for found in matches.values())):
            marks = {file: found[place] for file, found in matches.items()}
            two = _split(names, marks, unmarked, is_sure=kind.is_sure)
            if two is not None and _is_meant(two, kind):
                return two
    return None


def numbered_camera(name: str) -> tuple[int, str, str] | None:
    """Return the number of the camera or channel that a name says, its mark, and what is left.

    Args:
        name: Without suffix.

    Returns:
        The number, the text of the mark such as `cam1`, and the name without it, which is its
        partner's as well; None if the name says none.
    """
    found = list(re.finditer(_NUMBERED[0], name, re.IGNORECASE))
    if not found:
        return None
    mark = found[-1]
    return int(mark["value"]), mark[0], f"{name[: mark.start()]}?{name[mark.end() :]}"


def _may_be(kind: _Kind, names: Mapping[Path, str]) -> bool:
    """Return whether the first few names have a mark, as all or most of them must."""
    found = [kind.pattern.search(name) is not None for name in islice(names.values(), _TRIED)]
    return all(found) if kind.is_of_all else any(found)


def _is_meant(two: TwoSensors, kind: _Kind) -> bool:
    if two.pairs:
        return len(two.pairs) >= max(kind.fewest_pairs, 2 if two.unmarked else 1)
    return kind.fewest_pairs == 0 and min(map(len, two.sides)) > 1 and not two.unmarked


def _kinds() -> Iterator[_Kind]:
    """Yield the ways to mark two sensors, the surest first."""

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(pattern, re.IGNORECASE)

    for pattern in _NUMBERED:
        yield _Kind(compiled(pattern), is_sure=True, fewest_pairs=0, is_of_all=False)
    for pattern in _WAVELENGTHS:
        yield _Kind(compiled(pattern))
    before = r"(?:(?<![a-z])|(?<=camera)|(?<=cam)|(?<=sensor))"
    for words in _OPPOSITES:
        is_word = len(words[0]) > 1
        pattern = rf"{before}(?P<word>)(?P<value>{'|'.join(words)})(?![a-z])"
        yield _Kind(compiled(pattern), fewest_pairs=0 if is_word else 1, is_of_all=not is_word)
    yield _Kind(compiled(_SERIAL), fewest_pairs=0, is_of_all=False)
    for pattern in _LETTERS:
        yield _Kind(compiled(pattern), fewest_pairs=2)
    yield _Kind(compiled(_LAST_NUMBER), fewest_pairs=3)


_KINDS = tuple(_kinds())


def _places(matches: int) -> Iterator[int]:
    few = min(matches, _MOST_MATCHES)
    yield from (-1 - place for place in range(few))
    yield from range(few)


def _split(
    names: Mapping[Path, str],
    marks: Mapping[Path, re.Match[str]],
    unmarked: tuple[Path, ...],
    *,
    is_sure: bool,
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
    sides = by_value[first], by_value[second]
    return TwoSensors((texts[first], texts[second]), sides, is_sure, unmarked)
