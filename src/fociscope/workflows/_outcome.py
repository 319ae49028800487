"""What a reconstruction reports: its plan before the work, and its outcome after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fociscope.errors import FociscopeWarning
from fociscope.results.result import Reconstruction

__all__ = ["ReconstructionOutcome", "ReconstructionPlan", "quality_warnings"]


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
    notes: tuple[str, ...] = ()
    """How the files were read where they leave it open, in sentences for a user."""
    warnings: tuple[FociscopeWarning, ...] = ()
    """Reasons not to trust the results as they are."""


def quality_warnings(result: Reconstruction) -> tuple[FociscopeWarning, ...]:
    """Return why captures are unlike what the model was trained on; nothing if they are not."""
    plausible = result.plausible.reshape(-1)
    if plausible.all():
        return ()
    odd = int((~plausible).sum())
    which = (
        "" if plausible.size == 1 else f"{odd} of {plausible.size} captures, such as the first: "
    )
    first = result.frame(int(plausible.argmin()))
    return (FociscopeWarning(f"{which}{first.quality_flags}; do not trust this map"),)
