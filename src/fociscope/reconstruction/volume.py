"""A trained volume model: captures in, a `VolumeMap` out."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor
from fociscope.devices import pick_device
from fociscope.errors import ImagerError
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.networks.conditioning import optics_features
from fociscope.networks.layer_net import mean_light
from fociscope.networks.reprojection import reproject
from fociscope.networks.volume_net import VolumeNet
from fociscope.networks.volume_store import (
    VolumeModelInfo,
    find_volume_model,
    read_volume_model,
)
from fociscope.reconstruction._alignment import aligned
from fociscope.reconstruction._refinement import STEPS, refined_light
from fociscope.reconstruction.checks import check_captures, check_imager, light_unit
from fociscope.reconstruction.correction import ChipCorrection, dead_pixels
from fociscope.reconstruction.outlying import describe_outlying, fill_outlying
from fociscope.reconstruction.volume_checks import SMOOTH_GLOW, are_smooth_glow
from fociscope.results.volume_map import VolumeMap

__all__ = ["VolumeModel", "load_volume_model", "usual_volume_model"]

#: Captures that go through the network together.
BATCH = 16
USUAL_VOLUME_MODEL = "volume-ab"
VOLUME_MODEL_OF_SENSOR_A = "volume-a"
#: Of the fit of the light to the captures. The network's own light is the square of a mean root,
#: which is too little where it is unsure.
FEW_STEPS = 10


class VolumeModel:
    """A trained volume network, its calibration, and the imager whose captures it reconstructs.

    `load_volume_model` returns one.

    Attributes:
        network: Trained network.
        info: Name, slices, calibration and training imager of the model.
        imager: Instrument of the captures.
        device: Device of the network.
        refine: Whether the light is fitted to the captures to the end.
        warnings: Warnings about the imager from when the model was loaded.
        path: Name or path that it was loaded by; empty for one of no file.

    Examples:
        >>> import torch
        >>> import fociscope
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import VolumeArchitecture, VolumeModelInfo, VolumeNet
        >>> from fociscope.reconstruction import VolumeModel
        >>> architecture, imager = VolumeArchitecture(slices=5), Imager.reference()
        >>> info = VolumeModelInfo(
        ...     name="untrained",
        ...     architecture=architecture,
        ...     imager=imager,
        ...     half_angle_deg=(9.0, 30.0),
        ...     base_blur_px=(0.0, 1.3),
        ...     peak_snr_db=(18.0, 50.0),
        ... )
        >>> network = VolumeNet(architecture).eval()
        >>> model = VolumeModel(network, info, imager=imager, device=torch.device("cpu"))
        >>> model.reconstruct(fociscope.simulate(1, seed=0).captures[0])
        <VolumeMap: 5 slices of 51x51 pixels, 100 to 900 µm, model untrained>
    """

    def __init__(
        self,
        network: VolumeNet,
        info: VolumeModelInfo,
        *,
        imager: Imager,
        device: torch.device,
        refine: bool = False,
        warnings: tuple[str, ...] = (),
        path: str | Path = "",
    ) -> None:
        """Create a model; `load_volume_model` does so from a file."""
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.info, self.imager, self.device, self.warnings = info, imager, device, warnings
        self.refine, self.path = refine, path
        self._optics = optics_features(imager).to(device)
        self._projector = LayerProjector(imager)
        slices = info.architecture.slices
        self._slice_um = (torch.arange(slices) + 0.5) * (imager.gap_um / slices)

    def reconstruct(
        self, captures: ArrayLike, *, correction: ChipCorrection | None = None
    ) -> VolumeMap:
        """Reconstruct the volume of one capture or of many.

        Args:
            captures: (..., sensor, y, x) in any unit of light; the gain of each sensor may be
                unknown. Frames have at least 32x32 pixels.
            correction: Dark frame, flat field and bad pixels of the chip; none by default.

        Returns:
            The volume, with the leading axes of `captures`.

        Raises:
            CaptureError: If the model cannot reconstruct captures of such a shape or content.
        """
        given = as_tensor(captures).to(torch.float32)
        dead = dead_pixels(self.imager, tuple(given.shape)) if given.ndim >= 3 else None
        if (correction is not None or dead is not None) and given.ndim >= 3:
            given, _ = (correction or ChipCorrection())(given, dead=dead)
        check_captures(given, sensors=self.info.architecture.trunk.sensors)
        lead, frame = given.shape[:-3], given.shape[-3:]
        flat, outlying = fill_outlying(given.reshape(-1, *frame))
        parts = [self._batch(flat[n : n + BATCH]) for n in range(0, len(flat), BATCH)]
        probability, intensity, seen = (
            torch.cat(part).reshape(*lead, *part[0].shape[1:]).numpy()
            for part in zip(*parts, strict=True)
        )
        frames = (-1, *probability.shape[-3:])
        glow = are_smooth_glow(probability.reshape(frames), intensity.reshape(frames))
        number = f"{int(glow.sum())} of {len(glow)} captures: " if len(glow) > 1 else ""
        found = (describe_outlying(outlying), number + SMOOTH_GLOW if glow.any() else "")
        return VolumeMap(
            probability=probability,
            intensity=intensity,
            slice_um=self._slice_um.numpy().copy(),
            captures=flat.reshape(given.shape).cpu().numpy().copy(),
            reprojection=seen,
            imager=self.imager,
            model=self.info.name,
            focus_threshold=self.info.focus_threshold,
            spread_scale=self.info.spread_scale,
            copula=self.info.copula,
            warnings=(*self.warnings, *(text for text in found if text)),
        )

    @torch.inference_mode()
    def _batch(self, captures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct (batch, sensor, y, x): probability, light and re-projection."""
        captures = captures.to(self.device)
        unit = light_unit(captures.amax(dim=(-2, -1), keepdim=True))
        relative = captures / unit
        imager, info = self.imager, self.info
        on_a = aligned(relative, imager.registration, pixel_pitch_um=imager.square_pitch_um)
        with torch.autocast(self.device.type, enabled=False):
            output = self.network(
                on_a.contiguous(memory_format=torch.channels_last),
                self._optics.expand(len(captures), -1),
            )
        probability = (info.logit_scale * output.logit + info.logit_shift).sigmoid()
        light = output.root_light.square() * mean_light(on_a[:, :1])
        depth_um = self._slice_um.to(light).expand(len(light), -1)
        steps = STEPS if self.refine else FEW_STEPS
        light = refined_light(self._projector, light, depth_um, relative, steps=steps)
        seen = reproject(self._projector, light, depth_um, relative)
        return probability.cpu(), (light * unit[:, :1]).cpu(), (seen * unit).cpu()


def load_volume_model(
    name_or_path: str | Path = USUAL_VOLUME_MODEL,
    *,
    imager: Imager | Path | str | None = None,
    device: str = "auto",
    refine: bool = False,
) -> VolumeModel:
    """Load a volume model by its path, or a shipped one by its name.

    Args:
        name_or_path: Path of a `.safetensors` file that training by a recipe for volumes has
            written, or the name of a shipped model.
        imager: Instrument of the captures, or path of its TOML file; the one around which the model
            was trained by default.
        device: `auto`, `cpu`, `cuda` or `mps`.
        refine: Whether to fit the light to the captures by many steps in place of a few, for less
            residual at several times the time. Probabilities do not change.

    Returns:
        The model, on the device.

    Raises:
        ModelError: If there is no such model, or if its file is damaged.
        ImagerError: If the imager has another number of sensors than the model.
        FociscopeError: If there is no such device.

    Examples:
        >>> from fociscope.reconstruction import load_volume_model
        >>> load_volume_model("no-such-model")
        Traceback (most recent call last):
        fociscope.errors.ModelError: no model of volumes 'no-such-model'; ...
    """
    network, info = read_volume_model(find_volume_model(name_or_path))
    if not isinstance(imager, Imager | str | PathLike | None):
        raise ImagerError(
            f"expected an imager, or the path of its file, got {type(imager).__name__}; give one",
            fields=("imager",),
        )
    if isinstance(imager, str | PathLike):
        imager = Imager.load(imager)
    imager = imager or info.imager
    found = check_imager(imager, info)
    return VolumeModel(
        network,
        info,
        imager=imager,
        device=pick_device(device),
        refine=refine,
        warnings=tuple(found),
        path=name_or_path,
    )


def usual_volume_model(sensors: int) -> str:
    """Return the name of the shipped volume model for captures of so many sensors."""
    return USUAL_VOLUME_MODEL if sensors > 1 else VOLUME_MODEL_OF_SENSOR_A
