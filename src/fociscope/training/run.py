"""A training run: a recipe in, a folder with checkpoints, curves and the best weights out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import tomli_w
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EMAWeightAveraging, RichProgressBar
from lightning.pytorch.loggers import Logger
from torch.utils.data import DataLoader

from fociscope.configuration import parse_toml
from fociscope.errors import FociscopeError, OutputExistsError, RecipeError, one_line
from fociscope.files.safe.atomic import atomic_path, discard_leftovers
from fociscope.training.batches import validation_loader
from fociscope.training.checkpoint import (
    BestAndLastCheckpoint,
    SafetensorsCheckpoint,
    read_checkpoint,
    stopped_early,
)
from fociscope.training.curves import CurvesFile, tensorboard_logger
from fociscope.training.file_scenes import FileBatches
from fociscope.training.hardware import ComputeSettings, end_other_processes, is_lost_contact
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.module import TrainingModule
from fociscope.training.recipe import Recipe
from fociscope.training.run_origin import DataRecord, RunOrigin, initial_weights

__all__ = ["RUN_ORIGIN", "TrainingOutcome", "train"]

RECIPE, RUN_ORIGIN, CURVES = "recipe.toml", "start.json", "curves"
_LOG_EVERY_STEPS = 50


@dataclass(frozen=True)
class TrainingOutcome:
    """How a run has ended."""

    best: Path
    """The checkpoint with the best weights by validation."""
    steps: int
    stopped_early: bool
    """Whether `validation.patience` was over before `optimisation.steps` were."""
    is_first_process: bool
    """Whether this process is the one that writes and prints."""


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    data: Path | None = None,
    start_from: str | Path | None = None,
    compute: ComputeSettings | None = None,
    tensorboard: bool = False,
    show_progress: bool = False,
) -> TrainingOutcome:
    """Train by a recipe.

    The folder receives `recipe.toml`, `start.json` (what the run starts from beside the recipe),
    `curves/metrics.csv`, and under `checkpoints/` the last state and the best one by mean pixel
    accuracy on the validation scenes, both without pickle. With several processes, each of them
    runs this function; the first one writes.

    Args:
        recipe: what to train, and how.
        out: folder of the run.
        resume: go on from the last checkpoint in `out`, as if nothing had happened.
        data: files to train on, in place of live simulation; selection and calibration simulate
            their scenes in any case.
        start_from: a model whose weights to start from, in place of random ones.
        compute: where to compute; without them, in one process on the best device.
        tensorboard: write the curves for TensorBoard, too.
        show_progress: draw a progress bar.

    Raises:
        OutputExistsError: there is a run already, and `resume` was not asked for.
        RecipeError: nothing to resume, another run's folder, files or a model that do not fit, a
            precision that the device cannot, or the loss became NaN.
        FileFormatError: a file of `data` cannot be read.
        FociscopeError: no such device, or the disk refuses.
    """
    compute = compute or ComputeSettings()
    settings = recipe.optimisation
    compute.check(settings.precision)
    selection = BestAndLastCheckpoint(out / "checkpoints", recipe.validation.patience)
    checkpoint = _checkpoint_to_resume(recipe, out, selection.last) if resume else None
    if checkpoint is None:
        _refuse_another_run(out)
    first_step = 0 if checkpoint is None else int(checkpoint["global_step"])
    loggers: list[Logger] = [CurvesFile(out / CURVES / "metrics.csv", first_step)]
    if tensorboard:
        loggers.append(tensorboard_logger(out, first_step))
    compute.prepare(settings.threads)
    module = TrainingModule(recipe)
    trainer = _trainer(
        recipe,
        compute,
        callbacks=[
            selection,
            EMAWeightAveraging(decay=settings.ema_decay, use_buffers=True),
            *([RichProgressBar()] if show_progress else []),
        ],
        logger=loggers,
        enable_progress_bar=show_progress,
    )
    place = {"rank": trainer.global_rank, "world_size": trainer.world_size}
    batches = None if data is None else FileBatches(recipe, data, first_step, **place)
    weights, model = (None, None) if start_from is None else initial_weights(start_from, recipe)
    start = RunOrigin(
        model=model,
        data=None
        if batches is None or data is None
        else DataRecord.from_files(data, batches.scenes),
        processes=trainer.world_size,
    )
    if checkpoint is not None:
        RunOrigin.read(out / RUN_ORIGIN).check_resumable(start, out)
    elif weights is not None:
        module.network.load_state_dict(weights.state_dict())
    if checkpoint is None or not _is_over(recipe, checkpoint):
        validation = validation_loader(recipe, **place)
        if trainer.is_global_zero:
            discard_leftovers([out / RECIPE, out / RUN_ORIGIN, selection.best, selection.last])
            if checkpoint is None:
                start.write(out / RUN_ORIGIN)
                _write_recipe(recipe, out / RECIPE)
        device = trainer.strategy.root_device if recipe.stream.device == "network" else "cpu"
        stream = LiveScenes(recipe, first_step, device, **place) if batches is None else batches
        with _plain_ends(trainer, out, selection.last):
            trainer.fit(
                module,
                train_dataloaders=_loader(stream, workers=recipe.stream.workers),
                val_dataloaders=validation,
                ckpt_path=None if checkpoint is None else selection.last,
            )
        first_step = trainer.global_step
    return TrainingOutcome(
        best=selection.best,
        steps=first_step,
        stopped_early=first_step < settings.steps,
        is_first_process=trainer.is_global_zero,
    )


def _checkpoint_to_resume(recipe: Recipe, out: Path, last: Path) -> dict[str, Any]:
    if not last.is_file():
        raise RecipeError(f"{out}: nothing to resume; there is no {last.relative_to(out)}")
    path = out / RECIPE
    if not path.is_file():
        raise RecipeError(f"{out}: cannot be resumed; its {RECIPE} is missing")
    if parse_toml(Recipe, path.read_bytes(), source=path, error=RecipeError) != recipe:
        raise RecipeError(f"{out}: the run there follows another recipe; give that one")
    return read_checkpoint(last)


def _refuse_another_run(out: Path) -> None:
    """Refuse a folder that holds more than a run leaves that ended before its first checkpoint."""
    known = (RECIPE, RUN_ORIGIN, CURVES, "tensorboard")
    held = out.exists() if not out.is_dir() else any(
        entry.name not in known and not entry.name.startswith(".") for entry in out.iterdir()
    )  # fmt: skip
    if held:
        raise OutputExistsError(f"{out}: not empty; add --resume to go on, or name another folder")


def _write_recipe(recipe: Recipe, path: Path) -> None:
    with atomic_path(path, overwrite=True) as part:
        text = tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))
        part.write_text(text, encoding="utf-8")


def _is_over(recipe: Recipe, checkpoint: dict[str, Any]) -> bool:
    """Whether a run needs no further step."""
    done = int(checkpoint["global_step"]) >= recipe.optimisation.steps
    return done or stopped_early(checkpoint, recipe.validation.patience)


def _trainer(recipe: Recipe, compute: ComputeSettings, **more: Any) -> L.Trainer:
    """Return Lightning's trainer; it says nothing but that a process has died."""
    for noisy in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    launcher = "lightning.pytorch.strategies.launchers.subprocess_script"
    logging.getLogger(launcher).setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module="lightning")
    settings = recipe.optimisation
    try:
        return L.Trainer(
            **compute.for_lightning,
            precision=settings.precision,
            max_steps=settings.steps,
            max_epochs=-1,
            val_check_interval=min(recipe.validation.every_steps, settings.steps),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            gradient_clip_val=settings.gradient_clip,
            log_every_n_steps=_LOG_EVERY_STEPS,
            use_distributed_sampler=False,  # each process draws its own scenes
            plugins=[SafetensorsCheckpoint()],
            enable_model_summary=False,
            **more,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise FociscopeError(f"cannot train as asked: {one_line(error, 400)}") from None


def _loader(stream: LiveScenes | FileBatches, workers: int) -> DataLoader[Any]:
    workers = workers if isinstance(stream, LiveScenes) else 0
    return DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        multiprocessing_context="spawn" if workers else None,
    )


@contextmanager
def _plain_ends(trainer: L.Trainer, out: Path, last: Path) -> Iterator[None]:
    """End a run that fails in one plain line, of one process, that says how to go on."""
    try:
        yield
    except BaseException as error:
        end_other_processes(trainer.strategy.launcher)
        after = (
            f"--resume -o {out} goes on from the last checkpoint before it"
            if last.is_file()
            else "no checkpoint had been written yet, so the same command starts again"
        )
        if isinstance(error, SystemExit | FloatingPointError) and not trainer.is_global_zero:
            raise SystemExit(0) from None  # all processes end so; the first one says it
        if isinstance(error, SystemExit):  # how Lightning answers Ctrl-C
            raise FociscopeError(f"stopped at step {trainer.global_step}; {after}") from None
        if isinstance(error, FloatingPointError):
            raise RecipeError(f"{out}: {error}; lower the learning rate") from None
        if trainer.world_size > 1 and is_lost_contact(error):
            if not trainer.is_global_zero:
                raise SystemExit(1) from None
            raise FociscopeError(
                f"one of the {trainer.world_size} processes has ended at step "
                f"{trainer.global_step}, killed perhaps for want of memory if it said nothing; "
                f"{after}"
            ) from None
        process = f"process {trainer.global_rank}: " if trainer.global_rank else ""
        if isinstance(error, FociscopeError):
            raise type(error)(f"{process}{str(error).rstrip('.')}; {after}") from error
        raise
