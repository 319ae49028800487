"""NumPy at the door, torch inside: what comes in as NumPy goes out as NumPy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fociscope.typing import ArrayLike

__all__ = ["ArrayLike", "as_tensor", "like"]


def as_tensor(array: ArrayLike, *, device: torch.device | None = None) -> Tensor:
    """Return `array` as a tensor: float64 input keeps its precision, all else becomes float32."""
    tensor = array if isinstance(array, Tensor) else torch.from_numpy(_native(np.asarray(array)))
    if tensor.dtype not in (torch.float32, torch.float64) or isinstance(array, float | list):
        tensor = tensor.to(torch.float32)
    return tensor if device is None else tensor.to(device)


def _native(array: np.ndarray) -> np.ndarray:
    """Return an array that torch can take over: this machine's byte order, no flipped axes."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.copy() if any(stride < 0 for stride in native.strides) else native


def like(result: Tensor, given: ArrayLike) -> Tensor | np.ndarray:
    """Return `result` as a tensor if `given` is one, else as a NumPy array."""
    return result if isinstance(given, Tensor) else result.detach().cpu().numpy()
