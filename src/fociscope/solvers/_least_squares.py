"""The penalised least-squares problem that `fista` and `admm` minimise.

    1/2 sum over sensors w |A x - y|^2 + sparsity |x|_1 + tv TV(x),     x >= 0

Both weights are given in units of the largest pixel of A^T w y: at a sparsity of 1 the layers
vanish, whatever the brightness of the captures.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor
from fociscope.errors import SolverError
from fociscope.solvers._operators import Operator
from fociscope.solvers._penalties import Penalty
from fociscope.solvers._problem import Problem, check_option

__all__ = ["LeastSquares", "starting_layers"]


class LeastSquares(NamedTuple):
    """The problem of some scenes."""

    operator: Operator
    captures: Tensor
    """(scene, sensor, y, x)."""
    weight: Tensor
    """(scene, sensor, 1, 1)."""
    penalty: Penalty

    @classmethod
    def from_captures(
        cls,
        problem: Problem,
        operator: Operator,
        scenes: slice,
        *,
        sparsity: float,
        tv: float,
        non_negative: bool,
        inner: int = 1,
    ) -> LeastSquares:
        """Return the problem of some scenes, for relative weights."""
        captures, weight = problem.captures[scenes], problem.weight[scenes]
        largest = operator.A_adjoint(weight * captures).abs().amax(dim=(1, 2, 3))
        penalty = Penalty(sparsity * largest, tv * largest, non_negative=non_negative, inner=inner)
        return cls(operator, captures, weight, penalty)

    @staticmethod
    def check(sparsity: float, tv: float, inner: int = 1) -> None:
        """Refuse weights and iterations that make no sense."""
        check_option("sparsity", sparsity)
        check_option("tv", tv)
        check_option("inner", inner, least=1)

    @property
    def regularisation(self) -> dict[str, Tensor]:
        """Name -> (scene,): the absolute weights."""
        return {"sparsity": self.penalty.sparsity, "tv": self.penalty.tv}

    def objective(self, layers: Tensor, seen: Tensor) -> Tensor:
        """Return (scene,), for layers and what A makes of them."""
        misfit = (self.weight * (seen - self.captures).square()).sum((1, 2, 3)) / 2
        return misfit + self.penalty.value(layers)

    def subset(self, scenes: Tensor) -> LeastSquares:
        """Return the problem of some scenes, by their numbers."""
        self.penalty.subset(scenes)
        return self._replace(
            operator=self.operator.subset(scenes),
            captures=self.captures[scenes],
            weight=self.weight[scenes],
        )


def starting_layers(problem: Problem, start: ArrayLike | None) -> Tensor:
    """Return (scene, layer, y, x): `start` in the shape of the solution, or zeros."""
    shape = (*problem.depth_um.shape, *problem.frame_px)
    if start is None:
        return problem.captures.new_zeros(shape)
    layers = as_tensor(start).to(problem.captures)
    wanted = (*problem.lead, *shape[1:])
    if layers.shape != wanted or not bool(torch.isfinite(layers).all()):
        raise SolverError(
            f"start needs finite layers of the shape {wanted}; got {tuple(layers.shape)}"
        )
    return layers.reshape(shape)
