"""TIFF files that lie, point elsewhere or blow up."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fociscope.files import read_image, read_pixel_size_um

Refused = Callable[..., str]


def test_tiff_without_pages(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + bytes(4))
    refused(read_image, path, "without any page")
    refused(read_pixel_size_um, path)


@pytest.mark.parametrize("length", [1, 3, 150])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_pages_in_a_circle(tmp_path: Path, length: int, big: bool, refused: Refused) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=big) as writer:
        for _ in range(length):
            writer.write(np.zeros((2, 2), np.uint8), metadata=None, contiguous=False)
    with tifffile.TiffFile(path) as tiff:
        starts = [page.offset for page in tiff.pages]
        tags = len(tiff.pages[-1].tags)
    content = bytearray(path.read_bytes())
    link = starts[-1] + (8 + 20 * tags if big else 2 + 12 * tags)
    struct.pack_into("<Q" if big else "<I", content, link, starts[0])
    path.write_bytes(content)
    refused(read_image, path, "circle", f"page {length}")
    refused(read_pixel_size_um, path, "circle")


def overwrite_tag(path: Path, **values: object) -> None:
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name, value in values.items():
            tiff.pages[0].tags[name].overwrite(value)


@pytest.mark.parametrize("side", [8192, 8193, 60_000])
@pytest.mark.parametrize("name", ["a.tif", "z.tif", "l.tif"])
def test_tiff_claims_more_than_it_holds(
    sound: dict[str, Path], name: str, side: int, refused: Refused
) -> None:
    overwrite_tag(sound[name], ImageWidth=side, ImageLength=side, RowsPerStrip=side)
    refused(read_image, sound[name])


def test_tiff_deflate_bomb(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((9000, 9000), np.uint8), compression="zlib", rowsperstrip=9000)
    overwrite_tag(path, ImageWidth=40, ImageLength=40, RowsPerStrip=40)
    refused(read_image, path, "inflate")


def test_tiff_in_colour(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.tif"
    for samples in (3, 4):
        tifffile.imwrite(path, np.zeros((5, 6, samples), np.uint8), photometric="rgb")
        refused(read_image, path, "greyscale")
    tifffile.imwrite(
        path, np.zeros((3, 5, 6), np.uint8), photometric="rgb", planarconfig=2, metadata=None
    )
    refused(read_image, path, "greyscale")
    tifffile.imwrite(
        path, np.zeros((5, 6), np.uint8), photometric="palette",
        colormap=np.zeros((3, 256), np.uint16),
    )  # fmt: skip
    refused(read_image, path, "greyscale")
    tifffile.imwrite(path, np.zeros((5, 6), np.uint8), photometric="miniswhite")
    refused(read_image, path, "min-is-white")


def test_tiff_of_complex_numbers(tmp_path: Path, refused: Refused) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 6), np.complex64))
    refused(read_image, tmp_path / "a.tif", "complex")


@pytest.mark.parametrize("code", [7, 34925, 50000, 99])
def test_tiff_of_unbounded_compression(sound: dict[str, Path], code: int, refused: Refused) -> None:
    overwrite_tag(sound["z.tif"], Compression=code)
    refused(read_image, sound["z.tif"], "compressed with")


@pytest.mark.parametrize("name", ["z.tif", "l.tif"])
def test_tiff_of_another_predictor(sound: dict[str, Path], name: str, refused: Refused) -> None:
    image = read_image(sound[name]).astype(np.uint16)
    compression = "tiff_adobe_deflate" if name == "z.tif" else "tiff_lzw"
    Image.fromarray(image).save(sound[name], compression=compression, tiffinfo={317: 2})
    overwrite_tag(sound[name], Predictor=3)
    refused(read_image, sound[name], "predictor 3")


def ome(path: Path, text: str) -> None:
    tifffile.imwrite(path, np.zeros((4, 5), np.uint8), description=text, metadata=None)


def test_ome_xml_that_explodes_or_lies(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.ome.tif"
    ome(path, '<!DOCTYPE x [<!ENTITY a "aaaa">]><OME>&a;</OME>')
    refused(read_image, path, "entities")
    refused(read_pixel_size_um, path, "entities")
    ome(path, "<OME><Image></OME>")
    refused(read_image, path)
    ome(path, '<OME><Image><Pixels SizeT="1000000000000" SizeZ="1" SizeC="1"/></Image></OME>')
    refused(read_image, path, "1000000000000")
    ome(path, '<OME><Image><Pixels SizeT="many" PhysicalSizeX="wide"/></Image></OME>')
    refused(read_image, path)
    assert read_pixel_size_um(path) is None  # no number, no size; the pixels may be sound


def test_ome_xml_does_not_open_other_files(tmp_path: Path, refused: Refused) -> None:
    tifffile.imwrite(tmp_path / "secret.tif", np.full((4, 5), 7, np.uint8))
    path = tmp_path / "a.ome.tif"
    ome(
        path,
        '<OME><Image><Pixels SizeT="1" SizeZ="2" SizeC="1" SizeX="5" SizeY="4" Type="uint8" '
        'DimensionOrder="XYZCT"><TiffData FirstZ="1" IFD="0"><UUID FileName="secret.tif">urn:uuid:1'
        "</UUID></TiffData></Pixels></Image></OME>",
    )
    refused(read_image, path, "holds 1 pages")


def test_tiff_whose_compression_is_a_control_letter(
    sound: dict[str, Path], refused: Refused
) -> None:
    """Found by fuzzing: the tag holds text in place of a number."""
    content = bytearray(sound["z.tif"].read_bytes())
    entry = content.index(struct.pack("<HHI", 259, 3, 1))  # Compression, SHORT
    content[entry : entry + 12] = struct.pack("<HHI4s", 259, 2, 2, b"\x10\0\0\0")  # ASCII
    sound["z.tif"].write_bytes(content)
    refused(read_image, sound["z.tif"], r"compressed with '\x10'")
