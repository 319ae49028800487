"""PNG images from files that nobody has vouched for: greyscale, or grey stored as colour."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from fociscope.errors import FileFormatError, one_line, printable
from fociscope.files.formats._stacks import Stack
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits, check_claim, decoding
from fociscope.typing import Float32Array

__all__ = ["is_png", "open_png", "read_png"]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_GREY = 0
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> values per pixel
_STEP_BYTES = 2**20


def is_png(head: bytes) -> bool:
    """Return whether a file that starts with `head` is a PNG."""
    return head.startswith(_MAGIC)


def read_png(path: Path, limits: Limits = DEFAULT_LIMITS) -> Float32Array:
    """Read greyscale of 1 to 16 bits, or colour whose channels are all equal: (y, x), as stored.

    Raises:
        FileFormatError: damaged or truncated, in colour, transparent, animated, or larger than
            `limits`.
    """
    with path.open("rb") as stream:
        head = stream.read(26)
    if len(head) < 26 or head[12:16] != b"IHDR":
        raise FileFormatError(
            f"{printable(path)}: a PNG without an image header, expected a complete image; it is "
            "truncated, copy or export it again."
        )
    width, height, bits, colour = struct.unpack(">IIBB", head[16:26])
    check_claim(path, (height, width), np.dtype(np.uint16 if bits == 16 else np.uint8), limits)
    if bits == 16 and colour != _GREY:
        raise FileFormatError(
            f"{printable(path)}: a 16-bit colour PNG, expected greyscale; save the channel that "
            "sees the light alone."
        )
    expected = height * ((width * bits * _CHANNELS.get(colour, 1) + 7) // 8)
    with decoding(path, "PNG image"):
        held = _held_bytes(path, most=2 * expected + _STEP_BYTES)  # filter bytes and interlacing
    if held > 2 * expected + _STEP_BYTES:
        raise FileFormatError(
            f"{printable(path)}: compressed data inflate beyond the {expected} bytes of {height} x "
            f"{width} pixels; the file is damaged or hostile, get it again."
        )
    if held < expected:
        raise FileFormatError(
            f"{printable(path)}: holds {held} bytes of {expected} for {height} x {width} pixels; "
            "it is truncated, copy or export it again."
        )
    try:
        with decoding(path, "PNG image"), warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # limits rule here
            with Image.open(path, formats=("PNG",)) as image:
                if getattr(image, "is_animated", False):
                    raise FileFormatError(
                        f"{printable(path)}: an animated PNG, expected one image; save the frames "
                        "as a TIFF stack."
                    )
                if colour == _GREY:
                    values = np.asarray(image, dtype=np.float32)
                    # Pillow spreads 2 and 4 bits over 0 to 255.
                    return values / (255 // (2**bits - 1)) if bits in (2, 4) else values
                channels = np.asarray(image.convert("RGBA"))
    except Image.DecompressionBombError as error:
        raise FileFormatError(
            f"{printable(path)}: larger than Pillow decodes ({one_line(error)}), expected a "
            "smaller PNG; crop it or save it as TIFF."
        ) from error
    grey = channels[..., 0]
    if not (channels[..., 1:3] == grey[..., None]).all() or channels[..., 3].min() < 255:
        raise FileFormatError(
            f"{printable(path)}: a colour or transparent PNG, expected greyscale; save the channel "
            "that sees the light alone, without transparency."
        )
    return grey.astype(np.float32)


@contextmanager
def open_png(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Stack]:
    """Open an image as a stack of one plane, which is decoded here.

    Raises:
        FileFormatError: As for `read_png`.
    """
    image = read_png(path, limits)
    yield Stack(path, "", (), (image.shape[0], image.shape[1]), lambda start, stop: image[None])


def _held_bytes(path: Path, most: int) -> int:
    """Return the bytes that the image data inflate to, counted until they exceed `most`.

    Pillow fills missing rows with zeros, and inflates whatever is too much.
    """
    held = 0
    inflater = zlib.decompressobj()
    with path.open("rb") as stream:
        stream.seek(len(_MAGIC))
        while header := stream.read(8):
            length, kind = struct.unpack(">I4s", header)
            if kind != b"IDAT":
                stream.seek(length + 4, 1)
                continue
            data = stream.read(length)
            while data and held <= most:
                held += len(inflater.decompress(data, _STEP_BYTES))
                data = inflater.unconsumed_tail
            if held > most:
                return held
            stream.seek(4, 1)
    return held
