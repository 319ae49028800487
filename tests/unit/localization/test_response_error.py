"""What a measured response is wrong by is no emitter, and neither is a hot pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag

from fociscope.imager import AngularResponsePsf, Imager
from fociscope.localization import EmitterResponse, Locator, NoiseModel
from fociscope.localization._fit import Observation, fit_emitters
from fociscope.localization._weights import ResponseError, Weights
from fociscope.reconstruction import ChipCorrection

FRAME_PX = (2, 60)
ANGLES = np.arange(0.0, 95.0, 5.0)
#: An even response with a peak at 35 degrees.
RESPONSE = (0.55 + 0.45 * np.exp(-(((ANGLES - 35) / 12) ** 2))) * np.cos(np.radians(ANGLES)) ** 0.5
RESPONSE[-1] = 0.0


def chip(response: np.ndarray, **psf: float) -> Imager:
    """Return a chip of two rows of oblong pixels."""
    return Imager(
        pixel_pitch_um=(70.0, 25.0),
        frame_px=FRAME_PX,
        sensitive_um=(13.0, 13.0),
        sensors=1,
        psf=AngularResponsePsf(
            table=tuple(zip(ANGLES.tolist(), response.tolist(), strict=True)),
            tissue_index="air",
            **psf,
        ),
    )


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """(1, 2, 60) counts of two beads through a response that differs smoothly by up to 20 %."""
    wrong = RESPONSE * (1 + 0.2 * np.sin(ANGLES / 9.0))
    places = np.array([[400.0, 10.0, 90.0], [1000.0, 30.0, 95.0]])
    light = chip(wrong).pixel_response(places).sum(0)
    return np.random.default_rng(1).poisson(3000 * light / light.max() + 5.0).astype(float)


@pytest.mark.parametrize(("table_error", "number"), [(0.2, 2), (0.0, 3)])
def test_a_response_that_is_wrong_alike_at_like_angles_makes_no_emitters(
    counts: np.ndarray, table_error: float, number: int
) -> None:
    noise = NoiseModel(np.array([5.0]), np.array([1.0]), 0.02)
    locator = Locator(chip(RESPONSE, table_error=table_error), FRAME_PX, noise=noise, most=6)

    found = locator.locate(counts)

    if number == 2:
        assert len(found) == 2
        assert sorted(found.x_um) == pytest.approx([400.0, 1000.0], abs=10)
    else:  # the fault that the error is there for
        assert len(found) >= number


def test_kernels_of_oblong_pixels_are_the_imagers_own_response() -> None:
    imager = chip(RESPONSE)
    response = EmitterResponse(imager, FRAME_PX)
    places = np.array([[300.0, 12.0, 25.0], [803.0, 40.0, 80.0], [1201.0, -20.0, 300.0]])

    images, gradients = response(places)

    exact, differences = response._one_by_one(places)
    missed = np.linalg.norm(images - exact, axis=1)
    assert (missed < 0.005 * np.linalg.norm(exact, axis=1)).all()
    # A response by straight lines has kinks, at which gradients differ.
    misfit = np.linalg.norm(gradients - differences, axis=2)
    assert (misfit < 0.25 * np.linalg.norm(differences, axis=2)).all()


def test_weights_of_common_errors_are_the_inverse_of_their_covariance() -> None:
    rng = np.random.default_rng(0)
    own, common = rng.uniform(0.5, 2, 30), rng.normal(size=(2, 15, 4))
    weights = Weights.of(1 / own, common)
    covariance = np.diag(own) + block_diag(*(common @ common.swapaxes(1, 2)))
    rows, image = rng.normal(size=(3, 30)), rng.normal(size=30)

    assert weights.applied(image) == pytest.approx(np.linalg.solve(covariance, image))
    assert weights.squared(image) == pytest.approx(image @ np.linalg.solve(covariance, image))
    assert weights.gram(rows) == pytest.approx(rows @ np.linalg.solve(covariance, rows.T))
    assert weights.log_det == pytest.approx(np.linalg.slogdet(covariance)[1])


def test_a_responses_errors_are_alike_by_the_angle_between_directions() -> None:
    imager = chip(RESPONSE, table_error=0.3, table_error_deg=15.0)
    place, images = np.array([[700.0, 20.0, 100.0]]), np.ones((1, 120), np.float32)

    (common,) = ResponseError(imager, FRAME_PX).common(place, np.array([2.0]), images)

    covariance = common @ common.T
    across = imager.pixel_centres_um().reshape(-1, 2) - [20.0, 700.0]
    ray = np.column_stack([across, np.full(120, 100.0)])
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    alike = np.exp(-(1 - ray @ ray.T) / np.radians(15.0) ** 2)
    assert covariance == pytest.approx((0.3 * 2.0) ** 2 * alike, abs=0.02)


def test_a_hot_pixel_is_no_emitter() -> None:
    response = EmitterResponse(Imager.reference(), (40, 40))
    capture = response(np.array([[900.0, 1000.0, 400.0]]))[0].reshape(2, 40, 40).astype(float)
    capture += np.random.default_rng(0).normal(0, 1e-5, capture.shape)
    capture[0, 30, 8] += 0.02  # ten times the peak

    found = Locator(Imager.reference(), (40, 40)).locate(capture)

    assert len(found) == 1
    assert found.depth_um[0] == pytest.approx(400.0, abs=5)


def test_an_emitter_close_to_the_sensor_is_one() -> None:
    response = EmitterResponse(Imager.reference(), (40, 40))
    capture = response(np.array([[900.0, 1000.0, 25.0]]))[0].reshape(2, 40, 40).astype(float)
    capture += np.random.default_rng(0).normal(0, 1e-5, capture.shape)

    found = Locator(Imager.reference(), (40, 40)).locate(capture)

    assert len(found) == 1
    assert found.depth_um[0] == pytest.approx(25.0, abs=5)


def test_the_noise_of_what_was_subtracted_stays() -> None:
    noise = NoiseModel(np.array([4.0]), np.array([2.0]), 0.1, np.array([0.0, 30.0]))

    assert noise.variance(np.array([10.0, 10.0])).tolist() == pytest.approx([25.0, 94.0])
    assert noise.scaled(0.5).variance(np.array([5.0, 5.0])) == pytest.approx([6.25, 23.5])


def test_dark_light_is_what_lies_above_the_electronic_level() -> None:
    dark = torch.full((1, 10, 10), 100.0)
    dark[0, 4, 4] = 160.0

    light = ChipCorrection(dark=dark).dark_light

    assert light is not None
    assert float(light[0, 4, 4]) == pytest.approx(60.0)
    assert float(light.sum()) == pytest.approx(60.0)
    assert ChipCorrection().dark_light is None


def test_a_deep_emitter_at_the_edge_is_split_within_reach() -> None:
    imager = chip(RESPONSE, table_error=0.2)
    light = imager.pixel_response(np.array([[5.0, 30.0, 400.0], [1470.0, 30.0, 420.0]])).sum(0)
    counts = np.random.default_rng(0).poisson(2000 * light / light.max() + 5.0).astype(float)

    found = Locator(imager, FRAME_PX).locate(counts)

    assert 1 <= len(found) <= 3


def test_emitters_at_one_place_do_not_end_a_fit() -> None:
    response = EmitterResponse(chip(RESPONSE), FRAME_PX)
    places = np.array([[700.0, 20.0, 100.0]] * 3)
    capture = 1e4 * response(places[:1])[0][0].astype(float)
    noise = NoiseModel(np.array([1e-6]), np.array([0.0]), 0.0)

    fit = fit_emitters(Observation(response, capture, np.ones(120, bool), noise), places)

    assert fit.mean == pytest.approx(capture, rel=0.02, abs=0.02 * capture.max())
