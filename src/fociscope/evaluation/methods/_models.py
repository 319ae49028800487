"""Trained models as methods of an evaluation."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fociscope.errors import ImagerError
from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.imager.geometry import Imager
from fociscope.networks.store import find_model, read_model
from fociscope.reconstruction.engine import Model, load_model
from fociscope.results.foci import focus_probability_image

__all__ = ["REFINED", "REFINED_DEPTH", "ModelMethod"]

#: A model of this ending is one whose light is fitted to the captures, and
REFINED = "+refined"
#: of this, the depth of a layer that is alone.
REFINED_DEPTH = "+depth"


class ModelMethod:
    """A trained model."""

    kind, oracle, slow = "model", False, False

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        device: str = "auto",
        refine: bool = False,
        refine_depth: bool = False,
    ) -> None:
        """Find the model.

        Args:
            name_or_path: as of `load_model`, and so are the others.
            device: where it runs.
            refine: whether its light is fitted to the captures.
            refine_depth: whether the depth of a layer that is alone is.

        Raises:
            ModelError: there is none, or it is damaged.
        """
        self._path, self._device = find_model(name_or_path), device
        self._refine, self._refine_depth = refine, refine_depth
        _, self.info = read_model(self._path)
        self.name = self.info.name + REFINED * refine + REFINED_DEPTH * refine_depth
        self.layers = self.info.architecture.layers
        self.sensors = self.info.architecture.sensors
        sees = "sensors A and B" if self.sensors == 2 else "sensor A alone"
        self.inputs = f"the captures of {sees}, the imager, and the number of layers"

    @property
    def sha256(self) -> str:
        """Of the model's file."""
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        """Return why it cannot answer such scenes: another geometry, or more layers than one."""
        if task.imager.sensors < self.sensors:
            return "needs the captures of sensors A and B"
        if self.layers == 1 and task.layers > 1:
            return f"answers with one layer; the scenes have {task.layers}"
        try:
            self._model(task.imager)
        except ImagerError as error:
            return str(error)
        return None

    def prepare(self) -> None:
        """Nothing is to be done."""

    def estimate(self, batch: Batch, task: ReconstructionTask) -> Prediction:
        """Reconstruct, looking for as many layers as there are, or as many as it can."""
        result = self._model(task.imager).reconstruct(
            batch.captures[:, : self.sensors], layers=min(task.layers, self.layers)
        )
        return Prediction(
            mask=result.mask,
            probability=result.probability,
            intensity=result.intensity,
            depth_um=result.depth_um,
            depth_std_um=result.depth_std_um,
            residual=result.residual,
            focus_probability=focus_probability_image(result),
            flagged=~result.plausible,
        )

    def _model(self, imager: Imager) -> Model:
        imager = imager.with_(sensors=self.sensors)
        return _loaded(self._path, imager, self._device, self._refine, self._refine_depth)


@lru_cache(maxsize=4)
def _loaded(path: Path, imager: Imager, device: str, refine: bool, refine_depth: bool) -> Model:
    return load_model(path, imager=imager, device=device, refine=refine, refine_depth=refine_depth)
