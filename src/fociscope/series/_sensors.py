"""How many sensors the captures of an instrument have that is followed, from its first files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fociscope.errors import FociscopeError
from fociscope.files import list_suffixes, open_captures
from fociscope.files.captures.pairing import camera_of, sensor_of
from fociscope.files.captures.reader import PageMeaning
from fociscope.series._growing_file import has_lasted

__all__ = ["NAMES_TRIED", "sensors_followed", "sensors_in"]

#: So many names are looked at for marks of two sensors.
NAMES_TRIED = 100


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
            if _may_have_numbers(files):
                return _sensors_by_number(files, pages)
            return next((found for file in files if (found := sensors_in(file, pages))), None)
        return None
    return sensors_in(path, "sensors" if pages == "auto" else pages)


def _may_have_numbers(files: Sequence[Path]) -> bool:
    """Return whether the names of images are such as `cam1_0001.tif`."""
    return bool(files) and all(camera_of(file.name) is not None for file in files[:NAMES_TRIED])


def _sensors_by_number(files: Sequence[Path], pages: PageMeaning) -> int | None:
    """Return the sensors of captures by numbered cameras; None as long as a partner may come.

    Images of one camera alone are captures of one sensor, and so are those of more than two.
    """
    found = next((n for file in files if (n := sensors_in(file, pages))), None)
    cameras = {said[0] for file in files if (said := camera_of(file.name)) is not None}
    if found != 1 or len(cameras) > 2:
        return found
    if len(cameras) == 2:
        return 2
    youngest_s = max(file.stat().st_mtime for file in files)
    return 1 if has_lasted(time.time() - youngest_s) else None


def sensors_in(path: Path, pages: PageMeaning) -> int | None:
    """Return how many sensors the frames of a file have; None if it cannot be read, as yet."""
    with suppress(FociscopeError), open_captures([path], pages=pages, growing=True) as series:
        return series.shape[1]
    return None
