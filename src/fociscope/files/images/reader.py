"""Images on disk -> plain float32 arrays: TIFF, OME-TIFF, PNG, NPY, and formats of plug-ins.

The first bytes decide what a file is; its suffix only has to be one of those that are read here.
Values come as they are in the file, without any rescaling.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._stacks import Stack
from fociscope.files.formats._table import (
    FORMATS,
    Format,
    OpenStack,
    first_bytes,
    image_format,
    list_suffixes,
)
from fociscope.files.images._tiff import read_tiff
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits, check_claim
from fociscope.typing import Float32Array

__all__ = ["open_image", "read_image", "read_planes"]

_NETCDF_3 = b"CDF"
_STRANGERS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB": "a MAT file",
}


def read_image(path: Path, limits: Limits = DEFAULT_LIMITS) -> Float32Array:
    """Read one image or stack.

    Args:
        path: File of an image format: `.tif`, `.tiff`, `.lsm`, `.stk`, `.png`, `.npy`, or one of a
            plug-in.
        limits: What the file may claim.

    Returns:
        float32, (y, x) or (frame, y, x); from `.npy` also (frame, sensor, y, x).

    Raises:
        FileFormatError: If the file is missing, damaged, unsafe, in colour, too large, or of a
            format that is not read here.

    Examples:
        >>> import numpy as np
        >>> from fociscope.files import read_image
        >>> from pathlib import Path
        >>> np.save("a.npy", np.arange(12, dtype=np.uint16).reshape(3, 4))
        >>> read_image(Path("a.npy")).shape
        (3, 4)
    """
    path = Path(path)
    form = _format(path)
    if form.read is not None:
        return form.read(path, limits)
    with _opener(form, growing=False)(path, limits) as stack:
        check_claim(path, stack.shape, np.dtype(np.float32), limits)
        count = int(np.prod(stack.counts))
        return stack.planes(0, count).reshape(stack.shape)


def read_planes(path: Path, limits: Limits = DEFAULT_LIMITS) -> Float32Array:
    """Read all planes of a TIFF in the order of the file, whatever axes it states for them.

    Args:
        path: File whose axes the caller knows, such as an OME-TIFF of frames and layers.
        limits: What the file may claim.

    Returns:
        float32 (plane, y, x).

    Raises:
        FileFormatError: If the file is missing, damaged, unsafe or no TIFF.
    """
    planes = read_tiff(Path(path), limits, as_listed=True)
    return planes[None] if planes.ndim == 2 else planes


@contextmanager
def open_image(
    path: Path, limits: Limits = DEFAULT_LIMITS, *, growing: bool = False
) -> Iterator[Stack]:
    """Open one image or stack, of which planes are decoded as they are asked for.

    Args:
        path: File of an image format, as for `read_image`.
        limits: What the file may claim.
        growing: Whether the file is still being written; see `Format.open_growing`.

    Raises:
        FileFormatError: As for `read_image`, as far as it shows now.
    """
    path = Path(path)
    with _opener(_format(path), growing=growing)(path, limits) as stack:
        yield stack


def _opener(form: Format, *, growing: bool) -> OpenStack:
    opener = form.open_growing if growing and form.open_growing is not None else form.open
    assert opener is not None  # formats of images alone come here
    return opener


def _format(path: Path) -> Format:
    """Return the format of an image file, by its first bytes."""
    head = first_bytes(path)
    suffixes = list_suffixes("image")
    if path.suffix.lower() not in suffixes:
        unnamed = image_format(path, head)
        if unnamed is not None:  # such as .pcoraw, .tf8 and .btf, which are TIFF
            return unnamed
        if head.startswith(_NETCDF_3):
            raise FileFormatError(
                f"{printable(path)}: netCDF 3 (classic), expected netCDF 4, which is HDF5; save it "
                "as that (nccopy -k nc4, or engine='h5netcdf' in xarray)."
            )
        raise FileFormatError(
            f"{printable(path)}: not an image file that is read here, expected one of "
            f"{', '.join(suffixes)}; export it as 16-bit TIFF."
        )
    form = image_format(path, head)
    if form is not None:
        return form
    names = [form.name for form in FORMATS.values() if form.open is not None]
    raise FileFormatError(
        f"{printable(path)}: {_describe(head[:16])}, expected a {', '.join(names[:-1])} or "
        f"{names[-1]} image as its name says; export the image again."
    )


def _describe(head: bytes) -> str:
    """Say what a file that is no image here looks like."""
    for magic, kind in _STRANGERS.items():
        if head.startswith(magic):
            return kind
    text = all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head)
    return "a text file" if text else f"starts with the unknown bytes {head[:8].hex(' ')}"
