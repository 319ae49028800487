"""Emitters beside light that varies smoothly: found as such, and nothing else taken for them."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.errors import FociscopeError, ImagerError
from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, Locator
from fociscope.localization._background import SmoothBackground
from fociscope.localization._weights import Weights
from fociscope.typing import Float64Array
from fociscope.workflows import LocateOptions

FRAME_PX = (32, 32)
IMAGER = Imager.reference()
PLACES = np.array([[500.0, 600.0, 150.0], [1300.0, 700.0, 300.0], [900.0, 1200.0, 820.0]])
#: Standard deviation of the noise; an emitter of light 1 has a peak of some 0.002.
NOISE = 1e-5


@pytest.fixture(scope="module")
def locator() -> Locator:
    return Locator(IMAGER, FRAME_PX, background="smooth")


def glow(height: float) -> Float64Array:
    """Return (sensor, y, x) of two broad bumps, mirrored on sensor B."""
    y, x = np.mgrid[: FRAME_PX[0], : FRAME_PX[1]]
    one = np.exp(-((y - 8) ** 2 + (x - 20) ** 2) / 200) + np.exp(-((y - 28) ** 2 + x**2) / 300)
    return height * np.stack([one, one[::-1]])


def noise(seed: int) -> Float64Array:
    return np.random.default_rng(seed).normal(0, NOISE, (2, *FRAME_PX))


def light_of(places: Float64Array) -> Float64Array:
    images = EmitterResponse(IMAGER, FRAME_PX)(places)[0]
    return images.sum(0, dtype=np.float64).reshape(2, *FRAME_PX)


def test_emitters_are_found_where_they_are_in_uneven_light(locator: Locator) -> None:
    capture = light_of(PLACES) + glow(0.02) + noise(0)
    found = locator.locate(capture)

    assert len(found) == 3
    order = np.argsort(found.depth_um)
    assert found.x_um[order] == pytest.approx(PLACES[:, 0], abs=10)
    assert found.y_um[order] == pytest.approx(PLACES[:, 1], abs=10)
    assert found.depth_um[order] == pytest.approx(PLACES[:, 2], abs=20)
    assert bool(found.is_explained[0])
    # As an even background it cannot be explained.
    assert not Locator(IMAGER, FRAME_PX, most=6).locate(capture).is_explained[0]


def test_uneven_light_alone_holds_no_emitter(locator: Locator) -> None:
    found = locator.locate(np.stack([glow(0.02) + noise(seed) for seed in range(3)]))

    assert len(found) == 0


def test_beside_even_light_a_smooth_background_changes_little(locator: Locator) -> None:
    capture = light_of(PLACES) + 0.01 + noise(1)
    even, smooth = Locator(IMAGER, FRAME_PX).locate(capture), locator.locate(capture)

    assert smooth.depth_um == pytest.approx(even.depth_um, abs=3)
    assert smooth.depth_std_um == pytest.approx(even.depth_std_um, rel=0.25)
    assert smooth.background[0] == pytest.approx([0.01, 0.01], rel=0.02)


def test_the_background_is_the_light_that_varies_smoothly() -> None:
    clean = glow(1.0)
    light = clean + np.random.default_rng(0).normal(0, 0.05, clean.shape)
    haze = SmoothBackground(IMAGER, FRAME_PX).fitted(light.ravel(), np.full(clean.size, 0.05**-2))

    less_mean = clean - clean.mean((1, 2), keepdims=True)
    missed = haze.mean.reshape(clean.shape) - less_mean
    assert float(np.sqrt((missed**2).mean())) < 0.015  # of 0.05 a pixel


def test_a_background_as_an_error_leaves_what_is_sharp() -> None:
    """Weights that hold it see nothing of smooth light, and almost all of a single pixel's."""
    clean = glow(1.0)
    weight = np.full(clean.size, 0.01**-2)
    haze = SmoothBackground(IMAGER, FRAME_PX).fitted((clean + noise(2)).ravel(), weight)
    weights = Weights.of(weight, haze.columns)
    smooth = (clean - clean.mean((1, 2), keepdims=True)).ravel()
    sharp = np.zeros(clean.size)
    sharp[500] = 1.0

    assert weights.squared(smooth) < 0.05 * float(weight @ smooth**2)
    assert weights.squared(sharp) > 0.8 * float(weight @ sharp**2)


def test_captures_without_any_light_are_explained(locator: Locator) -> None:
    assert len(locator.locate(np.zeros((2, *FRAME_PX)))) == 0


def test_another_background_is_refused() -> None:
    with pytest.raises(FociscopeError, match="must be even or smooth; got 'rough'"):
        Locator(IMAGER, FRAME_PX, background="rough")  # type: ignore[arg-type]


def test_frames_beyond_memory_are_refused() -> None:
    with pytest.raises(ImagerError, match="at most 65536 pixels, and these have 300 x 300"):
        SmoothBackground(IMAGER, (300, 300))


def test_a_joint_fit_takes_an_even_background() -> None:
    with pytest.raises(FociscopeError, match="beside even light"):
        LocateOptions(joint=True, background="smooth")
