r"""The map-quality check: how probable it is that a map is wrong, and what is unusual about it.

A logistic regression on terms of the map (expected Dice coefficient, stated depth deviations,
cells, presence) and of the capture (noise, saturation, PSF mismatch, what stays unexplained),

$$P(\text{wrong}) = \sigma(b + w \cdot t),$$

is fitted once per model on scenes of all training kinds, some of them saturated or conditioned on
a wrong imager. A map is wrong if its Dice coefficient is below 0.5 or if its depths are off by more
than 6 % of the gap on average. Flagged is what exceeds a probability that few sound maps reach.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Self

import torch
from pydantic import model_validator
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError
from fociscope.logistic import fit_weights
from fociscope.networks.ood import ADVICE, CaptureStatistics

__all__ = ["TERMS", "MapQuality", "MapTerms", "fit_map_quality", "is_wrong", "map_terms"]

#: A map is wrong below this Dice coefficient, or if its depths are farther off (share of the gap).
WRONG_DICE, WRONG_DEPTH = 0.5, 0.06
#: Share of the sound maps that the threshold is chosen to flag.
FALSE_ALARMS = 0.01
#: Share of the sound maps of sound captures whose statistics pass for usual, when a flag is worded.
USUAL = 0.9
#: Every third scene is kept from the weights, to choose the threshold on.
VALIDATION_STEP = 3
#: Normalised terms are limited to this many spreads: beyond them nothing was fitted.
LARGEST_DEVIATION = 4.0
RIDGE = 1.0
#: Statistics that a flag names as unusual.
NAMED = (
    "saturated",
    "noisy",
    "empty",
    "psf_mismatch_near",
    "psf_mismatch",
    "unexplained",
    "sloping",
)
TERMS = (
    "expected_dice",
    "least_expected_dice",
    "depth_std",
    "greatest_depth_std",
    "probability",
    "cells",
    "ambiguity",
    "light_in_cells",
    "highest_probability",
    "has_cells",
    "layers_with_cells",
    "layers_present",
    "ambiguous_presence",
    "saturated",
    "noisy",
    "empty",
    "psf_mismatch_near",
    "psf_mismatch",
    "wider",
    "unexplained",
    "sloping",
)
_TINY = 1e-4


class MapTerms(NamedTuple):
    """Terms of the check, of a batch of maps."""

    terms: Tensor
    """(batch, term) in the order of `TERMS`."""
    expected_dice: Tensor
    """(batch,) Dice coefficient of the mask if all probabilities hold."""
    depth_std: Tensor
    """(batch,) mean standard deviation of the depths of layers with cells, as share of the gap."""
    coverage: Tensor
    """(batch,) share of the pixels of layers with cells that are marked."""


class MapQuality(Configuration):
    """The fitted check of a model."""

    error: ClassVar[type[FociscopeError]] = ModelError

    centre: tuple[float, ...]
    """(term,) mean of sound maps, and"""
    spread: tuple[float, ...]
    """their standard deviation."""
    weights: tuple[float, ...]
    """(1 + term,) the constant, and the weights of the normalised terms."""
    threshold: float
    """Probability of a wrong map above which a capture is flagged."""
    usual: tuple[float, ...]
    """(statistic,) greatest usual value of each in `NAMED`."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        count = len(TERMS)
        if not len(self.centre) == len(self.spread) == len(self.weights) - 1 == count:
            raise ValueError(f"centre, spread and weights need numbers for {count} terms")
        if len(self.usual) != len(NAMED):
            raise ValueError(f"usual needs {len(NAMED)} numbers")
        return self

    def probability_wrong(self, terms: MapTerms) -> Tensor:
        """Return (batch,) the probability that each map is wrong."""
        x = _normalised(terms.terms, self.centre, self.spread)
        weights = x.new_tensor(self.weights)
        return torch.sigmoid(weights[0] + x @ weights[1:])

    def quality_flags(
        self, terms: MapTerms, statistics: CaptureStatistics, *, gap_um: float
    ) -> list[str]:
        """Describe what is unusual about captures whose map is probably wrong.

        Args:
            terms: Terms of a batch of maps.
            statistics: Statistics of their captures.
            gap_um: Gap of the imager in um, for depth deviations in words.

        Returns:
            A text for each capture; empty if its map is probably sound.
        """
        wrong = self.probability_wrong(terms)
        return [
            self._in_words(terms, statistics, n, float(p), gap_um) if p > self.threshold else ""
            for n, p in enumerate(wrong.tolist())
        ]

    def _in_words(
        self, terms: MapTerms, statistics: CaptureStatistics, n: int, p: float, gap_um: float
    ) -> str:
        measured = statistics._asdict()
        unusual = {
            name: float(measured[name][n]) > limit
            for name, limit in zip(NAMED, self.usual, strict=True)
        }
        causes = _causes(unusual, statistics, n) or [_specimen(terms, n, gap_um)]
        found = "; ".join(what for what, _ in causes)
        advice = "; ".join(dict.fromkeys(todo for _, todo in causes))
        return f"{found} (the map is wrong with a probability of {100 * p:.0f} %): {advice}"


def _causes(
    unusual: dict[str, bool], statistics: CaptureStatistics, n: int
) -> list[tuple[str, str]]:
    """Return what is unusual about a capture, and what to do."""
    causes = []
    if unusual["saturated"]:
        share = 100 * float(statistics.saturated[n])
        causes.append(
            (
                f"saturation: {share:.1f} % of a sensor's pixels hold its greatest value",
                ADVICE["saturated"],
            )
        )
    if unusual["noisy"] or unusual["empty"]:
        ratio = math.exp(-float(statistics.noisy[n]))
        causes.append(
            (
                f"noise: the brightest pixel is only {ratio:.1f} times the noise",
                ADVICE["noisy"],
            )
        )
    if unusual["psf_mismatch_near"] or unusual["psf_mismatch"]:
        near, half_way = (2 ** float(octaves) for octaves in statistics.wider[n])
        causes.append(
            (
                f"optics: the blur is {near:.2g} times the imager's near a sensor and "
                f"{half_way:.2g} times half-way",
                ADVICE["psf_mismatch"],
            )
        )
    if unusual["unexplained"]:
        left = 100 * float(statistics.unexplained[n])
        causes.append(
            (
                f"the map does not explain the capture: {left:.0f} % of it is left beyond noise",
                "look at the residual, and trust no detail where it is large",
            )
        )
    if unusual["sloping"] and not causes:
        causes.append(
            (
                "specimen: the light is little more than an even slope",
                "subtract the background, or look for structure in the capture first",
            )
        )
    return causes


def _specimen(terms: MapTerms, n: int, gap_um: float) -> tuple[str, str]:
    """Describe a map that is unsure although nothing is unusual about the capture."""
    dice, coverage = float(terms.expected_dice[n]), 100 * float(terms.coverage[n])
    std_um = gap_um * float(terms.depth_std[n])
    return (
        f"specimen: cells in {coverage:.2g} % of the pixels, which the probabilities expect to be "
        f"right by a Dice coefficient of {dice:.2f}, and depths to within {std_um:.0f} µm",
        "rely on probabilities instead of the mask, and compare with another capture or solver",
    )


def map_terms(
    probability: Tensor,
    presence: Tensor,
    intensity: Tensor,
    depth_std: Tensor,
    statistics: CaptureStatistics,
) -> MapTerms:
    """Compute the terms of maps.

    Args:
        probability: Calibrated probabilities of cells, (batch, layer, y, x).
        presence: Calibrated probabilities that the layers exist, (batch, layer); 0 of layers that
            were not looked for.
        intensity: Light of the layers, dark if absent, in any unit, (batch, layer, y, x).
        depth_std: Standard deviations of the depths as shares of the gap, (batch, layer).
        statistics: Statistics of the captures.

    Returns:
        The terms.
    """
    marked = (probability > 0.5).to(probability.dtype)
    axes = (-2, -1)
    expected, cells = probability.mean(dim=axes), marked.mean(dim=axes)
    right = (probability * marked).mean(dim=axes)
    unsure = expected - probability.square().mean(dim=axes)
    inside = (intensity * marked).sum(dim=axes).sum(dim=1)
    light = inside / intensity.sum(dim=axes).sum(dim=1).clamp(min=1e-30)
    present = presence >= 0.5
    filled = present & (cells > 0)
    any_cells = filled.any(dim=1)
    counted = torch.where(any_cells[:, None], filled, present).to(probability.dtype)
    std = (counted * depth_std).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
    dice = _dice(right.sum(dim=1), expected.sum(dim=1), cells.sum(dim=1))
    by_layer = torch.where(filled, _dice(right, expected, cells), 1.0)
    terms = {
        "expected_dice": _logit(dice, 0.01),
        "least_expected_dice": _logit(by_layer.amin(dim=1), 0.01),
        "depth_std": (std + 1e-3).log(),
        "greatest_depth_std": ((counted * depth_std).amax(dim=1) + 1e-3).log(),
        "probability": (expected.mean(dim=1) + _TINY).log(),
        "cells": (cells.mean(dim=1) + _TINY).log(),
        "ambiguity": (unsure.sum(dim=1) / (expected.sum(dim=1) + 1e-3) + _TINY).log(),
        "light_in_cells": _logit(light, 1e-3),
        "highest_probability": _logit(probability.amax(dim=(1, 2, 3)), _TINY),
        "has_cells": any_cells,
        "layers_with_cells": filled.sum(dim=1),
        "layers_present": present.sum(dim=1),
        "ambiguous_presence": (presence * (1 - presence)).amax(dim=1),
        "saturated": (statistics.saturated + 4e-4).log(),
        "noisy": statistics.noisy,
        "empty": statistics.empty,
        "psf_mismatch_near": (statistics.psf_mismatch_near + 0.3).log(),
        "psf_mismatch": (statistics.psf_mismatch + 0.3).log(),
        "wider": statistics.wider.abs().amax(dim=1),
        "unexplained": (statistics.unexplained + 0.02).log(),
        "sloping": (statistics.sloping + 1e-2).log(),
    }
    marked_share = (counted * cells).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
    stacked = torch.stack([terms[name].double() for name in TERMS], dim=1)
    return MapTerms(stacked, dice, std, marked_share)


def is_wrong(marked: Tensor, mask: Tensor, depth: Tensor, true_depth: Tensor) -> Tensor:
    """Return (batch,) whether maps are wrong.

    Args:
        marked: Whether a map shows cells, (batch, layer, y, x) bool.
        mask: Whether there are cells, of the same shape; none in absent layers.
        depth: Depths of the map as shares of the gap, (batch, layer).
        true_depth: True ones, (batch, layer); they count where a layer has cells.
    """
    hit = (marked & mask).sum(dim=(1, 2, 3))
    both = marked.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3))
    dice = torch.where(both > 0, 2 * hit / both.clamp(min=1), 1.0)
    counted = mask.any(dim=-1).any(dim=-1)
    off = ((depth - true_depth).abs() * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
    return (dice < WRONG_DICE) | (off > WRONG_DEPTH)


def fit_map_quality(
    terms: Tensor, wrong: Tensor, statistics: CaptureStatistics, spoiled: Tensor
) -> MapQuality | None:
    """Fit the check.

    Args:
        terms: Terms of maps, (scene, term).
        wrong: Whether they are wrong, (scene,) bool.
        statistics: Statistics of their captures.
        spoiled: Whether the capture was saturated or conditioned on a wrong imager, (scene,) bool.

    Returns:
        The check; None if all maps are wrong or all are sound, from which nothing is learnt.
    """
    validation = torch.arange(len(terms)) % VALIDATION_STEP == 0
    if not all(
        bool((kind & part).any()) for kind in (wrong, ~wrong) for part in (validation, ~validation)
    ):
        return None
    sound = terms[~wrong]
    centre = tuple(sound.mean(dim=0).tolist())
    spread = tuple((terms.std(dim=0) + 1e-6).tolist())
    x = _normalised(terms, centre, spread)
    design = torch.cat([torch.ones(len(x), 1, dtype=x.dtype), x], dim=1)
    weights = fit_weights(design[~validation].numpy(), wrong[~validation].numpy(), penalty=RIDGE)
    stated = torch.sigmoid(design @ torch.from_numpy(weights))
    plain = ~wrong & ~spoiled
    plain = plain if bool(plain.any()) else ~wrong
    measured = statistics._asdict()
    return MapQuality(
        centre=centre,
        spread=spread,
        weights=tuple(weights.tolist()),
        threshold=float(torch.quantile(stated[validation & ~wrong], 1 - FALSE_ALARMS)),
        usual=tuple(float(torch.quantile(measured[name][plain].double(), USUAL)) for name in NAMED),
    )


def _normalised(terms: Tensor, centre: tuple[float, ...], spread: tuple[float, ...]) -> Tensor:
    x = (terms - terms.new_tensor(centre)) / terms.new_tensor(spread)
    return x.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)


def _dice(right: Tensor, expected: Tensor, cells: Tensor) -> Tensor:
    return (2 * right + _TINY) / (expected + cells + _TINY)


def _logit(share: Tensor, least: float) -> Tensor:
    return torch.logit(share.clamp(least, 1 - least))
