"""From the best checkpoint to a volume model: averaged weights, calibrated probabilities."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.networks.volume_net import VolumeNet
from fociscope.networks.volume_store import VolumeModelInfo, write_volume_model
from fociscope.training._checkpoint import network_weights, read_state
from fociscope.training._volume_module import volume_architecture
from fociscope.training._volume_scenes import LiveVolumes, VolumeBatch, volume_scenes_loader
from fociscope.training.recipe import Recipe

__all__ = ["export_volume_model", "fit_logits", "renew_normalisation"]

#: Added to the calibration seed for the scenes of the normalisation; how many batches they make.
_SEED_OFFSET, NORMALISATION_BATCHES = 3_000_000, 24


def export_volume_model(recipe: Recipe, checkpoint: Path, path: Path) -> Path:
    """Calibrate the network of a checkpoint and write it as a volume model.

    Probabilities are calibrated on volumes of the recipe's specimen under the reference conditions,
    drawn from its calibration seed.

    Args:
        recipe: Recipe for volumes; of one with stages, the last stage counts.
        checkpoint: Checkpoint of a run, with averaged weights.
        path: Path of the model file; an existing one is replaced.

    Returns:
        `path`.

    Raises:
        RecipeError: If the checkpoint is missing or damaged.
    """
    recipe = recipe.stage_recipes()[-1]
    architecture = volume_architecture(recipe)
    network = VolumeNet(architecture)
    network.load_state_dict(network_weights(read_state(checkpoint)))
    renew_normalisation(recipe, network)
    logits, masks = [], []
    loader = volume_scenes_loader(recipe, recipe.calibration.scenes, recipe.seeds.calibration)
    with torch.inference_mode():
        for fields in loader:
            batch = VolumeBatch(*fields)
            logits.append(network(batch.captures, batch.optics).logit.half())
            masks.append(batch.mask.bool())
    scale, shift = fit_logits(torch.cat(logits), torch.cat(masks))
    info = VolumeModelInfo(
        name=recipe.name,
        architecture=architecture,
        imager=recipe.imager,
        half_angle_deg=recipe.family.half_angle_deg,
        base_blur_px=recipe.family.base_blur_px,
        peak_snr_db=recipe.family.peak_snr_db,
        logit_scale=scale,
        logit_shift=shift,
    )
    write_volume_model(path, network, info, overwrite=True)
    return path


def renew_normalisation(recipe: Recipe, network: VolumeNet) -> None:
    """Set the statistics of batch normalisation, in place, to the medians over training batches.

    Those that training leaves are running means; one capture of a single bright cell among their
    batches can hold a hundred times the variance of all others, and shift every volume.

    Args:
        recipe: Recipe for volumes, one stage of it.
        network: Network with its final weights; it is ready for inference afterwards.
    """
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    seed = recipe.seeds.calibration + _SEED_OFFSET
    seeds = recipe.seeds.model_copy(update={"training": seed})
    live = LiveVolumes(recipe.model_copy(update={"seeds": seeds}))
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # each batch's own statistics
    network.train()
    seen = []
    with torch.inference_mode():
        for number in range(NORMALISATION_BATCHES):
            batch = live.batch([live.chunk(number)], number)
            network(batch.captures, batch.optics)
            seen.append([statistic.clone() for norm in norms for statistic in _statistics(norm)])
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


def fit_logits(logit: Tensor, mask: Tensor) -> tuple[float, float]:
    r"""Return $a$ and $b$ for which $\sigma(a l + b)$ has the least cross entropy.

    Platt, in Advances in Large Margin Classifiers (MIT Press, 1999), 61-74.

    Args:
        logit: Logits $l$ of the network, of any shape.
        mask: Whether there are cells, of the same shape.
    """
    x, y = logit.flatten().double(), mask.flatten().double()
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=30, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(weights[0] * x + weights[1], y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return float(weights[0].detach().clamp(min=1e-3)), float(weights[1].detach())
