import base64
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fociscope.errors import FileFormatError
from fociscope.files import Limits, read_image, read_pixel_size_um

#: Written by tifffile with imagecodecs: 16 bits, differences along a row.
BIG_ENDIAN_LZW = (
    "TU0AKgAAAAgADQEAAAQAAAABAAAABAEBAAQAAAABAAAAAgECAAMAAAABABAAAAEDAAMAAAABAAUAAAEGAAMA"
    "AAABAAEAAAERAAQAAAABAAAAwAEVAAMAAAABAAEAAAEWAAQAAAABAAAAAgEXAAQAAAABAAAAFAEaAAUAAAAB"
    "AAAAqgEbAAUAAAABAAAAsgEoAAMAAAABAAEAAAE9AAMAAAABAAIAAAAAAAAAAAABAAAAAQAAAAEAAAABAAAA"
    "AAAAgAAAMCAIqfzbABGf6/dRbCqpgIA="
)

SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(2, 9)),
    st.tuples(st.integers(2, 4), st.integers(1, 9), st.integers(2, 9)),
)
REUSE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@REUSE
@given(
    hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64]), SHAPES,
               elements=st.integers(0, 127)),
    st.sampled_from([{}, {"compression": "zlib"}, {"imagej": True}, {"byteorder": ">"},
                     {"bigtiff": True}, {"rowsperstrip": 2}, {"tile": (16, 16)}]),
)  # fmt: skip
def test_tiff_comes_back_as_written(
    tmp_path: Path, array: np.ndarray, options: dict[str, object]
) -> None:
    if "imagej" in options:
        array = array.astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="minisblack", **options)
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, array)


@REUSE
@given(
    hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.int32, np.float32]),
               st.tuples(st.integers(1, 40), st.integers(2, 40)), elements=st.integers(0, 127)),
    st.sampled_from([("packbits", {}), ("packbits", {278: 3}), ("tiff_adobe_deflate", {317: 2}),
                     ("tiff_lzw", {}), ("tiff_lzw", {317: 2}), ("tiff_lzw", {278: 3}),
                     ("tiff_lzw", {322: 16, 323: 16}), ("tiff_lzw", {322: 16, 323: 32, 317: 2})]),
)  # fmt: skip
def test_tiff_by_libtiff_comes_back(
    tmp_path: Path, array: np.ndarray, how: tuple[str, dict[int, int]]
) -> None:
    path, (compression, tags) = tmp_path / "a.tif", how
    Image.fromarray(array).save(path, compression=compression, tiffinfo=tags)
    np.testing.assert_array_equal(read_image(path), array)


def test_lzw_of_big_endian_values(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(base64.b64decode(BIG_ENDIAN_LZW))
    np.testing.assert_array_equal(read_image(path), [[1, 2, 300, 7], [70, 5, 60000, 9]])


@REUSE
@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2)))
def test_png_comes_back_as_written(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    np.testing.assert_array_equal(read_image(path), array)


@REUSE
@given(
    hnp.arrays(st.sampled_from([np.bool_, np.uint8, ">i2", np.float16, np.float32]),
               hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.integers(0, 1)),
    st.booleans(),
)  # fmt: skip
def test_npy_comes_back_as_written(tmp_path: Path, array: np.ndarray, fortran: bool) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(array) if fortran else array)
    image = read_image(path)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, array)


def test_values_are_not_judged_here(tmp_path: Path) -> None:
    array = np.array([[np.nan, np.inf], [-1.0, 1e300]])
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.npy"), np.float32([[np.nan, np.inf], [-1, np.inf]])
    )


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tifffile.imwrite(tmp_path / "a.tif", array)
    (tmp_path / "a.tif").rename(tmp_path / "a.PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.PNG"), array)


@pytest.mark.parametrize(("bits", "top"), [(1, 1), (2, 3), (4, 15)])
def test_png_of_few_bits_keeps_its_values(tmp_path: Path, bits: int, top: int) -> None:
    path = tmp_path / "a.png"
    _write_grey_png(path, bits, np.arange(16) % (top + 1))
    np.testing.assert_array_equal(read_image(path)[0], np.arange(16) % (top + 1))


def _write_grey_png(path: Path, bits: int, row: np.ndarray) -> None:
    planes = (row[:, None] >> np.arange(bits)[::-1]) & 1
    data = b"\0" + np.packbits(planes.astype(np.uint8)).tobytes()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(
            ">I", zlib.crc32(kind + body))  # fmt: skip

    header = struct.pack(">IIBBBBB", row.size, 1, bits, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )  # fmt: skip


def test_grey_stored_as_colour_is_read(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), grey)


@pytest.mark.parametrize("width", [4, 5])
def test_packed_12_bit_tiff_is_unpacked(tmp_path: Path, width: int) -> None:
    values = (np.arange(3 * width) * 1237 % 4096).reshape(3, width)
    bits = (values[..., None] >> np.arange(12)[::-1]) & 1
    packed = np.packbits(bits.astype(np.uint8).reshape(3, -1), axis=1)
    path = tmp_path / "a.tif"
    # Written as 8-bit rows of the packed width, then relabelled in the tags.
    tifffile.imwrite(path, packed, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tags = tiff.pages[0].tags
        tags["ImageWidth"].overwrite(width)
        tags["BitsPerSample"].overwrite(12)
    np.testing.assert_array_equal(read_image(path), values)


def test_single_pages_of_stacks_are_squeezed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((1, 1, 3, 4), np.uint16), photometric="minisblack")
    assert read_image(tmp_path / "a.tif").shape == (3, 4)


def test_stack_over_two_axes_is_refused(tmp_path: Path) -> None:
    for options in ({"imagej": True}, {"ome": True}):
        tifffile.imwrite(
            tmp_path / "a.tif",
            np.zeros((2, 3, 4, 5), np.uint16),
            photometric="minisblack",
            metadata={"axes": "TZYX"},
            **options,
        )
        with pytest.raises(FileFormatError, match="several axes"):
            read_image(tmp_path / "a.tif")


def test_pages_of_two_sizes_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.zeros((3, 4), np.uint8), metadata=None)
        writer.write(np.zeros((3, 5), np.uint8), metadata=None)
    with pytest.raises(FileFormatError, match="page 2"):
        read_image(tmp_path / "a.tif")


def test_limits_hold_for_each_format(tmp_path: Path) -> None:
    array = np.zeros((3, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    np.save(tmp_path / "a.npy", array)
    Image.fromarray(array[0]).save(tmp_path / "a.png")
    for name in ("a.tif", "a.npy", "a.png"):
        with pytest.raises(FileFormatError, match="pixels a side"):
            read_image(tmp_path / name, Limits(max_frame_px=25))
        with pytest.raises(FileFormatError, match="GiB"):
            read_image(tmp_path / name, Limits(max_bytes=1000))
    for name in ("a.tif", "a.npy"):
        with pytest.raises(FileFormatError, match="max_pages"):
            read_image(tmp_path / name, Limits(max_pages=2))


def test_unknown_suffix_lists_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 picture")
    with pytest.raises(FileFormatError, match=r"\.tif, \.tiff, \.lsm, \.stk, \.png, \.npy"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("options", "pitch_um"),
    [
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.055, "PhysicalSizeXUnit": "mm",
                                    "PhysicalSizeY": 55.0}}, 55.0),
        ({"ome": True, "metadata": {"PhysicalSizeX": 55.0, "PhysicalSizeY": 50.0}}, None),
        ({"ome": True}, None),
        ({"imagej": True, "resolution": (1 / 55, 1 / 55), "metadata": {"unit": "um"}}, 55.0),
        ({"imagej": True, "resolution": (1 / 55, 1 / 55), "metadata": {"unit": "pixel"}}, None),
        ({"resolution": (10_000 / 55, 10_000 / 55), "resolutionunit": "CENTIMETER"}, 55.0),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_pixel_size(tmp_path: Path, options: dict[str, object], pitch_um: float | None) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4), np.uint16), **options)
    found = read_pixel_size_um(tmp_path / "a.tif")
    assert found == (pitch_um if pitch_um is None else pytest.approx(pitch_um, rel=1e-4))


def test_pixel_size_of_other_formats_is_unknown(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    assert read_pixel_size_um(tmp_path / "a.npy") is None
