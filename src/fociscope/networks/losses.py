"""What training minimises: one term for each thing the network says."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.networks.layer_net import LayerNetOutput

__all__ = ["depth_loss", "layer_loss"]

#: Depths are weighted by their predicted variance to this power, so that scenes that are hard to
#: tell still teach (beta-NLL, Seitzer et al., ICLR 2022).
DEPTH_BETA = 0.5


def depth_loss(output: LayerNetOutput, depth: Tensor) -> Tensor:
    """Return the beta-weighted negative log likelihood of Gaussian depths, as shares of the gap."""
    variance = torch.exp(2 * output.depth_log_std)
    nll = 0.5 * ((output.depth - depth) ** 2 / variance + 2 * output.depth_log_std)
    return (nll * variance.detach() ** DEPTH_BETA).mean()


def layer_loss(
    output: LayerNetOutput,
    mask: Tensor,
    intensity: Tensor,
    depth: Tensor,
    *,
    intensity_weight: float,
    depth_weight: float,
) -> dict[str, Tensor]:
    """Return the loss and its terms.

    Args:
        output: of the network.
        mask: (batch, layer, y, x) in 0 ... 1.
        intensity: (batch, layer, y, x) in the network's unit.
        depth: (batch, layer) as shares of the gap.
        intensity_weight: of the mean squared error of the intensity.
        depth_weight: of `depth_loss`.

    Returns:
        `loss`, and its unweighted terms `mask`, `intensity` and `depth`.
    """
    terms = {
        "mask": F.binary_cross_entropy_with_logits(output.logit, mask),
        "intensity": F.mse_loss(output.intensity, intensity),
        "depth": depth_loss(output, depth),
    }
    weighted = intensity_weight * terms["intensity"] + depth_weight * terms["depth"]
    return {"loss": terms["mask"] + weighted, **terms}
