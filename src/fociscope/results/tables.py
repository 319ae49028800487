"""A reconstruction as tables: one row per frame, per layer and per focus.

Frames, layers and foci are counted from 1 in files, as viewers show them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import harmless
from fociscope.files.safe.atomic import atomic_path
from fociscope.results._layered_map import LayeredMap
from fociscope.results.foci import CELL_DIAMETER_UM, FociTable, tabulate_foci
from fociscope.typing import Float64Array, Int64Array

__all__ = ["TABLES", "Tables", "write_tables"]

#: File -> the columns that it has in any case.
TABLES: dict[str, tuple[str, ...]] = {
    "frames.csv": ("frame", "name", "plausible", "residual_a", "residual_b", "quality_flags"),
    "layers.csv": (
        "frame",
        "layer",
        "present",
        "presence",
        "depth_um",
        "depth_std_um",
        "coverage",
        "foci",
        "cells",
    ),
    "foci.csv": (
        "frame",
        "layer",
        "focus",
        "x_um",
        "y_um",
        "depth_um",
        "depth_std_um",
        "area_um2",
        "brightness",
        "cells",
        "confidence",
        "probability",
    ),
}


#: Columns that come behind the number of the frame, and its name, where they are known.
NAME, TIME = "name", "time_s"

_FORMULA = "=+-@"
"""Letters with which a spreadsheet's formulas begin."""

Labels = Mapping[str, Sequence[str]]
"""Column -> its text for each frame."""


@dataclass(frozen=True)
class Tables:
    """What the tables of one capture or of many hold."""

    result: LayeredMap
    foci: FociTable
    foci_count: Int64Array
    """(frame, layer) foci that are more likely there than not."""
    cells: Float64Array
    """(frame, layer) sum over these foci."""
    coverage: Float64Array
    """(frame, layer) share of the frame with cells."""

    @classmethod
    def from_reconstruction(
        cls, result: LayeredMap, *, cell_diameter_um: float = CELL_DIAMETER_UM
    ) -> Tables:
        """Find the foci, and measure each layer."""
        layers = result.probability.shape[-3]
        frames = result.depth_um.size // layers
        foci = tabulate_foci(result, cell_diameter_um=cell_diameter_um)
        counted = foci.cells * foci.is_likely
        cells = np.bincount(foci.frame * layers + foci.layer, counted, frames * layers)
        return cls(
            result=result,
            foci=foci,
            foci_count=foci.counts(frames, layers),
            cells=cells.reshape(frames, layers).astype(np.float64),
            coverage=result.mask.mean(axis=(-2, -1)).reshape(frames, layers),
        )

    @property
    def labels(self) -> dict[str, list[str]]:
        """What every table says of each frame besides its number: its time, if it is known."""
        if self.result.time_s is None:
            return {}
        return {TIME: [str(round(float(time), 6)) for time in self.result.time_s.reshape(-1)]}

    def text(
        self,
        *,
        first_frame: int = 0,
        names: Sequence[str] = (),
        labels: Labels | None = None,
        of_frames: Labels | None = None,
    ) -> dict[str, str]:
        """Return file -> lines of CSV, without the header.

        Args:
            first_frame: number of the first frame in its series, from 0.
            names: of the frames' files; without them, the column stays empty.
            labels: columns of every table; None for `Tables.labels`.
            of_frames: columns of `frames.csv` alone, its last ones.
        """
        first = first_frame + 1
        labels = self.labels if labels is None else labels
        of_each = [list(column) for column in labels.values()]
        before = [[column[n] for column in of_each] for n in range(len(self.coverage))]
        return {
            "frames.csv": csv_lines(self._frames(first, names, labels, of_frames or {})),
            "layers.csv": csv_lines(_labelled(self._layers(first), first, before)),
            "foci.csv": csv_lines(_labelled(self._foci(first), first, before)),
        }

    def _frames(
        self, first: int, names: Sequence[str], labels: Labels, of_frames: Labels
    ) -> Iterable[Sequence[Any]]:
        result, count = self.result, len(self.coverage)
        residual = result.residual.reshape(count, -1).tolist()
        plausible = result.plausible.reshape(-1).tolist()
        quality_flags = (
            [""] * count if result.quality_flags is None else result.quality_flags.reshape(-1)
        )
        for n in range(count):
            of_sensor = [f"{r:.4f}" for r in residual[n]]
            yield (
                first + n,
                names[n] if names else "",
                *(column[n] for key, column in labels.items() if key != NAME),
                int(plausible[n]),
                of_sensor[0],
                of_sensor[1] if len(of_sensor) > 1 else "",
                str(quality_flags[n]),
                *(column[n] for column in of_frames.values()),
            )

    def _layers(self, first: int) -> Iterable[Sequence[Any]]:
        result, layers = self.result, self.coverage.shape[1]
        columns = (
            result.presence.ravel().tolist(),
            result.depth_um.ravel().tolist(),
            result.depth_std_um.ravel().tolist(),
            self.coverage.ravel().tolist(),
            self.foci_count.ravel().tolist(),
            self.cells.ravel().tolist(),
        )
        for n, (presence, depth, std, coverage, foci, cells) in enumerate(
            zip(*columns, strict=True)
        ):
            yield (
                first + n // layers,
                n % layers + 1,
                int(presence >= 0.5),
                f"{presence:.4f}",
                f"{depth:.2f}",
                f"{std:.2f}",
                f"{coverage:.5f}",
                foci,
                f"{cells:.2f}",
            )

    def _foci(self, first: int) -> Iterable[Sequence[Any]]:
        t = self.foci
        columns = (
            (t.frame + first).tolist(),
            (t.layer + 1).tolist(),
            t.label.tolist(),
            *(
                [format(value, spec) for value in column.tolist()]
                for column, spec in (
                    (t.x_um, ".2f"),
                    (t.y_um, ".2f"),
                    (t.depth_um, ".2f"),
                    (t.depth_std_um, ".2f"),
                    (t.area_um2, ".1f"),
                    (t.brightness, ".6g"),
                    (t.cells, ".2f"),
                    (t.confidence, ".4f"),
                    (t.probability, ".4f"),
                )
            ),
        )
        return zip(*columns, strict=True)


def header(name: str, labels: Iterable[str] = (), of_frames: Iterable[str] = ()) -> str:
    """Return the first line of a table.

    Args:
        name: of the table.
        labels: columns that every table has besides its own.
        of_frames: columns that `frames.csv` has besides its own.
    """
    columns = list(TABLES[name])
    place = columns.index(NAME) + 1 if NAME in columns else 1
    columns[place:place] = [label for label in labels if label not in columns]
    return csv_lines([[*columns, *(of_frames if name == "frames.csv" else ())]])


def encoded(text: str) -> bytes:
    """Return text as UTF-8; what a file's name has that is not, is written out."""
    return text.encode("utf-8", errors="backslashreplace")


def as_written(text: str) -> str:
    """Return text as a reader of the tables finds it.

    Letters that steer a terminal or break a line are written out, and an apostrophe stands before
    what a spreadsheet would take for a formula.
    """
    plain = encoded(harmless(text).replace("\n", r"\n")).decode("utf-8")
    return f"'{plain}" if plain.startswith(tuple(_FORMULA)) and not _is_number(plain) else plain


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as lines of CSV, their texts as `as_written` gives them."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows(
        [as_written(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return stream.getvalue()


def write_tables(folder: Path, tables: Tables, *, names: Sequence[str] = ()) -> list[Path]:
    """Write `TABLES` into a folder that is there.

    Raises:
        FociscopeError: the disk refuses.
    """
    written = []
    for name, lines in tables.text(names=names).items():
        with atomic_path(folder / name) as part:
            part.write_bytes(encoded(header(name, tables.labels) + lines))
        written.append(folder / name)
    return written


def _labelled(
    rows: Iterable[Sequence[Any]], first: int, before: Sequence[Sequence[str]]
) -> Iterable[Sequence[Any]]:
    """Return rows with the labels of their frames behind the number of the frame."""
    return ((frame, *before[frame - first], *rest) for frame, *rest in rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
