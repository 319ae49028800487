"""Fuzz one reader of files: whatever the bytes, it returns or says one plain line.

    python fuzz/fuzz_readers.py TARGET CORPUS [options of libFuzzer]

A corpus folder without files is filled with small sound ones, made here. What ends in anything but
a `FociscopeError` of one printable line is a finding, and so are 5 s and 2 GiB.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["fociscope.files", "fociscope.networks.store",
                                         "fociscope.configuration", "tifffile"]):  # fmt: skip
    import tifffile

    import fociscope.files
    from fociscope.errors import FociscopeError
    from fociscope.imager import Imager
    from fociscope.networks.store import read_model
    from fociscope.training.recipe import Recipe

import h5py
import numpy as np
import scipy.io
import zarr
from PIL import Image

A = "tumorImage_withPSF_A"
IMAGE = (np.arange(16 * 20, dtype=np.uint16).reshape(16, 20) * 97 + 5).astype(np.uint16)
LIMITS = fociscope.files.Limits(max_frame_px=512, max_pages=1000, max_bytes=2**26)
FOLDER = Path(
    tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
)
OPTIONS = ("-timeout=5", "-rss_limit_mb=2048", "-max_len=20000", "-print_final_stats=1")


def read_captures(path: Path) -> None:
    """Read a file as `fociscope reconstruct` does."""
    with fociscope.files.open_captures([path], limits=LIMITS) as series:
        series.read(0, 4)


def whole(name: str, read: Callable[[Path], object] = read_captures) -> Callable[[bytes], None]:
    """Return a target whose bytes are a file."""

    def target(data: bytes) -> None:
        path = FOLDER / name
        path.write_bytes(data)
        read(path)

    return target


def read_mat(path: Path) -> None:
    """Read a file as captures, and as the published layout."""
    fociscope.files.read_images_depth(path, LIMITS)


def zarr_target(data: bytes) -> None:
    """Replace one file of a sound store; the first byte says which."""
    store = FOLDER / "a.zarr"
    if not store.exists():
        group = zarr.create_group(store)
        group.create_array("x", data=np.stack([IMAGE] * 2))
    files = [store / "zarr.json", store / "x" / "zarr.json", store / "x" / "c" / "0" / "0" / "0"]
    file = files[data[0] % len(files)] if data else files[0]
    content = file.read_bytes()
    file.write_bytes(data[1:])
    try:
        read_captures(store)
    finally:
        file.write_bytes(content)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "tiff": whole("a.tif"),
    "png": whole("a.png"),
    "npy": whole("a.npy"),
    "npz": whole("a.npz"),
    "mat5": whole("a.mat", read_mat),
    "hdf5": whole("a.h5"),
    "zarr": zarr_target,
    "model": whole("a.safetensors", read_model),
    "imager": whole("imager.toml", Imager.from_toml),
    "recipe": whole("recipe.toml", Recipe.load),
}


def seeds(target: str) -> list[bytes]:
    """Return small sound files."""
    path = FOLDER / "seed"
    found: list[bytes] = []

    @contextmanager
    def kept() -> Any:
        yield path
        found.append(path.read_bytes())
        path.unlink()

    if target == "tiff":
        for options in ({}, {"compression": "zlib"}, {"imagej": True}, {"ome": True},
                        {"bigtiff": True}):  # fmt: skip
            with kept():
                tifffile.imwrite(path, np.stack([IMAGE] * 3), photometric="minisblack", **options)
    elif target == "png":
        for array in (IMAGE, IMAGE.astype(np.uint8)):
            with kept():
                Image.fromarray(array).save(path, format="PNG")
    elif target == "npy":
        with kept(), path.open("wb") as stream:
            np.save(stream, IMAGE)
    elif target == "npz":
        for save in (np.savez, np.savez_compressed):
            with kept(), path.open("wb") as stream:
                save(stream, captures=IMAGE, dark=IMAGE)
    elif target == "mat5":
        for packed in (False, True):
            with kept(), path.open("wb") as stream:
                scipy.io.savemat(stream, {A: IMAGE.astype(float)}, do_compression=packed)
    elif target == "hdf5":
        for options in ({}, {"compression": "gzip", "chunks": (1, 16, 20)}):
            with kept(), h5py.File(path, "w") as file:
                file.create_dataset("g/x", data=np.stack([IMAGE] * 3), **options)
    elif target == "zarr":
        with_store = FOLDER / "seed.zarr"
        zarr.create_group(with_store).create_array("x", data=np.stack([IMAGE] * 2))
        for place, name in enumerate(("zarr.json", "x/zarr.json", "x/c/0/0/0")):
            found.append(bytes([place]) + (with_store / name).read_bytes())
    elif target == "model":
        shipped = resources.files("fociscope.models") / "single-a.safetensors"
        content = shipped.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        said = {"__metadata__": json.loads(content[8 : 8 + length])["__metadata__"]}
        text = json.dumps(said).encode()  # a description without weights fits into max_len
        found.append(struct.pack("<Q", len(text)) + text)
    elif target == "imager":
        found += [f.read_bytes() for f in Path("examples").rglob("*.toml")]
        with kept():
            Imager.reference().to_toml(path)
    elif target == "recipe":
        folder = resources.files("fociscope.training") / "recipes"
        found += [file.read_bytes() for file in folder.iterdir() if file.name.endswith(".toml")]
    return found


def main() -> None:
    """Fuzz the target that the command line names."""
    target, corpus = sys.argv[1], Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, content in enumerate(seeds(target)):
            (corpus / f"seed-{number}").write_bytes(content)
    fuzz = TARGETS[target]

    def once(data: bytes) -> None:
        try:
            fuzz(data)
        except FociscopeError as error:
            message = str(error)
            assert message.isprintable(), f"not one printable line: {message!r}"

    atheris.Setup([sys.argv[0], str(corpus), *OPTIONS, *sys.argv[3:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
