"""What `fociscope info` says of a folder that `fociscope reconstruct` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fociscope.cli.common import progress_bar, show
from fociscope.errors import FileFormatError, printable
from fociscope.files.safe.records import read_record
from fociscope.results.parts import FILES, changed_files, stated_files
from fociscope.results.writers import JOURNAL, SUMMARY
from fociscope.series.journal import Journal

__all__ = ["JOURNAL", "SUMMARY", "describe_result"]

_LARGEST_BYTES = 2**30


def describe_result(folder: Path) -> str | None:
    """Say what a result holds, whether its series may go on, and whether its checksums hold.

    Returns:
        The one line that says what is wrong with it; None if nothing is.

    Raises:
        FileFormatError: its summary or its journal is damaged.
    """
    has_journal, summary = (folder / JOURNAL).exists(), folder / SUMMARY
    said = _read(summary) if summary.exists() else {}
    show("Result", f"{folder}" + (f", model {said['model']}" if "model" in said else ""))
    if said.get("kind") == "emitters":
        show("Emitters", f"{said.get('emitters')} in {said.get('frames')} capture(s), located")
    elif said.get("is_batch"):
        count = len(said.get("captures", []))
        show("Batch", f"{count} capture(s), in folders of their own; more may come (--resume)")
    elif has_journal:
        frames = Journal.read(folder).frames
        state = "may go on" if said else "is unfinished"
        show("Series", f"{frames} frame(s) are certain; it {state} (--resume)")
    elif "series" in said:
        show("Series", f"{said['series'].get('frames')} frames, complete")
    else:
        show("Captures", f"{len(said.get('captures', []))}")
    made = [f"{name} {said[name]}" for name in ("fociscope", "torch", "numpy") if name in said]
    if made:
        show("Made with", ", ".join(made))
    if "inputs" in said:
        names = [str(one.get("name")) for one in said["inputs"][:3]]
        more = len(said["inputs"]) - len(names)
        show("Of", ", ".join(names) + (f" and {more} more" if more else ""))
    files = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    show("Files", ", ".join(files))
    return _checked(folder, said)


def _checked(folder: Path, said: dict[str, Any]) -> str | None:
    """Say whether the files are those that the summary states; return what is wrong."""
    if FILES not in said:
        show("Checksums", "none are stated")
        return None
    stated = stated_files(folder / SUMMARY, said[FILES])
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


def _read(path: Path) -> dict[str, Any]:
    what, advice = "the summary of a result", "reconstruct the captures again"
    said = read_record(path, what, most_bytes=_LARGEST_BYTES, advice=advice)
    sound = (
        isinstance(said.get("series", {}), dict)
        and isinstance(said.get("captures", []), list)
        and isinstance(said.get("inputs", []), list)
        and all(isinstance(one, dict) for one in said.get("inputs", []))
    )
    if not sound:
        raise FileFormatError(f"{printable(path)}: not {what}; {advice}.")
    return dict(said)
