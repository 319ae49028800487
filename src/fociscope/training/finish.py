"""From the best checkpoint to a model file: take the averaged weights, calibrate, describe."""

from __future__ import annotations

from pathlib import Path

import torch

from fociscope.networks.calibration import fit_calibration
from fociscope.networks.layer_net import LayerNet, LayerNetOutput
from fociscope.networks.store import ModelInfo, write_model
from fociscope.training.checkpoint import read_checkpoint
from fociscope.training.recipe import Recipe
from fociscope.training.run import reference_scenes

__all__ = ["finish"]

#: Scenes under the reference conditions that the calibration is fitted on.
CALIBRATION_SCENES = 1000
_PREFIX = "network."


@torch.inference_mode()
def _predict(network: LayerNet, captures: torch.Tensor) -> LayerNetOutput:
    parts = [network(batch) for batch in torch.split(captures, 100)]
    return LayerNetOutput(*(torch.cat(field) for field in zip(*parts, strict=True)))


def finish(recipe: Recipe, checkpoint: Path, path: Path) -> Path:
    """Write the model of a checkpoint, calibrated on scenes of the recipe's calibration seed.

    Args:
        recipe: the run's.
        checkpoint: with the averaged weights of `LayerNet` under `state_dict`.
        path: of the model file; one that is there is replaced.

    Returns:
        `path`.
    """
    state = read_checkpoint(checkpoint)["state_dict"]
    network = LayerNet(recipe.network)
    network.load_state_dict(
        {key.removeprefix(_PREFIX): v for key, v in state.items() if key.startswith(_PREFIX)}
    )
    network.eval()
    scenes = reference_scenes(recipe, CALIBRATION_SCENES, recipe.seeds.calibration)
    calibration = fit_calibration(
        _predict(network, torch.from_numpy(scenes.captures)),
        torch.from_numpy(scenes.mask).float(),
        torch.from_numpy(scenes.depth_um) / recipe.imager.gap_um,
    )
    info = ModelInfo(
        name=recipe.name,
        architecture=recipe.network,
        imager=recipe.imager,
        half_angle_deg=recipe.family.half_angle_deg,
        base_blur_px=recipe.family.base_blur_px,
        peak_snr_db=recipe.family.peak_snr_db,
        calibration=calibration,
    )
    write_model(path, network, info, overwrite=True)
    return path
