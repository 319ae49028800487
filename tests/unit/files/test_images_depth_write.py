"""Writing the published layout: names, shapes, mm, the same bytes, and a disk that refuses."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fociscope.errors import OutputExistsError
from fociscope.files import ImagesDepth, LayoutFormat, read_images_depth, write_images_depth

RAW, A, B = "tumorImage_noPSF", "tumorImage_withPSF_A", "tumorImage_withPSF_B"
MAP, Z = "depth_map", "zdist_PSF"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    samples=st.integers(1, 7), layers=st.integers(1, 5), height=st.integers(2, 7),
    width=st.integers(2, 7), fields=st.sets(st.sampled_from(["raw", "map", "depth", "b"])),
    file_format=st.sampled_from(LayoutFormat),
)  # fmt: skip
def test_what_is_written_comes_back(
    tmp_path: Path,
    samples: int,
    layers: int,
    height: int,
    width: int,
    fields: set[str],
    file_format: LayoutFormat,
) -> None:
    rng = np.random.default_rng(0)

    depth_um = np.sort(rng.random((samples, layers), dtype=np.float32), axis=1) * 900
    cells = rng.random((samples, layers, height, width), dtype=np.float32)
    data = ImagesDepth(
        captures=rng.random((samples, 2 if "b" in fields else 1, height, width), dtype=np.float32),
        raw=cells if "raw" in fields else None,
        depth_map_um=(cells > 0.5) * depth_um[..., None, None] if "map" in fields else None,
        depth_um=depth_um if "depth" in fields else None,
    )
    path = tmp_path / "a"
    write_images_depth(path, data, overwrite=True, format=file_format)
    found = read_images_depth(path)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in ("captures", "raw", "depth_map_um", "depth_um"):
        expected, array = getattr(data, name), getattr(found, name)
        assert (expected is None) == (array is None)
        if expected is not None:
            assert array.shape == expected.shape
            np.testing.assert_allclose(array, expected, rtol=3e-7)


def test_published_names_shapes_and_mm_on_disk(tmp_path: Path) -> None:
    data = ImagesDepth(
        captures=np.ones((3, 2, 6, 6), np.float32),
        raw=np.ones((3, 4, 6, 6), np.float32),
        depth_map_um=np.full((3, 4, 6, 6), 500, np.float32),
        depth_um=np.full((3, 4), 500, np.float32),
    )
    for name in ("a.mat", "b.mat"):
        write_images_depth(tmp_path / name, data)
    assert scipy.io.whosmat(tmp_path / "a.mat") == [
        (RAW, (3, 4, 6, 6), "single"),
        (A, (3, 6, 6), "single"),
        (B, (3, 6, 6), "single"),
        (MAP, (3, 4, 6, 6), "single"),
        (Z, (3, 4), "single"),
    ]
    assert scipy.io.loadmat(tmp_path / "a.mat")[Z].max() == 0.5
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    with pytest.raises(OutputExistsError):
        write_images_depth(tmp_path / "a.mat", data)


@pytest.mark.parametrize(
    "fields",
    [
        {"captures": np.ones((2, 6, 6))},
        {"captures": np.ones((2, 3, 6, 6))},
        {"captures": np.ones((2, 1, 6, 6)), "raw": np.ones((2, 4, 6, 5))},
        {"captures": np.ones((2, 1, 6, 6)), "depth_um": np.ones(2)},
        {"captures": np.ones((2, 1, 6, 6)), "raw": np.ones((2, 4, 6, 6)), "depth_um":
         np.ones((2, 3))},
    ],
)  # fmt: skip
def test_shapes_of_images_depth_must_fit(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ImagesDepth(**fields)


@pytest.mark.parametrize("file_format", LayoutFormat)
def test_the_same_content_gives_the_same_bytes(
    tmp_path: Path, file_format: LayoutFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ImagesDepth(
        captures=np.ones((3, 2, 6, 6), np.float32), depth_map_um=np.zeros((3, 4, 6, 6), np.float32)
    )
    contents = []
    for name in ("a", "b"):
        path = tmp_path / name
        write_images_depth(path, data, format=file_format)
        files = [f for f in sorted(path.rglob("*")) if f.is_file()] if path.is_dir() else [path]
        contents.append([(f.relative_to(path), f.read_bytes()) for f in files])
        monkeypatch.setattr("time.time", lambda: 2e9)
    assert contents[0] == contents[1]


def test_mat73_is_what_matlab_expects(tmp_path: Path) -> None:
    data = ImagesDepth(
        captures=np.ones((3, 1, 6, 5), np.float32), depth_um=np.full((3, 4), 500, np.float32)
    )
    write_images_depth(tmp_path / "a.mat", data, format=LayoutFormat.mat73)
    head = (tmp_path / "a.mat").read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[116:] == bytes(8) + b"\x00\x02IM"
    with h5py.File(tmp_path / "a.mat") as file:
        assert file.userblock_size == 512
        assert file[A].shape == (5, 6, 3)  # MATLAB counts axes from the other end
        assert file[A].attrs["MATLAB_class"] == b"single"
        assert (file[Z][()] == 0.5).all()


@pytest.mark.parametrize("file_format", [LayoutFormat.hdf5, LayoutFormat.zarr])
def test_files_say_their_units(tmp_path: Path, file_format: LayoutFormat) -> None:
    data = ImagesDepth(
        captures=np.ones((3, 1, 6, 5), np.float32), depth_um=np.full((3, 4), 500, np.float32)
    )
    path = tmp_path / f"a{file_format.suffix}"
    write_images_depth(path, data)
    if file_format is LayoutFormat.hdf5:
        with h5py.File(path) as file:
            found = dict(file[Z].attrs)
    else:
        found = dict(zarr.open_group(path, mode="r")[Z].attrs)
    assert found["units"] == "mm"


@pytest.mark.parametrize("file_format", LayoutFormat)
def test_overwriting_is_asked_for_and_leaves_nothing_of_the_old(
    tmp_path: Path, file_format: LayoutFormat
) -> None:
    path = tmp_path / f"a{file_format.suffix}"
    long = ImagesDepth(captures=np.ones((200, 2, 6, 6), np.float32))
    write_images_depth(path, long, format=file_format)
    short = ImagesDepth(captures=np.zeros((3, 1, 6, 6), np.float32))
    with pytest.raises(OutputExistsError, match=path.name):
        write_images_depth(path, short, format=file_format)
    assert len(read_images_depth(path).captures) == 200
    write_images_depth(path, short, format=file_format, overwrite=True)
    assert read_images_depth(path).captures.shape == (3, 1, 6, 6)
    assert not (path / B).exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from fociscope.errors import FociscopeError
from fociscope.files import ImagesDepth, LayoutFormat, write_images_depth

data = ImagesDepth(np.ones((70, 2, 51, 51), np.float32), np.ones((70, 4, 51, 51), np.float32))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for format in LayoutFormat:
    folder = Path(sys.argv[1], format)
    try:
        write_images_depth(folder / "a", data, format=format)
    except FociscopeError as error:
        print(format, "cannot be written" in str(error), "\\n" in str(error), folder.exists())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_disk_that_refuses_ends_in_one_line_and_no_file(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    expected = [f"{format} True False False" for format in LayoutFormat]
    assert ran.stdout.splitlines() == expected, ran.stderr
    assert ran.stderr == ""
    assert ran.returncode == 0
