"""More of the generator: HDF5, Zarr, models, imagers and recipes."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from numcodecs import Zstd
from numcodecs.blosc import Blosc

Build = Callable[[Path], Path | str]
CASES: dict[str, Build] = {}
IMAGE = np.random.default_rng(0).integers(1, 60_000, (40, 50), dtype=np.uint16)


def case(build: Build) -> Build:
    """Add a case: the function's name says what is wrong."""
    CASES[build.__name__] = build
    return build


def bomb(packer: Any) -> bytes:
    """Return what inflates to 1.5 GiB."""
    head = packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush, the same bytes are packed to the same bytes.
    return head + 96 * (packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH))


# ---- HDF5


def hdf5(folder: Path, fill: Callable[[Any], object]) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        fill(file)
    return folder / "a.h5"


@case
def hdf5_truncated(folder: Path) -> Path:
    path = hdf5(folder, lambda file: file.create_dataset("x", data=IMAGE))
    path.write_bytes(path.read_bytes()[:2500])
    return path


@case
def hdf5_external_link(folder: Path) -> str:
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = IMAGE
    path = hdf5(folder, lambda file: file.__setitem__("x", h5py.ExternalLink("secret.h5", "/x")))
    return f"{path}:/x"


@case
def hdf5_external_link_on_the_way(folder: Path) -> str:
    with h5py.File(folder / "secret.h5", "w") as file:
        file["g/x"] = IMAGE
    path = hdf5(folder, lambda file: file.__setitem__("g", h5py.ExternalLink("secret.h5", "/g")))
    return f"{path}:/g/x"


@case
def hdf5_external_link_alone(folder: Path) -> Path:
    return hdf5(folder, lambda file: file.__setitem__("x", h5py.ExternalLink("secret.h5", "/x")))


@case
def hdf5_octave_variable_elsewhere(folder: Path) -> Path:
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = IMAGE

    def fill(file: Any) -> None:
        group = file.create_group("x")
        group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
        group["value"] = h5py.ExternalLink("secret.h5", "/x")

    return hdf5(folder, fill)


@case
def hdf5_octave_variable_in_itself(folder: Path) -> Path:
    def fill(file: Any) -> None:
        group = file.create_group("x")
        group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
        group["value"] = group

    return hdf5(folder, fill)


@case
def hdf5_external_storage(folder: Path) -> Path:
    secret = folder / "secret.bin"
    secret.write_bytes(IMAGE.tobytes())
    return hdf5(
        folder, lambda file: file.create_dataset("x", (40, 50), "u2", external=[(secret, 0, 4000)])
    )


@case
def hdf5_virtual_data_set(folder: Path) -> Path:
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = IMAGE
    layout = h5py.VirtualLayout((40, 50), "u2")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "x", (40, 50))
    return hdf5(folder, lambda file: file.create_virtual_dataset("x", layout))


@case
def hdf5_of_references(folder: Path) -> Path:
    return hdf5(folder, lambda file: file.create_dataset("x", (40, 50), dtype=h5py.ref_dtype))


@case
def hdf5_deeply_nested(folder: Path) -> Path:
    return hdf5(folder, lambda file: file.create_dataset("g/" * 300 + "x", data=IMAGE))


@case
def hdf5_of_20000_data_sets(folder: Path) -> Path:
    def fill(file: Any) -> None:
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        for n in range(20_000):
            h5py.h5d.create(file.id, f"{n}".encode(), h5py.h5t.NATIVE_UINT8, space)

    return hdf5(folder, fill)


@case
def hdf5_groups_in_a_circle(folder: Path) -> Path:
    def fill(file: Any) -> None:
        file.create_group("a/b")
        file["a/b/c"] = file["a"]

    return hdf5(folder, fill)


@case
def hdf5_claims_a_petabyte(folder: Path) -> Path:
    return hdf5(
        folder,
        lambda file: file.create_dataset("x", (100_000, 8000, 8000), "f8", chunks=(1, 80, 80)),
    )


@case
def hdf5_gzip_bomb(folder: Path) -> Path:
    def fill(file: Any) -> None:
        item = file.create_dataset("x", (40, 50), "f8", chunks=(40, 50), compression="gzip")
        item.id.write_direct_chunk((0, 0), bomb(zlib.compressobj(1)))

    return hdf5(folder, fill)


@case
def hdf5_path_that_leads_out(folder: Path) -> str:
    return f"{hdf5(folder, lambda file: file.create_dataset('x', data=IMAGE))}:/../../x"


@case
def hdf5_names_of_control_letters(folder: Path) -> Path:
    return hdf5(
        folder, lambda file: file.create_dataset("\x1b[31m\n", (40, 50), dtype=h5py.ref_dtype)
    )


@case
def hdf5_damaged_root(folder: Path) -> Path:
    """Found by fuzzing: the file opens, and the first look at its root fails."""
    path = hdf5(folder, lambda file: file.create_dataset("g/x", data=IMAGE))
    content = bytearray(path.read_bytes())
    content[96:136] = b"\xff" * 40  # the header of the root's object
    path.write_bytes(content)
    return path


@case
def hdf5_driver_of_any_size(folder: Path) -> Path:
    """Found by fuzzing: the library takes 4 GiB for the description of a driver."""
    path = hdf5(folder, lambda file: file.create_dataset("x", data=IMAGE))
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, 48, len(content))
    driver = b"\0\0\0\0" + struct.pack("<I", 2**32 - 20) + b"NCSAfami"
    struct.pack_into("<Q", content, 40, len(content) + len(driver))  # the end of the file
    path.write_bytes(bytes(content) + driver)
    return path


def free_blocks_in_a_circle(path: Path, place: int) -> Path:
    """Let the first free block of the local heap at `place` name itself as the next."""
    content = bytearray(path.read_bytes())
    first, data = struct.unpack_from("<QQ", content, place + 16)
    assert first != 1, "the heap has no free block"
    struct.pack_into("<Q", content, data + first, first)
    path.write_bytes(content)
    return path


@case
def hdf5_free_blocks_in_a_circle(folder: Path) -> Path:
    """Found by fuzzing: 4 KB for which the HDF5 library takes all memory there is."""
    path = hdf5(folder, lambda file: file.create_dataset("g/x", data=IMAGE))
    return free_blocks_in_a_circle(path, path.read_bytes().find(b"HEAP"))


@case
def hdf5_free_blocks_in_a_circle_below(folder: Path) -> str:
    path = hdf5(folder, lambda file: file.create_dataset("g/x", data=IMAGE))
    return f"{free_blocks_in_a_circle(path, path.read_bytes().rfind(b'HEAP'))}:/g/x"


@case
def hdf5_unknown_filter(folder: Path) -> Path:
    def fill(file: Any) -> None:
        file.create_dataset(
            "x", (6, 6), "i4", chunks=(6, 6), compression=32_015, allow_unknown_filter=True
        )

    return hdf5(folder, fill)


# ---- Zarr


def store(folder: Path, version: int = 3, **options: Any) -> Path:
    path = folder / "a.zarr"
    group = zarr.create_group(path, zarr_format=version)  # type: ignore[arg-type]
    array = group.create_array("x", shape=(2, 40, 50), chunks=(1, 40, 50), dtype="u2", **options)
    array[...] = np.stack([IMAGE, IMAGE])
    return path


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@case
def zarr_link_out_of_the_store(folder: Path) -> Path:
    path = store(folder)
    shutil.move(path / "x" / "c", folder / "elsewhere")
    (path / "x" / "c").symlink_to(folder / "elsewhere")
    return path


@case
def zarr_link_to_a_device(folder: Path) -> Path:
    path = store(folder)
    (path / "x" / "c" / "0" / "0" / "0").unlink()
    (path / "x" / "c" / "0" / "0" / "0").symlink_to("/dev/zero")
    return path


@case
def zarr_pipe(folder: Path) -> Path:
    path = store(folder)
    os.mkfifo(path / "x" / "pipe")
    return path


@case
def zarr_v2_of_pickles(folder: Path) -> Path:
    path = store(folder, 2)
    change(path / "x" / ".zarray", dtype="|O", filters=[{"id": "pickle", "protocol": 5}])
    return path


@case
def zarr_v2_pickle_filter(folder: Path) -> Path:
    path = store(folder, 2)
    change(path / "x" / ".zarray", filters=[{"id": "pickle", "protocol": 5}])
    return path


@case
def zarr_foreign_codec(folder: Path) -> Path:
    path = store(folder)
    change(path / "x" / "zarr.json", codecs=[{"name": "bytes"}, {"name": "numcodecs.pickle"}])
    return path


@case
def zarr_negative_size(folder: Path) -> Path:
    path = store(folder)
    change(path / "x" / "zarr.json", shape=[-2, 40, 50])
    return path


@case
def zarr_claims_a_petabyte(folder: Path) -> Path:
    path = store(folder)
    change(path / "x" / "zarr.json", shape=[200_000, 8000, 8000])
    return path


@case
def zarr_deeply_nested_json(folder: Path) -> Path:
    path = store(folder)
    (path / "x" / "zarr.json").write_text("[" * 500_000)
    return path


@case
def zarr_deeply_nested_groups(folder: Path) -> Path:
    path = folder / "a.zarr"
    zarr.create_group(path)
    (path / "/".join("g" * 100)).mkdir(parents=True)
    return path


@case
def zarr_gzip_bomb(folder: Path) -> Path:
    path = store(folder, compressors=zarr.codecs.GzipCodec())
    content = bomb(zlib.compressobj(1, wbits=31))
    (path / "x" / "c" / "0" / "0" / "0").write_bytes(content[: 2**12])
    return path


@case
def zarr_zstd_bomb(folder: Path) -> Path:
    path = store(folder)
    content = bytes(Zstd().encode(bytes(256 * 2**20)))
    (path / "x" / "c" / "0" / "0" / "0").write_bytes(content[:4000])
    return path


@case
def zarr_blosc_bomb(folder: Path) -> Path:
    path = store(folder, 2, compressors=Blosc())
    file = next(f for f in sorted((path / "x").rglob("*")) if f.is_file() and f.name[0] == "0")
    file.write_bytes(bytes(Blosc("zstd", 1).encode(bytes(256 * 2**20)))[:4000])
    return path


@case
def zarr_blosc_that_lies_of_its_size(folder: Path) -> Path:
    path = store(folder, 2, compressors=Blosc())
    file = next(f for f in sorted((path / "x").rglob("*")) if f.is_file() and f.name[0] == "0")
    content = bytearray(file.read_bytes())
    struct.pack_into("<I", content, 12, 2**31 - 1)
    file.write_bytes(content)
    return path


def shard(folder: Path, *, chunk: bytes | None = None, beyond: int = 0) -> Path:
    """A store of one shard, of which one chunk is another, or lies behind the end."""
    path = folder / "a.zarr"
    array = zarr.create_array(path, shape=(2, 40, 50), shards=(2, 40, 50), chunks=(1, 40, 50),
                              dtype="u2", compressors=zarr.codecs.GzipCodec())  # fmt: skip
    array[...] = np.stack([IMAGE, IMAGE])
    file = path / "c" / "0" / "0" / "0"
    content = file.read_bytes()
    index = bytearray(content[-36:-4])
    if chunk is not None:
        struct.pack_into("<QQ", index, 0, 0, len(chunk))
        content = chunk + content
    else:
        struct.pack_into("<QQ", index, 0, beyond, beyond)
    file.write_bytes(content[:-36] + index + content[-4:])
    return path


@case
def zarr_shard_whose_chunk_lies_behind_its_end(folder: Path) -> Path:
    return shard(folder, beyond=2**62)


@case
def zarr_shard_with_a_bomb(folder: Path) -> Path:
    return shard(folder, chunk=bomb(zlib.compressobj(1, wbits=31))[: 2**12])


@case
def zarr_zip_bomb(folder: Path) -> Path:
    source = store(folder)
    with zipfile.ZipFile(folder / "a.ozx", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                content = bytes(256 * 2**20) if file.name == "0" else file.read_bytes()
                archive.writestr(file.relative_to(source).as_posix(), content)
    return folder / "a.ozx"


@case
def zarr_zip_with_names_that_lead_out(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.ozx", "w") as archive:
        archive.writestr("zarr.json", '{"zarr_format": 3, "node_type": "group"}')
        archive.writestr("../x/zarr.json", (store(folder) / "x" / "zarr.json").read_text())
    return folder / "a.ozx"


@case
def zarr_truncated_chunk(folder: Path) -> Path:
    path = store(folder)
    file = path / "x" / "c" / "1" / "0" / "0"
    file.write_bytes(file.read_bytes()[:50])
    return path


@case
def zarr_path_that_leads_out(folder: Path) -> str:
    return f"{store(folder)}:/x/../../secret"


@case
def ome_zarr_path_that_leads_out(folder: Path) -> Path:
    path = store(folder)
    shutil.copytree(path / "x", folder / "secret")
    image = {
        "axes": [{"name": axis} for axis in "tyx"],
        "datasets": [{"path": "../secret"}],
    }
    change(path / "zarr.json", attributes={"ome": {"multiscales": [image]}})
    return path


# ---- models, imagers, recipes


def shipped() -> tuple[dict[str, Any], bytes]:
    content = Path(str(resources.files("fociscope.models") / "single-a.safetensors")).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def model(folder: Path, header: Any, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@case
def model_of_a_newer_format(folder: Path) -> Path:
    header, data = shipped()
    header["__metadata__"]["format_version"] = "99"
    return model(folder, header, data)


@case
def model_that_is_none(folder: Path) -> Path:
    return model(folder, {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))


@case
def model_truncated(folder: Path) -> Path:
    header, data = shipped()
    return model(folder, header, data[: len(data) // 2])


@case
def model_header_longer_than_the_file(folder: Path) -> Path:
    path = folder / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    return path


@case
def model_tensor_beyond_the_file(folder: Path) -> Path:
    header, data = shipped()
    name = next(key for key in header if key != "__metadata__")
    header[name]["data_offsets"] = [0, 2**40]
    return model(folder, header, data)


@case
def model_tensor_of_a_lying_shape(folder: Path) -> Path:
    header, data = shipped()
    name = next(key for key in header if key != "__metadata__")
    header[name]["shape"] = [2**31, 2**31]
    return model(folder, header, data)


@case
def model_tensor_name_of_control_letters(folder: Path) -> Path:
    header, data = shipped()
    name = next(key for key in header if key != "__metadata__")
    header["\x1b[31m\x7f\n"] = {**header.pop(name), "data_offsets": [7, 3]}
    return model(folder, header, data)


@case
def model_header_deeply_nested(folder: Path) -> Path:
    return model(folder, b'{"a":' + b"[" * 300_000, b"")


@case
def model_description_deeply_nested(folder: Path) -> Path:
    header, data = shipped()
    header["__metadata__"]["info"] = "[" * 300_000
    return model(folder, header, data)


@case
def model_of_a_huge_network(folder: Path) -> Path:
    header, data = shipped()
    info = json.loads(header["__metadata__"]["info"])
    widths = {key: value for key, value in info["architecture"].items() if type(value) is int}
    info["architecture"].update(dict.fromkeys(widths, 2**31))
    header["__metadata__"]["info"] = json.dumps(info)
    return model(folder, header, data)


@case
def model_of_nan(folder: Path) -> Path:
    header, data = shipped()
    return model(folder, header, b"\xff" * len(data))


@case
def imager_deeply_nested(folder: Path) -> Path:
    path = folder / "imager.toml"
    path.write_text("x = " + "[" * 100_000)
    return path


@case
def imager_of_endless_digits(folder: Path) -> Path:
    path = folder / "imager.toml"
    path.write_text("pixel_pitch_um = " + "9" * 100_000)
    return path


@case
def imager_of_nan(folder: Path) -> Path:
    path = folder / "imager.toml"
    path.write_text("pixel_pitch_um = nan\ngap_um = -inf\n")
    return path


@case
def imager_with_a_pitch_of_nothing(folder: Path) -> Path:
    path = folder / "imager.toml"
    path.write_text("pixel_pitch_um = -55.0\nframe_px = [-51, 51]\n")
    return path


@case
def recipe_of_something_else(folder: Path) -> Path:
    path = folder / "recipe.toml"
    path.write_bytes(b"\xff\xfe\x00")
    return path


@case
def recipe_with_unknown_fields(folder: Path) -> Path:
    path = folder / "recipe.toml"
    path.write_text("__class__ = 'os.system'\n[scenes]\nshell = 'true'\n")
    return path
