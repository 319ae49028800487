"""Everything that a reconstruction of files depends on, in one frozen description."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import cast, get_args

from fociscope.devices import Precision, Runtime
from fociscope.errors import FociscopeError, whole_number
from fociscope.files.captures.reader import PageMeaning
from fociscope.imager.geometry import Imager
from fociscope.reconstruction.preparation import Preparation
from fociscope.registry import unknown_name
from fociscope.results.foci import CELL_DIAMETER_UM
from fociscope.results.writers import check_formats

__all__ = ["LARGEST_CELL_UM", "LEAST_CELL_UM", "THREADS", "ReconstructionOptions"]

#: The scheduler that computes in this process.
THREADS = "threads"
LEAST_CELL_UM, LARGEST_CELL_UM = 0.01, 1e6
MOST_SENSORS = 2

Paths = Path | str | Iterable[Path | str]


@dataclass(frozen=True, kw_only=True)
class ReconstructionOptions:
    """How captures are read, reconstructed and written; every field has a default.

    Command line, app, napari widget and `fociscope.reconstruct` use the same options, so the same
    options give the same files. `dataclasses.replace` returns a copy with some fields changed.

    Raises:
        FociscopeError: if a field is out of its range, or `resume` and `overwrite` are both set.

    Examples:
        >>> from fociscope.series import ReconstructionOptions
        >>> options = ReconstructionOptions(layers=3, formats=("csv",), flat="flat.tif")
        >>> options.model, options.layers, [path.name for path in options.flat]
        (None, 3, ['flat.tif'])
    """

    model: str | Path | None = None
    """Name of a shipped model, or path of a `.safetensors` file; None for `layers-ab` where
    captures are of two sensors, and `layers-a` where they are of sensor A alone."""
    imager: Imager | Path | str | None = None
    """Imager that took the captures, or path of its TOML file; None for the imager at the centre of
    the model's training family. Without a model, an imager of two sensors is taken for captures of
    sensor A alone, too."""
    layers: int | None = None
    """Greatest number of layers to look for; None for the model's own number."""
    dark: Paths | float = ()
    """Dark frames, which are subtracted: one file (of one image it holds for both sensors), or
    sensor A's and sensor B's; or one or two numbers of counts in place of files."""
    flat: Paths = ()
    """Captures of even light, by which the captures are divided: one file (of one image it holds
    for both sensors), or A's and B's."""
    bad_pixels: Paths = ()
    """Images that differ from 0 at bad pixels, which are filled: one file, or A's and B's."""
    preparation: Preparation = field(default_factory=Preparation)
    """Flips, crop and average of the captures, before anything else."""
    pages: PageMeaning = "auto"
    """Meaning of the pages of a stack that does not state it: `frames`, `sensors` or `auto`."""
    tile_px: int | None = None
    """Side of the tiles of large frames, pixels; None for the engine's choice."""
    refine: bool = False
    """Whether the restored light is fitted to the captures: less error, more time."""
    refine_depth: bool = False
    """Whether the depth of a layer that is alone is fitted to the captures of both sensors: a few
    um of error with a calibrated imager, more time."""
    precision: Precision = "auto"
    """Numbers that the network computes in: `float32`, `bfloat16`, or `auto` for the faster."""
    runtime: Runtime = "auto"
    """What computes the network on a CPU: `torch`, `openvino` (extra `fast`), or `auto`."""
    device: str = "auto"
    """Device to compute on: `auto`, `cpu`, `cuda` or `mps`."""
    formats: Iterable[str] | None = None
    """Formats of the results, some of `fociscope.results.writer_names()`; None for `ome-tiff` and
    `csv`, or `ome-zarr` and `csv` of a long series."""
    samples: int | None = None
    """Of a volume: how many volumes to draw that the capture leaves possible; None for none."""
    grid: int | tuple[float, float, float] | None = None
    """Of a volume: its number of slices, or the first edge, the last one and the step in um; None
    for the model's own slices."""
    cell_diameter_um: float = CELL_DIAMETER_UM
    """Diameter of a typical cell, um, for the number of cells."""
    scheduler: str = THREADS
    """`threads` to compute in this process, or the address of a dask scheduler, such as
    `tcp://10.0.0.5:8786`, to compute on its workers."""
    by_parts: bool | None = None
    """Whether a series is read and written part by part, in bounded memory; None to decide by its
    length."""
    batch: bool | None = None
    """Whether captures are independent of each other, so that each gets a folder of results; if
    not, they are the frames of one series. None takes what is named one by one (more than two
    paths), or lies in several folders, for a batch, up to 512 captures."""
    resume: bool = False
    """Whether a long series continues after the last frame that an earlier run has completed."""
    overwrite: bool = False
    """Whether results that are there are replaced, in whatever formats."""

    def __post_init__(self) -> None:
        """Check the fields, and keep every selection as a tuple."""
        for name in ("layers", "tile_px", "samples"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole_number(value, name, error=FociscopeError))
        levels = _levels(self.dark)
        object.__setattr__(self, "dark", levels or _paths(cast(Paths, self.dark)))
        for name in ("flat", "bad_pixels"):
            object.__setattr__(self, name, _paths(getattr(self, name)))
        if isinstance(self.formats, str):
            object.__setattr__(self, "formats", (self.formats,))
        if self.formats is not None:
            object.__setattr__(self, "formats", tuple(self.formats))
            check_formats(self.chosen_formats or ())
        if self.resume and self.overwrite:
            raise FociscopeError(
                "resuming continues an earlier run, overwriting starts anew; ask for one of them",
                fields=("resume", "overwrite"),
            )
        if not LEAST_CELL_UM <= self.cell_diameter_um <= LARGEST_CELL_UM:
            raise FociscopeError(
                f"the diameter of a cell is {self.cell_diameter_um:g} µm; expected "
                f"{LEAST_CELL_UM:g} to {LARGEST_CELL_UM:g} µm",
                fields=("cell_diameter_um",),
                value=self.cell_diameter_um,
                least=LEAST_CELL_UM,
                most=LARGEST_CELL_UM,
            )
        kinds = {"pages": PageMeaning, "precision": Precision, "runtime": Runtime}
        for name, choices in ((name, get_args(kind)) for name, kind in kinds.items()):
            if getattr(self, name) not in choices:
                raise unknown_name(f"kind of {name}", getattr(self, name), choices, field=name)

    @property
    def chosen_formats(self) -> tuple[str, ...] | None:
        """The formats as a tuple; None where the default of the series' length holds."""
        return None if self.formats is None else tuple(self.formats)

    @property
    def chip_files(self) -> tuple[tuple[Path, ...], tuple[Path, ...], tuple[Path, ...]]:
        """Files of dark frames, of flat frames and of bad-pixel maps."""
        dark = () if self.dark_counts else _paths(cast(Paths, self.dark))
        return dark, _paths(self.flat), _paths(self.bad_pixels)

    @property
    def dark_counts(self) -> tuple[float, ...]:
        """Numbers that `dark` gives in place of files, one or sensor A's and B's; () for files."""
        return _levels(self.dark)

    @property
    def has_dark(self) -> bool:
        """Whether a dark frame, or a number in place of it, is subtracted."""
        return bool(self.dark_counts or self.chip_files[0])


def _levels(dark: Paths | float) -> tuple[float, ...]:
    """Return the numbers that are given in place of dark frames; () for files."""
    given: list[object] = [dark] if isinstance(dark, str | Path | float | int) else list(dark)
    try:
        levels = tuple(float(str(one)) for one in given)
    except ValueError:
        return ()
    if not levels or any(isinstance(one, str | Path) and Path(one).exists() for one in given):
        return ()
    if len(levels) > MOST_SENSORS or not all(isfinite(level) for level in levels):
        raise FociscopeError(
            f"dark counts of {', '.join(f'{level:g}' for level in levels)}; expected one finite "
            "number, or sensor A's and sensor B's",
            fields=("dark",),
        )
    return levels


def _paths(paths: Paths) -> tuple[Path, ...]:
    """Return one path or many as a tuple."""
    return (Path(paths),) if isinstance(paths, str | Path) else tuple(Path(p) for p in paths)
