import numpy as np
import pytest

from fociscope.evaluation.metrics import (
    best_gain,
    even_image_error,
    peak_snr_db,
    relative_squared_error,
    self_check_residual,
)

TRUTH = np.array([[[1.0, 2.0], [0.0, 2.0]]])  # one layer of 2x2; |truth|^2 = 9
IMAGE = np.array([[[1.0, 1.0], [1.0, 1.0]]])  # |image - truth|^2 = 3; <image, truth> = 5


def noisy(seed: int, shape: tuple[int, ...] = (2, 3, 24, 20)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(shape)
    return truth + 0.2 * rng.normal(size=shape), truth


def test_squared_error_by_hand() -> None:
    assert relative_squared_error(IMAGE, TRUTH) == pytest.approx(3 / 9)
    assert best_gain(IMAGE, TRUTH) == pytest.approx(5 / 4)
    # |truth|^2 - <image, truth>^2 / |image|^2 = 9 - 25 / 4.
    assert relative_squared_error(IMAGE, TRUTH, gain_free=True) == pytest.approx(2.75 / 9)
    assert even_image_error(TRUTH) == pytest.approx(2.75 / 9)


def test_guesses_that_know_nothing() -> None:
    dark = np.zeros_like(TRUTH)
    assert relative_squared_error(dark, TRUTH) == relative_squared_error(
        dark, TRUTH, gain_free=True
    ) == 1  # fmt: skip
    assert relative_squared_error(-TRUTH, TRUTH, gain_free=True) == 1
    assert np.isnan(relative_squared_error(IMAGE, dark))
    assert np.isnan(even_image_error(dark))


def test_a_gain_is_shared_by_the_layers_of_a_scene_or_not() -> None:
    image, truth = noisy(0)
    scale = np.array([3.0, 0.5, 2.0])[:, None, None]
    each = relative_squared_error(image * scale, truth, gain_free=True, axes=(-2, -1))
    assert each.shape == (2, 3)
    plain = relative_squared_error(image, truth, gain_free=True, axes=(-2, -1))
    assert each == pytest.approx(plain)
    shared = relative_squared_error(5 * image, truth, gain_free=True)
    assert shared == pytest.approx(relative_squared_error(image, truth, gain_free=True))
    assert (relative_squared_error(image * scale, truth, gain_free=True) > shared).all()


def test_peak_snr_by_hand() -> None:
    # Mean squared error 3 / 4: 10 log10(4 / 0.75).
    assert peak_snr_db(IMAGE, TRUTH, data_range=2.0) == pytest.approx(10 * np.log10(4 / 0.75))
    assert peak_snr_db(TRUTH, TRUTH, data_range=2.0) == np.inf
    assert peak_snr_db(*noisy(1), data_range=1.0).shape == (2, 3)


def test_residual_by_hand() -> None:
    residual = self_check_residual(np.stack([IMAGE[0], TRUTH[0]]), np.stack([TRUTH[0]] * 2))
    assert residual.tolist() == pytest.approx([np.sqrt(3 / 9), 0])
    dark = np.zeros((1, 2, 2))
    assert self_check_residual(dark, TRUTH) == 1
    assert np.isnan(self_check_residual(IMAGE, dark))


def test_what_is_refused() -> None:
    image, truth = noisy(6)
    with pytest.raises(ValueError, match="data_range"):
        peak_snr_db(image, truth, data_range=0.0)
    with pytest.raises(ValueError, match="one shape"):
        peak_snr_db(image[0], truth, data_range=1.0)
