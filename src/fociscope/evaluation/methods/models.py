"""Methods of an evaluation: one face for models, the constant baseline and the solvers."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from fociscope.errors import FociscopeError, ImagerError
from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.methods.oracle import MAP_ORACLE, MapLimitMethod
from fociscope.evaluation.methods.solvers import SolverMethod, solver_names
from fociscope.evaluation.suite import VALIDATION
from fociscope.imager.geometry import Imager
from fociscope.networks.store import find_model, read_model, shipped_models
from fociscope.reconstruction.engine import Model, load_model
from fociscope.simulation.scene import Scenes

__all__ = [
    "ConstantBaseline",
    "ModelMethod",
    "ReconstructionMethod",
    "baseline_names",
    "find_method",
    "find_methods",
]

CONSTANT = "constant"
#: A model of this ending is one whose light is fitted to the captures.
REFINED = "+refined"


class ReconstructionMethod(Protocol):
    """Whoever answers: where are cells, how bright, how deep."""

    name: str
    kind: str
    """`model`, `constant`, `solver` or `limit`."""
    inputs: str
    """In words: what it uses, the captures included."""
    oracle: bool
    """Whether it is told the truth about the depths."""
    slow: bool
    """Whether it is scored on fewer scenes, for want of time."""

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        """Return why it cannot answer such scenes; None if it can."""

    def prepare(self) -> None:
        """Do what is done once, such as choosing thresholds on validation scenes."""

    def estimate(self, batch: Batch, task: ReconstructionTask) -> Prediction:
        """Answer; of the batch's truth, only an oracle may read the depths."""


class ModelMethod:
    """A trained model."""

    kind, oracle, slow = "model", False, False

    def __init__(
        self, name_or_path: str | Path, *, device: str = "auto", refine: bool = False
    ) -> None:
        """Find the model.

        Args:
            name_or_path: as of `load_model`, and so are the others.
            device: where it runs.
            refine: whether its light is fitted to the captures.

        Raises:
            ModelError: there is none, or it is damaged.
        """
        self._path, self._device, self._refine = find_model(name_or_path), device, refine
        _, self.info = read_model(self._path)
        self.name = self.info.name + (REFINED if refine else "")
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
        )

    def _model(self, imager: Imager) -> Model:
        return _loaded(self._path, imager.with_(sensors=self.sensors), self._device, self._refine)


@lru_cache(maxsize=4)
def _loaded(path: Path, imager: Imager, device: str, refine: bool) -> Model:
    return load_model(path, imager=imager, device=device, refine=refine)


class ConstantBaseline:
    """The constant baseline, without the captures: most frequent answer, mean depth, even light."""

    name, kind = CONSTANT, "constant"
    oracle, slow = False, False
    inputs = "the number of layers and their least distance; it ignores the captures"

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        """Return None: it can always guess."""

    def prepare(self) -> None:
        """Nothing is to be done before the scenes are known."""

    def estimate(self, batch: Batch, task: ReconstructionTask) -> Prediction:
        """Say of every scene what holds for the validation scenes of so many layers on average."""
        scenes, frame_px = len(batch), batch.captures.shape[-2:]
        seen = _validation(task.layers, task.min_separation_um)
        shape = (scenes, task.layers, *frame_px)
        share = seen.mask.mean(axis=(0, 2, 3), dtype=np.float64)[:, None, None]
        light = seen.layers.mean(axis=(0, 2, 3), dtype=np.float64)[:, None, None]
        depth_um, std_um = seen.depth_um.mean(axis=0), seen.depth_um.std(axis=0)
        return Prediction(
            mask=np.broadcast_to(share > 0.5, shape),
            probability=np.broadcast_to(share.astype(np.float32), shape),
            intensity=np.broadcast_to(light.astype(np.float32), shape),
            depth_um=np.broadcast_to(depth_um, shape[:2]),
            depth_std_um=np.broadcast_to(std_um, shape[:2]),
        )


@lru_cache(maxsize=8)
def _validation(layers: int, min_separation_um: float) -> Scenes:
    """Return validation scenes of the reference conditions with so many layers."""
    changes = {"layers": layers, "min_separation_um": min_separation_um}
    return VALIDATION.model_copy(update=changes).simulated(VALIDATION.scenes)


def baseline_names() -> list[str]:
    """Return the names of all baselines: the constant one, the solvers, and the map's limit."""
    return [CONSTANT, *solver_names(), MAP_ORACLE]


def find_method(name: str, *, device: str = "auto") -> ReconstructionMethod:
    """Return a candidate: a baseline by its name, a shipped model, or a `.safetensors` file.

    A model with `+refined` behind its name has its light fitted to the captures.

    Raises:
        FociscopeError: it is none of them.
    """
    if name == CONSTANT:
        return ConstantBaseline()
    if name in solver_names():
        return SolverMethod(name)
    if name == MAP_ORACLE:
        return MapLimitMethod()
    refine = name.endswith(REFINED)
    name = name.removesuffix(REFINED)
    if name not in shipped_models() and not name.endswith(".safetensors"):
        raise FociscopeError(
            f"no model or solver '{name}'; expected a .safetensors file, a shipped model "
            f"({', '.join(shipped_models())}) or one of: {', '.join(baseline_names())}"
        )
    return ModelMethod(name, device=device, refine=refine)


def find_methods(name: str, baselines: str, *, device: str = "auto") -> list[ReconstructionMethod]:
    """Return the candidate of a name, and the baselines beside it.

    Args:
        name: as for `find_method`.
        baselines: `none`, `all`, or names with commas between them.
        device: of trained models.

    Raises:
        FociscopeError: a name is unknown.
    """
    if baselines == "none":
        names = []
    elif baselines == "all":
        names = baseline_names()
    else:
        names = [part.strip() for part in baselines.split(",") if part.strip()]
    methods = [find_method(n, device=device) for n in [name, *names]]
    # A baseline that is evaluated itself needs no second row.
    return list({method.name: method for method in methods}.values())
