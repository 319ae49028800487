"""Many images as one series: folders, patterns and lists of files, one frame in each file."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.captures.pairing import natural_order
from fociscope.files.formats._stacks import Stack, size
from fociscope.files.formats._table import is_store, list_suffixes
from fociscope.files.formats._times import clock_times
from fociscope.files.images._tiff_taken import taken_times
from fociscope.files.images.reader import open_image
from fociscope.files.safe.limits import Limits, check_claim
from fociscope.typing import Float32Array

__all__ = ["InputPath", "list_images", "resolve", "set_stack"]

_WILDCARDS = "*?["
_N5 = "attributes.json"


@dataclass(frozen=True)
class InputPath:
    """What one path stands for: a file (or a Zarr store), or a set of images."""

    path: Path
    """As messages name it."""
    files: tuple[Path, ...]
    """In natural order (2 before 10); one for a file."""
    is_set: bool = False
    inner: str | None = None
    """The array in the file that is meant."""

    @property
    def names(self) -> tuple[Path, ...]:
        """What is read, for provenance: a folder stands for its images."""
        return (self.path,) if self.is_set and self.path.is_dir() else self.files


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order; other and hidden files are left out.

    Args:
        folder: Folder of files of any image format.

    Returns:
        Paths of the images, 2 before 10.

    Raises:
        FileFormatError: If the folder holds no image, or may not be read.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.files import list_images
        >>> for name in ("10.tif", "2.tif", "notes.txt"):
        ...     Path(name).touch()
        >>> [image.name for image in list_images(Path())]
        ['2.tif', '10.tif']
    """
    suffixes = list_suffixes("image")
    try:
        entries = list(folder.iterdir())
        found = [
            entry
            for entry in entries
            if entry.suffix.lower() in suffixes and not entry.name.startswith(".")
        ]
    except OSError as error:
        raise FileFormatError(
            f"{printable(folder)}: the folder cannot be read; check its permissions."
        ) from error
    if not found and (folder / _N5).is_file():
        raise FileFormatError(
            f"{printable(folder)}: an N5 store, expected Zarr, which is its successor; save it as "
            "Zarr or TIFF."
        )
    if not found:
        deeper = sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != ".")
        advice = (
            f"; it holds the folder {printable(deeper[0])!r}: give that, or a pattern such as "
            f"'{printable(folder)}/**/*{suffixes[0]}'"
            if deeper
            else ""
        )
        raise FileFormatError(
            f"{printable(folder)}: no image in this folder, expected {', '.join(suffixes)} files"
            f"{advice}."
        )
    return sorted(found, key=natural_order)


def resolve(path: Path, limits: Limits) -> InputPath:
    """Return what a path stands for: `file.h5:/array`, a pattern, a folder of images, or a file.

    Raises:
        FileFormatError: a folder or a pattern without images, or with too many.
    """
    try:
        exists, is_folder = path.exists(), path.is_dir()
    except (OSError, ValueError):  # a name that no file can have; whoever opens it says so
        exists, is_folder = True, False
    if is_folder and not is_store(path):
        return _counted(InputPath(path, tuple(list_images(path)), is_set=True), limits)
    if exists:
        return InputPath(path, (path,))
    text = str(path)
    for place in (at for at in range(len(text)) if text.startswith(":/", at)):
        file = Path(text[:place])
        if file.is_file() or is_store(file):
            return InputPath(file, (file,), inner=text[place + 2 :])
    if any(mark in text for mark in _WILDCARDS):
        return _matching(path, limits)
    return InputPath(path, (path,))


def _matching(pattern: Path, limits: Limits) -> InputPath:
    """Return the images that match a pattern; a pattern may also stand for any one file.

    Folders that are there as they are written are no pattern, whatever is in their names.
    """
    matches = _matches(_with_literal_folders(pattern), limits)
    if "[" in pattern.name:  # a part of the names, perhaps
        literal = _matches(_with_literal_folders(pattern, literal_brackets=True), limits)
        both = set(matches) | set(literal)
        if matches and literal and both != set(matches):
            raise FileFormatError(
                f"{printable(pattern)}: matches {matches[0].name!r} as a pattern, and "
                f"{literal[0].name!r} as it is written, expected one of them; rename the images, "
                "or write * in place of the brackets."
            )
        matches = matches or literal
    if len(matches) == 1:
        return (
            resolve(matches[0], limits) if matches[0] != pattern else InputPath(pattern, (pattern,))
        )
    suffixes = list_suffixes("image")
    images = [m for m in matches if m.suffix.lower() in suffixes and m.is_file()]
    if not images:
        other = f"{len(matches)} other files and folders" if matches else "nothing"
        raise FileFormatError(
            f"{printable(pattern)}: this pattern matches {other}, expected images "
            f"({', '.join(suffixes)}), or one file of another kind; check it."
        )
    return _counted(
        InputPath(pattern, tuple(sorted(images, key=_folders_first)), is_set=True), limits
    )


def _folders_first(path: Path) -> list[tuple[list[str | int], str]]:
    """Return what orders images of many folders: folder by folder, each in natural order."""
    return [natural_order(Path(part)) for part in path.parts]


def _matches(pattern: str, limits: Limits) -> list[Path]:
    found = glob.iglob(pattern, recursive=True)  # noqa: PTH207 (Path.glob takes no whole path)
    return [Path(name) for name in islice(found, limits.max_pages + 1)]


def _with_literal_folders(pattern: Path, *, literal_brackets: bool = False) -> str:
    """Return a pattern in which folders that exist, and perhaps brackets, stand for themselves."""
    folder = next((one for one in pattern.parents if one.is_dir()), None)
    rest = str(pattern if folder is None else pattern.relative_to(folder))
    if literal_brackets:
        rest = rest.replace("[", "[[]")
    rest = _in_any_case(rest)
    return rest if folder is None else str(Path(glob.escape(str(folder))) / rest)


def _in_any_case(pattern: str) -> str:
    """Return a pattern whose suffix may be in upper or lower case, as that of images may be."""
    suffix = Path(pattern).suffix
    if suffix.lower() not in list_suffixes("image"):
        return pattern
    letters = (f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in suffix)
    return pattern.removesuffix(suffix) + "".join(letters)


def _counted(given: InputPath, limits: Limits) -> InputPath:
    if len(given.files) > limits.max_pages:
        raise FileFormatError(
            f"{printable(given.path)}: more than {limits.max_pages} images, expected at most so "
            "many; split the folder or raise Limits.max_pages."
        )
    return given


def set_stack(where: Path, files: Sequence[Path], limits: Limits, *, of_pairs: bool) -> Stack:
    """Return images as frames in a row; each file is opened when it is read.

    Args:
        where: what messages call the set.
        files: in the order of the frames, all like the first.
        limits: what each file may claim, and what may be read at once.
        of_pairs: the files are one sensor's; otherwise each may hold A and B as two pages.

    Raises:
        FileFormatError: the first file is no image, or holds more than that.

    Returns:
        The images, with the times that all of their names carry, or else the files state.
    """
    with open_image(files[0], limits) as first:
        expected = _one_frame(files[0], first, of_pairs)
        pitch_um, notes = first.pixel_size_um, first.notes
    sensors, frame_px = expected[0], (expected[1], expected[2])

    def planes(start: int, stop: int) -> Float32Array:
        check_claim(where, (stop - start, *frame_px), np.dtype(np.float32), limits)
        found = np.empty((stop - start, *frame_px), np.float32)
        for place in range(start, stop, sensors):
            file = files[place // sensors]
            with open_image(file, limits) as stack:
                shape = _one_frame(file, stack, of_pairs)
                if shape != expected:
                    raise FileFormatError(
                        f"{printable(files[0])} has {_frame(expected)} pixels "
                        f"but {printable(file)} has {_frame(shape)}, expected one size in a "
                        "folder; sort the images."
                    )
                found[place - start : place - start + sensors] = stack.planes(0, sensors)
        return found

    leading, counts = ("F", (len(files),)) if sensors == 1 else ("FS", (len(files), sensors))
    time_s, step_s = _times(files)
    return Stack(
        where, leading, counts, frame_px, planes, pitch_um, notes, time_s, time_step_s=step_s
    )


def _times(files: Sequence[Path]) -> tuple[tuple[float, ...] | None, float]:
    """Return the times that all names carry, else those that the files state, and their step."""
    times = clock_times([file.name for file in files])
    if times is not None or len(files) < 2:
        return (None if times is None else tuple(times)), 0.0
    stated = taken_times(files)
    return (None, 0.0) if stated is None else stated


def _one_frame(file: Path, stack: Stack, of_pairs: bool) -> tuple[int, int, int]:
    """Return (sensors, y, x) of a file of a set."""
    planes = int(np.prod(stack.counts))
    if planes > 2 or (planes == 2 and (of_pairs or stack.leading == "F")):
        raise FileFormatError(
            f"{printable(file)}: {size(stack.shape)} values, expected one image (y, x) in each "
            "file of a folder; give stacks as files."
        )
    return planes, *stack.frame_px


def _frame(shape: tuple[int, int, int]) -> str:
    return size(shape[1:] if shape[0] == 1 else shape)
