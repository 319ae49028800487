"""What the readers of MAT v5, HDF5 and Zarr have in common: claims, and parts of an array."""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Claims", "Part"]

Claims = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Variable -> shape and dtype, as a file claims them."""


@dataclass(frozen=True)
class Part:
    """A run of indices along the first (0) or the last (-1) axis of an array."""

    axis: int
    start: int
    stop: int

    def index(self, dimensions: int) -> tuple[slice, ...]:
        """Return what cuts the part out of an array of so many axes."""
        cut = [slice(None)] * dimensions
        cut[self.axis] = slice(self.start, self.stop)
        return tuple(cut)
