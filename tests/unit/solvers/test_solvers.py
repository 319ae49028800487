"""What the solvers of this package share beyond the contract: stopping, progress, operators."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fociscope import simulate
from fociscope.imager import Boundary, Imager, LayerProjector
from fociscope.solvers import (
    Solution,
    SolverError,
    admm,
    fista,
    richardson_lucy,
    tikhonov,
)
from fociscope.solvers._operators import ProjectedOperator, SpectralOperator, operator_at

Solver = Callable[..., Solution]

SCENES = simulate(3, seed=9020)
IMAGER = Imager.reference()
ALL: list[tuple[Solver, dict[str, Any]]] = [
    (tikhonov, {}),
    (richardson_lucy, {"iterations": 5}),
    (fista, {"iterations": 5, "tv": 1e-3}),
    (admm, {"iterations": 5, "tv": 1e-3}),
]
NAMES = [solver.__name__ for solver, _ in ALL]


# --- stopping and progress ----------------------------------------------------------------------


@pytest.mark.parametrize("solver", [richardson_lucy, fista, admm])
def test_a_scene_stops_when_it_has_converged(solver: Solver) -> None:
    captures, depth_um = SCENES.captures.astype(np.float64), SCENES.depth_um
    tolerance = {richardson_lucy: 0.2, fista: 1e-3, admm: 3e-2}[solver]
    solution = solver(captures, depth_um, IMAGER, iterations=300, tolerance=tolerance)
    assert solution.converged.all()
    assert (solution.iterations < 300).all()
    for n in range(3):  # what a scene gets does not depend on when its neighbours leave
        alone = solver(captures[n], depth_um[n], IMAGER, iterations=300, tolerance=tolerance)
        assert alone.iterations == solution.iterations[n]
        np.testing.assert_allclose(alone.layers, solution.layers[n], rtol=1e-5, atol=1e-8)
    hasty = solver(captures, depth_um, IMAGER, iterations=10, tolerance=1e-12)
    assert not hasty.converged.any()
    assert (hasty.iterations == 10).all()


@pytest.mark.parametrize(("solver", "options"), ALL, ids=NAMES)
def test_progress_is_told(solver: Solver, options: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []
    more = {**options, "iterations": 25} if "iterations" in options else options
    solver(
        SCENES.captures, SCENES.depth_um, IMAGER,
        progress=lambda done, total: told.append((done, total)), **more,
    )  # fmt: skip
    done = [d for d, _ in told]
    assert done == sorted(done)
    assert told[-1][0] == told[-1][1]
    assert len({total for _, total in told}) == 1


def test_a_start_is_where_it_starts() -> None:
    captures, depth_um = SCENES.captures, SCENES.depth_um
    far = fista(captures, depth_um, IMAGER, iterations=200, tolerance=0)
    near = fista(captures, depth_um, IMAGER, start=far.layers, iterations=1, tolerance=0)
    assert (near.objective <= far.objective * (1 + 1e-4)).all()


def test_sparsity_of_1_is_darkness() -> None:
    for solver in (fista, admm):
        solution = solver(
            SCENES.captures[0], SCENES.depth_um[0], IMAGER, sparsity=1.001, iterations=50
        )
        assert solution.layers.max() == 0


# --- operators ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sensors", [1, 2])
@pytest.mark.parametrize("frame", [(51, 51), (8, 8), (9, 40)], ids=str)
@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_the_fast_operator_is_the_projection(
    boundary: Boundary, frame: tuple[int, int], sensors: int
) -> None:
    imager = IMAGER.with_(boundary=boundary, sensors=sensors, sensor_gains=(1.0, 0.9))
    depth_um = torch.tensor([[0.0, 300.0, 1000.0], [40.0, 500.0, 770.0]], dtype=torch.float64)
    operator = operator_at(imager, depth_um, frame)
    assert isinstance(operator, SpectralOperator)
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, *frame, generator=rng, dtype=torch.float64)
    y = torch.rand(2, sensors, *frame, generator=rng, dtype=torch.float64)
    projection = LayerProjector(imager).at(depth_um, frame)
    torch.testing.assert_close(operator.A(x), projection.A(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(operator.A_adjoint(y), projection.A_adjoint(y), rtol=0, atol=1e-12)
    some = torch.tensor([1])
    torch.testing.assert_close(
        operator.subset(some).A(x[1:]), projection.A(x)[1:], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("rotation_deg", [0.0, 2.0])
@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_the_norm_bounds_every_image(boundary: Boundary, rotation_deg: float) -> None:
    imager = IMAGER.with_(boundary=boundary, registration={"rotation_deg": rotation_deg})
    depth_um = torch.tensor([[100.0, 700.0]], dtype=torch.float64)
    operator = operator_at(imager, depth_um, (12, 12))
    assert isinstance(operator, ProjectedOperator) == (rotation_deg != 0)
    weight = torch.tensor([0.5, 1.5], dtype=torch.float64).reshape(1, 2, 1, 1)
    pixels = torch.eye(288, dtype=torch.float64).reshape(288, 2, 12, 12)
    columns = [operator.A(p[None]) * weight.sqrt() for p in pixels]
    a = torch.stack([c.flatten() for c in columns])
    largest = float(torch.linalg.matrix_norm(a, 2)) ** 2
    bound = float(operator.norm2(weight))
    assert largest <= bound * (1 + 1e-9) <= 2 * largest


def test_a_large_frame_goes_another_way() -> None:
    captures = np.random.default_rng(0).uniform(0, 1, (2, 120, 90)).astype(np.float32)
    solution = fista(captures, [100.0, 600.0], IMAGER, iterations=10)
    assert solution.layers.shape == (2, 120, 90)
    with pytest.raises(SolverError, match="fista"):
        admm(captures, [100.0, 600.0], IMAGER)


# --- at the door --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "options", "words"),
    [
        (tikhonov, {"regularisation": 0.0}, "above 0"),
        (tikhonov, {"regularisation": "best"}, "'gcv'"),
        (tikhonov, {"regularisation": "discrepancy"}, "noise_std"),
        (tikhonov, {"noise_std": 0.0}, "noise_std"),
        (tikhonov, {"noise_std": [1.0, 2.0, 3.0]}, r"\(2,\)"),
        (fista, {"sparsity": -1.0}, "sparsity"),
        (fista, {"tv": float("nan")}, "tv"),
        (fista, {"iterations": 0}, "iterations"),
        (fista, {"inner": 0}, "inner"),
        (fista, {"start": np.zeros((4, 9, 9))}, "start"),
        (admm, {"tolerance": -1.0}, "tolerance"),
        (richardson_lucy, {"damping": -1.0}, "damping"),
        (richardson_lucy, {"photons_per_unit": 0.0}, "photons_per_unit"),
        (richardson_lucy, {"background": -1.0}, "background"),
        (richardson_lucy, {"start": -np.ones((4, 51, 51))}, "negative"),
    ],
)
def test_options_out_of_their_bounds_are_named(
    solver: Solver, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SolverError, match=words) as caught:
        solver(SCENES.captures[0], SCENES.depth_um[0], IMAGER, **options)
    assert "\n" not in str(caught.value)
