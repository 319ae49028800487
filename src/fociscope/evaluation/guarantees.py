"""Guarantees of a model from captures whose truth is known: thresholds of foci, bars of depths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.methods import ReconstructionMethod
from fociscope.evaluation.metrics import foci_stated_and_there
from fociscope.networks import DepthBars, FalseFoci, control_risk
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["FACTORS", "THRESHOLDS", "GuaranteeLosses", "depth_bars", "false_foci", "losses_of"]

#: Levels of caution: probabilities from which on foci are shown, the last one shows none.
THRESHOLDS = np.append(np.linspace(0.0, 1.0, 1001), np.inf)
#: The same of depths: half a bar in stated deviations, the last one holds everything.
FACTORS = np.append(np.geomspace(0.05, 50.0, 1500), np.inf)


class GuaranteeLosses(NamedTuple):
    """The losses of captures at each level of caution."""

    foci: Float64Array
    """(capture, threshold) share of the foci shown that are false; 0 where none is shown."""
    depth: Float64Array
    """(capture, factor) share of the layers with cells whose depth lies beyond the bar."""
    stated: Float64Array
    """(focus, 2) probability of each focus, and 1 where it is there, else 0."""
    bars: Float64Array
    """(layer with cells, 2) error and stated deviation of each depth, in um."""

    @property
    def captures(self) -> int:
        """How many captures they are of."""
        return len(self.foci)

    def kept(self, threshold: float) -> float:
        """Return the share of the foci that are there which a threshold leaves; NaN without any."""
        there = self.stated[self.stated[:, 1] > 0, 0]
        return float((there >= threshold).mean()) if len(there) else float("nan")

    def half(self, first: int) -> GuaranteeLosses:
        """Return the losses of every other capture, for a check; the rest is empty."""
        none = np.zeros((0, 2))
        return GuaranteeLosses(self.foci[first::2], self.depth[first::2], none, none)


def losses_of(
    method: ReconstructionMethod, batches: Iterable[Batch], task: ReconstructionTask
) -> GuaranteeLosses:
    """Reconstruct captures whose truth is known, and return their losses.

    A focus is false if none of its pixels lies on a true focus of its layer or beside one. A depth
    counts where the layer has cells, and the map shows some there as well.

    Args:
        method: Method that answers, with depths and focus probabilities.
        batches: Captures with masks and depths.
        task: What the method is told.

    Returns:
        The losses of all captures.

    Raises:
        ValueError: If a batch has no masks or no depths.
    """
    foci, depth = list[Float64Array](), list[Float64Array]()
    stated, bars = list[Float64Array](), list[Float64Array]()
    for batch in batches:
        if batch.mask is None or batch.depth_um is None:
            raise ValueError("guarantees need the masks and the depths of the layers")
        said = method.estimate(batch, task)
        for n in range(len(batch)):
            of_foci = _stated(said.scene(n), batch.mask[n])
            stated.append(of_foci)
            foci.append(_false_share(of_foci))
            error, std = _depth_errors(said.scene(n), batch.mask[n], batch.depth_um[n])
            beyond = error[:, None] > FACTORS * np.maximum(std[:, None], 1e-9)
            depth.append(beyond.mean(axis=0) if len(error) else np.zeros(len(FACTORS)))
            bars.append(np.stack([error, std], axis=1))
    both = np.concatenate(stated), np.concatenate(bars)
    return GuaranteeLosses(np.stack(foci), np.stack(depth), *both)


def false_foci(
    losses: GuaranteeLosses, most: float, confidence: float | None = None
) -> FalseFoci | None:
    """Return from which probability on at most the share `most` of a capture's foci is false.

    Args:
        losses: Losses of captures with a known truth.
        most: Largest share in the mean over captures.
        confidence: As of `control_risk`.

    Returns:
        The threshold; None if only showing no focus at all would do.
    """
    level = control_risk(losses.foci, most, confidence=confidence)
    if level is None or not np.isfinite(THRESHOLDS[level]):
        return None
    return FalseFoci(most=most, threshold=round(float(THRESHOLDS[level]), 6))


def depth_bars(
    losses: GuaranteeLosses, least: float, confidence: float | None = None
) -> DepthBars | None:
    """Return within how many stated deviations at least the share `least` of the depths lies.

    Args:
        losses: Losses of captures with a known truth.
        least: Smallest share of a capture's layers, in the mean over captures.
        confidence: As of `control_risk`.

    Returns:
        The factor; None if only endless bars would do.
    """
    level = control_risk(losses.depth, 1 - least, confidence=confidence)
    if level is None or not np.isfinite(FACTORS[level]):
        return None
    return DepthBars(least=least, factor=float(FACTORS[level]))


def _stated(said: Prediction, mask: BoolArray) -> Float64Array:
    """Return (focus, 2) the probability of each focus of one capture, and whether it is there."""
    assert said.focus_probability is not None
    true = np.asarray(mask[: len(said.mask)], dtype=bool)
    return foci_stated_and_there(said.mask, said.focus_probability, true)


def _false_share(stated: Float64Array) -> Float64Array:
    """Return (threshold,) the share of the foci shown that are false."""
    probability, there = stated.T
    shown = probability[:, None] >= THRESHOLDS
    false = (shown & (there[:, None] == 0)).sum(axis=0)
    return np.asarray(false / np.maximum(shown.sum(axis=0), 1))


def _depth_errors(
    said: Prediction, mask: BoolArray, depth_um: Float32Array
) -> tuple[Float64Array, Float64Array]:
    """Return (layer,) errors and stated deviations of the depths that count, in um."""
    assert said.depth_um is not None and said.depth_std_um is not None
    layers = len(said.mask)
    counted = said.mask.any(axis=(-2, -1)) & np.asarray(mask[:layers]).any(axis=(-2, -1))
    counted &= np.isfinite(depth_um[:layers])
    error = np.abs(said.depth_um - depth_um[:layers])[counted].astype(np.float64)
    return error, said.depth_std_um[counted].astype(np.float64)
