"""Types of arrays and callables that signatures use throughout the package.

Shapes are written in docstrings, last axis last: `(..., layer, y, x)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ArrayLike",
    "BoolArray",
    "CapturesLike",
    "Float32Array",
    "Float64Array",
    "IndexArray",
    "Int64Array",
    "Progress",
]

Float32Array: TypeAlias = NDArray[np.float32]
"""Images, depths and probabilities, as captures and results hold them."""
Float64Array: TypeAlias = NDArray[np.float64]
"""What fits, statistics and tables are computed in."""
BoolArray: TypeAlias = NDArray[np.bool_]
"""Masks."""
Int64Array: TypeAlias = NDArray[np.int64]
"""Counts and labels."""
IndexArray: TypeAlias = NDArray[np.intp]
"""Indices into other arrays."""
ArrayLike: TypeAlias = "Tensor | np.ndarray | float | list[float]"
"""What functions take that work on NumPy arrays and on tensors."""
CapturesLike: TypeAlias = "ArrayLike | Path | str | Sequence[Path | str]"
"""What functions take that reconstruct captures: arrays, or paths as `read_captures` takes them."""
Progress: TypeAlias = Callable[[int, int], None]
"""Called with what is done and its total."""
