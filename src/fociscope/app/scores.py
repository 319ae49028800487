"""A map held against the truth, layer by layer, whatever their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fociscope.evaluation.batches import MATCH_UM, Prediction, match_predicted_layers
from fociscope.evaluation.metrics import mask_scores
from fociscope.figures.reconstruction import Truth
from fociscope.typing import BoolArray, Int64Array

__all__ = ["OUTCOMES", "LayerScore", "Scores", "score"]

OUTCOMES = ("none", "found", "missed", "false")
"""What becomes of a pixel: no cells here, and none there; true cells found, or missed; cells that
are not true."""


@dataclass(frozen=True)
class LayerScore:
    """How right one true layer is."""

    true_um: float
    found_um: float | None
    """None where no layer was found within `MATCH_UM`."""
    accuracy: float
    constant_accuracy: float
    """Of the constant baseline: the constant baseline everywhere."""
    dice: float
    outcome: Int64Array
    """(y, x) what became of each pixel: an index of `OUTCOMES`."""

    def share(self, outcome: str) -> float:
        """Return the share of the frame with one of `OUTCOMES`."""
        return float((self.outcome == OUTCOMES.index(outcome)).mean())


@dataclass(frozen=True)
class Scores:
    """How right a map is."""

    layers: list[LayerScore]
    false_layers: int
    """Layers with cells that were found where there is none."""
    false_masks: tuple[tuple[float, BoolArray], ...] = ()
    """Depth in um and (y, x) cells of each of them."""

    @property
    def accuracy(self) -> float:
        """Mean over the true layers."""
        return float(np.mean([layer.accuracy for layer in self.layers]))

    @property
    def constant_accuracy(self) -> float:
        """Mean over the true layers."""
        return float(np.mean([layer.constant_accuracy for layer in self.layers]))

    @property
    def depth_error_um(self) -> float | None:
        """Mean absolute error of the depths of the layers that were found; None without any."""
        errors = [
            abs(layer.found_um - layer.true_um)
            for layer in self.layers
            if layer.found_um is not None
        ]
        return float(np.mean(errors)) if errors else None

    @property
    def missed(self) -> int:
        """True layers that were not found."""
        return sum(layer.found_um is None for layer in self.layers)

    @property
    def in_words(self) -> str:
        """One line."""
        error = self.depth_error_um
        depth = "" if error is None else f", depth error {error:.0f} µm"
        missed = f", {self.missed} missed (none within {MATCH_UM:.0f} µm)" if self.missed else ""
        false = f", {self.false_layers} false" if self.false_layers else ""
        return (
            f"{100 * self.accuracy:.1f} % of pixels right "
            f"(constant baseline {100 * self.constant_accuracy:.1f} %){depth}{missed}{false}"
        )


def score(estimate: Prediction, truth: Truth) -> Scores:
    """Match the layers of one scene with the true ones by depth, and score them.

    Args:
        estimate: mask (layer, y, x) and depth (layer,), NaN where a layer is absent.
        truth: of the same scene.
    """
    assert estimate.depth_um is not None
    one = Prediction(mask=estimate.mask[None], depth_um=estimate.depth_um[None])
    order = np.argsort(truth.depth_um)
    found, false = match_predicted_layers(one, truth.depth_um[None, order])
    assert found.depth_um is not None
    scores = mask_scores(found.mask[0], truth.mask[order])
    layers = [
        LayerScore(
            true_um=float(truth.depth_um[order][n]),
            found_um=None if np.isnan(depth) else float(depth),
            accuracy=float(scores.accuracy[n]),
            constant_accuracy=float(scores.constant_accuracy[n]),
            dice=float(scores.dice[n]),
            outcome=_outcome(found.mask[0, n], truth.mask[order[n]]),
        )
        for n, depth in enumerate(found.depth_um[0])
    ]
    matched = {layer.found_um for layer in layers}
    false_masks = tuple(
        (float(depth), mask)
        for depth, mask in zip(estimate.depth_um, estimate.mask, strict=True)
        if np.isfinite(depth) and float(depth) not in matched and mask.any()
    )
    return Scores(layers, int(false[0]), false_masks)


def _outcome(found: BoolArray, true: BoolArray) -> Int64Array:
    """Return (y, x) an index of `OUTCOMES` for each pixel."""
    return np.select([found & true, true, found], [1, 2, 3], 0).astype(np.int64)
