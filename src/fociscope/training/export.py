"""From the best checkpoint to a model file: take the averaged weights, calibrate, describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fociscope.imager.projector import LayerProjector
from fociscope.networks.calibration import (
    OutputCalibration,
    fit_calibration,
    fit_growth,
    fit_presence,
)
from fociscope.networks.foci import (
    FocusProbability,
    are_there,
    fit_focus_probability,
    highest_in_each,
    number_foci,
)
from fociscope.networks.layer_net import LayerNet, LayerNetOutput
from fociscope.networks.map_quality import MapQuality, fit_map_quality, is_wrong, map_terms
from fociscope.networks.ood import (
    CaptureStatistics,
    OutOfDistributionLimits,
    capture_statistics,
    fit_out_of_distribution,
    with_psf_mismatch,
)
from fociscope.networks.psf_width import PsfWidthEstimator, fit_psf_width_estimator, width_features
from fociscope.networks.reprojection import light_and_depth, reproject
from fociscope.networks.store import ModelInfo, write_model
from fociscope.simulation.base import Specimen
from fociscope.training._augmentation import exposed
from fociscope.training._batches import (
    TrainingBatch,
    conditioned_batch,
    conditioning_noise,
    reference_scenes,
)
from fociscope.training._checkpoint import network_weights, read_state
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.progress import Phase, TrainingProgress
from fociscope.training.recipe import Recipe

__all__ = ["export_model", "export_network", "trained_network"]

#: Pixels of one sensor that are predicted at a time, and that are calibrated on in all.
EXPORT_BATCH_PIXELS, FITTED_PIXELS = 100 * 51 * 51, 1000 * 51 * 51
#: Added to the calibration seed for the PSF-width estimator's scenes.
_PSF_WIDTH_SEED_OFFSET = 1_000_000
#: The same for the scenes of the map-quality check; how many more than those of the limits, and
#: which shares of them are saturated and conditioned on a wrong imager.
_MAP_QUALITY_SEED_OFFSET = 2_000_000
MAP_QUALITY_SCENES, SATURATED_FRACTION, MISMATCHED_FRACTION = 2, 0.12, 0.2
#: The same for the scenes of the normalisation, and how many chunks of them there are.
_NORMALISATION_SEED_OFFSET, NORMALISATION_BATCHES = 3_000_000, 48
#: Saturated captures are cut at a share of their peak within this range.
CUT_AT = (0.25, 0.95)
_CHIP = 1  # random stream under the calibration seed; scenes have streams of their own


#: Phases of the export.
PSF_WIDTH, LIMITS, CALIBRATION = "export: PSF width", "export: limits", "export: calibration"
MAP_QUALITY, FOCI = "export: map quality", "export: foci"
NORMALISATION = "export: normalisation"


def export_phases(recipe: Recipe) -> list[Phase]:
    """Return the phases of exporting a model by a recipe.

    Args:
        recipe: Recipe of the run; of one with stages, the last stage counts.
    """
    recipe = recipe.stage_recipes()[-1]
    settings = recipe.calibration
    reference, each = settings.split()
    scenes = {
        NORMALISATION: NORMALISATION_BATCHES * recipe.stream.chunk_scenes,
        PSF_WIDTH: settings.psf_width_scenes,
        LIMITS: settings.family_scenes,
        CALIBRATION: reference + each * (1 + len(settings.unfamiliar)),
        MAP_QUALITY: MAP_QUALITY_SCENES * settings.family_scenes,
        FOCI: 2 * reference + settings.family_scenes,
    }
    if recipe.network.sensors == 1:
        del scenes[PSF_WIDTH]
    return [Phase(name, count) for name, count in scenes.items()]


def export_model(
    recipe: Recipe, checkpoint: Path, path: Path, *, progress: TrainingProgress | None = None
) -> Path:
    """Calibrate the network of a checkpoint and write it as a model file.

    Probabilities and depth deviations are calibrated on scenes under the reference conditions, the
    growth of deviations on scenes of other specimens besides; the presence, the limits of the
    out-of-distribution check, the map-quality check and, for two sensors, the PSF-width estimator
    are fitted to scenes of the training family, the probability of foci to both. All are drawn from
    the recipe's calibration seed.

    Args:
        recipe: Recipe of the run; of one with stages, the last stage counts.
        checkpoint: Checkpoint of a run, with averaged weights.
        path: Path of the model file; an existing one is replaced.
        progress: Receives the phases of the export, which its phases include.

    Returns:
        `path`.

    Raises:
        RecipeError: if the checkpoint is missing or damaged.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.networks import read_model
        >>> from fociscope.training import ComputeSettings, Recipe, export_model, train
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
        >>> model = export_model(recipe, outcome.best, Path("run/model.safetensors"))
        >>> network, info = read_model(model)
        >>> info.name, info.layers
        ('tiny', 1)
    """
    recipe = recipe.stage_recipes()[-1]
    return export_network(recipe, trained_network(recipe, checkpoint), path, progress=progress)


def trained_network(recipe: Recipe, checkpoint: Path) -> LayerNet:
    """Return the network of a checkpoint, with averaged weights.

    Args:
        recipe: Recipe of the run.
        checkpoint: Checkpoint of the run.

    Returns:
        The network, not yet calibrated.

    Raises:
        RecipeError: if the checkpoint is missing or damaged.
    """
    network = LayerNet(recipe.network)
    network.load_state_dict(network_weights(read_state(checkpoint)))
    return network.eval()


def export_network(
    recipe: Recipe, network: LayerNet, path: Path, *, progress: TrainingProgress | None = None
) -> Path:
    """Calibrate a network and write it as a model file, as `export_model` does.

    Args:
        recipe: Recipe without stages.
        network: Network; its normalisation is renewed in place.
        path: Path of the model file; an existing one is replaced.
        progress: Receives the phases of the export, which its phases include.

    Returns:
        `path`.
    """
    progress = progress or TrainingProgress(export_phases(recipe))
    _renew_normalisation(recipe, network, progress)
    if recipe.network.sensors > 1:
        network.psf_width = _fit_psf_width(recipe, network, progress)
    presence, limits = _fit_presence_and_limits(recipe, network, progress)
    calibration = _calibrate(recipe, network, presence, progress)
    info = ModelInfo(
        name=recipe.name,
        architecture=recipe.network,
        layers=recipe.validation.layers,
        imager=recipe.imager,
        half_angle_deg=recipe.family.half_angle_deg,
        base_blur_px=recipe.family.base_blur_px,
        peak_snr_db=recipe.family.peak_snr_db,
        calibration=calibration,
        out_of_distribution=limits,
        map_quality=_fit_map_quality(recipe, network, calibration, progress),
        focus_probability=_fit_focus_probability(recipe, network, calibration, progress),
    )
    progress.end()
    write_model(path, network, info, overwrite=True)
    return path


@torch.no_grad()
def _renew_normalisation(recipe: Recipe, network: LayerNet, progress: TrainingProgress) -> None:
    """Set the statistics of batch normalisation, in place, to the medians over training batches.

    Those that training leaves are running means over its last batches. One capture of a single
    bright cell among them can hold a hundred times the variance of all others, and shift every map.
    """
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    seeds = recipe.seeds.model_copy(
        update={"training": recipe.seeds.calibration + _NORMALISATION_SEED_OFFSET}
    )
    live = LiveScenes(recipe.model_copy(update={"seeds": seeds}))
    rng = np.random.default_rng([seeds.training, _CHIP])
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # each batch's own statistics
    network.train()
    progress.begin(NORMALISATION)
    seen = []
    for number in range(NORMALISATION_BATCHES):
        drawn = live.chunk(number)
        captures = exposed(drawn.captures, recipe, rng, fixed_pattern=live.fixed_pattern)
        batch = live.conditioning.batch(captures, drawn, rng)
        network(batch.captures, batch.optics, batch.most_layers)
        seen.append([statistic.clone() for norm in norms for statistic in _statistics(norm)])
        progress.add(len(captures))
    network.eval()
    statistics = [statistic for norm in norms for statistic in _statistics(norm)]
    for statistic, values in zip(statistics, zip(*seen, strict=True), strict=True):
        statistic.copy_(torch.stack(values).median(dim=0).values)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _statistics(norm: torch.nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


@dataclass(frozen=True)
class _Scenes:
    """Scenes that the network is run on, with their truth."""

    batch: TrainingBatch
    layers: int
    """Layers that each scene has a truth for, at least."""


@dataclass(frozen=True)
class _FamilyScenes(_Scenes):
    """Captures of the training family, and the conditioning on their imagers."""

    projector: LayerProjector
    psf: dict[str, Tensor]
    """(scene,) PSF parameters as in the conditioning, for the projector."""
    optics: Tensor
    """(scene, feature) of the true imagers."""
    spoiled: Tensor
    """(scene,) whether the capture is saturated or conditioned on another imager."""


SomeScenes = TypeVar("SomeScenes", bound=_Scenes)


@torch.no_grad()
def _measured(
    network: LayerNet,
    scenes: Iterator[SomeScenes],
    measure: Callable[[SomeScenes, LayerNetOutput], tuple[Tensor, ...]],
    progress: TrainingProgress,
) -> tuple[Tensor, ...]:
    """Run the network over scenes, batch by batch.

    Args:
        network: Trained network.
        scenes: Batches of scenes.
        measure: Returns tensors, whose first axis is the scene or any other that adds up.
        progress: Receives the number of scenes of each batch.

    Returns:
        What was measured of all batches, concatenated along the first axis.
    """
    parts = []
    for some in scenes:
        batch = some.batch
        output = network(batch.captures, batch.optics, batch.most_layers)
        parts.append(measure(some, output))
        progress.add(len(batch.captures))
    return tuple(torch.cat(values) for values in zip(*parts, strict=True))


def _calibrate(
    recipe: Recipe,
    network: LayerNet,
    presence: tuple[float, float],
    progress: TrainingProgress,
) -> OutputCalibration:
    """Fit to reference scenes, and the growth of deviations to scenes of other specimens too.

    Of large frames, to as many of their pixels as memory allows.
    """
    height, width = recipe.imager.frame_px
    settings = recipe.calibration
    count, each = settings.split()
    step = max(1, count * height * width // FITTED_PIXELS)

    def some_pixels(images: Tensor) -> Tensor:
        return images.flatten(2)[..., ::step, None].clone()

    def output_and_truth(scenes: _Scenes, output: LayerNetOutput) -> tuple[Tensor, ...]:
        kept = output._replace(logit=some_pixels(output.logit), intensity=torch.empty(0))
        batch, layers = scenes.batch, scenes.layers
        return *kept, some_pixels(batch.mask[:, :layers]), batch.depth[:, :layers]

    def depths(scenes: _Scenes, output: LayerNetOutput) -> tuple[Tensor, ...]:
        # A layer without cells has no depth that is scored.
        has_cells = scenes.batch.mask[:, : scenes.layers].amax(dim=(-2, -1)) > 0
        depth = torch.where(has_cells, scenes.batch.depth[:, : scenes.layers], torch.nan)
        return *output._replace(logit=torch.empty(0), intensity=torch.empty(0)), depth

    progress.begin(CALIBRATION)
    scenes = _reference_batches(recipe, count)
    *fields, mask, depth = _measured(network, scenes, output_and_truth, progress)
    reference = LayerNetOutput(*fields)
    calibration = fit_calibration(reference, mask, depth, presence=presence)
    kinds = []
    for number, specimen in enumerate((recipe.scenes.mixture, *settings.unfamiliar)):
        scenes = _reference_batches(recipe, each, specimen, first=count + number * each)
        if each:
            *fields, true = _measured(network, scenes, depths, progress)
            kinds.append((LayerNetOutput(*fields), true))
    return fit_growth(calibration, (reference, depth), kinds)


def _fit_psf_width(
    recipe: Recipe, network: LayerNet, progress: TrainingProgress
) -> PsfWidthEstimator:
    """Fit the PSF-width estimator; half of the scenes are conditioned on a wrong imager."""

    def inputs_and_truth(scenes: _FamilyScenes, output: LayerNetOutput) -> tuple[Tensor, ...]:
        batch = scenes.batch
        # The features do not depend on the reprojection.
        statistics = capture_statistics(batch.captures, batch.captures, batch.optics)
        return output.context, statistics.features, width_features(scenes.optics)

    # Scenes of its own: the limits of the PSF mismatch are fitted to others.
    seed = recipe.seeds.calibration + _PSF_WIDTH_SEED_OFFSET
    count = recipe.calibration.psf_width_scenes
    progress.begin(PSF_WIDTH)
    scenes = _family_batches(recipe, seed, count, mismatched_fraction=0.5)
    return fit_psf_width_estimator(
        *_measured(network, scenes, inputs_and_truth, progress), seed=recipe.seeds.weights
    )


def _fit_presence_and_limits(
    recipe: Recipe, network: LayerNet, progress: TrainingProgress
) -> tuple[tuple[float, float], OutOfDistributionLimits]:
    """Fit both to scenes of the training family."""
    slots = torch.arange(recipe.network.layers)

    def presence_and_statistics(
        scenes: _FamilyScenes, output: LayerNetOutput
    ) -> tuple[Tensor, ...]:
        batch = scenes.batch
        asked = slots < batch.most_layers[:, None]
        statistics, _ = _statistics_and_light(recipe, network, scenes, output, output.present)
        there = (slots < batch.layers[:, None])[asked].float()
        return output.presence_logit[asked], there, *statistics

    progress.begin(LIMITS)
    scenes = _family_batches(recipe, recipe.seeds.calibration, recipe.calibration.family_scenes)
    logit, there, *statistics = _measured(network, scenes, presence_and_statistics, progress)
    limits = fit_out_of_distribution(CaptureStatistics(*statistics))
    return fit_presence(logit, there), limits


def _fit_map_quality(
    recipe: Recipe,
    network: LayerNet,
    calibration: OutputCalibration,
    progress: TrainingProgress,
) -> MapQuality | None:
    """Fit to calibrated maps of the training family, many of which are wrong."""
    slots = torch.arange(recipe.network.layers)

    def terms_and_truth(scenes: _FamilyScenes, output: LayerNetOutput) -> tuple[Tensor, ...]:
        batch = scenes.batch
        asked = slots < batch.most_layers[:, None]
        presence = calibration.presence(output) * asked
        statistics, light = _statistics_and_light(recipe, network, scenes, output, presence >= 0.5)
        probability = calibration.probability(output) * asked[..., None, None]
        std = calibration.depth_std(output, asked)
        terms = map_terms(probability, presence, light, std, statistics)
        marked = (probability > 0.5) & (presence >= 0.5)[..., None, None]
        wrong = is_wrong(marked, batch.mask > 0.5, output.depth.clamp(0, 1), batch.depth)
        return terms.terms, wrong, scenes.spoiled, *statistics

    progress.begin(MAP_QUALITY)
    batches = _family_batches(
        recipe,
        recipe.seeds.calibration + _MAP_QUALITY_SEED_OFFSET,
        MAP_QUALITY_SCENES * recipe.calibration.family_scenes,
        mismatched_fraction=MISMATCHED_FRACTION,
        saturated_fraction=SATURATED_FRACTION,
    )
    terms, wrong, spoiled, *statistics = _measured(network, batches, terms_and_truth, progress)
    return fit_map_quality(terms, wrong, CaptureStatistics(*statistics), spoiled)


def _statistics_and_light(
    recipe: Recipe,
    network: LayerNet,
    scenes: _FamilyScenes,
    output: LayerNetOutput,
    present: Tensor,
) -> tuple[CaptureStatistics, Tensor]:
    """Return the statistics of captures, and the light of their maps, as reconstruction does."""
    batch = scenes.batch
    light, depth_um = light_and_depth(output, present, batch.captures, recipe.imager.gap_um)
    seen = reproject(scenes.projector, light, depth_um, batch.captures, **scenes.psf)
    statistics = capture_statistics(batch.captures, seen, batch.optics)
    if network.psf_width is not None:
        statistics = with_psf_mismatch(statistics, output.context, network.psf_width)
    return statistics, light


def _fit_focus_probability(
    recipe: Recipe,
    network: LayerNet,
    calibration: OutputCalibration,
    progress: TrainingProgress,
) -> FocusProbability | None:
    """Fit it to the foci of calibrated maps, under all conditions that calibration knows."""

    def measures_and_truth(scenes: _Scenes, output: LayerNetOutput) -> tuple[Tensor, ...]:
        asked = torch.arange(recipe.network.layers) < scenes.batch.most_layers[:, None]
        probability = calibration.probability(output)
        present = (calibration.presence(output) >= 0.5) & asked
        masks = ((probability > 0.5) & present[..., None, None]).flatten(0, 1).numpy()
        p = probability.flatten(0, 1).double().numpy()
        numbers, image = number_foci(masks)
        foci = len(image)
        pixels = np.bincount(numbers.ravel(), minlength=foci + 1)[1:]
        mean = np.bincount(numbers.ravel(), p.ravel(), foci + 1)[1:] / np.maximum(pixels, 1)
        there = are_there(numbers, foci, scenes.batch.mask.flatten(0, 1).numpy() > 0.5)
        highest = highest_in_each(numbers, foci, p)
        return tuple(torch.from_numpy(values) for values in (highest, mean, pixels, there))

    progress.begin(FOCI)
    settings = recipe.calibration
    count, _ = settings.split()
    scenes: Iterator[_Scenes] = chain(
        _reference_batches(recipe, count),
        _reference_batches(recipe, count, recipe.scenes.mixture, first=settings.scenes),
        _family_batches(recipe, recipe.seeds.calibration, settings.family_scenes),
    )
    highest, mean, pixels, there = _measured(network, scenes, measures_and_truth, progress)
    return fit_focus_probability(highest.numpy(), mean.numpy(), pixels.numpy(), there.numpy())


def _reference_batches(
    recipe: Recipe, scenes: int, specimen: Specimen | None = None, *, first: int = 0
) -> Iterator[_Scenes]:
    """Yield calibration scenes under the reference conditions, of the usual specimen by default."""
    height, width = recipe.imager.frame_px
    at_once, seed = max(1, EXPORT_BATCH_PIXELS // (height * width)), recipe.seeds.calibration
    for start in range(0, scenes, at_once):
        drawn = reference_scenes(
            recipe, min(at_once, scenes - start), seed, first=first + start, specimen=specimen
        )
        yield _Scenes(conditioned_batch(recipe, drawn), drawn.mask.shape[1])


def _family_batches(
    recipe: Recipe,
    seed: int,
    scenes: int,
    *,
    mismatched_fraction: float = 0.0,
    saturated_fraction: float = 0.0,
) -> Iterator[_FamilyScenes]:
    """Yield valid captures of the whole training family, with errors of the conditioning.

    Args:
        recipe: Recipe whose family they are of; drawn evenly, without its focus.
        seed: Seed of scenes and errors.
        scenes: Number of scenes, rounded up to whole chunks.
        mismatched_fraction: Share of the scenes that are conditioned on any other imager of the
            family.
        saturated_fraction: Share of the scenes whose sensors are cut below their peak.
    """
    seeds = recipe.seeds.model_copy(update={"training": seed})
    family = recipe.family.model_copy(update={"focus": None})
    recipe = recipe.model_copy(update={"seeds": seeds, "family": family})
    # Errors are drawn here, because projector and network need the same ones.
    exact = family.model_copy(update={"exact_fraction": 1.0})
    live = LiveScenes(recipe.model_copy(update={"family": exact}))
    psf_family = ("half_angle_deg", family.half_angle_deg)
    for number in range(-(-scenes // recipe.stream.chunk_scenes)):
        drawn = live.chunk(number)
        rng = np.random.default_rng([seed, number, _CHIP])
        seen = exposed(drawn.captures, recipe, rng, fixed_pattern=live.fixed_pattern)
        angle_error_deg, blur_error_px = conditioning_noise(family, rng, len(seen))
        half_angle_deg = (drawn.half_angle_deg + angle_error_deg).clamp(*family.half_angle_deg)
        blur_px = (drawn.base_blur_px + blur_error_px).clamp(*family.base_blur_px)
        spoiled = torch.zeros(len(seen), dtype=torch.bool)
        if saturated_fraction:
            seen, spoiled = _saturated(seen, saturated_fraction, rng)
        if mismatched_fraction:
            is_mismatched = torch.from_numpy(rng.random(len(seen)) < mismatched_fraction)
            spoiled = spoiled | is_mismatched
            half_angle_deg, blur_px = (
                torch.where(is_mismatched, torch.from_numpy(other).float(), value)
                for value, other in (
                    (half_angle_deg, rng.uniform(*family.half_angle_deg, len(seen))),
                    (blur_px, rng.uniform(*family.base_blur_px, len(seen))),
                )
            )
        conditioned = drawn._replace(half_angle_deg=half_angle_deg, base_blur_px=blur_px)
        boundary = family.boundaries[number % len(family.boundaries)]
        yield _FamilyScenes(
            batch=live.conditioning.batch(seen, conditioned, rng),
            layers=recipe.network.layers,
            projector=LayerProjector(
                recipe.imager.with_(boundary=boundary), parameter_range=psf_family
            ),
            psf={
                "half_angle_deg": half_angle_deg,
                "base_blur_um": blur_px * recipe.imager.square_pitch_um,
            },
            optics=live.conditioning.optics(drawn.half_angle_deg, drawn.base_blur_px),
            spoiled=spoiled,
        )


def _saturated(
    captures: Tensor, fraction: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut some captures below the peak of each sensor; return which, (scene,), as well."""
    chosen = rng.random(len(captures)) < fraction
    level = np.where(chosen, rng.uniform(*CUT_AT, len(captures)), 1.0)
    share = torch.from_numpy(level).to(captures)[:, None, None, None]
    top = captures.amax(dim=(-2, -1), keepdim=True)
    return torch.minimum(captures, share * top), torch.from_numpy(chosen)
