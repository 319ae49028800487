"""`fociscope train --devices 2`: two processes on the CPU do what one does with both batches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_recipe import tiny_recipe
from torch import Tensor

from fociscope.training._batches import validation_loader
from fociscope.training._checkpoint import read_checkpoint
from fociscope.training._module import TrainingModule
from fociscope.training.live_scenes import LiveScenes, TrainingBatch
from fociscope.training.recipe import Recipe

TINY = tiny_recipe(steps=6, warmup_steps=2, pool_chunks=2, steps_per_chunk=3, scenes=5)
#: The command, with less to simulate after training. Each process runs this file.
COMMAND = """
import os, signal
from fociscope.cli import main
from fociscope.evaluation import card
from fociscope.training import export
from fociscope.training._module import TrainingModule
card.TEST_SCENES, export.NORMALISATION_BATCHES = 4, 2
{}
if __name__ == "__main__":
    main()
"""
NAN_IN_ONE = """
losses = TrainingModule.losses
def spoiled(self, batch):
    terms, output = losses(self, batch)
    nan = float("nan") if self.trainer.global_rank == 1 and self.global_step == 3 else 1.0
    return {key: value * nan for key, value in terms.items()}, output
TrainingModule.losses = spoiled
"""
KILLED = """
step = TrainingModule.training_step
def training_step(self, batch, number):
    if self.trainer.is_global_zero and self.global_step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number)
TrainingModule.training_step = training_step
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def run(recipe: Path, out: Path, *more: str, spoil: str = "") -> subprocess.CompletedProcess[str]:
    script = recipe.with_name("command.py")
    script.write_text(COMMAND.format(spoil))
    arguments = [recipe, "-o", out, "--device", "cpu", "--devices", 2, *more]
    command = [sys.executable, str(script), "train", *map(str, arguments)]
    launched = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
    environment = {k: v for k, v in os.environ.items() if k not in launched} | {"COLUMNS": "200"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def by_one_process(plan: Recipe) -> tuple[TrainingModule, torch.optim.Optimizer]:
    """Train on the mean gradient of the two batches; running statistics are those of rank 0."""
    module = TrainingModule(plan)
    optimisers = module.configure_optimizers()
    optimizer, scheduler = optimisers["optimizer"], optimisers["lr_scheduler"]["scheduler"]
    streams = [iter(LiveScenes(plan, rank=rank, world_size=2)) for rank in (0, 1)]
    for _ in range(plan.optimisation.steps):
        optimizer.zero_grad()
        before = {name: buffer.clone() for name, buffer in module.named_buffers()}
        for stream in reversed(streams):
            module.load_state_dict(before, strict=False)
            loss = module.losses(next(stream))[0]["loss"]
            (loss / 2).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), plan.optimisation.gradient_clip)
        optimizer.step()
        scheduler.step()
    return module, optimizer


def test_two_processes_do_what_one_does_with_both_batches(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ran = run(recipe, out)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("Written:") == 1
    assert sorted(entry.name for entry in out.iterdir()) == [
        *("card.md", "checkpoints", "curves", "model.safetensors", "recipe.json", "recipe.toml"),
        "start.json",
    ]
    plan = Recipe.load(recipe)
    torch.set_num_threads(1)
    module, optimizer = by_one_process(plan)
    state = read_checkpoint(out / "checkpoints" / "last.ckpt")
    moments = state["optimizer_states"][0]["state"]
    for number, theirs in optimizer.state_dict()["state"].items():
        torch.testing.assert_close(
            moments[number]["exp_avg"], theirs["exp_avg"], rtol=1e-3, atol=1e-5
        )
    for name, theirs in module.state_dict().items():
        ours = state["current_model_state"][name]
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)

    # The score is that of all scenes, although one process has three of them, the other two.
    module.load_state_dict(state["state_dict"])
    module.eval()
    ((batch),) = validation_loader(plan)
    scenes = TrainingBatch(*batch)
    with torch.inference_mode():
        said = module.losses(scenes)[1]
        present = said.presence_logit.cummin(dim=1).values >= 0
        found = (said.logit > 0) & present[..., None, None]
        right = (found == (scenes.mask > 0.5))[:, : int(scenes.layers[0])]
    last = (out / "curves" / "metrics.csv").read_text().splitlines()
    figures = dict(zip(last[0].split(","), last[-1].split(","), strict=True))
    assert float(figures["val/accuracy"]) == pytest.approx(float(right.float().mean()), abs=1e-4)


def test_a_loss_of_nan_in_one_process_ends_all_in_one_line(recipe: Path, tmp_path: Path) -> None:
    ran = run(recipe, tmp_path / "run", spoil=NAN_IN_ONE)
    assert ran.returncode == 1, ran.stderr
    *progress, line = ran.stderr.splitlines()
    assert all(before.startswith("training: ") for before in progress), ran.stderr
    assert "NaN" in line
    assert "step 3" in line


@pytest.mark.slow
def test_killed_and_resumed_two_processes_end_where_they_would_have(
    recipe: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(recipe, whole).returncode == 0
    assert run(recipe, killed, spoil=KILLED).returncode == -signal.SIGKILL
    assert read_checkpoint(killed / "checkpoints" / "last.ckpt")["global_step"] == 4
    ran = run(recipe, killed, "--resume")
    assert ran.returncode == 0, ran.stderr
    curves = [(folder / "curves" / "metrics.csv").read_text() for folder in (whole, killed)]
    assert curves[0] == curves[1]
    for key in ("state_dict", "current_model_state"):
        one, other = (
            read_checkpoint(f / "checkpoints" / "last.ckpt")[key] for f in (whole, killed)
        )
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert isinstance(value, Tensor)
            assert torch.equal(value, other[name]), name
