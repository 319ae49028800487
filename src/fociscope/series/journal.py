"""How far a long series has come: what is on the disk for certain, and its sums so far."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from fociscope.configuration import Configuration
from fociscope.errors import FileFormatError
from fociscope.files.safe.records import read_typed_record, write_record
from fociscope.results.emitters import EMITTERS_TABLE
from fociscope.results.tables import TABLES, Tables
from fociscope.results.writers import JOURNAL

__all__ = ["CertainTable", "Journal", "Totals"]

_LARGEST_BYTES = 2**20
_FORMAT_VERSION = 2
#: Totals of each sensor, and of each layer.
_OF_SENSORS = ("residual",)
_OF_LAYERS = ("present", "presence", "depth_um", "depth_std_um", "coverage", "foci", "cells")


def _table(name: str) -> str:
    """Refuse what is no table of ours: a name is joined to the folder, and the file is cut."""
    if name not in (*TABLES, EMITTERS_TABLE):
        raise ValueError("no table of a series")
    return name


Count = Annotated[int, Field(ge=0, le=2**53)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
TableName = Annotated[str, AfterValidator(_table)]


class Totals(Configuration):
    """Sums over frames; depths and their deviations over those in which the layer is there."""

    frames: Count = 0
    plausible: Count = 0
    residual: tuple[float, ...] = ()
    present: tuple[Count, ...] = ()
    presence: tuple[float, ...] = ()
    depth_um: tuple[float, ...] = ()
    depth_std_um: tuple[float, ...] = ()
    coverage: tuple[float, ...] = ()
    foci: tuple[Count, ...] = ()
    cells: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _sums_fit(self) -> Self:
        lengths = {len(getattr(self, name)) for name in _OF_LAYERS}
        if len(lengths) > 1 or len(self.residual) > 2:
            raise ValueError("its sums are of different numbers of layers or sensors")
        if max((self.plausible, *self.present)) > self.frames:
            raise ValueError(f"it counts more than its {self.frames} frames")
        return self

    def plus(self, tables: Tables) -> Self:
        """Return the sums with some frames more.

        Raises:
            FileFormatError: The sums are of another number of layers or sensors.
        """
        result, frames = tables.result, len(tables.coverage)
        present = result.present.reshape(frames, -1)
        self._check_fits(result.residual.shape[-1], present.shape[1])

        def added(name: str, values: NDArray[Any]) -> tuple[float, ...]:
            sums = values.reshape(frames, -1).astype(np.float64).sum(axis=0)
            return tuple((sums + (getattr(self, name) or 0)).tolist())

        def counted(name: str, values: NDArray[Any]) -> tuple[int, ...]:
            return tuple(int(n) for n in added(name, values))

        return type(self)(
            frames=self.frames + frames,
            plausible=self.plausible + int(result.plausible.sum()),
            residual=added("residual", result.residual),
            present=counted("present", present),
            presence=added("presence", result.presence),
            depth_um=added("depth_um", result.depth_um.reshape(frames, -1) * present),
            depth_std_um=added("depth_std_um", result.depth_std_um.reshape(frames, -1) * present),
            coverage=added("coverage", tables.coverage),
            foci=counted("foci", tables.foci_count),
            cells=added("cells", tables.cells),
        )

    def _check_fits(self, sensors: int, layers: int) -> None:
        """Refuse sums of frames unlike these."""
        if self.frames and (len(self.residual), len(self.presence)) != (sensors, layers):
            raise FileFormatError(
                f"{JOURNAL}: sums of {len(self.residual)} sensor(s) and {len(self.presence)} "
                f"layer(s), expected {sensors} and {layers}; overwrite it to start anew",
                fields=("overwrite",),
            )

    def summary(self) -> dict[str, Any]:
        """Return means over the frames, ready for JSON, with units in the names."""
        n = self.frames
        if n == 0:
            return {"frames": 0}
        layers = zip(
            self.present,
            self.presence,
            self.depth_um,
            self.depth_std_um,
            self.coverage,
            self.foci,
            self.cells,
            strict=True,
        )
        return {
            "frames": n,
            "plausible_frames": self.plausible,
            "self_check_residual_mean": {
                sensor: round(r / n, 4) for sensor, r in zip("AB", self.residual, strict=False)
            },
            "layers": [
                {
                    "present_frames": present,
                    "presence_mean": round(presence / n, 4),
                    "depth_um_mean": round(depth / present, 2) if present else None,
                    "depth_std_um_mean": round(std / present, 2) if present else None,
                    "coverage_mean": round(coverage / n, 5),
                    "foci": foci,
                    "cells_mean": round(cells / n, 3),
                }
                for present, presence, depth, std, coverage, foci, cells in layers
            ],
        }


class CertainTable(Configuration):
    """How much of a table is certain, and the checksum of that much."""

    bytes: Count
    sha256: Sha256


class Journal(Configuration):
    """The content of `journal.json`."""

    format: Literal["fociscope-series"] = "fociscope-series"
    format_version: Literal[2] = 2
    identity: dict[str, str]
    """What the results depend on: they go on only where all of it is the same."""
    tables: dict[TableName, CertainTable] = Field(default_factory=dict)
    """By the name of the file, in the folder of the journal."""
    store: Sha256 | None = None
    """Checksum of the descriptions in an OME-Zarr store, the number of frames apart; None without
    a store."""
    totals: Totals = Totals()

    @property
    def frames(self) -> int:
        """How many frames are on the disk for certain."""
        return self.totals.frames

    def write(self, folder: Path) -> None:
        """Write the journal; the one before stays until this one is whole."""
        write_record(folder / JOURNAL, self.model_dump(mode="json"), overwrite=True)

    @classmethod
    def read(cls, folder: Path) -> Journal:
        """Read the journal of a folder.

        Raises:
            FileFormatError: it is damaged, or of a format this version does not read.
        """
        return read_typed_record(
            folder / JOURNAL,
            cls,
            "the journal of an unfinished series",
            format="fociscope-series",
            version=_FORMAT_VERSION,
            most_bytes=_LARGEST_BYTES,
            advice="overwrite it to start anew, or choose another folder",
            fields=("overwrite",),
            needs_checksum=True,
        )
