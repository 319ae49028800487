"""FISTA: accelerated proximal gradient with adaptive restart, each scene with its own step."""

from __future__ import annotations

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike
from fociscope.imager import Imager
from fociscope.solvers._iterations import Measured, iterate
from fociscope.solvers._least_squares import LeastSquares, starting_layers
from fociscope.solvers._operators import Operator
from fociscope.solvers._problem import Problem, Progress, Solution, per_scene

__all__ = ["fista"]


def fista(
    captures: ArrayLike,
    depth_um: ArrayLike,
    imager: Imager,
    *,
    sparsity: float = 1e-4,
    tv: float = 0.0,
    non_negative: bool = True,
    noise_std: ArrayLike | None = None,
    start: ArrayLike | None = None,
    iterations: int = 300,
    tolerance: float = 1e-4,
    inner: int = 10,
    progress: Progress | None = None,
) -> Solution:
    r"""Solve for sparse, smooth layers, not negative, by FISTA: accelerated proximal gradient.

    Minimises

    $$ \tfrac{1}{2} \sum_s w_s \lVert A_s x - y_s \rVert^2 + \mu \lVert x \rVert_1
       + \tau \, \mathrm{TV}(x), \qquad x \ge 0, $$

    (Beck, Teboulle, SIAM J. Imaging Sci. 2:183-202, 2009); the momentum starts anew whenever it
    points uphill (O'Donoghue, Candes, Found. Comput. Math. 15:715-732, 2015). The step of a scene
    is the inverse of a bound of its largest eigenvalue of $A^\mathsf{T} w A$.

    Args:
        captures: Captures $y$, (..., sensor, y, x), in any unit of light.
        depth_um: Depths of the layers in um, (..., layer), or (layer,) for all scenes.
        imager: Instrument that took the captures; $A$ is its projection.
        sparsity: Weight $\mu$ in units of the largest pixel of $A^\mathsf{T} w y$: at 1 the layers
            vanish.
        tv: Weight $\tau$ of the total variation, in the same unit.
        non_negative: Whether layers must not be negative.
        noise_std: Standard deviation of the noise: a number, (sensor,) or (..., sensor); sensors
            are weighted by their inverse variances $w$, 1 on average. None for equal weights.
        start: Layers to start from, (..., layer, y, x); None for darkness.
        iterations: Largest number of iterations.
        tolerance: Length of a step, relative to the norm of the layers, at which a scene is done; 0
            never stops early.
        inner: Iterations of the total variation's prox in each step, from the dual of the last one.
        progress: Called with the iterations done and their number, summed over scenes.

    Returns:
        The layers, (..., layer, y, x); `regularisation` has the absolute weights `sparsity` and
        `tv`.

    Raises:
        CaptureError: If the captures do not fit the imager or are not finite.
        ImagerError: If a depth lies outside the imager.
        SolverError: If an option is out of its bounds.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import fista
        >>> scenes = simulate(2, seed=9000)
        >>> solution = fista(scenes.captures, scenes.depth_um, Imager.reference(), iterations=20)
        >>> solution.layers.shape, solution.iterations
        ((2, 4, 51, 51), array([20, 20]))
    """
    LeastSquares.check(sparsity, tv, inner)
    problem = Problem(captures, depth_um, imager, noise_std)
    layers = starting_layers(problem, start)

    def initial_state(operator: Operator, scenes: slice) -> _Fista:
        squares = LeastSquares.from_captures(
            problem, operator, scenes, sparsity=sparsity, tv=tv, non_negative=non_negative,
            inner=inner,
        )  # fmt: skip
        return _Fista(squares, layers[scenes])

    return iterate(
        problem, initial_state, iterations=iterations, tolerance=tolerance, progress=progress
    )


class _Fista:
    """The state: layers now and before, and what A makes of them, so that A is used once a step."""

    def __init__(self, squares: LeastSquares, layers: Tensor) -> None:
        self.squares = squares
        self.regularisation = squares.regularisation
        largest = squares.operator.norm2(squares.weight)
        self.step_size = 1 / largest.clamp(min=torch.finfo(largest.dtype).tiny)
        self.now = self.before = layers
        self.seen = self.seen_before = squares.operator.A(layers)
        self.t = torch.ones_like(self.step_size)
        self.change = torch.full_like(self.step_size, torch.inf)

    def step(self) -> None:
        squares = self.squares
        t_next = (1 + torch.sqrt(1 + 4 * self.t.square())) / 2
        momentum = per_scene((self.t - 1) / t_next)
        ahead = torch.lerp(self.before, self.now, 1 + momentum)
        left = torch.lerp(self.seen_before, self.seen, 1 + momentum).sub_(squares.captures)
        slope = squares.operator.A_adjoint(left.mul_(squares.weight))
        further = squares.penalty.prox(
            torch.addcmul(ahead, slope, per_scene(-self.step_size)), self.step_size
        )
        moved = ahead.sub_(further)
        uphill = (moved * (further - self.now)).sum((1, 2, 3)) > 0
        self.t = torch.where(uphill, 1.0, t_next)
        self.moved = moved
        self.before, self.now = self.now, further
        self.seen_before, self.seen = self.seen, squares.operator.A(further)

    def measured(self) -> Measured:
        size = self.now.flatten(1).norm(dim=1)
        moved = self.moved.flatten(1).norm(dim=1)
        return Measured(
            layers=self.now,
            objective=self.squares.objective(self.now, self.seen),
            change=torch.where(size > 0, moved / size, moved),
        )

    def subset(self, scenes: Tensor) -> None:
        self.squares = self.squares.subset(scenes)
        for name in ("step_size", "now", "before", "seen", "seen_before", "t", "moved"):
            setattr(self, name, getattr(self, name)[scenes])
