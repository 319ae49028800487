"""Ways to a map, on one capture: networks and classical solvers, of sensor A alone or of both."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import Lock
from typing import Literal

import numpy as np
import torch

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.methods import SolverMethod
from fociscope.imager import Imager, LayerProjector
from fociscope.networks.store import find_model, read_model, shipped_models
from fociscope.reconstruction import Model, load_model
from fociscope.residuals import at_best_gain, relative_residual
from fociscope.results.result import Reconstruction
from fociscope.solvers import SOLVERS
from fociscope.typing import Float32Array

__all__ = ["Answer", "Method", "answer", "default_model", "methods_for", "model_for", "models_for"]


#: Layers of the reference conditions lie at least this far apart; solvers are told so.
SEPARATION_UM = 250.0


@dataclass(frozen=True)
class Method:
    """One way from a capture to a map."""

    kind: Literal["network", "solver"]
    name: str
    sensors: int

    @property
    def key(self) -> str:
        """A name that no other method has."""
        return f"{self.name}/{'AB'[: self.sensors]}"

    @property
    def label(self) -> str:
        """What stands above its map."""
        what = self.name if self.kind == "network" else SOLVERS[self.name].label
        return f"{what}, {'A and B' if self.sensors == 2 else 'A alone'}"

    @property
    def recommended(self) -> bool:
        """Whether comparisons begin with it: a network of several layers, or a robust solver."""
        if self.kind == "network":
            return self.name != "single-a"
        return SOLVERS[self.name].recommended


@dataclass(frozen=True)
class Answer:
    """What a method says of one capture."""

    method: Method
    estimate: Prediction
    """Of one scene, without a scene axis; the depth of an absent layer is NaN."""
    residual: Float32Array
    """(sensor,) |A(reconstruction) - capture| / |capture|."""
    seconds: float
    quality_flags: str = ""


@lru_cache(maxsize=1)
def _sensors_of_models() -> dict[str, int]:
    return {name: read_model(find_model(name))[1].imager.sensors for name in shipped_models()}


def models_for(sensors: int) -> list[str]:
    """Return the shipped models that take as many sensors, the fullest first."""
    names = [name for name, takes in _sensors_of_models().items() if takes == sensors]
    return sorted(names, key=lambda name: (not name.startswith("layers"), name))


def default_model(sensors: int) -> str:
    """Return the model that is taken where nobody chooses."""
    return models_for(sensors)[0]


@lru_cache(maxsize=16)
def model_for(name: str, imager: Imager | None, device: str) -> Model:
    """Return a loaded model; visitors share them, for they hold nothing of a capture."""
    return load_model(name, imager=imager, device=device)


def methods_for(sensors: int) -> list[Method]:
    """Return all methods that a capture of as many sensors allows."""
    numbers = range(sensors, 0, -1)
    networks = [Method("network", name, n) for n in numbers for name in models_for(n)]
    solvers = [name for name, spec in SOLVERS.items() if not spec.needs_depths]
    return [*networks, *(Method("solver", name, n) for name in solvers for n in numbers)]


def answer(
    method: Method,
    captures: Float32Array,
    *,
    imager: Imager | None,
    layers: int,
    in_simulated_light: bool,
    device: str = "auto",
) -> Answer:
    """Ask a method for its map.

    Args:
        method: of `methods_for`.
        captures: (sensor, y, x); a method of one sensor is shown sensor A.
        imager: the instrument; None for the reference.
        layers: how many to look for; a network that tells fewer apart looks for its own number.
        in_simulated_light: the captures are in the simulator's units of light. Those of others are
            brought to the mean of the scenes on which the solvers learnt what light means cells.
        device: for networks.

    Raises:
        FociscopeError: the method cannot answer.
    """
    seen = captures[: method.sensors]
    instrument = None if imager is None else imager.with_(sensors=method.sensors)
    start = time.perf_counter()
    if method.kind == "network":
        model = model_for(method.name, instrument, device)
        start = time.perf_counter()
        most = model.info.architecture.layers
        result = model.reconstruct(seen, layers=min(layers, most))
        seconds = time.perf_counter() - start
        return Answer(method, as_estimate(result), result.residual, seconds, _quality_flags(result))
    instrument = instrument or Imager.reference().with_(sensors=method.sensors)
    solver = _prepared(method.name)
    told = ReconstructionTask(
        imager=instrument.with_(frame_px=seen.shape[-2:]),
        layers=layers,
        min_separation_um=min(SEPARATION_UM, 0.8 * instrument.gap_um / layers),
        depths_known=False,
    )
    start = time.perf_counter()
    scale = 1.0 if in_simulated_light else _simulated_mean() / float(seen.mean())
    bright = (seen * scale).astype(np.float32)
    found = solver.estimate(Batch(bright[None]), told).scene(0)
    seconds = time.perf_counter() - start
    return Answer(method, found, _residual(found, bright, told.imager), seconds)


def as_estimate(result: Reconstruction, threshold: float = 0.5) -> Prediction:
    """Return a network's map of one capture as what is scored."""
    mask = (result.probability > threshold) & result.present[:, None, None]
    return Prediction(
        mask=mask,
        probability=result.probability,
        intensity=result.intensity,
        depth_um=np.where(result.present, result.depth_um, np.nan).astype(np.float32),
        depth_std_um=result.depth_std_um,
        residual=result.residual,
    )


def _quality_flags(result: Reconstruction) -> str:
    return "" if result.quality_flags is None else str(result.quality_flags)


_preparing = Lock()


def _prepared(name: str) -> SolverMethod:
    """Return a solver that has learnt what light means cells; the first time takes seconds."""
    with _preparing:  # two visitors need not both teach it
        return _fitted_solver(name)


@cache
def _fitted_solver(name: str) -> SolverMethod:
    solver = SolverMethod(name)
    solver.prepare()
    return solver


@lru_cache(maxsize=1)
def _simulated_mean() -> float:
    from fociscope.evaluation.suite import VALIDATION

    return float(VALIDATION.simulated(8).captures.mean())


def _residual(found: Prediction, captures: Float32Array, imager: Imager) -> Float32Array:
    """Return (sensor,) how far the light that was found is from explaining the captures."""
    assert found.intensity is not None
    assert found.depth_um is not None
    layers, depth = (torch.from_numpy(np.asarray(a)) for a in (found.intensity, found.depth_um))
    seen = np.asarray(LayerProjector(imager).A(layers, depth))
    fitted = at_best_gain(seen, captures)
    return np.asarray(relative_residual(fitted, captures, dark=np.nan), dtype=np.float32)
