"""The response to point emitters: the imager's kernels off the grid, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fociscope.imager import GaussianPsf, Imager, Registration
from fociscope.localization import EmitterResponse

FRAME_PX = (24, 32)
IMAGER = Imager.reference()


@pytest.fixture(scope="module")
def response() -> EmitterResponse:
    return EmitterResponse(IMAGER, FRAME_PX)


def exact(imager: Imager, x_um: float, y_um: float, depth_um: float) -> np.ndarray:
    """Return (sensor, y, x) by the kernel at the very place, pixel by pixel."""
    pitch, (height, width) = imager.pixel_pitch_um, FRAME_PX
    row, column = round(y_um / pitch), round(x_um / pitch)
    distances = torch.tensor([depth_um, imager.gap_um - depth_um], dtype=torch.float64)
    kernels = imager.psf.kernel(
        distances,
        pitch,
        radius_px=40,
        offset_um=(y_um - row * pitch, x_um - column * pitch),
    ).numpy()
    top, left = 40 - row, 40 - column
    return kernels[:, top : top + height, left : left + width]


@pytest.mark.parametrize("depth_um", [60.0, 240.0, 503.0, 901.0])
def test_an_image_is_the_kernel_at_the_place_of_the_emitter(
    response: EmitterResponse, depth_um: float
) -> None:
    images, _ = response(np.array([[811.0, 612.0, depth_um]]))

    wanted = exact(IMAGER, 811.0, 612.0, depth_um)
    error = np.abs(images.reshape(2, *FRAME_PX) - wanted).sum((1, 2)) / wanted.sum((1, 2))
    assert error.max() < 2e-3


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gradients_are_those_of_the_images(response: EmitterResponse, axis: int) -> None:
    place = np.array([[811.0, 612.0, 307.0]])
    step = np.zeros((1, 3))
    step[0, axis] = 0.5
    _, gradients = response(place)

    rise = (response(place + step)[0] - response(place - step)[0])[0]
    assert np.abs(gradients[0, axis] - rise).sum() < 2e-3 * np.abs(rise).sum()


def test_sensor_b_sees_an_emitter_shifted_and_with_its_own_gain() -> None:
    psf = GaussianPsf(spread=0.25)
    shifted = Imager(psf=psf, registration=Registration(shift_um=(30.0, -20.0)))
    both = EmitterResponse(shifted.with_(sensor_gains=(1.0, 2.0)), FRAME_PX)
    plain = EmitterResponse(Imager(psf=psf), FRAME_PX)

    b = both(np.array([[800.0, 600.0, 300.0]]))[0].reshape(2, -1)[1]
    same = plain(np.array([[780.0, 630.0, 300.0]]))[0].reshape(2, -1)[1]
    np.testing.assert_allclose(b, 2 * same, atol=1e-5 * same.max())


@pytest.mark.parametrize(
    "changes",
    [
        {"pixel_pitch_um": (70.0, 40.0)},
        {"row_shift_um": (0.0, 27.5)},
        {"registration": Registration(rotation_deg=2.0)},
    ],
    ids=["oblong pixels", "staggered rows", "turned sensor B"],
)
def test_any_imager_is_taken_as_it_is(changes: dict[str, object]) -> None:
    imager = IMAGER.with_(frame_px=FRAME_PX, **changes)
    place = np.array([[811.0, 612.0, 307.0]])
    images, gradients = EmitterResponse(imager, FRAME_PX)(place)

    exact = imager.pixel_response(place)
    np.testing.assert_allclose(
        images.reshape(1, 2, *FRAME_PX), exact, rtol=1e-4, atol=1e-3 * exact.max()
    )
    step = np.array([[0.0, 0.0, 2.0]])
    rise = (imager.pixel_response(place + step) - imager.pixel_response(place - step)).ravel() / 4
    assert np.abs(gradients[0, 2] - rise).sum() < 1e-2 * np.abs(rise).sum()


def test_a_wider_frame_sees_all_around_the_same_emitter(response: EmitterResponse) -> None:
    height, width = FRAME_PX
    wide = response.widened()
    middle = np.array([[(width - 1) * 55.0, (height - 1) * 55.0, 240.0]])
    images = wide(middle)[0].reshape(2, 2 * height - 1, 2 * width - 1)

    assert wide.frame_px == images.shape[1:]
    np.testing.assert_allclose(images, images[:, ::-1, ::-1], atol=2e-3 * images.max())
    own = response(np.array([[0.0, 0.0, 240.0]]))[0].reshape(2, *FRAME_PX)
    np.testing.assert_allclose(images[:, height - 1 :, width - 1 :], own, rtol=1e-5, atol=1e-9)
