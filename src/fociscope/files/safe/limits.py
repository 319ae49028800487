"""What a file may claim before it is believed.

Every reader in this room works in the same order: `require_file`, read the header, `check_claim`,
and only then decode. `decoding` turns what a decoder raises on damaged bytes into one plain line.
"""

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, one_line, printable

__all__ = [
    "DECODER_ERRORS",
    "DEFAULT_LIMITS",
    "LARGEST_CHUNK_BYTES",
    "Limits",
    "check_claim",
    "decoding",
    "read_description",
    "require_file",
    "unbounded",
]

MAX_DIMENSIONS = 4
"""(frames, sensor, y, x) and (sample, layer, y, x) are the longest shapes this package reads."""

FLOAT32_BYTES = 4

LARGEST_CHUNK_BYTES = 64 * 2**20
"""Beyond this, a chunk may not be larger than its array."""

LARGEST_DESCRIPTION_BYTES = 2**20
"""Of a TOML file: an imager, a recipe, a specimen. Pictures lie in files of their own."""

DECODER_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,  # overflow in a claimed size, division by a claimed zero
    AssertionError,
    AttributeError,  # tifffile, on tags of an unexpected type
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,  # h5py, on damaged trees
    SyntaxError,  # Pillow, on damaged PNG chunks
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,  # numpy, on headers of NPY files
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy, Pillow, tifffile, scipy and h5py are known to raise on damaged bytes."""


@dataclass(frozen=True)
class Limits:
    """The most that a file may claim; raise a limit when a larger file is yours and meant.

    Attributes:
        max_frame_px: the longest side of one frame, in pixels.
        max_pages: the number of frames in one file (all leading axes multiplied).
        max_bytes: memory for one decoded file, in bytes (a pixel counts as 4 bytes or more,
            because all readers return float32).

    Examples:
        >>> from fociscope.files import Limits
        >>> Limits(max_bytes=2**30).max_frame_px
        8192
    """

    max_frame_px: int = 8192
    max_pages: int = 200_000
    max_bytes: int = 4 * 2**30


DEFAULT_LIMITS = Limits()


def unbounded(limits: Limits) -> Limits:
    """Return the limits for a file that is read in parts, each of which is held against them."""
    return replace(limits, max_bytes=2**63)


def require_file(path: Path) -> Path:
    """Return `path` when it is a readable file with something in it.

    Raises:
        FileFormatError: it is missing, not a regular file, empty, or may not be read.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise FileFormatError(f"{printable(path)}: there is no such file; check the path.")
        if path.is_dir():
            raise FileFormatError(f"{printable(path)}: this is a folder; give a file in it.")
        if not path.is_file():
            raise FileFormatError(f"{printable(path)}: not a regular file; give a file on disk.")
        with path.open("rb") as stream:
            empty = stream.read(1) == b""
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{printable(path)}: cannot be opened ({one_line(error)}); check its name and "
            "permissions."
        ) from error
    if empty:
        raise FileFormatError(f"{printable(path)}: the file is empty; copy or export it again.")
    return path


def read_description(path: Path) -> bytes:
    """Return the content of a file that people write by hand, such as an imager or a recipe.

    Raises:
        FileFormatError: as of `require_file`, or it is larger than any such file.
    """
    path = require_file(path)
    with path.open("rb") as stream:
        content = stream.read(LARGEST_DESCRIPTION_BYTES + 1)
    if len(content) > LARGEST_DESCRIPTION_BYTES:
        raise FileFormatError(
            f"{printable(path)}: larger than {LARGEST_DESCRIPTION_BYTES // 2**20} MiB, which no "
            "TOML file of this kind is; check the path."
        )
    return content


def check_claim(
    path: Path,
    shape: Sequence[int],
    dtype: np.dtype[np.generic] | None,
    limits: Limits = DEFAULT_LIMITS,
    name: str | None = None,
) -> int:
    """Refuse a claimed array that is impossible, unsafe or too large; nothing is read for it.

    Args:
        path: File, for the message.
        shape: Claimed shape, frames last: (..., y, x).
        dtype: Claimed type of one value; None if the file names none that NumPy knows.
        limits: Largest frames, numbers of frames and arrays that are allowed.
        name: Variable inside the file, for the message; None if the file is one array.

    Returns:
        The bytes that the decoded array takes, as float32 at least.

    Raises:
        FileFormatError: If values are no real numbers or booleans, an axis is empty, there are too
            many axes, or the array is larger than the limits allow.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.files import check_claim
        >>> check_claim(Path("frames.npy"), (100, 51, 51), np.dtype("<u2"))
        1040400
        >>> check_claim(Path("frames.npy"), (0, 51), np.dtype("<u2"))
        Traceback (most recent call last):
            ...
        fociscope.errors.FileFormatError: frames.npy: claims 0 x 51 values, expected at least 1 ...
    """
    where = printable(path) if name is None else f"{printable(path)}: {printable(name)}"
    _check_dtype(where, dtype)
    assert dtype is not None
    sides = tuple(int(side) for side in shape)
    claim = " x ".join(str(side) for side in sides[: MAX_DIMENSIONS + 1]) or "a single value"
    if not 1 <= len(sides) <= MAX_DIMENSIONS:
        raise FileFormatError(
            f"{where}: an array with {len(sides)} axes, expected 1 to {MAX_DIMENSIONS}; "
            "save the images alone."
        )
    if min(sides) < 1:
        raise FileFormatError(
            f"{where}: claims {claim} values, expected at least 1 along every axis; "
            "export the file again."
        )
    if max(sides[-2:]) > limits.max_frame_px:
        raise FileFormatError(
            f"{where}: claims {claim} values, expected frames of at most {limits.max_frame_px} "
            "pixels a side; crop the image or raise Limits.max_frame_px."
        )
    pages = math.prod(sides[:-2])
    if pages > limits.max_pages:
        raise FileFormatError(
            f"{where}: claims {pages} frames, expected at most {limits.max_pages}; "
            "split the file or raise Limits.max_pages."
        )
    decoded = math.prod(sides) * max(dtype.itemsize, FLOAT32_BYTES)
    if decoded > limits.max_bytes:
        raise FileFormatError(
            f"{where}: claims {claim} values, which take {decoded / 2**30:.3g} GiB, expected at "
            f"most {limits.max_bytes / 2**30:.3g} GiB; split the file or raise Limits.max_bytes."
        )
    return decoded


def _check_dtype(where: str, dtype: np.dtype[np.generic] | None) -> None:
    """Allow real numbers and booleans only."""
    if dtype is not None and dtype.kind in "biuf" and dtype.names is None:
        return
    found = {
        "O": "Python objects or references",
        "V": "structured or raw records",
        "S": "text",
        "U": "text",
        "c": "complex numbers",
        "M": "dates",
        "m": "time spans",
    }.get(dtype.kind if dtype is not None else "", "values of an unknown type")
    raise FileFormatError(
        f"{where}: holds {found}, expected real numbers; save it as integers or float32."
    )


@contextmanager
def decoding(path: Path, kind: str) -> Iterator[None]:
    """Turn what decoders raise on damaged bytes into one `FileFormatError`.

    Args:
        path: the file, for the message.
        kind: what it should be, such as "TIFF image".
    """
    try:
        yield
    except MemoryError as error:
        raise FileFormatError(
            f"{printable(path)}: this {kind} needs more memory than this machine has free; split "
            "it."
        ) from error
    except DECODER_ERRORS as error:
        raise FileFormatError(
            f"{printable(path)}: cannot be read as a {kind}, expected a complete, undamaged one "
            f"({one_line(error)}); copy or export the file again."
        ) from error
