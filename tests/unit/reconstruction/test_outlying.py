"""Hot and dead pixels that captures show by themselves."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import fociscope
from fociscope.imager import Imager
from fociscope.reconstruction import load_model
from fociscope.reconstruction.outlying import describe_outlying, fill_outlying, find_outlying
from fociscope.workflows import ReconstructionOptions, reconstruct

SCENES = 16
SHARES = [1, 3, 26]
"""Pixels of a sensor's 2601: one, 0.1 % and 1 %."""


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return np.array(fociscope.simulate(SCENES, seed=77).captures)


def spoilt(clean: np.ndarray, pixels: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Captures with so many pixels of each image at three times its maximum, or at 0."""
    rng, spoilt = np.random.default_rng(1), clean.copy()
    bad = np.zeros(clean.shape, bool)
    for image, mask in zip(spoilt.reshape(-1, 51 * 51), bad.reshape(-1, 51 * 51), strict=True):
        places = rng.choice(image.size, pixels, replace=False)
        image[places] = 3 * image.max() if kind == "hot" else 0
        mask[places] = True
    return spoilt, bad


@pytest.mark.parametrize("pixels", SHARES)
@pytest.mark.parametrize("kind", ["hot", "dead"])
def test_maps_are_as_good_as_of_clean_captures(clean: np.ndarray, kind: str, pixels: int) -> None:
    model, scenes = load_model("layers-ab"), fociscope.simulate(SCENES, seed=77)
    scores = []
    for captures in (clean, spoilt(clean, pixels, kind)[0]):
        result = model.reconstruct(captures)
        accuracy = 100 * (result.mask == np.asarray(scenes.mask)).mean()
        scores.append((accuracy, np.abs(result.depth_um - np.asarray(scenes.depth_um)).mean()))
    assert abs(scores[0][0] - scores[1][0]) < 0.5
    assert abs(scores[0][1] - scores[1][1]) < 1.5


@pytest.mark.parametrize("pixels", SHARES)
def test_hot_pixels_are_found_and_nothing_else(clean: np.ndarray, pixels: int) -> None:
    captures, bad = spoilt(clean, pixels, "hot")
    found = find_outlying(torch.tensor(captures)).numpy()
    assert (found & bad).sum() > 0.9 * bad.sum()
    assert not (found & ~bad).any()


@pytest.mark.parametrize(
    ("specimen", "most"),
    [
        ("perlin-foci", 0),
        ("nuclei", 0),
        ("micro-foci", 1),
        ("cellular-foci", 2),
        ("single-cells", 6),
    ],
)
def test_clean_captures_stay_as_they_are(specimen: str, most: int) -> None:
    """But for single cells that touch a sensor, outshine all else by 2.5, and meet one pixel."""
    captures = torch.tensor(np.asarray(fociscope.simulate(48, seed=78, specimen=specimen).captures))
    assert int(find_outlying(captures).sum()) <= most


@pytest.mark.parametrize("depth_um", [50.0, 100.0, 300.0])
@pytest.mark.parametrize("off_um", [0.0, 15.0, 27.5])
def test_a_single_bright_cell_is_not_eaten(depth_um: float, off_um: float) -> None:
    """Alone in the dark, at the middle of a pixel or beside it."""
    imager = Imager.reference()
    light = imager.pixel_response(np.array([[25 * 55 + off_um, 25 * 55.0, depth_um]]))[0]
    noise = np.random.default_rng(0).normal(0, 1, light.shape)
    captures = torch.tensor(100 * np.asarray(light) / np.asarray(light).max() + noise)
    assert not find_outlying(captures).any()


def test_filled_pixels_are_like_their_neighbours(clean: np.ndarray) -> None:
    captures, bad = spoilt(clean, 3, "hot")
    filled, found = fill_outlying(torch.tensor(captures))
    rest = ~found.numpy()
    np.testing.assert_array_equal(filled.numpy()[rest], captures[rest])
    assert filled.max() <= 1.01 * captures[~bad].max() or (found.numpy() != bad).any()
    same, nothing = fill_outlying(torch.tensor(clean))
    np.testing.assert_array_equal(same.numpy(), clean)
    assert describe_outlying(nothing) == ""


def test_how_many_and_where_is_said(clean: np.ndarray, tmp_path: Path) -> None:
    captures = clean[:1].copy()
    captures[0, 0, 10, 20], captures[0, 1, 30, 4] = 3 * captures[0].max(axis=(-2, -1))
    tifffile.imwrite(tmp_path / "ab.tif", captures[0], photometric="minisblack")
    options = ReconstructionOptions(formats="csv")
    outcome = reconstruct([tmp_path / "ab.tif"], tmp_path / "map", options)
    said = [str(one) for one in outcome.warnings if "no light explains" in str(one)]
    assert len(said) == 1
    assert "1 of sensor A, at (y, x) = (10, 20); 1 of sensor B, at (y, x) = (30, 4)" in said[0]
    assert "no light explains" in (tmp_path / "map" / "summary.json").read_text()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e33])
def test_in_any_unit_of_light(clean: np.ndarray, scale: float) -> None:
    captures, _ = spoilt(clean[:4], 26, "hot")
    found = find_outlying(torch.tensor(captures))
    assert torch.equal(find_outlying(torch.tensor(captures * np.float32(scale))), found)
