"""Located emitters as tables: one row per emitter and one per frame; and back from these files.

Frames are counted from 1 in files, as viewers show them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from fociscope.errors import FileFormatError, printable
from fociscope.files import atomic_path, require_file
from fociscope.files.safe.records import read_typed_record
from fociscope.localization import Emitters
from fociscope.localization.emitters import COLUMNS
from fociscope.results.parts import JOURNAL, SUMMARY, SavedFiles, check_parts
from fociscope.results.tables import NAME, TIME, Labels, csv_lines
from fociscope.typing import Float64Array, Int64Array

__all__ = [
    "EMITTERS_TABLE",
    "EMITTER_FILES",
    "FORMATS",
    "FRAMES_TABLE",
    "RENDERING",
    "TRACKS_TABLE",
    "EmitterCounts",
    "count_emitters",
    "emitter_headers",
    "emitter_lines",
    "load_emitters",
    "load_tracks",
    "read_emitters",
    "write_tracks",
]

EMITTERS_TABLE, FRAMES_TABLE, TRACKS_TABLE = "emitters.csv", "frames.csv", "tracks.csv"
RENDERING = "emitters.ome.tif"
#: What `fociscope.locate` alone writes.
EMITTER_FILES = (EMITTERS_TABLE, TRACKS_TABLE, RENDERING)
#: Columns of `frames.csv` behind its labels; then a background for each sensor.
OF_FRAME = ("emitters", "misfit", "explained")
BACKGROUNDS = ("background_a", "background_b")
#: Columns of `tracks.csv` behind track, frame and time.
TRACKED = COLUMNS[1:8]
#: Formats of the columns of `emitters.csv` behind the number of the frame.
FORMATS = (*("{:.3f}",) * 6, "{:.6g}", "{:.4f}")


class _SavedEmitters(BaseModel):
    """What a summary says of the files beside it."""

    files: SavedFiles | None = None


def emitter_headers(
    sensors: int, *, labels: Labels | None = None, of_frames: Labels | None = None
) -> dict[str, str]:
    """Return file -> its first line.

    Args:
        sensors: Number of sensors, 1 or 2.
        labels: Columns of `frames.csv` behind the name.
        of_frames: Its last columns.
    """
    own = (*OF_FRAME, *BACKGROUNDS[:sensors])
    frames = ("frame", NAME, *(labels or {}), *own, *(of_frames or {}))
    return {EMITTERS_TABLE: csv_lines([COLUMNS]), FRAMES_TABLE: csv_lines([frames])}


def emitter_lines(
    emitters: Emitters,
    *,
    first_frame: int = 0,
    names: Sequence[str] = (),
    labels: Labels | None = None,
    of_frames: Labels | None = None,
) -> dict[str, str]:
    """Return file -> lines of CSV, without the header.

    Args:
        emitters: Emitters of one frame or of many.
        first_frame: Number of the first frame in its series, from 0.
        names: Names of the frames' files; without them, the column stays empty.
        labels: Columns of `frames.csv` behind the name, the same for all frames of the series.
        of_frames: Its last columns.
    """
    first = first_frame + 1
    columns = [
        [text.format(value) for value in getattr(emitters, name)]
        for name, text in zip(COLUMNS[1:], FORMATS, strict=True)
    ]
    frames = [
        (
            first + n,
            names[n] if names else "",
            *(column[n] for column in (labels or {}).values()),
            count,
            f"{emitters.misfit[n]:.3f}",
            int(explained),
            *(f"{value:.6g}" for value in emitters.background[n]),
            *(column[n] for column in (of_frames or {}).values()),
        )
        for n, (count, explained) in enumerate(
            zip(emitters.counts, emitters.is_explained, strict=True)
        )
    ]
    return {
        EMITTERS_TABLE: csv_lines(zip((emitters.frame + first).tolist(), *columns, strict=True)),
        FRAMES_TABLE: csv_lines(frames),
    }


def write_tracks(folder: Path, emitters: Emitters, track: Int64Array) -> int:
    """Write `tracks.csv` beside the tables: emitters, track by track, with the times of the frames.

    Args:
        folder: Folder that `fociscope.locate` has written into.
        emitters: Emitters of all frames.
        track: (emitter,) number of the track, from 0.

    Returns:
        The number of tracks.
    """
    times = [row.get(TIME) for row in _rows(folder / FRAMES_TABLE, ("frame",))]
    has_times = any(times)
    order = np.lexsort((emitters.frame, track))
    columns = [
        [text.format(value) for value in getattr(emitters, name)[order]]
        for name, text in zip(TRACKED, FORMATS, strict=False)
    ]
    frames = emitters.frame[order]
    before = [(track[order] + 1).tolist(), (frames + 1).tolist()]
    if has_times:
        before.append([times[frame] or "" for frame in frames])
    first = ("track", "frame", *([TIME] if has_times else []), *TRACKED)
    with atomic_path(folder / TRACKS_TABLE, overwrite=True) as part:
        text = csv_lines([first]) + csv_lines(zip(*before, *columns, strict=True))
        part.write_text(text, encoding="utf-8")
    return int(track.max()) + 1 if len(track) else 0


def load_emitters(folder: Path | str, *, frames: int | None = None) -> Emitters:
    """Read the emitters that `fociscope.locate` wrote.

    Args:
        folder: Folder with `emitters.csv` and `frames.csv`.
        frames: Number of frames to read, from the first; None for all.

    Returns:
        The emitters, places and deviations rounded to 0.001 um.

    Raises:
        FileFormatError: If a table is missing or damaged.

    Examples:
        >>> from fociscope.localization import locate_captures
        >>> from fociscope.results import load_emitters
        >>> import fociscope, numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 1, (3, 2, 51, 51))
        >>> np.save("noise.npy", noise)
        >>> found = fociscope.locate("noise.npy", "emitters")
        >>> load_emitters("emitters")
        Emitters(0 in 3 capture(s))
    """
    folder = Path(folder)
    if not (folder / JOURNAL).exists() and (folder / SUMMARY).exists():
        what, advice = "the summary of located emitters", "locate again"
        saved = read_typed_record(folder / SUMMARY, _SavedEmitters, what, advice=advice)
        check_parts(folder, saved.files, (EMITTERS_TABLE, FRAMES_TABLE))
    return read_emitters(folder, frames=frames)


def read_emitters(folder: Path, *, frames: int | None = None) -> Emitters:
    """Read the emitters of a folder that this process writes, as `load_emitters` does.

    Args:
        folder: As for `load_emitters`.
        frames: As for `load_emitters`.

    Raises:
        FileFormatError: If a table is missing or damaged.
    """
    last = math.inf if frames is None else frames
    of_frames = _numbers(folder / FRAMES_TABLE, ("frame", "misfit"), BACKGROUNDS, last)
    of_emitters = _numbers(folder / EMITTERS_TABLE, COLUMNS, (), last)
    frame = of_emitters["frame"].astype(np.int64) - 1
    count = len(of_frames["frame"])
    if len(frame) and (frame.min() < 0 or frame.max() >= count):
        raise FileFormatError(
            f"{printable(folder / EMITTERS_TABLE)}: frames {frame.min() + 1} to {frame.max() + 1}, "
            f"expected 1 to {count} as {FRAMES_TABLE} beside it has; locate again"
        )
    background = [of_frames[name] for name in BACKGROUNDS if name in of_frames]
    columns: dict[str, Any] = {**of_emitters, "frame": frame}
    return Emitters(
        **columns,
        background=np.stack(background, 1) if background else np.zeros((count, 0)),
        misfit=of_frames["misfit"],
    )


def load_tracks(folder: Path) -> dict[str, Float64Array]:
    """Read `tracks.csv`: (row,) track, frame, both from 1, places, deviations and brightness.

    Args:
        folder: Folder that `fociscope.locate` has written into.

    Raises:
        FileFormatError: If the table is missing or damaged.
    """
    return _numbers(folder / TRACKS_TABLE, ("track", "frame", *TRACKED), (), math.inf)


@dataclass(frozen=True)
class EmitterCounts:
    """What `frames.csv` holds in all.

    Attributes:
        emitters: Number of emitters in all frames.
        least: Their number in the frame with the fewest.
        most: Their number in the frame with the most.
        explained: Number of frames that emitters explain.
        median_misfit: Median over the frames.
        odd: Number from 1 and name of the first frames that emitters do not explain.
    """

    emitters: int
    least: int
    most: int
    explained: int
    median_misfit: float
    odd: tuple[tuple[int, str], ...]


def count_emitters(folder: Path, most_odd: int) -> EmitterCounts:
    """Return what `frames.csv` of a folder holds in all, a row at a time.

    Args:
        folder: Folder that `fociscope.locate` has written into.
        most_odd: Number of frames to name that emitters do not explain.

    Raises:
        FileFormatError: If the table is missing or damaged.
    """
    counts: list[int] = []
    misfits: list[float] = []
    odd: list[tuple[int, str]] = []
    explained = 0
    path, needed = folder / FRAMES_TABLE, ("frame", NAME, *OF_FRAME)
    try:
        for row in _rows(path, needed):
            counts.append(int(row["emitters"]))
            misfits.append(float(row["misfit"]))
            explained += row["explained"] == "1"
            if row["explained"] != "1" and len(odd) < most_odd:
                odd.append((int(row["frame"]), row[NAME]))
    except (TypeError, ValueError) as error:
        raise _damaged(path, needed, error) from None
    return EmitterCounts(
        emitters=sum(counts),
        least=min(counts, default=0),
        most=max(counts, default=0),
        explained=explained,
        median_misfit=float(np.median(misfits)) if misfits else 0.0,
        odd=tuple(odd),
    )


def _numbers(
    path: Path, needed: Sequence[str], optional: Sequence[str], last: float
) -> dict[str, Float64Array]:
    """Return the columns of a table as numbers, up to a frame."""
    columns: dict[str, list[float]] = {name: [] for name in needed}
    of_frames = takewhile(lambda row: float(row["frame"]) <= last, _rows(path, needed))
    try:
        for row in of_frames:
            for name in (*needed, *(one for one in optional if one in row)):
                columns.setdefault(name, []).append(float(row[name]))
    except (TypeError, ValueError) as error:
        raise _damaged(path, needed, error) from None
    found = {name: np.array(column, np.float64) for name, column in columns.items()}
    if not all(np.isfinite(column).all() for column in found.values()):
        raise _damaged(path, needed, "a number that is not finite")
    return found


def _rows(path: Path, needed: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a table.

    Raises:
        FileFormatError: If it is missing, or lacks a column.
    """
    try:
        with require_file(path).open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            missing = [name for name in needed if name not in (table.fieldnames or ())]
            if missing:
                raise _damaged(path, needed, f"without {', '.join(missing)}")
            yield from table
    except (csv.Error, UnicodeDecodeError) as error:
        raise _damaged(path, needed, error) from None


def _damaged(path: Path, needed: Sequence[str], why: object) -> FileFormatError:
    return FileFormatError(
        f"{printable(path)}: no table of emitters ({why}), expected the columns "
        f"{', '.join(needed)}; locate again"
    )
