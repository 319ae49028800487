"""The scenes under the reference conditions that a model is chosen and calibrated on."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.utils.data import DataLoader, TensorDataset

from fociscope.errors import RecipeError
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.scene import Scenes, simulate
from fociscope.training.recipe import Recipe
from fociscope.training.telling import told_batch

__all__ = ["reference_scenes", "shares", "validation_loader"]

_MOST_PER_BATCH = 100


def reference_scenes(recipe: Recipe, count: int, seed: int, *, first: int = 0) -> Scenes:
    """Simulate scenes under the conditions that a model is chosen and calibrated on."""
    return simulate(
        count,
        seed=seed,
        first=first,
        imager=recipe.reference_imager,
        peak_snr_db=REFERENCE_PEAK_SNR_DB,
        **recipe.scored_scenes,
    )


def shares(scenes: int, rank: int = 0, world_size: int = 1) -> list[list[int]]:
    """Return the numbers of the scenes in each batch of one process.

    All processes get equally many batches, because each batch is a rendezvous of theirs, and no
    scene comes twice.

    Raises:
        RecipeError: there are fewer scenes than processes.
    """
    if scenes < world_size:
        raise RecipeError(
            f"validation.scenes ({scenes}) must be at least the number of processes ({world_size})"
        )
    batches = -(-scenes // (world_size * _MOST_PER_BATCH))
    return [part.tolist() for part in np.array_split(np.arange(rank, scenes, world_size), batches)]


def validation_loader(recipe: Recipe, rank: int = 0, world_size: int = 1) -> DataLoader[Any]:
    """Simulate the scenes that choose the best weights; return this process's share of them."""
    batches = shares(recipe.validation.scenes, rank, world_size)
    scenes = reference_scenes(recipe, recipe.validation.scenes, recipe.seeds.validation)
    data = TensorDataset(*told_batch(recipe, scenes))
    return DataLoader(data, batch_sampler=batches)
