"""`fociscope train`: a tiny recipe from nothing to a model that `reconstruct` takes."""

from __future__ import annotations

import pytest
from tiny_recipe import tiny_recipe

from fociscope.evaluation import card
from fociscope.training.recipe import Recipe

TINY = tiny_recipe()
#: For the reference imager, whose captures the demo has.
FOR_DEMO = tiny_recipe(
    frame_px=None, widths=(8, 16), context=16, pool_chunks=2, steps_per_chunk=2, scenes=4
)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "TEST_SCENES", 4)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_trains_calibrates_and_describes_a_model(fociscope, recipe, tmp_path):
    recipe.write_text(FOR_DEMO)
    run = tmp_path / "run"
    ran = fociscope("train", recipe, "-o", run, "--device", "cpu")
    assert ran.code == 0, ran.err
    assert (run / "curves" / "metrics.csv").is_file()
    assert "constant baseline" in (run / "card.md").read_text()
    pair = tmp_path / "demo" / "sensor_a.tif", tmp_path / "demo" / "sensor_b.tif"
    fociscope("demo", "-o", tmp_path / "demo")
    model = run / "model.safetensors"
    used = fociscope("reconstruct", *pair, "-o", tmp_path / "map", "--model", model)
    assert used.code == 0, used.err


def test_a_new_recipe_is_written_and_the_command_to_train_it_is_printed(fociscope, tmp_path):
    path = tmp_path / "my-chip.toml"
    ran = fociscope("train", "--new", path, "--from", "layers-ab")
    assert ran.code == 0, ran.err
    assert f"fociscope train {path} --from layers-ab -o runs/my-chip" in ran.out
    again = fociscope("train", "--new", path)
    assert (again.code, again.err.count("\n")) == (1, 1)


def test_trains_on_files_that_fit_the_recipe(fociscope, recipe, tmp_path):
    data, imager = tmp_path / "data", tmp_path / "chip.toml"
    Recipe.load(recipe).imager.to_toml(imager)
    ten = "--files", "1", "--samples", "10"
    made = fociscope("simulate", "images-depth", "-o", data, *ten, "--imager", imager)
    assert made.code == 0, made.err
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--data", data, "--device", "cpu")
    assert ran.code == 0, ran.err
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_files_that_do_not_fit_the_recipe_are_refused(fociscope, recipe, tmp_path):
    data = tmp_path / "data"
    fociscope("simulate", "single-layer", "-o", data, "--files", "1", "--samples", "10")
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--data", data)
    assert ran.code == 1
    assert "sensors" in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_and_never_overwritten(fociscope, recipe, tmp_path):
    run = tmp_path / "run"
    assert fociscope("train", recipe, "-o", run, "--resume").code == 1
    assert not run.exists()
    assert fociscope("train", recipe, "-o", run, "--device", "cpu").code == 0
    assert fociscope("train", recipe, "-o", run).code == 1
    curves = (run / "curves" / "metrics.csv").read_bytes()
    assert fociscope("train", recipe, "-o", run, "--resume", "--device", "cpu").code == 0
    assert (run / "curves" / "metrics.csv").read_bytes() == curves
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("steps = 4", "steps = 8", 1))
    ran = fociscope("train", other, "-o", run, "--resume")
    assert ran.code == 1
    assert "another recipe" in ran.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not a TOML file"),
        ('name = "x"\n', "optimisation"),
        (TINY + "[seeds]\ntest = 101\n", "different seeds"),
        (TINY.replace("widths", "breadths"), "breadths"),
    ],
)
def test_a_bad_recipe_is_one_line(fociscope, tmp_path, text, says):
    (tmp_path / "bad.toml").write_text(text)
    ran = fociscope("train", tmp_path / "bad.toml", "-o", tmp_path / "run")
    assert ran.code == 1
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
