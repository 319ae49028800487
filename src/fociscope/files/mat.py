"""Which files are MAT files, v5 or v7.3. What the published ones hold: `images_depth`."""

from pathlib import Path

from fociscope.files.hdf5 import is_hdf5
from fociscope.files.limits import require_file
from fociscope.files.mat5 import is_mat5

__all__ = ["is_mat"]


def is_mat(path: Path) -> bool:
    """Return whether `path` is a MAT v5 or v7.3 (HDF5) file, judged by its first bytes.

    Raises:
        FileFormatError: the file is missing, empty or not readable.
    """
    path = require_file(path)
    return is_hdf5(path) or is_mat5(path)
