"""Emitters are found where they are, as many as there are, with deviations that hold."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.errors import CaptureError, ImagerError
from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, Emitters, Locator, NoiseModel, locate_captures
from fociscope.localization._fit import EmitterFit
from fociscope.localization._weights import Weights
from fociscope.simulation import simulate

FRAME_PX = (40, 40)
IMAGER = Imager.reference()
#: Standard deviation of the noise; an emitter of light 1 has a peak of some 0.002.
NOISE = 1e-5


@pytest.fixture(scope="module")
def locator() -> Locator:
    return Locator(IMAGER, FRAME_PX)


@pytest.fixture(scope="module")
def response() -> EmitterResponse:
    return EmitterResponse(IMAGER, FRAME_PX)


def capture(
    response: EmitterResponse, place_um: list[list[float]], *, seed: int = 0, light: float = 1.0
) -> np.ndarray:
    shape = (response.imager.sensors, *FRAME_PX)
    clean = np.zeros(response.pixels)
    if place_um:
        clean = light * response(np.array(place_um))[0].sum(0).astype(np.float64)
    return (clean + np.random.default_rng(seed).normal(0, NOISE, clean.shape)).reshape(shape)


def test_emitters_are_found_where_they_are(locator: Locator, response: EmitterResponse) -> None:
    places = [[500.0, 600.0, 150.0], [1500.0, 700.0, 480.0], [900.0, 1600.0, 820.0]]
    found = locator.locate(capture(response, places))

    assert len(found) == 3
    for x, y, depth in places:
        n = int(np.abs(found.depth_um - depth).argmin())
        assert (found.x_um[n], found.y_um[n]) == pytest.approx((x, y), abs=3)
        assert found.depth_um[n] == pytest.approx(depth, abs=6)
    assert found.probability.min() > 0.999
    assert bool(found.is_explained[0])


def test_one_emitter_behind_another_is_two(locator: Locator, response: EmitterResponse) -> None:
    found = locator.locate(capture(response, [[1000.0, 1000.0, 200.0], [1040.0, 1000.0, 700.0]]))

    assert sorted(np.round(found.depth_um, -1)) == pytest.approx([200.0, 700.0], abs=10)


def test_noise_alone_holds_no_emitter(locator: Locator, response: EmitterResponse) -> None:
    frames = np.stack([capture(response, [], seed=seed) for seed in range(20)])
    found = locator.locate(frames)

    assert len(found) == 0
    assert found.counts.tolist() == [0] * 20


def test_two_in_three_places_lie_within_one_deviation(
    locator: Locator, response: EmitterResponse
) -> None:
    place = np.array([900.0, 700.0, 350.0])
    frames = [capture(response, [place.tolist()], seed=seed) for seed in range(60)]
    found = locator.locate(np.stack(frames))
    assert len(found) == 60

    pulls = [
        (found.x_um - place[0]) / found.x_std_um,
        (found.y_um - place[1]) / found.y_std_um,
        (found.depth_um - place[2]) / found.depth_std_um,
    ]
    assert 0.58 < float((np.abs(pulls) < 1).mean()) < 0.78


def test_deviations_are_the_cramer_rao_bound(response: EmitterResponse) -> None:
    """Without error of the model and with known noise, by the images' differences alone."""
    noise = NoiseModel(np.full(2, NOISE**2), np.zeros(2), 0.0)
    place = np.array([[900.0, 700.0, 350.0]])
    locator = Locator(IMAGER, FRAME_PX, model_error=0.0, noise=noise)
    found = locator.locate(capture(response, place.tolist()))

    def image(moved: np.ndarray, light: float = 1.0) -> np.ndarray:
        return light * response(moved)[0][0].astype(np.float64)

    rows = [(image(place + s) - image(place - s)) / 2 for s in np.eye(3)[:, None]]
    sensor = np.repeat(np.eye(2), response.pixels // 2, axis=1)
    jacobian = np.stack([*rows, image(place), *sensor])
    bound = np.sqrt(np.diag(np.linalg.inv(jacobian @ jacobian.T / NOISE**2)))[:3]
    stated = [found.x_std_um[0], found.y_std_um[0], found.depth_std_um[0]]
    assert stated == pytest.approx(bound, rel=0.05)


def test_brightness_is_the_light_on_sensor_a_in_any_unit(
    locator: Locator, response: EmitterResponse
) -> None:
    place = [[900.0, 700.0, 350.0]]
    landing = IMAGER.psf.collection_efficiency(350.0)
    for unit in (1e-9, 1.0, 1e9):
        found = locator.locate(unit * capture(response, place, light=2.0))
        assert found.brightness[0] == pytest.approx(2 * unit * landing, rel=0.01)


def test_bad_pixels_do_not_count(locator: Locator, response: EmitterResponse) -> None:
    image = capture(response, [[900.0, 700.0, 350.0]])
    image[:, 5:8, 30] = 1.0
    bad = np.zeros(image.shape, bool)
    bad[:, 5:8, 30] = True
    found = locator.locate(image, bad_pixels=bad)

    assert len(found) == 1
    assert found.depth_um[0] == pytest.approx(350, abs=5)


def test_dead_pixels_of_the_imager_do_not_count(response: EmitterResponse) -> None:
    image = capture(response, [[900.0, 700.0, 350.0]])
    image[0, 13, 16] = 0.0
    imager = IMAGER.with_(frame_px=FRAME_PX, dead_pixels=[(0, 13, 16)])
    found = locate_captures(image, imager)

    assert len(found) == 1
    assert found.depth_um[0] == pytest.approx(350, abs=5)


def test_dense_tissue_is_not_explained() -> None:
    tissue = simulate(1, seed=0).captures[0][:, :40, :40]
    found = Locator(IMAGER, FRAME_PX, most=8).locate(tissue)

    assert not found.is_explained[0]


def test_emitters_at_one_place_or_without_light_gain_nothing(response: EmitterResponse) -> None:
    places = np.array([[900.0, 700.0, 350.0], [300.0, 400.0, 60.0], [900.0, 700.0, 350.0]])
    images, gradients = response(places)
    light = np.array([1.0, 0.0, 1.0])
    mean = light @ images
    weight = Weights.of(np.full(response.pixels, NOISE**-2))
    fit = EmitterFit(places, light, np.zeros(2), mean, weight, 0.0, images, gradients)

    assert (np.einsum("eii->ei", fit.covariance()) > 0).all()
    gains = fit.gains()
    assert gains[1] == 0
    alone = EmitterFit(
        places[:1], light[:1], np.zeros(2), mean, weight, 0.0, images[:1], gradients[:1]
    )
    assert (gains[[0, 2]] < 0.01 * alone.gains()).all()


def test_sensor_a_alone_finds_depth_by_the_blur() -> None:
    imager = IMAGER.with_(sensors=1)
    response = EmitterResponse(imager, FRAME_PX)
    found = locate_captures(capture(response, [[900.0, 700.0, 350.0]])[0], imager)

    assert found.depth_um == pytest.approx([350.0], abs=6)


def test_two_rows_of_pixels_are_enough() -> None:
    """Beads over a chip of 2 x 128 oblong pixels with a measured angular response."""
    chip = Imager.preset("acus")
    places = np.array([[950.0, 30.0, 90.0], [1500.0, 40.0, 60.0]])
    clean = 1e6 * chip.pixel_response(places).sum(0)
    counts = np.random.default_rng(0).poisson(clean + 5.0).astype(np.float64)
    found = locate_captures(counts, chip)

    assert sorted(found.x_um) == pytest.approx([950.0, 1500.0], abs=3)
    assert sorted(found.depth_um) == pytest.approx([60.0, 90.0], abs=6)


def test_captures_of_another_shape_are_refused(locator: Locator) -> None:
    with pytest.raises(CaptureError, match=r"2 sensor\(s\) need the shape"):
        locator.locate(np.zeros((1, 40, 40)))


def test_captures_that_hold_no_numbers_are_refused(locator: Locator) -> None:
    with pytest.raises(CaptureError, match="NaN"):
        locator.locate(np.full((2, 40, 40), np.nan))


def test_a_model_error_above_one_is_refused() -> None:
    with pytest.raises(ImagerError, match="model_error"):
        Locator(IMAGER, FRAME_PX, model_error=1.5)


def test_joined_captures_keep_their_numbers(locator: Locator, response: EmitterResponse) -> None:
    one = locator.locate(capture(response, [[900.0, 700.0, 350.0]]))
    none = locator.locate(capture(response, []))
    joined = Emitters.joined([one, none, one])

    assert joined.frame.tolist() == [0, 2]
    assert joined.of_frame(2).depth_um.tolist() == one.depth_um.tolist()
