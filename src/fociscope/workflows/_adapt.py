"""A model and captures without truth in; a model that knows their chip and tissue out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from fociscope.adaptation.chip import fitted_imager, middle_of, on_small_frame
from fociscope.adaptation.judge import (
    WORSE_RESIDUAL_OF_IMAGER,
    ModelScores,
    is_better,
    scores_of,
)
from fociscope.adaptation.recipe import adaptation_recipe, separation_um
from fociscope.adaptation.tissue import TissueMatch, match_tissue, peak_snr_db
from fociscope.arrays import whole_number
from fociscope.devices import pick_device
from fociscope.errors import CaptureError, FociscopeError, OutputExistsError, RecipeError, printable
from fociscope.figures.adaptation import draw_adaptation
from fociscope.files import atomic_path, open_captures
from fociscope.files.safe.checksum import sha256 as file_sha256
from fociscope.files.safe.locks import locked_folder
from fociscope.files.safe.records import read_record, write_record
from fociscope.imager.geometry import Imager
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.store import ModelInfo, find_model, read_model, write_model
from fociscope.reconstruction.black_level import (
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.reconstruction.engine import load_model
from fociscope.reconstruction.preparation import prepared
from fociscope.results.provenance import imager_sha256, versions
from fociscope.results.writers import FIGURE
from fociscope.series.options import ReconstructionOptions
from fociscope.simulation.base import Specimen
from fociscope.simulation.mixtures import ANY_TISSUE, AnyTissue
from fociscope.simulation.scene import Scenes, simulate
from fociscope.training.export import export_network, export_phases, trained_network
from fociscope.training.hardware import ComputeSettings
from fociscope.training.progress import Phase, ProgressUpdate, TrainingProgress, stage_phases
from fociscope.training.progress_display import progress_listeners
from fociscope.training.recipe import RECIPE_FILE, Recipe
from fociscope.training.run import train
from fociscope.typing import Float32Array
from fociscope.workflows._loading import (
    as_paths,
    data_set_imager,
    loaded_correction,
    loaded_model,
    named_imager,
    named_order,
    with_model,
)

__all__ = ["ADAPTED", "AdaptedModel", "adapt"]

Kept = Literal["adapted", "imager", "nothing"]
Candidate = Literal["before", "imager", "adapted"]

MODEL, IMAGER, START, RUN = "model.safetensors", "imager.toml", "start.json", "training"
ADAPTED, CANDIDATE, TRIED = "adaptation.json", "adapted.safetensors", "tried.safetensors"
#: Captures that a tissue can be told by, that are enough, and that are looked at at most.
LEAST_CAPTURES, ENOUGH_CAPTURES, MOST_CAPTURES = 10, 50, 200
#: Scenes of the matched tissue by which models are compared, their seed, and captures.
JUDGED_SCENES, JUDGED_SEED, JUDGED_CAPTURES = 160, 90_000, 60
#: How far weights go from the old ones to those trained on (Wortsman et al., Robust fine-tuning of
#: zero-shot models, CVPR 2022): half-way, they keep more of what they knew of other tissue.
SHARES = (0.5, 1.0)
#: Phases beside those of training and export.
CHIP, TISSUE, CHOICE = "the chip", "the tissue", "the choice"


@dataclass(frozen=True)
class AdaptedModel:
    """A model after its adaptation, and what spoke for it.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from fociscope.adaptation import ModelScores, TissueMatch
        >>> from fociscope.imager import Imager
        >>> from fociscope.simulation import PerlinFoci
        >>> from fociscope.workflows import AdaptedModel
        >>> scores = ModelScores(np.ones(1), np.zeros(1), np.zeros(1))
        >>> match = TissueMatch((PerlinFoci(),), np.ones(1), 0.1, 0.5)
        >>> done = AdaptedModel(
        ...     Path("run/model.safetensors"), Path("run/imager.toml"), "adapted",
        ...     Imager.reference(), Imager.reference(), match,
        ...     {"before": scores, "imager": scores, "adapted": scores}, 60,
        ... )
        >>> done.kept
        'adapted'
    """

    model: Path
    """The model's file, for `fociscope.load_model`; its imager is the one that was found."""
    imager_file: Path
    """The imager's file."""
    kept: Kept
    """`adapted`: the network was trained on; `imager`: the old network, told the imager that was
    found; `nothing`: neither is better than what there was."""
    stated: Imager
    """The imager as it was stated."""
    imager: Imager
    """The imager that the model holds."""
    tissue: TissueMatch
    """The specimens whose captures are most like those seen."""
    scores: dict[Candidate, ModelScores]
    """Of the old network, told the stated imager (`before`) and the one that was found (`imager`),
    and of the network that was trained on (`adapted`), on the same scenes and captures."""
    captures: int
    """Number of captures that were looked at."""
    warnings: tuple[str, ...] = ()
    """Reasons not to trust it."""


def adapt(
    paths: list[Path | str] | Path | str,
    output: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    fit_imager: bool = True,
    steps: int = 600,
    seed: int = 0,
    resume: bool = False,
    show_progress: bool = False,
    report: Callable[[str], None] | None = None,
) -> AdaptedModel:
    """Adapt a model to a chip and a tissue by captures whose truth nobody knows.

    First the imager is fitted to the captures; then the shares of simulated specimens are found
    whose captures have the same statistics (`fociscope.adaptation.match_tissue`); then the model's
    weights are trained on, on scenes of that tissue through that imager, and calibrated there. On
    other such scenes, old and new are compared, and on the captures themselves what their maps
    leave unexplained. The new weights are kept if they are surely better in pixels or depths and
    worse in nothing.

    Args:
        paths: 50 to 200 captures, as for `fociscope.reconstruct`.
        output: Folder of the run; receives `model.safetensors`, `imager.toml`, `adaptation.json`,
            `figure.png`, and `training/` with the recipe, curves and checkpoints.
        options: Model, imager, layers, corrections, preparation and device.
        fit_imager: Whether the imager is fitted to the captures; otherwise it is taken as stated.
        steps: Optimisation steps, a multiple of 4.
        seed: Seed of everything that is simulated.
        resume: Whether a run that was interrupted goes on.
        show_progress: Whether to draw bars on the terminal.
        report: Function called with one line when a phase begins and after each validation.

    Returns:
        The model, and what spoke for it.

    Raises:
        CaptureError: If there are too few captures, or they do not fit the model.
        FileFormatError: If a file cannot be read.
        ModelError: If the model cannot be adapted.
        OutputExistsError: If the folder holds a run, and `resume` is not set.
        RecipeError: If there is nothing to resume, or the run was of other captures or options.
        FociscopeError: If another run writes into the folder, or the disk refuses.

    Examples:
        >>> import fociscope
        >>> fociscope.adapt("no-such-file.tif", "run")
        Traceback (most recent call last):
        fociscope.errors.FileFormatError: no-such-file.tif: there is no such file; check the path.
    """
    options = options or ReconstructionOptions()
    steps = whole_number(steps, "steps", error=FociscopeError)
    if steps % 4 or steps < 4:
        raise FociscopeError(
            f"steps must be a multiple of 4, for four validations; got {steps}", fields=("steps",)
        )
    captures, imager, options = _read(as_paths(paths), options)
    output = Path(output)
    start = _started(captures, imager, options, steps=steps, seed=seed, fit_imager=fit_imager)
    listening = progress_listeners(show_progress=show_progress, report=report)
    with locked_folder(output), listening as listeners:
        _begin(output, start, resume=resume)
        run = _Adaptation(output, options, captures, imager, steps, seed, fit_imager, start)
        return run.done(listeners)


class _Judged(NamedTuple):
    """What candidates are compared on."""

    scenes: Scenes
    """Of the matched tissue."""
    seen: Float32Array
    """(capture, sensor, y, x) the real captures."""
    layers: int


@dataclass(frozen=True)
class _Adaptation:
    """One run: what it starts from, and the steps that lead to a model."""

    output: Path
    options: ReconstructionOptions
    captures: Float32Array
    stated: Imager
    steps: int
    seed: int
    fit_imager: bool
    start: dict[str, Any]

    @property
    def base(self) -> Path:
        """File of the model that is adapted."""
        assert self.options.model is not None
        return find_model(self.options.model)

    @property
    def name(self) -> str:
        """Name of the new model, after its folder."""
        return model_name(self.output.resolve().name)

    def done(self, listeners: Sequence[Callable[[ProgressUpdate], None]]) -> AdaptedModel:
        """Fit imager and tissue, train, choose, and write the results."""
        _, info = read_model(self.base)
        layers = self.options.layers or info.layers
        progress = TrainingProgress(
            self._phases(self._recipe(info, self.stated, AnyTissue(), layers)), listeners
        )
        progress.begin(CHIP)
        imager, warnings = self.stated, tuple[str, ...]()
        if self.fit_imager:
            imager, warnings = fitted_imager(self.captures, self.stated)
        progress.advance(1)
        progress.end()
        progress.begin(TISSUE)
        small = on_small_frame(imager)
        seen = middle_of(self.captures, small.frame_px)
        tissue = match_tissue(
            seen,
            small,
            layers=layers,
            min_separation_um=separation_um(layers, imager.gap_um),
            seed=self.seed,
            progress=lambda done, _: progress.advance(done),
        )
        progress.end()
        recipe = self._recipe(info, imager, tissue.specimen, layers)
        trained = self._trained(recipe, progress)
        judged = _Judged(self._scenes(imager, tissue, layers), seen, layers)
        kept, scores = self._chosen(recipe, imager, trained, judged, progress)
        result = AdaptedModel(
            model=self.output / MODEL,
            imager_file=self.output / IMAGER,
            kept=kept,
            stated=self.stated,
            imager=self.stated if kept == "nothing" else imager,
            tissue=tissue,
            scores=scores,
            captures=len(self.captures),
            warnings=(*_few(len(self.captures)), *warnings),
        )
        self._write(result, judged)
        return result

    def _recipe(self, info: ModelInfo, imager: Imager, tissue: Specimen, layers: int) -> Recipe:
        return adaptation_recipe(
            info,
            imager,
            tissue,
            name=self.name,
            peak_snr_db=peak_snr_db(self.captures),
            layers=layers,
            steps=self.steps,
            seed=self.seed,
        )

    def _phases(self, recipe: Recipe) -> list[Phase]:
        """Return the phases of the run, of any recipe with so many steps and scenes."""
        first = [Phase(CHIP, 1, unit="imager"), Phase(TISSUE, len(ANY_TISSUE), unit="specimens")]
        trained = stage_phases(recipe, from_files=False)
        return [*first, *trained, *export_phases(recipe), Phase(CHOICE, 1, unit="model")]

    def _trained(self, recipe: Recipe, progress: TrainingProgress) -> LayerNet:
        """Train on, and return the network with its last averaged weights."""
        folder = self.output / RUN
        trained = train(
            recipe,
            folder,
            resume=(folder / RECIPE_FILE).is_file(),
            start_from=self.base,
            compute=ComputeSettings(pick_device(self.options.device).type),
            progress=progress,
        )
        return trained_network(recipe, trained.best.with_name("last.ckpt"))

    def _between(self, trained: LayerNet, share: float) -> LayerNet:
        """Return a network whose weights lie between the old ones and those trained on."""
        network, _ = read_model(self.base)
        moved = trained.state_dict()
        for name, tensor in network.state_dict().items():
            if name in moved and tensor.is_floating_point():
                tensor.lerp_(moved[name], share)
        return network

    def _scenes(self, imager: Imager, tissue: TissueMatch, layers: int) -> Scenes:
        """Simulate what models are compared on."""
        return simulate(
            JUDGED_SCENES,
            seed=JUDGED_SEED + self.seed,
            layers=layers,
            imager=on_small_frame(imager),
            peak_snr_db=min(peak_snr_db(self.captures), imager.camera.highest_peak_snr_db()),
            min_separation_um=separation_um(layers, imager.gap_um),
            specimen=tissue.specimen,
        )

    def _scored(self, judged: _Judged, path: Path, told: Imager) -> ModelScores:
        """Return the scores of a model's file with an imager."""
        model = load_model(path, imager=on_small_frame(told), device=self.options.device)
        seen = judged.seen[:: max(1, len(judged.seen) // JUDGED_CAPTURES)]
        return scores_of(model, judged.scenes, seen, judged.layers)

    def _chosen(
        self,
        recipe: Recipe,
        imager: Imager,
        trained: LayerNet,
        judged: _Judged,
        progress: TrainingProgress,
    ) -> tuple[Kept, dict[Candidate, ModelScores]]:
        """Compare the candidates, export the best network, and return what is kept."""
        folder = self.output / RUN
        before = self._scored(judged, self.base, self.stated)
        is_stated = imager == self.stated
        told = before if is_stated else self._scored(judged, self.base, imager)
        scores: dict[Candidate, ModelScores] = {"before": before, "imager": told}
        kept: Kept = "nothing"
        if is_better(scores["imager"], scores["before"], worse_residual=WORSE_RESIDUAL_OF_IMAGER):
            kept = "imager"
        _, info = read_model(self.base)
        networks, tried = {}, {}
        for share in SHARES:
            networks[share] = self._between(trained, share)
            write_model(folder / TRIED, networks[share], info, overwrite=True)
            tried[share] = self._scored(judged, folder / TRIED, imager)
        (folder / TRIED).unlink()
        able = [share for share in SHARES if is_better(tried[share], scores["imager"])]
        best = max(able or SHARES[:1], key=lambda share: tried[share].mean_accuracy)
        export_network(recipe, networks[best], folder / CANDIDATE, progress=progress)
        progress.begin(CHOICE)
        scores["adapted"] = self._scored(judged, folder / CANDIDATE, imager)
        if is_better(scores["adapted"], scores["imager" if kept == "imager" else "before"]):
            kept = "adapted"
        progress.end()
        return kept, scores

    def _write(self, result: AdaptedModel, judged: _Judged) -> None:
        """Write the model, its imager, the figure, and last the record."""
        network, info = read_model(
            self.output / RUN / CANDIDATE if result.kept == "adapted" else self.base
        )
        about = {"name": self.name, "imager": result.imager, "guarantees": None}
        result.imager.to_toml(result.imager_file, overwrite=True)
        write_model(result.model, network, info.model_copy(update=about), overwrite=True)
        with atomic_path(self.output / FIGURE, overwrite=True) as part:
            figure = draw_adaptation(
                result.tissue, result.scores, judged.seen, judged.scenes.captures, self.name
            )
            figure.savefig(part, format="png", dpi=150)
        write_record(self.output / ADAPTED, {**self.start, **_about(result)}, overwrite=True)


def _read(
    paths: Sequence[Path], options: ReconstructionOptions
) -> tuple[Float32Array, Imager, ReconstructionOptions]:
    """Return corrected captures, evenly spaced in time, the stated imager, and the model's options.

    Raises:
        CaptureError: If they are too few, or do not fit the model.
    """
    with open_captures(
        paths,
        pages=options.pages,
        allow_non_finite=bool(options.chip_files[2]),
        pixel_order=named_order(options),
    ) as files:
        series = prepared(files, options.preparation)
        count, sensors = len(series), files.shape[1]
        if count < LEAST_CAPTURES:
            raise CaptureError(
                f"{count} capture(s) are too few to tell a chip and a tissue by; at least "
                f"{LEAST_CAPTURES} are needed, and {ENOUGH_CAPTURES} to {MOST_CAPTURES} are better"
            )
        options = with_model(options, sensors)
        model = loaded_model(options, lambda: (files.shape[2], files.shape[3]))
        if model.imager.sensors > sensors:
            raise CaptureError(
                f"{model.info.name} needs the captures of sensors A and B; these are of one"
            )
        if (options.layers or 1) > model.info.architecture.layers:
            raise CaptureError(
                f"layers must lie within 1 to {model.info.architecture.layers} for "
                f"{model.info.name}; got {options.layers}",
                fields=("layers",),
            )
        imager = named_imager(options) or data_set_imager(paths) or model.imager
        chosen = np.unique(np.linspace(0, count - 1, MOST_CAPTURES).astype(int))
        raw = np.concatenate([series.read(int(n), int(n) + 1) for n in chosen])
        black = find_black_level(
            files.read(0, 1), stated_black_level(named_imager(options)), has_dark=options.has_dark
        )
        correction = with_black_level(loaded_correction(options, sensors), black)
    frame_px = (raw.shape[-2], raw.shape[-1])
    imager = imager.with_(sensors=model.imager.sensors, frame_px=frame_px, dead_pixels=())
    captures = torch.from_numpy(raw[:, : imager.sensors])
    if correction is not None:
        captures, _ = correction(captures)
    return captures.numpy().astype(np.float32), imager, options


def _begin(output: Path, start: dict[str, Any], *, resume: bool) -> None:
    """Take the folder for a run, or hold it against the run that it has begun.

    Raises:
        OutputExistsError: If it holds something, and `resume` is not set.
        RecipeError: If there is nothing to resume, or the run in it is another one.
    """
    record = output / START
    if not resume:
        if any(output.iterdir()):
            raise OutputExistsError(
                f"{printable(output)}: not empty; choose another folder, or resume a run in it",
                fields=("resume",),
            )
        write_record(record, start)
        return
    if not record.is_file():
        raise RecipeError(f"{printable(output)}: holds no adaptation to resume", fields=("resume",))
    begun = read_record(record, "the beginning of an adaptation", error=RecipeError)
    other = sorted(name for name in start if begun.get(name) != start[name])
    if other:
        raise RecipeError(
            f"{printable(output)}: the adaptation in it had another {', '.join(other)}; "
            "name what it had, or choose another folder"
        )


def _started(
    captures: Float32Array, imager: Imager, options: ReconstructionOptions, **more: Any
) -> dict[str, Any]:
    """Return what a run depends on, for its record."""
    assert options.model is not None
    return {
        "captures": len(captures),
        "captures_sha256": hashlib.sha256(np.ascontiguousarray(captures).tobytes()).hexdigest(),
        "model": str(options.model),
        "model_sha256": file_sha256(find_model(options.model)),
        "stated_imager_sha256": imager_sha256(imager),
        "layers": options.layers or 0,
        **more,
    }


def _about(result: AdaptedModel) -> dict[str, Any]:
    """Return what came of a run, for its record."""
    return {
        "kept": result.kept,
        "stated_imager": result.stated.model_dump(mode="json", exclude_none=True),
        "imager": result.imager.model_dump(mode="json", exclude_none=True),
        "tissue": {kind: round(share, 4) for kind, share in result.tissue.by_kind.items()},
        "tissue_distance": round(result.tissue.distance, 4),
        "broad_mixture_distance": round(result.tissue.usual_distance, 4),
        "on_matched_tissue": {
            name: {
                "accuracy": round(scores.mean_accuracy, 5),
                "depth_error_um": _finite(scores.mean_depth_error_um),
                "residual_of_captures": round(scores.median_residual, 5),
            }
            for name, scores in result.scores.items()
        },
        "warnings": list(result.warnings),
        **versions(),
    }


def _finite(value: float) -> float | None:
    """Return a number as a record holds it; None where there is none."""
    return round(value, 2) if np.isfinite(value) else None


def _few(captures: int) -> tuple[str, ...]:
    """Return a warning about few captures."""
    if captures >= ENOUGH_CAPTURES:
        return ()
    return (f"{captures} captures are few to tell a tissue by; {ENOUGH_CAPTURES} are better",)


def model_name(folder: str) -> str:
    """Return a model's name from that of a folder: letters, digits and hyphens.

    Examples:
        >>> from fociscope.workflows._adapt import model_name
        >>> model_name("Mouse 7, left")
        'mouse-7-left'
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    return name[:60] or "adapted"
