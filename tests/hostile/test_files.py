"""Files that lie, break off, point elsewhere or blow up: one plain line for each, and quickly."""

import logging
import pickle
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image

from fociscope.errors import FileFormatError
from fociscope.files import (
    ImagesDepth,
    is_mat,
    read_captures,
    read_image,
    read_images_depth,
    read_pixel_size_um,
    write_images_depth,
)

A = "tumorImage_withPSF_A"
SECONDS = 2.0
MEMORY_BYTES = 64 * 2**20


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No library may write to the user's terminal on the way."""
    yield
    assert capfd.readouterr().err == ""


def refused(read: Callable[[Path], object], path: Path, *words: str) -> str:
    """Assert one line that names the file, within time and memory."""
    start = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError) as caught:
            read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert time.perf_counter() - start < SECONDS
    assert peak < MEMORY_BYTES
    assert "\n" not in message
    assert path.name in message
    for word in words:
        assert word in message
    return message


def reader(path: Path) -> Callable[[Path], object]:
    return read_images_depth if path.suffix == ".mat" else read_image


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, Path]:
    """One sound file of each kind."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60_000, (40, 50), dtype=np.uint16)
    paths = {name: tmp_path / name for name in ("a.tif", "z.tif", "a.png", "a.npy", "a.mat",
                                                "z.mat", "h.mat")}  # fmt: skip
    tifffile.imwrite(paths["a.tif"], image)
    tifffile.imwrite(paths["z.tif"], image, compression="zlib", rowsperstrip=8)
    Image.fromarray(image).save(paths["a.png"])
    np.save(paths["a.npy"], image)
    write_images_depth(paths["a.mat"], ImagesDepth(np.ones((2, 2, 30, 30), np.float32)))
    scipy.io.savemat(paths["z.mat"], {A: rng.random((2, 30, 30))}, do_compression=True)
    with h5py.File(paths["h.mat"], "w") as file:
        file[A] = np.ones((2, 30, 30))
    return paths


# --- not what the name says -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "a.tiff", "a.png", "a.npy", "a.mat"])
@pytest.mark.parametrize("content", [b"x", b"a,b\n1,2\n" * 20, bytes(200), b"\xff\xd8\xff\xe0JFIF"])
def test_other_content(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(reader(path), path)
    refused(lambda file: read_captures([file]), path)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.mat"])
def test_empty_missing_and_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    refused(reader(path), path, "no such file")
    path.touch()
    refused(reader(path), path, "empty")
    path.unlink()
    path.mkdir()
    refused(reader(path), path, "folder")
    refused(is_mat, path, "folder")
    refused(read_pixel_size_um, path, "folder")


# --- broken off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "z.tif", "a.png", "a.npy", "a.mat", "z.mat", "h.mat"])
@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_truncated(sound: dict[str, Path], name: str, kept: float) -> None:
    path = sound[name]
    reader(path)(path)
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(kept * len(content)))])
    refused(reader(path), path)


@pytest.mark.parametrize("name", ["a.tif", "z.tif", "a.png", "a.npy", "a.mat", "z.mat", "h.mat"])
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


# --- TIFF -----------------------------------------------------------------------------------------


def test_tiff_without_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + bytes(4))
    refused(read_image, path, "without any page")
    refused(read_pixel_size_um, path)


@pytest.mark.parametrize("length", [1, 3, 150])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_pages_in_a_circle(tmp_path: Path, length: int, big: bool) -> None:
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
@pytest.mark.parametrize("name", ["a.tif", "z.tif"])
def test_tiff_claims_more_than_it_holds(sound: dict[str, Path], name: str, side: int) -> None:
    overwrite_tag(sound[name], ImageWidth=side, ImageLength=side, RowsPerStrip=side)
    refused(read_image, sound[name])


def test_tiff_deflate_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((9000, 9000), np.uint8), compression="zlib", rowsperstrip=9000)
    overwrite_tag(path, ImageWidth=40, ImageLength=40, RowsPerStrip=40)
    refused(read_image, path, "inflate")


def test_tiff_in_colour(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for samples in (3, 4):
        tifffile.imwrite(path, np.zeros((5, 6, samples), np.uint8), photometric="rgb")
        refused(read_image, path, "greyscale")
    tifffile.imwrite(path, np.zeros((3, 5, 6), np.uint8), photometric="rgb", planarconfig=2)
    refused(read_image, path, "greyscale")
    tifffile.imwrite(
        path, np.zeros((5, 6), np.uint8), photometric="palette",
        colormap=np.zeros((3, 256), np.uint16),
    )  # fmt: skip
    refused(read_image, path, "greyscale")
    tifffile.imwrite(path, np.zeros((5, 6), np.uint8), photometric="miniswhite")
    refused(read_image, path, "min-is-white")


def test_tiff_of_complex_numbers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 6), np.complex64))
    refused(read_image, tmp_path / "a.tif", "complex")


@pytest.mark.parametrize("code", [5, 7, 34925, 50000, 99])
def test_tiff_of_unbounded_compression(sound: dict[str, Path], code: int) -> None:
    overwrite_tag(sound["z.tif"], Compression=code)
    refused(read_image, sound["z.tif"], "compressed with")


def ome(path: Path, text: str) -> None:
    tifffile.imwrite(path, np.zeros((4, 5), np.uint8), description=text, metadata=None)


def test_ome_xml_that_explodes_or_lies(tmp_path: Path) -> None:
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
    refused(read_pixel_size_um, path)


def test_ome_xml_does_not_open_other_files(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "secret.tif", np.full((4, 5), 7, np.uint8))
    path = tmp_path / "a.ome.tif"
    ome(
        path,
        '<OME><Image><Pixels SizeT="1" SizeZ="2" SizeC="1" SizeX="5" SizeY="4" Type="uint8" '
        'DimensionOrder="XYZCT"><TiffData FirstZ="1" IFD="0"><UUID FileName="secret.tif">urn:uuid:1'
        "</UUID></TiffData></Pixels></Image></OME>",
    )
    refused(read_image, path, "holds 1 pages")


# --- PNG ------------------------------------------------------------------------------------------


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
def test_png_bomb(tmp_path: Path, side: int) -> None:
    png(tmp_path / "a.png", side, side)
    refused(read_image, tmp_path / "a.png", "claims")


def test_png_data_end_early(tmp_path: Path) -> None:
    png(tmp_path / "a.png", 500, 500, bytes(501 * 3))
    refused(read_image, tmp_path / "a.png")


def test_png_in_colour(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for mode in ("RGB", "RGBA", "P", "LA"):
        picture = Image.new("RGBA", (4, 5), (10, 200, 30, 128))
        picture.convert(mode).save(path)
        refused(read_image, path, "greyscale")


def test_animated_png(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 5), value, np.uint8)) for value in (1, 2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    refused(read_image, tmp_path / "a.png", "animated")


# --- NPY ------------------------------------------------------------------------------------------


class Touch:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_npy_of_objects_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "a.npy"
    np.save(path, np.array([[Touch(trace)]], dtype=object), allow_pickle=True)
    refused(read_image, path, "Python objects")
    path.write_bytes(pickle.dumps(Touch(trace)))
    refused(read_image, path)
    assert not trace.exists()


def npy(path: Path, header: str) -> None:
    text = header.encode("latin-1") + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (8000, 8000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 'x')}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '|V999999999', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '<f4'}",
        "(" * 5000,
        "__import__('os').system('false')",
        "x" * 20_000,
    ],
)
def test_npy_header_lies(tmp_path: Path, header: str) -> None:
    npy(tmp_path / "a.npy", header)
    refused(read_image, tmp_path / "a.npy")


# --- MAT v5 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [{"x": 1}, np.array([1, "two"], dtype=object), "text", scipy.sparse.eye(4).tocsc(),
     np.ones((4, 4)) * 1j, np.zeros((0, 4))],
)  # fmt: skip
@pytest.mark.parametrize("compressed", [False, True])
def test_mat_of_another_class(tmp_path: Path, value: object, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {A: value}, do_compression=compressed)
    refused(read_images_depth, path, A)


def matrix(shape: tuple[int, ...], data_bytes: int, data: bytes, name: bytes = A.encode()) -> bytes:
    """A double matrix element that claims what it is told to."""
    sizes = struct.pack(f"<{len(shape)}i", *shape)
    sizes += bytes(-len(sizes) % 8)
    body = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<II", 5, 4 * len(shape)) + sizes
    body += struct.pack("<II", 1, len(name)) + name + bytes(-len(name) % 8)
    body += struct.pack("<II", 9, data_bytes) + data
    return struct.pack("<II", 14, len(body)) + body


def mat5(path: Path, *elements: bytes) -> None:
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements))


@pytest.mark.parametrize(
    ("shape", "claimed"),
    [((1000, 1000), 32), ((2, 2), 2**31), ((2, 2), 40), ((-2, -2), 32), ((2**30, 2**30), 32),
     ((60_000, 60_000), 60_000**2 * 8 % 2**32)],
)  # fmt: skip
@pytest.mark.parametrize("compressed", [False, True])
def test_mat_claims_lie(
    tmp_path: Path, shape: tuple[int, ...], claimed: int, compressed: bool
) -> None:
    element = matrix(shape, claimed, bytes(32))
    if compressed:
        packed = zlib.compress(element)
        element = struct.pack("<II", 15, len(packed)) + packed
    mat5(tmp_path / "a.mat", element)
    refused(read_images_depth, tmp_path / "a.mat")


def test_mat_built_by_hand_is_read(tmp_path: Path) -> None:
    mat5(tmp_path / "a.mat", matrix((2, 2), 32, np.arange(4.0).tobytes()))
    assert read_images_depth(tmp_path / "a.mat").captures.ravel().tolist() == [0, 2, 1, 3]


def test_mat_bombs_and_doubles(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    sound = matrix((2, 2), 32, bytes(32))
    packed = zlib.compress(bytes(300 * 2**20), 1)
    mat5(path, sound, struct.pack("<II", 15, len(packed)) + packed)
    refused(read_images_depth, path)
    mat5(path, sound, sound)
    refused(read_images_depth, path, "twice")
    mat5(path, sound, matrix((2, 2), 32, bytes(32), name=b"n" * 3000))
    refused(read_images_depth, path)
    mat5(path, struct.pack("<II", 14, 2**32 - 1))
    refused(read_images_depth, path, "too early")


# --- MAT v7.3 -------------------------------------------------------------------------------------


def hdf5(path: Path, build: Callable[[Any], object]) -> Path:
    with h5py.File(path, "w") as file:
        build(file)
    return path


def test_hdf5_links(tmp_path: Path) -> None:
    hdf5(tmp_path / "secret.mat", lambda file: file.create_dataset(A, data=np.ones((6, 6))))
    path = tmp_path / "a.mat"
    hdf5(path, lambda file: file.__setitem__(A, h5py.ExternalLink("secret.mat", A)))
    refused(read_images_depth, path, "link")
    hdf5(path, lambda file: file.__setitem__(A, h5py.SoftLink("/elsewhere")))
    refused(read_images_depth, path, "link")


def test_hdf5_external_storage(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(8 * 36))
    path = hdf5(
        tmp_path / "a.mat",
        lambda file: file.create_dataset(
            A, (6, 6), "f8", external=[(str(tmp_path / "secret.bin"), 0, 8 * 36)]
        ),
    )
    refused(read_images_depth, path, "other files")


def test_hdf5_virtual_data_set(tmp_path: Path) -> None:
    hdf5(tmp_path / "secret.mat", lambda file: file.create_dataset("x", data=np.ones((6, 6))))
    layout = h5py.VirtualLayout((6, 6), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.mat"), "x", (6, 6))
    path = hdf5(tmp_path / "a.mat", lambda file: file.create_virtual_dataset(A, layout))
    refused(read_images_depth, path, "other files")


@pytest.mark.parametrize(
    "options",
    [{"compression": "lzf"}, {"scaleoffset": 2},
     {"compression": 32_015, "allow_unknown_filter": True}],
)  # fmt: skip
def test_hdf5_unknown_filters(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.mat"

    def build(file: Any) -> None:
        file.create_dataset(A, (6, 6), "i4", chunks=(6, 6), **options)

    hdf5(path, build)
    refused(read_images_depth, path, "filter")


@pytest.mark.parametrize(
    "build",
    [
        lambda file: file.create_group(A),
        lambda file: file.create_dataset(A, (6, 6), dtype=h5py.ref_dtype),
        lambda file: file.create_dataset(A, (6, 6), dtype=h5py.string_dtype()),
        lambda file: file.create_dataset(A, (6, 6), dtype=h5py.vlen_dtype("f4")),
        lambda file: file.create_dataset(A, (6, 6), dtype=[("a", "f4")]),
        lambda file: file.create_dataset(A, (6, 6), dtype="c8"),
        lambda file: file.create_dataset(A, data=h5py.Empty("f4")),
        lambda file: file.create_dataset(A, data=1.0),
        lambda file: file.create_dataset(A, (10**6, 10**6), "u1", chunks=(64, 64)),
        lambda file: file.create_dataset(A, (150_000, 200, 200), "u1", chunks=(1, 200, 200)),
        lambda file: file.create_dataset(A, (6, 6), "f4", chunks=(20_000, 20_000),
                                         maxshape=(None, None)),
        lambda file: file.create_dataset(A, data=[0, 0]).attrs.update({"MATLAB_empty": 1}),
    ],
)  # fmt: skip
def test_hdf5_of_another_kind_or_size(tmp_path: Path, build: Callable[[Any], object]) -> None:
    path = hdf5(tmp_path / "a.mat", build)
    refused(read_images_depth, path)


def test_hdf5_gzip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"

    def build(file: Any) -> None:
        item = file.create_dataset(A, (6, 6), "f8", chunks=(6, 6), compression="gzip")
        item.id.write_direct_chunk((0, 0), zlib.compress(bytes(200 * 2**20), 9))

    hdf5(path, build)
    refused(read_images_depth, path, "inflates")


def test_hdf5_damaged_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"

    def build(file: Any) -> None:
        item = file.create_dataset(A, (6, 6), "f8", chunks=(6, 6), compression="gzip")
        item.id.write_direct_chunk((0, 0), b"this is not deflate")

    hdf5(path, build)
    refused(read_images_depth, path)


def test_a_dangling_or_odd_name_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        read_image(tmp_path / "two\nlines.tif")
    assert "\n" not in str(caught.value)


def test_the_libraries_keep_their_loggers(caplog: pytest.LogCaptureFixture) -> None:
    assert not logging.getLogger("tifffile").disabled
