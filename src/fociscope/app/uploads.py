"""Files that a visitor sends: saved in the folder of the visit under harmless names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fociscope.app.capture_input import safe_name
from fociscope.errors import FileFormatError
from fociscope.files.captures.pairing import natural_order

__all__ = ["SentFile", "save_files"]


class SentFile(Protocol):
    """A file as NiceGUI hands it over."""

    name: str

    async def save(self, path: str | Path) -> None:
        """Write it to a path."""


async def save_files(
    files: Sequence[SentFile], folder: Path, suffixes: tuple[str, ...] | None = None
) -> list[Path]:
    """Save files that were sent together, and return their paths in the order of their names.

    Args:
        files: as they were sent.
        folder: that is made for them.
        suffixes: that are expected; without them, those of captures.

    Raises:
        FileFormatError: another kind of file, or two of one name, so that nobody knows which is
            sensor A's.
    """
    named = [(safe_name(file.name, suffixes), file) for file in files]
    named.sort(key=lambda one: natural_order(Path(one[0])))
    often, count = Counter(name.casefold() for name, _ in named).most_common(1)[0]
    if count > 1:
        shown = next(name for name, _ in named if name.casefold() == often)
        raise FileFormatError(
            f"{shown}: {count} files of this name were sent together, so nothing tells which is "
            "sensor A's; rename them, such as to sensor_a and sensor_b, and send them again."
        )
    paths = [folder / name for name, _ in named]
    for path, (_, file) in zip(paths, named, strict=True):
        await file.save(path)
    return paths
