"""What every solver must do, of this package or of others: it is tested by being registered."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import fociscope.solvers
from fociscope import simulate
from fociscope.errors import CaptureError, ImagerError
from fociscope.imager import Imager, LayerProjector
from fociscope.solvers import SOLVERS, SolverError, SolverSpec, solve_on_grid, tikhonov
from fociscope.typing import Float32Array, Float64Array

IMAGER = Imager.reference()
SCENES = simulate(3, seed=9020, imager=IMAGER.with_(frame_px=(25, 25)))
#: Greatest relative error of a layer 60 um below sensor A, restored from exact captures.
STATED_ERROR = 0.01


@pytest.fixture(params=list(SOLVERS))
def spec(request: pytest.FixtureRequest) -> SolverSpec:
    found: SolverSpec = SOLVERS[request.param]
    return found


def solved(spec: SolverSpec, captures: Any, depth_um: Any, imager: Imager = IMAGER) -> Any:
    return spec.solve(captures, depth_um, imager, **spec.options)


def two_foci() -> tuple[Float64Array, Float64Array]:
    """Return a layer (1, y, x) with light well within the frame, and its captures."""
    layer = np.zeros((1, 24, 24))
    layer[0, 8:12, 6:13], layer[0, 14:17, 16:19] = 1.0, 2.0
    return layer, np.asarray(LayerProjector(IMAGER).A(layer, [60.0]))


def test_a_layer_near_a_sensor_is_restored_from_exact_captures(spec: SolverSpec) -> None:
    layer, captures = two_foci()
    solution = solved(spec, captures, [60.0])
    error = np.linalg.norm(solution.layers - layer) / np.linalg.norm(layer)
    assert error < STATED_ERROR
    assert (solution.residual < STATED_ERROR).all()


def test_layers_are_not_negative_where_that_is_claimed(spec: SolverSpec) -> None:
    least = solved(spec, SCENES.captures, SCENES.depth_um).layers.min()
    assert least >= 0 or not spec.non_negative


def test_the_unit_of_light_changes_nothing_else(spec: SolverSpec) -> None:
    captures, depth_um = SCENES.captures[0].astype(np.float64), SCENES.depth_um[0]
    one, many = (solved(spec, gain * captures, depth_um) for gain in (1.0, 1000.0))
    np.testing.assert_allclose(many.layers, 1000 * one.layers, rtol=1e-6, atol=1e-6)


def test_tensors_and_arrays_give_the_same(spec: SolverSpec) -> None:
    arrays = solved(spec, SCENES.captures, SCENES.depth_um)
    tensors = solved(spec, torch.from_numpy(SCENES.captures), torch.from_numpy(SCENES.depth_um))
    assert isinstance(arrays.layers, np.ndarray)
    assert isinstance(tensors.layers, torch.Tensor)
    np.testing.assert_array_equal(tensors.layers.numpy(), arrays.layers)


def test_shapes_follow_the_captures(spec: SolverSpec) -> None:
    captures = SCENES.captures[:2].reshape(2, 1, 2, 25, 25)
    solution = solved(spec, captures, SCENES.depth_um[:2].reshape(2, 1, 4))
    assert solution.layers.shape == (2, 1, 4, 25, 25)
    assert solution.layers.dtype == np.float32
    assert solution.residual.shape == (2, 1, 2)
    for values in (solution.objective, solution.iterations, solution.converged):
        assert values.shape == (2, 1)
    assert all(weight.shape == (2, 1) for weight in solution.regularisation.values())


def test_double_precision_stays(spec: SolverSpec) -> None:
    double = solved(spec, SCENES.captures[0].astype(np.float64), SCENES.depth_um[0])
    assert double.layers.dtype == np.float64
    single = solved(spec, SCENES.captures[0], SCENES.depth_um[0])
    error = np.linalg.norm(single.layers - double.layers)
    assert error < 1e-2 * np.linalg.norm(double.layers)


def test_a_batch_is_its_scenes(spec: SolverSpec) -> None:
    captures = SCENES.captures.astype(np.float64)
    together = solved(spec, captures, SCENES.depth_um)
    for n in range(3):
        alone = solved(spec, captures[n], SCENES.depth_um[n])
        np.testing.assert_allclose(together.layers[n], alone.layers, rtol=1e-6, atol=1e-9)


def test_one_set_of_depths_serves_all_scenes(spec: SolverSpec) -> None:
    captures, depth_um = SCENES.captures.astype(np.float64), SCENES.depth_um[0]
    shared = solved(spec, captures, depth_um)
    own = solved(spec, captures, np.tile(depth_um, (3, 1)))
    np.testing.assert_allclose(shared.layers, own.layers)


def test_a_dark_capture_has_dark_layers(spec: SolverSpec) -> None:
    solution = solved(spec, np.zeros((2, 16, 16)), SCENES.depth_um[0])
    assert np.isfinite(solution.objective)
    np.testing.assert_allclose(solution.layers, 0, atol=1e-12)


def test_it_fills_a_grid_of_depths_by_its_name(spec: SolverSpec) -> None:
    name = next(name for name in SOLVERS if SOLVERS[name] is spec)
    by_name = solve_on_grid(SCENES.captures[0], IMAGER, planes=5, solver=name)
    own = solve_on_grid(SCENES.captures[0], IMAGER, planes=5, solver=spec.solve, **spec.options)
    assert by_name.volume.shape == (5, 25, 25)
    np.testing.assert_array_equal(by_name.volume, own.volume)


def test_a_closed_form_alone_refuses_a_rotated_sensor(spec: SolverSpec) -> None:
    rotated = IMAGER.with_(registration={"rotation_deg": 2.0})
    if spec.closed_form:
        with pytest.raises(SolverError, match="fista"):
            solved(spec, SCENES.captures[0], SCENES.depth_um[0], rotated)
    else:
        assert np.isfinite(solved(spec, SCENES.captures[0], [300.0], rotated).layers).all()


@pytest.mark.parametrize(
    ("captures", "depth_um", "error", "words"),
    [
        (SCENES.captures[0, :1], SCENES.depth_um[0], CaptureError, "2 sensor"),
        (SCENES.captures[0, 0], SCENES.depth_um[0], CaptureError, "2 sensor"),
        (SCENES.captures[0, :, :0], SCENES.depth_um[0], CaptureError, "2 sensor"),
        (np.full((2, 9, 9), np.nan), SCENES.depth_um[0], CaptureError, "NaN"),
        (SCENES.captures, SCENES.depth_um[:2], SolverError, r"\(3, 'layer'\)"),
        (SCENES.captures[0], SCENES.depth_um[0] + 1000, ImagerError, "0 to 1000"),
    ],
    ids=["one sensor", "no sensor axis", "no pixels", "NaN", "other scenes", "too deep"],
)
def test_arguments_that_do_not_fit_are_named(
    spec: SolverSpec,
    captures: Float32Array,
    depth_um: Float32Array,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words) as refused:
        solved(spec, captures, depth_um)
    assert "\n" not in str(refused.value)


# --- the table ----------------------------------------------------------------------------------


def test_labels_and_styles_tell_solvers_apart() -> None:
    for of in ("label", "colour", "marker"):
        assert len({getattr(spec, of) for spec in SOLVERS.values()}) == len(SOLVERS)


def test_options_of_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        SOLVERS["fista"].options["iterations"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"solve": "tikhonov"}, "function"),
        ({"label": ""}, "label"),
        ({"colour": "blue"}, "#RRGGBB"),
    ],
)
def test_a_spec_that_reports_could_not_use_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SolverError, match=words):
        SolverSpec(**{"solve": tikhonov, "label": "Mine", **changes})


def test_unknown_names_are_refused() -> None:
    with pytest.raises(SolverError, match="no solver 'tikhonof'; did you mean tikhonov"):
        solve_on_grid(SCENES.captures[0], IMAGER, solver="tikhonof")


def test_the_former_name_of_fista_warns() -> None:
    with pytest.warns(DeprecationWarning, match="now called fista"):
        former: Callable[..., Any] = fociscope.solvers.proximal_gradient
    assert former is fociscope.solvers.fista
