"""A training run: a recipe in, a folder with checkpoints, curves and the best weights out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader

from fociscope.configuration import parse_toml
from fociscope.errors import FociscopeError, OutputExistsError, RecipeError, one_line
from fociscope.files.safe.locks import discard_leftovers
from fociscope.files.safe.records import read_typed_record, write_record
from fociscope.training._batches import validation_loader
from fociscope.training._checkpoint import (
    BestAndLastCheckpoint,
    SafetensorsCheckpoint,
    network_weights,
    read_state,
    stopped_early,
)
from fociscope.training._curves import CurvesFile, tensorboard_logger
from fociscope.training._file_scenes import FileBatches
from fociscope.training._module import SECONDS, TrainingModule
from fociscope.training._progress_callback import ProgressCallback
from fociscope.training._volume_module import VolumeTrainingModule
from fociscope.training._volume_scenes import LiveVolumes, volume_validation_loader
from fociscope.training.hardware import (
    ComputeSettings,
    end_other_processes,
    is_lost_contact,
    only_run_in,
)
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.progress import (
    TrainingProgress,
    first_scenes_name,
    stage_name,
    stage_phases,
)
from fociscope.training.progress_display import progress_listeners
from fociscope.training.recipe import RECIPE_FILE, Recipe
from fociscope.training.recipe_file import write_recipe
from fociscope.training.run_origin import DataRecord, RunOrigin, initial_weights

__all__ = ["RUN_ORIGIN", "STAGES", "StageOutcome", "TrainingOutcome", "train"]

RUN_ORIGIN, CURVES, STAGES, CHECKPOINTS = "start.json", "curves", "stages", "checkpoints"
#: The recipe with every number, in case a later version has other defaults.
WHOLE_RECIPE = "recipe.json"
#: What the folder of a run or of a stage may hold that has not reached its first checkpoint.
_BEFORE_CHECKPOINT = (RECIPE_FILE, WHOLE_RECIPE, RUN_ORIGIN, CURVES, "tensorboard")
_LOG_EVERY_STEPS = 50


@dataclass(frozen=True)
class StageOutcome:
    """How a stage has ended.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.training import Recipe, StageOutcome
        >>> recipe = Recipe.load("single-a").stage_recipes()[0]
        >>> best = Path("run/stages/1-optics-and-depth/checkpoints/best.ckpt")
        >>> StageOutcome("optics and depth", recipe, best, 20000, 0.5, True).stopped_early
        True
    """

    name: str
    """Empty for a recipe without stages."""
    recipe: Recipe
    """The stage's own, without stages."""
    best: Path
    """The checkpoint with the best weights by validation."""
    steps: int
    hours: float
    """Duration of its training until the last validation, all parts of the run together."""
    stopped_early: bool
    """Whether `validation.patience` was over before `optimisation.steps` were."""


@dataclass(frozen=True)
class TrainingOutcome:
    """How a run has ended.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.training import Recipe, StageOutcome, TrainingOutcome
        >>> recipe = Recipe.load("single-a").stage_recipes()[0]
        >>> stage = StageOutcome("", recipe, Path("run/checkpoints/best.ckpt"), 30000, 1.5, False)
        >>> outcome = TrainingOutcome((stage,), is_first_process=True)
        >>> outcome.hours, outcome.stopped_early
        (1.5, False)
    """

    stages: tuple[StageOutcome, ...]
    """In the order in which they were trained; one for a recipe without stages."""
    is_first_process: bool
    """Whether this process is the one that writes and prints."""

    @property
    def best(self) -> Path:
        """The checkpoint with the best weights of the last stage."""
        return self.stages[-1].best

    @property
    def steps(self) -> int:
        """Steps of the last stage."""
        return self.stages[-1].steps

    @property
    def stopped_early(self) -> bool:
        """Whether the last stage stopped early."""
        return self.stages[-1].stopped_early

    @property
    def hours(self) -> float:
        """Duration of all stages together."""
        return sum(stage.hours for stage in self.stages)


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
    report: Callable[[str], None] | None = None,
    progress: TrainingProgress | None = None,
) -> TrainingOutcome:
    """Train by a recipe, stage by stage.

    The folder receives `recipe.toml` (what differs from the defaults), `recipe.json` (every
    number), `start.json` (what the run starts from beside the recipe), `curves/metrics.csv`, and
    under `checkpoints/` the last state and the best one by mean pixel accuracy on the validation
    scenes, both without pickle. Where the recipe names stages, each of them has these in a folder
    of its own, `stages/1-NAME` and so on, and starts from the best
    weights of the stage before it. With several processes, each of them runs this function; the
    first one writes.

    Args:
        recipe: Recipe to train by.
        out: Folder of the run.
        resume: Whether to continue from the last checkpoint in `out`, in whatever stage it is; the
            run ends as if it had not been interrupted.
        data: Files to train on, in place of live simulation; selection and calibration simulate
            their scenes in any case.
        start_from: Model whose weights the first stage starts from, in place of random ones.
        compute: Devices and processes; by default one process on the best device.
        tensorboard: Whether to write the curves for TensorBoard, too.
        show_progress: Whether to draw progress bars on the terminal, unless `progress` is given.
        report: Receives a line when a phase begins and after each validation, in the first
            process, unless `progress` is given.
        progress: Receives the phases of the run, its steps and validations, in the first process;
            its phases include those of `stage_phases`.

    Returns:
        The best checkpoint, steps and hours of each stage.

    Raises:
        OutputExistsError: if there is a run in `out` and `resume` is false.
        RecipeError: if there is nothing to resume, `out` holds another run, files or model do not
            fit the recipe, the device cannot compute in a stage's precision, or the loss became
            NaN.
        FileFormatError: if a file of `data` cannot be read.
        FociscopeError: if a device does not exist, or the disk refuses.

    Examples:
        One step of a tiny network, from one sensor and for one imager:

        >>> from pathlib import Path
        >>> from fociscope.training import ComputeSettings, Recipe, train
        >>> recipe = Recipe.model_validate(
        ...     {
        ...         "name": "tiny",
        ...         "imager": {"frame_px": (32, 32), "sensors": 1, "gap_um": 300},
        ...         "network": {"sensors": 1, "layers": 1, "widths": (4, 8), "blocks": (1, 1)},
        ...         "family": {"half_angle_deg": (18, 18), "base_blur_px": (0, 0)},
        ...         "optimisation": {"steps": 1, "batch_scenes": 2, "threads": 1},
        ...         "stream": {"pool_chunks": 1, "chunk_scenes": 4},
        ...         "validation": {"scenes": 2, "layers": 1, "min_separation_um": 0},
        ...         "calibration": {"scenes": 10, "family_scenes": 10},
        ...     }
        ... )
        >>> outcome = train(recipe, Path("run"), compute=ComputeSettings("cpu"))
        >>> outcome.steps, outcome.best.as_posix()
        (1, 'run/checkpoints/best.ckpt')
    """
    compute = compute or ComputeSettings()
    if recipe.volume is not None and data is not None:
        raise RecipeError(
            f"recipe {recipe.name!r} trains on volumes, files hold layers; leave the files out, "
            "or the section [volume]",
            fields=("data",),
        )
    for each in recipe.stage_recipes():
        compute.check(each.optimisation.precision)
    if progress is not None:
        run = _Run(out, data, start_from, compute, tensorboard, progress)
        with only_run_in(out, again=True):
            return _train_stages(recipe, run, resume=resume)
    listening = progress_listeners(show_progress=show_progress, report=report)
    with only_run_in(out), listening as listeners:
        progress = TrainingProgress(stage_phases(recipe, from_files=data is not None), listeners)
        run = _Run(out, data, start_from, compute, tensorboard, progress)
        return _train_stages(recipe, run, resume=resume)


@dataclass(frozen=True)
class _Run:
    """What all stages of a run share."""

    out: Path
    data: Path | None
    start_from: str | Path | None
    compute: ComputeSettings
    tensorboard: bool
    progress: TrainingProgress
    launchers: list[Any] = field(default_factory=list)
    """Lightning's; the first one has started the other processes of all stages."""


@dataclass(frozen=True)
class _Stage:
    """A stage, or the whole of a recipe without stages."""

    recipe: Recipe
    folder: Path
    whole: Recipe | None = None
    """The recipe that names the stage."""
    number: int = 1
    before: StageOutcome | None = None

    @property
    def name(self) -> str:
        return "" if self.whole is None else self.whole.stages[self.number - 1].name

    @property
    def phase(self) -> str:
        """Name of the phase in which it is trained."""
        return stage_name(self.whole or self.recipe, self.number)

    @property
    def selection(self) -> BestAndLastCheckpoint:
        return BestAndLastCheckpoint(self.folder / CHECKPOINTS, self.recipe.validation.patience)


def _train_stage(stage: _Stage, run: _Run, *, resume: bool) -> tuple[StageOutcome, bool]:
    """Train a stage; return how it ended, and whether this is the first process."""
    recipe, folder, selection = stage.recipe, stage.folder, stage.selection
    settings = recipe.optimisation
    checkpoint = _checkpoint_to_resume(recipe, folder, selection.last) if resume else None
    if checkpoint is None:
        _refuse_another_run(folder, recipe)
    first_step = 0 if checkpoint is None else int(checkpoint["global_step"])
    loggers: list[Logger] = [CurvesFile(folder / CURVES / "metrics.csv", first_step)]
    if run.tensorboard:
        loggers.append(tensorboard_logger(folder, first_step))
    run.compute.prepare(settings.threads)
    module, live_scenes, validation_scenes = _kind_of(recipe)
    trainer = _trainer(
        recipe,
        run.compute,
        callbacks=[
            selection,
            EMAWeightAveraging(decay=settings.ema_decay, use_buffers=True),
            ProgressCallback(run.progress, stage.phase, selection),
        ],
        logger=loggers,
        enable_progress_bar=False,
    )
    place = {"rank": trainer.global_rank, "world_size": trainer.world_size}
    batches = None if run.data is None else FileBatches(recipe, run.data, first_step, **place)
    origin, weights = _origin(stage, run, batches, trainer.world_size)
    if resume and (folder / RUN_ORIGIN).is_file():
        begun = RunOrigin.read(folder / RUN_ORIGIN)
        begun.check_resumable(origin, run.out, from_start=checkpoint is None)
    if checkpoint is None and weights is not None:
        module.start_from(weights)
    if checkpoint is None or not _is_over(recipe, checkpoint):
        if trainer.is_global_zero:
            run.progress.begin(first_scenes_name(stage.phase))
        validation = validation_scenes(recipe, **place)
        if trainer.is_global_zero:
            _begin(stage, run, selection, origin if checkpoint is None else None)
        device = trainer.strategy.root_device if recipe.stream.device == "network" else "cpu"
        stream = live_scenes(recipe, first_step, device, **place) if batches is None else batches
        if isinstance(stream, LiveScenes) and trainer.is_global_zero:
            _count_first_scenes(stream, run.progress)
        with _plain_ends(trainer, stage, run):
            trainer.fit(
                module,
                train_dataloaders=_loader(stream, workers=recipe.stream.workers),
                val_dataloaders=validation,
                ckpt_path=None if checkpoint is None else selection.last,
            )
        first_step = trainer.global_step
    outcome = StageOutcome(
        name=stage.name,
        recipe=recipe,
        best=selection.best,
        steps=first_step,
        hours=read_state(selection.last).get(SECONDS, 0.0) / 3600,
        stopped_early=first_step < settings.steps,
    )
    return outcome, bool(trainer.is_global_zero)


def _kind_of(recipe: Recipe) -> tuple[TrainingModule, type[LiveScenes], Callable[..., Any]]:
    """Return what a recipe trains, the stream of its scenes, and those of its validation."""
    if recipe.volume is None:
        return TrainingModule(recipe), LiveScenes, validation_loader
    return VolumeTrainingModule(recipe), LiveVolumes, volume_validation_loader


def _train_stages(recipe: Recipe, run: _Run, *, resume: bool) -> TrainingOutcome:
    """Train all stages, one after the other."""
    out = run.out
    if not recipe.stages:
        outcome, is_first = _train_stage(_Stage(recipe, out), run, resume=resume)
        run.progress.end()
        return TrainingOutcome((outcome,), is_first)
    _check_staged_run(recipe, out, resume=resume)
    outcomes: list[StageOutcome] = []
    is_first = True
    recipes = recipe.stage_recipes()
    for number, (named, stage_recipe) in enumerate(zip(recipe.stages, recipes, strict=True), 1):
        stage = _Stage(
            stage_recipe,
            out / STAGES / _stage_folder(number, named.name),
            whole=recipe,
            number=number,
            before=outcomes[-1] if outcomes else None,
        )
        is_begun = stage.selection.last.is_file()
        # Of a run that ended between two stages, the next one is yet to begin.
        outcome, is_first = _train_stage(stage, run, resume=resume and (is_begun or number == 1))
        run.progress.end()
        outcomes.append(outcome)
    return TrainingOutcome(tuple(outcomes), is_first)


def _count_first_scenes(stream: LiveScenes, progress: TrainingProgress) -> None:
    """Advance the phase of a stage's first scenes, of which those of the validation are done."""
    validation = stream.recipe.validation
    done = validation.scenes + validation.mixture_scenes
    progress.advance(done)
    if stream.recipe.stream.workers:  # another process simulates them
        return

    def count(scenes: int) -> None:
        nonlocal done
        done += scenes
        progress.advance(done)

    stream.on_first_scenes = count


def _origin(
    stage: _Stage, run: _Run, batches: FileBatches | None, processes: int
) -> tuple[RunOrigin, dict[str, Tensor] | None]:
    """Return what a stage starts from, and the weights if they are not random."""
    weights: dict[str, Tensor] | None = None
    model = None
    if stage.before is not None:
        weights = network_weights(read_state(stage.before.best))
    elif run.start_from is not None:
        network, model = initial_weights(run.start_from, stage.recipe)
        weights = network.state_dict()
    origin = RunOrigin(
        model=model,
        stage=None if stage.before is None else stage.before.name,
        data=None
        if batches is None or run.data is None
        else DataRecord.from_files(run.data, batches.scenes),
        processes=processes,
    )
    return origin, weights


def _begin(
    stage: _Stage, run: _Run, selection: BestAndLastCheckpoint, origin: RunOrigin | None
) -> None:
    """Write what a stage starts from, if it is not resumed; tidy what a kill may have left."""
    folder = stage.folder
    written = (RECIPE_FILE, WHOLE_RECIPE, RUN_ORIGIN)
    discard_leftovers([*(folder / name for name in written), selection.best, selection.last])
    if stage.whole is not None:
        discard_leftovers([run.out / name for name in written])
    if origin is None:
        return
    if stage.whole is not None and stage.number == 1:
        origin.write(run.out / RUN_ORIGIN)
        _write_recipe_files(stage.whole, run.out)
    origin.write(folder / RUN_ORIGIN)
    _write_recipe_files(stage.recipe, folder)


def _check_staged_run(recipe: Recipe, out: Path, *, resume: bool) -> None:
    """Refuse the folder of another run, or one that there is nothing to resume in."""
    if resume:
        _refuse_another_recipe(recipe, out)
        return
    _refuse_another_run(out, known=(*_BEFORE_CHECKPOINT, STAGES))
    stages, recipes = out / STAGES, recipe.stage_recipes()
    named = {
        _stage_folder(n, s.name): r
        for n, (s, r) in enumerate(zip(recipe.stages, recipes, strict=True), 1)
    }
    for folder in sorted(stages.iterdir()) if stages.is_dir() else ():
        _refuse_another_run(folder, named.get(folder.name), out)


def _stage_folder(number: int, name: str) -> str:
    return f"{number}-{name.replace(' ', '-')}"


def _checkpoint_to_resume(recipe: Recipe, folder: Path, last: Path) -> dict[str, Any] | None:
    """Return the last checkpoint; None of a run that ended before its first one."""
    if last.is_file():
        _refuse_another_recipe(recipe, folder)
        return read_state(last)
    if not (folder / RECIPE_FILE).is_file():
        raise RecipeError(f"{folder}: nothing to resume; there is no {last.relative_to(folder)}")
    _refuse_another_recipe(recipe, folder)
    return None


def _write_recipe_files(recipe: Recipe, folder: Path) -> None:
    """Write a recipe for people, and with every number for a run that is resumed later."""
    write_recipe(recipe, folder / RECIPE_FILE)
    write_record(folder / WHOLE_RECIPE, recipe.model_dump(mode="json"), overwrite=True)


def _refuse_another_recipe(recipe: Recipe, folder: Path) -> None:
    path, whole = folder / RECIPE_FILE, folder / WHOLE_RECIPE
    if not path.is_file():
        raise RecipeError(f"{folder}: cannot be resumed; its {RECIPE_FILE} is missing")
    context = {"folder": folder}
    theirs = parse_toml(Recipe, path.read_bytes(), source=path, error=RecipeError, context=context)
    advice = "train anew in another folder"
    if whole.is_file():  # runs of earlier versions have all numbers in recipe.toml
        is_named_so = _is_same_recipe(theirs, recipe)
        theirs = read_typed_record(whole, Recipe, "a recipe", advice=advice, error=RecipeError)
        if is_named_so and not _is_same_recipe(theirs, recipe):
            raise RecipeError(
                f"{folder}: the run there was begun by a version with other defaults; {advice}"
            )
    if not _is_same_recipe(theirs, recipe):
        raise RecipeError(f"{folder}: the run there follows another recipe; give that one")


def _is_same_recipe(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes train alike, stage by stage."""
    names = [[stage.name for stage in recipe.stages] for recipe in (one, other)]
    return names[0] == names[1] and one.stage_recipes() == other.stage_recipes()


def _refuse_another_run(
    folder: Path,
    recipe: Recipe | None = None,
    out: Path | None = None,
    *,
    known: tuple[str, ...] = _BEFORE_CHECKPOINT,
) -> None:
    """Refuse a folder that holds more than a run leaves that ended before its first `last.ckpt`."""
    held = folder.exists() if not folder.is_dir() else any(
        entry.name not in known
        and not entry.name.startswith(".")
        and not (recipe is not None and _is_first_best(entry, recipe))
        for entry in folder.iterdir()
    )  # fmt: skip
    if held and not folder.is_dir():
        raise OutputExistsError(f"{out or folder}: this is a file; name another folder for the run")
    if held:
        raise OutputExistsError(
            f"{out or folder}: not empty; resume the run there, or name another folder",
            fields=("resume",),
        )


def _is_first_best(checkpoints: Path, recipe: Recipe) -> bool:
    """Whether a folder holds at most the best state of the first validation, as after a kill."""
    first = BestAndLastCheckpoint(checkpoints)
    if checkpoints.name != CHECKPOINTS or not checkpoints.is_dir() or first.last.exists():
        return False
    steps = min(recipe.validation.every_steps, recipe.optimisation.steps)
    return not first.best.is_file() or read_state(first.best)["global_step"] <= steps


def _is_over(recipe: Recipe, checkpoint: dict[str, Any]) -> bool:
    """Whether a stage needs no further step."""
    done = int(checkpoint["global_step"]) >= recipe.optimisation.steps
    return done or stopped_early(checkpoint, recipe.validation.patience)


def _trainer(recipe: Recipe, compute: ComputeSettings, **more: Any) -> L.Trainer:
    """Return Lightning's trainer; it prints nothing but that a process has died."""
    for noisy in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    launcher = "lightning.pytorch.strategies.launchers.subprocess_script"
    logging.getLogger(launcher).setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module="lightning")
    settings = recipe.optimisation
    try:
        return L.Trainer(
            **compute.for_lightning,
            precision=compute.precision(settings.precision),
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
def _plain_ends(trainer: L.Trainer, stage: _Stage, run: _Run) -> Iterator[None]:
    """End a run that fails in one plain line, of one process, with how to continue it."""
    run.launchers.append(trainer.strategy.launcher)
    try:
        yield
    except BaseException as error:
        for launcher in run.launchers:
            end_other_processes(launcher)
        can_resume = True
        if stage.selection.last.is_file():
            after = f"resume the run in {run.out} to continue from the last checkpoint before it"
        elif stage.before is not None:
            after = f"resume the run in {run.out} to begin the stage {stage.name!r} again"
        else:
            after = "no checkpoint had been written yet, so the same command starts again"
            can_resume = False
        fields = ("resume",) if can_resume else ()
        if isinstance(error, SystemExit | FloatingPointError) and not trainer.is_global_zero:
            raise SystemExit(0) from None  # all processes end so; the first one prints
        if isinstance(error, SystemExit):  # how Lightning answers Ctrl-C
            raise FociscopeError(
                f"stopped at step {trainer.global_step}; {after}", fields=fields
            ) from None
        if isinstance(error, FloatingPointError):
            raise RecipeError(f"{run.out}: {error}; lower the learning rate") from None
        if trainer.world_size > 1 and is_lost_contact(error):
            if not trainer.is_global_zero:
                raise SystemExit(1) from None
            raise FociscopeError(
                f"one of the {trainer.world_size} processes has ended at step "
                f"{trainer.global_step}, killed perhaps for want of memory if it printed no error; "
                f"{after}",
                fields=fields,
            ) from None
        process = f"process {trainer.global_rank}: " if trainer.global_rank else ""
        if isinstance(error, FociscopeError):
            raise type(error)(
                f"{process}{str(error).rstrip('.')}; {after}", fields=(*error.fields, *fields)
            ) from error
        raise
