"""Ways to a map, on one capture: networks and classical solvers, of sensor A alone or of both."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
import torch

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.methods import SolverMethod
from fociscope.imager import Imager, LayerProjector
from fociscope.networks.store import ModelInfo, find_model, read_model, shipped_models
from fociscope.reconstruction import Model, Preparation
from fociscope.residuals import at_best_gain, relative_residual
from fociscope.results.result import Reconstruction
from fociscope.solvers import SOLVERS
from fociscope.typing import Float32Array
from fociscope.workflows import ReconstructionOptions, load_model_for

__all__ = [
    "Answer",
    "Method",
    "answer",
    "described",
    "methods_for",
    "model_for",
    "models_for",
]


#: Layers of the reference conditions lie at least this far apart; solvers are told so.
SEPARATION_UM = 250.0


@dataclass(frozen=True)
class Method:
    """One way from a capture to a map."""

    kind: Literal["network", "solver"]
    name: str
    sensors: int
    file: Path | None = None
    """Of a visitor's own network."""

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


def models_for(sensors: int) -> list[str]:
    """Return the shipped models that take as many sensors, the fullest first."""
    names = [n for n in shipped_models() if described(n).architecture.sensors == sensors]
    return sorted(names, key=lambda name: (not name.startswith("layers"), name))


@lru_cache(maxsize=64)
def described(model: str | Path) -> ModelInfo:
    """Return the description of a model, shipped or a visitor's own.

    Raises:
        ModelError: it is none.
    """
    return read_model(find_model(model))[1]


def model_for(options: ReconstructionOptions, frame_px: tuple[int, int]) -> Model:
    """Return a loaded model; visitors share them, for they hold nothing of a capture.

    Args:
        options: model, imager, crop and device.
        frame_px: (y, x) size of the captures before the crop, pixels.
    """
    crop = options.preparation.crop
    key = replace(
        options, layers=None, dark=(), flat=(), bad_pixels=(), preparation=Preparation(crop=crop)
    )
    return _loaded(key, frame_px if crop else (0, 0))


@lru_cache(maxsize=16)
def _loaded(options: ReconstructionOptions, frame_px: tuple[int, int]) -> Model:
    return load_model_for(options, frame_px)


def methods_for(sensors: int, own: Mapping[str, Path] | None = None) -> list[Method]:
    """Return all methods that a capture of as many sensors allows.

    Args:
        sensors: of the capture.
        own: a visitor's models, by the names of their files.
    """
    numbers = range(sensors, 0, -1)
    networks = [Method("network", name, n) for n in numbers for name in models_for(n)]
    for name, path in (own or {}).items():
        takes = described(path).architecture.sensors
        if takes <= sensors:
            networks.append(Method("network", name, takes, path))
    solvers = [name for name, spec in SOLVERS.items() if not spec.needs_depths]
    return [*networks, *(Method("solver", name, n) for name in solvers for n in numbers)]


def answer(
    method: Method,
    captures: Float32Array,
    *,
    imager: Imager,
    layers: int,
    in_simulated_light: bool,
    device: str = "auto",
) -> Answer:
    """Ask a method for its map.

    Args:
        method: of `methods_for`.
        captures: (sensor, y, x), prepared and corrected; a method of one sensor sees sensor A.
        imager: the instrument.
        layers: how many to look for; a network that tells fewer apart looks for its own number.
        in_simulated_light: the captures are in the simulator's units of light. Those of others are
            brought to the mean of the scenes on which the solvers learnt what light means cells.
        device: for networks.

    Raises:
        FociscopeError: the method cannot answer.
    """
    seen = captures[: method.sensors]
    instrument = imager.with_(sensors=method.sensors)
    start = time.perf_counter()
    if method.kind == "network":
        most = described(method.file or method.name).architecture.layers
        options = ReconstructionOptions(
            model=method.file or method.name,
            imager=instrument,
            layers=min(layers, most),
            device=device,
        )
        model = model_for(options, (0, 0))
        start = time.perf_counter()
        result = model.reconstruct(seen, layers=options.layers)
        seconds = time.perf_counter() - start
        return Answer(method, as_estimate(result), result.residual, seconds, _quality_flags(result))
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
