"""What `fociscope info` says of a folder that `fociscope reconstruct` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from fociscope.cli.common import progress_bar, show
from fociscope.errors import printable
from fociscope.files.safe.records import read_typed_record
from fociscope.results.parts import SavedFile, SavedFiles, changed_files
from fociscope.results.writers import JOURNAL, SUMMARY
from fociscope.series.journal import Journal

__all__ = ["JOURNAL", "SUMMARY", "describe_result"]

#: Letters of a name that are printed.
_LONGEST_NAME = 200

Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(max_length=1000)]


class _Frames(BaseModel):
    frames: Count


class _Input(BaseModel):
    name: Text


class _Told(BaseModel):
    """What the summary of any result says, as far as it is printed."""

    model: Text | None = None
    kind: Text = ""
    emitters: Count = 0
    foci: Count = 0
    slice_um: list[float] = Field(default_factory=list)
    frames: Count = 0
    is_batch: bool = False
    captures: list[object] = Field(default_factory=list)
    series: _Frames | None = None
    inputs: list[_Input] = Field(default_factory=list)
    fociscope: Text | None = None
    torch: Text | None = None
    numpy: Text | None = None
    files: SavedFiles | None = None


def describe_result(folder: Path) -> str | None:
    """Say what a result holds, whether its series may go on, and whether its checksums hold.

    Returns:
        The one line that says what is wrong with it; None if nothing is.

    Raises:
        FileFormatError: its summary or its journal is damaged.
    """
    has_journal, summary = (folder / JOURNAL).exists(), folder / SUMMARY
    has_summary = summary.exists()
    said = _read(summary) if has_summary else _Told()
    show("Result", f"{folder}" + ("" if said.model is None else f", model {said.model}"))
    if said.kind == "emitters":
        show("Emitters", f"{said.emitters} in {said.frames} capture(s), located")
    elif said.kind == "volume" and said.is_batch:
        show("Volumes", f"{len(said.captures)} capture(s), in folders of their own")
    elif said.kind == "volume":
        show("Volume", f"{len(said.slice_um)} slices, {said.foci} foci, of one capture")
    elif said.is_batch:
        count = len(said.captures)
        show("Batch", f"{count} capture(s), in folders of their own; more may come (--resume)")
    elif has_journal:
        frames = Journal.read(folder).frames
        state = "may go on" if has_summary else "is unfinished"
        show("Series", f"{frames} frame(s) are certain; it {state} (--resume)")
    elif said.series is not None:
        show("Series", f"{said.series.frames} frames, complete")
    else:
        show("Captures", f"{len(said.captures)}")
    versions = {name: getattr(said, name) for name in ("fociscope", "torch", "numpy")}
    made = [f"{name} {number}" for name, number in versions.items() if number is not None]
    if made:
        show("Made with", ", ".join(made))
    if said.inputs:
        names = [one.name[:_LONGEST_NAME] for one in said.inputs[:3]]
        more = len(said.inputs) - len(names)
        show("Of", ", ".join(names) + (f" and {more} more" if more else ""))
    files = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    show("Files", ", ".join(files))
    return _checked(folder, said.files)


def _checked(folder: Path, stated: list[SavedFile] | None) -> str | None:
    """Say whether the files are those that the summary states; return what is wrong."""
    if stated is None:
        show("Checksums", "none are stated")
        return None
    with progress_bar("Verifying checksums") as progress:
        changed = list(changed_files(folder, stated, lambda done: progress(done, len(stated))))
    if not changed:
        show("Checksums", f"hold for {len(stated)} file(s)")
        return None
    wrong = ", ".join(f"{printable(name)} ({state})" for name, state in changed)
    show("Checksums", f"do not hold: {wrong}")
    return (
        f"{printable(folder)}: not as it was written: {wrong}; reconstruct the captures again, or "
        "take the files from a copy"
    )


def _read(path: Path) -> _Told:
    what, advice = "the summary of a result", "reconstruct the captures again"
    return read_typed_record(path, _Told, what, advice=advice)
