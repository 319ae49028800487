"""Emitters that stand still are placed by all captures, and told apart by their blinking."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.imager import AngularResponsePsf, Imager
from fociscope.localization import EmitterResponse, Locator
from fociscope.localization._joint import components

FRAME_PX = (40, 40)
IMAGER = Imager.reference()
#: 45 um apart, at a depth of 300 um: one blur.
PAIR = np.array([[1000.0, 1000.0, 300.0], [1045.0, 1000.0, 330.0]])


@pytest.fixture(scope="module")
def locator() -> Locator:
    return Locator(IMAGER, FRAME_PX)


def series(place_um: np.ndarray, light: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Return (frame, sensor, y, x) of emitters of light (frame, emitter); noise over the peak."""
    images = EmitterResponse(IMAGER, FRAME_PX)(place_um)[0].astype(np.float64)
    rng = np.random.default_rng(seed)
    clean = light @ images
    noisy = clean + rng.normal(0, noise * images.max(), clean.shape)
    return noisy.reshape(-1, 2, *FRAME_PX)


def test_the_deviation_of_a_place_falls_as_the_root_of_the_number_of_frames(
    locator: Locator,
) -> None:
    place = np.array([[900.0, 1000.0, 300.0]])
    stds, off = {}, []
    for frames in (1, 16):
        found = locator.locate_jointly(series(place, np.ones((frames, 1)), 0.05, 0)).of_frame(0)
        assert len(found) == 1
        stds[frames] = float(found.depth_std_um[0])
        off.append(abs(float(found.depth_um[0]) - 300.0) / stds[frames])

    assert stds[1] / stds[16] == pytest.approx(4.0, rel=0.15)
    assert max(off) < 3


def test_emitters_of_one_blur_are_told_apart_by_their_blinking(locator: Locator) -> None:
    rng = np.random.default_rng(3)
    light = (rng.random((24, 2)) < 0.5) * rng.uniform(0.5, 1.5, (24, 2))
    frames = series(PAIR, light, 0.01, 1)

    found = locator.locate_jointly(frames)

    first = found.of_frame(0)
    assert len(first) == 2
    order = np.argsort(first.x_um)
    assert first.x_um[order] == pytest.approx(PAIR[:, 0], abs=4)
    assert first.depth_um[order] == pytest.approx(PAIR[:, 2], abs=4)
    brightness = found.brightness.reshape(24, 2)[:, order]
    assert np.corrcoef(brightness[:, 0], light[:, 0])[0, 1] > 0.99
    assert np.corrcoef(brightness[:, 1], light[:, 1])[0, 1] > 0.99
    assert found.misfit == pytest.approx(1.0, abs=0.1)


def test_noise_alone_holds_no_emitter_that_stands_still(locator: Locator) -> None:
    frames = np.random.default_rng(0).normal(0, 1, (30, 2, *FRAME_PX))
    assert len(locator.locate_jointly(frames)) == 0


def test_a_pixel_that_bursts_is_no_emitter(locator: Locator) -> None:
    frames = series(np.array([[900.0, 1000.0, 400.0]]), np.ones((24, 1)), 0.02, 2)
    frames[5, 0, 8, 9] += 100 * frames.max()

    found = locator.locate_jointly(frames).of_frame(0)

    assert len(found) == 1
    assert found.depth_um[0] == pytest.approx(400.0, abs=8)


def test_components_hold_what_changes_and_leave_the_noise() -> None:
    rng = np.random.default_rng(0)
    image = np.exp(-(((np.arange(200) - 80) / 12) ** 2))
    frames = 5 + rng.uniform(0, 8, (50, 1)) * image + rng.normal(0, 0.5, (50, 200))

    turned, variance = components(frames, np.ones(200, bool), np.full(200, 0.25))

    assert turned.shape == (2, 200)
    assert turned[0] == pytest.approx(np.sqrt(50) * frames.mean(0))
    assert abs(np.corrcoef(turned[1], image)[0, 1]) > 0.99
    assert variance.mean() == pytest.approx(0.25, rel=0.05)


def test_frames_of_half_a_count_a_pixel_are_enough_together() -> None:
    angles = np.arange(0.0, 95.0, 5.0)
    table = tuple(zip(angles.tolist(), np.cos(np.radians(angles)).clip(0).tolist(), strict=True))
    chip = Imager(
        pixel_pitch_um=(70.0, 25.0),
        frame_px=(2, 60),
        sensitive_um=(13.0, 13.0),
        sensors=1,
        psf=AngularResponsePsf(table=table, tissue_index="air", table_error=0.1),
    )
    light = chip.pixel_response(np.array([[400.0, 10.0, 90.0], [1100.0, 30.0, 95.0]])).sum(0)
    frames = np.random.default_rng(1).poisson(3 * light / light.max() + 0.02, (300, 1, 2, 60))

    found = Locator(chip, (2, 60)).locate_jointly(frames.astype(float)).of_frame(0)

    assert sorted(found.x_um) == pytest.approx([400.0, 1100.0], abs=15)
