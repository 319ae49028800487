"""Making what a network states come true on average: probabilities and depth intervals.

Fitted once per model on scenes that neither training nor selection has seen.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.networks.layer_net import LayerNetOutput

__all__ = ["Calibration", "fit_calibration"]


class Calibration(Configuration):
    """Corrections of a network's output, per layer."""

    logit_scale: tuple[float, ...]
    """Platt scaling: P = sigmoid(scale * logit + shift)."""
    logit_shift: tuple[float, ...]
    depth_std_scale: tuple[float, ...]
    """The stated standard deviation of a depth is multiplied by this."""

    @classmethod
    def identity(cls, layers: int) -> Calibration:
        """Return the calibration that changes nothing."""
        return cls(
            logit_scale=(1.0,) * layers,
            logit_shift=(0.0,) * layers,
            depth_std_scale=(1.0,) * layers,
        )

    def probability(self, logit: Tensor) -> Tensor:
        """(batch, layer, y, x) logits -> calibrated probabilities."""
        scale, shift = (
            logit.new_tensor(v)[:, None, None] for v in (self.logit_scale, self.logit_shift)
        )
        return torch.sigmoid(scale * logit + shift)

    def depth_std(self, output: LayerNetOutput) -> Tensor:
        """(batch, layer) standard deviation of the depth, as a share of the gap."""
        return torch.exp(output.depth_log_std) * output.depth.new_tensor(self.depth_std_scale)


def fit_calibration(output: LayerNetOutput, mask: Tensor, depth: Tensor) -> Calibration:
    """Fit each layer's corrections by maximum likelihood.

    Args:
        output: of the network, for all calibration scenes.
        mask: (scene, layer, y, x) the truth in 0 ... 1.
        depth: (scene, layer) the truth as a share of the gap.
    """
    scales, shifts = [], []
    for layer in range(mask.shape[1]):
        logit, truth = output.logit[:, layer].double(), mask[:, layer].double()
        parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([parameters], max_iter=50, line_search_fn="strong_wolfe")

        def closure(
            logit: Tensor = logit,
            truth: Tensor = truth,
            parameters: Tensor = parameters,
            optimizer: torch.optim.Optimizer = optimizer,
        ) -> float:
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(parameters[0] * logit + parameters[1], truth)
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[no-untyped-call]
        scale, shift = parameters.detach().tolist()
        scales.append(scale)
        shifts.append(shift)
    normalised = (output.depth - depth) / torch.exp(output.depth_log_std)
    spread = normalised.square().mean(dim=0).sqrt()
    return Calibration(
        logit_scale=tuple(scales),
        logit_shift=tuple(shifts),
        depth_std_scale=tuple(float(s) for s in spread),
    )
