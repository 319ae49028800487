"""The map of an oracle as a method: how far anyone could get under conditions it is told."""

from __future__ import annotations

from functools import lru_cache

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.limits import MapOracle
from fociscope.evaluation.suite import VALIDATION
from fociscope.imager.geometry import Imager
from fociscope.simulation.scene import Scenes

__all__ = ["MAP_ORACLE", "MapLimitMethod"]

MAP_ORACLE = "map-oracle"
#: Layers that each oracle is fitted on: 16 scenes of the reference conditions.
FIT_LAYERS = 64
#: Groups whose specimens are the validation scenes' own, and whose imager is told as it is.
FITTED_GROUPS = ("reference", "snr", "half-angle", "single-layer")


class MapLimitMethod:
    """`MapOracle`, which is told all but the layer in question, fitted anew for each condition."""

    name, kind = MAP_ORACLE, "limit"
    oracle, slow = True, True
    inputs = "the captures, the imager, the noise, all depths, and the light of all other layers"

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        """Return why it cannot answer: other specimens, another imager than told, or no noise."""
        if task.group not in FITTED_GROUPS or task.peak_snr_db is None:
            return "knows captures with noise by the told imager, of the default specimens alone"
        return None

    def prepare(self) -> None:
        """Nothing is to be done before it is needed."""

    def estimate(self, batch: Batch, task: ReconstructionTask) -> Prediction:
        """Answer for each layer, given all the others."""
        assert batch.layers is not None
        assert batch.mask is not None
        assert batch.depth_um is not None
        assert task.peak_snr_db is not None
        oracle = _oracle(task.imager, task.peak_snr_db, task.layers, task.min_separation_um)
        scenes = Scenes(batch.layers, batch.mask, batch.depth_um, batch.captures)
        probability = oracle.probability(scenes).astype("float32")
        return Prediction(mask=probability > 0.5, probability=probability)


@lru_cache(maxsize=1)
def _oracle(imager: Imager, peak_snr_db: float, layers: int, min_separation_um: float) -> MapOracle:
    """Fit on validation scenes, taken as the scenes to judge are."""
    return MapOracle.fit(
        imager,
        seed=VALIDATION.seed,
        scenes=-(-FIT_LAYERS // layers),
        peak_snr_db=peak_snr_db,
        layers=layers,
        min_separation_um=min_separation_um,
    )
