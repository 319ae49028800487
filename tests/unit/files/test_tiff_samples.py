"""TIFF pages of several values per pixel: planes of one page are frames or sensors, never mixed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures, read_image

PLANES = np.arange(4 * 9 * 11, dtype=np.uint16).reshape(4, 9, 11)
"""(plane, y, x)."""


def write(path: Path, array: np.ndarray, **how: Any) -> Path:
    """Write one page of values apart, without tifffile's own description."""
    tifffile.imwrite(path, array, metadata=None, planarconfig="separate", **how)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tifffile")
@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_that_tifffile_labels_colour(tmp_path: Path, count: int, dtype: Any) -> None:
    planes = PLANES[:count].astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), planes)
    with open_captures([tmp_path / "a.tif"]) as series:
        np.testing.assert_array_equal(series.read()[:, 0], planes)
        assert "labelled as colour" in " ".join(series.notes)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_two_bands_are_sensors(
    tmp_path: Path, compression: str | None, apart: bool, dtype: Any
) -> None:
    pair = PLANES[:2].astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", pair if apart else np.moveaxis(pair, 0, -1), metadata=None,
        photometric="minisblack", planarconfig="separate" if apart else "contig",
        extrasamples=["unspecified"], compression=compression,
        predictor=2 if compression and dtype != np.float32 else None,
    )  # fmt: skip
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif"]), pair)


def test_bands_of_any_number_are_pages(tmp_path: Path) -> None:
    many = np.arange(7 * 9 * 11, dtype=np.uint16).reshape(7, 9, 11)
    path = write(tmp_path / "a.tif", many, photometric="minisblack", rowsperstrip=4)
    np.testing.assert_array_equal(read_captures([path])[:, 0], many)


@pytest.mark.parametrize("apart", [False, True])
def test_pages_of_two_bands_are_frames_of_both_sensors(tmp_path: Path, apart: bool) -> None:
    frames = np.arange(3 * 2 * 9 * 11, dtype=np.uint16).reshape(3, 2, 9, 11)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for frame in frames:
            tiff.write(
                frame if apart else np.moveaxis(frame, 0, -1), metadata=None,
                photometric="minisblack", planarconfig="separate" if apart else "contig",
                extrasamples=["unspecified"],
            )  # fmt: skip
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif"]), frames)


def test_ome_channels_in_one_page(tmp_path: Path) -> None:
    frames = np.arange(3 * 2 * 9 * 11, dtype=np.uint16).reshape(3, 2, 9, 11)
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="11" SizeY="9" '
        'SizeZ="1" SizeC="2" SizeT="3"><Channel ID="C:0" SamplesPerPixel="2"/>'
        '<TiffData IFD="0" PlaneCount="3"/></Pixels></Image></OME>'
    )
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        for number, frame in enumerate(frames):
            tiff.write(
                np.moveaxis(frame, 0, -1), metadata=None, photometric="minisblack",
                planarconfig="contig", extrasamples=["unspecified"],
                description=xml.encode() if number == 0 else None,
            )  # fmt: skip
    np.testing.assert_array_equal(read_captures([tmp_path / "a.ome.tif"]), frames)


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ((9, 11, 3), {"photometric": "rgb"}),
        ((3, 9, 11), {"photometric": "rgb", "planarconfig": "separate"}),
        ((9, 11, 2), {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
    ],
)
def test_colour_is_refused_without_advice_to_mix(
    tmp_path: Path, shape: tuple[int, ...], how: dict[str, Any]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), metadata=None, **how)
    with pytest.raises(FileFormatError, match="a page each") as caught:
        read_image(tmp_path / "a.tif")
    assert "convert" not in str(caught.value)


def test_a_look_up_table_of_imagej_does_not_hide_values(tmp_path: Path) -> None:
    values = PLANES[0].astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="palette", metadata=None,
        colormap=np.full((3, 256), 7, np.uint16), description="ImageJ=1.54f\n",
    )  # fmt: skip
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), values)


def test_two_components_that_are_called_colour_are_sensors(tmp_path: Path) -> None:
    """As ITK writes them: colour takes three values, so that two are none."""
    array = np.ascontiguousarray(np.moveaxis(PLANES[:2], 0, -1))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="minisblack", planarconfig="contig", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["PhotometricInterpretation"].overwrite(2)
    np.testing.assert_array_equal(read_captures([path]), PLANES[:2])
