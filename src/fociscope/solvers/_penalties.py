"""What the layers are held to: no negative light, sparsity and total variation, and their proxes.

The total variation of a layer is the sum over its pixels of sqrt(dy^2 + dx^2), with forward
differences that do not leave the frame.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fociscope.solvers._problem import per_scene

__all__ = ["Penalty", "differences", "differences_adjoint", "into_the_unit_ball", "total_variation"]

#: No less than the largest eigenvalue of D^T D, of forward differences in the plane.
DIFFERENCES_NORM2 = 8.0


def differences(images: Tensor) -> Tensor:
    """(..., y, x) -> (2, ..., y, x): D, the differences to the next pixel along y and along x."""
    out = images.new_zeros(2, *images.shape)
    torch.sub(images[..., 1:, :], images[..., :-1, :], out=out[0, ..., :-1, :])
    torch.sub(images[..., 1:], images[..., :-1], out=out[1, ..., :-1])
    return out


def differences_adjoint(field: Tensor) -> Tensor:
    """(2, ..., y, x) -> (..., y, x): D^T; what would leave the frame is passed over."""
    out = torch.zeros_like(field[0])
    down, right = field[0, ..., :-1, :], field[1, ..., :-1]
    out[..., 1:, :] += down
    out[..., :-1, :] -= down
    out[..., 1:] += right
    out[..., :-1] -= right
    return out


def into_the_unit_ball(field: Tensor) -> Tensor:
    """Shorten (2, ...) vectors that are longer than 1, in place."""
    length = torch.hypot(field[0], field[1]).clamp_(min=1)
    return field.div_(length)


def total_variation(layers: Tensor) -> Tensor:
    """Return (scene,): the total variation of (scene, layer, y, x), summed over the layers."""
    step = differences(layers)
    return torch.hypot(step[0], step[1]).sum((1, 2, 3))


class Penalty:
    """sparsity |x|_1 + tv TV(x), and x >= 0 where so asked."""

    def __init__(self, sparsity: Tensor, tv: Tensor, *, non_negative: bool, inner: int) -> None:
        """Hold the weights.

        Args:
            sparsity: (scene,).
            tv: (scene,); all 0 for no total variation.
            non_negative: whether negative light is out of the question.
            inner: iterations of the dual problem that the prox of the total variation takes.
        """
        self.sparsity, self.tv = sparsity, tv
        self.non_negative, self.inner = non_negative, inner
        self.varies = bool((tv > 0).any())
        self.dual: Tensor | None = None

    def value(self, layers: Tensor) -> Tensor:
        """Return (scene,) for layers (scene, layer, y, x) that are not negative where need be."""
        total = self.sparsity * layers.abs().sum((1, 2, 3))
        if self.varies:
            total = total + self.tv * total_variation(layers)
        return total

    def shrunk(self, layers: Tensor, threshold: Tensor) -> Tensor:
        """Return the prox of sparsity, of weight `threshold` (scene,), and sign alone."""
        by = per_scene(threshold)
        if self.non_negative:
            return (layers - by).clamp_(min=0)
        return torch.nn.functional.relu(layers - by) - torch.nn.functional.relu(-layers - by)

    def prox(self, layers: Tensor, step: Tensor) -> Tensor:
        """Return the x that minimises |x - layers|^2 / 2 + step * penalty(x), step (scene,).

        With total variation its dual is solved by the fast gradient projection of Beck and
        Teboulle (IEEE TIP 18:2419-2434, 2009), from where the last call left it.
        """
        if not self.varies:
            return self.shrunk(layers, step * self.sparsity)
        threshold, weight = step * self.sparsity, per_scene(step * self.tv)
        rise = 1 / (DIFFERENCES_NORM2 * weight.clamp(min=torch.finfo(weight.dtype).tiny))
        dual = differences(torch.zeros_like(layers)) if self.dual is None else self.dual
        ahead, t = dual, 1.0
        for _ in range(self.inner):
            x = self.shrunk(layers - weight * differences_adjoint(ahead), threshold)
            further = into_the_unit_ball(differences(x).mul_(rise).add_(ahead))
            t_next = (1 + math.sqrt(1 + 4 * t * t)) / 2
            ahead = further + (t - 1) / t_next * (further - dual)
            dual, t = further, t_next
        self.dual = dual
        return self.shrunk(layers - weight * differences_adjoint(dual), threshold)

    def subset(self, scenes: Tensor) -> None:
        """Go on with some scenes, by their numbers."""
        self.sparsity, self.tv = self.sparsity[scenes], self.tv[scenes]
        if self.dual is not None:
            self.dual = self.dual[:, scenes]
