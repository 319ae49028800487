"""A solver by name or function, with its options checked before the call and its answer after."""

from __future__ import annotations

import inspect
from typing import Any

from fociscope.arrays import ArrayLike, as_tensor, check_result
from fociscope.errors import SolverError
from fociscope.imager import Imager
from fociscope.registry import unknown_name
from fociscope.solvers._problem import Solution
from fociscope.solvers._registry import SOLVERS, Solver

__all__ = ["solve"]


def solve(
    solver: Solver | str,
    captures: ArrayLike,
    depth_um: ArrayLike,
    imager: Imager,
    **options: Any,
) -> Solution:
    """Solve for layers at known depths by any solver.

    Args:
        solver: Name in `SOLVERS`, with the options that stand there, or function as `Solver`
            describes it.
        captures: Captures, (..., sensor, y, x), in any unit of light.
        depth_um: Depths of the layers in um, (..., layer), or (layer,) for all scenes.
        imager: Instrument that took the captures.
        options: Options of the solver, in place of those that stand in `SOLVERS`.

    Returns:
        Layers (..., layer, y, x) in the unit of the captures, and how they were found.

    Raises:
        CaptureError: If the captures do not fit the imager.
        SolverError: If the name or an option is unknown, the solver refuses an option, or its
            answer does not fit the captures.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import solve
        >>> scenes = simulate(1, seed=9000)
        >>> solve("tikhonov", scenes.captures, scenes.depth_um, Imager.reference()).layers.shape
        (1, 4, 51, 51)
    """
    if isinstance(solver, str):
        name, spec = solver, SOLVERS[solver]
        function, options = spec.solve, {**spec.options, **options}
    else:
        name, function = getattr(solver, "__name__", type(solver).__name__), solver
    _check_options(name, function, options)
    solution = function(captures, depth_um, imager, **options)
    _check_solution(name, solution, captures, depth_um)
    return solution


def _check_options(name: str, function: Solver, options: dict[str, Any]) -> None:
    """Refuse options that a solver does not take, and those that are missing."""
    parameters = list(inspect.signature(function).parameters.values())[3:]
    kinds = {one.kind for one in parameters}
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    own = [one for one in parameters if one.kind not in variable]
    names = [one.name for one in own]
    for option in options:
        if option not in names and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise unknown_name(
                "option", option, names, of=f"the solver {name!r}", error=SolverError
            )
    missing = [one.name for one in own if one.default is one.empty and one.name not in options]
    if missing:
        raise SolverError(f"the solver {name!r} needs the option {', '.join(missing)}")


def _check_solution(name: str, solution: object, captures: ArrayLike, depth_um: ArrayLike) -> None:
    """Refuse an answer that does not fit the captures."""
    if not isinstance(solution, Solution):
        raise SolverError(f"solver {name!r}: expected a Solution; got {type(solution).__name__}")
    frame, depths = as_tensor(captures).shape, as_tensor(depth_um).shape
    lead = tuple(frame[:-3])
    shape = (*lead, depths[-1], *frame[-2:])
    check_result(f"solver {name!r}: layers", solution.layers, shape, error=SolverError)
    residual = (*lead, frame[-3])
    check_result(f"solver {name!r}: residual", solution.residual, residual, error=SolverError)
