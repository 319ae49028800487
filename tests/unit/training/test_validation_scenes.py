"""The scenes that the best weights are chosen by: reference conditions, and all specimens."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.simulation import PerlinFoci, SingleCells
from fociscope.training._batches import reference_scenes, validation_loader
from fociscope.training.recipe import Recipe

FULL, EMPTY = {"coverage": [1.0, 1.0]}, {"coverage": [0.0, 0.0]}


def recipe(**validation: int) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "mixed",
            "optimisation": {"steps": 1},
            "scenes": {"specimen": FULL, "others": [{"share": 0.5, "specimen": EMPTY}]},
            "validation": {"scenes": 12, **validation},
        }
    )


def masks(recipe: Recipe) -> np.ndarray:
    """(scene,) share of the first four layers that is tumour."""
    batches = [batch[3] for batch in validation_loader(recipe)]
    return np.concatenate([mask[:, :4].mean((1, 2, 3)).numpy() for mask in batches])


def test_without_a_mixture_all_scenes_are_of_the_usual_specimen() -> None:
    assert masks(recipe()).tolist() == [1.0] * 12


def test_scenes_of_all_specimens_come_besides_in_their_shares() -> None:
    shares = masks(recipe(mixture_scenes=40))
    assert len(shares) == 52
    assert shares.min() == 0.0
    # 12 usual ones, and about half of the 40 others.
    assert 12 + 10 <= (shares == 1).sum() <= 12 + 30


def test_the_mixture_of_a_recipe_has_the_usual_specimen_and_the_others() -> None:
    scenes = Recipe.model_validate(
        {
            "name": "mixed",
            "optimisation": {"steps": 1},
            "scenes": {"others": [{"share": 0.3, "specimen": {"kind": "single-cells"}}]},
        }
    ).scenes
    assert [(part.share, part.specimen) for part in scenes.mixture.parts] == [
        (pytest.approx(0.7), PerlinFoci()),
        (0.3, SingleCells()),
    ]


def test_the_usual_specimen_may_have_no_share_left() -> None:
    whole = {"others": [{"share": 1.0, "specimen": {"kind": "single-cells"}}]}
    scenes = Recipe.model_validate(
        {"name": "other", "optimisation": {"steps": 1}, "scenes": whole}
    ).scenes
    assert [part.specimen.kind for part in scenes.mixture.parts] == ["single-cells"]


def test_reference_scenes_keep_their_conditions_with_another_specimen() -> None:
    scenes = reference_scenes(recipe(), 2, seed=3, specimen=SingleCells(cells_per_mm2=50))
    assert scenes.captures.shape == (2, 2, 51, 51)
    assert 0 < scenes.mask.mean() < 0.3
