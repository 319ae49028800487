"""NDTiff data sets whose pages do not say their place: the index beside the file does."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import read_captures

RNG = np.random.default_rng(5)
FRAMES = RNG.integers(100, 900, (3, 2, 40, 36), dtype=np.uint16)
"""(time, camera, y, x)"""
ORDER = ((1, "B"), (0, "A"), (2, "A"), (1, "A"), (0, "B"), (2, "B"))
"""Times and cameras as they arrived."""


def data_set(folder: Path, *, indexed: int = len(ORDER)) -> Path:
    """Write the pages in the order of arrival, and an index of some of them."""
    path = folder / "run_NDTiffStack.tif"
    said = json.dumps({"PixelSizeUm": 55.0})
    with tifffile.TiffWriter(path) as stack:
        for time, camera in ORDER:
            plane = FRAMES[time, "AB".index(camera)]
            stack.write(plane, metadata=None, extratags=[(51123, 2, 0, said, True)])
    with tifffile.TiffFile(path) as tiff:
        offsets = [page.dataoffsets[0] for page in tiff.pages]
    entries = b""
    for (time, camera), offset in list(zip(ORDER, offsets, strict=True))[:indexed]:
        axes, name = json.dumps({"time": time, "channel": f"Cam{camera}"}).encode(), path.name
        entries += struct.pack("<I", len(axes)) + axes
        entries += struct.pack("<I", len(name)) + name.encode()
        entries += struct.pack("<8I", offset, 36, 40, 1, 0, 0, 0, 0)
    (folder / "NDTiff.index").write_bytes(entries)
    return path


def test_frames_and_cameras_stand_where_the_index_says(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_captures(data_set(tmp_path)), FRAMES)


def test_a_page_that_the_index_lacks_is_said(tmp_path: Path) -> None:
    path = data_set(tmp_path, indexed=4)
    with pytest.raises(FileFormatError, match=r"2 of its 6 pages are not in NDTiff\.index"):
        read_captures(path)


@pytest.mark.parametrize("kept", [3, 20, -1])
def test_an_index_that_is_cut_off_is_said(tmp_path: Path, kept: int) -> None:
    path = data_set(tmp_path)
    index = tmp_path / "NDTiff.index"
    index.write_bytes(index.read_bytes()[:kept])
    with pytest.raises(FileFormatError, match=r"NDTiff\.index: cut off, or no index"):
        read_captures(path)
