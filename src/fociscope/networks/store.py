"""Trained models on disk: safetensors with a versioned description, and nothing executable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fociscope.configuration import Configuration, Range, plain_errors
from fociscope.errors import FociscopeError, ModelError, one_line, printable
from fociscope.files.safe.atomic import atomic_path
from fociscope.files.safe.limits import require_file
from fociscope.imager.geometry import Imager
from fociscope.networks.calibration import OutputCalibration
from fociscope.networks.foci import FocusProbability
from fociscope.networks.guarantees import Guarantees
from fociscope.networks.layer_net import PSF_WIDTH, Architecture, LayerNet, present_name
from fociscope.networks.map_quality import MapQuality
from fociscope.networks.ood import OutOfDistributionLimits, feature_count
from fociscope.networks.psf_width import PsfWidthEstimator
from fociscope.registry import unknown_name

__all__ = [
    "ModelInfo",
    "check_safetensors",
    "find_model",
    "read_model",
    "safetensors_bytes",
    "shipped_models",
    "usual_model",
    "write_model",
]

MODEL_FORMAT = "fociscope-model"
#: Of models of volumes, which `volume_store` reads.
VOLUME_MODEL_FORMAT = "fociscope-volume-model"
MODEL_FORMAT_VERSION = 5
#: Version 4 has no probability of foci and no map-quality check, version 3 other names
#: (`present_name`, `FORMER_KEYS`), and version 2 no PSF-width estimator.
READ_VERSIONS = ("2", "3", "4", "5")
#: Far above any model of ours; a larger file is refused.
LARGEST_MODEL_BYTES = 256 * 2**20
#: Entry of a safetensors file's metadata: SHA-256 of the rest of its header, as JSON sorted by keys
#: and without spaces, and of its tensors' bytes.
CHECKSUM = "sha256"
_METADATA = "__metadata__"
_LARGEST_HEADER_BYTES = 16 * 2**20
_BLOCK_BYTES = 2**20


class ModelInfo(Configuration):
    """What a model is, what it was trained for, and how its output is calibrated.

    Examples:
        >>> from fociscope.networks import find_model, read_model
        >>> _, info = read_model(find_model("single-a"))
        >>> info.architecture.sensors, info.half_angle_deg
        (1, (9.0, 30.0))
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    FORMER_KEYS: ClassVar[dict[str, str]] = {"plausibility": "out_of_distribution"}

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    architecture: Architecture
    layers: Annotated[int, Field(ge=1)]
    """How many layers are looked for by default."""
    imager: Imager
    """The centre of the training family."""
    half_angle_deg: Range
    """The acceptance half angles that training covered."""
    base_blur_px: Range
    peak_snr_db: Range
    calibration: OutputCalibration
    out_of_distribution: OutOfDistributionLimits | None = None
    """Limits that valid captures keep; None if they were not measured."""
    map_quality: MapQuality | None = None
    """The check for wrong maps; None if it was not fitted."""
    focus_probability: FocusProbability | None = None
    """How likely a focus of a map is there; None if it was not measured."""
    guarantees: Guarantees | None = None
    """What holds of maps in the mean, from captures with a known truth; None if not measured."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        layers, sensors = self.architecture.layers, self.architecture.sensors
        if self.imager.sensors != sensors:
            raise ValueError(
                f"the imager has {self.imager.sensors} sensor(s), the network {sensors}"
            )
        if self.calibration.layers != layers:
            raise ValueError(f"calibration is of {self.calibration.layers} layers, not {layers}")
        if self.layers > layers:
            raise ValueError(f"{self.layers} layers are looked for; the network has {layers}")
        return self


def write_model(path: Path, network: LayerNet, info: ModelInfo, *, overwrite: bool = False) -> None:
    """Write weights and description to one safetensors file.

    Args:
        path: Path of the file.
        network: Trained network.
        info: Description of the model.
        overwrite: Whether to replace an existing file.

    Raises:
        OutputExistsError: if the file exists and `overwrite` is false.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.networks import find_model, read_model, write_model
        >>> network, info = read_model(find_model("single-a"))
        >>> write_model(Path("copy.safetensors"), network, info)
        >>> read_model(Path("copy.safetensors"))[1] == info
        True
    """
    tensors: dict[str, Tensor] = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    metadata = {
        "format": MODEL_FORMAT,
        "format_version": str(MODEL_FORMAT_VERSION),
        "info": info.model_dump_json(),
    }
    with atomic_path(path, overwrite=overwrite) as part:
        # Written from here, because safetensors hides which error of the disk it met.
        part.write_bytes(safetensors_bytes(tensors, metadata))


def read_model(path: Path) -> tuple[LayerNet, ModelInfo]:
    """Read a model.

    Args:
        path: Path of a `.safetensors` file.

    Returns:
        The network, ready for inference on the CPU, and its description.

    Raises:
        FileFormatError: if the file does not exist.
        ModelError: if the file is damaged, not a Fociscope model, or of another format version.

    Examples:
        >>> from fociscope.networks import find_model, read_model
        >>> network, info = read_model(find_model("layers-ab"))
        >>> info.name, info.architecture.sensors, info.layers
        ('layers-ab', 2, 4)
    """
    path = require_file(path)
    where = printable(path)
    if path.stat().st_size > LARGEST_MODEL_BYTES:
        raise ModelError(f"{where}: too large for a Fociscope model")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") == VOLUME_MODEL_FORMAT:
                raise ModelError(
                    f"{where}: a model of volumes; reconstruct a volume with it",
                    fields=("volume",),
                )
            if metadata.get("format") != MODEL_FORMAT:
                raise ModelError(
                    f"{where}: not a Fociscope model; train one with 'fociscope train'"
                )
            version = metadata.get("format_version", "")
            if version not in READ_VERSIONS:
                old = version.isdecimal() and int(version) < MODEL_FORMAT_VERSION
                advice = "train the model again" if old else "update Fociscope"
                raise ModelError(
                    f"{where}: its format is version {version!r}, this Fociscope reads "
                    f"{', '.join(READ_VERSIONS)}; {advice}"
                )
            check_safetensors(path)
            info = ModelInfo.model_validate(json.loads(metadata.get("info", "null")))
            with torch.device("meta"):  # nothing is allocated for what a file merely claims
                network = LayerNet(info.architecture)
                if any(present_name(k).startswith(PSF_WIDTH) for k in file.keys()):  # noqa: SIM118
                    features = feature_count(info.architecture.sensors)
                    network.psf_width = PsfWidthEstimator(info.architecture.context + features)
            tensors = {present_name(k): file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
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


def safetensors_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Return the content of a safetensors file; equal tensors and metadata give equal bytes.

    The library writes metadata in a random order (safetensors 0.8), so the header is written anew,
    with a checksum (`CHECKSUM`), which the format itself has not.

    Args:
        tensors: Name -> tensor on the CPU.
        metadata: Name -> text.

    Returns:
        The content of the file.
    """
    content = save(tensors, metadata=metadata)
    start = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:start]) | {_METADATA: metadata}, content[start:]
    stated = {**metadata, CHECKSUM: _checksum(header, [data])}
    text = json.dumps(header | {_METADATA: stated}, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def check_safetensors(path: Path) -> None:
    """Hold a safetensors file against its checksum; one without, of an earlier version, passes.

    Args:
        path: Path of the file.

    Raises:
        ValueError: if the checksum does not hold, or the header is no JSON object.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _LARGEST_HEADER_BYTES:
            raise ValueError("its header is too large")
        header = json.loads(stream.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is no JSON object")
        metadata = header.get(_METADATA)
        if not isinstance(metadata, dict) or CHECKSUM not in metadata:
            return
        stated = metadata.pop(CHECKSUM)
        if stated != _checksum(header, iter(partial(stream.read, _BLOCK_BYTES), b"")):
            raise ValueError("its checksum does not hold, so copy it again")


def _checksum(header: dict[str, Any], data: Iterable[bytes]) -> str:
    """Return the checksum of a header without checksum, and of the bytes of the tensors."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True, separators=(",", ":")).encode())
    for block in data:
        digest.update(block)
    return digest.hexdigest()


def shipped_models() -> list[str]:
    """Return the names of the models in the package.

    Returns:
        The names, in alphabetical order.

    Examples:
        >>> from fociscope.networks import shipped_models
        >>> shipped_models()
        ['layers-a', 'layers-ab', 'single-a']
    """
    folder = resources.files("fociscope.models")
    return sorted(
        f.name.removesuffix(".safetensors")
        for f in folder.iterdir()
        if f.name.endswith(".safetensors")
    )


def usual_model(sensors: int) -> str:
    """Return the shipped model that is taken where nobody chooses.

    Args:
        sensors: Number of sensors of the captures.

    Returns:
        Name of the model: `layers-a` for sensor A alone, else `layers-ab`.

    Examples:
        >>> from fociscope.networks.store import usual_model
        >>> usual_model(1), usual_model(2)
        ('layers-a', 'layers-ab')
    """
    return "layers-a" if sensors == 1 else "layers-ab"


def find_model(name_or_path: str | Path) -> Path:
    """Return the file of a model.

    Args:
        name_or_path: Name of a shipped model, or path of a `.safetensors` file.

    Returns:
        Path of the file; that a path of the user's exists is not checked.

    Raises:
        ModelError: if it is neither.

    Examples:
        >>> from fociscope.networks import find_model
        >>> find_model("single-a").name
        'single-a.safetensors'
    """
    if str(name_or_path) in shipped_models():
        return Path(str(resources.files("fociscope.models") / f"{name_or_path}.safetensors"))
    path = Path(name_or_path)
    of_volumes = resources.files("fociscope.models") / "volumes" / f"{name_or_path}.safetensors"
    if path.name == str(name_or_path) and of_volumes.is_file():
        raise ModelError(
            f"{name_or_path}: a model of volumes; reconstruct a volume with it", fields=("volume",)
        )
    if path.suffix != ".safetensors":
        raise unknown_name(
            "model",
            name_or_path,
            shipped_models(),
            error=ModelError,
            other="give a .safetensors file",
        )
    return path
