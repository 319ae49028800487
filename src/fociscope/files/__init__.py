"""Bytes on disk <-> plain arrays with units, and all checks of size and safety.

Files are hostile until checked: each reader reads the header, holds it against `Limits`, and only
then decodes; what goes wrong is a `FileFormatError` of one line. Writers leave a complete file or
none. The formats stand in one table, `FORMATS`, to which a plug-in may add.
"""

import warnings

import fociscope.files._builtin_formats  # noqa: F401 (fills FORMATS)
from fociscope.files.arrays._mat import is_mat
from fociscope.files.captures.reader import list_images, open_captures, read_captures
from fociscope.files.captures.series import CaptureSeries
from fociscope.files.formats._sources import ArraySource, Part
from fociscope.files.formats._stacks import Stack
from fociscope.files.formats._table import FORMATS, Format, find_format, is_store, list_suffixes
from fociscope.files.images._tiff import read_pixel_size_um
from fociscope.files.images.reader import read_image
from fociscope.files.ome.tiff import write_ome_tiff
from fociscope.files.published.images_depth import (
    ImagesDepth,
    ImagesDepthFile,
    read_images_depth,
)
from fociscope.files.published.writer import LayoutFormat, write_images_depth
from fociscope.files.safe.atomic import atomic_folder, atomic_path, atomic_tree
from fociscope.files.safe.limits import (
    DEFAULT_LIMITS,
    Limits,
    check_claim,
    decoding,
    require_file,
)

__all__ = [
    "DEFAULT_LIMITS",
    "FORMATS",
    "ArraySource",
    "CaptureSeries",
    "Format",
    "ImagesDepth",
    "ImagesDepthFile",
    "LayoutFormat",
    "Limits",
    "Part",
    "Stack",
    "atomic_folder",
    "atomic_path",
    "atomic_tree",
    "check_claim",
    "decoding",
    "find_format",
    "is_mat",
    "is_store",
    "list_images",
    "list_suffixes",
    "open_captures",
    "read_captures",
    "read_image",
    "read_images_depth",
    "read_pixel_size_um",
    "require_file",
    "write_images_depth",
    "write_ome_tiff",
]


def __getattr__(name: str) -> tuple[str, ...]:
    """Return what a former public name stood for, for one version."""
    if name == "IMAGE_SUFFIXES":
        warnings.warn(
            'IMAGE_SUFFIXES is now list_suffixes("image")', DeprecationWarning, stacklevel=2
        )
        return list_suffixes("image")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
