"""The live stream: scenes over a family of imagers, simulated while the network trains.

Everything is a function of the recipe, the step and the process, so a run that is resumed sees the
scenes that it would have seen without the interruption, and no two processes see the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from fociscope.simulation.base import Specimen
from fociscope.simulation.frame import DrawnFrame, project
from fociscope.simulation.scene import draw_depths
from fociscope.training._augmentation import exposed, oriented
from fociscope.training._batches import Conditioning, SceneTensors, TrainingBatch
from fociscope.training.recipe import Recipe
from fociscope.typing import Float32Array, Int64Array

__all__ = ["LARGEST_FILLED_SHARE", "LiveScenes"]

#: Many layers stand closer together than a recipe's separation: a quarter of the gap stays free.
LARGEST_FILLED_SHARE = 0.75

_CHUNK, _STEP = 0, 1  # the two kinds of random streams under the training seed


class LiveScenes(IterableDataset[TrainingBatch]):
    """Training batches without end, from `first_step` on."""

    def __init__(
        self,
        recipe: Recipe,
        first_step: int = 0,
        device: torch.device | str = "cpu",
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Stream the scenes of `recipe`; the first batch starts the work.

        Args:
            recipe: Recipe to simulate by.
            first_step: Step of the first batch.
            device: Device on which scenes are projected, stored and exposed. Specimens are drawn on
                the CPU in any case; the noise of another device is other noise.
            rank: Number of this process among those that train together.
            world_size: Number of these processes.
        """
        super().__init__()
        self.rank, self.world_size = rank, world_size
        self.recipe = recipe
        self.first_step = first_step
        self.device = torch.device(device)
        imager = recipe.imager
        self.conditioning = Conditioning(recipe)
        self.fixed_pattern = imager.fixed_pattern()
        #: Receives the number of scenes of each chunk of the first pool.
        self.on_first_scenes: Callable[[int], None] | None = None

    def chunk(self, number: int) -> SceneTensors:
        """Simulate a chunk of noise-free scenes: one boundary, and each scene its own imager.

        Args:
            number: Number among the chunks of this process.

        Returns:
            The scenes, on the stream's device.
        """
        recipe, family = self.recipe, self.recipe.family
        shared_number = number * self.world_size + self.rank
        rng = np.random.default_rng([recipe.seeds.training, _CHUNK, shared_number])
        count, slots = recipe.stream.chunk_scenes, recipe.network.layers
        boundary = family.boundaries[(number + self.rank) % len(family.boundaries)]
        imager = recipe.imager.with_(boundary=boundary)
        frame = DrawnFrame.around(imager)
        layers = self._layer_counts(rng, count)
        depth_um = np.full((count, slots), imager.gap_um, dtype=np.float32)
        light = np.zeros((count, slots, *frame.size_px), dtype=np.float32)
        mask = np.zeros(light.shape, dtype=np.bool_)
        for n, there in enumerate(layers):
            depth_um[n, :there] = self._depths(rng, int(there))
            light[n, :there], mask[n, :there] = self._specimen(rng).draw_scene(
                rng, int(there), frame
            )
        half_angle_deg, base_blur_px = self._imagers(rng, count)
        captures = project(
            imager,
            light,
            depth_um,
            drawn=frame,
            parameter_range=("half_angle_deg", family.half_angle_deg),
            device=self.device,
            half_angle_deg=half_angle_deg,
            base_blur_um=base_blur_px * imager.square_pitch_um,
        )
        collected = recipe.grating.collected(half_angle_deg).reshape(-1, 1, 1, 1)
        return SceneTensors(
            captures=captures,
            mask=torch.from_numpy(mask[frame.inside]).to(self.device).float(),
            intensity=torch.from_numpy(light[frame.inside] * collected.numpy()).to(self.device),
            depth=torch.from_numpy(depth_um).to(self.device) / imager.gap_um,
            layers=torch.from_numpy(layers).to(self.device),
            half_angle_deg=half_angle_deg.to(self.device),
            base_blur_px=base_blur_px.to(self.device),
        )

    def _imagers(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Draw (scene,) half angles in degrees and (scene,) base blurs in pixels."""
        family = self.recipe.family
        drawn = [rng.uniform(*w, count) for w in (family.half_angle_deg, family.base_blur_px)]
        if (focus := family.focus) is not None:
            inside = rng.random(count) < focus.share
            zero_blur = rng.random(count) < focus.zero_blur_fraction
            blur_px = rng.uniform(*focus.base_blur_px, count)
            blur_px[zero_blur] = focus.base_blur_px[0]
            often = rng.uniform(*focus.half_angle_deg, count), blur_px
            drawn = [np.where(inside, a, b) for a, b in zip(often, drawn, strict=True)]
        half_angle_deg, base_blur_px = (torch.from_numpy(values).float() for values in drawn)
        return half_angle_deg, base_blur_px

    def _layer_counts(self, rng: np.random.Generator, count: int) -> Int64Array:
        """Draw the number of layers of each scene, (scene,)."""
        often = np.array(self.recipe.scenes.layer_counts)
        if not often.size:
            return np.full(count, self.recipe.validation.layers)
        return 1 + rng.choice(len(often), size=count, p=often / often.sum())

    def _depths(self, rng: np.random.Generator, layers: int) -> Float32Array:
        gap_um = self.recipe.imager.gap_um
        most_um = LARGEST_FILLED_SHARE * gap_um / max(layers - 1, 1)
        apart_um = min(rng.uniform(*self.recipe.scenes.min_separation_um), most_um)
        return draw_depths(rng, layers, min_separation_um=apart_um, deepest_um=gap_um)

    def _specimen(self, rng: np.random.Generator) -> Specimen:
        """Draw what a scene's layers look like."""
        place = rng.random()
        for other in self.recipe.scenes.others:
            place -= other.share
            if place < 0:
                return other.specimen
        return self.recipe.scenes.specimen

    def batch(self, pool: list[SceneTensors], step: int) -> TrainingBatch:
        """Draw the batch of a step from the pool: any scene, any orientation, fresh noise."""
        recipe = self.recipe
        # Without the rank where it is zero: what one process draws is as it has always been.
        others = [self.rank] if self.rank else []
        rng = np.random.default_rng([recipe.seeds.training, _STEP, step, *others])
        picks = rng.integers(
            0, len(pool) * recipe.stream.chunk_scenes, recipe.optimisation.batch_scenes
        )
        picked = []
        for pick in picks:
            chunk, scene = divmod(int(pick), recipe.stream.chunk_scenes)
            picked.append(tuple(field[scene] for field in pool[chunk]))
        scenes = SceneTensors(*(torch.stack(f) for f in zip(*oriented(picked, rng), strict=True)))
        seen = exposed(scenes.captures, recipe, rng, fixed_pattern=self.fixed_pattern)
        return self.conditioning.batch(seen, scenes, rng)

    def __iter__(self) -> Iterator[TrainingBatch]:
        """Yield batch after batch."""
        stream = self.recipe.stream
        newest = self.first_step // stream.steps_per_chunk + stream.pool_chunks - 1
        pool: deque[SceneTensors] = deque(maxlen=stream.pool_chunks)
        for number in range(newest - stream.pool_chunks + 1, newest + 1):
            pool.append(self.chunk(number))
            if self.on_first_scenes is not None:
                self.on_first_scenes(stream.chunk_scenes)
        step = self.first_step
        while True:
            yield self.batch(list(pool), step)
            step += 1
            if step % stream.steps_per_chunk == 0:
                newest += 1
                pool.append(self.chunk(newest))
