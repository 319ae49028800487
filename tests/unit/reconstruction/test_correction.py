"""Dark, flat and bad pixels: what is peculiar to a chip goes, the light stays."""

import numpy as np
import pytest
import torch

from fociscope.errors import CaptureError
from fociscope.reconstruction.correction import ChipCorrection, filled, find_bad_pixels

SHAPE = (2, 36, 40)


def light() -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 3, 36), torch.linspace(0, 4, 40), indexing="ij")
    return torch.stack([2 + torch.sin(y) * torch.cos(x), 3 + torch.cos(y + x)]).float()


def chip(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A dark frame, and a response around 1."""
    rng = np.random.default_rng(seed)
    return rng.uniform(5, 6, SHAPE), rng.normal(1.0, 0.05, SHAPE)


def test_dark_and_flat_undo_the_chip() -> None:
    dark, response = chip()
    taken = light() * torch.from_numpy(response) + torch.from_numpy(dark)
    corrected, bad = ChipCorrection(dark=dark, flat=dark + 40 * response)(taken.float())
    assert not bad.any()
    ratio = corrected / light()  # each sensor's own gain stays unknown
    for sensor in ratio:
        torch.testing.assert_close(sensor, sensor.mean().expand_as(sensor), rtol=1e-3, atol=0)


def test_frames_of_a_series_are_averaged() -> None:
    dark, _ = chip()
    noise = np.random.default_rng(1).normal(0, 0.5, (200, *SHAPE))
    corrected, _ = ChipCorrection(dark=dark + noise)(torch.from_numpy(dark).float())
    assert float(corrected.abs().mean()) < 0.05


def test_bad_pixels_are_filled_from_their_good_neighbours() -> None:
    taken, bad = light()[None], torch.zeros(SHAPE, dtype=torch.bool)
    bad[0, 10, 10] = bad[0, 10, 11] = bad[1, 0, 0] = True
    broken = torch.where(bad, torch.nan, taken)
    corrected, found = ChipCorrection(bad_pixels=bad)(broken)
    assert torch.equal(found, bad)
    assert torch.equal(corrected[0][~bad], taken[0][~bad])
    torch.testing.assert_close(corrected[0][bad], taken[0][bad], rtol=0.05, atol=0)


def test_a_large_hole_is_filled_ring_by_ring() -> None:
    bad = torch.zeros(SHAPE, dtype=torch.bool)
    bad[0, 8:20, 8:20] = True
    even = torch.full(SHAPE, 7.0)
    torch.testing.assert_close(filled(torch.where(bad, torch.inf, even), bad), even)


def test_dead_pixels_of_a_flat_frame_are_found() -> None:
    dark, response = chip()
    response[1, 3, 4] = 0.05
    _, bad = ChipCorrection(dark=dark, flat=dark + 40 * response)(light())
    assert bad.nonzero().tolist() == [[1, 3, 4]]


def test_hot_pixels_of_a_dark_frame_are_found() -> None:
    dark = np.random.default_rng(2).normal(10, 0.1, SHAPE)
    dark[0, 5, 6] += 5
    assert np.argwhere(find_bad_pixels(dark)).tolist() == [[0, 5, 6]]


@pytest.mark.parametrize(
    ("correction", "says"),
    [
        (ChipCorrection(dark=np.zeros((2, 3, 3))), "dark frame"),
        (ChipCorrection(flat=np.zeros(SHAPE)), "no light"),
        (ChipCorrection(bad_pixels=np.ones(SHAPE)), "all pixels of sensor A"),
    ],
)
def test_frames_that_do_not_fit_are_refused(correction: ChipCorrection, says: str) -> None:
    with pytest.raises(CaptureError, match=says):
        correction(light())
