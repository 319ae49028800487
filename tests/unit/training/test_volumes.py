"""Training on volumes: the stream of scenes, the loss, and the calibration of probabilities."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fociscope.errors import RecipeError
from fociscope.networks.volume_net import VolumeNetOutput
from fociscope.training import ComputeSettings, Recipe, train
from fociscope.training._volume_module import VolumeTrainingModule, volume_loss
from fociscope.training._volume_scenes import LiveVolumes, volume_validation_loader
from fociscope.training.volume_export import fit_logits


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "imager": {"frame_px": (36, 36), "gap_um": 600.0},
            "network": {"patch_px": 1, "widths": (4, 8), "blocks": (1, 1), "context": 8},
            "volume": {"slices": 6, "specimen": {"kind": "foci-in-depth"}},
            "optimisation": {"steps": 2, "batch_scenes": 3, "threads": 1},
            "stream": {"pool_chunks": 1, "chunk_scenes": 2},
            "validation": {"scenes": 2, "layers": 1, "min_separation_um": 0.0},
            "scenes": {"min_separation_um": (50.0, 50.0)},
        }
    )


def test_a_chunk_is_a_function_of_its_number(recipe):
    one, other = (LiveVolumes(recipe).chunk(3) for _ in range(2))
    next_one = LiveVolumes(recipe).chunk(4)
    torch.testing.assert_close(one.captures, other.captures)
    assert not torch.equal(one.captures, next_one.captures)
    assert one.mask.shape == one.light.shape == (2, 6, 36, 36)
    assert one.mask.dtype == torch.bool


def test_a_batch_is_a_function_of_its_step(recipe):
    stream = LiveVolumes(recipe)
    pool = [stream.chunk(0)]
    one, other, later = (stream.batch(pool, step) for step in (5, 5, 6))
    torch.testing.assert_close(one.captures, other.captures)
    assert not torch.equal(one.captures, later.captures)
    assert one.captures.shape == (3, 2, 36, 36) and one.optics.shape == (3, 16)


def test_masks_turn_with_their_captures(recipe):
    """Truth and captures of a batch are of one orientation: a nearby focus shows in sensor A."""
    stream = LiveVolumes(recipe)
    batch = stream.batch([stream.chunk(0)], 1)
    light, seen = batch.light.sum(dim=1), batch.captures[:, 0]
    turned = light.transpose(-2, -1)

    def likeness(a, b):
        a, b = (x - x.mean(dim=(-2, -1), keepdim=True) for x in (a, b))
        return float((a * b).sum() / (a.norm() * b.norm()))

    assert likeness(light, seen) > likeness(turned, seen)


def test_validation_is_scored_and_finite(recipe):
    module = VolumeTrainingModule(recipe)
    (fields,) = list(volume_validation_loader(recipe))
    terms, output = module.losses(module.batch(fields))
    assert output.logit.shape == (2, 6, 36, 36)
    assert all(bool(torch.isfinite(term)) for term in terms.values())


def test_files_of_layers_are_refused(recipe, tmp_path):
    with pytest.raises(RecipeError, match="files hold layers"):
        train(recipe, tmp_path / "run", data=tmp_path, compute=ComputeSettings("cpu"))
    assert not (tmp_path / "run").exists()


def test_sensor_a_alone_trains_too(recipe):
    values = recipe.model_dump(mode="json", exclude_unset=True)
    values["imager"]["sensors"] = values["network"]["sensors"] = 1
    alone = Recipe.model_validate(values)
    stream, module = LiveVolumes(alone), VolumeTrainingModule(alone)
    batch = stream.batch([stream.chunk(0)], 1)
    terms, _ = module.losses(batch)
    assert batch.captures.shape == (3, 1, 36, 36)
    assert bool(torch.isfinite(terms["loss"]))


def test_loss_is_that_of_its_formula():
    torch.manual_seed(0)
    logit, root = torch.randn(2, 4, 5, 5), torch.rand(2, 4, 5, 5)
    mask, light = (torch.rand(2, 4, 5, 5) > 0.7).float(), torch.rand(2, 4, 5, 5) / 8
    terms = volume_loss(VolumeNetOutput(logit, root), mask, light, intensity_weight=0.3)
    cells = 4 * F.binary_cross_entropy_with_logits(logit, mask)
    error = 4 * (root - light.sqrt()).square().mean()
    torch.testing.assert_close(terms["loss"], cells + 0.3 * error)


def test_calibration_finds_how_logits_are_off():
    rng = np.random.default_rng(0)
    true = torch.from_numpy(rng.normal(-1, 2, 200_000))
    mask = torch.rand(true.shape, generator=torch.Generator().manual_seed(0)) < true.sigmoid()
    scale, shift = fit_logits((true - 0.7) / 1.6, mask)
    assert scale == pytest.approx(1.6, rel=0.03)
    assert shift == pytest.approx(0.7, abs=0.03)
