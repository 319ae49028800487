"""Batches from files: every scene once a pass, with the truth that belongs to it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fociscope.errors import RecipeError
from fociscope.files import write_images_depth
from fociscope.simulation import simulate
from fociscope.simulation.dataset import images_depth
from fociscope.training._file_scenes import FileBatches
from fociscope.training.recipe import ImagerDistribution, Optimisation, Recipe

SCENES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("data")
    write_images_depth(path / "1.mat", images_depth(simulate(SCENES, seed=5, peak_snr_db=None)))
    return path


def recipe(batch_scenes: int = 4) -> Recipe:
    told = {"shift_px": 0.0, "rotation_deg": 0.0, "background": 0.0, "peak_snr_db": (25.0, 50.0)}
    family = ImagerDistribution.model_validate(told)
    optimisation = Optimisation(steps=1, batch_scenes=batch_scenes)
    return Recipe(name="files", family=family, optimisation=optimisation)


def test_a_pass_holds_every_scene_once(folder: Path) -> None:
    batches = iter(FileBatches(recipe(), folder))
    depth = torch.cat([next(batches).depth for _ in range(SCENES // 4)]).numpy()
    truth = simulate(SCENES, seed=5, peak_snr_db=None).depth_um / 1000
    np.testing.assert_allclose(depth[:, 4:], 1.0)
    depth = depth[:, :4]
    np.testing.assert_allclose(depth[np.lexsort(depth.T)], truth[np.lexsort(truth.T)], atol=1e-6)


def test_captures_are_those_of_the_layers_with_noise_of_the_family(folder: Path) -> None:
    batch = next(iter(FileBatches(recipe(), folder)))
    share = recipe().grating.collection_efficiency()
    truth = simulate(SCENES, seed=5, peak_snr_db=None)
    found = batch.depth[:, :4].numpy()
    order = [int(np.abs(truth.depth_um / 1000 - d).sum(1).argmin()) for d in found]
    np.testing.assert_allclose(
        batch.intensity[:, :4].sum((-1, -2)), truth.layers[order].sum((-1, -2)) * share, rtol=1e-5
    )
    noise = batch.captures.sum((-1, -2)).numpy() / truth.captures[order].sum((-1, -2)) - 1
    assert 0 < np.abs(noise).max() < 0.02


def test_a_later_first_step_gives_another_order(folder: Path) -> None:
    first, later = (next(iter(FileBatches(recipe(), folder, step))) for step in (0, 7))
    assert not torch.equal(first.depth, later.depth)
    again = next(iter(FileBatches(recipe(), folder, 7)))
    assert all(torch.equal(a, b) for a, b in zip(later, again, strict=True))


def test_fewer_scenes_than_a_batch_are_refused(folder: Path) -> None:
    with pytest.raises(RecipeError, match="12 scenes"):
        FileBatches(recipe(batch_scenes=13), folder)
