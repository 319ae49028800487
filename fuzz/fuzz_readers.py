"""Fuzz one reader of files: whatever the bytes, it returns or says one plain line.

    python fuzz/fuzz_readers.py TARGET CORPUS [options of libFuzzer]

What ends in anything but a `FociscopeError` of one printable line is a finding, and so are 5 s and
2 GiB. For binary formats the bytes are the file, and a corpus folder without files is filled with
small sound ones, made here. Text (TOML, the JSON of Zarr and of models) is seldom text after a
random change, so there the bytes are edits of a sound file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["fociscope", "tifffile", "tomllib", "zarr.core",
                                         "scipy.io.matlab", "PIL.PngImagePlugin"]):  # fmt: skip
    import scipy.io
    import tifffile
    import zarr
    from PIL import Image

    from fociscope.errors import FociscopeError
    from fociscope.files import open_captures, read_images_depth
    from fociscope.files.safe.limits import Limits
    from fociscope.imager import Imager
    from fociscope.networks.layer_net import LayerNet
    from fociscope.networks.store import find_model, read_model, write_model
    from fociscope.training.recipe import Recipe

import h5py
import numpy as np

A = "tumorImage_withPSF_A"
IMAGE = (np.arange(16 * 20, dtype=np.uint16).reshape(16, 20) * 97 + 5).astype(np.uint16)
LIMITS = Limits(max_frame_px=512, max_pages=1000, max_bytes=2**26)
FOLDER = Path(
    tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
OPTIONS = ("-timeout=5", "-rss_limit_mb=2048", "-max_len=20000", "-print_final_stats=1")


def read_captures(path: Path) -> None:
    """Read a file as `fociscope reconstruct` does."""
    with open_captures([path], limits=LIMITS) as series:
        series.read(0, 4)


def whole(name: str, read: Callable[[Path], object] = read_captures) -> Callable[[bytes], None]:
    """Return a target whose bytes are a file."""

    def target(data: bytes) -> None:
        path = FOLDER / name
        path.write_bytes(data)
        read(path)

    return target


def edited(sound: bytes, data: bytes) -> bytes:
    """Return a sound file after edits.

    Args:
        sound: the file.
        data: the edits, one after the other: 2 bytes say where (from the front, around the end), 1
            how many bytes to cut out there, 1 how many to put in, and those follow.
    """
    content = bytearray(sound)
    while len(data) >= 4:
        where = int.from_bytes(data[:2], "little") % (len(content) + 1)
        cut, put = data[2], data[3]
        content[where : where + cut] = data[4 : 4 + put]
        data = data[4 + put :]
    return bytes(content)


def edits(name: str, sound: list[bytes], read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Return a target whose bytes edit a sound file; the first byte says which."""
    read_whole = whole(name, read)

    def target(data: bytes) -> None:
        number = data[0] if data else 0
        read_whole(edited(sound[number % len(sound)], data[1:]))

    return target


def edits_of_zarr() -> Callable[[bytes], None]:
    """Return a target whose bytes edit one file of a sound store; the first byte says which."""
    store = FOLDER / "a.zarr"
    zarr.create_group(store).create_array("x", data=np.stack([IMAGE] * 2))
    files = [store / name for name in ("zarr.json", "x/zarr.json", "x/c/0/0/0")]
    sound = [file.read_bytes() for file in files]

    def target(data: bytes) -> None:
        number = (data[0] if data else 0) % len(files)
        files[number].write_bytes(edited(sound[number], data[1:]))
        try:
            read_captures(store)
        finally:
            files[number].write_bytes(sound[number])

    return target


def edits_of_models() -> Callable[[bytes], None]:
    """Return a target whose bytes edit a sound model, the smallest there can be."""
    _, info = read_model(find_model("single-a"))
    small = info.architecture.model_copy(
        update={"widths": (1, 1), "blocks": (0, 0), "context": 8, "patch_px": 1}
    )
    path = FOLDER / "sound.safetensors"
    write_model(path, LayerNet(small), info.model_copy(update={"architecture": small}))
    return edits("a.safetensors", [path.read_bytes()], read_model)


def edits_of_imagers() -> Callable[[bytes], None]:
    """Return a target whose bytes edit one of two sound imagers."""
    path = FOLDER / "sound.toml"
    Imager.reference().to_toml(path)
    sound = [path.read_bytes(), (EXAMPLES / "fine-tune" / "imager.toml").read_bytes()]
    return edits("imager.toml", sound, Imager.from_toml)


def edits_of_recipes() -> Callable[[bytes], None]:
    """Return a target whose bytes edit a shipped recipe."""
    shipped = sorted(
        (file.name, file.read_bytes())
        for file in (resources.files("fociscope.training") / "recipes").iterdir()
        if file.name.endswith(".toml")
    )
    return edits("recipe.toml", [content for _, content in shipped], Recipe.load)


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "tiff": lambda: whole("a.tif"),
    "png": lambda: whole("a.png"),
    "npy": lambda: whole("a.npy"),
    "npz": lambda: whole("a.npz"),
    "mat5": lambda: whole("a.mat"),
    "published": lambda: whole("a.mat", lambda path: read_images_depth(path, LIMITS)),
    "hdf5": lambda: whole("a.h5"),
    "zarr": edits_of_zarr,
    "model": edits_of_models,
    "imager": edits_of_imagers,
    "recipe": edits_of_recipes,
}


def seeds(target: str) -> list[bytes]:
    """Return small sound files; none for those that are edited."""
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
        for compression in ("tiff_lzw", "packbits"):
            for predictor in (1, 2):
                with kept():
                    options = {"compression": compression, "tiffinfo": {317: predictor}}
                    Image.fromarray(IMAGE).save(path, format="TIFF", **options)
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
    elif target in ("mat5", "published"):
        for packed in (False, True):
            with kept(), path.open("wb") as stream:
                scipy.io.savemat(stream, {A: IMAGE.astype(float)}, do_compression=packed)
    elif target == "hdf5":
        for options in ({}, {"compression": "gzip", "chunks": (1, 16, 20)}):
            with kept(), h5py.File(path, "w") as file:
                file.create_dataset("g/x", data=np.stack([IMAGE] * 3), **options)
    return found


def main() -> None:
    """Fuzz the target that the command line names."""
    target, corpus = sys.argv[1], Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, content in enumerate(seeds(target)):
            (corpus / f"seed-{number}").write_bytes(content)
    fuzz = TARGETS[target]()

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
