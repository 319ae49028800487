"""Training batches from files: the scenes that are there, in any orientation, with fresh noise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from fociscope.errors import RecipeError
from fociscope.training.data import FileScenes, SceneSample
from fociscope.training.recipe import Recipe
from fociscope.training.stream import Batch, exposed, oriented

__all__ = ["FileBatches"]


class FileBatches(IterableDataset[Batch]):
    """Training batches without end, over the scenes of files again and again.

    Captures get the recipe's noise, so files without noise are what to train on, as the published
    ones are. A run that goes on after an interruption starts another pass over the files.
    """

    def __init__(self, recipe: Recipe, source: Path, first_step: int = 0) -> None:
        """Look at the files.

        Args:
            recipe: what they must fit.
            source: a folder of files of the published layout, or one of them.
            first_step: of the first batch; it chooses the order.

        Raises:
            FileFormatError: a file cannot be read.
            RecipeError: the files hold other layers, sensors or frames than the recipe asks for,
                or fewer scenes than a batch.
        """
        super().__init__()
        self.recipe, self.first_step = recipe, first_step
        self.scenes = FileScenes(source, seed=recipe.seeds.training)
        for what, found, wanted in (
            ("layers", self.scenes.layers, recipe.network.layers),
            ("sensors", self.scenes.sensors, recipe.network.sensors),
            ("frames", self.scenes.frame_px, recipe.imager.frame_px),
        ):
            if found != wanted:
                raise RecipeError(
                    f"{source}: holds {what} of {found}, but the recipe asks for {wanted}"
                )
        if self.scenes.samples < recipe.optimisation.batch_scenes:
            raise RecipeError(
                f"{source}: holds {self.scenes.samples} scenes, fewer than a batch of "
                f"{recipe.optimisation.batch_scenes}"
            )

    def __iter__(self) -> Iterator[Batch]:
        """Yield batch after batch."""
        recipe, step = self.recipe, self.first_step
        waiting: list[SceneSample] = []
        epoch = self.first_step
        while True:
            self.scenes.set_epoch(epoch)
            for sample in self.scenes:
                waiting.append(sample)
                if len(waiting) == recipe.optimisation.batch_scenes:
                    yield self._batch(waiting, step)
                    waiting, step = [], step + 1
            epoch += 1

    def _batch(self, samples: list[SceneSample], step: int) -> Batch:
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seeds.training, step])
        collected = recipe.grating.energy_fraction()
        scenes = [
            (s.captures, s.mask, s.light * collected, s.depth_um / recipe.imager.gap_um)
            for s in samples
        ]
        clean, *truth = (torch.stack(field) for field in zip(*oriented(scenes, rng), strict=True))
        return Batch(exposed(clean, recipe, rng, fixed_pattern=None), *truth)
