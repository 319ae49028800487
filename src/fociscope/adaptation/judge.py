"""Which of two models a chip's captures speak for, where nobody knows the truth."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

from fociscope.reconstruction.engine import Model
from fociscope.simulation.scene import Scenes
from fociscope.typing import Float32Array, Float64Array

__all__ = ["ModelScores", "is_better", "scores_of"]

#: A model is worse if its pixels or depths are by more than so much, or its residuals by such a
#: factor: that of new weights, and that of another imager, which changes what can be explained.
WORSE_ACCURACY, WORSE_DEPTH_UM = 0.001, 0.5
WORSE_RESIDUAL, WORSE_RESIDUAL_OF_IMAGER = 1.03, 1.1
#: Better by how many standard errors of the difference, scene by scene.
SURE = 2.0


@dataclass(frozen=True)
class ModelScores:
    """How a model does on scenes of the matched tissue, and what it leaves of the captures.

    Attributes:
        accuracy: (scene,) share of the pixels that are right, in 0 ... 1.
        depth_error_um: (scene,) mean error of the depths of layers with cells; NaN without any.
        residual: (capture,) |capture - reprojection| / |capture| of the real captures, with the
            light of the map fitted to them: what depths and layers cannot explain.

    Examples:
        >>> import numpy as np
        >>> from fociscope.adaptation import ModelScores
        >>> scores = ModelScores(np.array([0.9, 0.96]), np.array([10.0, 14.0]), np.array([0.1]))
        >>> round(scores.mean_accuracy, 2), scores.mean_depth_error_um, scores.median_residual
        (0.93, 12.0, 0.1)
    """

    accuracy: Float64Array
    depth_error_um: Float64Array
    residual: Float64Array

    @property
    def mean_accuracy(self) -> float:
        """Mean share of the pixels that are right."""
        return float(self.accuracy.mean())

    @property
    def mean_depth_error_um(self) -> float:
        """Mean error of the depths, um; NaN where no scene has cells."""
        known = self.depth_error_um[np.isfinite(self.depth_error_um)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def median_residual(self) -> float:
        """Median share of the captures that maps leave unexplained."""
        return float(np.median(self.residual))


def scores_of(model: Model, scenes: Scenes, captures: Float32Array, layers: int) -> ModelScores:
    """Reconstruct simulated scenes and real captures.

    Args:
        model: Model with the imager that it is told of. For the captures, the light of its maps is
            refined; scenes take its maps as they are.
        scenes: Scenes of the matched tissue, taken by the imager as it is believed to be.
        captures: Real captures, (capture, sensor, y, x).
        layers: Number of layers to look for.

    Returns:
        Scores of the scenes and residuals of the captures.

    Examples:
        >>> import fociscope
        >>> from fociscope.adaptation import scores_of
        >>> scenes = fociscope.simulate(4, seed=0)
        >>> model = fociscope.load_model("layers-ab", device="cpu")
        >>> scores_of(model, scenes, scenes.captures, 4).mean_accuracy > 0.9
        True
    """
    plain, refining = copy(model), copy(model)
    plain.refine, refining.refine = False, True
    said = plain.reconstruct(scenes.captures, layers=layers)
    right = (said.mask == scenes.mask).mean(axis=(-3, -2, -1))
    has_cells = scenes.mask.any(axis=(-2, -1))
    error = np.where(has_cells, np.abs(said.depth_um - scenes.depth_um), 0.0).sum(axis=-1)
    count = has_cells.sum(axis=-1)
    depth = np.where(count > 0, error / np.maximum(count, 1), np.nan)
    residual = np.asarray(refining.reconstruct(captures, layers=layers).residual, np.float64)
    return ModelScores(right.astype(np.float64), depth, residual)


def is_better(
    new: ModelScores, old: ModelScores, *, worse_residual: float = WORSE_RESIDUAL
) -> bool:
    """Return whether a model may replace another: surely better in something, worse in nothing.

    Scenes and captures are the same for both, so they are compared one by one. Residuals only veto:
    they choose nothing, for masks and depths are not light.

    Args:
        new: Scores of the model that is to replace.
        old: Scores of the model that is there.
        worse_residual: Factor by which the residual of a capture may grow, in the median.

    Returns:
        True if it may.

    Examples:
        >>> import numpy as np
        >>> from fociscope.adaptation import ModelScores, is_better
        >>> old = ModelScores(np.full(50, 0.90), np.full(50, 20.0), np.full(9, 0.1))
        >>> new = ModelScores(np.full(50, 0.93), np.full(50, 19.0), np.full(9, 0.1))
        >>> is_better(new, old), is_better(old, new)
        (True, False)
    """
    accuracy, accuracy_se = _mean_and_error(new.accuracy - old.accuracy)
    depth, depth_se = _mean_and_error(old.depth_error_um - new.depth_error_um)
    if accuracy < -WORSE_ACCURACY or depth < -WORSE_DEPTH_UM:
        return False
    grown = new.residual / np.maximum(old.residual, 1e-12)
    if np.median(grown) > worse_residual:
        return False
    return accuracy > SURE * accuracy_se or depth > SURE * depth_se


def _mean_and_error(difference: Float64Array) -> tuple[float, float]:
    """Return the mean of what is known, and its standard error."""
    known = difference[np.isfinite(difference)]
    if known.size < 2:
        return 0.0, 0.0
    return float(known.mean()), float(known.std(ddof=1) / np.sqrt(known.size))
