"""`fociscope train`: from the weights of a model, with an early end, in mixed precision."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from tiny_recipe import tiny_recipe

from fociscope.evaluation import card
from fociscope.files.safe.checksum import sha256
from fociscope.networks.store import read_model
from fociscope.training._checkpoint import BestAndLastCheckpoint, read_checkpoint
from fociscope.training.hardware import ComputeSettings
from fociscope.training.recipe import Recipe
from fociscope.training.run import train

TINY = tiny_recipe()
CPU = ComputeSettings("cpu")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(card, "TEST_SCENES", 4)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


# --- from the weights of a model ----------------------------------------------------------------


def test_fine_tuning_starts_from_the_weights_and_says_so(fociscope, recipe, tmp_path):
    first, tuned = tmp_path / "first", tmp_path / "tuned"
    assert fociscope("train", recipe, "-o", first, "--device", "cpu").code == 0
    model = first / "model.safetensors"
    slow = tmp_path / "slow.toml"
    slow.write_text(TINY.replace("warmup_steps = 1", "warmup_steps = 1\nlearning_rate = 1e-9"))
    command = "train", slow, "-o", tuned, "--device", "cpu"
    ran = fociscope(*command, "--from", model)
    assert ran.code == 0, ran.err
    began = json.loads((tuned / "start.json").read_text())
    assert began["model"] == {"name": "tiny", "sha256": sha256(model)}
    assert str(tmp_path) not in (tuned / "start.json").read_text()
    before, after = (read_model(run / "model.safetensors")[0] for run in (first, tuned))
    before.psf_width = after.psf_width = None  # fitted anew, to the network as it is in the end
    for ours, theirs in zip(after.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    steps = {float(s["step"]) for s in states(tuned)}
    assert steps == {4.0}  # the optimiser has begun anew

    assert fociscope(*command, "--resume").code == 0
    assert fociscope(*command, "--resume", "--from", model).code == 0
    other = fociscope(*command, "--resume", "--from", tuned / "model.safetensors")
    assert (other.code, other.err.count("\n")) == (1, 1)
    assert "started from another tiny" in other.err


def states(run: Path) -> list[dict[str, torch.Tensor]]:
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    return list(checkpoint["optimizer_states"][0]["state"].values())


def test_another_network_is_refused(fociscope, recipe, tmp_path):
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--from", "layers-ab")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "widths = " in ran.err
    assert "(recipe: [4, 8])" in ran.err
    assert not (tmp_path / "run").exists()


# --- an early end -------------------------------------------------------------------------------


def test_training_stops_after_validations_without_a_better_one(
    fociscope, recipe, tmp_path, monkeypatch
):
    scores = BestAndLastCheckpoint.on_validation_end

    def no_better(self, trainer, module):
        trainer.callback_metrics["val/accuracy"] = torch.tensor(0.5)
        scores(self, trainer, module)

    monkeypatch.setattr(BestAndLastCheckpoint, "on_validation_end", no_better)
    text = TINY.replace("steps = 4", "steps = 20", 1).replace(
        "every_steps", "patience = 2\nevery_steps"
    )
    recipe.write_text(text)
    run = tmp_path / "run"
    for more in ([], ["--resume"]):  # the second has nothing left to do
        ran = fociscope("train", recipe, "-o", run, "--device", "cpu", *more)
        assert ran.code == 0, ran.err
        assert "stopped early at step 6 of 20" in ran.err
        assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == 6
    assert read_checkpoint(run / "checkpoints" / "best.ckpt")["global_step"] == 2


def test_a_run_that_is_moved_goes_on(recipe, tmp_path):
    plan = Recipe.load(recipe)
    there = tmp_path / "there"
    whole = train(plan, tmp_path / "here", compute=CPU)
    whole.best.parent.parent.rename(there)
    again = train(plan, there, compute=CPU, resume=True)
    assert (again.steps, again.stopped_early) == (4, False)
    assert again.best == there / "checkpoints" / "best.ckpt"


# --- precision ----------------------------------------------------------------------------------


def test_mixed_precision_keeps_the_weights_in_32_bits(recipe, tmp_path):
    recipe.write_text(TINY.replace("threads = 1", 'threads = 1\nprecision = "bf16-mixed"'))
    run = train(Recipe.load(recipe), tmp_path / "mixed", compute=CPU)
    recipe.write_text(TINY)
    full = train(Recipe.load(recipe), tmp_path / "full", compute=CPU)
    mixed_weights, weights = (read_checkpoint(r.best)["state_dict"] for r in (run, full))
    assert all(w.dtype in (torch.float32, torch.int64) for w in mixed_weights.values())
    assert any(not torch.equal(mixed_weights[name], w) for name, w in weights.items())
    accuracy = []
    for folder in ("mixed", "full"):
        with (tmp_path / folder / "curves" / "metrics.csv").open() as stream:
            accuracy.append(float(next(csv.DictReader(stream))["val/loss"]))
    assert accuracy[0] == pytest.approx(accuracy[1], rel=0.05)
