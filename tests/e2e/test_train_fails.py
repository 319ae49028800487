"""`fociscope train`: what a user can mend ends in one plain line, and leaves what there was."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from tiny_recipe import tiny_recipe

from fociscope.files import write_images_depth
from fociscope.simulation import simulate
from fociscope.simulation.dataset import images_depth
from fociscope.training import run as run_module
from fociscope.training._checkpoint import read_checkpoint
from fociscope.training._module import TrainingModule
from fociscope.training.recipe import Recipe

TINY = tiny_recipe()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def says(ran, *words: str) -> None:
    """One plain line with these words after those of progress, and a non-zero exit."""
    assert ran.code == 1
    *progress, line = ran.err.splitlines()
    assert line.startswith("error: "), ran.err
    assert not any("error" in before.split(":")[0] for before in progress), ran.err
    for word in words:
        assert word in line, ran.err


# --- data ---------------------------------------------------------------------------------------


def test_a_folder_without_data(fociscope, recipe, tmp_path):
    (tmp_path / "data").mkdir()
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--data", tmp_path / "data")
    says(ran, "no file of the published layout")
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--data", tmp_path / "none")
    says(ran, "none")
    assert not (tmp_path / "run").exists()


def test_files_of_another_frame(fociscope, recipe, tmp_path):
    scenes = simulate(4, seed=1, peak_snr_db=None)
    write_images_depth(tmp_path / "data" / "1.mat", images_depth(scenes))
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--data", tmp_path / "data")
    says(ran, "(51, 51)", "(32, 32)")
    assert not (tmp_path / "run").exists()


def test_files_without_the_truth(fociscope, recipe, tmp_path):
    imager = Recipe.load(recipe).imager
    whole = images_depth(simulate(4, seed=1, imager=imager, peak_snr_db=None))
    captures_alone = whole.__class__(captures=whole.captures)
    write_images_depth(tmp_path / "data" / "1.mat", captures_alone)
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--data", tmp_path / "data")
    says(ran, "1.mat", "has no variable tumorImage_noPSF", "to train on")
    assert not (tmp_path / "run").exists()


# --- devices ------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_such_device(fociscope, recipe, tmp_path):
    says(fociscope("train", recipe, "-o", tmp_path / "run", "--device", "cuda"), "no device 'cuda'")


def test_a_precision_that_the_device_cannot(fociscope, recipe, tmp_path):
    recipe.write_text(TINY.replace("threads = 1", 'threads = 1\nprecision = "16-mixed"'))
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--device", "cpu")
    says(ran, "16-mixed", "bf16-mixed")
    recipe.write_text(TINY.replace("threads = 1", 'threads = 1\nprecision = "8"'))
    says(fociscope("train", recipe, "-o", tmp_path / "run"), "optimisation.precision")


# --- in the middle ------------------------------------------------------------------------------


def test_a_loss_that_is_no_number(fociscope, recipe, tmp_path, monkeypatch):
    losses = TrainingModule.losses

    def spoiled(self, batch):
        terms, output = losses(self, batch)
        nan = float("nan") if self.training and self.global_step == 3 else 1.0
        return {key: value * nan for key, value in terms.items()}, output

    monkeypatch.setattr(TrainingModule, "losses", spoiled)
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--device", "cpu")
    says(ran, "the loss is nan at step 3", "lower the learning rate")
    last = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert last["global_step"] == 2
    assert all(bool(w.isfinite().all()) for w in last["state_dict"].values())


@pytest.mark.parametrize(
    ("method", "name"), [("write_bytes", ".last"), ("write_text", ".metrics")], ids=["state", "csv"]
)
def test_a_full_disk_leaves_the_checkpoint_before_it_and_the_run_goes_on(
    fociscope, recipe, tmp_path, monkeypatch, method, name
):
    monkeypatch.setattr(run_module, "_LOG_EVERY_STEPS", 50)
    write, calls = getattr(Path, method), []

    def full(self, *arguments, **options):
        calls.extend([self] * self.name.startswith(name))
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, *arguments, **options)

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Path, method, full)
        ran = fociscope("train", recipe, "-o", run, "--device", "cpu")
    says(ran, "the disk is full; free some space", "resume the run")
    last = run / "checkpoints" / "last.ckpt"
    assert read_checkpoint(last)["global_step"] == 2
    assert not list(run.rglob(".*"))
    run_module.train(
        Recipe.load(recipe), run, resume=True, compute=run_module.ComputeSettings("cpu")
    )
    assert read_checkpoint(last)["global_step"] == 4
    steps = [r.split(",")[0] for r in (run / "curves" / "metrics.csv").read_text().splitlines()]
    assert steps == ["step", "1", "3"]


def test_tensorboard_that_is_not_installed(fociscope, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("fociscope.training._curves.find_spec", lambda _: None)
    ran = fociscope("train", recipe, "-o", tmp_path / "run", "--tensorboard", "--device", "cpu")
    says(ran, "'.[tensorboard]'")
    assert not (tmp_path / "run").exists()
