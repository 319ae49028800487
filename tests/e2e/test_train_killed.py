"""`fociscope train`, killed with SIGKILL: `--resume` ends where it would have ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_recipe import tiny_recipe
from torch import Tensor

from fociscope.errors import RecipeError
from fociscope.files import write_images_depth
from fociscope.simulation import simulate
from fociscope.simulation.dataset import images_depth
from fociscope.training import _checkpoint, run
from fociscope.training._checkpoint import read_checkpoint
from fociscope.training.hardware import ComputeSettings
from fociscope.training.recipe import Recipe
from fociscope.training.run import train

TINY = tiny_recipe(
    steps=12, warmup_steps=2, pool_chunks=2, steps_per_chunk=3, every_steps=4, scenes=4
)

#: The smallest there is.
ONE_SENSOR = {
    "name": "tiny",
    "imager": {"frame_px": (32, 32), "sensors": 1},
    "network": {"sensors": 1, "layers": 1, "widths": (4, 8), "blocks": (1, 1)},
    "family": {"half_angle_deg": (18, 18), "base_blur_px": (0, 0)},
    "optimisation": {"steps": 2, "batch_scenes": 2, "threads": 1},
    "stream": {"pool_chunks": 1, "chunk_scenes": 8},
    "validation": {"scenes": 2, "layers": 1, "min_separation_um": 0, "every_steps": 1},
}

#: Kills itself before the step after the second validation.
BETWEEN = """
step = TrainingModule.training_step
def training_step(self, batch, number):
    if self.global_step == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number)
TrainingModule.training_step = training_step
"""
#: Kills itself when half of the third `last.ckpt` is on the disk.
WITHIN = """
write, written = Path.write_bytes, []
def write_bytes(self, data):
    written.extend([self] * self.name.startswith(".last"))
    if len(written) == 3:
        write(self, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, data)
Path.write_bytes = write_bytes
"""
START = """
import os, signal
from pathlib import Path
from fociscope.cli import main
from fociscope.training import run
from fociscope.training._module import TrainingModule
run._LOG_EVERY_STEPS = 3
"""


def flat(value: object, where: str = "") -> dict[str, object]:
    """The leaves of a checkpoint."""
    if isinstance(value, dict):
        return {
            k: v for key, part in value.items() for k, v in flat(part, f"{where}/{key}").items()
        }
    if isinstance(value, list | tuple):
        return flat(dict(enumerate(value)), where)
    return {where: value}


def same(ours: Path, theirs: Path) -> None:
    one, other = flat(read_checkpoint(ours)), flat(read_checkpoint(theirs))
    assert one.keys() == other.keys()
    assert one.pop("/seconds") > 0  # what the clock says is another thing each time
    for key, value in one.items():
        equal = torch.equal(value, other[key]) if isinstance(value, Tensor) else value == other[key]
        assert equal, key


@pytest.fixture(scope="module")
def smallest(tmp_path_factory) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("smallest") / "run"
    train(Recipe.model_validate(ONE_SENSOR), folder, compute=ComputeSettings("cpu"))
    return folder


@pytest.mark.parametrize("resume", [False, True])
def test_killed_before_its_first_last_checkpoint_a_run_starts_again(
    tmp_path, monkeypatch, smallest, resume
):
    plan, cpu = Recipe.model_validate(ONE_SENSOR), ComputeSettings("cpu")
    write = _checkpoint.write_checkpoint

    def killed(path: Path, checkpoint: dict[str, object]) -> None:
        if path.name == "last.ckpt":
            raise RuntimeError("killed")
        write(path, checkpoint)

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="killed"):
        patched.setattr(_checkpoint, "write_checkpoint", killed)
        train(plan, tmp_path / "run", compute=cpu)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["best.ckpt"]
    other = plan.model_copy(update={"name": "other"})
    with pytest.raises(RecipeError, match="follows another recipe"):
        train(other, tmp_path / "run", compute=cpu, resume=True)
    train(plan, tmp_path / "run", compute=cpu, resume=resume)
    same(tmp_path / "run" / "checkpoints" / "last.ckpt", smallest / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize(
    ("dying", "on_files"),
    [(BETWEEN, False), (WITHIN, False), (BETWEEN, True)],
    ids=["between checkpoints", "within a checkpoint", "on files"],
)
def test_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch, dying, on_files):
    monkeypatch.setattr(run, "_LOG_EVERY_STEPS", 3)
    recipe, data = tmp_path / "tiny.toml", None
    recipe.write_text(TINY)
    plan = Recipe.load(recipe)
    if on_files:
        data = tmp_path / "data"
        for name, seed in (("1.mat", 1), ("2.mat", 2)):
            scenes = simulate(7, seed=seed, imager=plan.imager, peak_snr_db=None)
            write_images_depth(data / name, images_depth(scenes))
    killed = tmp_path / "killed"
    arguments = ["train", recipe, "-o", killed, "--device", "cpu", *(["--data", data] * on_files)]
    command = [sys.executable, "-c", START + dying + "main()\n", *map(str, arguments)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert read_checkpoint(killed / "checkpoints" / "last.ckpt")["global_step"] == 8

    cpu, whole = ComputeSettings("cpu"), tmp_path / "whole"
    train(plan, whole, data=data, compute=cpu)
    train(plan, killed, data=data, compute=cpu, resume=True)
    for name in ("last.ckpt", "best.ckpt"):
        same(killed / "checkpoints" / name, whole / "checkpoints" / name)
    for name in ("curves/metrics.csv", "recipe.toml", "start.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    files = sorted(entry.name for entry in (killed / "checkpoints").iterdir())
    assert files == ["best.ckpt", "last.ckpt"]
