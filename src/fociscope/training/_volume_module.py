r"""Lightning around the volume network, and its loss.

$$\mathcal{L} = \sum_s \langle \mathrm{BCE}_s \rangle
+ w_\text{intensity} \sum_s \langle (\sqrt{\hat l_s} - \sqrt{l_s})^2 \rangle$$

over the slices $s$, with means over scenes and pixels. The square root lets a few bright cells and
wide tissue teach alike; the light of a scene whose mean square root is above 1 counts less.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.networks.layer_net import mean_light
from fociscope.networks.volume_net import (
    VolumeArchitecture,
    VolumeNet,
    VolumeNetOutput,
    depth_distribution,
)
from fociscope.training._module import TrainingModule
from fociscope.training._volume_scenes import VolumeBatch, volume_section
from fociscope.training.recipe import Recipe

__all__ = ["VolumeTrainingModule", "volume_architecture", "volume_loss"]


def volume_architecture(recipe: Recipe) -> VolumeArchitecture:
    """Return the shape of the network that a recipe for volumes trains."""
    volume = volume_section(recipe)
    return VolumeArchitecture(trunk=recipe.network, slices=volume.slices)


def volume_loss(
    output: VolumeNetOutput, mask: Tensor, light: Tensor, *, intensity_weight: float
) -> dict[str, Tensor]:
    """Return the loss and its terms.

    Args:
        output: Output of the network.
        mask: True masks in 0 ... 1, (batch, slice, y, x).
        light: True light in the network's unit, (batch, slice, y, x).
        intensity_weight: Weight of the error of the light.

    Returns:
        `loss`, and its unweighted terms `mask` and `intensity`.
    """
    slices = mask.shape[1]
    cells = slices * F.binary_cross_entropy_with_logits(output.logit, mask)
    root = light.clamp(min=0).sqrt()
    bright = root.square().mean(dim=(1, 2, 3), keepdim=True).mul(slices).clamp(min=1)
    error = slices * ((output.root_light - root).square() / bright).mean()
    return {"loss": cells + intensity_weight * error, "mask": cells, "intensity": error}


class VolumeTrainingModule(TrainingModule):
    """Trains a `VolumeNet` by a recipe."""

    def build(self, recipe: Recipe) -> VolumeNet:
        """Return the network with random weights."""
        return VolumeNet(volume_architecture(recipe))

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Take over the weights of a stage before, or of the trunk of a layer model."""
        if "slices.body.2.weight" in weights:
            self.network.load_state_dict(weights)
        else:
            self.network.load_trunk(weights)

    def batch(self, fields: list[Tensor]) -> Any:
        """Return the fields of a batch by their names."""
        return VolumeBatch(*fields)

    def losses(self, batch: Any) -> tuple[dict[str, Tensor], Any]:
        """Return the losses of a batch, and the output of the network."""
        captures = batch.captures.contiguous(memory_format=torch.channels_last)
        output = self.network(captures, batch.optics)
        output = VolumeNetOutput(*(field.float() for field in output))
        unit = mean_light(captures[:, :1])
        terms = volume_loss(
            output,
            batch.mask,
            batch.light / unit,
            intensity_weight=self.recipe.optimisation.intensity_weight,
        )
        return terms, output

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        r"""Log the losses, the share of the uncertainty that is resolved, and the depth error.

        The share is $1 - \mathrm{BCE} / H$ with the entropy $H$ of the best constant for each
        slice; the depth error is that of the mean depth of columns that hold cells.
        """
        scenes = self.batch(batch)
        terms, output = self.losses(scenes)
        rate = scenes.mask.mean(dim=(0, 2, 3)).clamp(1e-6, 1 - 1e-6)
        entropy = F.binary_cross_entropy(rate, rate)
        cells = F.binary_cross_entropy_with_logits(output.logit, scenes.mask)
        slices = scenes.mask.shape[1]
        depth_um = (torch.arange(slices, device=rate.device) + 0.5) * (
            self.recipe.imager.gap_um / slices
        )
        at = depth_um[:, None, None]
        found = (depth_distribution(output.logit.sigmoid()) * at).sum(dim=1)
        there = (depth_distribution(scenes.mask) * at).sum(dim=1)
        held = scenes.mask.amax(dim=1) > 0
        figures = {f"val/{k}": v for k, v in terms.items()}
        figures["val/accuracy"] = 1 - cells / entropy
        figures["val/depth_error_um"] = (found - there).abs()[held].mean()
        share = len(scenes.mask) / self.recipe.validation.scenes
        shares = {k: v * share for k, v in figures.items()}
        self.log_dict(shares, batch_size=len(scenes.mask), reduce_fx="sum", sync_dist=True)
