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


def depth_loss(output: LayerNetOutput, depth: Tensor, present: Tensor) -> Tensor:
    """Return the beta-weighted negative log likelihood of Gaussian depths, as shares of the gap.

    Args:
        output: of the network.
        depth: (batch, layer) the truth.
        present: (batch, layer) 1 where there is such a layer; the others have no depth.
    """
    variance = torch.exp(2 * output.depth_log_std)
    nll = 0.5 * ((output.depth - depth) ** 2 / variance + 2 * output.depth_log_std)
    return (present * nll * variance.detach() ** DEPTH_BETA).sum() / present.sum()


def layer_loss(
    output: LayerNetOutput,
    mask: Tensor,
    intensity: Tensor,
    depth: Tensor,
    layers: Tensor,
    *,
    intensity_weight: float,
    depth_weight: float,
    presence_weight: float,
) -> dict[str, Tensor]:
    """Return the loss and its terms.

    Args:
        output: of the network.
        mask: (batch, layer, y, x) in 0 ... 1.
        intensity: (batch, layer, y, x) in the network's unit.
        depth: (batch, layer) as shares of the gap.
        layers: (batch,) how many there are; only of these has the network to say where cells are.
        intensity_weight: of the mean squared error of the intensity.
        depth_weight: of `depth_loss`.
        presence_weight: of the cross entropy of the presence.

    Returns:
        `loss`, and its unweighted terms `mask`, `intensity`, `depth` and `presence`.
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    present = (places < layers[:, None]).to(mask.dtype)
    where = present[..., None, None].expand_as(mask)
    cells = F.binary_cross_entropy_with_logits(output.logit, mask, weight=where, reduction="sum")
    light = (where * (output.intensity - intensity).square()).sum()
    terms = {
        "mask": cells / where.sum(),
        "intensity": light / where.sum(),
        "depth": depth_loss(output, depth, present),
        "presence": F.binary_cross_entropy_with_logits(output.presence_logit, present),
    }
    weights = {
        "mask": 1.0,
        "intensity": intensity_weight,
        "depth": depth_weight,
        "presence": presence_weight,
    }
    loss = torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()
    return {"loss": loss, **terms}
