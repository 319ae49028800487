"""Training checkpoints without pickle: tensors as safetensors, all else as JSON beside them.

A checkpoint is whatever nesting of dictionaries, lists, tuples, numbers, texts and tensors
Lightning hands over. Keys that are not texts (the optimiser numbers its parameters)
survive the round trip.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fociscope.errors import RecipeError
from fociscope.files.atomic import atomic_path

__all__ = ["SafetensorsCheckpoint", "read_checkpoint", "write_checkpoint"]

_FORMAT = "fociscope-checkpoint-1"


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        key = f"t{len(tensors)}"
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[_encode(k, tensors), _encode(v, tensors)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(v, tensors) for v in value]}
    if isinstance(value, list):
        return [_encode(v, tensors) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_decode(v, tensors) for v in content)
    return {_decode(k, tensors): _decode(v, tensors) for k, v in content}


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint, replacing the one that may be there only when it is whole.

    Raises:
        FociscopeError: the disk refuses; what was there stays.
    """
    tensors: dict[str, Tensor] = {}
    state = json.dumps(_encode(checkpoint, tensors))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, overwrite=True) as part:
        # Written from here, because safetensors hides which error of the disk it met.
        part.write_bytes(save(tensors, metadata={"format": _FORMAT, "state": state}))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        RecipeError: the file is missing or no checkpoint of this version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RecipeError(f"{path}: not a checkpoint that can be resumed: {error}") from None
    if metadata.get("format") != _FORMAT:
        raise RecipeError(f"{path}: not a checkpoint of this version ({_FORMAT})")
    try:
        state = _decode(json.loads(metadata["state"]), tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise RecipeError(f"{path}: a damaged checkpoint: {type(error).__name__}") from None
    if not isinstance(state, dict):
        raise RecipeError(f"{path}: a damaged checkpoint: its state is a {type(state).__name__}")
    return state


class SafetensorsCheckpoint(CheckpointIO):
    """Lets Lightning read and write these checkpoints."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """See `write_checkpoint`."""
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """See `read_checkpoint`."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint that a better one replaces."""
        Path(path).unlink(missing_ok=True)
