"""Captures of beads on a stage, and the table of where the stage stood: sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fociscope.errors import ImagerError, printable
from fociscope.files.captures.reader import open_captures
from fociscope.files.captures.stage_table import read_stage_table
from fociscope.imager.geometry import Imager
from fociscope.typing import BoolArray, Float64Array

__all__ = ["BeadMotion", "StageSweep", "read_sweeps"]

BeadMotion = Literal["fixed", "moving"]
"""Whether a bead stays over the chip, or moves with the stage."""

#: A pixel of a dark frame so many times above the median of its neighbours along the row is hot.
HOT = 3.0
#: Counts below which a dark pixel's ratio to its neighbours says nothing.
LEAST_DARK_COUNTS = 20.0


@dataclass(frozen=True)
class StageSweep:
    """Captures at one depth while a stage moved beads over the chip.

    Attributes:
        counts: (frame, sensor, y, x) counts, the dark frame not subtracted.
        x_um: (frame,) coordinate of the stage along the chip's +x, its zero anywhere.
        y_um: (frame,) the same along +y.
        depth_um: Distance from sensor A that the stage says; its zero may be unknown.
        beads: What each bead does.
        dark: (sensor, y, x) counts without beads; None for none.
        name: Name for tables and figures.

    Examples:
        >>> import numpy as np
        >>> from fociscope.calibration import StageSweep
        >>> x_um = np.array([0.0, 10.0, 20.0])
        >>> sweep = StageSweep(np.ones((3, 1, 2, 32)), x_um, 0 * x_um, 100.0, ("fixed", "moving"))
        >>> sweep.moved_um("moving").tolist()
        [[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]]
    """

    counts: Float64Array
    x_um: Float64Array
    y_um: Float64Array
    depth_um: float
    beads: tuple[BeadMotion, ...] = ("moving",)
    dark: Float64Array | None = None
    name: str = "sweep"

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ImagerError: If shapes differ, a number is not finite, or there are no beads.
        """
        frames = len(self.counts)
        if self.counts.ndim != 4 or self.x_um.shape != (frames,) or self.y_um.shape != (frames,):
            raise ImagerError(
                f"{self.name}: captures {self.counts.shape} at {self.x_um.shape} positions along x "
                f"and {self.y_um.shape} along y, expected (frame, sensor, y, x) and one position "
                "each"
            )
        if not all(np.isfinite(a).all() for a in (self.counts, self.x_um, self.y_um)):
            raise ImagerError(f"{self.name}: captures and positions must be finite")
        if not self.beads or not {*self.beads} <= {"fixed", "moving"}:
            raise ImagerError(
                f"{self.name}: the beads {self.beads}, expected 'fixed' or 'moving' for each",
                fields=("beads",),
                choices=("fixed", "moving"),
            )
        if self.dark is not None and self.dark.shape != self.counts.shape[1:]:
            raise ImagerError(
                f"{self.name}: a dark frame {self.dark.shape} for captures of "
                f"{self.counts.shape[1:]}",
                fields=("dark",),
            )

    @property
    def light(self) -> Float64Array:
        """(frame, sensor, y, x) counts above the dark frame."""
        return self.counts if self.dark is None else self.counts - self.dark

    @property
    def hot(self) -> BoolArray:
        """(sensor, y, x) pixels whose dark counts stand out from their neighbours along the row."""
        if self.dark is None or self.dark.shape[-1] < 3:
            return np.zeros(self.counts.shape[1:], dtype=bool)
        around = np.median([np.roll(self.dark, n, axis=-1) for n in (-2, -1, 0, 1, 2)], axis=0)
        return np.asarray(self.dark > HOT * np.maximum(around, LEAST_DARK_COUNTS))

    def moved_um(self, motion: BeadMotion) -> Float64Array:
        """Return (frame, 2) by how much a bead stands off its first place along x and y."""
        if motion == "fixed":
            return np.zeros((len(self.counts), 2))
        return np.stack([self.x_um - self.x_um[0], self.y_um - self.y_um[0]], axis=1)


def read_sweeps(
    captures: Sequence[Path | str],
    stage: Path | str,
    *,
    imager: Imager,
    beads: Sequence[BeadMotion] = ("moving",),
    dark: Path | str | None = None,
    variable: str | None = None,
) -> list[StageSweep]:
    """Read captures of beads on a stage: a sweep for each file and depth.

    Args:
        captures: Files of frames, each read as by `open_captures`; `file.npz:/name` names an array.
        stage: CSV file with a row for each frame of all files: columns `x_um`, `depth_um`, where
            needed `y_um`, and `frame`, counted from 1 over all files; without it, rows are in
            order. Other units of length are read by their names, such as `x_mm`.
        imager: Imager with the frame size, and the layout of raw counts.
        beads: What each bead does: "fixed" or "moving".
        dark: Captures without beads, whose mean is subtracted; hot pixels are found in it.
        variable: Name of the array in files that hold several.

    Returns:
        The sweeps, in the order of the files and of the frames in them.

    Raises:
        FileFormatError: If a file is missing or broken, or the table is none.
        ImagerError: If captures are not of the imager's frame, or rows and frames differ.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from fociscope.calibration import read_sweeps
        >>> from fociscope.imager import Imager
        >>> np.save("sweep.npy", np.ones((3, 1, 2, 128)))
        >>> _ = Path("stage.csv").write_text("x_um,depth_um\\n0,50\\n10,50\\n20,50\\n")
        >>> sweeps = read_sweeps(["sweep.npy"], "stage.csv", imager=Imager.preset("acus"))
        >>> [one.depth_um for one in sweeps]
        [50.0]
    """
    blank = None if dark is None else _frames(dark, imager, None).mean(axis=0)
    files = [_frames(path, imager, variable) for path in captures]
    rows = read_stage_table(Path(stage))
    if len(rows) != sum(map(len, files)):
        raise ImagerError(
            f"{printable(Path(stage))}: {len(rows)} rows for {sum(map(len, files))} frames, "
            "expected one each, in the order of the files",
            fields=("stage",),
        )
    sweeps, first = [], 0
    for path, counts in zip(captures, files, strict=True):
        own = rows[first : first + len(counts)]
        first += len(counts)
        for depth_um in dict.fromkeys(own[:, 2]):
            these = own[:, 2] == depth_um
            name = f"{Path(str(path).split(':/')[0]).stem}, {depth_um:g} µm"
            x_um, y_um = own[these, 0], own[these, 1]
            sweeps.append(
                StageSweep(counts[these], x_um, y_um, float(depth_um), tuple(beads), blank, name)
            )
    return sweeps


def _frames(path: Path | str, imager: Imager, variable: str | None) -> Float64Array:
    """Return (frame, sensor, y, x) all captures of a file."""
    named = f"{path}:/{variable}" if variable and ":/" not in str(path) else path
    with open_captures([Path(named)], pages="frames", pixel_order=imager.pixel_order()) as series:
        if series.shape[2:] != imager.frame_px or series.shape[1] != imager.sensors:
            raise ImagerError(
                f"{printable(path)}: captures of {series.shape[1]} sensor(s), {series.shape[2]} x "
                f"{series.shape[3]} pixels (y, x); the imager {imager.name!r} has {imager.sensors} "
                f"of {imager.frame_px[0]} x {imager.frame_px[1]}; name the imager of these",
                fields=("imager",),
            )
        return series.read().astype(np.float64)
