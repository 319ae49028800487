"""The map of an oracle as a candidate: how far anyone could get under the reference conditions."""

from __future__ import annotations

from functools import lru_cache

from fociscope.evaluation.limits import MapOracle
from fociscope.evaluation.scored import Batch, Estimate, Told
from fociscope.evaluation.suite import VALIDATION
from fociscope.simulation.scene import Scenes

__all__ = ["MAP_ORACLE", "MapLimit"]

MAP_ORACLE = "map-oracle"
FIT_SCENES = 50


class MapLimit:
    """`MapOracle`, which is told all but the layer in question."""

    name, kind = MAP_ORACLE, "limit"
    oracle, slow = True, True
    told = "the captures, the imager, the noise, all depths, and the light of all other layers"

    def refusal(self, told: Told) -> str | None:
        """Return why it cannot answer: it is fitted for the reference conditions alone."""
        if told.group != "reference":
            return "knows the noise and the specimens of the reference conditions alone"
        return None

    def prepare(self) -> None:
        """Nothing is to be done before it is needed."""

    def estimate(self, batch: Batch, told: Told) -> Estimate:
        """Answer for each layer, given all the others."""
        assert batch.layers is not None
        assert batch.mask is not None
        assert batch.depth_um is not None
        scenes = Scenes(batch.layers, batch.mask, batch.depth_um, batch.captures)
        probability = _oracle().probability(scenes).astype("float32")
        return Estimate(mask=probability > 0.5, probability=probability)


@lru_cache(maxsize=1)
def _oracle() -> MapOracle:
    """Fit on validation scenes."""
    return MapOracle.fit(VALIDATION.imager, seed=VALIDATION.seed, scenes=FIT_SCENES)
