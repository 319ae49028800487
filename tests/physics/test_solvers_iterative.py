"""Iterative solvers against closed forms, optimality conditions and SciPy's minima."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from fociscope import simulate
from fociscope.imager import Boundary, Imager, LayerProjector
from fociscope.solvers import Solution, admm, fista, richardson_lucy
from fociscope.solvers._penalties import Penalty, differences, differences_adjoint

FRAME = (8, 10)
DEPTHS = np.array([120.0, 500.0, 860.0])

Matrix = NDArray[np.float64]
Solver = Callable[..., Solution]


def imager(boundary: Boundary = "zero", **changes: Any) -> Imager:
    return Imager.reference().with_(boundary=boundary, **changes)


def dense(instrument: Imager, depth_um: Matrix) -> Matrix:
    """A as a matrix (sensor * y * x, layer * y * x)."""
    pixels = len(depth_um) * FRAME[0] * FRAME[1]
    units = np.eye(pixels).reshape(pixels, len(depth_um), *FRAME)
    seen = LayerProjector(instrument).A(units, np.tile(depth_um, (pixels, 1)))
    return np.asarray(seen).reshape(pixels, -1).T


def noisy_captures(instrument: Imager, depth_um: Matrix, seed: int = 0) -> Matrix:
    """Of layers with dark and bright pixels, with 1 % noise."""
    rng = np.random.default_rng(seed)
    layers = rng.exponential(1.0, (len(depth_um), *FRAME)) * (
        rng.random((len(depth_um), *FRAME)) > 0.5
    )
    seen = np.asarray(LayerProjector(instrument).A(layers, depth_um))
    return seen + 0.01 * seen.max() * rng.standard_normal(seen.shape)


# --- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [fista, admm])
@pytest.mark.parametrize("non_negative", [True, False])
def test_on_the_sensor_the_layer_is_the_shrunk_capture(solver: Solver, non_negative: bool) -> None:
    # At depth 0 a single sensor's A is its response times the identity.
    alone, response = imager(sensors=1), Imager.reference().psf.collection_efficiency(0.0)
    y = np.random.default_rng(1).normal(0, 1, (1, *FRAME))
    solution = solver(
        y, np.array([0.0]), alone, sparsity=0.2, non_negative=non_negative,
        iterations=400, tolerance=1e-9,
    )  # fmt: skip
    weight = solution.regularisation["sparsity"]
    np.testing.assert_allclose(weight, 0.2 * response * np.abs(y).max(), rtol=1e-5)
    straight = y / response
    shrunk = np.sign(straight) * np.maximum(np.abs(straight) - weight / response**2, 0)
    expected = np.maximum(shrunk, 0) if non_negative else shrunk
    np.testing.assert_allclose(solution.layers, expected, atol=1e-5 * np.abs(straight).max())


def test_the_total_variation_of_a_step_shrinks_it() -> None:
    # A step of height h between halves of n columns: its prox moves both ends by weight / n.
    step = torch.zeros(1, 1, 6, 8, dtype=torch.float64)
    step[..., 4:] = 3.0
    one = torch.ones(1, dtype=torch.float64)
    penalty = Penalty(0 * one, 0.4 * one, non_negative=False, inner=3000)
    found = penalty.prox(step, one)
    assert float(penalty.value(step)) == pytest.approx(0.4 * 3.0 * 6)
    torch.testing.assert_close(
        found[..., :4], torch.full((1, 1, 6, 4), 0.1).double(), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(
        found[..., 4:], torch.full((1, 1, 6, 4), 2.9).double(), rtol=0, atol=1e-6
    )


def test_the_prox_of_the_total_variation_is_optimal() -> None:
    # The optimality condition: x = b - weight D^T p, |p| <= 1, and p along D x where D x is not 0.
    b = torch.rand(2, 1, 9, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    one = torch.ones(2, dtype=torch.float64)
    penalty = Penalty(0 * one, 0.1 * one, non_negative=False, inner=4000)
    x = penalty.prox(b, one)
    assert penalty.dual is not None
    torch.testing.assert_close(x, b - 0.1 * differences_adjoint(penalty.dual))
    step = differences(x)
    assert float(penalty.dual.square().sum(0).max()) <= 1 + 1e-12
    variation = torch.hypot(step[0], step[1]).sum()
    assert float((penalty.dual * step).sum()) == pytest.approx(float(variation), rel=1e-4)


def test_differences_have_their_adjoint() -> None:
    rng = torch.Generator().manual_seed(3)
    x = torch.randn(2, 3, 5, 7, generator=rng, dtype=torch.float64)
    p = torch.randn(2, 2, 3, 5, 7, generator=rng, dtype=torch.float64)
    ahead, back = (differences(x) * p).sum(), (x * differences_adjoint(p)).sum()
    assert float(ahead) == pytest.approx(float(back))


# --- the minimum --------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [fista, admm])
@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_the_minimum_is_that_of_scipy(solver: Solver, boundary: Boundary) -> None:
    instrument = imager(boundary)
    y, noise = noisy_captures(instrument, DEPTHS), np.array([1.0, 2.0])
    solution = solver(
        y, DEPTHS, instrument, sparsity=1e-2, noise_std=noise, iterations=8000, tolerance=1e-9
    )
    a = dense(instrument, DEPTHS)
    weight = np.repeat(noise**-2 / np.mean(noise**-2), y[0].size)
    sparsity = float(solution.regularisation["sparsity"])

    def objective(x: Matrix) -> tuple[float, Matrix]:
        left = a @ x - y.ravel()
        value = 0.5 * np.sum(weight * left**2) + sparsity * x.sum()
        return value, a.T @ (weight * left) + sparsity

    best = minimize(
        objective, np.zeros(a.shape[1]), jac=True, method="L-BFGS-B",
        bounds=[(0, None)] * a.shape[1],
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 30},
    )  # fmt: skip
    assert solution.layers.min() >= 0
    value, slope = objective(solution.layers.ravel())
    assert float(solution.objective) == pytest.approx(value, rel=1e-9)
    assert value == pytest.approx(best.fun, rel=1e-4)
    # Optimality: no slope where there is light, none that points down where there is none.
    scale = np.abs(a.T @ (weight * y.ravel())).max()
    lit = solution.layers.ravel() > 1e-3 * solution.layers.max()
    assert np.abs(slope[lit]).max() < 1e-3 * scale
    assert slope.min() > -1e-3 * scale


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_with_total_variation_both_reach_the_smoothed_minimum(boundary: Boundary) -> None:
    # SciPy minimises sqrt(d^2 + eps^2), which lies at most eps per pixel above the variation.
    instrument = imager(boundary)
    y = noisy_captures(instrument, DEPTHS[:2], seed=4)
    options = {"sparsity": 1e-3, "tv": 1e-2, "iterations": 3000, "tolerance": 1e-9}
    found = [
        fista(y, DEPTHS[:2], instrument, inner=30, **options),
        admm(y, DEPTHS[:2], instrument, **options),
    ]
    a = torch.from_numpy(dense(instrument, DEPTHS[:2]))
    sparsity, tv = (float(found[0].regularisation[n]) for n in ("sparsity", "tv"))
    eps = 1e-5 * found[0].layers.max()

    def objective(x: Matrix) -> tuple[float, Matrix]:
        layers = torch.from_numpy(x).requires_grad_()
        images = torch.nn.functional.pad(layers.reshape(1, 2, *FRAME), (0, 1, 0, 1), "replicate")
        down, right = images.diff(dim=-2)[..., :-1], images.diff(dim=-1)[..., :-1, :]
        length = (down.square() + right.square() + eps**2).sqrt().sum()
        left = a @ layers - torch.from_numpy(y.ravel())
        value = left.square().sum() / 2 + sparsity * layers.sum() + tv * length
        (slope,) = torch.autograd.grad(value, layers)
        return float(value.detach()), slope.numpy()

    start = found[1].layers.ravel()
    best = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start),
        options={"maxiter": 3000, "maxfun": 6000, "ftol": 1e-14, "gtol": 1e-12, "maxcor": 30},
    )  # fmt: skip
    smoothing = tv * eps * len(start)
    for solution in found:
        assert float(solution.objective) <= best.fun * (1 + 1e-4)
        assert float(solution.objective) >= best.fun - smoothing - 1e-4 * best.fun


def test_any_projection_is_solved_without_the_fast_operator() -> None:
    # Turned by nothing to speak of, sensor B goes the way of all projections.
    turned = imager(registration={"rotation_deg": 1e-6})
    y = noisy_captures(imager(), DEPTHS, seed=5)
    options = {"sparsity": 1e-3, "iterations": 500, "tolerance": 0.0}
    found = fista(y, DEPTHS, turned, **options)
    expected = fista(y, DEPTHS, imager(), **options)
    assert float(found.objective) == pytest.approx(float(expected.objective), rel=1e-2)


# --- Richardson-Lucy ----------------------------------------------------------------------------


def photons(boundary: Boundary = "zero", count: int = 2) -> tuple[Matrix, Matrix]:
    scenes = simulate(count, seed=9010, imager=imager(boundary))
    return np.maximum(scenes.captures, 0).astype(np.float64) * 1e4, scenes.depth_um


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_the_likelihood_never_falls(boundary: Boundary) -> None:
    y, depth_um = photons(boundary)
    values = [
        richardson_lucy(y, depth_um, imager(boundary), iterations=n, background=5.0, tolerance=0)
        .objective
        for n in range(1, 16)
    ]  # fmt: skip
    assert (np.diff(values, axis=0) <= 0).all()


def test_light_is_conserved() -> None:
    y, depth_um = photons()
    for n in (1, 7):
        solution = richardson_lucy(y, depth_um, imager(), iterations=n, tolerance=0)
        seen = np.asarray(LayerProjector(imager()).A(solution.layers, depth_um))
        np.testing.assert_allclose(seen.sum((1, 2, 3)), y.sum((1, 2, 3)), rtol=1e-6)
        assert solution.layers.min() >= 0


def test_richardson_lucy_reaches_the_most_likely_layers() -> None:
    y = np.maximum(noisy_captures(imager(), DEPTHS[:2], seed=6), 0) * 1e3
    background = 2.0
    solution = richardson_lucy(
        y, DEPTHS[:2], imager(), iterations=20000, background=background, tolerance=1e-9
    )
    a = dense(imager(), DEPTHS[:2])

    def objective(x: Matrix) -> tuple[float, Matrix]:
        m = a @ x + background
        counts = y.ravel()
        ratio = np.divide(counts, m)
        terms = m - counts + counts * np.log(np.where(counts > 0, ratio, 1))
        return terms.sum(), a.T @ (1 - ratio)

    best = minimize(
        objective, np.full(a.shape[1], 1e3), jac=True, method="L-BFGS-B",
        bounds=[(0, None)] * a.shape[1], options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-14},
    )  # fmt: skip
    # In nats: a likelihood ratio of 1.02.
    assert float(solution.objective) == pytest.approx(best.fun, abs=0.02)


def test_damping_leaves_alone_what_the_noise_explains() -> None:
    y, depth_um = photons(count=1)
    start = np.asarray(simulate(1, seed=9010, imager=imager()).layers, dtype=np.float64) * 1e4
    options = {"iterations": 20, "start": start, "photons_per_unit": 1.0, "tolerance": 0}
    free = richardson_lucy(y, depth_um, imager(), **options).layers
    damped = richardson_lucy(y, depth_um, imager(), damping=6.0, **options).layers
    assert np.abs(damped - start).sum() < 0.1 * np.abs(free - start).sum()


def test_without_noise_the_layers_fit_the_captures() -> None:
    scenes = simulate(1, seed=9011, peak_snr_db=None)
    for solver, most in ((richardson_lucy, 0.02), (fista, 0.005), (admm, 0.005)):
        options: dict[str, Any] = {} if solver is richardson_lucy else {"sparsity": 1e-6}
        solution = solver(
            scenes.captures, scenes.depth_um, imager(), iterations=300, tolerance=0, **options
        )
        assert solution.residual.max() < most
