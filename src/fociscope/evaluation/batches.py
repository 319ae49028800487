"""What is scored: captures with whatever truth is known of them, and a method's answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fociscope.evaluation.metrics import match_depths
from fociscope.imager.geometry import Imager
from fociscope.simulation.scene import Scenes
from fociscope.typing import BoolArray, Float32Array, Int64Array

__all__ = ["MATCH_UM", "Batch", "Prediction", "ReconstructionTask", "match_predicted_layers"]


#: An estimated layer counts as a true one within this distance, the published tolerance.
MATCH_UM = 100.0


@dataclass(frozen=True)
class ReconstructionTask:
    """The conditions that a method may know besides the captures."""

    imager: Imager
    layers: int
    min_separation_um: float
    depths_known: bool = True
    """Whether there are true depths that an oracle could be told."""
    group: str = ""
    """What varies, as in `Condition`."""
    peak_snr_db: float | None = None
    """Of the captures, for limits alone; None where there is no noise, or nobody knows."""


@dataclass(frozen=True)
class Batch:
    """Captures, and the truth behind them; None where it is not known."""

    captures: Float32Array
    """(scene, sensor, y, x)."""
    mask: BoolArray | None = None
    """(scene, layer, y, x)."""
    depth_um: Float32Array | None = None
    """(scene, layer)."""
    layers: Float32Array | None = None
    """(scene, layer, y, x) emitted light."""
    cells_per_pixel: float | Int64Array | None = None
    """Mean number of cells in a pixel of the mask, or (scene, layer, y, x) the cells of each."""

    @classmethod
    def from_scenes(cls, scenes: Scenes, *, cells_per_pixel: float) -> Batch:
        """Return simulated scenes, of which everything is known."""
        return cls(scenes.captures, scenes.mask, scenes.depth_um, scenes.layers, cells_per_pixel)

    def first(self, count: int) -> Batch:
        """Return the first scenes."""
        arrays: dict[str, Any] = {
            name: a[:count] if isinstance(a, np.ndarray) else a for name, a in vars(self).items()
        }
        return replace(self, **arrays)

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.captures)


@dataclass(frozen=True)
class Prediction:
    """What a method says of some scenes; None where it says nothing."""

    mask: BoolArray
    """(scene, layer, y, x)."""
    probability: Float32Array | None = None
    """(scene, layer, y, x) of cells."""
    intensity: Float32Array | None = None
    """(scene, layer, y, x) light of each layer, up to a gain of each scene."""
    depth_um: Float32Array | None = None
    """(scene, layer)."""
    depth_std_um: Float32Array | None = None
    """(scene, layer)."""
    residual: Float32Array | None = None
    """(scene, sensor) |reprojection - capture| / |capture|."""
    focus_probability: Float32Array | None = None
    """(scene, layer, y, x) of the focus that a pixel of the mask belongs to, elsewhere 0."""
    flagged: BoolArray | None = None
    """(scene,) whether the out-of-distribution check speaks against the capture."""

    def scene(self, number: int) -> Prediction:
        """Return one scene of them, without its axis."""
        arrays: dict[str, Any] = {
            name: None if a is None else a[number] for name, a in vars(self).items()
        }
        return replace(self, **arrays)


def match_predicted_layers(
    prediction: Prediction, true_depth_um: Float32Array
) -> tuple[Prediction, Int64Array]:
    """Bring the layers of an estimate of another number of layers into the places of the true ones.

    Each scene's layers are matched by depth (`match_depths`). Where none lies within `MATCH_UM`, a
    true layer is missed: its mask is empty, its depth NaN. Estimated layers without a partner are
    left out, and counted.

    Args:
        prediction: with depths.
        true_depth_um: (scene, true layer).

    Returns:
        The estimate with the true number of layers, and (scene,) the layers left out, those whose
        mask is empty not counted: an answer that says "no cells here" raises no false alarm.
    """
    assert prediction.depth_um is not None
    scenes, layers = true_depth_um.shape
    frame_px = prediction.mask.shape[-2:]
    moved: dict[str, Any] = {}
    for name, empty in (
        ("mask", False),
        ("probability", 0.0),
        ("focus_probability", 0.0),
        ("intensity", 0.0),
        ("depth_um", np.nan),
        ("depth_std_um", np.nan),
    ):
        given = getattr(prediction, name)
        if given is not None:
            shape = (scenes, layers) if given.ndim == 2 else (scenes, layers, *frame_px)
            moved[name] = np.full(shape, empty, dtype=given.dtype)
    false = np.zeros(scenes, dtype=np.int64)
    for n in range(scenes):
        match = match_depths(prediction.depth_um[n], true_depth_um[n], within_um=MATCH_UM)
        for name, array in moved.items():
            array[n, match.true] = getattr(prediction, name)[n, match.estimated]
        false[n] = prediction.mask[n, match.false].any(axis=(-2, -1)).sum()
    return replace(prediction, **moved), false
