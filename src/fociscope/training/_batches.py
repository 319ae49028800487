"""Batches: scenes and their conditioning, for training, choosing and calibrating a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from fociscope.errors import RecipeError
from fociscope.networks.conditioning import TabulatedOptics, optics_features
from fociscope.simulation.base import Specimen
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.scene import Scenes as SimulatedScenes
from fociscope.simulation.scene import simulate
from fociscope.training.recipe import ImagerDistribution, Recipe

__all__ = [
    "Conditioning",
    "SceneTensors",
    "TrainingBatch",
    "batches_of_rank",
    "conditioned_batch",
    "conditioning_noise",
    "for_all_slots",
    "reference_scenes",
    "validation_loader",
]

_MOST_PER_BATCH = 100


class SceneTensors(NamedTuple):
    """Noise-free scenes, each taken by an imager of its own; absent layers are dark."""

    captures: Tensor
    """(scene, sensor, y, x)."""
    mask: Tensor
    """(scene, layer, y, x) in 0 ... 1."""
    intensity: Tensor
    """(scene, layer, y, x) light that reaches sensor A, in the units of the captures."""
    depth: Tensor
    """(scene, layer) as a share of the gap; of absent layers, 1."""
    layers: Tensor
    """(scene,) how many there are: the first ones."""
    half_angle_deg: Tensor
    """(scene,)."""
    base_blur_px: Tensor
    """(scene,)."""


class TrainingBatch(NamedTuple):
    """Captures, conditioning and truth of one training step."""

    captures: Tensor
    """(batch, sensor, y, x)."""
    optics: Tensor
    """(batch, feature) conditioning on the imager."""
    most_layers: Tensor
    """(batch,) how many layers to look for; some may be absent."""
    mask: Tensor
    """(batch, layer, y, x) in 0 ... 1."""
    intensity: Tensor
    """(batch, layer, y, x) light that reaches sensor A, in the units of the captures."""
    depth: Tensor
    """(batch, layer) as a share of the gap; of absent layers, 1."""
    layers: Tensor
    """(batch,) how many there are."""


class Conditioning:
    """The conditioning of scenes by a recipe: optics with errors, and how many layers at most.

    Half of the time the number of layers is the true one, a quarter of the time all that the
    network has, and else one between them.
    """

    def __init__(self, recipe: Recipe) -> None:
        """Tabulate the optics of the family."""
        self._family, self._slots = recipe.family, recipe.network.layers
        self.optics = TabulatedOptics(recipe.imager, recipe.family.half_angle_deg)

    def batch(self, seen: Tensor, scenes: SceneTensors, rng: np.random.Generator) -> TrainingBatch:
        """Return the batch of scenes whose captures are `seen`, (scene, sensor, y, x)."""
        count = len(seen)
        angle_error_deg, blur_error_px = conditioning_noise(self._family, rng, count)
        optics = self.optics(
            scenes.half_angle_deg.cpu() + angle_error_deg,
            (scenes.base_blur_px.cpu() + blur_error_px).clamp(min=0),
        )
        layers = scenes.layers.cpu().numpy()
        way = rng.random(count)
        between = rng.integers(layers, self._slots + 1)
        most = np.where(way < 0.5, layers, np.where(way < 0.75, self._slots, between))
        return TrainingBatch(
            seen,
            optics.to(seen.device),
            torch.from_numpy(most).to(seen.device),
            scenes.mask,
            scenes.intensity,
            scenes.depth,
            scenes.layers,
        )


def conditioning_noise(
    family: ImagerDistribution, rng: np.random.Generator, count: int
) -> tuple[Tensor, Tensor]:
    """Draw (scene,) errors of the half angle in degrees and of the base blur in pixels."""
    errors = torch.from_numpy(rng.normal(size=(2, count))).float()
    errors *= torch.from_numpy(rng.random(count) >= family.exact_fraction)
    return (
        errors[0] * family.conditioning_half_angle_std_deg,
        errors[1] * family.conditioning_base_blur_std_px,
    )


def conditioned_batch(recipe: Recipe, scenes: SimulatedScenes) -> TrainingBatch:
    """Return scenes of the recipe's reference imager, conditioned without error."""
    count, layers = scenes.depth_um.shape
    mask, light, depth = for_all_slots(
        torch.from_numpy(scenes.mask).float(),
        torch.from_numpy(scenes.layers) * recipe.imager.psf.collection_efficiency(),
        torch.from_numpy(scenes.depth_um) / recipe.imager.gap_um,
        recipe.network.layers,
    )
    return TrainingBatch(
        captures=torch.from_numpy(scenes.captures),
        optics=optics_features(recipe.reference_imager).expand(count, -1),
        most_layers=torch.full((count,), layers),
        mask=mask,
        intensity=light,
        depth=depth,
        layers=torch.full((count,), layers),
    )


def reference_scenes(
    recipe: Recipe, count: int, seed: int, *, first: int = 0, specimen: Specimen | None = None
) -> SimulatedScenes:
    """Simulate scenes under the conditions that a model is chosen and calibrated on.

    Args:
        recipe: Recipe of the model.
        count: Number of scenes.
        seed: Seed of the scenes.
        first: Number of the first scene.
        specimen: Specimen in place of the recipe's usual one.
    """
    scored = recipe.scored_scenes
    return simulate(
        count,
        seed=seed,
        first=first,
        imager=recipe.reference_imager,
        peak_snr_db=REFERENCE_PEAK_SNR_DB,
        **(scored if specimen is None else {**scored, "specimen": specimen}),
    )


def validation_loader(recipe: Recipe, rank: int = 0, world_size: int = 1) -> DataLoader[Any]:
    """Simulate the scenes that choose the best weights; return this process's share of them."""
    validation, seed = recipe.validation, recipe.seeds.validation
    batches = batches_of_rank(validation.scenes + validation.mixture_scenes, rank, world_size)
    parts = [conditioned_batch(recipe, reference_scenes(recipe, validation.scenes, seed))]
    if validation.mixture_scenes:
        mixed = reference_scenes(
            recipe,
            validation.mixture_scenes,
            seed,
            first=validation.scenes,
            specimen=recipe.scenes.mixture,
        )
        parts.append(conditioned_batch(recipe, mixed))
    data = TensorDataset(*(torch.cat(fields) for fields in zip(*parts, strict=True)))
    return DataLoader(data, batch_sampler=batches)


def batches_of_rank(scenes: int, rank: int = 0, world_size: int = 1) -> list[list[int]]:
    """Return the numbers of the scenes in each batch of one process.

    All processes get equally many batches, because they meet at each batch, and no scene comes
    twice.

    Args:
        scenes: Number of scenes.
        rank: Number of this process.
        world_size: Number of processes.

    Returns:
        Scene numbers, batch by batch.

    Raises:
        RecipeError: if there are fewer scenes than processes.
    """
    if scenes < world_size:
        raise RecipeError(
            f"the scenes of the validation ({scenes}) must be at least the number of processes "
            f"({world_size})"
        )
    batches = -(-scenes // (world_size * _MOST_PER_BATCH))
    return [part.tolist() for part in np.array_split(np.arange(rank, scenes, world_size), batches)]


def for_all_slots(
    mask: Tensor, light: Tensor, depth: Tensor, slots: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Add absent layers, dark and at depth 1, to those that there are.

    Args:
        mask: Masks, (..., layer, y, x).
        light: Light, (..., layer, y, x).
        depth: Depths as shares of the gap, (..., layer).
        slots: Number of layers afterwards.

    Returns:
        The three with `slots` layers.
    """
    absent = slots - depth.shape[-1]
    dark = (0, 0, 0, 0, 0, absent)
    return F.pad(mask, dark), F.pad(light, dark), F.pad(depth, (0, absent), value=1.0)
