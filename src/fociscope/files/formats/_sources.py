"""Files of named arrays, such as HDF5, MAT, NPZ and Zarr: what each reader of them gives."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError

__all__ = ["ArraySource", "Claims", "NotNumbersError", "Part"]

Claims = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Variable -> shape and dtype, as a file claims them."""


class NotNumbersError(FileFormatError):
    """An array is sound, but by its type no images: text, records, cells, complex numbers."""


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


class ArraySource(Protocol):
    """An open file of named arrays; arrays come in MATLAB's order of axes where MATLAB wrote them.

    The opener `Format.open_arrays` of a file format yields one. Nothing is decoded before `read`.
    Each method may raise `FileFormatError` if the file is damaged or unsafe.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.files import DEFAULT_LIMITS, FORMATS, ArraySource, Part
        >>> np.savez("frames.npz", frames=np.ones((5, 8, 8), np.float32))
        >>> def read_two(source: ArraySource):
        ...     shape, dtype = source.claims(("frames",))["frames"]
        ...     return shape, source.read("frames", Part(axis=0, start=0, stop=2)).shape
        >>> with FORMATS["npz"].open_arrays(Path("frames.npz"), DEFAULT_LIMITS) as source:
        ...     read_two(source)
        ((5, 8, 8), (2, 8, 8))
    """

    samples_first: bool
    """Whether the file itself states that samples are counted along the first axis."""

    def names(self) -> list[str]:
        """Return the names at the root of the file, of arrays or not."""

    def arrays(self) -> list[str]:
        """Return the names of all that may be numeric arrays, in groups too."""

    def claims(self, names: tuple[str, ...]) -> Claims:
        """Return shape and dtype of those of `names` that exist."""

    def is_matlab(self, name: str) -> bool:
        """Return whether the last axis of an array may count the frames, as is MATLAB's custom."""

    def is_sliceable(self, name: str) -> bool:
        """Return whether a part can be read without decoding the whole array."""

    def pixel_size_um(self, name: str) -> float | None:
        """Return the pixel size that the file states for an array, um; None if it states none."""

    def read(self, name: str, part: Part | None = None) -> npt.NDArray[Any]:
        """Return an array that `claims` accepted, or a part of it."""
