"""Batches of volumes: simulated while the network trains, and for validation.

As for layers (`live_scenes`), all is a function of the recipe, the step and the process.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from fociscope.networks.conditioning import TabulatedOptics, optics_features
from fociscope.simulation.frame import DrawnFrame, project
from fociscope.simulation.volume_grid import VolumeGrid
from fociscope.simulation.volume_scenes import simulate_volumes
from fociscope.training._augmentation import exposed, oriented
from fociscope.training._batches import batches_of_rank, conditioning_noise
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.recipe import Recipe, VolumeSection

__all__ = [
    "LiveVolumes",
    "VolumeBatch",
    "volume_scenes_loader",
    "volume_section",
    "volume_validation_loader",
]

_CHUNK, _STEP = 0, 1
#: Thin planes of a slice in scenes that choose and calibrate a model.
_SCORED_PLANES = 4


class VolumeTensors(NamedTuple):
    """Noise-free volumes, each taken by an imager of its own."""

    captures: Tensor
    """(scene, sensor, y, x)."""
    mask: Tensor
    """(scene, slice, y, x) bool."""
    light: Tensor
    """(scene, slice, y, x) light that reaches sensor A, in the units of the captures."""
    half_angle_deg: Tensor
    """(scene,)."""
    base_blur_px: Tensor
    """(scene,)."""


class VolumeBatch(NamedTuple):
    """Captures, conditioning and truth of one training step."""

    captures: Tensor
    """(batch, sensor, y, x)."""
    optics: Tensor
    """(batch, feature) conditioning on the imager."""
    mask: Tensor
    """(batch, slice, y, x) in 0 ... 1."""
    light: Tensor
    """(batch, slice, y, x) light that reaches sensor A, in the units of the captures."""


def volume_section(recipe: Recipe) -> VolumeSection:
    """Return the section of a recipe for volumes."""
    assert recipe.volume is not None
    return recipe.volume


class LiveVolumes(LiveScenes):
    """Training batches of volumes without end, from `first_step` on."""

    def __init__(self, recipe: Recipe, *args: Any, **more: Any) -> None:
        """Stream the volumes of `recipe`; see `LiveScenes`."""
        super().__init__(recipe, *args, **more)
        self.volume = volume_section(recipe)
        self.optics = TabulatedOptics(recipe.imager, recipe.family.half_angle_deg)

    def chunk(self, number: int) -> VolumeTensors:  # type: ignore[override]
        """Simulate a chunk of noise-free volumes: one boundary, and each scene its own imager."""
        recipe, family = self.recipe, self.recipe.family
        rng = np.random.default_rng(
            [recipe.seeds.training, _CHUNK, number * self.world_size + self.rank]
        )
        count = recipe.stream.chunk_scenes
        boundary = family.boundaries[(number + self.rank) % len(family.boundaries)]
        imager = recipe.imager.with_(boundary=boundary)
        frame = DrawnFrame.around(imager)
        grid = VolumeGrid(frame, imager.gap_um, self.volume.slices)
        half_angle_deg, base_blur_px = self._imagers(rng, count)
        depth_um = grid.plane_um.astype(np.float32)[None]
        captures, light, mask = [], [], []
        for n in range(count):
            drawn = self.volume.specimen.draw_scene(rng, grid)
            seen = project(
                imager,
                drawn.light[None],
                depth_um,
                drawn=frame,
                parameter_range=("half_angle_deg", family.half_angle_deg),
                device=self.device,
                half_angle_deg=half_angle_deg[n : n + 1],
                base_blur_um=base_blur_px[n : n + 1] * imager.square_pitch_um,
            )
            captures.append(seen[0])
            light.append(torch.from_numpy(drawn.slice_light[frame.inside]))
            mask.append(torch.from_numpy(drawn.mask[frame.inside].copy()))
        collected = recipe.grating.collected(half_angle_deg).reshape(-1, 1, 1, 1)
        return VolumeTensors(
            captures=torch.stack(captures),
            mask=torch.stack(mask).to(self.device),
            light=(torch.stack(light) * collected).to(self.device),
            half_angle_deg=half_angle_deg.to(self.device),
            base_blur_px=base_blur_px.to(self.device),
        )

    def batch(self, pool: list[VolumeTensors], step: int) -> VolumeBatch:  # type: ignore[override]
        """Draw the batch of a step from the pool: any scene, any orientation, fresh noise."""
        recipe, stream = self.recipe, self.recipe.stream
        others = [self.rank] if self.rank else []
        rng = np.random.default_rng([recipe.seeds.training, _STEP, step, *others])
        picks = rng.integers(0, len(pool) * stream.chunk_scenes, recipe.optimisation.batch_scenes)
        picked = []
        for pick in picks:
            chunk, scene = divmod(int(pick), stream.chunk_scenes)
            picked.append(tuple(field[scene] for field in pool[chunk]))
        scenes = VolumeTensors(*(torch.stack(f) for f in zip(*oriented(picked, rng), strict=True)))
        seen = exposed(scenes.captures, recipe, rng, fixed_pattern=self.fixed_pattern)
        angle_error_deg, blur_error_px = conditioning_noise(recipe.family, rng, len(seen))
        half_angle_deg = scenes.half_angle_deg.cpu() + angle_error_deg
        base_blur_px = (scenes.base_blur_px.cpu() + blur_error_px).clamp(min=0)
        return VolumeBatch(
            seen,
            self.optics(half_angle_deg, base_blur_px).to(seen.device),
            scenes.mask.float(),
            scenes.light,
        )


def volume_scenes_loader(
    recipe: Recipe, count: int, seed: int, *, rank: int = 0, world_size: int = 1
) -> DataLoader[Any]:
    """Simulate volumes of the recipe's specimen under the reference conditions, in batches.

    Args:
        recipe: Recipe for volumes.
        count: Number of scenes.
        seed: Seed of the scenes.
        rank: Number of this process, which gets its share of them.
        world_size: Number of processes.
    """
    volume, imager = volume_section(recipe), recipe.reference_imager
    scenes = simulate_volumes(
        count,
        seed=seed,
        imager=imager,
        specimen=volume.specimen,
        slices=volume.slices,
        planes_per_slice=_SCORED_PLANES,
    )
    batch = VolumeBatch(
        captures=torch.from_numpy(scenes.captures),
        optics=optics_features(imager).expand(count, -1),
        mask=torch.from_numpy(scenes.mask).float(),
        light=torch.from_numpy(scenes.light) * imager.psf.collection_efficiency(),
    )
    batches = batches_of_rank(count, rank, world_size)
    return DataLoader(TensorDataset(*batch), batch_sampler=batches)


def volume_validation_loader(recipe: Recipe, rank: int = 0, world_size: int = 1) -> DataLoader[Any]:
    """Simulate the volumes that choose the best weights; return this process's share of them."""
    count, seed = recipe.validation.scenes, recipe.seeds.validation
    return volume_scenes_loader(recipe, count, seed, rank=rank, world_size=world_size)
