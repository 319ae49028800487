"""Files as programs write them that are not at hand for tests, made after their descriptions."""

import gzip
import itertools
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

FRAMES = np.arange(3 * 2 * 40 * 41, dtype=np.uint16).reshape(3, 2, 40, 41)
"""(frame, sensor, y, x)."""

CHUNK = (1, 1, 1, 32, 32)
AXES = [("t", "time", "second"), ("c", "channel", None), ("z", "space", "micrometer"),
        ("y", "space", "micrometer"), ("x", "space", "micrometer")]  # fmt: skip


def describe(path: Path, said: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))


def bioformats2raw(root: Path, series: int) -> None:
    """OME-Zarr 0.4 of Zarr 2: big endian, zlib, nested keys, a group for each series."""
    describe(root / ".zgroup", {"zarr_format": 2})
    describe(root / ".zattrs", {"bioformats2raw.layout": 3})
    describe(root / "OME/.zgroup", {"zarr_format": 2})
    describe(root / "OME/.zattrs", {"series": [str(n) for n in range(series)]})
    axes = [{"name": n, "type": t} | ({} if u is None else {"unit": u}) for n, t, u in AXES]
    scale = {"type": "scale", "scale": [0.5, 1.0, 1.0, 5.5, 5.5]}
    data = [{"path": "0", "coordinateTransformations": [scale]}]
    for number in range(series):
        image = root / str(number)
        describe(image / ".zgroup", {"zarr_format": 2})
        multiscales = [{"version": "0.4", "axes": axes, "datasets": data}]
        describe(image / ".zattrs", {"multiscales": multiscales})
        describe(image / "0/.zarray", {
            "zarr_format": 2, "shape": [3, 2, 1, 40, 41], "chunks": CHUNK, "dtype": ">u2",
            "compressor": {"id": "zlib", "level": 1}, "fill_value": 0, "order": "C",
            "filters": None, "dimension_separator": "/",
        })  # fmt: skip
        for t, c, row, column in itertools.product(range(3), range(2), range(2), range(2)):
            block = np.zeros((32, 32), ">u2")
            part = FRAMES[t, c, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
            block[: part.shape[0], : part.shape[1]] = part
            file = image / f"0/{t}/{c}/0/{row}/{column}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(zlib.compress(block.tobytes()))


def test_bioformats2raw(tmp_path: Path) -> None:
    bioformats2raw(tmp_path / "one.zarr", 1)
    with open_captures([tmp_path / "one.zarr"]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
        assert (series.pixel_size_um, series.time_s) == (5.5, (0.0, 0.5, 1.0))
    bioformats2raw(tmp_path / "two.zarr", 2)
    with pytest.raises(FileFormatError, match=r"2 images .*name it"):
        read_captures([tmp_path / "two.zarr"])
    np.testing.assert_array_equal(read_captures([f"{tmp_path}/two.zarr:/1"]), FRAMES)


def crc32c(content: bytes) -> bytes:
    """The checksum of Castagnoli, as its definition has it."""
    rest = 0xFFFFFFFF
    for byte in content:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ (0x82F63B78 & -(rest & 1))
    return struct.pack("<I", rest ^ 0xFFFFFFFF)


@pytest.mark.parametrize("kind", ["tensorstore", "zarrita.js"])
def test_zarr_3_of_other_libraries(tmp_path: Path, kind: str) -> None:
    is_js = kind == "zarrita.js"
    frames = FRAMES[:, :, :8, :9]
    endian = {"name": "bytes", "configuration": {"endian": "big" if is_js else "little"}}
    packed = {"name": "crc32c"} if is_js else {"name": "gzip", "configuration": {"level": 5}}
    keys = {"name": "v2", "configuration": {"separator": "."}} if is_js else {"name": "default"}
    grid = {"name": "regular", "configuration": {"chunk_shape": frames.shape}}
    describe(tmp_path / "a.zarr/zarr.json", {
        "zarr_format": 3, "node_type": "array", "shape": frames.shape, "data_type": "uint16",
        "chunk_grid": grid, "chunk_key_encoding": keys, "fill_value": 0, "codecs": [endian, packed],
    })  # fmt: skip
    content = frames.astype(">u2" if is_js else "<u2").tobytes()
    chunk = tmp_path / "a.zarr" / ("0.0.0.0" if is_js else "c/0/0/0/0")
    chunk.parent.mkdir(parents=True, exist_ok=True)
    chunk.write_bytes(content + crc32c(content) if is_js else gzip.compress(content))
    np.testing.assert_array_equal(read_captures([tmp_path / "a.zarr"]), frames)


@pytest.mark.parametrize(
    ("header", "is_by_columns"),
    [
        ("{'descr': '<u2', 'fortran_order': False, 'shape': (3, 40, 41), }", False),  # cnpy
        ("{'descr': '<u2', 'fortran_order': False, 'shape': (3L, 40L, 41L), }", False),  # Python 2
        ("{'shape':(3,40,41),'fortran_order':False,'descr':'<u2'}", False),
        ("{'descr': '<u2', 'fortran_order': True, 'shape': (3, 40, 41)}", True),  # Julia
    ],
)
def test_npy_of_other_libraries(tmp_path: Path, header: str, is_by_columns: bool) -> None:
    text = header.encode().ljust(117) + b"\n"
    content = FRAMES[:, 0].tobytes("F" if is_by_columns else "C")
    length = struct.pack("<H", len(text))
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + length + text + content)
    np.testing.assert_array_equal(read_captures([tmp_path / "a.npy"]), FRAMES[:, :1])


def test_areadetector_and_its_attributes_of_each_frame(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("entry/data/data", data=FRAMES[:, 0], chunks=(1, 40, 41))
        data.attrs.update({"signal": np.int32(1), "NDArrayDimOffset": np.int32([0, 0])})
        file["entry/instrument/detector/data"] = data  # a hard link
        for name in ("NDArrayTimeStamp", "NDArrayUniqueId"):
            file[f"entry/instrument/NDAttributes/{name}"] = np.arange(3.0)
        file["entry/instrument/performance/timestamp"] = np.zeros((3, 5))
    np.testing.assert_array_equal(read_captures([tmp_path / "a.h5"]), FRAMES[:, :1])


def test_micromanager_with_both_descriptions_and_the_xml_of_two_positions(tmp_path: Path) -> None:
    path, ome = tmp_path / "a_MMStack_Pos0.ome.tif", ""
    for name in (path.name, "a_MMStack_Pos1.ome.tif"):
        data = "".join(
            f'<TiffData FirstT="{n // 2}" FirstC="{n % 2}" FirstZ="0" IFD="{n}" PlaneCount="1">'
            f'<UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
            for n in range(6)
        )
        ome += (
            '<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" Type="uint16" SizeX="41" '
            f'SizeY="40" SizeZ="1" SizeC="2" SizeT="3" PhysicalSizeX="5.5" PhysicalSizeY="5.5">'
            f'<Channel Name="Cam"/><Channel Name="Cam-1"/>{data}</Pixels></Image>'
        )
    ome = f'<?xml version="1.0"?><OME xmlns="x/2016-06" UUID="urn:uuid:{path.name}">{ome}</OME>'
    imagej = "ImageJ=1.52\nimages=6\nchannels=2\nslices=1\nframes=3\nhyperstack=true\nunit=um\n"
    with tifffile.TiffWriter(path) as file:
        for n, page in enumerate(FRAMES.reshape(6, 40, 41)):
            said = json.dumps({"FrameIndex": n // 2, "ChannelIndex": n % 2, "SliceIndex": 0})
            tags = [(51123, 2, len(said) + 1, said, True)]
            if n == 0:
                tags.append((270, 2, len(imagej) + 1, imagej, True))
            file.write(page, photometric="minisblack", metadata=None, contiguous=False,
                       description=ome if n == 0 else None, extratags=tags)  # fmt: skip
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
        assert series.pixel_size_um == 5.5


def test_strips_of_matlab_and_times_of_thorcam(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=">") as file:
        for n, page in enumerate(FRAMES[:, 0]):
            file.write(page.astype(">u2"), rowsperstrip=7, metadata=None, contiguous=False,
                       datetime=f"2024:05:01 12:00:0{n}", software="ThorCam")  # fmt: skip
    with open_captures([tmp_path / "a.tif"]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES[:, :1])
        assert np.diff(series.time_s or ()).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("suffix", "head"),
    [
        ("fits", b"SIMPLE  ="), ("sif", b"Andor Technology Multi-Channel File"),
        ("czi", b"ZISRAWFILE"), ("nd2", b"\xda\xce\xbe\x0a"), ("lif", b"\x70\0\0\0"),
        ("jxl", b"\xff\x0a"), ("jpg", b"\xff\xd8\xff\xe0"), ("pgm", b"P5\n41 40\n65535\n"),
        ("bmp", b"BM"), ("avi", b"RIFF\0\0\0\0AVI "), ("tdms", b"TDSm"),
        ("dcm", b"\0" * 128 + b"DICM"),
        ("raw", b""), ("txt", b"# Octave 7.3\n# name: a\n# type: matrix\n"),
    ],
)  # fmt: skip
def test_other_formats_are_refused_with_what_to_do(
    tmp_path: Path, suffix: str, head: bytes
) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(head.ljust(600, b"\0"))
    with pytest.raises(FileFormatError, match="export it as 16-bit TIFF"):
        read_captures([tmp_path / f"a.{suffix}"])
