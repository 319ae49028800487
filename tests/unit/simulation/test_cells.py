import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fociscope.simulation._cells import discrete_gaussian_taps, render_cells, render_discs

SETTINGS: dict[str, Any] = {
    "pixel_pitch_um": 55.0,
    "density_per_mm2": 300.0,
    "brightness_sigma": 0.5,
    "cell_diameter_um": 90.0,
    "autofluorescence": (0.0, 0.0),
    "autofluorescence_cv": 0.3,
}
PER_PIXEL = 300.0 * 0.055**2


def render(masks: NDArray[np.bool_], seed: int = 0, **changes: Any) -> NDArray[np.float32]:
    return render_cells(np.random.default_rng(seed), masks, **SETTINGS | changes)


@pytest.mark.parametrize("variance_px2", [0.0, 0.01, 0.17, 1.0, 9.0])
def test_the_discrete_gaussian_has_exactly_its_variance(variance_px2: float) -> None:
    taps = discrete_gaussian_taps(variance_px2)
    n = np.arange(len(taps)) - len(taps) // 2
    assert taps.sum() == pytest.approx(1.0, abs=1e-12)
    assert (taps * n).sum() == pytest.approx(0.0, abs=1e-12)
    assert (taps * n**2).sum() == pytest.approx(variance_px2, rel=1e-6)
    assert taps.min() >= 0
    assert taps.argmax() == len(taps) // 2


def test_cells_lie_inside_the_mask_and_nowhere_else() -> None:
    masks = np.zeros((3, 30, 40), bool)
    masks[:, 5:20, 8:30] = True
    light = render(masks)
    assert light.shape == masks.shape
    assert light.dtype == np.float32
    assert (light[~masks] == 0).all()
    assert light[masks].min() >= 0
    assert light[masks].max() > 0


def test_the_mean_inside_is_one_up_to_the_very_edge_of_the_mask() -> None:
    masks = np.zeros((400, 30, 30), bool)
    masks[:, 3:27, 3:27] = True
    light = render(masks)
    assert light[masks].mean() == pytest.approx(1.0, abs=0.01)
    assert light[:, 3, 3:27].mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("diameter_um", [0.0, 90.0, 240.0])
def test_the_texture_is_that_of_shot_noise(diameter_um: float) -> None:
    """Campbell's theorem: the covariance of a Poisson process seen through a kernel.

    With cells of mean light 1 / density, it is <brightness^2> / density times the autocorrelation
    of a cell's image: of its shares between pixels, whose mean over all positions is 2/3 and 1/6 at
    lags 0 and 1, and of the Gaussian of a disc's variance, d^2 / 16.
    """
    light = render(np.ones((200, 51, 51), bool), cell_diameter_um=diameter_um).astype(float)
    inner = light[:, 8:-8, 8:-8] - 1
    taps = discrete_gaussian_taps(diameter_um**2 / 16 / 55.0**2)
    along = np.convolve(np.convolve([1 / 6, 2 / 3, 1 / 6], taps), taps)
    lag0, lag1, lag2 = along[len(along) // 2 :][:3]
    power = math.exp(0.5**2) / PER_PIXEL
    assert (inner**2).mean() == pytest.approx(power * lag0**2, rel=0.03)
    for axis in (1, 2):
        ahead, behind = inner.swapaxes(0, axis)[1:], inner.swapaxes(0, axis)[:-1]
        assert (ahead * behind).mean() == pytest.approx(power * lag0 * lag1, rel=0.05)
    far = (inner[..., 2:] * inner[..., :-2]).mean()
    assert far == pytest.approx(power * lag0 * lag2, abs=0.01 * power)


def test_brighter_spread_of_cells_leaves_the_mean() -> None:
    masks = np.ones((200, 40, 40), bool)
    even, uneven = (render(masks, brightness_sigma=s)[:, 5:-5, 5:-5] for s in (0.0, 1.1))
    assert even.mean() == pytest.approx(1.0, abs=0.01)
    assert uneven.mean() == pytest.approx(1.0, abs=0.02)
    assert uneven.std() > 1.5 * even.std()


def test_autofluorescence_has_its_level_and_variation() -> None:
    haze = render(np.zeros((60, 50, 50), bool), autofluorescence=(0.05, 0.1)).astype(float)
    level = haze.mean((-2, -1))
    assert 0.049 < level.min() < 0.055
    assert 0.095 < level.max() < 0.102
    assert (haze.std((-2, -1)) / level).mean() == pytest.approx(0.3, rel=0.02)
    assert haze.min() > 0


def test_autofluorescence_lies_among_the_cells_too() -> None:
    masks = np.ones((1, 30, 30), bool)
    bare, lit = (render(masks, autofluorescence=level) for level in ((0.0, 0.0), (0.5, 0.5)))
    assert (lit - bare).mean() == pytest.approx(0.5, abs=0.03)
    assert (lit > bare).all()


# --- cells one by one ---------------------------------------------------------------------------


def discs(
    places: list[tuple[int, float, float]], diameter_px: float, shape: tuple[int, int, int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cells of light 1 at (layer, y, x)."""
    layer, y, x = (np.array(values) for values in zip(*places, strict=True))
    ones = np.ones(len(places))
    return render_discs(layer, y, x, ones, shape=shape, diameter_px=diameter_px)


@pytest.mark.parametrize("diameter_px", [0.0, 0.3, 4.0, 11.0])
def test_a_disc_keeps_its_light_its_place_and_its_variance(diameter_px: float) -> None:
    image, _ = discs([(1, 20.3, 14.8)], diameter_px, (2, 40, 30))
    assert image[0].sum() == 0
    assert image[1].sum() == pytest.approx(1.0)
    for axis, centre in ((0, 20.3), (1, 14.8)):
        profile, at = image[1].sum(1 - axis), np.arange(image.shape[1 + axis]) + 0.5
        assert (profile * at).sum() == pytest.approx(centre, abs=0.5 if diameter_px < 1 else 0.05)
        if diameter_px > 1:
            # Pixels of a unit side add their own variance.
            variance = (profile * (at - centre) ** 2).sum() - 1 / 12
            assert variance == pytest.approx(diameter_px**2 / 16, rel=0.1)


def test_a_pixel_under_a_large_disc_gets_the_share_of_its_area() -> None:
    image, mask = discs([(0, 15.5, 15.5)], 20.0, (1, 31, 31))
    middle = image[0, 12:19, 12:19]
    np.testing.assert_allclose(middle, 4 / (math.pi * 20**2), rtol=0.15)
    assert middle.mean() == pytest.approx(4 / (math.pi * 20**2), rel=0.02)
    assert mask.sum() == pytest.approx(math.pi * 100, rel=0.03)


def test_the_mask_is_the_cells_own_pixel_and_those_whose_centre_it_covers() -> None:
    own = discs([(0, 5.01, 7.01)], 0.2, (1, 12, 12))[1]
    assert np.argwhere(own[0]).tolist() == [[5, 7]]
    cross = discs([(0, 5.5, 7.5)], 2.2, (1, 12, 12))[1]
    assert np.argwhere(cross[0]).tolist() == [[4, 7], [5, 6], [5, 7], [5, 8], [6, 7]]


def test_what_lies_beyond_the_frame_is_dropped() -> None:
    image, mask = discs([(0, 0.0, 6.0), (0, -9.0, 6.0), (0, 6.0, 12.0)], 4.0, (1, 12, 12))
    assert image.sum() == pytest.approx(1.0, abs=0.03)  # two halves
    assert mask[0, -1].sum() == 0
    assert mask[0, 0].any()
