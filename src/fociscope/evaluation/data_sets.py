"""Data sets of the published layout as something to be scored on: whatever truth they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fociscope.calibration import Displacement, displacement_of_files, on_the_layers
from fociscope.errors import FileFormatError, printable
from fociscope.evaluation.batches import Batch, ReconstructionTask
from fociscope.evaluation.results import ConditionSummary
from fociscope.evaluation.suite import SEPARATION_UM
from fociscope.files import ImagesDepth, ImagesDepthFile, is_store
from fociscope.files.published.images_depth import DEPTH, DEPTH_MAP, RAW
from fociscope.imager.geometry import Imager
from fociscope.simulation.dataset_check import dataset_files
from fociscope.simulation.dataset_record import has_record, read_record
from fociscope.simulation.frame import chunk_scenes

__all__ = ["DataSet"]

#: Samples that slow methods are scored on, the first ones.
SLOW_DATA_SCENES = 100


class DataSet:
    """The samples of one file or a folder of them, as one condition.

    Attributes:
        displacement: How far the sensor images lie beside the layers; None where it is known that
            they do not, or nothing tells. They are scored after a move by whole pixels onto the
            layers, which is where the truth lies.
    """

    group = "data"

    def __init__(self, path: Path, *, imager: Imager | None = None) -> None:
        """Look into the files: how many samples, and what truth.

        Args:
            path: a folder of files, or one file.
            imager: of the captures; without one, that of `dataset.json` where there is one, else
                the reference imager.

        Raises:
            FileFormatError: no such file, or there is no truth in them.
        """
        path = Path(path)
        is_set = path.is_dir() and not is_store(path)
        self.files = dataset_files(path) if is_set else [path]
        self.name = path.resolve().name
        self._cells_per_pixel: float | None = None
        self._separation_um: float | None = None
        displaced = True  # or may be
        if is_set and has_record(path):
            plan = read_record(path).plan
            displaced = plan.displacement_px != (0, 0)
            imager = imager or plan.imager
            self._cells_per_pixel = plan.specimen.cells_per_unit_light(imager.square_pitch_um)
            self._separation_um = plan.min_separation_um
        self.scenes = self.slow_scenes = 0
        for file in self.files:
            with ImagesDepthFile.open(file) as opened:
                self.scenes += opened.samples
        with ImagesDepthFile.open(self.files[0]) as opened:
            if not {DEPTH_MAP, DEPTH, RAW} & set(opened.names):
                raise FileFormatError(
                    f"{printable(self.files[0])}: no truth to score against, expected at least one "
                    f"of {DEPTH_MAP}, {DEPTH} and {RAW}."
                )
            self._depths_known = bool({DEPTH_MAP, DEPTH} & set(opened.names))
            first = opened.read(0, 1)
        self.slow_scenes = min(self.scenes, SLOW_DATA_SCENES)
        truths = (first.depth_um, first.depth_map_um, first.raw)
        self.layers = next(truth.shape[1] for truth in truths if truth is not None)
        sensors, frame_px = first.captures.shape[1], first.captures.shape[2:]
        self.imager = (imager or Imager()).with_(sensors=sensors, frame_px=frame_px)
        self.displacement: Displacement | None = None
        if displaced:
            self.displacement = displacement_of_files(self.files, self.imager)

    @property
    def task(self) -> ReconstructionTask:
        """What methods are told."""
        separation_um = self._separation_um
        if separation_um is None:
            separation_um = SEPARATION_UM.get(self.layers, 0.0)
        return ReconstructionTask(
            self.imager, self.layers, separation_um, depths_known=self._depths_known
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the samples of all files, as many at a time as memory likes."""
        for path in self.files:
            with ImagesDepthFile.open(path) as file:
                step = chunk_scenes(self.imager)
                whole = None if file.is_sliceable else file.read()
                for start in range(0, file.samples, step):
                    stop = min(start + step, file.samples)
                    data = file.read(start, stop) if whole is None else whole.part(start, stop)
                    yield self._batch(data)

    def _batch(self, data: ImagesDepth) -> Batch:
        mask, depth_um = None, data.depth_um
        if data.depth_map_um is not None:
            mask = data.depth_map_um > 0
            if depth_um is None:
                deepest = data.depth_map_um.max(axis=(-2, -1))
                depth_um = np.where(deepest > 0, deepest, np.nan).astype(np.float32)
        captures = data.captures
        if self.displacement is not None:
            captures = on_the_layers(captures, self.displacement)
        return Batch(captures, mask, depth_um, data.raw, self._cells_per_pixel)

    def described(self) -> ConditionSummary:
        """Return what the condition is; the names of the files, but not where they lie."""
        return ConditionSummary(
            name=self.name,
            group=self.group,
            value="",
            scenes=self.scenes,
            layers=self.layers,
            files=tuple(file.name for file in self.files),
            displacement_px=self._displacement_px(),
            imager=self.imager.model_dump(mode="json", exclude_defaults=True),
        )

    def _displacement_px(self) -> tuple[tuple[float, float], ...] | None:
        """Return the displacement of each sensor along y and x, to a hundredth of a pixel."""
        if self.displacement is None:
            return None
        return tuple((round(y, 2), round(x, 2)) for y, x in self.displacement.shift_px.tolist())
