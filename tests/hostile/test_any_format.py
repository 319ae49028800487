"""Files that are not what their name says, or that broke off: one plain line, and quickly."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fociscope.errors import FileFormatError
from fociscope.files import is_mat, read_captures, read_image, read_images_depth, read_pixel_size_um

Refused = Callable[..., str]

#: Of the sound files of `conftest.py`.
NAMES = ("a.tif", "z.tif", "l.tif", "a.png", "a.npy", "a.mat", "z.mat", "h.mat")


def reader(path: Path) -> Callable[[Path], object]:
    return read_images_depth if path.suffix == ".mat" else read_image


@pytest.mark.parametrize("name", ["a.tif", "a.tiff", "a.png", "a.npy", "a.mat"])
@pytest.mark.parametrize("content", [b"x", b"a,b\n1,2\n" * 20, bytes(200), b"\xff\xd8\xff\xe0JFIF"])
def test_other_content(tmp_path: Path, name: str, content: bytes, refused: Refused) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(reader(path), path)
    refused(lambda file: read_captures([file]), path)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.mat"])
def test_empty_missing_and_folder(tmp_path: Path, name: str, refused: Refused) -> None:
    path = tmp_path / name
    refused(reader(path), path, "no such file")
    path.touch()
    refused(reader(path), path, "empty")
    path.unlink()
    path.mkdir()
    refused(reader(path), path, "folder")
    refused(is_mat, path, "folder")
    refused(read_pixel_size_um, path, "folder")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_truncated(sound: dict[str, Path], name: str, kept: float, refused: Refused) -> None:
    path = sound[name]
    reader(path)(path)
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(kept * len(content)))])
    refused(reader(path), path)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_never_end_in_another_error(sound: dict[str, Path], name: str) -> None:
    path = sound[name]
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        broken = bytearray(content)
        for place in rng.integers(0, min(len(broken), 700), 3):
            broken[place] = rng.integers(256)
        path.write_bytes(broken)
        try:
            reader(path)(path)
        except FileFormatError as error:
            assert "\n" not in str(error)


def test_a_dangling_or_odd_name_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        read_image(tmp_path / "two\nlines.tif")
    assert "\n" not in str(caught.value)


def test_the_libraries_keep_their_loggers(caplog: pytest.LogCaptureFixture) -> None:
    assert not logging.getLogger("tifffile").disabled
