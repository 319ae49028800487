"""NumPy at the door, torch inside: what comes in as NumPy goes out as NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from fociscope.errors import CaptureError
from fociscope.typing import ArrayLike

__all__ = ["ArrayLike", "as_tensor", "is_path", "like"]


def as_tensor(array: ArrayLike, *, device: torch.device | None = None) -> Tensor:
    """Return `array` as a tensor: float64 input keeps its precision, all else becomes float32.

    Raises:
        CaptureError: If it is a path, or a list of paths.
    """
    if is_path(array):
        raise CaptureError(
            f"expected an array, got a path ({array!r:.60}); read it first: "
            "fociscope.files.read_captures(path)"
        )
    tensor = array if isinstance(array, Tensor) else torch.from_numpy(_native(np.asarray(array)))
    if tensor.dtype not in (torch.float32, torch.float64) or isinstance(array, float | list):
        tensor = tensor.to(torch.float32)
    return tensor if device is None else tensor.to(device)


def is_path(value: object) -> TypeGuard[Path | str | Sequence[Path | str]]:
    """Return whether a value is a path, or a list or tuple of paths."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, str | PathLike) for each in value)
    return isinstance(value, str | PathLike)


def _native(array: np.ndarray) -> np.ndarray:
    """Return an array that torch can take over: this machine's byte order, no flipped axes."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.copy() if any(stride < 0 for stride in native.strides) else native


def like(result: Tensor, given: ArrayLike) -> Tensor | np.ndarray:
    """Return `result` as a tensor if `given` is one, else as a NumPy array."""
    return result if isinstance(given, Tensor) else result.detach().cpu().numpy()
