"""The reconstruction: a layered map that can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fociscope.files.safe.atomic import atomic_folder
from fociscope.results._layered_map import LayeredMap
from fociscope.results._summary import summarise
from fociscope.results.tables import Tables
from fociscope.results.writers import DEFAULT_FORMATS, OF_SERIES, write_result

__all__ = ["Reconstruction"]


@dataclass(frozen=True, repr=False)
class Reconstruction(LayeredMap):
    """The layered map of one capture, or of many along the leading axes, which can be saved.

    Its arrays are those of `LayeredMap`: `probability`, `mask`, `intensity`, `depth_map_um`
    (..., layer, y, x), `depth_um`, `depth_std_um`, `presence` (..., layer), and the self-check,
    `residual` (..., sensor).

    Examples:
        >>> import fociscope
        >>> scenes = fociscope.simulate(1, seed=0)
        >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures[0])
        >>> result
        <Reconstruction: 4 layers of 51x51 pixels, 2 sensors, model layers-ab, depths ... um>
        >>> result.save("map", formats=("ome-tiff", "csv"))
    """

    def summary(self) -> dict[str, Any]:
        """Return the figures of each layer, ready for JSON, with units in the names.

        Returns:
            Model, imager and, under `captures`, depth, coverage and foci of each layer of each
            capture.
        """
        return summarise(self, Tables.from_reconstruction(self))

    def save(
        self,
        folder: Path | str,
        formats: Sequence[str] = DEFAULT_FORMATS,
        *,
        overwrite: bool = False,
    ) -> None:
        """Write files into a folder, all of them or none at all.

        Args:
            folder: Folder to write into; it is made if it is missing.
            formats: Names of formats in `fociscope.results.WRITERS`.
            overwrite: Whether files of the same names are replaced.

        Raises:
            OutputExistsError: If the folder holds something and `overwrite` is not set.
            FociscopeError: If a format is unknown, or if the disk refuses.
        """
        with atomic_folder(Path(folder), overwrite, removes=OF_SERIES) as part:
            write_result(self, part, formats)
