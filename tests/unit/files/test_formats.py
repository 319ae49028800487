"""What every file format must satisfy; a format joins these tests by being registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
import yaml
import zarr
from PIL import Image
from typer.testing import CliRunner

import fociscope.napari_plugin
from fociscope.app.capture_input import upload_suffixes
from fociscope.cli.entry import app
from fociscope.errors import FileFormatError
from fociscope.files import (
    FORMATS,
    Format,
    Limits,
    Stack,
    check_claim,
    find_format,
    list_images,
    list_suffixes,
    open_captures,
    read_captures,
    read_image,
)
from fociscope.files._builtin_formats import BUILTIN_FORMATS
from fociscope.simulation.dataset_check import dataset_files

IMAGE = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) * 7 + 1
STACK = np.stack([IMAGE, IMAGE + 3, IMAGE + 11])
"""(frame, y, x)."""


def write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["recording"] = STACK


def write_png(path: Path) -> None:
    Image.fromarray(IMAGE).save(path, format="PNG")


def write_npy(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, STACK)


def write_npz(path: Path) -> None:
    with path.open("wb") as stream:
        np.savez(stream, recording=STACK)


def write_zarr(path: Path) -> None:
    zarr.save_array(path, STACK)


def write_zarr_zip(path: Path) -> None:
    store = zarr.storage.ZipStore(path, mode="w")
    zarr.create_array(store, data=STACK)
    store.close()


def write_mat(path: Path) -> None:  # (y, x, frame), as MATLAB keeps recordings
    scipy.io.savemat(path, {"recording": STACK.transpose(1, 2, 0)}, appendmat=False)


WRITERS: dict[str, Callable[[Path], None]] = {
    "tiff": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack"),
    "png": write_png,
    "npy": write_npy,
    "mat": write_mat,
    "hdf5": write_hdf5,
    "npz": write_npz,
    "zarr": write_zarr,
    "zarr_zip": write_zarr_zip,
}
"""Format -> what writes the known frames (of a single image, the first) into a file of it."""


def expected(name: str) -> np.ndarray:
    """Return (frame, sensor, y, x)."""
    return (STACK[:1] if name == "png" else STACK).astype(np.float32)[:, None]


CASES = [(name, suffix) for name, form in BUILTIN_FORMATS.items() for suffix in form.suffixes]


@pytest.mark.parametrize(("name", "suffix"), CASES)
@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_a_file_round_trips_lazily_and_at_once(
    tmp_path: Path, name: str, suffix: str, change: Callable[[str], str]
) -> None:
    path = tmp_path / f"a{change(suffix)}"
    WRITERS[name](path)
    found = find_format(path)
    assert found is FORMATS[name]
    with open_captures([path], pages="frames") as series:
        whole = expected(name)
        assert series.shape == whole.shape
        np.testing.assert_array_equal(series.read(), whole)
        for frame in range(len(whole)):
            np.testing.assert_array_equal(series.read(frame, frame + 1), whole[frame : frame + 1])
    if FORMATS[name].open is not None:
        np.testing.assert_array_equal(read_image(path), whole[:, 0].squeeze())


@pytest.mark.parametrize(("name", "suffix"), CASES)
@pytest.mark.parametrize("content", [b"x", b"a,b\n1,2\n" * 20, bytes(2000)])
def test_other_bytes_with_the_suffix_give_one_line(
    tmp_path: Path, name: str, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"a{suffix}"
    if FORMATS[name].is_folder:
        path.mkdir()
        (path / "zarr.json").write_bytes(content)
    else:
        path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read_captures([path])
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BUILTIN_FORMATS)
@pytest.mark.parametrize("limits", [Limits(max_frame_px=49), Limits(max_bytes=40 * 50 * 4 - 1)])
def test_claims_are_held_against_the_limits_before_decoding(
    tmp_path: Path, name: str, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    WRITERS[name](path)
    monkeypatch.setattr(np, "frombuffer", None)  # what every decoder here ends in, or its own
    monkeypatch.setattr(zarr, "open_array", None)
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(FileFormatError, match=r"expected (at most|frames of at most)"):
        read_captures([path], limits)


def test_each_suffix_belongs_to_one_format() -> None:
    suffixes = [suffix for form in FORMATS.values() for suffix in form.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_the_suffixes_of_napari_are_of_the_table() -> None:
    manifest = Path(fociscope.napari_plugin.__file__).with_name("napari.yaml")
    readers = yaml.safe_load(manifest.read_text())["contributions"]["readers"]
    for pattern in (p for reader in readers for p in reader["filename_patterns"]):
        known = (*list_suffixes("file"), ".json", ".csv")
        assert Path(pattern.replace("*", "x")).suffix in known


def test_a_data_set_may_have_upper_case_names(tmp_path: Path) -> None:
    (tmp_path / "1.MAT").touch()
    assert [path.name for path in dataset_files(tmp_path)] == ["1.MAT"]


@contextmanager
def open_raw16(path: Path, limits: Limits) -> Iterator[Stack]:
    """Open a file of two numbers (height, width) and 16-bit planes."""
    height, width = (int(side) for side in np.fromfile(path, "<u4", 2))
    count = (path.stat().st_size - 8) // max(2 * height * width, 1)
    check_claim(path, (max(count, 1), height, width), np.dtype("<u2"), limits)

    def planes(start: int, stop: int) -> np.ndarray:
        skipped = 8 + 2 * height * width * start
        values = np.fromfile(path, "<u2", (stop - start) * height * width, offset=skipped)
        return values.astype(np.float32).reshape(-1, height, width)

    yield Stack(path, "P", (count,), (height, width), planes)


RAW16 = Format(
    "RAW16", (".raw16",), lambda path, _: path.suffix.lower() == ".raw16", open=open_raw16
)


@pytest.fixture
def raw16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register a format of another package, and write a file of it."""
    monkeypatch.setattr(FORMATS, "_members", dict(FORMATS._members))
    FORMATS.register("raw16", RAW16)
    path = tmp_path / "a.raw16"
    path.write_bytes(np.array(IMAGE.shape, "<u4").tobytes() + STACK.astype("<u2").tobytes())
    return path


def test_a_format_of_another_package_is_read_wherever_captures_are(raw16: Path) -> None:
    np.testing.assert_array_equal(read_captures([raw16]), STACK.astype(np.float32)[:, None])
    np.testing.assert_array_equal(read_image(raw16), STACK.astype(np.float32))
    assert list_images(raw16.parent) == [raw16]
    assert ".raw16" in upload_suffixes()


def test_a_format_of_another_package_is_known_to_info(raw16: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(raw16)])
    assert result.exit_code == 0, result.output
    assert "3 frame(s) of sensor A alone, 40 x 50 pixels" in result.output


def test_a_format_of_another_package_is_reconstructed(raw16: Path) -> None:
    out = raw16.parent / "out"
    arguments = ["reconstruct", str(raw16), "-o", str(out), "--model", "single-a"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert (out / "summary.json").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suffixes": ("tif",)}, "lower-case"),
        ({"suffixes": (".TIF",)}, "lower-case"),
        ({"suffixes": ()}, "missing"),
        ({"open": None}, "no opener"),
        ({"open_arrays": lambda path, limits: None}, "two openers"),
    ],
)
def test_a_format_that_cannot_work_is_refused(wrong: dict[str, object], message: str) -> None:
    values = {"suffixes": (".raw16",), "open": open_raw16, **wrong}
    with pytest.raises(FileFormatError, match=message):
        Format("RAW16", sniff=lambda path, head: True, **values)  # type: ignore[arg-type]
