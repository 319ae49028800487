"""What a reconstruction reports: its plan before the work, and its outcome after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fociscope.errors import FociscopeWarning, printable
from fociscope.reconstruction.outlying import OUTLYING_PIXELS
from fociscope.results.result import Reconstruction

__all__ = [
    "MOST_NAMED",
    "ReconstructionOutcome",
    "ReconstructionPlan",
    "implausible_frames",
    "outlying_pixels",
    "quality_warnings",
]

#: Frames that a warning names; of the others it states the number.
MOST_NAMED = 4


@dataclass(frozen=True)
class ReconstructionPlan:
    """How the files were understood, before any work is done.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.workflows import ReconstructionPlan
        >>> pair = (Path("run/1_A.tif"), Path("run/1_B.tif"))
        >>> plan = ReconstructionPlan(1, 2, (51, 51), False, (pair,), ("csv",), False, ())
        >>> [path.name for path in plan.pairs[0]]
        ['1_A.tif', '1_B.tif']
    """

    frames: int
    """Number of frames in the files."""
    sensors: int
    """Number of sensors of each frame, 1 or 2."""
    frame_px: tuple[int, int]
    """Size (y, x) of the frames in the files, pixels."""
    is_single: bool
    """Whether the files hold one capture without an axis of frames."""
    pairs: tuple[tuple[Path, ...], ...]
    """Files that belong together, sensor A's first: one tuple for each frame of a set of images,
    one in all for stacks and for files that hold both sensors."""
    formats: tuple[str, ...]
    """Formats that will be written."""
    by_parts: bool
    """Whether the series is read and written part by part."""
    notes: tuple[str, ...]
    """How the files were read where they leave it open, in sentences for a user."""
    model: str = ""
    """Name or path of the model, the shipped one for so many sensors if the options name none."""
    is_batch: bool = False
    """Whether each capture gets a folder of its own."""


@dataclass(frozen=True)
class ReconstructionOutcome:
    """Files and figures of a reconstruction that is complete.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.workflows import ReconstructionOutcome
        >>> outcome = ReconstructionOutcome(
        ...     frames=9, made=4, summary={}, output=Path("map"),
        ...     files=(Path("map/frames.csv"),), title="run",
        ... )
        >>> outcome.frames - outcome.made, outcome.files[0].name
        (5, 'frames.csv')
    """

    frames: int
    """Number of frames in the output folder."""
    made: int
    """Number of frames that this run has reconstructed; the others are an earlier run's."""
    summary: dict[str, Any] = field(repr=False)
    """Content of `summary.json`."""
    output: Path
    """Folder of the results."""
    files: tuple[Path, ...]
    """Files and stores that were written."""
    title: str
    """Title of the figure: the names of the captures."""
    first: Reconstruction | None = None
    """Map of the first frame; None if an earlier run or a watch has made it."""
    by_parts: bool = False
    """Whether the results were written part by part, so that the summary holds means."""
    is_batch: bool = False
    """Whether each capture has a folder of its own in the output."""
    notes: tuple[str, ...] = ()
    """How the files were read where they leave it open, in sentences for a user."""
    warnings: tuple[FociscopeWarning, ...] = ()
    """Reasons not to trust the results as they are."""


def quality_warnings(result: Reconstruction) -> tuple[FociscopeWarning, ...]:
    """Return which captures are unlike what the model was trained on, and why; nothing if none."""
    if result.quality_flags is None or result.plausible.all():
        return ()
    flags = [str(flag) for flag in result.quality_flags.reshape(-1)]
    names = result.names or ("",) * len(flags)
    if len(flags) == 1:
        file = f"{printable(names[0])}: " if names[0] else ""
        return (FociscopeWarning(f"{file}{flags[0]}; do not trust this map"),)
    odd = [
        (number, name, flag)
        for number, (name, flag) in enumerate(zip(names, flags, strict=True), start=1)
        if flag
    ]
    return (implausible_frames(odd[:MOST_NAMED], len(odd), len(flags)),)


def outlying_pixels(result: Reconstruction | None) -> tuple[FociscopeWarning, ...]:
    """Return what was filled of the captures, as no light explains it; nothing if nothing was."""
    said = () if result is None else result.warnings
    return tuple(
        FociscopeWarning(text, fields=("bad_pixels",))
        for text in said
        if text.startswith(OUTLYING_PIXELS)
    )


def implausible_frames(
    named: Sequence[tuple[int, str, str]], odd: int, frames: int
) -> FociscopeWarning:
    """Return a warning that names frames and files, and says of each what speaks against it.

    Args:
        named: Number of a frame from 1, name of its file (empty if unknown), and the reason.
        odd: Number of all such frames.
        frames: Number of all frames.
    """
    each = [
        f"frame {number}{f' ({printable(name)})' if name else ''}: {flag}"
        for number, name, flag in named
    ]
    more = odd - len(named)
    if more:
        each.append(f"{more} more, see frames.csv" if named else "frames.csv says which and why")
    return FociscopeWarning(
        f"{odd} of {frames} captures do not look like the imager's, do not trust their maps: "
        f"{'; '.join(each)}"
    )
