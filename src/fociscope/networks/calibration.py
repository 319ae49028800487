r"""Calibration of a network's output: probabilities and depth intervals that hold on average.

Probabilities are calibrated by Platt scaling (Platt, Advances in Large Margin Classifiers, 1999),
layer by layer: with the network's logit $\ell$,

$$P(\text{cells} \mid \text{layer}) = \frac{1}{1 + e^{-(a \ell + b)}},$$

where $a$ and $b$ maximise the likelihood of the truth. The standard deviation of each depth is
multiplied by the factor with which 68.27 % of the true depths lie within one of them. Both are
fitted once per model, on scenes that neither training nor selection has seen.
"""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from pydantic import model_validator
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError
from fociscope.logistic import fit_platt
from fociscope.networks.layer_net import LayerNetOutput

__all__ = ["OutputCalibration", "fit_calibration", "fit_presence"]

#: Share of the depths that shall lie within one stated standard deviation: a Gaussian's.
WITHIN_ONE_STD = 0.6827


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

    def depth_std(self, output: LayerNetOutput) -> Tensor:
        """(batch, layer) standard deviation of the depth, as a share of the gap."""
        return torch.exp(output.depth_log_std) * output.depth.new_tensor(self.depth_std_scale)


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


def _platt(logit: Tensor, truth: Tensor, sure: Tensor | None = None) -> tuple[float, float]:
    """Fit P = sigmoid(scale * logit + shift) * sure to truths in 0 ... 1."""
    score, target = (t.detach().double().cpu().numpy() for t in (logit, truth))
    certainty = None if sure is None else sure.detach().double().cpu().numpy()
    return fit_platt(score, target, certainty=certainty, tolerance=1e-8)
