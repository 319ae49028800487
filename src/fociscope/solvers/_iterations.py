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
    """The state of an iterative solver for some scenes, which `iterate` runs.

    Attributes:
        regularisation: Name -> absolute weight in the objective, (scene,).

    Examples:
        The Landweber iteration $x + A^T (y - A x) / L$ is in the example of `iterate`. One step of
        such a state, by hand:

        >>> import torch
        >>> from fociscope.solvers import Measured
        >>> class Halving:
        ...     def __init__(self, x):
        ...         self.x, self.regularisation = x, {}
        ...
        ...     def step(self):
        ...         self.x = self.x / 2
        ...
        ...     def measured(self):
        ...         size = self.x.square().sum((1, 2, 3))
        ...         return Measured(self.x, objective=size, change=size.sqrt())
        ...
        ...     def subset(self, scenes):
        ...         self.x = self.x[scenes]
        >>> state = Halving(torch.ones(3, 1, 2, 2))
        >>> state.step()
        >>> state.measured().objective
        tensor([1., 1., 1.])
    """

    regularisation: dict[str, Tensor]

    def step(self) -> None:
        """Do one iteration for all scenes of the state."""

    def measured(self) -> Measured:
        """Measure the progress of the scenes; called after a step.

        Returns:
            Layers, objective and change of each scene.
        """

    def subset(self, scenes: Tensor) -> None:
        """Keep some scenes, and drop the others, which have converged.

        Args:
            scenes: Numbers of the scenes that stay, (scene,), of integers.
        """


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
    r"""Run an iterative solver, chunk by chunk; a scene leaves when it has converged.

    The stopping rule is checked every 10 iterations.

    Args:
        problem: Captures, depths and imager.
        initial_state: Function of the operator of some scenes and of their slice, along the axis of
            `problem.captures`, that returns their state before the first iteration.
        iterations: Largest number of iterations, at least 1.
        tolerance: Largest `change` of a scene that has converged; 0 never stops early.
        progress: Called with the iterations that are done or not needed, summed over scenes, and
            their number; None for no calls.

    Returns:
        The solution, in the shape and kind of the captures.

    Raises:
        SolverError: If there are no iterations, or the tolerance is negative or not finite.

    Examples:
        The Landweber iteration $x \leftarrow x + A^T (y - A x) / L$, with a bound $L$ of the
        largest eigenvalue of $A^T A$:

        >>> import torch
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import Measured, Problem, iterate
        >>> class Landweber:
        ...     def __init__(self, operator, y):
        ...         self.A, self.y, self.regularisation = operator, y, {}
        ...         self.L = operator.norm2(torch.ones_like(y[..., :1, :1]))[:, None, None, None]
        ...         self.x = torch.zeros_like(operator.A_adjoint(y))
        ...
        ...     def step(self):
        ...         self.x = self.x + self.A.A_adjoint(self.y - self.A.A(self.x)) / self.L
        ...
        ...     def measured(self):
        ...         misfit = (self.A.A(self.x) - self.y).square().sum((1, 2, 3))
        ...         return Measured(self.x, objective=misfit, change=misfit)
        ...
        ...     def subset(self, scenes):
        ...         self.A = self.A.subset(scenes)
        ...         self.x, self.y, self.L = self.x[scenes], self.y[scenes], self.L[scenes]
        >>> scenes = simulate(2, seed=9000)
        >>> problem = Problem(scenes.captures, scenes.depth_um, Imager.reference())
        >>> solution = iterate(
        ...     problem,
        ...     lambda operator, which: Landweber(operator, problem.captures[which]),
        ...     iterations=50,
        ...     tolerance=0.0,
        ...     progress=None,
        ... )
        >>> bool((solution.residual < 0.2).all()), solution.iterations
        (True, array([50, 50]))
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
