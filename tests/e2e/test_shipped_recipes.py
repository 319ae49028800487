"""Each shipped model can be trained again from the package alone: its recipe, with few steps.

It takes minutes: `pytest -m slow tests/e2e/test_shipped_recipes.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import fociscope
from fociscope.evaluation import card, volume_card, volumes
from fociscope.networks import read_volume_model
from fociscope.networks.store import read_model
from fociscope.training.recipe import Recipe, shipped_recipes

FEW = {
    "stream": {"pool_chunks": 1, "chunk_scenes": 4, "steps_per_chunk": 1},
    "optimisation": {
        "steps": 2,
        "warmup_steps": 1,
        "batch_scenes": 4,
        "compiled": False,
        "precision": "32-true",
    },
    "validation": {"every_steps": 2, "scenes": 2, "mixture_scenes": 2},
    "calibration": {"scenes": 20, "family_scenes": 40, "psf_width_scenes": 20},
}


def with_few_steps(recipe: Recipe) -> Recipe:
    """Return a recipe whose stages differ as before, but in how long they take."""
    values = recipe.model_dump(mode="json", exclude_unset=True)
    for part, few in FEW.items():
        values[part] = values.get(part, {}) | few
    for stage in values.get("stages", []):
        for part, few in FEW.items():
            if part in stage:
                stage[part] = stage[part] | few
    return Recipe.model_validate(values)


OF_LAYERS = [name for name in shipped_recipes() if Recipe.load(name).volume is None]
BEGUN_FROM = {"volume-ab": "layers-ab", "volume-a": "volume-ab"}
OF_VOLUMES = [name for name in shipped_recipes() if Recipe.load(name).volume is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_LAYERS)
def test_all_stages_run_from_random_weights(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card, "TEST_SCENES", 2)
    recipe = Recipe.load(name)
    few = with_few_steps(recipe)

    trained = fociscope.train(few, tmp_path / "run", device="cpu")

    assert trained is not None
    stages = sorted(path.name for path in (tmp_path / "run" / "stages").iterdir())
    assert [stage.split("-", 1)[1].replace("-", " ") for stage in stages] == [
        stage.name for stage in recipe.stages
    ]
    _, info = read_model(trained.model)
    assert info.architecture == recipe.network
    assert info.name == name
    text = trained.card.read_text(encoding="utf-8")
    assert "the first one from random weights" in text
    assert "hours" in text
    for stage in recipe.stages:
        assert f"| {stage.name} | at most 2 |" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_VOLUMES)
def test_a_recipe_for_volumes_runs_from_a_shipped_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume_card, "CARD_SCENES", 2)
    monkeypatch.setattr(volume_card, "FITTED_SCENES", 2)
    monkeypatch.setattr(volume_card, "SAMPLED_SCENES", 2)
    monkeypatch.setattr(volumes, "FITTED_SCENES", 2)
    few = with_few_steps(Recipe.load(name))

    trained = fociscope.train(few, tmp_path / "run", start_from=BEGUN_FROM[name], device="cpu")

    assert trained is not None
    _, info = read_volume_model(trained.model)
    assert info.name == name
    assert "richardson-lucy" in trained.card.read_text(encoding="utf-8")
