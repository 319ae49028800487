"""Kinds of specimens that are for tests alone are in no shipped recipe and not in any-tissue."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import pytest

from fociscope.evaluation.generalisation import HELD_OUT_KINDS
from fociscope.simulation import (
    SPECIMEN_KINDS,
    AnyTissue,
    Mixture,
    MixturePart,
    Rings,
    Specimen,
    Varied,
)
from fociscope.training import Recipe

RECIPES = sorted(
    file.name.removesuffix(".toml")
    for file in resources.files("fociscope.training").joinpath("recipes").iterdir()
    if file.name.endswith(".toml")
)


def kinds(specimen: Specimen) -> Iterator[str]:
    """Yield the kind of a specimen, and those of all that are in it."""
    yield specimen.kind
    if isinstance(specimen, Varied):
        yield from kinds(specimen.specimen)
    if isinstance(specimen, Mixture):
        for part in specimen.parts:
            yield from kinds(part.specimen)


def test_they_are_kinds_of_specimens() -> None:
    assert set(HELD_OUT_KINDS) < set(SPECIMEN_KINDS)
    assert len(set(HELD_OUT_KINDS)) == len(HELD_OUT_KINDS) == 7


def test_any_tissue_has_none_of_them() -> None:
    assert not set(HELD_OUT_KINDS) & set(kinds(AnyTissue()))


@pytest.mark.parametrize("name", RECIPES)
def test_no_stage_of_a_shipped_recipe_trains_on_one(name: str) -> None:
    stages = Recipe.load(name).stage_recipes()
    trained = {kind for stage in stages for kind in kinds(stage.scenes.mixture)}
    if Recipe.load(name).volume is None:  # volumes have specimens of their own
        assert "any-tissue" in trained
    assert not set(HELD_OUT_KINDS) & trained


def test_a_kind_within_a_mixture_is_found() -> None:
    inner = Mixture(parts=(MixturePart(share=1, specimen=Varied(specimen=Rings())),))
    outer = Mixture(parts=(MixturePart(share=1, specimen=inner),))
    assert "rings" in set(kinds(outer))
