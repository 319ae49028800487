"""The reconstruction: a layered map that can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fociscope.files.safe.atomic import atomic_folder
from fociscope.results.layered_map import LayeredMap
from fociscope.results.summary import summarise
from fociscope.results.tables import Tables
from fociscope.results.writers import DEFAULT_FORMATS, FORMATS, OF_SERIES, write_result

__all__ = ["FORMATS", "Reconstruction"]


@dataclass(frozen=True)
class Reconstruction(LayeredMap):
    """The layered map of one capture, or of many along the leading axes."""

    def summary(self) -> dict[str, Any]:
        """Return the figures of each layer, ready for JSON, with units in the names."""
        return summarise(self, Tables.from_reconstruction(self))

    def save(
        self,
        folder: Path | str,
        formats: Sequence[str] = DEFAULT_FORMATS,
        *,
        overwrite: bool = False,
    ) -> None:
        """Write the files into a new folder, or none at all.

        Raises:
            OutputExistsError: the folder holds something, and `overwrite` was not asked for.
        """
        with atomic_folder(Path(folder), overwrite, removes=OF_SERIES) as part:
            write_result(self, part, formats)
