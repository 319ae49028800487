"""`dataset.json`: all that a data set depends on, and what each of its files holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, SceneError
from fociscope.files.published.images_depth import ImagesDepth
from fociscope.files.published.writer import LayoutFormat
from fociscope.files.safe.records import read_typed_record, write_record
from fociscope.imager.geometry import Imager
from fociscope.simulation.specimens import AnySpecimen
from fociscope.simulation.tissue import PerlinFoci

__all__ = [
    "RECORD_NAME",
    "DatasetPlan",
    "DatasetRecord",
    "FileRecord",
    "Kind",
    "Statistics",
    "current_versions",
    "has_record",
    "read_record",
]

RECORD_NAME = "dataset.json"
DATASET_FORMAT = "fociscope-dataset"
FORMAT_VERSION = 1

Kind = Literal["images-depth", "single-layer"]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class DatasetPlan(Configuration):
    """Description of a data set; the same plan on the same versions gives the same bytes.

    Examples:
        >>> from fociscope.simulation import DatasetPlan
        >>> plan = DatasetPlan(files=2, samples=100, layers=3)
        >>> [plan.file_name(index) for index in range(plan.files)]
        ['1.mat', '2.mat']
    """

    error: ClassVar[type[FociscopeError]] = SceneError

    kind: Kind = "images-depth"
    """`images-depth`: several layers at once; `single-layer`: one, seen by sensor A alone."""
    format: LayoutFormat = LayoutFormat.mat5
    files: Count = 6
    samples: Count = 2000
    """Scenes per file."""
    seed: Annotated[int, Field(ge=0)] = 0
    layers: Annotated[int, Field(ge=1, le=6)] = 4
    min_separation_um: Annotated[float, Field(ge=0)] = 250.0
    peak_snr_db: float | None = None
    """Of the captures; None for no noise, as in the published set."""
    imager: Imager = Imager()
    specimen: AnySpecimen = PerlinFoci()
    displacement_px: tuple[
        Annotated[int, Field(ge=-3, le=3)], Annotated[int, Field(ge=-3, le=3)]
    ] = (
        0,
        0,
    )
    """(y, x) by which sensor images lie beside the layers; (-1, -1) in the published set."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "single-layer" and (self.layers, self.imager.sensors) != (1, 1):
            raise ValueError("a single-layer set has one layer and sensor A alone")
        return self

    @classmethod
    def single_layer(cls, *, imager: Imager | None = None, **settings: object) -> Self:
        """Return the plan of a single-layer set: sensor A alone, depths evenly over the gap."""
        alone = (imager or Imager.reference()).with_(sensors=1)
        fixed = {"kind": "single-layer", "layers": 1, "min_separation_um": 0.0, "imager": alone}
        return cls.model_validate({**settings, **fixed})

    def file_name(self, index: int) -> str:
        """Return the name of a file; `index` counts from 0, names from 1."""
        return f"{index + 1}{self.format.suffix}"


class Statistics(Configuration):
    """What the values of some samples are like."""

    coverage_mean: Share
    """Share of a layer with cells, over all layers."""
    coverage_min: Share
    coverage_max: Share
    depth_um_mean: float
    depth_um_min: float
    depth_um_max: float
    capture_mean: float
    """Light per pixel, 1 being the mean light of a pixel with cells before blur."""
    capture_peak: float

    @classmethod
    def from_data(cls, data: ImagesDepth) -> Self:
        """Measure samples that have a depth map and depths."""
        assert data.depth_map_um is not None
        assert data.depth_um is not None
        coverage = (data.depth_map_um > 0).mean(axis=(2, 3), dtype=np.float64)
        return cls(
            coverage_mean=coverage.mean(),
            coverage_min=coverage.min(),
            coverage_max=coverage.max(),
            depth_um_mean=data.depth_um.mean(dtype=np.float64),
            depth_um_min=data.depth_um.min(),
            depth_um_max=data.depth_um.max(),
            capture_mean=data.captures.mean(dtype=np.float64),
            capture_peak=data.captures.max(),
        )

    @classmethod
    def over(cls, parts: list[Statistics]) -> Self:
        """Join the statistics of files with equally many samples."""
        ends: dict[str, Callable[[list[float]], Any]]
        ends = {"min": min, "max": max, "peak": max, "mean": np.mean}
        return cls(
            **{
                name: float(ends[name.rpartition("_")[2]]([getattr(part, name) for part in parts]))
                for name in cls.model_fields
            }
        )


class FileRecord(Configuration):
    """One whole file of the set."""

    name: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}\.(mat|h5|zarr)$")]
    samples: Count
    first_scene: Annotated[int, Field(ge=0)]
    """Number of its first scene under the seed."""
    bytes: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file; of a Zarr store, of what `sha256sum` prints for its sorted files."""
    statistics: Statistics


class DatasetRecord(Configuration):
    """The content of `dataset.json`."""

    format: Literal["fociscope-dataset"] = "fociscope-dataset"
    format_version: Literal[1] = 1
    versions: dict[str, str]
    plan: DatasetPlan
    files: tuple[FileRecord, ...] = ()
    """Those that are whole; a set that was interrupted has fewer than planned."""
    statistics: Statistics | None = None
    """Over all files, once the set is complete."""

    @model_validator(mode="after")
    def _files_follow_the_plan(self) -> Self:
        names = [file.name for file in self.files]
        planned = [self.plan.file_name(index) for index in range(self.plan.files)]
        if len(names) != len(set(names)) or not set(names) <= set(planned):
            raise ValueError("its files are not those of its plan")
        return self

    @property
    def is_complete(self) -> bool:
        """Whether all planned files are recorded."""
        return len(self.files) == self.plan.files

    def with_file(self, file: FileRecord) -> DatasetRecord:
        """Return a record that holds one file more, in the order of the plan."""
        files = sorted((*self.files, file), key=lambda f: f.first_scene)
        complete = len(files) == self.plan.files
        statistics = Statistics.over([f.statistics for f in files]) if complete else None
        return self.model_copy(update={"files": tuple(files), "statistics": statistics})

    def write(self, folder: Path, *, overwrite: bool) -> None:
        """Write `dataset.json` into a folder; the same record gives the same bytes."""
        values = self.model_dump(mode="json")
        write_record(folder / RECORD_NAME, values, overwrite=overwrite)


def current_versions(format: LayoutFormat) -> dict[str, str]:
    """Return the versions that the bytes of a data set depend on."""
    writer = {"mat5": "scipy", "zarr": "zarr"}.get(format.value, "h5py")
    return {name: version(name) for name in ("fociscope", "torch", "numpy", writer)}


def has_record(folder: Path) -> bool:
    """Return whether a folder has a `dataset.json`, be it a link that leads nowhere."""
    return os.path.lexists(folder / RECORD_NAME)


def read_record(folder: Path) -> DatasetRecord:
    """Read `dataset.json` of a folder.

    Raises:
        FileFormatError: it is missing, damaged, or of a format this version does not read.
    """
    return read_typed_record(
        folder / RECORD_NAME,
        DatasetRecord,
        "the description of a Fociscope data set",
        format=DATASET_FORMAT,
        version=FORMAT_VERSION,
        advice="simulate it again",
    )
