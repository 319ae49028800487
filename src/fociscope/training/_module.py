"""Lightning around the network: steps, schedule and validation."""

from __future__ import annotations

import math
import os
import time
from shutil import which
from typing import Any

import lightning as L
import torch
from torch import Tensor

from fociscope.networks.layer_net import LayerNet, mean_light
from fociscope.training._batches import TrainingBatch
from fociscope.training._losses import layer_loss
from fociscope.training.recipe import Recipe

__all__ = ["SECONDS", "TrainingModule"]

#: Name in a checkpoint of the duration of training until it was written, in seconds.
SECONDS = "seconds"


class TrainingModule(L.LightningModule):
    """Trains a `LayerNet` by a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        """Start from random weights, drawn from the recipe's seed."""
        super().__init__()
        self.recipe = recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seeds.weights)
            network = self.build(recipe)
        # Measured on two cores: 0.81 to 0.87 of the time of the default memory layout.
        self.network = network.to(memory_format=torch.channels_last)
        if recipe.optimisation.compiled and _has_compiler():
            self.network.compile(dynamic=False)
        self._before_s, self._since = 0.0, time.monotonic()

    def build(self, recipe: Recipe) -> Any:
        """Return the network with random weights."""
        return LayerNet(recipe.network)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Take over the weights of another model or stage."""
        self.network.load_state_dict(weights)

    def batch(self, fields: list[Tensor]) -> Any:
        """Return the fields of a batch by their names."""
        return TrainingBatch(*fields)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._since = time.monotonic()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store how long training has taken in all its parts."""
        checkpoint[SECONDS] = self._before_s + time.monotonic() - self._since

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the clock."""
        self._before_s = float(checkpoint.get(SECONDS, 0.0))

    def losses(self, batch: Any) -> tuple[dict[str, Tensor], Any]:
        """Return the losses of a batch, and the output of the network."""
        captures = batch.captures.contiguous(memory_format=torch.channels_last)
        output = self.network(captures, batch.optics, batch.most_layers)
        output = type(output)(*(field.float() for field in output))  # from mixed precision
        unit = mean_light(captures[:, :1])
        settings = self.recipe.optimisation
        terms = layer_loss(
            output,
            batch.mask,
            batch.intensity / unit,
            batch.depth,
            batch.layers,
            intensity_weight=settings.intensity_weight,
            depth_weight=settings.depth_weight,
            presence_weight=settings.presence_weight,
        )
        return terms, output

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Return the loss; NaN stops all processes before it spoils a checkpoint."""
        terms, _output = self.losses(self.batch(batch))
        finite = bool(torch.isfinite(terms["loss"]))
        if not self.trainer.strategy.reduce_boolean_decision(finite, all=True):
            loss = "infinite or NaN elsewhere" if finite else str(float(terms["loss"]))
            raise FloatingPointError(f"the loss is {loss} at step {self.global_step}")
        self.log_dict({f"train/{k}": v for k, v in terms.items()})
        return terms["loss"]

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        """Log the losses, the mean pixel accuracy and the mean depth error."""
        scenes = self.batch(batch)
        terms, output = self.losses(scenes)
        there = int(scenes.layers[0])  # the same in all scenes of the validation
        found = (output.logit > 0) & output.present[..., None, None]
        right = found == (scenes.mask > 0.5)
        accuracy = right[:, :there].float().mean()
        apart = (output.depth - scenes.depth)[:, :there].abs().mean()
        depth_error = apart * self.recipe.imager.gap_um
        figures = {f"val/{k}": v for k, v in terms.items()}
        figures |= {"val/accuracy": accuracy, "val/depth_error_um": depth_error}
        # As shares of all scenes, because Lightning's mean over processes is not exact where these
        # have different numbers of scenes.
        validation = self.recipe.validation
        share = len(scenes.mask) / (validation.scenes + validation.mixture_scenes)
        shares = {k: v * share for k, v in figures.items()}
        self.log_dict(shares, batch_size=len(scenes.mask), reduce_fx="sum", sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a linear warm-up and a cosine to zero."""
        settings = self.recipe.optimisation
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
            return warm * 0.5 * (1 + math.cos(math.pi * min(step / settings.steps, 1.0)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def _has_compiler() -> bool:
    """Whether `torch.compile` finds what it needs on the CPU."""
    return any(which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++"))
