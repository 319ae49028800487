"""Which of many images are sensor A's and which sensor B's, by their names.

A name says its sensor by a part of its own that reads A or B, whatever its case: `run 3_A.tif`,
`sensor_b.png`, `img-A-0001.tif`, `camB_7.tif`. What remains of the name, its folder included, is
common to a pair. Where more than one part reads A or B, one that names a camera or a sensor counts,
and of a set of names the one that pairs them all. Cameras and channels that are numbered, such as
cam0 and cam1, are marks, too: the lower number is sensor A's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fociscope.errors import FileFormatError, printable
from fociscope.files.captures._name_marks import NameMarks, Rule, common_root, rules
from fociscope.files.captures._two_sensors import TwoSensors, find_two_sensors, numbered_camera
from fociscope.files.formats._times import disagreeing, name_times

__all__ = [
    "Pairs",
    "camera_of",
    "check_frames",
    "check_sides",
    "natural_order",
    "number_note",
    "pair_by_name",
    "pair_sets",
    "sensor_of",
    "taken_by_number",
    "two_sensors_said",
]

_NAMED_AT_MOST = 4
_NUMBER = re.compile(r"\d+")

Pairs = list[tuple[Path, ...]]
"""The files of each frame: sensor A's and B's, or one."""


def natural_order(path: Path) -> tuple[list[str | int], str]:
    """Return what orders names by their numbers: text and numbers alternate, so like meets like."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name


def sensor_of(name: str) -> tuple[str | None, str]:
    """Return the sensor that a name says ("A", "B", None), and what it shares with its partner."""
    marks = NameMarks.of(Path(name).stem)
    best = marks.best()
    return (None if best is None else best.sensor), marks.key(best)


def pair_by_name(where: str, files: Sequence[Path]) -> Pairs:
    """Sort images into frames: (A, B) each where their names pair them, else (file,) each.

    The mark that counts is the one that pairs all names, folders below the common one included;
    `camA` and `sensor_b` count before a bare `a` or `b`. Where no name has such a strong mark, two
    numbers of cameras or channels are marks, too.

    Args:
        where: what holds the files, for messages.
        files: in the order of the frames.

    Raises:
        FileFormatError: some of the names say A and others B, but not all of them find a partner,
            or they can be paired in two ways.
    """
    root = common_root(files)
    names = {file: _marks_below(root, file) for file in files}
    found: list[Pairs] = []
    for rule in rules(list(names.values())):
        pairs = _complete(names, rule)
        if pairs and pairs not in found:
            found.append(pairs)
    two = _numbered(names)
    if two is not None and two.is_complete and two.pairs not in found:
        found.append(two.pairs)
    if len(found) > 1:
        ways = " or ".join(
            f"{a.name!r} with {b.name!r}" for (a, b) in (one[0] for one in found[:2])
        )
        raise FileFormatError(
            f"{where}: the names can be paired in {len(found)} ways ({ways}), expected one mark of "
            "A and B; mark the sensors as camA and camB, or give A's and B's images as two "
            "folders or patterns."
        )
    if found:
        return found[0]
    best = {file: name.best() for file, name in names.items()}
    if not {"A", "B"} <= {mark.sensor for mark in best.values() if mark is not None}:
        if two is None:
            return [(file,) for file in files]
        if two.unmarked:
            raise _unmarked(where, two.unmarked, two.marks)
        (of_a, of_b), marks = two.sides, two.marks
        return _matched(
            where, list(of_a.values()), list(of_b.values()), list(of_a), list(of_b), marks
        )
    unmarked = [file for file, mark in best.items() if mark is None]
    if unmarked:
        raise _unmarked(where, unmarked, ("A", "B"))
    sides = {side: [f for f, mark in best.items() if mark and mark.sensor == side] for side in "AB"}
    keys = {file: names[file].key(mark) for file, mark in best.items()}
    return _matched(
        where, sides["A"], sides["B"], [keys[f] for f in sides["A"]], [keys[f] for f in sides["B"]]
    )


def pair_sets(
    where_a: str, files_a: Sequence[Path], where_b: str, files_b: Sequence[Path]
) -> tuple[Pairs, tuple[str, ...]]:
    """Pair images of sensor A with those of sensor B: by name where names agree, else in order.

    Folders below the common one of each set are a part of the name.

    Returns:
        The pairs, and a note where they were taken in order.

    Raises:
        FileFormatError: partners are missing, or images that were taken in order carry times or
            numbers that disagree.
    """
    root_a, root_b = common_root(files_a), common_root(files_b)
    names_a = [_marks_below(root_a, file) for file in files_a]
    names_b = [_marks_below(root_b, file) for file in files_b]
    best: tuple[int, list[str], list[str]] = (0, [], [])
    for rule in [lambda name: None, *rules([*names_a, *names_b]), NameMarks.best]:
        marks = [[rule(name) for name in names] for names in (names_a, names_b)]
        keys_a, keys_b = (
            [name.key(mark).casefold() for name, mark in zip(names, each, strict=True)]
            for names, each in zip((names_a, names_b), marks, strict=True)
        )
        if len(set(keys_a)) < len(keys_a) or len(set(keys_b)) < len(keys_b):
            continue
        shared = len(set(keys_a) & set(keys_b))
        if shared > best[0]:
            best = (shared, keys_a, keys_b)
    if best[0]:
        return _matched(f"{where_a} and {where_b}", files_a, files_b, best[1], best[2]), ()
    if len(files_a) != len(files_b):
        raise FileFormatError(
            f"{where_a} holds {len(files_a)} images but {where_b} holds {len(files_b)}, "
            "expected as many of sensor A as of B; give pairs."
        )
    pairs = list(zip(files_a, files_b, strict=True))
    _check_order(where_a, where_b, pairs)
    note = (
        f"{where_a} and {where_b}: no two names agree, so their {len(pairs)} images are paired in "
        "order; give both images of a capture the same name if that is wrong."
    )
    return list(pairs), (note,)


def _unmarked(where: str, files: Sequence[Path], marks: tuple[str, str]) -> FileFormatError:
    a, b = (printable(mark)[:40] for mark in marks)
    return FileFormatError(
        f"{where}: {_listed([file.name for file in files])} say neither {a} nor {b}, expected "
        f"pairs such as x_{a}.tif and x_{b}.tif as the other names promise; move or rename them."
    )


def check_frames(where: str, files: Sequence[Path]) -> None:
    """Refuse images as frames of one sensor, where their names may speak of two.

    Args:
        where: What holds the files, for messages.
        files: Images that `pair_by_name` has not paired.

    Raises:
        FileFormatError: If names differ by left and right, top and bottom, wavelengths or serial
            numbers.
    """
    doubt = two_sensors_said(files)
    if doubt is not None:
        raise FileFormatError(
            f"{where}: {doubt}, expected frames of one sensor, or marks such as camA and camB; "
            "give the images of each as a folder or pattern of its own, sensor A's first if they "
            "are the two sensors, else one after the other."
        )


def two_sensors_said(files: Sequence[Path]) -> str | None:
    """Say by which marks in their names images may be those of two sensors; None if by none.

    Args:
        files: Images that `pair_by_name` has not paired.
    """
    root = common_root(files)
    two = find_two_sensors({file: _name_below(root, file) for file in files})
    if two is None:
        return None
    first, second = (printable(mark)[:40] for mark in two.marks)
    a, b = two.pairs[0] if two.pairs else (next(iter(side.values())) for side in two.sides)
    return (
        f"the names say {first!r} and {second!r}, which may be two sensors "
        f"({printable(a.name)!r}, {printable(b.name)!r})"
    )


def number_note(where: str, pairs: Pairs) -> tuple[str, ...]:
    """Return a note where pairs follow from numbers of cameras, not from A and B."""
    files = [file for pair in pairs for file in pair]
    root = common_root(files)
    two = _numbered({file: _marks_below(root, file) for file in files})
    if two is None or two.pairs != [tuple(pair) for pair in pairs]:
        return ()
    return (taken_by_number(where, two.marks),)


def taken_by_number(where: str, marks: tuple[str, str]) -> str:
    """Say which number of a camera is taken as which sensor."""
    first, second = (printable(mark)[:40] for mark in marks)
    return (
        f"{where}: by the names, {first!r} is taken as sensor A and {second!r} as sensor B; give "
        "A's and B's images as two folders or patterns if that is wrong."
    )


def camera_of(name: str) -> tuple[int, str, str] | None:
    """Return the number, mark and key of a numbered camera that a name says; None if it says none.

    Args:
        name: With its suffix.
    """
    return numbered_camera(Path(name).stem)


def _numbered(names: Mapping[Path, NameMarks]) -> TwoSensors | None:
    """Return images by the number of their camera or channel; None if a name says camA."""
    if any(name.strong for name in names.values()):
        return None
    said = {file: "".join(name.parts) for file, name in names.items()}
    two = find_two_sensors(said, sure=True)
    return two if two is not None and two.pairs else None


def _name_below(root: Path, file: Path) -> str:
    """Return a name without its suffix, folders below the root included."""
    return "".join(_marks_below(root, file).parts)


def _marks_below(root: Path, file: Path) -> NameMarks:
    """Return the marks of a name, folders below the root included."""
    try:
        name = file.relative_to(root).with_suffix("")
    except ValueError:
        name = Path(file.stem)
    return NameMarks.of(name.as_posix())


def _complete(names: Mapping[Path, NameMarks], rule: Rule) -> Pairs:
    """Return the pairs that a rule makes of all names; [] if it leaves any without a partner."""
    sides: dict[str, dict[str, Path]] = {"A": {}, "B": {}}
    for file, name in names.items():
        mark = rule(name)
        if mark is None or name.key(mark) in sides[mark.sensor]:
            return []
        sides[mark.sensor][name.key(mark)] = file
    if sides["A"].keys() != sides["B"].keys():
        return []
    return [(file, sides["B"][key]) for key, file in sides["A"].items()]


def _check_order(where_a: str, where_b: str, pairs: Sequence[tuple[Path, Path]]) -> None:
    """Refuse images paired in order whose names carry times, or numbers, that disagree.

    Raises:
        FileFormatError: so it is, as where each camera dropped another frame.
    """
    times_a, times_b = (name_times([pair[side].stem for pair in pairs]) for side in (0, 1))
    if times_a is None or times_b is None:
        return
    lone = disagreeing(times_a, times_b)
    if lone is not None:
        names = [pairs[n][side].name for side in (0, 1) for n in lone[side]]
        named = f"{_listed(names)} have no partner" if names else "partners are in another order"
        raise FileFormatError(
            f"{where_a} and {where_b}: no two names agree, and paired in order, images would not "
            f"be of one moment by the times or numbers in their names ({named}), expected one of "
            "each sensor for every capture; move away images without a partner."
        )


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
    for a, b in both:
        _check_folders(a, b)
    said = {(sensor_of(a.name)[0], sensor_of(b.name)[0]) for a, b in both}
    if said == {("B", "A")}:
        a, b = both[0]
        raise FileFormatError(
            f"{printable(a)}, {printable(b)}: the first says sensor B, the second sensor A, "
            "expected A's images first; swap them, or rename them if the names are wrong."
        )


def _check_folders(a: Path, b: Path) -> None:
    """Refuse a pair by name out of two folders that differ by a number, such as two animals'."""
    (sensor_a, key_a), (sensor_b, key_b) = sensor_of(a.name), sensor_of(b.name)
    folders = a.parent.name, b.parent.name
    if (sensor_a, sensor_b) != ("A", "B") or key_a != key_b or folders[0] == folders[1]:
        return
    alike = _NUMBER.sub("#", sensor_of(folders[0] + ".")[1]) == _NUMBER.sub(
        "#", sensor_of(folders[1] + ".")[1]
    )
    if alike and _NUMBER.findall(folders[0]) != _NUMBER.findall(folders[1]):
        raise FileFormatError(
            f"{printable(a)}, {printable(b)}: of one name but of the folders {folders[0]!r} and "
            f"{folders[1]!r}, expected A and B of one capture; give images of one folder, or "
            "rename a folder if they belong together."
        )


def _matched(
    where: str,
    files_a: Sequence[Path],
    files_b: Sequence[Path],
    keys_a: Sequence[str],
    keys_b: Sequence[str],
    marks: tuple[str, str] = ("A", "B"),
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
            f"({len(lonely)} of {len(of_a) + len(of_b)} images), expected pairs such as "
            f"x_{marks[0]}.tif and x_{marks[1]}.tif; add the missing images, or move these away."
        )
    return [(of_a[key], of_b[key]) for key in of_a]


def _listed(names: Sequence[str]) -> str:
    """Name the first few."""
    few = ", ".join(repr(name) for name in names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return few if more <= 0 else f"{few} and {more} more"
