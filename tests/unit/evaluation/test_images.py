import numpy as np
import pytest

from fociscope.evaluation.metrics import (
    best_gain,
    even_image_error,
    peak_snr_db,
    relative_squared_error,
    self_check_residual,
    structural_similarity,
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


def test_similarity_of_even_images_by_hand() -> None:
    # No structure: what is left is (2 a b + c1) / (a^2 + b^2 + c1).
    one, other = np.full((12, 13), 0.5), np.full((12, 13), 0.25)
    expected = (2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4)
    assert structural_similarity(one, other, data_range=1.0) == pytest.approx(expected)


def test_similarity_in_one_window_by_hand() -> None:
    image, truth = noisy(2, (11, 11))
    offset = np.arange(-5, 6)
    taps = np.exp(-(offset**2) / (2 * 1.5**2))
    w = np.outer(taps, taps) / taps.sum() ** 2
    mean_x, mean_y = (w * image).sum(), (w * truth).sum()
    var_x, var_y = (w * (image - mean_x) ** 2).sum(), (w * (truth - mean_y) ** 2).sum()
    covariance = (w * (image - mean_x) * (truth - mean_y)).sum()
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    expected = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    assert structural_similarity(image, truth, data_range=2.0) == pytest.approx(expected)


def test_similarity_is_that_of_the_libraries() -> None:
    image, truth = noisy(3)
    ours = structural_similarity(image, truth, data_range=1.3)
    assert ours.shape == (2, 3)
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchmetrics.functional.image")
    _, full = theirs.structural_similarity_index_measure(
        *(torch.from_numpy(a).reshape(6, 1, 24, 20) for a in (image, truth)),
        data_range=1.3, sigma=1.5, reduction="none", return_full_image=True,
    )  # fmt: skip
    # Theirs goes on over the edges, where the image is reflected: leave those places out.
    inside = full.numpy()[:, 0, 5:-5, 5:-5].mean((-2, -1))
    assert ours.ravel() == pytest.approx(inside, abs=1e-6)
    psnr = theirs.peak_signal_noise_ratio(
        *(torch.from_numpy(a[0, 0]) for a in (image, truth)), data_range=1.3
    )
    assert peak_snr_db(image, truth, data_range=1.3)[0, 0] == pytest.approx(float(psnr), rel=1e-5)


def test_similarity_is_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    image, truth = noisy(4, (24, 20))
    theirs = metrics.structural_similarity(
        image, truth, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert structural_similarity(image, truth, data_range=1.0) == pytest.approx(theirs, abs=1e-9)


def test_similarity_of_equal_and_of_opposite_images() -> None:
    _, truth = noisy(5)
    assert structural_similarity(truth, truth, data_range=1.0) == pytest.approx(np.ones((2, 3)))
    assert (structural_similarity(1 - truth, truth, data_range=1.0) < 0).all()


def test_residual_by_hand() -> None:
    residual = self_check_residual(np.stack([IMAGE[0], TRUTH[0]]), np.stack([TRUTH[0]] * 2))
    assert residual.tolist() == pytest.approx([np.sqrt(3 / 9), 0])
    dark = np.zeros((1, 2, 2))
    assert self_check_residual(dark, TRUTH) == 1
    assert np.isnan(self_check_residual(IMAGE, dark))


def test_what_is_refused() -> None:
    image, truth = noisy(6)
    for score in (peak_snr_db, structural_similarity):
        with pytest.raises(ValueError, match="data_range"):
            score(image, truth, data_range=0.0)
        with pytest.raises(ValueError, match="one shape"):
            score(image[0], truth, data_range=1.0)
    with pytest.raises(ValueError, match="11 x 11"):
        structural_similarity(image[..., :10], truth[..., :10], data_range=1.0)
