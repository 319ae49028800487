"""The limits against closed forms, against dense matrices, and against numerical experiments."""

import math

import numpy as np
import pytest
import torch

from fociscope.errors import SceneError
from fociscope.evaluation.limits import (
    MapOracle,
    SpecimenStatistics,
    capture_noise_variance,
    gaussian_layers_bound_um,
    known_layers_bound_um,
    single_layer_bounds,
)
from fociscope.evaluation.limits._gaussian import gaussian_layers_information
from fociscope.evaluation.limits._information import depth_bound
from fociscope.evaluation.metrics import mask_counts
from fociscope.imager import Camera, GaussianPsf, Imager, LayerProjector
from fociscope.simulation import simulate

SMALL = Imager.reference().with_(frame_px=(12, 13))


@pytest.fixture(scope="module")
def layers() -> np.ndarray:
    return simulate(24, seed=5, layers=1, imager=SMALL, peak_snr_db=None).layers


def dense(imager: Imager, depth_um: float) -> np.ndarray:
    """Return the projection of one layer as a matrix (sensor y x, y x)."""
    pixels = imager.frame_px[0] * imager.frame_px[1]
    one_by_one = torch.eye(pixels, dtype=torch.float64).reshape(pixels, 1, *imager.frame_px)
    depth = torch.full((pixels, 1), depth_um, dtype=torch.float64)
    return LayerProjector(imager).A(one_by_one, depth).reshape(pixels, -1).T.numpy()


def test_noise_is_that_of_the_camera() -> None:
    light = torch.rand(1, 2, 6, 7, generator=torch.Generator().manual_seed(0)) + 0.01
    variance = capture_noise_variance(SMALL, light, 30.0)
    noise = torch.Generator().manual_seed(1)
    drawn = SMALL.camera.at_peak_snr(light.expand(4000, -1, -1, -1), 30.0, generator=noise)
    # A variance of 4000 draws scatters by 2.2 %; the largest of 84 by three times that.
    assert drawn.var(dim=0).numpy() == pytest.approx(variance[0].numpy(), rel=0.09)
    assert float((drawn.var(dim=0) / variance[0]).mean()) == pytest.approx(1, abs=0.01)


def test_bound_on_a_point_by_hand() -> None:
    """A point behind a Gaussian PSF, in noise that is the same everywhere.

    With light F, pixels of side p and variance v of each, and the light itself unknown, the
    information on sigma is F^2 p^2 / (4 pi v sigma^4), and dsigma / dz = spread^2 z / sigma.
    """
    noisy = Camera(read_noise_e=3000.0, full_well_e=1e6, adc_bits=24)
    imager = Imager(
        pixel_pitch_um=20.0, frame_px=(65, 65), sensors=1, camera=noisy,
        psf=GaussianPsf(spread=0.25),
    )  # fmt: skip
    point = np.zeros((1, 1, 65, 65))
    point[..., 32, 32] = 1
    depth_um, sigma_um = 400.0, 100.0
    captures = LayerProjector(imager).A(torch.from_numpy(point), torch.tensor([[depth_um]]))
    variance = float(capture_noise_variance(imager, captures, 10.0).mean())
    light = float(captures.sum())
    of_sigma_um = math.sqrt(4 * math.pi * variance) * sigma_um**2 / (light * 20.0)
    expected_um = of_sigma_um / (0.25**2 * depth_um / sigma_um)
    found_um = known_layers_bound_um(imager, point, [[depth_um]], peak_snr_db=10.0)
    # The pixel's own width, p^2 / 12 beside sigma^2, and 0.1 % of shot noise.
    assert found_um.item() == pytest.approx(expected_um, rel=0.02)


@pytest.mark.parametrize("sensors", [1, 2])
def test_maximum_likelihood_attains_the_bound(layers: np.ndarray, sensors: int) -> None:
    """Depth of a known layer from 400 noisy captures, the gain of each sensor fitted along."""
    imager = SMALL.with_(sensors=sensors)
    layer, depth_um = torch.from_numpy(layers[:1]).double(), 350.0
    bound_um = known_layers_bound_um(imager, layer, [[depth_um]]).item()
    grid_um = depth_um + bound_um * np.linspace(-6, 6, 121)
    projector = LayerProjector(imager)
    tried = projector.A(layer.expand(121, -1, -1, -1), torch.from_numpy(grid_um)[:, None])
    clean = projector.A(layer, torch.tensor([[depth_um]]))
    noise = torch.Generator().manual_seed(2)
    drawn = imager.camera.at_peak_snr(
        clean.expand(400, -1, -1, -1).float(), 40.0, generator=noise
    ).double()
    spread = capture_noise_variance(imager, clean, 40.0).sqrt()
    models, captures = ((a / spread).flatten(2).transpose(0, 1) for a in (tried, drawn))
    overlap = captures @ models.transpose(1, 2)  # (sensor, capture, depth)
    likelihood = (overlap**2 / (models**2).sum(-1)[:, None, :]).sum(dim=0).numpy()
    best = likelihood.argmax(axis=1)
    assert (best > 0).all()
    assert (best < 120).all()
    left, middle, right = (likelihood[np.arange(400), best + n] for n in (-1, 0, 1))
    offset = 0.5 * (left - right) / (left - 2 * middle + right)
    estimate_um = grid_um[best] + offset * (grid_um[1] - grid_um[0])
    # A standard deviation of 400 draws scatters by 3.5 %.
    assert estimate_um.std() == pytest.approx(bound_um, rel=0.12)
    assert estimate_um.mean() == pytest.approx(depth_um, abs=0.2 * bound_um)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_information_is_the_variance_of_the_score(layers: np.ndarray, boundary: str) -> None:
    """Slopes of the log-likelihood of Gaussian captures, by differences, over 4000 draws."""
    imager = SMALL.with_(boundary=boundary)
    statistics = SpecimenStatistics.from_layers(layers)
    covariance = statistics.covariance_times(np.eye(156).reshape(156, 12, 13)).reshape(156, 156)
    noise = 1e-5 * np.broadcast_to(np.array([1.0, 2.0])[:, None, None], (2, 12, 13))
    depth_um, step = 400.0, np.array([0.5, 1e-3, 1e-3])

    def model(depth: float, brightness: float, gain: float) -> tuple[np.ndarray, np.ndarray]:
        a = np.exp(brightness) * dense(imager, depth)
        a[156:] *= np.exp(gain)
        return a @ np.full(156, statistics.mean), a @ covariance @ a.T + np.diag(noise.ravel())

    mean, k = model(depth_um, 0, 0)
    rng = np.random.default_rng(3)
    drawn = mean + rng.normal(size=(4000, 312)) @ np.linalg.cholesky(k).T

    def log_likelihood(*parameters: float) -> np.ndarray:
        mean, k = model(*parameters)
        gap = drawn - mean
        return -0.5 * ((gap @ np.linalg.inv(k)) * gap).sum(1) - 0.5 * np.linalg.slogdet(k)[1]

    at = np.array([depth_um, 0.0, 0.0])
    score = np.stack([
        (log_likelihood(*(at + d)) - log_likelihood(*(at - d))) / (2 * h)
        for d, h in zip(np.diag(step), step, strict=True)
    ])  # fmt: skip
    information = gaussian_layers_information(imager, at[:1], statistics, noise)
    unit = 1 / np.sqrt(np.diag(information))
    found = np.cov(score) * unit[:, None] * unit
    # In these units, elements of a covariance of 4000 draws scatter by 0.016 to 0.022.
    assert found == pytest.approx(information * unit[:, None] * unit, abs=0.08)


def test_unknown_gains_and_neighbours_cost_information() -> None:
    # Schur complement by hand: 4 - 2^2 / 2 = 2.
    assert depth_bound([[4.0, 2.0], [2.0, 2.0]], layers=1) == pytest.approx([math.sqrt(1 / 2)])
    assert depth_bound([[4.0, 0.0], [0.0, 2.0]], layers=2) == pytest.approx(
        [1 / 2, math.sqrt(1 / 2)]
    )
    assert depth_bound([[0.0, 0.0], [0.0, 2.0]], layers=1).tolist() == [math.inf]
    # Two parameters that cannot be told apart, and a third that can.
    singular = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 4.0]])
    assert depth_bound(singular, layers=3).tolist() == [math.inf, math.inf, 0.5]


def test_more_knowledge_lowers_the_bound(layers: np.ndarray) -> None:
    alone = SMALL.with_(sensors=1)
    specimens = layers[:, 0]
    one = single_layer_bounds(alone, specimens, [200.0, 600.0])
    both = single_layer_bounds(SMALL, specimens, [200.0, 600.0])
    gain_known = single_layer_bounds(SMALL, specimens, [200.0, 600.0], shared_gain=True)
    assert (one.known_um < one.gaussian_um).all()
    for better, worse in ((both, one), (gain_known, both)):
        assert (better.known_um < worse.known_um).all()
        assert (better.gaussian_um < worse.gaussian_um).all()


def test_bounds_of_a_brighter_capture(layers: np.ndarray) -> None:
    depth_um = np.full((len(layers), 1), 300.0)
    dim, bright = (
        known_layers_bound_um(SMALL, layers, depth_um, peak_snr_db=snr) for snr in (42.0, 48.0)
    )
    # Where shot noise rules, 6 dB are half the bound; the camera's own noise makes it a bit more.
    assert np.median(dim / bright) == pytest.approx(2.0, abs=0.08)
    with pytest.raises(SceneError, match="peak SNR"):
        known_layers_bound_um(SMALL, layers, depth_um, peak_snr_db=80.0)


def test_a_sensor_sees_as_far_from_above_as_from_below(layers: np.ndarray) -> None:
    # The sensors are alike: what is 300 um below A is 300 um above B.
    near, far = (gaussian_layers_bound_um(SMALL, [z], layers) for z in (300.0, 700.0))
    assert near == pytest.approx(far, rel=1e-6)


def test_statistics_of_a_known_field() -> None:
    white = np.random.default_rng(4).normal(size=(400, 21, 22))
    field = 3 + white[:, 1:, :-1] + white[:, :-1, :-1]  # neighbours in y share one of two
    statistics = SpecimenStatistics.from_layers(field)
    assert statistics.frame_px == (20, 21)
    assert statistics.mean == pytest.approx(3, abs=0.02)
    assert statistics.variance == pytest.approx(2, rel=0.03)
    point = np.zeros((20, 21))
    point[10, 9] = 1
    row = statistics.covariance_times(point)
    assert row[10, 9] == pytest.approx(2, rel=0.03)
    assert row[[9, 11], 9] == pytest.approx([1, 1], rel=0.05)
    assert row[10, [8, 10]] == pytest.approx([0, 0], abs=0.05)


def test_the_oracle_restores_as_well_as_any_linear_estimate(layers: np.ndarray) -> None:
    scenes = simulate(2, seed=6, layers=2, imager=SMALL, min_separation_um=300.0)
    oracle = MapOracle(
        SMALL, 40.0, SpecimenStatistics.from_layers(layers), np.zeros(0), np.ones(0), np.zeros(0)
    )
    found = oracle.restored(scenes)
    identity = np.eye(156).reshape(156, 12, 13)
    covariance = oracle.statistics.covariance_times(identity).reshape(156, 156)
    for number, other in ((0, 1), (1, 0)):
        a, b = (dense(SMALL, float(scenes.depth_um[0, n])) for n in (number, other))
        clean = a @ scenes.layers[0, number].ravel() + b @ scenes.layers[0, other].ravel()
        noise = capture_noise_variance(SMALL, torch.from_numpy(clean.reshape(2, 12, 13)), 40.0)
        k = a @ covariance @ a.T + np.diag(noise.numpy().ravel())
        even = np.full(156, oracle.statistics.mean)
        seen = scenes.captures[0].ravel() - b @ scenes.layers[0, other].ravel() - a @ even
        expected = (even + covariance @ a.T @ np.linalg.solve(k, seen)).reshape(12, 13)
        assert found[0, number] == pytest.approx(expected, abs=0.01)


def test_the_oracle_beats_the_constant_answer_and_the_middle_is_hardest() -> None:
    imager = SMALL.with_(frame_px=(24, 24))
    oracle = MapOracle.fit(imager, seed=7, scenes=12)
    scenes = simulate(12, seed=8, imager=imager)
    probability = oracle.probability(scenes)
    assert probability.shape == scenes.mask.shape
    scores = mask_counts(probability > 0.5, scenes.mask).per_layer().scores()
    assert (scores.accuracy > scores.constant_accuracy + 0.1).all()
    assert scores.accuracy[[0, 3]].min() > scores.accuracy[[1, 2]].max()


def test_one_seed_one_oracle() -> None:
    one, again, other = (MapOracle.fit(SMALL, seed=n, scenes=2, layers=1) for n in (1, 1, 2))
    assert (one.weights == again.weights).all()
    assert (one.weights != other.weights).any()


def test_what_the_oracle_refuses() -> None:
    with pytest.raises(SceneError, match="`zero` boundary"):
        MapOracle.fit(SMALL.with_(boundary="reflect"), seed=0, scenes=1, layers=1)
    oracle = MapOracle.fit(SMALL, seed=0, scenes=2, layers=1)
    with pytest.raises(SceneError, match=r"\(12, 13\)"):
        oracle.restored(simulate(1, seed=0, layers=1, imager=SMALL.with_(frame_px=(9, 9))))
