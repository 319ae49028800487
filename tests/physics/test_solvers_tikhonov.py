"""Tikhonov's closed form against dense matrices, and its weight against what defines it."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fociscope import simulate
from fociscope.imager import Boundary, GaussianPsf, Imager, LayerProjector
from fociscope.solvers import LayerSpectrum, SolverError, tikhonov
from fociscope.solvers._operators import SpectralOperator, operator_at
from fociscope.solvers._spectra import circular_of
from fociscope.solvers._tikhonov import Influence

FRAME = (9, 11)
DEPTHS = np.array([90.0, 400.0, 880.0])

Matrix = NDArray[np.float64]


def imager(boundary: Boundary = "reflect", **changes: Any) -> Imager:
    return Imager.reference().with_(boundary=boundary, **changes)


def dense(instrument: Imager, depth_um: Matrix, frame: tuple[int, int] = FRAME) -> Matrix:
    """A as a matrix (sensor * y * x, layer * y * x)."""
    pixels = len(depth_um) * frame[0] * frame[1]
    units = np.eye(pixels).reshape(pixels, len(depth_um), *frame)
    seen = LayerProjector(instrument).A(units, np.tile(depth_um, (pixels, 1)))
    return np.asarray(seen).reshape(pixels, -1).T


def captures(seed: int, *shape: int) -> Matrix:
    return np.random.default_rng(seed).uniform(0.2, 1.0, shape)


@pytest.mark.parametrize("sensors", [1, 2])
def test_with_tissue_around_the_closed_form_is_the_minimum(sensors: int) -> None:
    instrument = imager(sensors=sensors, sensor_gains=(1.0, 0.8))
    y = captures(0, sensors, *FRAME)
    solution = tikhonov(y, DEPTHS, instrument, regularisation=1e-4)
    a = dense(instrument, DEPTHS)
    expected = np.linalg.solve(a.T @ a + 1e-4 * np.eye(a.shape[1]), a.T @ y.ravel())
    np.testing.assert_allclose(solution.layers.ravel(), expected, rtol=1e-6, atol=1e-8)
    value = np.sum((a @ expected - y.ravel()) ** 2) + 1e-4 * np.sum(expected**2)
    np.testing.assert_allclose(solution.objective, value, rtol=1e-8)
    left = (a @ expected - y.ravel()).reshape(y.shape)
    size = np.linalg.norm(left, axis=(1, 2)) / np.linalg.norm(y, axis=(1, 2))
    np.testing.assert_allclose(solution.residual, size, rtol=1e-6)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_exact_is_the_minimum_of_the_frame(boundary: Boundary) -> None:
    instrument, noise = imager(boundary), np.array([0.5, 2.0])
    y = captures(1, 2, *FRAME)
    solution = tikhonov(y, DEPTHS, instrument, regularisation=1e-4, noise_std=noise, exact=True)
    a = dense(instrument, DEPTHS)
    weight = np.repeat(noise**-2, FRAME[0] * FRAME[1])
    normal = a.T @ (weight[:, None] * a) + 1e-4 * np.eye(a.shape[1])
    expected = np.linalg.solve(normal, a.T @ (weight * y.ravel()))
    found = solution.layers.ravel()
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)
    left = weight * (a @ expected - y.ravel()) ** 2
    np.testing.assert_allclose(
        solution.objective, left.sum() + 1e-4 * np.sum(expected**2), rtol=1e-6
    )


def test_in_the_dark_the_closed_form_is_the_circular_minimum() -> None:
    # All that the larger grid holds: tissue anywhere, captures dark beyond the frame.
    y = captures(2, 2, *FRAME)
    found = tikhonov(y, DEPTHS, imager("zero"), regularisation=1e-4).layers
    operator = operator_at(imager("zero"), torch.from_numpy(DEPTHS)[None], FRAME)
    assert isinstance(operator, SpectralOperator)
    wide = operator.widened()
    side_y, side_x = wide.synthesis_y.shape[0], wide.synthesis_x.shape[0]
    units = torch.eye(side_y * side_x, dtype=torch.float64).reshape(-1, 1, side_y, side_x)
    blocks = []
    for n in range(3):
        one = SpectralOperator(wide.analysis_y, wide.analysis_x, wide.transfer[:, n : n + 1])
        blocks.append(one.A(units).reshape(len(units), -1).T.numpy())
    a = np.concatenate(blocks, axis=1)
    padded = np.zeros((2, side_y, side_x))
    padded[:, : FRAME[0], : FRAME[1]] = y
    dual = np.linalg.solve(a @ a.T + 1e-4 * np.eye(len(a)), padded.ravel())
    expected = (a.T @ dual).reshape(3, side_y, side_x)[:, : FRAME[0], : FRAME[1]]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_uneven_and_displaced_kernels_agree_with_even_ones() -> None:
    # A shift by nothing to speak of goes by Fourier transforms: both ways lead to the same layers.
    y = captures(3, 2, *FRAME)
    for boundary in ("zero", "reflect"):
        shifted = imager(boundary, registration={"shift_um": (1e-9, 0.0)})
        found = tikhonov(y, DEPTHS, shifted, regularisation=1e-3)
        expected = tikhonov(y, DEPTHS, imager(boundary), regularisation=1e-3)
        # The dark grids differ in size, and so does what lies far from the frame.
        tolerance = 1e-4 if boundary == "reflect" else 2e-2
        error = np.linalg.norm(found.layers - expected.layers)
        assert error < tolerance * np.linalg.norm(expected.layers)


def test_a_turned_sensor_has_no_closed_form() -> None:
    turned = imager(registration={"rotation_deg": 1.0})
    with pytest.raises(SolverError, match="fista"):
        tikhonov(captures(4, 2, *FRAME), DEPTHS, turned)


# --- the weight ---------------------------------------------------------------------------------


def influence(y: Matrix, noise: Matrix, spectrum: LayerSpectrum | None = None) -> Influence:
    operator = operator_at(imager(), torch.from_numpy(DEPTHS)[None], FRAME)
    circular = circular_of(operator, imager())
    noise_std = torch.from_numpy(noise)[None, :, None, None]
    prior = circular.prior(spectrum, 55.0)
    return Influence(circular, torch.from_numpy(y)[None], noise_std, prior)


def test_gcv_is_that_of_the_influence_matrix() -> None:
    y, noise = captures(5, 2, *FRAME), np.array([0.7, 1.3])
    a = dense(imager(), DEPTHS) / np.repeat(noise, y[0].size)[:, None]
    white = (y / noise[:, None, None]).ravel()
    trials = np.array([1e-6, 1e-4, 1e-2])
    found = influence(y, noise).gcv_value(torch.from_numpy(trials)[None])[0].numpy()
    for lam, value in zip(trials, found, strict=True):
        hat = a @ np.linalg.solve(a.T @ a + lam * np.eye(a.shape[1]), a.T)
        left = np.eye(len(a)) - hat
        expected = len(a) * np.sum((left @ white) ** 2) / np.trace(left) ** 2
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_gcv_takes_the_least_value() -> None:
    y = simulate(1, seed=9001, imager=imager()).captures[0][:, :9, :11].astype(np.float64)
    problem = influence(y, np.ones(2))
    best = problem.gcv()
    around = best[:, None] * torch.logspace(-4, 3, 400, dtype=torch.float64)
    assert float(problem.gcv_value(best[:, None])) <= float(problem.gcv_value(around).min()) * 1.001


def test_the_discrepancy_is_the_noise() -> None:
    scenes = simulate(3, seed=9002, imager=imager())
    clean = simulate(3, seed=9002, imager=imager(), peak_snr_db=None).captures
    noise = (scenes.captures - clean).std(axis=(-2, -1))
    solution = tikhonov(
        scenes.captures.astype(np.float64),
        scenes.depth_um,
        imager(),
        regularisation="discrepancy",
        noise_std=noise,
    )
    left = LayerProjector(imager()).A(solution.layers, scenes.depth_um) - scenes.captures
    variances = (np.asarray(left) ** 2).sum((-2, -1)) / noise**2
    np.testing.assert_allclose(variances.sum(1), scenes.captures[0].size, rtol=2e-3)


def test_a_spectrum_makes_it_the_gaussian_posterior_mean() -> None:
    y, spectrum = captures(6, 2, *FRAME), LayerSpectrum()
    problem = influence(y, np.ones(2), spectrum)
    lam = torch.tensor([1e-3], dtype=torch.float64)
    found = problem.circular.synthesised(problem.coefficients(lam))[0].numpy().ravel()
    pixels = torch.eye(y[0].size, dtype=torch.float64).reshape(-1, *FRAME)
    prior = problem.prior
    assert prior is not None
    cosines = problem.circular.analysed(pixels) * prior
    covariance = problem.circular.synthesised(cosines).reshape(len(pixels), -1).numpy()
    p = np.kron(np.eye(len(DEPTHS)), covariance)
    a = dense(imager(), DEPTHS)
    expected = p @ a.T @ np.linalg.solve(a @ p @ a.T + 1e-3 * np.eye(len(a)), y.ravel())
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_a_noise_free_well_conditioned_problem_is_inverted() -> None:
    narrow = imager(sensors=1, gap_um=60.0, psf=GaussianPsf())
    layer = captures(7, 1, *FRAME)
    seen = LayerProjector(narrow).A(layer, np.array([20.0]))
    found = tikhonov(seen, np.array([20.0]), narrow, regularisation=1e-14).layers
    np.testing.assert_allclose(found, layer, rtol=1e-5)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_single_precision_is_as_good_as_the_noise_asks(boundary: Boundary) -> None:
    scenes = simulate(2, seed=9003, imager=imager(boundary))
    for weight in (1e-5, "gcv"):
        single = tikhonov(scenes.captures, scenes.depth_um, imager(boundary), regularisation=weight)
        double = tikhonov(
            scenes.captures.astype(np.float64),
            scenes.depth_um,
            imager(boundary),
            regularisation=weight,
        )
        assert single.layers.dtype == np.float32
        error = np.linalg.norm(single.layers - double.layers)
        assert error < 1e-2 * np.linalg.norm(double.layers)
