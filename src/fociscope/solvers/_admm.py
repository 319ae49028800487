"""ADMM: each penalty on a copy of its own, and the layers in closed form for each frequency.

The layers live on the frequencies' own, larger grid. Copies are made of what the sensors would see
there (which knows the captures on the frame alone), of the layers (not negative, sparse, and dark
beyond the frame) and of their differences (total variation, within the frame): the splitting of
Almeida and Figueiredo (IEEE TIP 22:3074-3086, 2013), as lensless imaging has it (Antipa et al.,
Optica 5:1-9, 2018). What is returned is the copy that is not negative.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike
from fociscope.errors import SolverError
from fociscope.imager import Imager
from fociscope.solvers._iterations import CHECK_EVERY, Measured, iterate
from fociscope.solvers._least_squares import LeastSquares, starting_layers
from fociscope.solvers._operators import Operator, SpectralOperator
from fociscope.solvers._penalties import differences, differences_adjoint, into_the_unit_ball
from fociscope.solvers._problem import Problem, Progress, Solution, per_scene

__all__ = ["admm"]

#: Penalty parameters to begin with: of what the sensors see, relative to the weights; and of the
#: layers and their differences, relative to the largest eigenvalue of A^T A.
SEEN_RHO, LAYERS_RHO = 1.0, 0.01
#: A penalty parameter changes by this factor where primal and dual residual differ by `IMBALANCE`;
#: never after `LAST_CHANGE` iterations, so that the iterations converge.
FACTOR, IMBALANCE, LAST_CHANGE = 2.0, 5.0, 200


def admm(
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
    progress: Progress | None = None,
) -> Solution:
    r"""Solve for what `fista` minimises, by the alternating direction method of multipliers.

    Minimises

    $$ \tfrac{1}{2} \sum_s w_s \lVert A_s x - y_s \rVert^2 + \mu \lVert x \rVert_1
       + \tau \, \mathrm{TV}(x), \qquad x \ge 0, $$

    with each penalty on a copy of its own (Almeida, Figueiredo, IEEE TIP 22:3074-3086, 2013).
    Penalty parameters are balanced in each scene during the first iterations (Boyd et al., Found.
    Trends Mach. Learn. 3:1-122, 2011, section 3.4). It takes even kernels, a sensor B that is not
    displaced, and frames of at most about 100 pixels along a side.

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
        tolerance: Distance of the layers and their copy, and change of the copy, relative to its
            norm, at which a scene is done; 0 never stops early.
        progress: Called with the iterations done and their number, summed over scenes.

    Returns:
        The layers, (..., layer, y, x); `regularisation` has the absolute weights `sparsity` and
        `tv`.

    Raises:
        CaptureError: If the captures do not fit the imager or are not finite.
        ImagerError: If a depth lies outside the imager.
        SolverError: If an option is out of its bounds, or it does not take the imager or frame.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import admm
        >>> scenes = simulate(2, seed=9000)
        >>> solution = admm(scenes.captures, scenes.depth_um, Imager.reference(), iterations=20)
        >>> solution.layers.shape, bool((solution.residual < 0.2).all())
        ((2, 4, 51, 51), True)
    """
    LeastSquares.check(sparsity, tv)
    problem = Problem(captures, depth_um, imager, noise_std)
    layers = starting_layers(problem, start)

    def initial_state(operator: Operator, scenes: slice) -> _Admm:
        if not isinstance(operator, SpectralOperator):
            raise SolverError(
                "admm needs even kernels, sensor B where A is and a frame of at most about 100 "
                f"pixels; got {problem.frame_px} pixels; use fista"
            )
        squares = LeastSquares.from_captures(
            problem, operator, scenes, sparsity=sparsity, tv=tv, non_negative=non_negative
        )
        return _Admm(squares, operator, layers[scenes])

    return iterate(
        problem, initial_state, iterations=iterations, tolerance=tolerance, progress=progress
    )


class _Split:
    """One copy: of what, its scaled dual variable and its penalty parameter."""

    def __init__(self, like: Tensor, rho: Tensor, scene_axis: int) -> None:
        self.scene_axis = scene_axis
        self.over = tuple(n for n in range(like.ndim) if n != scene_axis)
        self.copy, self.before, self.dual = like, like, torch.zeros_like(like)
        self.of = like
        self.rho = rho

    def scaled(self, values: Tensor) -> Tensor:
        """Return values (scene,) that multiply the copy."""
        return values.reshape((1,) * self.scene_axis + (-1, 1, 1, 1))

    def aim(self) -> Tensor:
        """Return what the layers should give here."""
        return self.copy - self.dual

    def take(self, of: Tensor, copy: Tensor) -> None:
        """Take the new copy of `of`, and its dual."""
        self.before, self.copy, self.of = self.copy, copy, of
        self.dual = self.dual + (of - copy)

    def primal(self) -> Tensor:
        """Return (scene,): how far the copy is from what it copies."""
        return (self.of - self.copy).square().sum(self.over).sqrt()

    def moved(self) -> Tensor:
        """Return (scene,): how far the copy has moved."""
        return (self.copy - self.before).square().sum(self.over).sqrt()

    def balance(self) -> None:
        """Change the penalty parameter where one residual outweighs the other."""
        size = torch.maximum(self.of.square().sum(self.over), self.copy.square().sum(self.over))
        dual_size = self.dual.square().sum(self.over).sqrt()
        primal = self.primal() / size.sqrt().clamp(min=1e-30)
        dual = self.moved() / dual_size.clamp(min=1e-30)
        up, down = primal > IMBALANCE * dual, dual > IMBALANCE * primal
        factor = torch.where(up, FACTOR, torch.where(down, 1 / FACTOR, 1.0)).to(self.rho)
        self.rho = self.rho * factor
        self.dual = self.dual / self.scaled(factor)

    def subset(self, scenes: Tensor) -> None:
        self.rho = self.rho[scenes]
        for name in ("copy", "before", "dual", "of"):
            setattr(self, name, getattr(self, name).index_select(self.scene_axis, scenes))


class _Admm:
    """The state of the splitting."""

    def __init__(self, squares: LeastSquares, operator: SpectralOperator, layers: Tensor) -> None:
        self.squares, self.operator = squares, operator
        self.regularisation = squares.regularisation
        self.wide = operator.widened()
        self.height, self.width = layers.shape[-2:]
        self.steps = 0

        largest = operator.norm2(squares.weight)
        wide = self._widened(layers)
        spectrum = self.wide.analysed(wide)
        seen = self.wide.synthesised(self._seen(spectrum))
        self.seen = _Split(seen, torch.full_like(largest, SEEN_RHO), 0)
        self.layers = _Split(wide, LAYERS_RHO * largest, 0)
        self.edges: _Split | None = None
        if squares.penalty.varies:
            self.edges = _Split(self._differences(wide), LAYERS_RHO * largest, 1)
            inside = torch.zeros_like(self.edges.copy[:, :1, :1])
            inside[0, ..., : self.height - 1, : self.width] = 1
            inside[1, ..., : self.height, : self.width - 1] = 1
            self.inside = inside
        self._prepare()

    # --- the larger grid ---

    def _widened(self, images: Tensor) -> Tensor:
        down, right = (
            self.wide.synthesis_y.shape[0] - images.shape[-2],
            self.wide.synthesis_x.shape[0] - images.shape[-1],
        )
        return torch.nn.functional.pad(images, (0, right, 0, down))

    def _frame(self, images: Tensor) -> Tensor:
        return images[..., : self.height, : self.width]

    @property
    def _wraps(self) -> bool:
        return self.wide.synthesis_y.shape[0] > self.height

    def _differences(self, wide: Tensor) -> Tensor:
        """Return differences that the frequencies diagonalise: on the larger grid they wrap."""
        if not self._wraps:
            return differences(wide)
        return torch.stack([wide.roll(-1, axis) - wide for axis in (-2, -1)])

    def _differences_adjoint(self, field: Tensor) -> Tensor:
        if not self._wraps:
            return differences_adjoint(field)
        down, right = field.unbind()
        return down.roll(1, -2) - down + right.roll(1, -1) - right

    def _seen(self, spectrum: Tensor) -> Tensor:
        """Return T on the layers' coefficients."""
        seen: Tensor = (self.wide.transfer * spectrum[:, :, None]).sum(1)
        return seen

    # --- the iteration ---

    def _prepare(self) -> None:
        """Invert what the layers' coefficients are multiplied by, for the penalty parameters."""
        rate = self.layers.rho[:, None, None]
        if self.edges is not None:
            f_y, f_x = (f.to(rate) for f in self.wide.frequencies_per_px(not self._wraps))
            rise_y, rise_x = (2 - 2 * torch.cos(2 * math.pi * f) for f in (f_y, f_x))
            rate = rate + self.edges.rho[:, None, None] * (rise_y[:, None] + rise_x)
        self.rate = rate[:, None]
        transfer = self.wide.transfer
        gram = torch.einsum("slokq,slpkq->sopkq", transfer, transfer)
        own = rate / self.seen.rho[:, None, None]
        if transfer.shape[2] == 1:
            self.inverse = 1 / (gram + own[:, None, None])
            return
        a, d = gram[:, 0, 0] + own, gram[:, 1, 1] + own
        b = gram[:, 0, 1].expand(a.shape)
        rows = torch.stack([d, -b], dim=1), torch.stack([-b, a], dim=1)
        self.inverse = torch.stack(rows, dim=1) / (a * d - b * b)[:, None, None]

    def step(self) -> None:
        squares, wide = self.squares, self.wide
        aim = self.layers.aim() * per_scene(self.layers.rho)
        if self.edges is not None:
            aim = aim + self._differences_adjoint(self.edges.aim()) * per_scene(self.edges.rho)
        seen_aim = wide.analysed(self.seen.aim()) * per_scene(self.seen.rho)
        # The system (rate + rho T^T T) x = right is as small as the sensors are few (Woodbury).
        right = wide.analysed(aim) + (wide.transfer * seen_aim[:, None]).sum(2)
        dual = (self.inverse * self._seen(right)[:, None]).sum(2)
        spectrum = (right - (wide.transfer * dual[:, None]).sum(2)) / self.rate
        layers = wide.synthesised(spectrum)
        seen = wide.synthesised(self._seen(spectrum))

        rho = per_scene(self.seen.rho)
        copy = seen + self.seen.dual
        frame = self._frame(copy)
        frame.copy_((squares.weight * squares.captures + rho * frame) / (squares.weight + rho))
        self.seen.take(seen, copy)

        shifted = self._frame(layers + self.layers.dual)
        kept = squares.penalty.shrunk(shifted, squares.penalty.sparsity / self.layers.rho)
        self.layers.take(layers, self._widened(kept))

        if self.edges is not None:
            edges = self._differences(layers)
            shifted = edges + self.edges.dual
            threshold = per_scene(squares.penalty.tv / self.edges.rho)
            # Differences that leave the frame are free, and no part of their pixel's length.
            cut = threshold * into_the_unit_ball(shifted * self.inside / threshold)
            self.edges.take(edges, shifted - cut)

        self.steps += 1
        if self.steps % CHECK_EVERY == 0 and self.steps <= LAST_CHANGE:
            for split in self._splits():
                split.balance()
            self._prepare()

    def _splits(self) -> list[_Split]:
        return [s for s in (self.seen, self.layers, self.edges) if s is not None]

    def measured(self) -> Measured:
        layers = self._frame(self.layers.copy).contiguous()
        apart = torch.maximum(self.layers.primal(), self.layers.moved())
        size = layers.flatten(1).norm(dim=1)
        return Measured(
            layers=layers,
            objective=self.squares.objective(layers, self.squares.operator.A(layers)),
            change=torch.where(size > 0, apart / size, apart),
        )

    def subset(self, scenes: Tensor) -> None:
        self.squares = self.squares.subset(scenes)
        self.wide = self.wide.subset(scenes)
        for split in self._splits():
            split.subset(scenes)
        self._prepare()
