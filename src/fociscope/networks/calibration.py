r"""Calibration of a network's output: probabilities and depth intervals that hold on average.

Probabilities are calibrated by Platt scaling (Platt, Advances in Large Margin Classifiers, 1999),
layer by layer: with the network's logit $\ell$,

$$P(\text{cells} \mid \text{layer}) = \frac{1}{1 + e^{-(a \ell + b)}},$$

where $a$ and $b$ maximise the likelihood of the truth. The standard deviation of each depth is
multiplied by the factor with which 68.27 % of the true depths lie within one of them. Both are
fitted once per model, on scenes that neither training nor selection has seen.

Specimens that training has not seen are answered less well than the network states. What tells
them, before all, is how unsure it is of the number of layers: with its probabilities $q_n$ of
presence,

$$H = \log \Bigl(10^{-3} + \sum_n -q_n \log q_n - (1 - q_n) \log(1 - q_n)\Bigr), \qquad
  u = \max(0, H - H_0),$$

where $H_0$ is exceeded by a tenth of the reference scenes. Depth deviations grow by $e^{g u}$; $g$
is fitted to scenes of other kinds of specimens, each of which counts alike, while the factors keep
the reference scenes covered (`fit_growth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError
from fociscope.logistic import fit_platt
from fociscope.networks.layer_net import LayerNetOutput

__all__ = ["OutputCalibration", "fit_calibration", "fit_growth", "fit_presence"]

#: Share of the depths that shall lie within one stated standard deviation: a Gaussian's.
WITHIN_ONE_STD = 0.6827
#: Share of the reference scenes whose deviations grow, and the largest growth.
_GROWING_SHARE, _LARGEST_GROWTH = 0.1, 4.0
#: Added to an entropy before its logarithm is taken.
LEAST_ENTROPY = 1e-3


class OutputCalibration(Configuration):
    """Corrections of a network's output, per layer."""

    error: ClassVar[type[FociscopeError]] = ModelError

    logit_scale: tuple[float, ...]
    """Platt scaling: P(cells | layer) = sigmoid(scale * logit + shift)."""
    logit_shift: tuple[float, ...]
    depth_std_scale: tuple[float, ...]
    """Factor of the standard deviation of a depth."""
    presence_scale: float = 1.0
    """Platt scaling of P(there is such a layer), the same for all layers."""
    presence_shift: float = 0.0
    depth_std_growth: Annotated[float, Field(ge=0)] = 0.0
    """By which deviations of depth grow with the doubt about the number of layers."""
    doubt_from: float = 0.0
    """Doubt up to which they do not grow."""

    @model_validator(mode="after")
    def _one_number_for_each_layer(self) -> Self:
        if not len(self.logit_scale) == len(self.logit_shift) == len(self.depth_std_scale) > 0:
            raise ValueError("each correction needs one number for each layer")
        return self

    @classmethod
    def identity(cls, layers: int) -> Self:
        """Return the calibration that changes nothing."""
        return cls(
            logit_scale=(1.0,) * layers,
            logit_shift=(0.0,) * layers,
            depth_std_scale=(1.0,) * layers,
        )

    @property
    def layers(self) -> int:
        """How many layers it has corrections for."""
        return len(self.logit_scale)

    def of_the_first(self, layers: int) -> Self:
        """Return the calibration of the first layers only."""
        per_layer = "logit_scale", "logit_shift", "depth_std_scale"
        return self.model_copy(update={name: getattr(self, name)[:layers] for name in per_layer})

    def presence(self, output: LayerNetOutput) -> Tensor:
        """(batch, layer) P(there is such a layer); a layer is no surer than the one above it."""
        logit = self.presence_scale * output.presence_logit + self.presence_shift
        return torch.cummin(torch.sigmoid(logit), dim=1).values

    def probability(self, output: LayerNetOutput) -> Tensor:
        """(batch, layer, y, x) P(cells here): P(cells | layer) times P(layer)."""
        scale, shift = (
            output.logit.new_tensor(v)[:, None, None] for v in (self.logit_scale, self.logit_shift)
        )
        return torch.sigmoid(scale * output.logit + shift) * self.presence(output)[..., None, None]

    def depth_std(self, output: LayerNetOutput, asked: Tensor | None = None) -> Tensor:
        """(batch, layer) standard deviation of the depth, as a share of the gap.

        Args:
            output: Output of the network.
            asked: (batch, layer) whether the layer is looked for; None if all are.
        """
        scale = output.depth.new_tensor(self.depth_std_scale)
        stated = torch.exp(output.depth_log_std) * scale
        if self.depth_std_growth == 0:
            return stated
        beyond = (self.doubt(output, asked) - self.doubt_from).clamp(min=0)
        return stated * torch.exp(self.depth_std_growth * beyond)[:, None]

    def doubt(self, output: LayerNetOutput, asked: Tensor | None = None) -> Tensor:
        """(batch,) logarithm of the entropy of the presences of the layers looked for, in all."""
        logit = self.presence_scale * output.presence_logit + self.presence_shift
        p = torch.sigmoid(logit)
        entropy = (F.softplus(logit) - p * logit).clamp(min=0)
        if asked is not None:
            entropy = entropy * asked
        return (LEAST_ENTROPY + entropy.sum(dim=1)).log()


def fit_presence(presence_logit: Tensor, present: Tensor) -> tuple[float, float]:
    """Fit scale and shift of the presence, by maximum likelihood.

    Args:
        presence_logit: Logits of the layers that the network looked for, of any shape.
        present: 1 where there is such a layer, else 0, of the same shape.

    Returns:
        Scale and shift; (1, 0) if all are present or all absent, which determines neither.
    """
    there = float(present.sum())
    absent = present.numel() - there
    if min(there, absent) == 0:
        return 1.0, 0.0
    # Platt's targets keep a perfect answer from an infinite scale.
    high, low = (there + 1) / (there + 2), 1 / (absent + 2)
    target = torch.where(present > 0.5, high, low)
    return _platt(presence_logit.flatten(), target.flatten())


def fit_calibration(
    output: LayerNetOutput,
    mask: Tensor,
    depth: Tensor,
    *,
    presence: tuple[float, float] = (1.0, 0.0),
) -> OutputCalibration:
    """Fit each layer's corrections: probabilities by maximum likelihood, deviations by coverage.

    Args:
        output: Output of the network for all calibration scenes. The intensity is not needed, and
            of the pixels (scene, layer, y, x) any part that is also that of `mask` suffices.
        mask: True masks in 0 ... 1, (scene, layer, y, x), of the first layers of the output.
        depth: True depths as shares of the gap, (scene, layer).
        presence: Scale and shift from `fit_presence`.

    Returns:
        The calibration; layers without a truth take the mean of the others' corrections.
    """
    slots, layers = output.logit.shape[1], mask.shape[1]
    scale, shift = presence
    identity = OutputCalibration.identity(slots)
    there = identity.model_copy(update={"presence_scale": scale, "presence_shift": shift})
    sure = there.presence(output)
    platt = [
        _platt(output.logit[:, n].flatten(1), mask[:, n].flatten(1), sure[:, n, None])
        for n in range(layers)
    ]
    normalised = (output.depth[:, :layers] - depth) / torch.exp(output.depth_log_std[:, :layers])
    spread = torch.quantile(normalised.abs().double(), WITHIN_ONE_STD, dim=0)

    def for_all(fitted: list[float]) -> tuple[float, ...]:
        return (*fitted, *[sum(fitted) / layers] * (slots - layers))

    return OutputCalibration(
        logit_scale=for_all([s for s, _ in platt]),
        logit_shift=for_all([s for _, s in platt]),
        depth_std_scale=for_all(spread.tolist()),
        presence_scale=scale,
        presence_shift=shift,
    )


def fit_growth(
    calibration: OutputCalibration,
    reference: tuple[LayerNetOutput, Tensor],
    kinds: Sequence[tuple[LayerNetOutput, Tensor]],
) -> OutputCalibration:
    """Fit how depth deviations grow with the doubt about the number of layers.

    The growth has the least pinball loss of the 68.27 % quantile of |error| / deviation, on a
    logarithmic scale, half of it over the reference scenes and half over the kinds, each of which
    counts alike. At every growth, the factors of the layers are those that cover the reference
    scenes.

    Args:
        calibration: Calibration of the reference scenes, from `fit_calibration`.
        reference: Output of the network for reference scenes, of which only depths, deviations and
            presences are needed, and the true depths as shares of the gap, (scene, layer), of all
            layers looked for.
        kinds: The same of scenes of each other kind of specimen; depths that are NaN do not count.

    Returns:
        The calibration with growth and other factors of the deviations; as it was without kinds.
    """
    from scipy.optimize import minimize_scalar  # a quarter of a second, for trainings alone

    kinds = [(output, depth) for output, depth in kinds if not bool(depth.isnan().all())]
    if not kinds:
        return calibration
    layers = reference[1].shape[1]

    def doubt_of(output: LayerNetOutput) -> Tensor:
        return calibration.doubt(
            output._replace(presence_logit=output.presence_logit[:, :layers])
        ).double()

    start = float(torch.quantile(doubt_of(reference[0]), 1 - _GROWING_SHARE))

    def measured(output: LayerNetOutput, depth: Tensor) -> tuple[Tensor, Tensor]:
        error = (output.depth[:, :layers] - depth).abs().double().clamp(min=1e-6)
        beyond = (doubt_of(output) - start).clamp(min=0)
        return error.log() - output.depth_log_std[:, :layers].double(), beyond[:, None]

    at_reference, others = measured(*reference), [measured(*one) for one in kinds]

    def factors(growth: float) -> Tensor:
        score, beyond = at_reference
        return torch.quantile(score - growth * beyond, WITHIN_ONE_STD, dim=0)

    def loss(growth: float) -> float:
        level = factors(growth)

        def pinball(score: Tensor, beyond: Tensor) -> float:
            left = (score - growth * beyond - level)[~score.isnan()]
            return float(torch.maximum(WITHIN_ONE_STD * left, (WITHIN_ONE_STD - 1) * left).mean())

        return 0.5 * pinball(*at_reference) + 0.5 * float(np.mean([pinball(*o) for o in others]))

    growth = float(minimize_scalar(loss, bounds=(0, _LARGEST_GROWTH), method="bounded").x)
    fitted = torch.exp(factors(growth)).tolist()
    slots = calibration.layers
    return calibration.model_copy(
        update={
            "depth_std_scale": (*fitted, *[sum(fitted) / layers] * (slots - layers)),
            "depth_std_growth": growth,
            "doubt_from": start,
        }
    )


def _platt(logit: Tensor, truth: Tensor, sure: Tensor | None = None) -> tuple[float, float]:
    """Fit P = sigmoid(scale * logit + shift) * sure to truths in 0 ... 1."""
    score, target = (t.detach().double().cpu().numpy() for t in (logit, truth))
    certainty = None if sure is None else sure.detach().double().cpu().numpy()
    return fit_platt(score, target, certainty=certainty, tolerance=1e-8)
