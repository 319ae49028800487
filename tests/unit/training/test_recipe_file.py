"""Files of recipes: what a run keeps, and a new one to begin with."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fociscope.errors import ImagerError, OutputExistsError, RecipeError
from fociscope.files.safe.records import write_record
from fociscope.imager import Imager
from fociscope.networks import find_model, read_model
from fociscope.simulation import AnyTissue, Nuclei
from fociscope.training import new_recipe
from fociscope.training.hardware import ComputeSettings
from fociscope.training.recipe import RECIPE_FILE, Recipe, shipped_recipes
from fociscope.training.recipe_file import recipe_toml
from fociscope.training.run import WHOLE_RECIPE, _refuse_another_recipe, train
from fociscope.training.run import _write_recipe_files as write_recipe_files

#: Sections that let any recipe train in a second.
TINY: dict[str, dict[str, Any]] = {
    "network": {"widths": (4, 8), "blocks": (1, 1), "context": 8},
    "stream": {"pool_chunks": 1, "chunk_scenes": 4},
    "optimisation": {"steps": 2, "batch_scenes": 2, "warmup_steps": 1},
    "validation": {"every_steps": 2, "scenes": 2},
}


def with_sections(recipe: Recipe, sections: dict[str, dict[str, Any]]) -> Recipe:
    whole = recipe.model_dump()
    return Recipe.model_validate(
        {**dict(recipe), **{name: whole[name] | changes for name, changes in sections.items()}}
    )


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_is_written_short_and_read_back_equal(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    shipped = Recipe.load(name)
    for recipe in (shipped, *shipped.stage_recipes()):
        text = recipe_toml(recipe)
        path.write_text(text)
        assert Recipe.load(path) == recipe
        assert len(text.splitlines()) < 200


def test_a_kind_with_its_own_parts_is_its_name() -> None:
    others = [
        {"share": 0.2, "specimen": AnyTissue()},
        {"share": 0.1, "specimen": AnyTissue(per_layer=0.75)},
        {"share": 0.1, "specimen": Nuclei(irregularity=0.4)},
    ]
    values = {"name": "mine", "scenes": {"others": others}, "optimisation": {"steps": 5}}
    assert tomllib.loads(recipe_toml(Recipe.model_validate(values))) == {
        "name": "mine",
        "scenes": {
            "others": [
                {"share": 0.2, "specimen": {"kind": "any-tissue"}},
                {"share": 0.1, "specimen": {"kind": "any-tissue", "per_layer": 0.75}},
                {"share": 0.1, "specimen": {"kind": "nuclei", "irregularity": 0.4}},
            ]
        },
        "optimisation": {"steps": 5},
    }


def test_a_run_of_other_defaults_is_not_resumed(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"name": "mine", "optimisation": {"steps": 5}})
    write_recipe_files(recipe, tmp_path)
    _refuse_another_recipe(recipe, tmp_path)
    whole = json.loads((tmp_path / WHOLE_RECIPE).read_text())
    whole["optimisation"]["weight_decay"] = 0.125  # as if it had been the default
    write_record(tmp_path / WHOLE_RECIPE, whole, overwrite=True)
    with pytest.raises(RecipeError, match="other defaults"):
        _refuse_another_recipe(recipe, tmp_path)
    (tmp_path / WHOLE_RECIPE).unlink()  # as in a run of an earlier version
    _refuse_another_recipe(recipe, tmp_path)
    assert Recipe.load(tmp_path / RECIPE_FILE) == recipe


# --- new recipes --------------------------------------------------------------------------------


def test_a_new_recipe_trains(tmp_path: Path) -> None:
    chip = Imager(name="chip", frame_px=(32, 32), sensors=1, gap_um=700.0, pixel_pitch_um=40.0)
    chip.to_toml(tmp_path / "cal.toml")
    path = tmp_path / "recipes" / "My chip.toml"
    recipe = new_recipe(path, imager=tmp_path / "cal.toml")
    assert recipe == Recipe.load(path)
    assert (recipe.name, recipe.network.sensors, recipe.imager) == ("my-chip", 1, chip)
    tiny = with_sections(recipe, TINY)
    outcome = train(tiny, tmp_path / "run", compute=ComputeSettings("cpu"))
    assert outcome.steps == 2


def test_a_new_recipe_to_fine_tune_has_the_model_s_network(tmp_path: Path) -> None:
    recipe = new_recipe(tmp_path / "tune.toml", start_from="layers-ab")
    about = read_model(find_model("layers-ab"))[1]
    assert recipe.network == about.architecture
    assert recipe.validation.layers == about.layers
    assert recipe.optimisation.learning_rate == pytest.approx(2e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gap_um": 300.0},
        {"boundary": "reflect", "gap_um": 5000.0},
        {"pixel_pitch_um": 5.0, "sensors": 1},
    ],
)
def test_a_new_recipe_fits_any_imager(changes: dict[str, Any], tmp_path: Path) -> None:
    chip = Imager(**changes)
    chip.to_toml(tmp_path / "cal.toml")
    assert new_recipe(tmp_path / "mine.toml", imager=tmp_path / "cal.toml").imager == chip


def test_a_new_recipe_replaces_nothing_and_is_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("mine")
    with pytest.raises(OutputExistsError, match="never replaced"):
        new_recipe(path)
    assert path.read_text() == "mine"
    with pytest.raises(RecipeError, match=r"\.toml"):
        new_recipe(tmp_path / "mine.txt")
    with pytest.raises(RecipeError, match="sensor A alone"):
        new_recipe(tmp_path / "other.toml", start_from="layers-a")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.toml"]


def test_a_recipe_names_an_imager_of_the_package(tmp_path: Path) -> None:
    recipe = new_recipe(tmp_path / "mine.toml", imager="published")
    assert recipe.imager == Imager.preset("published")
    assert 'imager = "published"' in (tmp_path / "mine.toml").read_text(encoding="utf-8")
    with pytest.raises(ImagerError, match="square pixels"):
        new_recipe(tmp_path / "oblong.toml", imager="sibling-36x80")
