"""The constant baseline: the best answer that does not depend on the capture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.suite import VALIDATION
from fociscope.simulation.scene import Scenes

__all__ = ["CONSTANT", "ConstantBaseline"]

CONSTANT = "constant"


class ConstantBaseline:
    """The constant baseline, without the captures: most frequent answer, mean depth, even light."""

    name, kind = CONSTANT, "constant"
    oracle, slow = False, False
    inputs = "the number of layers and their least distance; it ignores the captures"

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        """Return None: it needs nothing of the scenes."""

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
