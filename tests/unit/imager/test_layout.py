"""Which count of a frame is which pixel: read from the imager's file, followed wherever it is."""

from pathlib import Path

import numpy as np
import pytest

import fociscope
from fociscope.errors import FileFormatError, ImagerError
from fociscope.files import open_captures
from fociscope.imager import Imager, write_commented_imager
from fociscope.workflows import LocateOptions

IMAGES = np.arange(4 * 12, dtype=np.float32).reshape(4, 3, 4)
INDEX = np.random.default_rng(1).permutation(12).reshape(3, 4)


def raw_of(layout: str) -> np.ndarray:
    """Return (frame, count) as a chip of such a readout sends it."""
    if layout == "column-major":
        return IMAGES.swapaxes(1, 2).reshape(4, 12)
    if layout == "serpentine":
        turned = IMAGES.copy()
        turned[:, 1] = turned[:, 1, ::-1]
        return turned.reshape(4, 12)
    if layout == "row-major":
        return IMAGES.reshape(4, 12)
    raw = np.zeros((4, 12), np.float32)
    raw[:, INDEX] = IMAGES
    return raw


@pytest.fixture(params=["row-major", "column-major", "serpentine", "pixels.csv"])
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    np.savetxt(tmp_path / "pixels.csv", INDEX, "%d", ",")
    return str(request.param)


@pytest.fixture
def imager(layout: str, tmp_path: Path) -> Imager:
    path = tmp_path / "chip.toml"
    path.write_text(f'frame_px = [3, 4]\nsensors = 1\nlayout = "{layout}"\n')
    return Imager.from_toml(path)


@pytest.mark.parametrize("shape", [(4, 12), (4, 3, 4), (4, 1, 3, 4), (4, 1, 12)])
def test_counts_are_put_where_their_pixels_lie(
    imager: Imager, layout: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "raw.npy", raw_of(layout).reshape(shape))
    pages = "frames" if shape[1] != 1 else "auto"
    with open_captures(
        tmp_path / "raw.npy", pages=pages, pixel_order=imager.pixel_order()
    ) as series:
        assert series.shape == (4, 1, 3, 4)
        np.testing.assert_array_equal(series.read()[:, 0], IMAGES)
        np.testing.assert_array_equal(series.read(1, 3)[:, 0], IMAGES[1:3])


def test_a_file_keeps_its_layout(imager: Imager, tmp_path: Path) -> None:
    imager.to_toml(tmp_path / "again.toml")
    write_commented_imager(imager, tmp_path / "commented.toml")
    assert Imager.from_toml(tmp_path / "again.toml") == imager
    assert Imager.from_toml(tmp_path / "commented.toml") == imager


def test_both_sensors_of_a_frame_have_the_layout(tmp_path: Path) -> None:
    imager = Imager(frame_px=(3, 4), layout="serpentine")
    np.save(tmp_path / "raw.npy", np.stack([raw_of("serpentine")] * 2, axis=1))
    with open_captures(tmp_path / "raw.npy", pixel_order=imager.pixel_order()) as series:
        np.testing.assert_array_equal(series.read(), np.stack([IMAGES] * 2, axis=1))


@pytest.mark.parametrize("bad", [[[0, 1, 2, 3]], [[0, 1, 2, 3]] * 3, "zigzag", "missing.csv"])
def test_what_is_no_layout_is_refused(bad: object) -> None:
    with pytest.raises(ImagerError, match=r"layout|missing"):
        Imager(frame_px=(3, 4), layout=bad)


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "raw.npy", np.zeros((5, 11)))
    order = Imager(frame_px=(3, 4), layout="row-major").pixel_order()
    with (
        pytest.raises(FileFormatError, match="5 x 11 counts, expected 12"),
        open_captures(tmp_path / "raw.npy", pixel_order=order),
    ):
        pass


def test_raw_counts_are_located_as_the_image_is(tmp_path: Path) -> None:
    chip = Imager(frame_px=(15, 15), sensors=1, pixel_pitch_um=20.0)
    light = chip.pixel_response(np.array([[130.0, 150.0, 60.0]]))[:, 0] * 1e6
    image = light + np.random.default_rng(0).normal(0, 20, light.shape)
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "raw.npy", image.swapaxes(1, 2).reshape(1, 225))
    options = LocateOptions(imager=chip)
    of_image = fociscope.locate(tmp_path / "image.npy", tmp_path / "a", options)
    options = LocateOptions(imager=chip.with_(layout="column-major"))
    of_raw = fociscope.locate(tmp_path / "raw.npy", tmp_path / "b", options)
    assert len(of_image.emitters) == 1
    np.testing.assert_array_equal(of_raw.emitters.x_um, of_image.emitters.x_um)
