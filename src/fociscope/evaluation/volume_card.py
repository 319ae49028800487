"""The card of a volume model: how it was trained, and what it scores beside solvers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fociscope.evaluation.volume_ranks import fit_copula
from fociscope.evaluation.volumes import (
    VOLUME_CONDITIONS,
    GridMethod,
    VolumeScores,
    fitted_to,
    score_volumes,
    solver_on_slices,
)
from fociscope.files import atomic_path
from fociscope.networks.volume_store import read_volume_model, write_volume_model
from fociscope.reconstruction.volume import VolumeModel, load_volume_model
from fociscope.simulation.volume_scenes import simulate_volumes
from fociscope.training.recipe import Recipe
from fociscope.typing import Float32Array

__all__ = ["fit_samples", "fit_thresholds", "model_on_slices", "volume_table", "write_volume_card"]

#: Solvers beside the model.
SOLVERS = ("richardson-lucy", "fista")
#: Of each kind, that the thresholds of a model are fitted to.
FITTED_SCENES = 48
#: That the correlation of voxels is fitted to, and the number of the first of them.
SAMPLED_SCENES, FIRST_SAMPLED = 64, 1000
#: Scenes of each condition on a card.
CARD_SCENES = 24


def model_on_slices(model: VolumeModel) -> GridMethod:
    """Return a volume model as a method, with the thresholds of its file."""

    def solve(captures: Float32Array) -> tuple[Float32Array, Float32Array]:
        volume = model.reconstruct(captures)
        return volume.probability, volume.intensity

    info = model.info
    return GridMethod(
        info.name,
        solve,
        mask_threshold=info.mask_threshold,
        focus_threshold=info.focus_threshold,
        spread_scale=info.spread_scale,
    )


def fit_thresholds(path: Path, *, seed: int) -> None:
    """Fit the thresholds and the spread of a volume model's file, and write them into it.

    Args:
        path: Path of the model.
        seed: Seed of the scenes that they are fitted to.
    """
    model = load_volume_model(path, device="cpu")
    slices = model.info.architecture.slices
    method = model_on_slices(model)
    fitted = fitted_to(method, model.imager, seed=seed, scenes=FITTED_SCENES, slices=slices)
    network, info = read_volume_model(path)
    changes = {
        "mask_threshold": fitted.mask_threshold,
        "focus_threshold": fitted.focus_threshold,
        "spread_scale": fitted.spread_scale,
    }
    write_volume_model(path, network, info.model_copy(update=changes), overwrite=True)


def fit_samples(path: Path, *, seed: int) -> None:
    """Fit how the voxels of a volume model go together, and write it into its file.

    Args:
        path: Path of the model.
        seed: Seed of the scenes, of the mixture that recipes train on.
    """
    model = load_volume_model(path, device="cpu")
    scenes = simulate_volumes(
        SAMPLED_SCENES,
        seed=seed,
        first=FIRST_SAMPLED,
        imager=model.imager,
        slices=model.info.architecture.slices,
    )
    light = scenes.light * np.float32(model.imager.psf.collection_efficiency())
    volumes = model.reconstruct(scenes.captures)
    copula = fit_copula(volumes, scenes.mask, light, seed=seed)
    network, info = read_volume_model(path)
    write_volume_model(path, network, info.model_copy(update={"copula": copula}), overwrite=True)


def volume_table(scores: Sequence[VolumeScores]) -> list[str]:
    """Return the lines of a Markdown table of scores, one row for each, in their order."""

    def number(value: float, digits: int = 1, scale: float = 1.0) -> str:
        return "" if np.isnan(value) else f"{scale * value:.{digits}f}"

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if len(values) else float("nan")

    lines = [
        "| condition | method | Dice, ±1 voxel | Jaccard | F1 of foci | axial error (µm) "
        "| 68 % interval covers (%) | surface error (µm) | layers' accuracy (%) "
        "| layers' depth (µm) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for s in scores:
        cells = (
            s.condition,
            s.method,
            number(mean(s.dice), 3),
            number(mean(s.jaccard), 3),
            number(s.f1, 3),
            number(s.axial_error_um),
            number(s.coverage, 0, 100.0),
            number(mean(s.surface_um)),
            number(mean(s.layer_accuracy), 1, 100.0),
            number(mean(s.layer_depth_um)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def write_volume_card(path: Path, recipe: Recipe, model_path: Path, *, hours: float) -> str:
    """Score a volume model on unseen scenes, beside solvers, and write its card.

    Args:
        path: Path of the card, a Markdown file.
        recipe: Recipe of the run.
        model_path: Path of the model.
        hours: Duration of the training.

    Returns:
        Text of the card.
    """
    model = load_volume_model(model_path, device="cpu")
    imager, slices = model.imager, model.info.architecture.slices
    solvers = [
        fitted_to(
            solver_on_slices(imager, name, slices),
            imager,
            seed=recipe.seeds.calibration,
            slices=slices,
        )
        for name in SOLVERS
    ]
    scores: list[VolumeScores] = []
    for condition in VOLUME_CONDITIONS:
        if condition.layers > slices:  # no grid for so many
            continue
        scenes = simulate_volumes(
            CARD_SCENES,
            seed=recipe.seeds.test,
            imager=imager,
            specimen=condition.specimen,
            slices=slices,
        )
        methods = [model_on_slices(model), *solvers]
        scores += score_volumes(condition, scenes, methods, pitch_um=imager.square_pitch_um)
    text = _card(model, recipe, scores, hours)
    with atomic_path(path, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
    return text


def _card(model: VolumeModel, recipe: Recipe, scores: Sequence[VolumeScores], hours: float) -> str:
    """Return the text of a card."""
    info = model.info
    parameters = sum(p.numel() for p in model.network.parameters())
    steps = sum(stage.optimisation.steps for stage in recipe.stage_recipes())
    (angle, blur, snr) = (
        f"{low:g} to {high:g}"
        for low, high in (info.half_angle_deg, info.base_blur_px, info.peak_snr_db)
    )
    lines = [
        f"# {info.name}",
        "",
        f"Captures of {model.imager.sensors} sensor(s) and the imager in; probability of cells and "
        f"light in {info.architecture.slices} slices of the gap out. {parameters:,} parameters.",
        "",
        "## Training",
        "",
        f"{steps} steps of {recipe.optimisation.batch_scenes} scenes, {hours:.1f} hours, on "
        f"volumes of the kind {_kind(recipe)}, simulated as it went: half angle {angle} degrees, "
        f"base blur {blur} pixels, peak SNR {snr} dB (seeds: {_seeds(recipe)}).",
        "",
        f"## Scores on {CARD_SCENES} unseen scenes of each condition, 40 dB",
        "",
        "Not in the training: "
        + ", ".join(c.name for c in VOLUME_CONDITIONS if not c.in_training)
        + ".",
        "",
        *volume_table(scores),
        "",
        "## Limits",
        "",
        "- Trained and scored on simulation; no capture of a real specimen with known depths "
        "was at hand.",
        "- Slices are fixed: equal shares of the gap.",
        "- It has no check of its own for captures unlike those of its training; heed the "
        "self-check residual.",
        "- Not a medical device.",
        "",
    ]
    return "\n".join(lines)


def _seeds(recipe: Recipe) -> str:
    return ", ".join(f"{name} {seed}" for name, seed in recipe.seeds)


def _kind(recipe: Recipe) -> str:
    assert recipe.volume is not None
    return str(recipe.volume.specimen.kind)
