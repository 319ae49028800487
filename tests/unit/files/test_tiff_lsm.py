"""Zeiss' LSM files: their record states frames, sensors, pixel size and times."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

FRAMES = np.arange(3 * 2 * 20 * 30, dtype=np.uint16).reshape(3, 2, 20, 30) + 100


def record(
    t: int, z: int, c: int, *, scan: int = 3, places: int = 0, interval_s: float = 0.5
) -> bytes:
    """The record of LSM 3.2 and later, whose offsets are all 0."""
    head = struct.pack("<IiiiiiiiIi", 0x0400494C, 500, 30, 20, z, c, t, 2, 8, 8)
    voxels = struct.pack("<6d2H", 55e-6, 55e-6, 1e-6, 0, 0, 0, scan, 0)
    known = (head + voxels).ljust(112, b"\0") + struct.pack("<d", interval_s)
    return (known.ljust(264, b"\0") + struct.pack("<2i", places, 0)).ljust(500, b"\0")


def lsm(path: Path, pages: np.ndarray, said: bytes, *, thumbnails: bool = True) -> Path:
    """Pages of (sensor, y, x), each with a small picture behind."""
    with tifffile.TiffWriter(path) as tiff:
        for number, page in enumerate(pages):
            tags = [(34412, 1, len(said), said, True)] if number == 0 else []
            kind = {"planarconfig": "separate"} if page.ndim == 3 else {}
            tiff.write(page, photometric="minisblack", metadata=None, extratags=tags, **kind)
            if thumbnails:
                tiff.write(page[..., ::4, ::4].copy(), photometric="minisblack", metadata=None,
                           subfiletype=1, **kind)  # fmt: skip
    if pages.ndim == 4:
        bits_apart(path)
    return path


def bits_apart(path: Path) -> None:
    """Two bits per sample behind an offset, as Zeiss' programs write them."""
    content = bytearray(path.read_bytes())
    bits = struct.pack("<HHI2H", 258, 3, 2, 16, 16)
    content = content.replace(bits, bits[:8] + struct.pack("<I", len(content)))
    path.write_bytes(bytes(content) + struct.pack("<2H", 16, 16))


def test_time_points_of_two_channels_are_frames_of_both_sensors(tmp_path: Path) -> None:
    with open_captures([lsm(tmp_path / "a.lsm", FRAMES, record(3, 1, 2))]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
        assert series.pixel_size_um == pytest.approx(55)
        assert series.time_s == (0.0, 0.5, 1.0)


def test_the_moments_that_it_lists_come_before_the_interval(tmp_path: Path) -> None:
    path = lsm(tmp_path / "a.lsm", FRAMES[:, 0], record(3, 1, 1))
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<I", 0x0400494C)) + 132
    content[at : at + 4] = struct.pack("<I", len(content))
    path.write_bytes(bytes(content) + struct.pack("<2i3d", 32, 3, 7.0, 8.25, 11.0))
    with open_captures([path]) as series:
        assert series.time_s == (7.0, 8.25, 11.0)


@pytest.mark.parametrize("thumbnails", [True, False])
def test_pages_that_the_record_counts_and_the_file_lacks_are_refused(
    tmp_path: Path, thumbnails: bool
) -> None:
    """Even where a page's bytes leave room: LSM lists every page."""
    path = lsm(tmp_path / "a.lsm", FRAMES[:, 0], record(5, 1, 1), thumbnails=thumbnails)
    with pytest.raises(FileFormatError, match=r"34412\) describes 5 images but the file holds 3"):
        read_captures([path])
    path = lsm(tmp_path / "b.lsm", FRAMES[:1, 0], record(2, 1, 1))
    path.write_bytes(path.read_bytes() + bytes(4000))
    with pytest.raises(FileFormatError, match=r"describes 2 images but the file holds 1"):
        read_captures([path])


def test_more_pages_than_it_counts_are_read_and_said(tmp_path: Path) -> None:
    path = lsm(tmp_path / "a.lsm", FRAMES[:, 0], record(1, 1, 1, scan=0))
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read()[:, 0], FRAMES[:, 0])
        assert "describes 1 image(s) but there are 3 pages" in " ".join(series.notes)


def test_places_of_the_stage_are_no_frames(tmp_path: Path) -> None:
    path = lsm(tmp_path / "a.lsm", FRAMES[:, 0], record(1, 1, 1, places=3))
    with pytest.raises(FileFormatError, match="several axes"):
        read_captures([path])


def test_a_record_of_line_scans_or_cut_off_says_nothing(tmp_path: Path) -> None:
    for said in (record(9, 1, 1, scan=2), record(9, 1, 1)[:100]):
        path = lsm(tmp_path / "a.lsm", FRAMES[:, 0], said)
        assert read_captures([path]).shape == (3, 1, 20, 30)
