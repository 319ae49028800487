"""Bytes on disk <-> plain arrays with units, and all checks of size and safety.

Files are hostile until checked: each reader reads the header, holds it against `Limits`, and only
then decodes; what goes wrong is a `FileFormatError` of one line. Writers leave a complete file or
none.
"""

from fociscope.files.arrays.mat import is_mat
from fociscope.files.captures.reader import list_images, open_captures, read_captures
from fociscope.files.captures.series import CaptureSeries
from fociscope.files.images.reader import IMAGE_SUFFIXES, read_image
from fociscope.files.images.tiff import read_pixel_size_um
from fociscope.files.ome.tiff import write_ome_tiff
from fociscope.files.published.images_depth import (
    ImagesDepth,
    ImagesDepthFile,
    is_images_depth,
    read_images_depth,
)
from fociscope.files.published.writer import LayoutFormat, write_images_depth
from fociscope.files.safe.atomic import atomic_folder, atomic_path, atomic_tree
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits, check_claim, require_file

__all__ = [
    "DEFAULT_LIMITS",
    "IMAGE_SUFFIXES",
    "CaptureSeries",
    "ImagesDepth",
    "ImagesDepthFile",
    "LayoutFormat",
    "Limits",
    "atomic_folder",
    "atomic_path",
    "atomic_tree",
    "check_claim",
    "is_images_depth",
    "is_mat",
    "list_images",
    "open_captures",
    "read_captures",
    "read_image",
    "read_images_depth",
    "read_pixel_size_um",
    "require_file",
    "write_images_depth",
    "write_ome_tiff",
]
