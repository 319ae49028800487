"""The loop that all iterative solvers share: stop scene by scene, and tell how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fociscope.errors import SolverError
from fociscope.solvers._operators import Operator
from fociscope.solvers._problem import ChunkSolution, Problem, Progress, Solution, check_option

__all__ = ["CHECK_EVERY", "Iteration", "Measured", "iterate"]

#: Iterations between two looks at the stopping rule and calls of `progress`.
CHECK_EVERY = 10


@dataclass(frozen=True)
class Measured:
    """How far scenes are."""

    layers: Tensor
    """(scene, layer, y, x)."""
    objective: Tensor
    """(scene,) at these layers."""
    change: Tensor
    """(scene,) what the stopping rule compares with the tolerance."""


class Iteration(Protocol):
    """The state of an iterative solver for some scenes."""

    regularisation: dict[str, Tensor]
    """Name -> (scene,) absolute weight."""

    def step(self) -> None:
        """Do one iteration."""

    def measured(self) -> Measured:
        """Return how far the scenes are; called after a step."""

    def subset(self, scenes: Tensor) -> None:
        """Go on with some scenes, by their numbers."""


InitialState = Callable[[Operator, slice], Iteration]
"""Scenes' operator, and which they are -> the state before the first iteration."""


def iterate(
    problem: Problem,
    initial_state: InitialState,
    *,
    iterations: int,
    tolerance: float,
    progress: Progress | None,
) -> Solution:
    """Run an iterative solver, chunk by chunk; a scene leaves when it has converged.

    Args:
        problem: what to solve.
        initial_state: makes the state of a chunk.
        iterations: at most.
        tolerance: a scene is done when its `change` is no larger; 0 never stops early.
        progress: told the number of iterations, summed over scenes, that are done or not needed.
    """
    if iterations < 1:
        raise SolverError(f"iterations must be at least 1; got {iterations}")
    check_option("tolerance", tolerance)
    total = len(problem) * iterations

    def solve(operator: Operator, scenes: slice) -> ChunkSolution:
        def report(done: int) -> None:
            if progress is not None:
                progress(scenes.start * iterations + done, total)

        state = initial_state(operator, scenes)
        return _solve_chunk(state, scenes.stop - scenes.start, iterations, tolerance, report)

    return problem.map_chunks(solve)


def _solve_chunk(
    state: Iteration, count: int, iterations: int, tolerance: float, report: Callable[[int], None]
) -> ChunkSolution:
    """Iterate until all scenes are done, and gather each where it belongs."""
    regularisation = dict(state.regularisation)
    number = torch.arange(count)
    chunk: ChunkSolution | None = None
    for n in range(1, iterations + 1):
        state.step()
        if n % CHECK_EVERY and n != iterations:
            continue
        now = state.measured()
        number = number.to(now.objective.device)
        if chunk is None:
            chunk = ChunkSolution(
                layers=torch.empty_like(now.layers),
                objective=torch.empty_like(now.objective),
                iterations=torch.zeros_like(number),
                converged=torch.zeros_like(number, dtype=torch.bool),
                regularisation=regularisation,
            )
        converged = (now.change <= tolerance) if tolerance else torch.zeros_like(now.change).bool()
        done = converged | (n == iterations)
        if bool(done.any()):
            left = number[done]
            chunk.layers[left] = now.layers[done]
            chunk.objective[left] = now.objective[done]
            chunk.iterations[left] = n
            chunk.converged[left] = converged[done]
            staying = torch.nonzero(~done)[:, 0]
            if len(staying) == 0:
                break
            if len(staying) < len(number):
                state.subset(staying)
                number = number[staying]
        report((count - len(number)) * iterations + len(number) * n)
    report(count * iterations)
    assert chunk is not None
    return chunk
