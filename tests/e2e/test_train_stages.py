"""A recipe with stages: trained one after the other, and resumed in any of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fociscope.errors import OutputExistsError, RecipeError
from fociscope.evaluation import card
from fociscope.training import run
from fociscope.training._checkpoint import network_weights, read_checkpoint
from fociscope.training.hardware import ComputeSettings
from fociscope.training.recipe import Recipe
from fociscope.training.run import TrainingOutcome, train

STAGED = """
name = "tiny"
[imager]
frame_px = [32, 32]
[network]
widths = [4, 8]
blocks = [1, 1]
context = 8
[optimisation]
steps = 4
batch_scenes = 4
warmup_steps = 1
threads = 1
[stream]
pool_chunks = 1
chunk_scenes = 4
[calibration]
scenes = 20
family_scenes = 64
psf_width_scenes = 64
[validation]
every_steps = 2
scenes = 4

[[stages]]
name = "wide"

[[stages]]
name = "in focus"
[stages.family.focus]
share = 0.7
[stages.optimisation]
steps = 6
learning_rate = 1e-3
[stages.seeds]
training = 102
"""
FIRST, SECOND = "stages/1-wide", "stages/2-in-focus"
CPU = ComputeSettings("cpu")
#: Kills itself in the second stage, after its first validation.
KILLED = """
import os, signal
from fociscope.cli import main
from fociscope.training import run
from fociscope.training._module import TrainingModule
run._LOG_EVERY_STEPS = 3
step = TrainingModule.training_step
def training_step(self, batch, number):
    if self.recipe.family.focus is not None and self.global_step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number)
TrainingModule.training_step = training_step
main()
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "_LOG_EVERY_STEPS", 3)
    monkeypatch.setattr(card, "TEST_SCENES", 4)
    path = tmp_path / "tiny.toml"
    path.write_text(STAGED)
    return path


def leaves(value: object, where: str = "") -> dict[str, object]:
    """The leaves of a checkpoint, without the clock."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {where: value}
    parts = (leaves(part, f"{where}/{key}") for key, part in value.items() if key != run.SECONDS)
    return {k: v for part in parts for k, v in part.items()}


def assert_same_run(ours: Path, theirs: Path) -> None:
    names = [p.relative_to(ours) for p in sorted(ours.rglob("*")) if p.is_file()]
    assert names == [p.relative_to(theirs) for p in sorted(theirs.rglob("*")) if p.is_file()]
    for name in names:
        if name.suffix != ".ckpt":
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
            continue
        one, other = (leaves(read_checkpoint(folder / name)) for folder in (ours, theirs))
        assert one.keys() == other.keys()
        for key, value in one.items():
            same = torch.equal(value, other[key]) if isinstance(value, Tensor) else None
            assert value == other[key] if same is None else same, f"{name} {key}"


def test_killed_in_a_later_stage_and_resumed_a_run_ends_as_an_uninterrupted_one(
    recipe: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, "train", recipe, "-o", killed, "--device", "cpu"]
    ran = subprocess.run([str(part) for part in command], check=False, capture_output=True)
    assert ran.returncode == -signal.SIGKILL
    assert read_checkpoint(killed / SECOND / "checkpoints" / "last.ckpt")["global_step"] == 2
    plan = Recipe.load(recipe)
    train(plan, whole, compute=CPU)
    train(plan, killed, compute=CPU, resume=True)
    assert_same_run(killed, whole)


def test_a_run_that_ended_between_two_stages_goes_on_with_the_next(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    plan = Recipe.load(recipe)
    train_stage = run._train_stage

    def first_alone(stage: run._Stage, *more: object, **options: object) -> object:
        if stage.number == 2:
            raise KeyboardInterrupt
        return train_stage(stage, *more, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(run, "_train_stage", first_alone)
        with pytest.raises(KeyboardInterrupt):
            train(plan, stopped, compute=CPU)
    assert not (stopped / SECOND).exists()
    train(plan, whole, compute=CPU)
    train(plan, stopped, compute=CPU, resume=True)
    assert_same_run(stopped, whole)


def test_a_stage_starts_from_the_best_weights_of_the_one_before(
    recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(STAGED.replace("learning_rate = 1e-3", "learning_rate = 1e-9"))
    outcome = train(Recipe.load(recipe), tmp_path / "run", compute=CPU)
    first, second = (network_weights(read_checkpoint(stage.best)) for stage in outcome.stages)
    for name, weights in second.items():
        if "running" not in name and "num_batches" not in name:  # what batches alone change
            torch.testing.assert_close(weights, first[name], rtol=0, atol=1e-6)


def test_each_stage_has_a_folder_and_is_named_in_progress_and_card(
    fociscope, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    ran = fociscope("train", recipe, "-o", out, "--device", "cpu")
    assert ran.code == 0, ran.err
    lines = [line for line in ran.err.splitlines() if ": step " not in line]
    assert lines[:4] == [
        "stage 1 of 2, wide: first scenes: 8 scenes",
        "stage 1 of 2, wide: 4 steps",
        "stage 2 of 2, in focus: first scenes: 8 scenes",
        "stage 2 of 2, in focus: 6 steps",
    ]
    export = [
        "normalisation",
        "PSF width",
        "limits",
        "calibration",
        "map quality",
        "foci",
        "card",
    ]
    assert [line.split(": ")[:2] for line in lines[4:]] == [["export", name] for name in export]
    validations = [line for line in ran.err.splitlines() if ": step " in line]
    assert len(validations) == 2 + 3
    assert validations[0].startswith("stage 1 of 2, wide: step 2 of 4, ")
    for stage in (FIRST, SECOND):
        for name in ("recipe.toml", "start.json", "curves/metrics.csv", "checkpoints/best.ckpt"):
            assert (out / stage / name).is_file(), (stage, name)
    assert Recipe.load(out / "recipe.toml").stages == Recipe.load(recipe).stages
    text = (out / "card.md").read_text()
    assert "2 stages" in text
    assert "| wide | at most 4 | 4 | 0.002 | 101 |" in text
    assert "| in focus | at most 6 | 4 | 0.001 | 102 |" in text
    assert "70 % of them" in text  # the last stage's scenes are described
    again = fociscope("train", recipe, "-o", out, "--resume", "--device", "cpu")
    assert again.code == 0, again.err
    assert "stage " not in again.err  # nothing is left to train


def test_another_run_is_neither_overwritten_nor_resumed(recipe: Path, tmp_path: Path) -> None:
    plan, out = Recipe.load(recipe), tmp_path / "run"
    with pytest.raises(RecipeError, match="cannot be resumed"):
        train(plan, out, compute=CPU, resume=True)
    assert not out.exists()
    outcome = train(plan, out, compute=CPU)
    assert isinstance(outcome, TrainingOutcome)
    assert [stage.steps for stage in outcome.stages] == [4, 6]
    with pytest.raises(OutputExistsError) as caught:
        train(plan, out, compute=CPU)
    assert caught.value.fields == ("resume",)
    recipe.write_text(STAGED.replace("steps = 6", "steps = 8"))
    with pytest.raises(RecipeError, match="another recipe"):
        train(Recipe.load(recipe), out, compute=CPU, resume=True)
