"""Sensor B shifted, turned and scaled against sensor A."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from fociscope.errors import ImagerError
from fociscope.imager import Boundary, GaussianPsf, Imager, LayerProjector, Registration
from fociscope.imager.registration import Resampling

PITCH_UM = 55.0
GAP_UM = 400.0

Image = NDArray[np.float64]


def captures(layers: Image, depth_um: list[float], **changes: Any) -> Image:
    imager = Imager.reference().with_(gap_um=GAP_UM, **changes)
    found = LayerProjector(imager).A(layers, np.array(depth_um))
    return np.asarray(found)


def blob(frame: tuple[int, int], y_um: float, x_um: float, sigma_um: float) -> Image:
    """A Gaussian at a place from the middle of the frame, summed over pixels in all but exactly."""
    y, x = (PITCH_UM * (np.arange(n) - (n - 1) / 2) for n in frame)
    r2 = (y[:, None] - y_um) ** 2 + (x[None, :] - x_um) ** 2
    return np.asarray(np.exp(-r2 / 2 / sigma_um**2))


def centroid_um(image: Image) -> Image:
    y, x = (PITCH_UM * (np.arange(n) - (n - 1) / 2) for n in image.shape)
    return np.array([image.sum(1) @ y, image.sum(0) @ x]) / image.sum()


# --- shift --------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
@pytest.mark.parametrize("shift_um", [(20.0, -9.0), (27.5, 27.5), (-130.0, 61.0)], ids=str)
def test_a_shift_is_that_of_the_kernels(shift_um: tuple[float, float], boundary: Boundary) -> None:
    frame, depth_um = (20, 24), [100.0, 330.0]
    layers = np.random.default_rng(0).random((2, *frame))
    registration = Registration(shift_um=shift_um)
    found = captures(layers, depth_um, registration=registration, boundary=boundary)
    imager = Imager.reference()
    radius_px = 19
    expected = np.zeros(frame)
    for layer, z_um in zip(layers, depth_um, strict=True):
        kernel = imager.psf.kernel(
            np.array(GAP_UM - z_um), PITCH_UM, radius_px=radius_px, offset_um=shift_um
        )
        if boundary == "reflect":
            mirrored = np.pad(layer, radius_px, mode="symmetric")
            expected += fftconvolve(mirrored, kernel, mode="valid")
        else:
            expected += fftconvolve(np.pad(layer, radius_px), kernel, mode="valid")
    # What the projector cuts off beyond 99.9 % of the light, and the series over depth.
    whole = imager.psf.collection_efficiency()
    assert np.abs(found[1] - expected).max() < 2 * (1e-3 + 2e-4) * whole
    assert np.abs(found[1] - expected).mean() < 5e-4 * expected.mean()


def test_in_the_dark_of_a_small_frame_a_shift_is_exact() -> None:
    """No kernel is cut off within it."""
    frame, shift_um, z_um = (7, 6), (20.0, -45.0), 60.0
    layers = np.random.default_rng(1).random((1, *frame))
    found = captures(layers, [GAP_UM - z_um], registration=Registration(shift_um=shift_um))
    kernel = Imager.reference().psf.kernel(
        np.array(z_um), PITCH_UM, radius_px=6, offset_um=shift_um
    )
    expected = fftconvolve(np.pad(layers[0], 6), kernel, mode="valid")
    np.testing.assert_allclose(found[1], expected, rtol=0, atol=1e-4 * expected.max())


@pytest.mark.parametrize("steps", [(1, 0), (-2, 3)])
def test_a_shift_by_whole_pixels_moves_the_capture(steps: tuple[int, int]) -> None:
    layers = np.random.default_rng(2).random((2, 30, 32))
    y, x = steps
    shift_um = (PITCH_UM * y, PITCH_UM * x)
    still = captures(layers, [50.0, 300.0])
    moved = captures(layers, [50.0, 300.0], registration=Registration(shift_um=shift_um))
    rolled = np.roll(still[1], steps, axis=(0, 1))
    inner = slice(3, -3)
    np.testing.assert_allclose(
        moved[1][inner, inner], rolled[inner, inner], rtol=0, atol=1e-3 * still[1].max()
    )


def test_a_shift_shows_what_lay_beyond_the_frame_of_b() -> None:
    """Light at sensor A's edge lands within sensor B's frame, and the other way round."""
    layers = np.zeros((1, 11, 11))
    layers[0, 5, 10] = 1
    near_b = [GAP_UM]
    left = captures(layers, near_b, registration=Registration(shift_um=(0.0, -5 * PITCH_UM)))
    assert np.unravel_index(left[1].argmax(), (11, 11)) == (5, 5)
    right = captures(layers, near_b, registration=Registration(shift_um=(0.0, 5 * PITCH_UM)))
    assert right[1].max() < 1e-6 * left[1].max()


# --- rotation and scale -------------------------------------------------------------------------


def test_a_turn_by_a_right_angle_turns_the_capture() -> None:
    """Positive turns +y towards +x: what lies below the middle goes to its right."""
    layers = np.random.default_rng(3).random((2, 21, 21))
    still = captures(layers, [80.0, 290.0])
    for rotation_deg, quarters in ((90.0, 1), (-90.0, -1), (180.0, 2)):
        turned = captures(
            layers, [80.0, 290.0], registration=Registration(rotation_deg=rotation_deg)
        )
        expected = np.rot90(still[1], quarters)
        np.testing.assert_allclose(turned[1], expected, rtol=0, atol=1e-9 * expected.max())
    below = np.zeros((1, 21, 21))
    below[0, 16, 10] = 1
    seen = captures(below, [GAP_UM], registration=Registration(rotation_deg=90.0))
    assert np.unravel_index(seen[1].argmax(), (21, 21)) == (10, 16)


@pytest.mark.parametrize("frame", [(61, 61), (60, 71)], ids=str)
@pytest.mark.parametrize(
    "registration",
    [
        Registration(rotation_deg=3.0),
        Registration(rotation_deg=-30.0),
        Registration(scale=1.03),
        Registration(scale=0.9),
        Registration(shift_um=(33.0, -71.0), rotation_deg=-2.5, scale=1.02),
        Registration(shift_um=(-140.0, 90.0), rotation_deg=40.0, scale=0.95),
    ],
    ids=["turned", "turned far", "larger", "smaller", "a little of all", "much of all"],
)
def test_a_blob_lands_where_the_registration_says(
    registration: Registration, frame: tuple[int, int]
) -> None:
    y_um, x_um = 410.0, -260.0
    layers = blob(frame, y_um, x_um, 120.0)[None]
    found = captures(layers, [GAP_UM - 200.0], registration=registration, psf=GaussianPsf())
    still = captures(layers, [GAP_UM - 200.0], psf=GaussianPsf())
    expected_um = registration.to_b(y_um, x_um)
    assert centroid_um(found[1]) == pytest.approx(expected_um, abs=0.02 * PITCH_UM)
    # Magnified, light spreads over more of B's pixels, and none is lost or made.
    assert found[1].sum() == pytest.approx(still[1].sum(), rel=1e-2)


def test_a_magnified_blob_is_wider() -> None:
    layers = blob((61, 61), 0.0, 0.0, 150.0)[None]
    widths = []
    for scale in (1.0, 1.25):
        seen = captures(layers, [GAP_UM], registration=Registration(scale=scale))[1]
        y_um = PITCH_UM * (np.arange(61) - 30)
        widths.append(math.sqrt(seen.sum(1) @ y_um**2 / seen.sum()))
    assert widths[1] / widths[0] == pytest.approx(1.25, rel=1e-2)


def test_tissue_goes_on_beyond_a_turned_frame() -> None:
    registration = Registration(rotation_deg=20.0, scale=0.9, shift_um=(60.0, 0.0))
    layers = np.ones((1, 24, 30))
    found = captures(layers, [150.0], registration=registration, boundary="reflect")
    expected = Imager.reference().psf.collection_efficiency() / 0.9**2
    assert found[1] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("rotation_deg", [0.0, 12.0])
def test_sensor_a_does_not_notice(rotation_deg: float) -> None:
    layers = np.random.default_rng(4).random((2, 19, 23))
    registration = Registration(shift_um=(80.0, -33.0), rotation_deg=rotation_deg)
    for boundary in ("zero", "reflect"):
        changes = {"boundary": boundary}
        plain = captures(layers, [120.0, 390.0], **changes)
        found = captures(layers, [120.0, 390.0], registration=registration, **changes)
        np.testing.assert_allclose(found[0], plain[0], rtol=0, atol=1e-3 * plain[0].max())
        alone = captures(layers, [120.0, 390.0], registration=registration, sensors=1, **changes)
        np.testing.assert_allclose(alone[0], plain[0], rtol=0, atol=1e-3 * plain[0].max())


# --- coordinates --------------------------------------------------------------------------------


def test_points_move_by_the_rule() -> None:
    registration = Registration(shift_um=(10.0, -20.0), rotation_deg=30.0, scale=1.1)
    c, s = math.cos(math.radians(30.0)), math.sin(math.radians(30.0))
    y_um, x_um = registration.to_b(300.0, 70.0)
    assert y_um == pytest.approx(1.1 * (c * 300.0 - s * 70.0) + 10.0)
    assert x_um == pytest.approx(1.1 * (s * 300.0 + c * 70.0) - 20.0)
    assert Registration().to_b(300.0, 70.0) == (300.0, 70.0)


def test_the_shift_in_coordinates_of_a_is_where_bs_middle_came_from() -> None:
    registration = Registration(shift_um=(10.0, -20.0), rotation_deg=30.0, scale=1.1)
    shift_um = registration.shift_in_a_um()
    assert shift_um is not None
    # The kernels of A's grid are moved by it, before turn and scale: together they make the shift.
    turned = registration.model_copy(update={"shift_um": (0.0, 0.0)})
    assert turned.to_b(*shift_um) == pytest.approx((10.0, -20.0))
    assert Registration(rotation_deg=10.0).shift_in_a_um() is None


@pytest.mark.parametrize(
    "fields",
    [
        {"rotation_deg": 181.0},
        {"scale": 0.4},
        {"scale": 2.1},
        {"shift_um": (1.0,)},
        {"shift_um": (math.inf, 0.0)},
        {"shift_um": (3e4, 0.0)},
        {"turn": 3.0},
    ],
)
def test_an_impossible_registration_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ImagerError, match="registration"):
        Imager.reference().with_(registration=fields)


# --- resampling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [(9, 14), (16, 16), (1, 7)], ids=str)
@pytest.mark.parametrize(
    "registration", [Registration(rotation_deg=33.0, scale=0.7), Registration(rotation_deg=-135.0)]
)
def test_resampling_and_its_adjoint(registration: Registration, frame: tuple[int, int]) -> None:
    beside = torch.zeros((), dtype=torch.float64)
    resampling = Resampling.from_registration(registration, frame, beside)
    margin = registration.margin_px(frame)
    rng = torch.Generator().manual_seed(0)
    wide = torch.randn(2, *(n + 2 * margin for n in frame), generator=rng, dtype=torch.float64)
    image = torch.randn(2, *frame, generator=rng, dtype=torch.float64)
    ahead, back = resampling(wide), resampling.adjoint(image)
    assert ahead.shape == image.shape
    assert back.shape == wide.shape
    assert float((ahead * image).sum()) == pytest.approx(float((wide * back).sum()), rel=1e-12)


def test_resampling_keeps_polynomials() -> None:
    """Third-order interpolation is exact on squares."""
    registration, frame = Registration(rotation_deg=25.0), (20, 20)
    margin = registration.margin_px(frame)
    place = torch.arange(20 + 2 * margin, dtype=torch.float64) - (19 + 2 * margin) / 2
    y, x = place[:, None], place[None, :]
    resampling = Resampling.from_registration(registration, frame, place)
    found = resampling(1 + 2 * y - x + 0.1 * y**2 - 0.3 * x * y)
    turn = math.radians(25.0)
    own = torch.arange(20, dtype=torch.float64) - 9.5
    v, u = own[:, None], own[None, :]
    y, x = math.cos(turn) * v + math.sin(turn) * u, -math.sin(turn) * v + math.cos(turn) * u
    expected = 1 + 2 * y - x + 0.1 * y**2 - 0.3 * x * y
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# --- crops --------------------------------------------------------------------------------------


@pytest.mark.parametrize("point_um", [(0.0, 0.0), (730.0, -410.0), (-55.0, 2000.0)], ids=str)
@pytest.mark.parametrize("turn", [{}, {"rotation_deg": -31.0}, {"scale": 0.9}], ids=str)
def test_a_registration_about_a_point_says_the_same(turn: Any, point_um: Any) -> None:
    registration = Registration(shift_um=(12.0, -30.0), **turn)
    c = np.array(point_um)
    for p in np.array([[0.0, 0.0], [300.0, 20.0], [-1000.0, 555.0]]):
        expected = np.array(registration.to_b(*p)) - c
        np.testing.assert_allclose(registration.about(*c).to_b(*(p - c)), expected, atol=1e-9)


def test_a_crop_is_projected_as_the_whole_frame_is() -> None:
    whole_px, (y, x, height, width) = (61, 70), (20, 38, 40, 31)
    registration = Registration(shift_um=(30.0, -80.0), rotation_deg=2.0, scale=1.02)
    imager = Imager(frame_px=whole_px, gap_um=GAP_UM, registration=registration)
    layer = blob(whole_px, y_um=500.0, x_um=1000.0, sigma_um=2.5 * PITCH_UM)
    layer[:y], layer[:, :x] = 0, 0  # a crop knows nothing of light outside it
    crop = slice(y, y + height), slice(x, x + width)
    expected = np.asarray(LayerProjector(imager).A(layer[None], np.array([200.0])))[:, *crop]
    part = imager.cropped(y, x, height, width, of=whole_px)
    found = np.asarray(LayerProjector(part).A(layer[None, *crop], np.array([200.0])))
    assert part.frame_px == (height, width)
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())


@pytest.mark.parametrize(
    "imager",
    [
        Imager(registration=Registration(shift_um=(30.0, 0.1))),
        Imager(sensors=1, registration=Registration(rotation_deg=2.0)),
    ],
)
def test_a_crop_matters_only_where_sensor_b_is_turned(imager: Imager) -> None:
    assert imager.cropped(3, 1, 40, 33, of=(60, 60)) is imager


@pytest.mark.parametrize(
    ("crop", "says"),
    [
        ((0, 0, 61, 40), "does not lie within captures of 60 x 60 pixels"),
        ((-1, 0, 40, 40), "does not lie within"),
        ((0, 0, 40, 0), "does not lie within"),
    ],
)
def test_crops_that_are_none_of_a_frame(crop: Any, says: str) -> None:
    with pytest.raises(ImagerError, match=says):
        Imager.reference().cropped(*crop, of=(60, 60))


def test_a_crop_that_shows_other_tissue_on_each_sensor_is_refused() -> None:
    imager = Imager(registration=Registration(rotation_deg=180.0))
    with pytest.raises(ImagerError, match="shift_um"):
        imager.cropped(0, 0, 100, 100, of=(1000, 1000))
