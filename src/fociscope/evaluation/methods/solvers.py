"""Classical solvers as methods: their layers become masks and probabilities.

A solver restores light. What light means "cells here" is learnt once, on validation scenes of the
reference conditions: how far to smooth, above which light to say so (both by accuracy), and Platt
scaling of the logarithm of the light (Platt, 1999). Depths are read off a depth grid; an oracle is
told them, and shows what the solver could do if only it knew.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.suite import VALIDATION
from fociscope.imager.geometry import Imager
from fociscope.logistic import fit_platt
from fociscope.solvers import (
    SOLVERS,
    SingleLayerDepth,
    read_layers,
    single_layer_depth,
    solve,
    solve_on_grid,
)
from fociscope.typing import BoolArray, Float32Array

__all__ = ["MaskReadout", "SolverMethod", "solver_names"]


#: Planes of the depth grid: 50 um apart in 1000 um.
GRID_PLANES = 20
ORACLE = "-oracle"
VALIDATION_SCENES = 24
#: Widths, in pixels, to which light is smoothed before it is held against a threshold.
SMOOTHINGS_PX = (0.0, 0.7, 1.0, 1.5, 2.0, 3.0, 4.5)
#: Light below the faintest autofluorescence is all alike; 1 is the mean where cells are.
FAINTEST_LIGHT = 0.05
THRESHOLDS = 200


def solver_names() -> list[str]:
    """Return the names of the solvers, each with its oracle, which knows the true depths.

    A solver that needs known depths is there as an oracle alone.
    """
    return [
        name + suffix
        for name, spec in SOLVERS.items()
        for suffix in (("", ORACLE) if not spec.needs_depths else (ORACLE,))
    ]


class SolverMethod:
    """A solver that reads depths off a grid, or, as an oracle, is told them."""

    kind, slow = "solver", True

    def __init__(self, name: str) -> None:
        """Take a solver by its name, one of `solver_names`."""
        self.name, self.oracle = name, name.endswith(ORACLE)
        self._spec = SOLVERS[name.removesuffix(ORACLE)]
        depths = "the true depths" if self.oracle else "the number of layers, their least distance"
        self.inputs = f"the captures, the imager and its gains, {depths}"
        self._readout: MaskReadout | None = None

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        """Return why it cannot answer such scenes; None if it can."""
        if self.oracle and not task.depths_known:
            return "needs the true depths, which are not known"
        if task.imager.registration.is_rotated_or_scaled and self._spec.closed_form:
            return "has no closed form for a sensor B that is turned"
        return None

    def prepare(self) -> None:
        """Learn on validation scenes what light means cells."""
        batch = _validation()
        assert batch.mask is not None
        found = self._found(batch, VALIDATION.task)
        self._readout = MaskReadout.fit(found.layers, batch.mask)

    def estimate(self, batch: Batch, task: ReconstructionTask) -> Prediction:
        """Solve, and read masks and depths."""
        assert self._readout is not None, "prepare() comes first"
        found = self._found(batch, task)
        return Prediction(
            mask=self._readout.mask(found.layers),
            probability=self._readout.probability(found.layers),
            intensity=found.layers,
            depth_um=found.depth_um,
            depth_std_um=found.depth_std_um,
        )

    def _found(self, batch: Batch, task: ReconstructionTask) -> _Found:
        """Solve at the true depths, at that of a single layer, or on a grid of depths."""
        name = self.name.removesuffix(ORACLE)
        captures = batch.captures[:, : task.imager.sensors]
        if self.oracle:
            assert batch.depth_um is not None
            depth_um = _filled(batch.depth_um, task.imager)
            return _Found(solve(name, captures, depth_um, task.imager).layers)
        if task.layers == 1:
            one = _depth_of_one(captures, task.imager)
            depth_um, std_um = one.depth_um[:, None], one.depth_std_um[:, None]
            layers = solve(name, captures, depth_um, task.imager).layers
            return _Found(layers, depth_um, std_um)
        grid = solve_on_grid(captures, task.imager, planes=GRID_PLANES, solver=name)
        found = read_layers(
            grid.volume, grid.plane_um, task.layers, min_separation_um=task.min_separation_um
        )
        return _Found(found.layers, found.depth_um)


class _Found(NamedTuple):
    """What a solver finds."""

    layers: Float32Array
    """(scene, layer, y, x)."""
    depth_um: Float32Array | None = None
    """(scene, layer)."""
    depth_std_um: Float32Array | None = None


class MaskReadout(NamedTuple):
    """How a solver's light is read: as cells or no cells, and with which probability."""

    smoothing_px: float
    threshold: float
    """Of the logarithm of smoothed light."""
    scale: float
    shift: float
    """P = sigmoid(scale * log light + shift)."""

    @classmethod
    def fit(cls, layers: Float32Array, mask: BoolArray) -> MaskReadout:
        """Choose smoothing and threshold by accuracy, and Platt's two numbers by likelihood.

        Args:
            layers: (scene, layer, y, x) restored light of validation scenes.
            mask: the truth, of the same shape.
        """
        tried = []
        for smoothing_px in SMOOTHINGS_PX:
            light = _log_light(layers, smoothing_px)
            threshold, accuracy = _best_threshold(light, mask)
            tried.append((accuracy, smoothing_px, threshold))
        _, smoothing_px, threshold = max(tried)
        x = _log_light(layers, smoothing_px).ravel().astype(np.float64)
        t = mask.ravel().astype(np.float64)
        scale, shift = fit_platt(x, t, start=(1.0, -threshold))
        return cls(smoothing_px, threshold, scale, shift)

    def mask(self, layers: Float32Array) -> BoolArray:
        """Return (scene, layer, y, x): where there is light enough."""
        return np.asarray(_log_light(layers, self.smoothing_px) > self.threshold)

    def probability(self, layers: Float32Array) -> Float32Array:
        """Return (scene, layer, y, x): how likely there are cells."""
        light = _log_light(layers, self.smoothing_px)
        return np.asarray(expit(self.scale * light + self.shift), dtype=np.float32)


def _log_light(layers: Float32Array, smoothing_px: float) -> Float32Array:
    light = layers
    if smoothing_px:
        light = gaussian_filter(layers, smoothing_px, axes=(-2, -1), mode="nearest")
    return np.asarray(np.log(np.maximum(light, 0) + FAINTEST_LIGHT), dtype=np.float32)


def _best_threshold(light: Float32Array, mask: BoolArray) -> tuple[float, float]:
    """Return the threshold of the highest accuracy among many, and that accuracy."""
    tried = np.quantile(light, np.linspace(0, 1, THRESHOLDS))
    bins = np.searchsorted(tried, light.ravel(), side="left")
    cells = np.bincount(bins, mask.ravel(), THRESHOLDS + 1)
    every = np.bincount(bins, minlength=THRESHOLDS + 1)
    # Above threshold n lie the bins after n: right are their cells, and the others before.
    found = cells.sum() - np.cumsum(cells)
    spared = np.cumsum(every - cells)
    right = (found + spared)[:THRESHOLDS]
    best = int(np.argmax(right))
    return float(tried[best]), float(right[best] / mask.size)


def _filled(depth_um: Float32Array, imager: Imager) -> Float32Array:
    """Return depths with those of layers that have none, for want of cells, set to the middle."""
    return np.where(np.isnan(depth_um), np.float32(imager.gap_um / 2), depth_um)


@lru_cache(maxsize=1)
def _validation() -> Batch:
    """Return some of the validation scenes."""
    return Batch.from_scenes(VALIDATION.simulated(VALIDATION_SCENES), cells_per_pixel=1.0)


_last_depths: dict[tuple[bytes, Imager], SingleLayerDepth] = {}


def _depth_of_one(captures: Float32Array, imager: Imager) -> SingleLayerDepth:
    """Return the depth of a single layer, which is the same for all solvers: it is found once."""
    key = hashlib.sha256(captures.tobytes()).digest(), imager
    if key not in _last_depths:
        _last_depths.clear()
        _last_depths[key] = single_layer_depth(captures, imager)
    return _last_depths[key]
