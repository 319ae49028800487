"""Builders and checks that the tests of hostile files share, as fixtures."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image

from fociscope.errors import FileFormatError
from fociscope.files import ImagesDepth, write_images_depth

A = "tumorImage_withPSF_A"
SECONDS = 2.0
MEMORY_BYTES = 64 * 2**20


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No library may write to the user's terminal on the way."""
    yield
    assert capfd.readouterr().err == ""


@pytest.fixture
def refused() -> Callable[..., str]:
    """Give the check that all of these tests end in."""
    return assert_refused


def assert_refused(read: Callable[[Path], object], path: Path, *words: str) -> str:
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


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, Path]:
    """One sound file of each kind."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60_000, (40, 50), dtype=np.uint16)
    paths = {name: tmp_path / name for name in ("a.tif", "z.tif", "l.tif", "a.png", "a.npy",
                                                "a.mat", "z.mat", "h.mat")}  # fmt: skip
    tifffile.imwrite(paths["a.tif"], image)
    tifffile.imwrite(paths["z.tif"], image, compression="zlib", rowsperstrip=8)
    Image.fromarray(image).save(paths["l.tif"], compression="tiff_lzw", tiffinfo={278: 8})
    Image.fromarray(image).save(paths["a.png"])
    np.save(paths["a.npy"], image)
    write_images_depth(paths["a.mat"], ImagesDepth(np.ones((2, 2, 30, 30), np.float32)))
    scipy.io.savemat(paths["z.mat"], {A: rng.random((2, 30, 30))}, do_compression=True)
    with h5py.File(paths["h.mat"], "w") as file:
        file[A] = np.ones((2, 30, 30))
    return paths
