"""TIFFs of packed integers, and OME-XML whose attributes are odd while its pixels are sound."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_image

HEIGHT, WIDTH = 9, 11


def packed(values: np.ndarray, bits: int, *, lowest_first: bool = False) -> bytes:
    """Pack rows of values, the highest bit of each first, each row to whole bytes."""
    of_values = (values[..., None].astype("i8") >> np.arange(bits)[::-1]) & 1
    rows = of_values.reshape(len(values), -1).astype(np.uint8)
    return np.packbits(rows, axis=1, bitorder="little" if lowest_first else "big").tobytes()


def runs(data: bytes) -> bytes:
    """Return data as PackBits, literally."""
    cuts = [data[at : at + 128] for at in range(0, len(data), 128)]
    return b"".join(bytes([len(cut) - 1]) + cut for cut in cuts)


def write(path: Path, parts: list[bytes], bits: int, **tags: int) -> Path:
    """Write a TIFF of one page by hand, in strips."""
    starts = np.cumsum([8] + [len(part) for part in parts])
    known = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: 1, 277: 1, 278: HEIGHT}
    known.update({int(key[1:]): value for key, value in tags.items()})
    at = int(starts[-1])
    lists = (
        struct.pack(f"<{len(parts)}I", *starts[:-1]),
        struct.pack(f"<{len(parts)}I", *map(len, parts)),
    )
    inline = len(parts) == 1
    entries = [(key, 4, 1, value) for key, value in known.items()]
    entries += [
        (273, 4, len(parts), int(starts[0]) if inline else at),
        (279, 4, len(parts), len(parts[0]) if inline else at + len(lists[0])),
    ]
    ifd_at = at + (0 if inline else sum(map(len, lists)))
    body = b"".join(parts) + (b"" if inline else b"".join(lists))
    ifd = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in sorted(entries)
    )
    path.write_bytes(struct.pack("<2sHI", b"II", 42, ifd_at) + body + ifd + bytes(4))
    return path


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 7, 9, 10, 12, 14, 15, 20, 31])
def test_integers_of_any_number_of_bits(tmp_path: Path, bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH))
    values[0, :2] = 0, 2**bits - 1
    path = write(tmp_path / "a.tif", [packed(values, bits)], bits)
    np.testing.assert_array_equal(read_image(path), values.astype("f4"))


@pytest.mark.parametrize("compression", ["deflate", "packbits"])
@pytest.mark.parametrize("bits", [4, 12, 14])
def test_packed_integers_that_are_compressed(tmp_path: Path, bits: int, compression: str) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH))
    squeeze, code = {"deflate": (zlib.compress, 8), "packbits": (runs, 32773)}[compression]
    path = write(tmp_path / "a.tif", [squeeze(packed(values, bits))], bits, t259=code)
    np.testing.assert_array_equal(read_image(path), values)


def test_packed_integers_in_strips_or_from_the_lowest_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**10, (HEIGHT, WIDTH))
    strips = [packed(values[at : at + 4], 10) for at in range(0, HEIGHT, 4)]
    path = write(tmp_path / "strips.tif", strips, 10, t278=4)
    np.testing.assert_array_equal(read_image(path), values)
    lowest = packed(values, 10, lowest_first=True)
    path = write(tmp_path / "lowest.tif", [lowest], 10, t266=2)
    np.testing.assert_array_equal(read_image(path), values)
    path = write(tmp_path / "signed.tif", [packed(values, 10)], 10, t339=2)
    with pytest.raises(FileFormatError):
        read_image(path)


def test_packed_integers_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    values = np.full((HEIGHT, WIDTH), 5)
    for data, code in ((packed(values, 10)[:-3], 1), (zlib.compress(bytes(20)), 8)):
        with pytest.raises(FileFormatError):
            read_image(write(tmp_path / "a.tif", [data], 10, t259=code))


def ome(path: Path, frames: np.ndarray, **attributes: str) -> Path:
    """Write an OME-TIFF of 2 channels and 3 slices with other attributes of its pixels."""
    said = {"DimensionOrder": "XYCZT", "SizeZ": "3", "SizeC": "2", "SizeT": "1", **attributes}
    text = " ".join(f'{name}="{value}"' for name, value in said.items() if value != "none")
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" Type="uint16" SizeX="7" SizeY="6" {text}>'
        '<TiffData IFD="0" PlaneCount="6"/></Pixels></Image></OME>'
    )
    tifffile.imwrite(
        path, frames, description=xml.encode(), metadata=None, photometric="minisblack"
    )
    return path


@pytest.mark.parametrize(
    ("attributes", "pixel_um", "notes"),
    [
        ({"PhysicalSizeX": "55,0", "PhysicalSizeY": "55,0"}, None, 1),
        ({"PhysicalSizeX": "", "PhysicalSizeY": ""}, None, 0),
        ({"PhysicalSizeX": "55"}, None, 0),
        ({"PhysicalSizeX": "fifty", "PhysicalSizeY": "55"}, None, 1),
        ({"PhysicalSizeX": " 55 ", "PhysicalSizeY": "5.5e1"}, 55.0, 0),
        ({"DimensionOrder": "XYCZ", "SizeT": "none"}, None, 0),
        ({"DimensionOrder": "XYC"}, None, 0),
        ({"DimensionOrder": "xyczt", "SizeT": ""}, None, 0),
        ({"SizeC": "2.0", "SizeT": "0"}, None, 0),
    ],
)
def test_odd_attributes_of_ome_xml_leave_sound_pixels_readable(
    tmp_path: Path, attributes: dict[str, str], pixel_um: float | None, notes: int
) -> None:
    frames = np.arange(6 * 6 * 7, dtype=np.uint16).reshape(6, 6, 7)
    with open_captures([ome(tmp_path / "a.ome.tif", frames, **attributes)]) as series:
        assert series.read().tolist() == frames.reshape(3, 2, 6, 7).tolist()
        assert series.pixel_size_um == pixel_um
        assert len(series.notes) == notes


def test_an_order_of_ome_xml_that_says_nothing_is_refused_where_it_matters(tmp_path: Path) -> None:
    frames = np.arange(6 * 6 * 7, dtype=np.uint16).reshape(6, 6, 7)
    with (
        pytest.raises(FileFormatError, match="order"),
        open_captures([ome(tmp_path / "a.ome.tif", frames, DimensionOrder="CZYX")]),
    ):
        pass
    alone = ome(tmp_path / "b.ome.tif", frames, DimensionOrder="CZYX", SizeC="1", SizeZ="6")
    with open_captures([alone]) as series:
        assert series.shape == (6, 1, 6, 7)
