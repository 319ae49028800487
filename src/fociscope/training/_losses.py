r"""The loss of training: one term for each output of the network.

With weights $w$ of a recipe,

$$\mathcal{L} = \mathcal{L}_\text{mask} + w_\text{intensity} \mathcal{L}_\text{intensity}
+ w_\text{depth} \mathcal{L}_\text{depth} + w_\text{presence} \mathcal{L}_\text{presence},$$

of the cross entropy of the masks, the squared error of the light, `depth_loss`, and the cross
entropy of the presence. All but the last are means over present layers. The error of the light of
a layer whose light has a mean square above 4 is divided by a fourth of it, so that a few very
bright cells do not outweigh all other scenes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.networks.layer_net import LayerNetOutput

__all__ = ["depth_loss", "layer_loss"]

#: Mean square of a layer's light, in the network's unit, from which on its error counts less.
BRIGHT_LAYER = 4.0
#: Depths are weighted by their predicted variance to this power, so that hard scenes still teach
#: (beta-NLL, Seitzer et al., ICLR 2022).
DEPTH_BETA = 0.5


def depth_loss(output: LayerNetOutput, depth: Tensor, present: Tensor) -> Tensor:
    r"""Return the beta-weighted negative log likelihood of Gaussian depths.

    $$\mathcal{L}_\text{depth} = \Big\langle \lfloor \sigma^{2\beta} \rfloor \,
    \tfrac12 \Big( \frac{(z - \hat z)^2}{\sigma^2} + \ln \sigma^2 \Big) \Big\rangle$$

    over present layers, with $\beta = 0.5$; no gradient passes through $\lfloor \cdot \rfloor$
    (Seitzer et al., ICLR 2022).

    Args:
        output: Output of the network.
        depth: True depths as shares of the gap, (batch, layer).
        present: 1 where there is such a layer, else 0, (batch, layer).

    Returns:
        The loss, a scalar.
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
        output: Output of the network.
        mask: True masks in 0 ... 1, (batch, layer, y, x).
        intensity: True light in the network's unit, (batch, layer, y, x).
        depth: True depths as shares of the gap, (batch, layer).
        layers: Number of layers present, (batch,); only these have masks, light and depths.
        intensity_weight: Weight of the mean squared error of the light.
        depth_weight: Weight of `depth_loss`.
        presence_weight: Weight of the cross entropy of the presence.

    Returns:
        `loss`, and its unweighted terms `mask`, `intensity`, `depth` and `presence`.
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    present = (places < layers[:, None]).to(mask.dtype)
    where = present[..., None, None].expand_as(mask)
    cells = F.binary_cross_entropy_with_logits(output.logit, mask, weight=where, reduction="sum")
    bright = (intensity.square().mean(dim=(-2, -1), keepdim=True) / BRIGHT_LAYER).clamp(min=1)
    light = (where * (output.intensity - intensity).square() / bright).sum()
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
