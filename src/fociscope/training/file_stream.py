"""Training batches from files: the scenes that are there, in any orientation, with fresh noise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from fociscope.errors import RecipeError
from fociscope.training.augmentation import exposed, oriented
from fociscope.training.data import FileScenes, SceneSample
from fociscope.training.recipe import Recipe
from fociscope.training.telling import Batch, Scenes, Telling, for_all_slots

__all__ = ["FileBatches"]


class FileBatches(IterableDataset[Batch]):
    """Training batches without end, over the scenes of files again and again.

    Captures get the recipe's noise, so files without noise are what to train on, as the published
    ones are. A run that goes on after an interruption reads the scenes of its pass again up to the
    step, and sees what it would have seen. Of several processes each takes every n-th scene.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: Path,
        first_step: int = 0,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Look at the files.

        Args:
            recipe: what they must fit.
            source: a folder of files of the published layout, or one of them.
            first_step: of the first batch.
            rank: number of this process among those that train together.
            world_size: how many these are.

        Raises:
            FileFormatError: a file cannot be read.
            RecipeError: the files hold other layers, sensors or frames than the recipe asks for,
                or fewer scenes than a batch of all processes.
        """
        super().__init__()
        self.recipe, self.first_step = recipe, first_step
        self.rank, self.world_size = rank, world_size
        self.telling = Telling(recipe)
        self.scenes = FileScenes(source, seed=recipe.seeds.training)
        if self.scenes.layers > recipe.network.layers:
            raise RecipeError(
                f"{source}: holds scenes of {self.scenes.layers} layers, but the recipe's network "
                f"has {recipe.network.layers}"
            )
        for what, found, wanted in (
            ("sensors", self.scenes.sensors, recipe.network.sensors),
            ("frames", self.scenes.frame_px, recipe.imager.frame_px),
        ):
            if found != wanted:
                raise RecipeError(
                    f"{source}: holds {what} of {found}, but the recipe asks for {wanted}"
                )
        needed = recipe.optimisation.batch_scenes * world_size
        if self.scenes.samples < needed:
            each = "" if world_size == 1 else f" ({world_size} processes together)"
            raise RecipeError(
                f"{source}: holds {self.scenes.samples} scenes, fewer than a batch of "
                f"{needed}{each}; add files or lower optimisation.batch_scenes"
            )

    def __iter__(self) -> Iterator[Batch]:
        """Yield batch after batch."""
        step, per_batch = self.first_step, self.recipe.optimisation.batch_scenes
        waiting: list[SceneSample] = []
        for sample in self._samples(start=step * per_batch * self.world_size):
            waiting.append(sample)
            if len(waiting) == per_batch:
                yield self._batch(waiting, step)
                waiting, step = [], step + 1

    def _samples(self, start: int) -> Iterator[SceneSample]:
        """Yield this process's share of all passes, from the scene of number `start` on."""
        epoch = start // self.scenes.samples
        number = epoch * self.scenes.samples
        while True:
            self.scenes.set_epoch(epoch)
            for sample in self.scenes:
                if number >= start and number % self.world_size == self.rank:
                    yield sample
                number += 1
            epoch += 1

    def _batch(self, samples: list[SceneSample], step: int) -> Batch:
        recipe = self.recipe
        # Without the rank where it is zero: what one process draws is as it has always been.
        others = [self.rank] if self.rank else []
        rng = np.random.default_rng([recipe.seeds.training, step, *others])
        psf, gap_um = recipe.grating, recipe.imager.gap_um
        blur_px = psf.base_blur_um / recipe.imager.pixel_pitch_um
        scenes = [
            (
                s.captures,
                *for_all_slots(
                    s.mask,
                    s.light * psf.energy_fraction(),
                    s.depth_um / gap_um,
                    recipe.network.layers,
                ),
                torch.tensor(self.scenes.layers),
                torch.tensor(psf.half_angle_deg),
                torch.tensor(blur_px),
            )
            for s in samples
        ]
        stacked = Scenes(*(torch.stack(f) for f in zip(*oriented(scenes, rng), strict=True)))
        seen = exposed(stacked.captures, recipe, rng, fixed_pattern=None)
        return self.telling.batch(seen, stacked, rng)
