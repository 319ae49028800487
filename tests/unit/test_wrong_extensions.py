"""Kinds of users that return what they must not: one plain error says whose result it is."""

from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch

from fociscope import simulate
from fociscope.errors import ImagerError, SceneError, SolverError
from fociscope.imager import FitParameter, GaussianPsf, Imager, LayerProjector, Psf
from fociscope.simulation import DrawnLayers, MicroFoci, Specimen
from fociscope.solvers import ChunkSolution, Problem, solve, solve_on_grid

IMAGER = Imager.reference().with_(frame_px=(21, 21), sensors=1)
SCENES = simulate(2, seed=0, layers=1, imager=IMAGER)


class WrongPsf(Psf):
    """A kind that answers as `wrong` says, and otherwise as a Gaussian."""

    kind: Literal["wrong"] = "wrong"
    wrong: str = ""

    def bare_collection_efficiency(self, distance_um: Any) -> Any:
        return 0.03 if self.wrong == "efficiency" else torch.full_like(distance_um, 0.03)

    def bare_encircled_radius_um(self, distance_um: float, energy: float) -> float:
        return float("nan") if self.wrong == "radius" else 60.0

    def bare_variance_um2(self, distance_um: float, energy: float) -> float:
        return -1.0 if self.wrong == "variance" else 100.0

    def pixel_response(self, distance_um: Any, *, radius_px: int, **_: Any) -> Any:  # type: ignore[override]
        side = radius_px + 1
        response = torch.ones(*distance_um.shape, side, side).to(distance_um)
        match self.wrong:
            case "shape":
                return response[..., :1]
            case "NaN":
                return response * torch.nan
            case "dtype":
                return response.to(torch.int64)
            case "type":
                return 1.0
        return response


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        ("shape", r"WrongPsf.pixel_response: expected .* of the shape \(.*\); got the shape \("),
        ("NaN", "WrongPsf.pixel_response: .* of its values are NaN or infinite"),
        ("dtype", "WrongPsf.pixel_response: expected .* floating-point .*; got int64"),
        ("type", "WrongPsf.pixel_response: expected an array .*; got float"),
        ("radius", "WrongPsf.bare_encircled_radius_um: expected a finite number .*; got nan"),
    ],
)
def test_a_psf_that_answers_wrongly_is_named(wrong: str, got: str) -> None:
    psf = WrongPsf(wrong=wrong)
    with pytest.raises(ImagerError, match=got):
        psf.kernel(100.0, 55.0)
    with pytest.raises(ImagerError, match=got):
        LayerProjector(IMAGER.with_(psf=psf)).A(np.ones((1, 21, 21), np.float32), [100.0])


def test_numbers_of_a_psf_are_checked() -> None:
    assert WrongPsf().kernel(100.0, 55.0).shape == (5, 5)
    with pytest.raises(ImagerError, match=r"bare_variance_um2: .* from 0 on; got -1.0"):
        WrongPsf(wrong="variance").variance_um2(100.0)
    with pytest.raises(ImagerError, match="bare_collection_efficiency: expected an array"):
        WrongPsf(wrong="efficiency").collection_efficiency(100.0)


@pytest.mark.parametrize("member", ["fit_parameters", "batched_parameters"])
def test_a_parameter_of_an_unknown_field_is_refused_with_the_fields(member: str) -> None:
    named = FitParameter("spred", 0.1, 3.0, 0.01, "um/um") if member[0] == "f" else "spred"
    with pytest.raises(ImagerError, match=r"'spred' of Mine; did you mean spread\?") as refused:
        type("Mine", (GaussianPsf,), {member: (named,), "__annotations__": {member: ClassVar}})
    assert "spread" in refused.value.choices


@pytest.mark.parametrize("numbers", [(3.0, 1.0, 0.1), (0.0, 1.0, 0.0), (0.0, float("inf"), 0.1)])
def test_a_fit_parameter_needs_a_range_and_a_step(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(ImagerError, match="'spread' needs finite bounds"):
        FitParameter("spread", *numbers, "um/um")


def backprojection(change: Any) -> Any:
    def mine(captures: Any, depth_um: Any, imager: Imager, *, gain: float = 1.0) -> Any:
        problem = Problem(captures, depth_um, imager)

        def chunk(operator: Any, scenes: slice) -> Any:
            layers = gain * operator.A_adjoint(problem.captures[scenes])
            return change(ChunkSolution.uniform(layers, layers.new_zeros(len(layers))))

        return problem.map_chunks(chunk)

    return mine


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda c: c.layers, "must return a ChunkSolution for each chunk; got Tensor"),
        (
            lambda c: ChunkSolution.uniform(c.layers[..., :4], c.objective),
            r"layers .* \(2, 1, 21, 21\); got the shape \(2, 1, 21, 4\)",
        ),
        (
            lambda c: ChunkSolution.uniform(c.layers * torch.nan, c.objective),
            "layers of a ChunkSolution: .*; 882 of its values are NaN or infinite",
        ),
        (
            lambda c: ChunkSolution.uniform(c.layers, c.objective[:1]),
            r"objective .* of the shape \(2,\); got the shape \(1,\)",
        ),
    ],
)
def test_a_solver_whose_chunks_do_not_fit_is_refused(change: Any, got: str) -> None:
    with pytest.raises(SolverError, match=got):
        backprojection(change)(SCENES.captures, SCENES.depth_um, IMAGER)


def test_an_answer_that_is_no_solution_is_refused() -> None:
    with pytest.raises(SolverError, match="'mine': expected a Solution; got ndarray"):

        def mine(captures: Any, depth_um: Any, imager: Imager) -> Any:
            return np.zeros(3)

        solve(mine, SCENES.captures, SCENES.depth_um, IMAGER)


def test_options_of_solvers_are_checked_by_name() -> None:
    right = backprojection(lambda chunk: chunk)
    assert solve(right, SCENES.captures, SCENES.depth_um, IMAGER, gain=2.0).layers.max() > 0
    with pytest.raises(SolverError, match=r"no option 'gian' of the solver 'mine'; .*gain\?"):
        solve(right, SCENES.captures, SCENES.depth_um, IMAGER, gian=2.0)
    with pytest.raises(SolverError, match=r"'iteration' of the solver 'fista'; .*iterations\?"):
        solve_on_grid(SCENES.captures, IMAGER, planes=2, solver="fista", iteration=3)


class WrongSpecimen(Specimen):
    kind: Literal["wrong-specimen"] = "wrong-specimen"
    wrong: str = ""

    def draw(self, rng: np.random.Generator, layers: int, frame: Any) -> Any:
        mask = np.zeros((layers, *frame.size_px), np.bool_)
        light = mask.astype(np.float32)
        match self.wrong:
            case "tuple":
                return light, mask
            case "mask":
                return DrawnLayers(light, light)  # type: ignore[arg-type]
            case "NaN":
                return DrawnLayers(light * np.nan, mask)
        return DrawnLayers(light[:, :3], mask)


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        ("tuple", "draw: expected DrawnLayers; got tuple"),
        ("mask", r"draw, mask: expected an array of bool .*; got float32"),
        ("NaN", r"draw, light: .* of its values are NaN"),
        ("shape", r"draw, light: .* \(1, 21, 21\); got the shape \(1, 3, 21\)"),
    ],
)
def test_a_specimen_that_draws_wrongly_is_named(wrong: str, got: str) -> None:
    with pytest.raises(SceneError, match=f"WrongSpecimen.{got}"):
        simulate(1, seed=0, layers=1, imager=IMAGER, specimen=WrongSpecimen(wrong=wrong))


def test_simulate_takes_the_name_of_a_specimen() -> None:
    by_name = simulate(1, seed=3, layers=2, specimen="micro-foci")
    assert (by_name.layers == simulate(1, seed=3, layers=2, specimen=MicroFoci()).layers).all()
    with pytest.raises(SceneError, match=r"no kind of specimen 'microfoci'; .*micro-foci\?"):
        simulate(1, seed=3, specimen="microfoci")
