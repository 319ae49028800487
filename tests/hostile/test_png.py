"""PNG files that lie or blow up."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fociscope.files import read_image

Refused = Callable[..., str]


def png(path: Path, width: int, height: int, data: bytes = b"", colour: int = 0) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize("side", [0, 8193, 60_000, 2**32 - 1])
def test_png_bomb(tmp_path: Path, side: int, refused: Refused) -> None:
    png(tmp_path / "a.png", side, side)
    refused(read_image, tmp_path / "a.png", "claims")


def test_png_data_end_early(tmp_path: Path, refused: Refused) -> None:
    png(tmp_path / "a.png", 500, 500, bytes(501 * 3))
    refused(read_image, tmp_path / "a.png")


def test_png_in_colour(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.png"
    for mode in ("RGB", "RGBA", "P", "LA"):
        picture = Image.new("RGBA", (4, 5), (10, 200, 30, 128))
        picture.convert(mode).save(path)
        refused(read_image, path, "greyscale")


def test_animated_png(tmp_path: Path, refused: Refused) -> None:
    frames = [Image.fromarray(np.full((4, 5), value, np.uint8)) for value in (1, 2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    refused(read_image, tmp_path / "a.png", "animated")
