"""A training run: a recipe in, a folder with checkpoints, curves and the finished model out."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import tomli_w
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

from fociscope.errors import FociscopeError, OutputExistsError, RecipeError
from fociscope.files.atomic import atomic_path
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.scene import Scenes, simulate
from fociscope.training.checkpoint import SafetensorsCheckpoint, read_checkpoint
from fociscope.training.file_stream import FileBatches
from fociscope.training.module import TrainingModule
from fociscope.training.recipe import Recipe
from fociscope.training.stream import LiveScenes

__all__ = ["reference_scenes", "train"]

LAST, BEST = "last", "best"


def reference_scenes(recipe: Recipe, count: int, seed: int) -> Scenes:
    """Simulate scenes under the conditions that a model is chosen and calibrated on."""
    return simulate(
        count,
        seed=seed,
        imager=recipe.reference_imager,
        peak_snr_db=REFERENCE_PEAK_SNR_DB,
        **recipe.scored_scenes,
    )


def _validation_loader(recipe: Recipe) -> DataLoader[Any]:
    scenes = reference_scenes(recipe, recipe.validation.scenes, recipe.seeds.validation)
    data = TensorDataset(
        torch.from_numpy(scenes.captures),
        torch.from_numpy(scenes.mask).float(),
        torch.from_numpy(scenes.layers) * recipe.imager.psf.energy_fraction(),
        torch.from_numpy(scenes.depth_um) / recipe.imager.gap_um,
    )
    return DataLoader(data, batch_size=100)


def _holds_more_than_a_failed_start(out: Path) -> bool:
    """Whether a folder holds more than a run leaves that ended before its first checkpoint."""
    if not out.is_dir():
        return out.exists()
    return any(entry.name not in ("recipe.toml", "curves") for entry in out.iterdir())


def _curves(first_step: int) -> str:
    """Return the folder of the learning curves; a resumed run must not write over the first."""
    return "curves" if first_step == 0 else f"curves-from-{first_step}"


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    data: Path | None = None,
    accelerator: str = "auto",
    show_progress: bool = False,
) -> Path:
    """Train by a recipe and return the best checkpoint.

    The folder receives `recipe.toml`, `curves/metrics.csv` (`curves-from-STEP` once resumed), and
    under `checkpoints/` the last state and the best one by mean pixel accuracy on the validation
    scenes, both without pickle.

    Args:
        recipe: what to train, and how.
        out: folder of the run.
        resume: go on from the last checkpoint in `out`.
        data: files to train on, in place of live simulation; selection and calibration simulate
            their scenes in any case.
        accelerator: Lightning's name of the device.
        show_progress: draw a progress bar.

    Raises:
        OutputExistsError: there is a run already, and `resume` was not asked for.
        RecipeError: nothing to resume, another recipe's run, or the loss became NaN.
    """
    last = out / "checkpoints" / f"{LAST}.ckpt"
    text = tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))
    first_step = 0
    if resume:
        if not last.is_file():
            raise RecipeError(f"{out}: nothing to resume; there is no {last.relative_to(out)}")
        if (out / "recipe.toml").read_text(encoding="utf-8") != text:
            raise RecipeError(f"{out}: the run there follows another recipe; give that one")
        first_step = int(read_checkpoint(last)["global_step"])
    elif last.exists() or _holds_more_than_a_failed_start(out):
        raise OutputExistsError(f"{out}: not empty; add --resume to go on, or name another folder")
    batches = None if data is None else FileBatches(recipe, data, first_step)
    validation = _validation_loader(recipe)
    with atomic_path(out / "recipe.toml", overwrite=True) as part:
        part.write_text(text, encoding="utf-8")

    settings = recipe.optimisation
    torch.set_num_threads(settings.threads)
    best = ModelCheckpoint(
        dirpath=out / "checkpoints",
        filename=BEST,
        monitor="val/accuracy",
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    best.CHECKPOINT_NAME_LAST = LAST
    for noisy in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=1,
        max_steps=settings.steps,
        max_epochs=-1,
        val_check_interval=min(recipe.validation.every_steps, settings.steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=settings.gradient_clip,
        callbacks=[
            best,
            EMAWeightAveraging(decay=settings.ema_decay, use_buffers=True),
            *([RichProgressBar()] if show_progress else []),
        ],
        logger=CSVLogger(out, name=None, version=_curves(first_step)),
        log_every_n_steps=50,
        plugins=[SafetensorsCheckpoint()],
        enable_model_summary=False,
        enable_progress_bar=show_progress,
    )
    workers = recipe.stream.workers if data is None else 0
    stream_device = trainer.strategy.root_device if recipe.stream.device == "network" else "cpu"
    stream: DataLoader[Any] = DataLoader(
        LiveScenes(recipe, first_step, stream_device) if batches is None else batches,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        multiprocessing_context="spawn" if workers else None,
    )
    try:
        trainer.fit(
            TrainingModule(recipe),
            train_dataloaders=stream,
            val_dataloaders=validation,
            ckpt_path=last if resume else None,
        )
    except SystemExit:  # how Lightning answers Ctrl-C
        after = (
            f"--resume -o {out} goes on from the last checkpoint before it"
            if last.is_file()
            else "no checkpoint had been written yet, so the same command starts again"
        )
        raise FociscopeError(f"stopped at step {trainer.global_step}; {after}") from None
    except FloatingPointError as error:
        raise RecipeError(f"{out}: {error}; lower the learning rate") from None
    return out / "checkpoints" / f"{BEST}.ckpt"
