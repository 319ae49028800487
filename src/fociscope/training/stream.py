"""The live stream: scenes over a family of imagers, simulated while the network trains.

Everything is a function of the recipe, the step and the process, so a run that goes on after an
interruption sees the scenes that it would have seen, and no two processes see the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from fociscope.imager.fixed_pattern import FixedPattern
from fociscope.simulation.frame import DrawnFrame, project
from fociscope.simulation.scene import draw_depths
from fociscope.training.recipe import Recipe

__all__ = ["Batch", "LiveScenes", "exposed", "orient", "oriented"]

_CHUNK, _STEP = 0, 1  # the two kinds of random streams under the training seed


class Batch(NamedTuple):
    """What one training step sees."""

    captures: Tensor
    """(batch, sensor, y, x)."""
    mask: Tensor
    """(batch, layer, y, x) in 0 ... 1."""
    intensity: Tensor
    """(batch, layer, y, x) light that reaches sensor A, in the units of the captures."""
    depth: Tensor
    """(batch, layer) as a share of the gap."""


def orient(image: Tensor, orientation: int) -> Tensor:
    """Return one of the eight rotations and reflections of (..., y, x)."""
    turned = torch.rot90(image, orientation % 4, dims=(-2, -1))
    return turned.flip(-1) if orientation >= 4 else turned


def oriented(
    scenes: Sequence[tuple[Tensor, ...]], rng: np.random.Generator
) -> list[tuple[Tensor, ...]]:
    """Turn and mirror each scene at random; its last field, the depths, stays as it is."""
    height, width = scenes[0][0].shape[-2:]
    # Quarter turns would change the shape of a frame that is not square.
    ways = 8 if height == width else 4
    orientations = rng.integers(0, ways, len(scenes)) * (8 // ways)
    return [
        (*(orient(image, int(orientation)) for image in images), depth)
        for (*images, depth), orientation in zip(scenes, orientations, strict=True)
    ]


def exposed(
    clean: Tensor, recipe: Recipe, rng: np.random.Generator, *, fixed_pattern: FixedPattern | None
) -> Tensor:
    """Return captures (batch, sensor, y, x) with noise at peak SNRs drawn from the family."""
    peak_snr_db = rng.uniform(*recipe.family.peak_snr_db, (len(clean), 1))
    return recipe.imager.camera.at_peak_snr(
        clean,
        torch.from_numpy(peak_snr_db).float().to(clean.device).expand(clean.shape[:2]),
        generator=torch.Generator(clean.device).manual_seed(int(rng.integers(2**62))),
        fixed_pattern=fixed_pattern,
    )


class LiveScenes(IterableDataset[Batch]):
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
        """Stream the scenes of `recipe`; the first batch that is asked for starts the work.

        Args:
            recipe: what to simulate.
            first_step: of the first batch.
            device: where scenes are projected, kept and given their noise. Specimens are drawn on
                the CPU in any case; the noise of another device is other noise.
            rank: number of this process among those that train together.
            world_size: how many these are.
        """
        super().__init__()
        self.rank, self.world_size = rank, world_size
        self.recipe = recipe
        self.first_step = first_step
        self.device = torch.device(device)
        imager = recipe.imager
        self.fixed_pattern = imager.camera.fixed_pattern(imager.sensors, imager.frame_px)

    def chunk(self, number: int) -> Batch:
        """Simulate a chunk of noise-free scenes: one boundary, and each scene its own imager.

        Args:
            number: among the chunks of this process.
        """
        recipe, family, scenes = self.recipe, self.recipe.family, self.recipe.scenes
        shared_number = number * self.world_size + self.rank
        rng = np.random.default_rng([recipe.seeds.training, _CHUNK, shared_number])
        count, layers = recipe.stream.chunk_scenes, recipe.network.layers
        boundary = family.boundaries[(number + self.rank) % len(family.boundaries)]
        imager = recipe.imager.with_(boundary=boundary)
        frame = DrawnFrame.around(imager)
        separation = rng.uniform(*scenes.min_separation_um, count)
        depth_um = np.stack(
            [
                draw_depths(rng, layers, min_separation_um=s, deepest_um=imager.gap_um)
                for s in separation
            ]
        )
        drawn = [
            scenes.specimen.draw(
                rng,
                layers,
                frame_px=frame.size_px,
                pixel_pitch_um=imager.pixel_pitch_um,
                margin_px=frame.margin_px,
            )
            for _ in range(count)
        ]
        light = np.stack([scene[0] for scene in drawn])
        mask = np.stack([scene[1] for scene in drawn])
        half_angle_deg = torch.from_numpy(rng.uniform(*family.half_angle_deg, count)).float()
        base_blur_px = torch.from_numpy(rng.uniform(*family.base_blur_px, count)).float()
        captures = project(
            imager,
            light,
            depth_um,
            drawn=frame,
            family=("half_angle_deg", family.half_angle_deg),
            device=self.device,
            half_angle_deg=half_angle_deg,
            base_blur_um=base_blur_px * imager.pixel_pitch_um,
        )
        collected = recipe.grating.collected(half_angle_deg).reshape(-1, 1, 1, 1)
        return Batch(
            captures=captures,
            mask=torch.from_numpy(mask[frame.inside]).to(self.device).float(),
            intensity=torch.from_numpy(light[frame.inside] * collected.numpy()).to(self.device),
            depth=torch.from_numpy(depth_um).to(self.device) / imager.gap_um,
        )

    def batch(self, pool: list[Batch], step: int) -> Batch:
        """Draw the batch of a step from the pool: any scene, any orientation, fresh noise."""
        recipe = self.recipe
        # Without the rank where it is zero: what one process draws is as it has always been.
        others = [self.rank] if self.rank else []
        rng = np.random.default_rng([recipe.seeds.training, _STEP, step, *others])
        picks = rng.integers(
            0, len(pool) * recipe.stream.chunk_scenes, recipe.optimisation.batch_scenes
        )
        scenes = []
        for pick in picks:
            chunk, scene = divmod(int(pick), recipe.stream.chunk_scenes)
            scenes.append(tuple(field[scene] for field in pool[chunk]))
        clean, *truth = (torch.stack(field) for field in zip(*oriented(scenes, rng), strict=True))
        return Batch(exposed(clean, recipe, rng, fixed_pattern=self.fixed_pattern), *truth)

    def __iter__(self) -> Iterator[Batch]:
        """Yield batch after batch."""
        stream = self.recipe.stream
        newest = self.first_step // stream.steps_per_chunk + stream.pool_chunks - 1
        pool = deque(
            (self.chunk(n) for n in range(newest - stream.pool_chunks + 1, newest + 1)),
            maxlen=stream.pool_chunks,
        )
        step = self.first_step
        while True:
            yield self.batch(list(pool), step)
            step += 1
            if step % stream.steps_per_chunk == 0:
                newest += 1
                pool.append(self.chunk(newest))
