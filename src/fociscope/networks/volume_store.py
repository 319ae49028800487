"""Trained volume models on disk: safetensors with a versioned description, as `store` has them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fociscope.configuration import Configuration, Range, plain_errors
from fociscope.errors import FociscopeError, ModelError, one_line, printable
from fociscope.files.safe.atomic import atomic_path
from fociscope.files.safe.limits import require_file
from fociscope.imager.geometry import Imager
from fociscope.networks.store import (
    LARGEST_MODEL_BYTES,
    VOLUME_MODEL_FORMAT,
    check_safetensors,
    safetensors_bytes,
)
from fociscope.networks.volume_copula import VolumeCopula
from fociscope.networks.volume_net import VolumeArchitecture, VolumeNet
from fociscope.registry import unknown_name

__all__ = [
    "VolumeModelInfo",
    "find_volume_model",
    "is_volume_model",
    "read_volume_model",
    "shipped_volume_models",
    "write_volume_model",
]

_VERSION = "1"


class VolumeModelInfo(Configuration):
    r"""What a volume model is, what it was trained for, and how its output is calibrated.

    With the logit $l$ of the network, the probability of cells in a voxel is
    $\sigma(a l + b)$.

    Examples:
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import VolumeArchitecture, VolumeModelInfo
        >>> info = VolumeModelInfo(
        ...     name="own",
        ...     architecture=VolumeArchitecture(),
        ...     imager=Imager.reference(),
        ...     half_angle_deg=(9.0, 30.0),
        ...     base_blur_px=(0.0, 1.3),
        ...     peak_snr_db=(18.0, 50.0),
        ... )
        >>> info.focus_threshold
        0.5
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    architecture: VolumeArchitecture
    imager: Imager
    """The centre of the training family."""
    half_angle_deg: Range
    """The acceptance half angles that training covered."""
    base_blur_px: Range
    peak_snr_db: Range
    logit_scale: Annotated[float, Field(gt=0)] = 1.0
    """$a$."""
    logit_shift: float = 0.0
    """$b$."""
    focus_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability of cells near a voxel from which on it belongs to a focus."""
    mask_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which on a voxel counts as cells."""
    spread_scale: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation of a focus's depth by the spread of its probability."""
    copula: VolumeCopula | None = None
    """How voxels go together, for samples; None for a model that none was fitted for."""


def write_volume_model(
    path: Path, network: VolumeNet, info: VolumeModelInfo, *, overwrite: bool = False
) -> None:
    """Write weights and description to one safetensors file.

    Args:
        path: Path of the file.
        network: Trained network.
        info: Description of the model.
        overwrite: Whether to replace an existing file.

    Raises:
        OutputExistsError: If the file exists and `overwrite` is false.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import (
        ...     VolumeArchitecture, VolumeModelInfo, VolumeNet, read_volume_model,
        ...     write_volume_model,
        ... )
        >>> architecture = VolumeArchitecture(slices=5)
        >>> info = VolumeModelInfo(
        ...     name="own",
        ...     architecture=architecture,
        ...     imager=Imager.reference(),
        ...     half_angle_deg=(9.0, 30.0),
        ...     base_blur_px=(0.0, 1.3),
        ...     peak_snr_db=(18.0, 50.0),
        ... )
        >>> write_volume_model(Path("own.safetensors"), VolumeNet(architecture), info)
        >>> read_volume_model(Path("own.safetensors"))[1] == info
        True
    """
    tensors: dict[str, Tensor] = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    metadata = {
        "format": VOLUME_MODEL_FORMAT,
        "format_version": _VERSION,
        "info": info.model_dump_json(),
    }
    with atomic_path(path, overwrite=overwrite) as part:
        part.write_bytes(safetensors_bytes(tensors, metadata))


def read_volume_model(path: Path) -> tuple[VolumeNet, VolumeModelInfo]:
    """Read a volume model.

    Args:
        path: Path of a `.safetensors` file.

    Returns:
        The network, ready for inference on the CPU, and its description.

    Raises:
        FileFormatError: If the file does not exist.
        ModelError: If the file is damaged, no volume model, or of another format version.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import (
        ...     VolumeArchitecture, VolumeModelInfo, VolumeNet, read_volume_model,
        ...     write_volume_model,
        ... )
        >>> architecture = VolumeArchitecture(slices=5)
        >>> info = VolumeModelInfo(
        ...     name="own",
        ...     architecture=architecture,
        ...     imager=Imager.reference(),
        ...     half_angle_deg=(9.0, 30.0),
        ...     base_blur_px=(0.0, 1.3),
        ...     peak_snr_db=(18.0, 50.0),
        ... )
        >>> write_volume_model(Path("own.safetensors"), VolumeNet(architecture), info)
        >>> read_volume_model(Path("own.safetensors"))[1] == info
        True
    """
    path = require_file(path)
    where = printable(path)
    if path.stat().st_size > LARGEST_MODEL_BYTES:
        raise ModelError(f"{where}: too large for a Fociscope model")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != VOLUME_MODEL_FORMAT:
                raise ModelError(
                    f"{where}: not a model of volumes; name one, or reconstruct layers with it",
                    fields=("volume",),
                )
            if metadata.get("format_version") != _VERSION:
                raise ModelError(
                    f"{where}: its format is version {metadata.get('format_version')!r}, this "
                    f"Fociscope reads {_VERSION}; update Fociscope"
                )
            check_safetensors(path)
            info = VolumeModelInfo.model_validate(json.loads(metadata.get("info", "null")))
            with torch.device("meta"):  # nothing is allocated for what a file merely claims
                network = VolumeNet(info.architecture)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        for key, tensor in network.state_dict().items():
            if key in tensors and tensors[key].dtype != tensor.dtype:
                raise ModelError(f"{where}: damaged: {key} is no {tensor.dtype}")
            if key in tensors and not bool(torch.isfinite(tensors[key]).all()):
                raise ModelError(f"{where}: damaged: {key} holds NaN or infinity")
        network.load_state_dict(tensors, assign=True)
    except ValidationError as error:
        raise ModelError(f"{where}: damaged description: {plain_errors(error)}") from None
    except (SafetensorError, ValueError, RuntimeError, OSError) as error:
        raise ModelError(f"{where}: damaged or no model: {one_line(error)}") from None
    return network.eval(), info


def shipped_volume_models() -> list[str]:
    """Return the names of the volume models in the package, in alphabetical order."""
    folder = resources.files("fociscope.models") / "volumes"
    if not folder.is_dir():
        return []
    return sorted(
        f.name.removesuffix(".safetensors")
        for f in folder.iterdir()
        if f.name.endswith(".safetensors")
    )


def is_volume_model(name_or_path: str | Path) -> bool:
    """Return whether a name, or a file that is there, is that of a volume model."""
    if str(name_or_path) in shipped_volume_models():
        return True
    path = Path(name_or_path)
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == VOLUME_MODEL_FORMAT
    except (SafetensorError, OSError):
        return False


def find_volume_model(name_or_path: str | Path) -> Path:
    """Return the file of a volume model.

    Args:
        name_or_path: Name of a shipped volume model, or path of a `.safetensors` file.

    Returns:
        Path of the file; that a path of the user's exists is not checked.

    Raises:
        ModelError: If it is neither.
    """
    if str(name_or_path) in shipped_volume_models():
        folder = resources.files("fociscope.models") / "volumes"
        return Path(str(folder / f"{name_or_path}.safetensors"))
    path = Path(name_or_path)
    if path.suffix != ".safetensors":
        raise unknown_name(
            "model of volumes",
            name_or_path,
            shipped_volume_models(),
            error=ModelError,
            other="give a .safetensors file that training by a recipe for volumes has written",
        )
    return path
