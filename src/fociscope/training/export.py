"""From the best checkpoint to a model file: take the averaged weights, calibrate, describe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fociscope.imager.projector import LayerProjector
from fociscope.networks.calibration import OutputCalibration, fit_calibration, fit_presence
from fociscope.networks.layer_net import LayerNet, LayerNetOutput
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
from fociscope.training.augmentation import exposed
from fociscope.training.batches import (
    TrainingBatch,
    conditioned_batch,
    conditioning_noise,
    reference_scenes,
)
from fociscope.training.checkpoint import network_weights, read_checkpoint
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.recipe import Recipe

__all__ = ["export_model"]

#: Pixels of one sensor that are predicted at a time, and that are calibrated on in all.
EXPORT_BATCH_PIXELS, FITTED_PIXELS = 100 * 51 * 51, 1000 * 51 * 51
#: Added to the calibration seed for the PSF-width estimator's scenes.
_PSF_WIDTH_SEED_OFFSET = 1_000_000
_CHIP = 1  # random stream under the calibration seed; scenes have streams of their own


def _output(network: LayerNet, batch: TrainingBatch) -> LayerNetOutput:
    output = network(batch.captures, batch.optics, batch.most_layers)
    assert isinstance(output, LayerNetOutput)
    return output


@torch.no_grad()
def _calibrate(
    recipe: Recipe, network: LayerNet, scenes: int, presence: tuple[float, float]
) -> OutputCalibration:
    """Fit to reference scenes; of large frames, to as many of their pixels as memory allows."""
    height, width = recipe.imager.frame_px
    at_once = max(1, EXPORT_BATCH_PIXELS // (height * width))
    step = max(1, scenes * height * width // FITTED_PIXELS)
    said, masks, depths = [], [], []
    for first in range(0, scenes, at_once):
        count = min(at_once, scenes - first)
        drawn = reference_scenes(recipe, count, recipe.seeds.calibration, first=first)
        batch = conditioned_batch(recipe, drawn)
        output = _output(network, batch)
        kept = output._replace(
            logit=output.logit.flatten(2)[..., ::step, None].clone(), intensity=torch.empty(0)
        )
        there = drawn.mask.shape[1]
        said.append(kept)
        masks.append(batch.mask[:, :there].flatten(2)[..., ::step, None].clone())
        depths.append(batch.depth[:, :there])
    whole = LayerNetOutput(*(torch.cat(field) for field in zip(*said, strict=True)))
    return fit_calibration(whole, torch.cat(masks), torch.cat(depths), presence=presence)


class _ConditionedScenes(NamedTuple):
    """Captures of the training family, and what is told of their imagers."""

    batch: TrainingBatch
    projector: LayerProjector
    psf: dict[str, Tensor]
    """(scene,) PSF parameters as they are told, for the projector."""
    optics: Tensor
    """(scene, feature) of the true imagers."""


class _DistributionScenes:
    """Valid captures of the whole training family, told as well as users may know their imager."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        """Draw from a seed, evenly from the family."""
        seeds = recipe.seeds.model_copy(update={"training": seed})
        family = recipe.family.model_copy(update={"focus": None})
        told = family.model_copy(update={"exact_fraction": 1.0})
        self.recipe = recipe.model_copy(update={"seeds": seeds, "family": family})
        # Errors are drawn here, because the projector must be told the same ones as the network.
        self.live = LiveScenes(self.recipe.model_copy(update={"family": told}))

    def batches(
        self, scenes: int, *, mismatched_fraction: float = 0.0
    ) -> Iterator[_ConditionedScenes]:
        """Yield what the network is told.

        Args:
            scenes: how many.
            mismatched_fraction: share of them that are told of any other imager of the family.
        """
        recipe, family = self.recipe, self.recipe.family
        psf_family = ("half_angle_deg", family.half_angle_deg)
        for number in range(-(-scenes // recipe.stream.chunk_scenes)):
            drawn = self.live.chunk(number)
            rng = np.random.default_rng([recipe.seeds.training, number, _CHIP])
            seen = exposed(drawn.captures, recipe, rng, fixed_pattern=self.live.fixed_pattern)
            angle_error_deg, blur_error_px = conditioning_noise(family, rng, len(seen))
            half_angle_deg = (drawn.half_angle_deg + angle_error_deg).clamp(*family.half_angle_deg)
            blur_px = (drawn.base_blur_px + blur_error_px).clamp(*family.base_blur_px)
            if mismatched_fraction:
                is_mismatched = torch.from_numpy(rng.random(len(seen)) < mismatched_fraction)
                half_angle_deg, blur_px = (
                    torch.where(is_mismatched, torch.from_numpy(other).float(), value)
                    for value, other in (
                        (half_angle_deg, rng.uniform(*family.half_angle_deg, len(seen))),
                        (blur_px, rng.uniform(*family.base_blur_px, len(seen))),
                    )
                )
            told = drawn._replace(half_angle_deg=half_angle_deg, base_blur_px=blur_px)
            boundary = family.boundaries[number % len(family.boundaries)]
            yield _ConditionedScenes(
                self.live.conditioning.batch(seen, told, rng),
                LayerProjector(recipe.imager.with_(boundary=boundary), parameter_range=psf_family),
                {
                    "half_angle_deg": half_angle_deg,
                    "base_blur_um": blur_px * recipe.imager.pixel_pitch_um,
                },
                self.live.conditioning.optics(drawn.half_angle_deg, drawn.base_blur_px),
            )


@torch.no_grad()
def _fit_psf_width(recipe: Recipe, network: LayerNet, scenes: int) -> PsfWidthEstimator:
    """Fit the PSF-width estimator; half of the scenes are conditioned on a wrong imager."""
    contexts, features, widths = [], [], []
    # Its own scenes: the limit of what it may say is fitted on others.
    family = _DistributionScenes(recipe, recipe.seeds.calibration + _PSF_WIDTH_SEED_OFFSET)
    for told in family.batches(scenes, mismatched_fraction=0.5):
        output = _output(network, told.batch)
        # Its features do not hang on the reprojection.
        found = capture_statistics(told.batch.captures, told.batch.captures, told.batch.optics)
        contexts.append(output.context)
        features.append(found.features)
        widths.append(width_features(told.optics))
    return fit_psf_width_estimator(
        torch.cat(contexts), torch.cat(features), torch.cat(widths), seed=recipe.seeds.weights
    )


@torch.no_grad()
def _fit_presence_and_limits(
    recipe: Recipe, network: LayerNet, scenes: int
) -> tuple[tuple[float, float], OutOfDistributionLimits]:
    """Fit both to scenes of the training family."""
    logits, truths, found = [], [], []
    slots = torch.arange(recipe.network.layers)
    family = _DistributionScenes(recipe, recipe.seeds.calibration)
    for batch, projector, psf, _optics in family.batches(scenes):
        output = _output(network, batch)
        asked = slots < batch.most_layers[:, None]
        logits.append(output.presence_logit[asked])
        truths.append((slots < batch.layers[:, None])[asked].float())
        light, depth_um = light_and_depth(
            output, output.present, batch.captures, recipe.imager.gap_um
        )
        seen = reproject(projector, light, depth_um, batch.captures, **psf)
        measured = capture_statistics(batch.captures, seen, batch.optics)
        if network.psf_width is not None:
            measured = with_psf_mismatch(measured, output.context, network.psf_width)
        found.append(measured)
    together = CaptureStatistics(*(torch.cat(field) for field in zip(*found, strict=True)))
    return fit_presence(torch.cat(logits), torch.cat(truths)), fit_out_of_distribution(together)


def export_model(recipe: Recipe, checkpoint: Path, path: Path) -> Path:
    """Write the model of a checkpoint, calibrated on scenes of the recipe's calibration seed.

    Args:
        recipe: the run's.
        checkpoint: with the averaged weights of `LayerNet` under `state_dict`.
        path: of the model file; one that is there is replaced.

    Returns:
        `path`.
    """
    recipe = recipe.stage_recipes()[-1]
    network = LayerNet(recipe.network)
    network.load_state_dict(network_weights(read_checkpoint(checkpoint)))
    network.eval()
    if recipe.network.sensors > 1:
        network.psf_width = _fit_psf_width(recipe, network, recipe.calibration.psf_width_scenes)
    presence, plausibility = _fit_presence_and_limits(
        recipe, network, recipe.calibration.family_scenes
    )
    info = ModelInfo(
        name=recipe.name,
        architecture=recipe.network,
        layers=recipe.validation.layers,
        imager=recipe.imager,
        half_angle_deg=recipe.family.half_angle_deg,
        base_blur_px=recipe.family.base_blur_px,
        peak_snr_db=recipe.family.peak_snr_db,
        calibration=_calibrate(recipe, network, recipe.calibration.scenes, presence),
        out_of_distribution=plausibility,
    )
    write_model(path, network, info, overwrite=True)
    return path
