"""A generator of malicious and broken files: TIFF, PNG, NPY, NPZ and MAT v5.

Each case is a function that writes into a folder of its own and returns the path to read. Nothing
may ever appear there as `touched`. More of them: `broken_stores.py`.
"""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import tifffile

Build = Callable[[Path], Path | str]
CASES: dict[str, Build] = {}
IMAGE = np.random.default_rng(0).integers(1, 60_000, (40, 50), dtype=np.uint16)
BOMB_BYTES = 3 * 2**29


def case(build: Build) -> Build:
    """Add a case: the function's name says what is wrong."""
    CASES[build.__name__] = build
    return build


class Touch:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    """Keep the first part of a file."""
    content = path.read_bytes()
    return write(path, content[: int(share * len(content))])


def bomb(beginning: bytes = b"") -> bytes:
    """Return what inflates to a sound beginning, and then to zeros without end."""
    packer = zlib.compressobj(1)
    packed = packer.compress(beginning) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush, the same bytes are packed to the same bytes.
    zeros = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed + zeros * (BOMB_BYTES // 2**24)


# ---- TIFF


@case
def tiff_truncated(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", np.stack([IMAGE] * 5), photometric="minisblack")
    return cut(folder / "a.tif")


@case
def tiff_with_a_million_pages(folder: Path) -> Path:
    """BigTIFF pages without any tag, 16 bytes each."""
    count = 10**6
    starts = 16 + 16 * np.arange(count, dtype="<u8")
    links = np.zeros((count, 2), "<u8")
    links[:-1, 1] = starts[1:]
    return write(folder / "a.tif", b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + links.tobytes())


@case
def tiff_pages_in_a_circle(folder: Path) -> Path:
    links = struct.pack("<QQQQ", 0, 32, 0, 16)
    return write(folder / "a.tif", b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + links)


def tagged(folder: Path, image: np.ndarray, options: dict[str, Any], **tags: Any) -> Path:
    path = folder / "a.tif"
    tifffile.imwrite(path, image, photometric="minisblack", metadata=None, **options)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name, value in tags.items():
            tiff.pages[0].tags[name].overwrite(value)
    return path


@case
def tiff_claims_a_huge_frame(folder: Path) -> Path:
    return tagged(folder, IMAGE, {}, ImageWidth=2**31 - 1, ImageLength=2**31 - 1)


@case
def tiff_claims_more_than_it_holds(folder: Path) -> Path:
    return tagged(folder, IMAGE, {}, ImageWidth=8000, ImageLength=8000, RowsPerStrip=8000)


@case
def tiff_deflate_bomb(folder: Path) -> Path:
    image = np.zeros((12_000, 12_000), np.uint8)
    options = {"compression": "zlib", "rowsperstrip": 12_000}
    return tagged(folder, image, options, ImageWidth=40, ImageLength=40, RowsPerStrip=40)


@case
def tiff_lzw_that_is_none(folder: Path) -> Path:
    return tagged(folder, IMAGE, {}, Compression=5)


@case
def tiff_lzw_that_only_clears(folder: Path) -> Path:
    codes = int("100000000" * 2_000_000, 2).to_bytes(2_250_000, "big")
    image = np.frombuffer(codes, np.uint8).reshape(1500, 1500)
    return tagged(folder, image, {"rowsperstrip": 1500}, Compression=5)


@case
def tiff_strips_elsewhere(folder: Path) -> Path:
    return tagged(folder, IMAGE, {}, StripOffsets=2**31)


@case
def tiff_of_a_million_images_behind_one_page(folder: Path) -> Path:
    text = "ImageJ=1.53t\nimages=1000000000\n"
    tifffile.imwrite(folder / "a.tif", IMAGE, description=text, metadata=None)
    return folder / "a.tif"


@case
def ndtiff_index_of_any_size(folder: Path) -> Path:
    said = json.dumps({"PixelSizeUm": 55.0})
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for _ in range(2):
            file.write(IMAGE, metadata=None, contiguous=False,
                       extratags=[(51123, 2, 0, said, True)])  # fmt: skip
    (folder / "NDTiff.index").write_bytes(b"\xff\xff\xff\xff{}")
    return folder / "a.tif"


def ome(folder: Path, xml: str) -> Path:
    tifffile.imwrite(folder / "a.ome.tif", IMAGE, description=xml, metadata=None)
    return folder / "a.ome.tif"


@case
def ome_xml_entities(folder: Path) -> Path:
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 9}">' for n in range(1, 12))
    return ome(folder, f'<!DOCTYPE x [<!ENTITY a0 "aaa">{lines}]><OME>&a11;</OME>')


@case
def ome_xml_of_millions_of_elements(folder: Path) -> Path:
    return ome(folder, f"<OME>{'<a/>' * 3_000_000}</OME>")


@case
def ome_xml_deeply_nested(folder: Path) -> Path:
    return ome(folder, f"<OME>{'<a>' * 1_500_000}</OME>")


@case
def ome_xml_claims_a_million_frames(folder: Path) -> Path:
    pixels = '<Pixels DimensionOrder="XYZCT" SizeT="1000000" SizeC="1" SizeZ="1"/>'
    return ome(folder, f"<OME><Image>{pixels}</Image></OME>")


@case
def ome_xml_negative_and_far_pages(folder: Path) -> Path:
    data = '<TiffData FirstC="1" IFD="-7" PlaneCount="999999999"/>'
    tifffile.imwrite(
        folder / "a.ome.tif", np.stack([IMAGE, IMAGE]), photometric="minisblack", metadata=None,
        description='<OME><Image><Pixels DimensionOrder="XYZCT" SizeT="1" SizeC="2" SizeZ="1">'
        f"{data}</Pixels></Image></OME>",
    )  # fmt: skip
    return folder / "a.ome.tif"


# ---- PNG


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(folder: Path, width: int, height: int, packed: bytes, *more: bytes) -> Path:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))
    body = header + b"".join(more) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return write(folder / "a.png", b"\x89PNG\r\n\x1a\n" + body)


@case
def png_bomb(folder: Path) -> Path:
    return png(folder, 40, 40, bomb())


@case
def png_claims_a_huge_frame(folder: Path) -> Path:
    return png(folder, 2**31 - 1, 2**31 - 1, zlib.compress(bytes(100)))


@case
def png_truncated(folder: Path) -> Path:
    return cut(png(folder, 40, 40, zlib.compress(np.random.default_rng(0).bytes(40 * 81))))


@case
def png_text_bomb(folder: Path) -> Path:
    text = b"Comment\0\0" + zlib.compress(bytes(100 * 2**20))
    return png(folder, 40, 40, zlib.compress(bytes(40 * 81)), chunk(b"zTXt", text))


# ---- NPY and NPZ


def npy(descr: str, shape: str, data: bytes = bytes(64)) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@case
def npy_truncated(folder: Path) -> Path:
    np.save(folder / "a.npy", IMAGE)
    return cut(folder / "a.npy")


@case
def npy_of_pickles(folder: Path) -> Path:
    touch = np.array([[Touch(folder / "touched")]], dtype=object)
    np.save(folder / "a.npy", touch, allow_pickle=True)
    return folder / "a.npy"


@case
def npy_that_is_a_pickle(folder: Path) -> Path:
    return write(folder / "a.npy", pickle.dumps(Touch(folder / "touched")))


@case
def npy_negative_size(folder: Path) -> Path:
    return write(folder / "a.npy", npy("'<f4'", "(-4, -4)"))


@case
def npy_claims_a_petabyte(folder: Path) -> Path:
    return write(folder / "a.npy", npy("'<f8'", "(200000, 8192, 8192)"))


@case
def npy_header_deeply_nested(folder: Path) -> Path:
    return write(folder / "a.npy", npy("[" * 9000, "(4, 4)"))


@case
def npy_header_of_control_letters(folder: Path) -> Path:
    """Found by fuzzing: NumPy's message repeats what the header says."""
    return write(folder / "a.npy", npy("'8\x05\x1b[31mu2'", "(4, 4)"))


@case
def npy_header_of_python_2(folder: Path) -> Path:
    """Found by fuzzing: NumPy warns of it on the terminal."""
    return write(folder / "a.npy", npy("'<f4'", "(4L, 400L)"))


@case
def npy_of_nan(folder: Path) -> Path:
    values = np.where(IMAGE > 50_000, np.nan, IMAGE).astype(np.float32)
    values[0, 0] = np.inf
    np.save(folder / "a.npy", values)
    return folder / "a.npy"


def npz(path: Path, members: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@case
def npz_truncated(folder: Path) -> Path:
    np.savez(folder / "a.npz", captures=IMAGE)
    return cut(folder / "a.npz")


@case
def npz_of_pickles(folder: Path) -> Path:
    touch = np.full((4, 4), Touch(folder / "touched"), dtype=object)
    np.savez(folder / "a.npz", captures=touch)
    return folder / "a.npz"


@case
def npz_bomb(folder: Path) -> Path:
    """The header claims a small image; the member goes on for 1.5 GiB."""
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, \
            archive.open("captures.npy", "w", force_zip64=True) as member:  # fmt: skip
        member.write(npy("'<f4'", "(40, 50)"))
        for _ in range(BOMB_BYTES // 2**24):
            member.write(bytes(2**24))
    return path


@case
def npz_that_lies_of_its_size(folder: Path) -> Path:
    """Directory and header agree on 1.6 GB, of which nothing is there."""
    path = npz(folder / "a.npz", {"captures.npy": npy("'<f4'", "(50, 2, 2000, 2000)", b"")})
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x01\x02")
    claimed = struct.unpack_from("<I", content, place + 24)[0] + 50 * 2 * 2000 * 2000 * 4
    struct.pack_into("<I", content, place + 24, claimed)
    return write(path, bytes(content))


@case
def npz_of_100000_members(folder: Path) -> Path:
    path = folder / "a.npz"
    local = b"PK\x03\x04" + bytes(26)
    entry = b"PK\x01\x02" + struct.pack("<HH4H3I5H2I", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0,
                                        0, 0) + b"a.npy"  # fmt: skip
    directory = entry * 100_000
    end = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), len(local), 0
    )
    return write(path, local + directory + end)


@case
def npz_with_names_that_lead_out(folder: Path) -> Path:
    members = {f"{'../' * n}touched.npy": npy("'<f4'", "(4, 4)") for n in (1, 9)}
    return npz(folder / "a.npz", {**members, "/etc/x.npy": npy("'<f4'", "(4, 4)")})


# ---- MAT v5


def mat_element(shape: tuple[int, ...], claimed: int, data: bytes) -> bytes:
    sizes = struct.pack(f"<{len(shape)}i", *shape)
    sizes += bytes(-len(sizes) % 8)
    body = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<II", 5, 4 * len(shape)) + sizes
    body += struct.pack("<II", 1, 1) + b"x" + bytes(7) + struct.pack("<II", 9, claimed) + data
    return struct.pack("<II", 14, len(body)) + body


def mat5(folder: Path, *elements: bytes) -> Path:
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    return write(folder / "a.mat", head + b"".join(elements))


@case
def mat_truncated(folder: Path) -> Path:
    scipy.io.savemat(folder / "a.mat", {"x": IMAGE.astype(float)})
    return cut(folder / "a.mat")


@case
def mat_negative_size(folder: Path) -> Path:
    return mat5(folder, mat_element((-40, -50), 32, bytes(32)))


@case
def mat_claims_more_than_it_holds(folder: Path) -> Path:
    return mat5(folder, mat_element((8000, 8000), 32, bytes(32)))


@case
def mat_bomb(folder: Path) -> Path:
    """The header claims a 2 x 2 matrix; the compressed element goes on for 1.5 GiB."""
    packed = bomb(mat_element((2, 2), 32, bytes(32)))
    return mat5(folder, struct.pack("<II", 15, len(packed)) + packed)


@case
def mat_of_nested_structs(folder: Path) -> Path:
    value: Any = {"x": IMAGE}
    for _ in range(200):
        value = {"x": value}
    scipy.io.savemat(folder / "a.mat", {"captures": value})
    return folder / "a.mat"
