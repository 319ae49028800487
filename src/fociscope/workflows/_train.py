"""A recipe in, a calibrated model and its card out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fociscope.devices import pick_device
from fociscope.evaluation.card import card_scenes, write_card
from fociscope.evaluation.volume_card import fit_samples, fit_thresholds, write_volume_card
from fociscope.training.export import export_model, export_phases
from fociscope.training.hardware import ComputeSettings, only_run_in
from fociscope.training.progress import Phase, TrainingProgress, stage_phases
from fociscope.training.progress_display import progress_listeners
from fociscope.training.recipe import Recipe
from fociscope.training.run import RUN_ORIGIN, StageOutcome, TrainingOutcome
from fociscope.training.run import train as run
from fociscope.training.run_origin import RunOrigin
from fociscope.training.volume_export import export_volume_model

__all__ = ["TrainedModel", "train"]

#: Name of the last phase.
CARD = "export: card"
VOLUME_CALIBRATION = "export: calibration"


@dataclass(frozen=True)
class TrainedModel:
    """Files of a model that was trained, and how each stage of its training ended.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.workflows import TrainedModel
        >>> done = TrainedModel(Path("run/model.safetensors"), Path("run/card.md"), "# own", ())
        >>> done.model.name
        'model.safetensors'
    """

    model: Path
    """The model's file, for `fociscope.load_model`."""
    card: Path
    """The model's card, a Markdown file."""
    card_text: str
    """Text of the card: training, scores on unseen scenes, limits."""
    stages: tuple[StageOutcome, ...]
    """Steps, hours and end of each stage; one for a recipe without stages."""

    @property
    def steps(self) -> int:
        """Number of optimisation steps of the last stage."""
        return self.stages[-1].steps

    @property
    def stopped_early(self) -> bool:
        """Whether the last stage ended by the recipe's patience, before its steps were over."""
        return self.stages[-1].stopped_early


def train(
    recipe: Recipe | Path | str,
    output: Path | str,
    *,
    data: Path | str | None = None,
    start_from: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    tensorboard: bool = False,
    show_progress: bool = False,
    report: Callable[[str], None] | None = None,
) -> TrainedModel | None:
    """Train a model by a recipe, stage by stage, calibrate and export it, and score it.

    With several processes, each of them calls this function with the same arguments; the first one
    writes.

    Args:
        recipe: A recipe, the name of a shipped one, or the path of a TOML file.
        output: Folder of the run; receives `model.safetensors` and `card.md`.
        data: Folder of files of the published layout to train on; None simulates scenes live.
        start_from: Shipped model, or `.safetensors` file, whose weights to start from; None starts
            from random ones.
        resume: Whether to continue from the last checkpoint in `output`.
        device: Device to compute on: `auto`, `cpu`, `cuda` or `mps`.
        devices: Number of devices of each node, one process on each.
        nodes: Number of machines that train together.
        tensorboard: Whether to write the curves for TensorBoard, too.
        show_progress: Whether to draw bars on the terminal: the phase that runs, and all of the
            run with the time that is left.
        report: Function called with one line when a phase begins (a stage, a step of the export),
            after each validation, and where a stage stops early; in the first process only.

    Returns:
        Model, card and the end of each stage; None in processes other than the first.

    Raises:
        OutputExistsError: if the folder holds a run, and `resume` is not set.
        RecipeError: if the recipe is invalid, there is nothing to resume, or the run, the data or
            the model do not fit it.
        FileFormatError: if a file of `data` cannot be read.
        FociscopeError: if the device does not exist, another run is writing into `output`, or the
            disk refuses.

    Examples:
        >>> import tempfile
        >>> import fociscope
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fociscope.train("no-such-recipe", folder)
        Traceback (most recent call last):
        fociscope.errors.RecipeError: no recipe 'no-such-recipe'; choose among: layers-a, ...
    """
    plan = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    compute = ComputeSettings(pick_device(device).type, devices, nodes)
    output = Path(output)
    phases = [*stage_phases(plan, from_files=data is not None), *_last_phases(plan)]
    report = report or _silent
    listening = progress_listeners(show_progress=show_progress, report=report)
    with only_run_in(output), listening as listeners:
        progress = TrainingProgress(phases, listeners)
        trained = run(
            plan,
            output,
            resume=resume,
            data=None if data is None else Path(data),
            start_from=start_from,
            compute=compute,
            tensorboard=tensorboard,
            progress=progress,
        )
        if not trained.is_first_process:
            return None
        for stage in trained.stages:
            if stage.stopped_early:
                report(_early_stop(stage))
        return _finished(plan, trained, output, progress)


def _finished(
    plan: Recipe, trained: TrainingOutcome, output: Path, progress: TrainingProgress
) -> TrainedModel:
    """Export the best weights, and score the model for its card."""
    if plan.volume is not None:
        return _finished_volume(plan, trained, output, progress)
    model = export_model(plan, trained.best, output / "model.safetensors", progress=progress)
    card = output / "card.md"
    progress.begin(CARD)
    text = write_card(
        model,
        plan,
        card,
        origin=RunOrigin.read(output / RUN_ORIGIN),
        hours=[stage.hours for stage in trained.stages],
        progress=progress.advance,
    )
    progress.end()
    return TrainedModel(model=model, card=card, card_text=text, stages=trained.stages)


def _last_phases(plan: Recipe) -> list[Phase]:
    """Return the phases after training."""
    if plan.volume is not None:
        return [Phase(VOLUME_CALIBRATION, 1), Phase(CARD, 1, kind="card")]
    return [*export_phases(plan), Phase(CARD, card_scenes(plan), kind="card")]


def _finished_volume(
    plan: Recipe, trained: TrainingOutcome, output: Path, progress: TrainingProgress
) -> TrainedModel:
    """Export the best weights of a volume network, and score the model for its card."""
    progress.begin(VOLUME_CALIBRATION)
    # The score of a checkpoint hangs on single bright captures in its normalisation, which the
    # export renews; at the end of the schedule the weights are at their best.
    last = trained.best.with_name("last.ckpt")
    model = export_volume_model(plan, last, output / "model.safetensors")
    fit_thresholds(model, seed=plan.seeds.calibration)
    fit_samples(model, seed=plan.seeds.calibration)
    progress.advance(1)
    progress.begin(CARD)
    card = output / "card.md"
    text = write_volume_card(card, plan, model, hours=trained.hours)
    progress.advance(1)
    progress.end()
    return TrainedModel(model=model, card=card, card_text=text, stages=trained.stages)


def _early_stop(stage: StageOutcome) -> str:
    """Return a line that says where and why a stage stopped early."""
    where = f"{stage.name}: " if stage.name else ""
    return (
        f"{where}stopped early at step {stage.steps} of {stage.recipe.optimisation.steps}: "
        f"{stage.recipe.validation.patience} validations without a better one"
    )


def _silent(line: str) -> None:
    """Report nothing."""
