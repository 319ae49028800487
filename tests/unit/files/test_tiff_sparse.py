"""Strips and tiles that were never written, as GDAL leaves them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

IMAGE = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) + 100
EXPECTED = IMAGE.copy()
EXPECTED[:16, 16:32] = 7


def sparse(
    path: Path,
    nodata: str | None,
    *,
    parts: tuple[int, ...] = (1,),
    dtype: str = "u2",
    **how: object,
) -> Path:
    """Tiles of 16 x 16 of which some have offset and length 0."""
    tags = [] if nodata is None else [(42113, 2, 0, nodata, True)]
    options = {"tile": (16, 16), "photometric": "minisblack"} | how
    tifffile.imwrite(path, IMAGE.astype(dtype), metadata=None, extratags=tags, **options)
    with tifffile.TiffFile(path) as tiff:
        places = []
        for name in ("Offsets", "ByteCounts"):
            tag = tiff.pages[0].tags[f"Tile{name}"]
            size = {3: 2, 4: 4}[tag.dtype]
            places += [(tag.valueoffset + size * part, size) for part in parts]
    content = bytearray(path.read_bytes())
    for at, size in places:
        content[at : at + size] = bytes(size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_stated_nodata_value_fills_what_was_never_written(
    tmp_path: Path, compression: str | None
) -> None:
    path = sparse(tmp_path / "a.tif", "7", compression=compression)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read()[0, 0], EXPECTED)
        assert "1 strips or tiles were never written" in " ".join(series.notes)
        assert "nodata value 7" in " ".join(series.notes)


def test_a_page_of_which_nothing_was_written(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.tif", "7.0", parts=tuple(range(12)))
    assert (read_captures([path]) == 7).all()


@pytest.mark.parametrize("nodata", [None, "-9999", "0.5", "nan", "none"])
def test_without_a_value_that_fits_they_are_refused(tmp_path: Path, nodata: str | None) -> None:
    with pytest.raises(FileFormatError, match="1 of 12 strips or tiles of a page were never writ"):
        read_captures([sparse(tmp_path / "a.tif", nodata)])


def test_a_nodata_value_that_is_no_number_is_refused_as_one(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.tif", "nan", dtype="f4")
    with open_captures([path], allow_non_finite=True) as series:
        assert int(np.isnan(series.read()).sum()) == 256
    with open_captures([path]) as series, pytest.raises(FileFormatError, match="holds 256 NaN"):
        series.read()


def test_a_file_with_all_its_parts_says_nothing(tmp_path: Path) -> None:
    with open_captures([sparse(tmp_path / "a.tif", "7", parts=())]) as series:
        assert series.notes == ()
        np.testing.assert_array_equal(series.read()[0, 0], IMAGE)
