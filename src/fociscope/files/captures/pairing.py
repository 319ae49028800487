"""Which of many images are sensor A's and which sensor B's, by their names.

A name says its sensor by a part of its own that reads A or B, whatever its case: `run 3_A.tif`,
`sensor_b.png`, `img-A-0001.tif`, `camB_7.tif`. Where more than one part does, the last one counts.
What remains of the name is common to a pair.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fociscope.errors import FileFormatError, printable

__all__ = ["Pairs", "check_sides", "natural_order", "pair_by_name", "pair_sets", "sensor_of"]

_MARK = re.compile(r"(?:sensor|chip|camera|cam|side)?([ab])", re.IGNORECASE)
_BETWEEN = re.compile(r"([ _.\-]+)")
_NAMED_AT_MOST = 4

Pairs = list[tuple[Path, ...]]
"""The files of each frame: sensor A's and B's, or one."""


def natural_order(path: Path) -> tuple[list[str | int], str]:
    """Return what orders names by their numbers: text and numbers alternate, so like meets like."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name


def sensor_of(name: str) -> tuple[str | None, str]:
    """Return the sensor that a name says ("A", "B", None), and what it shares with its partner."""
    parts = _BETWEEN.split(Path(name).stem)
    for place in reversed(range(0, len(parts), 2)):
        found = _MARK.fullmatch(parts[place])
        if found is not None:
            parts[place] = "?"
            return found[1].upper(), "".join(parts)
    return None, "".join(parts)


def pair_by_name(where: str, files: Sequence[Path]) -> Pairs:
    """Sort images into frames: (A, B) each where their names pair them, else (file,) each.

    Args:
        where: what holds the files, for messages.
        files: in the order of the frames.

    Raises:
        FileFormatError: some of the names say A and others B, but not all of them find a partner.
    """
    sensors = {file: sensor_of(file.name) for file in files}
    if not {"A", "B"} <= {sensor for sensor, _ in sensors.values()}:
        return [(file,) for file in files]
    unmarked = [file for file, (sensor, _) in sensors.items() if sensor is None]
    if unmarked:
        raise FileFormatError(
            f"{where}: {_listed([file.name for file in unmarked])} say neither A nor B, expected "
            "pairs such as x_A.tif and x_B.tif as the other names promise; move or rename them."
        )
    sides = {
        side: [file for file, (sensor, _) in sensors.items() if sensor == side] for side in "AB"
    }
    return _matched(where, sides["A"], sides["B"], [sensors[f][1] for f in sides["A"]],
                    [sensors[f][1] for f in sides["B"]])  # fmt: skip


def pair_sets(
    where_a: str, files_a: Sequence[Path], where_b: str, files_b: Sequence[Path]
) -> Pairs:
    """Pair images of sensor A with those of sensor B: by name where names agree, else in order.

    Raises:
        FileFormatError: partners are missing.
    """
    keys_a = [sensor_of(file.name)[1].casefold() for file in files_a]
    keys_b = [sensor_of(file.name)[1].casefold() for file in files_b]
    unique = len(set(keys_a)) == len(keys_a) and len(set(keys_b)) == len(keys_b)
    if unique and set(keys_a) & set(keys_b):
        return _matched(f"{where_a} and {where_b}", files_a, files_b, keys_a, keys_b)
    if len(files_a) != len(files_b):
        raise FileFormatError(
            f"{where_a} holds {len(files_a)} images but {where_b} holds {len(files_b)}, "
            "expected as many of sensor A as of B; give pairs."
        )
    return list(zip(files_a, files_b, strict=True))


def check_sides(pairs: Sequence[tuple[Path, ...]]) -> None:
    """Refuse what was given for A and B by place, and whose names say that it cannot be meant so.

    Raises:
        FileFormatError: one image stands for both sensors, or all names of A's say B and all of B's
            say A.
    """
    both = [pair for pair in pairs if len(pair) == 2]
    for a, b in both:
        if a == b or (a.exists() and b.exists() and a.samefile(b)):
            raise FileFormatError(
                f"{printable(a)}: given as sensor A's image and as sensor B's, expected two; give "
                "it alone, or name the other one."
            )
    said = {(sensor_of(a.name)[0], sensor_of(b.name)[0]) for a, b in both}
    if said == {("B", "A")}:
        a, b = both[0]
        raise FileFormatError(
            f"{printable(a)}, {printable(b)}: the first says sensor B, the second sensor A, "
            "expected A's images first; swap them, or rename them if the names are wrong."
        )


def _matched(
    where: str,
    files_a: Sequence[Path],
    files_b: Sequence[Path],
    keys_a: Sequence[str],
    keys_b: Sequence[str],
) -> Pairs:
    """Pair by keys, in the order of sensor A."""
    by_key: list[dict[str, Path]] = []
    for sensor, files, keys in (("A", files_a, keys_a), ("B", files_b, keys_b)):
        found: dict[str, Path] = {}
        for file, key in zip(files, keys, strict=True):
            if key in found:
                raise FileFormatError(
                    f"{where}: {found[key].name!r} and {file.name!r} both say sensor {sensor} of "
                    "one capture, expected one; move or rename the other."
                )
            found[key] = file
        by_key.append(found)
    of_a, of_b = by_key
    lonely = [of_a[key].name for key in of_a if key not in of_b]
    lonely += [of_b[key].name for key in of_b if key not in of_a]
    if lonely:
        raise FileFormatError(
            f"{where}: {_listed(lonely)} have no partner of the other sensor "
            f"({len(lonely)} of {len(of_a) + len(of_b)} images), expected pairs such as x_A.tif "
            "and x_B.tif; add the missing images, or move these away."
        )
    return [(of_a[key], of_b[key]) for key in of_a]


def _listed(names: Sequence[str]) -> str:
    """Name the first few."""
    few = ", ".join(repr(name) for name in names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return few if more <= 0 else f"{few} and {more} more"
