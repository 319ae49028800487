"""Checkpoints: the states of a run that are kept, the best and the last, and how they are stored.

A checkpoint is one safetensors file: the tensors, and a description of the rest as JSON. Nothing is
pickled.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fociscope.errors import RecipeError, one_line
from fociscope.files.safe.atomic import atomic_path
from fociscope.networks.store import check_safetensors, safetensors_bytes

__all__ = [
    "MONITORED",
    "BestAndLastCheckpoint",
    "SafetensorsCheckpoint",
    "network_weights",
    "read_checkpoint",
    "read_state",
    "stopped_early",
    "write_checkpoint",
]

#: Figure of the validation that is to become as large as possible.
MONITORED = "val/accuracy"
_FORMAT = "fociscope-checkpoint-1"
_STATE_KEY = "BestAndLast"
#: What the names of the network's weights in a checkpoint begin with.
_NETWORK = "network."


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint; the one before is replaced when the new one is complete.

    Args:
        path: Path of the file.
        checkpoint: Tensors, numbers, text and containers of these.

    Raises:
        FociscopeError: if the disk refuses; the checkpoint before stays.
    """
    tensors: dict[str, Tensor] = {}
    state = json.dumps(_encode(checkpoint, tensors))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, overwrite=True) as part:
        # Written from here, because safetensors hides which error of the disk it met.
        part.write_bytes(safetensors_bytes(tensors, {"format": _FORMAT, "state": state}))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Args:
        path: Path of the file.

    Returns:
        What was written.

    Raises:
        RecipeError: if the file is missing, damaged, or not a checkpoint of this version.
    """
    try:
        check_safetensors(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        why = one_line(error)
        raise RecipeError(f"{path}: not a checkpoint that can be resumed: {why}") from None
    if metadata.get("format") != _FORMAT:
        raise RecipeError(f"{path}: not a checkpoint of this version ({_FORMAT})")
    try:
        state = _decode(json.loads(metadata["state"]), tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise RecipeError(f"{path}: a damaged checkpoint: {type(error).__name__}") from None
    if not isinstance(state, dict):
        raise RecipeError(f"{path}: a damaged checkpoint: its state is a {type(state).__name__}")
    return state


def read_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run, and refuse one that lacks what a run is resumed from.

    Args:
        path: Path of the file.

    Raises:
        RecipeError: As for `read_checkpoint`, or if the step or the weights are missing.
    """
    state = read_checkpoint(path)
    step, weights = state.get("global_step"), state.get("state_dict")
    is_sound = type(step) is int and step >= 0 and isinstance(weights, dict)
    if not is_sound or not all(isinstance(one, Tensor) for one in dict(weights or {}).values()):
        raise RecipeError(f"{path}: a damaged checkpoint: without its step or its weights")
    return state


def network_weights(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Return the averaged weights of the network in a checkpoint, by their names in `LayerNet`."""
    return {
        name.removeprefix(_NETWORK): weight
        for name, weight in checkpoint["state_dict"].items()
        if name.startswith(_NETWORK)
    }


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


class BestAndLastCheckpoint(Checkpoint):
    """After every validation, writes `last.ckpt`, and `best.ckpt` where it is the best so far.

    It knows its files by their role alone, so a folder that is moved between two parts of a run
    keeps its best.

    Attributes:
        best_score: Best score so far; None before the first validation.
        waited: Number of validations since then.
    """

    def __init__(self, folder: Path, patience: int = 0) -> None:
        """Write into a folder.

        Args:
            folder: Folder of the checkpoints.
            patience: Number of validations without a better one after which training stops; with
                0 it never does.
        """
        self.folder, self.patience = folder, patience
        self.best_score: float | None = None
        self.waited = 0

    @property
    def state_key(self) -> str:
        """Where a checkpoint holds this state; the class's former name, which runs have written."""
        return _STATE_KEY

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """The checkpoint that a run is resumed from."""
        return self.folder / "last.ckpt"

    def is_better(self, score: float) -> bool:
        """Whether a score is better than the best so far."""
        best = self.best_score
        return best is None or math.isnan(best) or score > best

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the state, the best first: a run that is killed between the two scores it again."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        score = float(trainer.callback_metrics[MONITORED])
        if self.is_better(score):
            self.best_score, self.waited = score, 0
            trainer.save_checkpoint(self.best)
        else:
            self.waited += 1
        trainer.save_checkpoint(self.last)
        if self.patience and self.waited >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint remembers of the selection."""
        return {"best_score": self.best_score, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what a checkpoint remembers."""
        self.best_score, self.waited = state_dict["best_score"], state_dict["waited"]


def stopped_early(checkpoint: dict[str, Any], patience: int) -> bool:
    """Whether the run of a checkpoint has stopped early."""
    state = checkpoint.get("callbacks", {}).get(_STATE_KEY, {})
    return bool(patience and state.get("waited", 0) >= patience)


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
