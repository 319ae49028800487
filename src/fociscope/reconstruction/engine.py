"""The engine: a trained model that turns captures into a `Reconstruction`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor
from fociscope.errors import FociscopeError, FociscopeWarning, ImagerError
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.imager.psf.angle_selective import equivalent_half_angle_deg
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.store import ModelInfo, find_model, read_model
from fociscope.reconstruction.captures import check_captures
from fociscope.reconstruction.result import Reconstruction

__all__ = ["Model", "load_model", "pick_device"]

#: Pixels of one sensor that are reconstructed at a time: 64 frames of 51x51.
BATCH_PIXELS = 64 * 51 * 51
#: Pitch and gap may differ from the model's by this share: 2 um of depth in 1 mm.
SCALE_TOLERANCE = 0.002
#: Displacement of sensor B in pixels that a model takes for none.
ALIGNED_PX = 0.5


def pick_device(name: str) -> torch.device:
    """Return the device of a name: `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        FociscopeError: there is no such device here.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, is_there in there.items() if is_there))
    if not there.get(name, False):
        usable = ", ".join(device for device, is_there in there.items() if is_there)
        raise FociscopeError(f"no device '{name}' here; choose among: auto, {usable}")
    return torch.device(name)


class Model:
    """A trained network, its calibration and the imager it looks through."""

    def __init__(
        self, network: LayerNet, info: ModelInfo, *, imager: Imager, device: torch.device
    ) -> None:
        """Use `load_model` to get one."""
        self.network = network.to(device)
        self.info = info
        self.imager = imager
        self.device = device

    def reconstruct(
        self, captures: ArrayLike, *, progress: Callable[[int, int], None] | None = None
    ) -> Reconstruction:
        """Reconstruct one capture or many.

        Args:
            captures: (..., sensor, y, x) in any unit of light; the gain of each sensor may be
                unknown. Frames of any size from 32x32.
            progress: called with the captures done and their total.

        Raises:
            CaptureError: these are no captures that the model can reconstruct.
        """
        given = as_tensor(captures).to(torch.float32)
        check_captures(given, sensors=self.info.architecture.sensors)
        lead, frame = given.shape[:-3], given.shape[-3:]
        flat = given.reshape(-1, *frame)
        per_batch = max(1, BATCH_PIXELS // (frame[-1] * frame[-2]))
        parts = []
        for start in range(0, len(flat), per_batch):
            parts.append(self._batch(flat[start : start + per_batch].to(self.device)))
            if progress is not None:
                progress(min(start + per_batch, len(flat)), len(flat))
        arrays = [
            torch.cat(part).reshape(*lead, *part[0].shape[1:]).numpy()
            for part in zip(*parts, strict=True)
        ]
        probability, intensity, depth_um, depth_std_um, reprojection = arrays
        return Reconstruction(
            probability=probability,
            intensity=intensity,
            depth_um=depth_um,
            depth_std_um=depth_std_um,
            captures=given.detach().cpu().numpy().copy(),
            reprojection=reprojection,
            imager=self.imager,
            model=self.info.name,
        )

    @torch.inference_mode()
    def _batch(self, captures: Tensor) -> tuple[Tensor, ...]:
        """(batch, sensor, y, x) -> probability, intensity, depth, its deviation, reprojection."""
        gap_um = self.imager.gap_um
        output = self.network(captures)
        depth_um = (output.depth * gap_um).clamp(0, gap_um)
        intensity = output.intensity * captures[:, 0].mean(dim=(-2, -1))[:, None, None, None]
        seen = LayerProjector(self.imager).A(
            intensity / self.imager.psf.energy_fraction(), depth_um
        )
        assert isinstance(seen, Tensor)
        overlap = (seen * captures).sum(dim=(-2, -1), keepdim=True)
        gain = overlap / seen.square().sum(dim=(-2, -1), keepdim=True).clamp(min=1e-30)
        return tuple(
            tensor.cpu()
            for tensor in (
                self.info.calibration.probability(output.logit),
                intensity,
                depth_um,
                self.info.calibration.depth_std(output) * gap_um,
                seen * gain,
            )
        )


def _check_imager(imager: Imager, info: ModelInfo) -> None:
    """Refuse an imager whose geometry the model does not know; warn of a PSF outside its family."""
    trained = info.imager
    if imager.sensors != trained.sensors:
        raise ImagerError(
            f"{info.name} takes {trained.sensors} sensor(s); the imager {imager.name!r} has "
            f"{imager.sensors}"
        )
    for field in ("pixel_pitch_um", "gap_um"):
        has, wants = getattr(imager, field), getattr(trained, field)
        if abs(has / wants - 1) > SCALE_TOLERANCE:
            raise ImagerError(
                f"{info.name} was trained for {field} = {wants:g}; the imager {imager.name!r} has "
                f"{has:g}, which would give wrong depths; train a model for it: 'fociscope train'"
            )
    blur_px = imager.psf.base_blur_um / imager.pixel_pitch_um
    half_angle_deg = equivalent_half_angle_deg(imager.psf, imager.gap_um / 2)
    shift_px = math.hypot(*imager.registration.shift_um) / imager.pixel_pitch_um
    for what, value, (low, high), unit in (
        ("acceptance half angle", half_angle_deg, info.half_angle_deg, "degrees"),
        ("base blur", blur_px, info.base_blur_px, "pixels"),
        ("displacement of sensor B", shift_px, (0.0, ALIGNED_PX), "pixels"),
        ("rotation of sensor B", imager.registration.rotation_deg, (-1.0, 1.0), "degrees"),
    ):
        if not low <= value <= high:
            warnings.warn(
                f"the imager's {what} of {value:g} {unit} lies outside the {low:g} to {high:g} "
                f"{unit} that {info.name} was trained for; expect worse maps and depths",
                FociscopeWarning,
                stacklevel=3,
            )


def load_model(
    name_or_path: str | Path, *, imager: Imager | None = None, device: str = "auto"
) -> Model:
    """Load a shipped model by its name, or one of your own by its path.

    Args:
        name_or_path: such as `layers-ab`, or a `.safetensors` file that `fociscope train` wrote.
        imager: the instrument of the captures; without one, the one the model was trained around.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        ModelError: no such model, or a damaged one.
        ImagerError: the model was not trained for such an imager.
    """
    network, info = read_model(find_model(name_or_path))
    imager = imager or info.imager
    _check_imager(imager, info)
    return Model(network, info, imager=imager, device=pick_device(device))
