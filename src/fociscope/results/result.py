"""The reconstruction: a layered map that can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fociscope.errors import FociscopeError
from fociscope.results._html import as_html
from fociscope.results._layered_map import LayeredMap
from fociscope.results.foci import CELL_DIAMETER_UM, tabulate_foci
from fociscope.results.summary import summarise
from fociscope.results.tables import Tables
from fociscope.results.writers import DEFAULT_FORMATS, result_folder, write_result

if TYPE_CHECKING:
    import pandas as pd

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
        <Reconstruction: 4 layers of 51x51 pixels, 2 sensors, model layers-ab, depths ... µm>
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
            overwrite: Whether results that are there are replaced, in whatever formats; other
                files are left alone.

        Raises:
            OutputExistsError: If the folder holds something and `overwrite` is not set.
            FociscopeError: If a format is unknown, or if the disk refuses.
        """
        with result_folder(Path(folder), overwrite) as part:
            write_result(self, part, formats)

    def foci(self, *, cell_diameter_um: float = CELL_DIAMETER_UM) -> NDArray[np.void]:
        """Find the foci of all captures.

        Args:
            cell_diameter_um: Diameter of a typical cell in um, for the number of cells.

        Returns:
            Structured array (focus,) with the columns of `foci.csv`; `frame`, `layer` count from 0,
            `label` from 1. `pandas.DataFrame(result.foci())` is a table of it.

        Raises:
            FociscopeError: If the diameter is not above 0.

        Examples:
            >>> import fociscope
            >>> scenes = fociscope.simulate(2, seed=0)
            >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures)
            >>> foci = result.foci()
            >>> foci.dtype.names[:4]
            ('frame', 'layer', 'label', 'x_um')
            >>> in_second_layer = foci[foci["layer"] == 1]
        """
        table = tabulate_foci(self, cell_diameter_um=cell_diameter_um)
        columns = {each.name: getattr(table, each.name) for each in fields(table)}
        rows = np.empty(len(table), dtype=[(name, array.dtype) for name, array in columns.items()])
        for name, array in columns.items():
            rows[name] = array
        return rows

    def foci_frame(self, *, cell_diameter_um: float = CELL_DIAMETER_UM) -> pd.DataFrame:
        """Return the foci of all captures as a pandas DataFrame.

        pandas is no dependency of this package; `foci` returns the same columns without it.

        Args:
            cell_diameter_um: Diameter of a typical cell in um, for the number of cells.

        Returns:
            One row per focus; behind `frame`, `name` is the capture's file where files are known.

        Raises:
            FociscopeError: If pandas is not installed, or the diameter is not above 0.

        Examples:
            >>> import fociscope
            >>> scenes = fociscope.simulate(1, seed=0)
            >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures)
            >>> table = result.foci_frame()  # doctest: +SKIP
            >>> table.groupby("layer").area_um2.sum()  # doctest: +SKIP
        """
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise FociscopeError(
                "pandas is not installed; install it (pip install pandas), or use result.foci(), a "
                "NumPy array of the same columns"
            ) from None
        foci = self.foci(cell_diameter_um=cell_diameter_um)
        table: pd.DataFrame = pandas.DataFrame(foci)
        if self.names:
            table.insert(1, "name", [self.names[frame] for frame in foci["frame"]])
        return table

    def plot(self, frame: int = 0, *, title: str = "") -> Any:
        """Draw one capture and its map: captures, views from above and the side, each layer.

        Args:
            frame: Number of the capture, from 0, all leading axes counted as one.
            title: Line above the picture; without it, the name of the capture's file if known.

        Returns:
            matplotlib `Figure`, which a notebook shows and `savefig` saves.

        Examples:
            >>> import fociscope
            >>> scenes = fociscope.simulate(1, seed=0)
            >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures)
            >>> result.plot(title="a simulated capture").savefig("map.png")
        """
        # Figures are drawn from results, so that they are looked up here by name and only now.
        figures = import_module("fociscope.figures")
        one = self.frame(frame)
        return figures.draw_reconstruction(one, title or " ".join(one.names))

    def _repr_html_(self) -> str:
        """Return the layers of the first captures as a table, for notebooks."""
        return as_html(self)
