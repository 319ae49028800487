"""Tikhonov regularisation and Wiener filtering: one small linear system for each frequency.

With y the captures' coefficients at a frequency, H their transfer functions (sensor, layer), N the
noise variances and P the layers' power spectrum, the layers that minimise

    |N^(-1/2) (H x - y)|^2 + lambda |P^(-1/2) x|^2     (P = 1 for Tikhonov)

are x = P H* (H P H* + lambda N)^-1 y: a system as large as there are sensors, one or two. Its
eigenvalues s and the captures' coefficients c along its eigenvectors give for any lambda

    residual(lambda) = sum (lambda / (s + lambda))^2 |c|^2,
    trace(1 - influence) = sum lambda / (s + lambda),

so that lambda is found per scene by generalised cross-validation (Golub, Heath, Wahba,
Technometrics 21:215-223, 1979), the minimum of residual / trace^2, or by Morozov's discrepancy
principle: the lambda at which the residual is the noise's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike
from fociscope.errors import SolverError
from fociscope.imager import Imager
from fociscope.solvers._operators import Operator
from fociscope.solvers._problem import ChunkSolution, Problem, Progress, Solution, check_option
from fociscope.solvers._spectra import Circular, LayerSpectrum, circular_of

__all__ = ["Influence", "tikhonov"]

#: lambda over the largest eigenvalue: what is searched.
SEARCHED = (1e-9, 1e2)
#: Values tried in it, then between the neighbours of the best of them, and so on: for a minimum,
#: whose two neighbours stay, and for a crossing, between which two values are left.
TRIED_MINIMUM = (12, 8, 8, 8)
TRIED_CROSSING = (12, 5, 5, 5, 5, 5)
#: Conjugate gradients for the frame's own problem stop here, relative to the captures.
EXACT_TOLERANCE, EXACT_ITERATIONS = 1e-6, 1000


def tikhonov(
    captures: ArrayLike,
    depth_um: ArrayLike,
    imager: Imager,
    *,
    regularisation: float | Literal["gcv", "discrepancy"] = "gcv",
    noise_std: ArrayLike | None = None,
    spectrum: LayerSpectrum | None = None,
    non_negative: bool = False,
    exact: bool = False,
    progress: Progress | None = None,
) -> Solution:
    r"""Solve for Tikhonov-regularised layers in closed form; with a spectrum, for Wiener's.

    Minimises, frequency by frequency,

    $$ \lVert N^{-1/2} (A x - y) \rVert^2 + \lambda \lVert P^{-1/2} x \rVert^2, \qquad
       x = P A^* (A P A^* + \lambda N)^{-1} y, $$

    with the variances $N$ of the noise and the power spectrum $P$ of the layers. $\lambda$ is
    given, or found by generalised cross-validation (Golub, Heath, Wahba, Technometrics 21:215-223,
    1979) or by Morozov's discrepancy principle.

    For `reflect` and even kernels the closed form solves the frame's own problem. For `zero` it
    solves the circular problem on a larger frame, where the captures are dark beyond their own
    frame and tissue may lie there; of that the frame is returned.

    Args:
        captures: Captures $y$, (..., sensor, y, x), in any unit of light.
        depth_um: Depths of the layers in um, (..., layer), or (layer,) for all scenes.
        imager: Instrument that took the captures; $A$ is its projection.
        regularisation: Weight $\lambda$, above 0; or how to find it in each scene.
        noise_std: Standard deviation of the noise in the unit of the captures: a number, (sensor,)
            or (..., sensor); None for $N = 1$.
        spectrum: Power spectrum of the layers; None for $P = 1$.
        non_negative: Whether to clip the result at 0 (which is not the non-negative minimum).
        exact: Whether to go on to the problem of the frame with no tissue beyond it, by conjugate
            gradients; not with a spectrum.
        progress: Called with the scenes done and their number.

    Returns:
        The layers, (..., layer, y, x). `objective` is what is minimised, of the circular problem
        or, with `exact`, of the frame's own; `regularisation` is {"tikhonov": $\lambda$}.

    Raises:
        CaptureError: If the captures do not fit the imager or are not finite.
        ImagerError: If a depth lies outside the imager.
        SolverError: If the discrepancy principle has no noise level, $\lambda$ is not above 0, or
            sensor B is rotated or scaled, so that there is no closed form.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import tikhonov
        >>> scenes = simulate(2, seed=9000)
        >>> solution = tikhonov(
        ...     scenes.captures, scenes.depth_um, Imager.reference(), regularisation=1e-5
        ... )
        >>> solution.layers.shape, solution.converged
        ((2, 4, 51, 51), array([ True,  True]))
    """
    if not isinstance(regularisation, str):
        check_option("regularisation", regularisation, open_=True)
    elif regularisation not in ("gcv", "discrepancy"):
        raise SolverError(
            f"regularisation must be a number, 'gcv' or 'discrepancy'; got {regularisation!r}"
        )
    if regularisation == "discrepancy" and noise_std is None:
        raise SolverError("the discrepancy principle needs the noise's level: give noise_std")
    if exact and spectrum is not None:
        raise SolverError("exact is for a flat spectrum; leave out either exact or spectrum")
    problem = Problem(captures, depth_um, imager, noise_std)

    def solve(operator: Operator, scenes: slice) -> ChunkSolution:
        circular = circular_of(operator, imager)
        y = problem.captures[scenes]
        noise = y.new_ones(*y.shape[:2], 1, 1)
        if problem.noise_std is not None:
            noise = problem.noise_std[scenes]
        prior = circular.prior(spectrum, imager.pitch_um[1])
        influence = Influence(circular, y, noise, prior)
        if regularisation == "gcv":
            weight = influence.gcv()
        elif regularisation == "discrepancy":
            weight = influence.discrepancy(y[0].numel())
        else:
            weight = y.new_full((len(y),), regularisation)
        if exact:
            layers, objective = _exact(operator, influence, y, noise, weight)
        else:
            layers = circular.synthesised(influence.coefficients(weight))
            objective = influence.objective(weight)
        if non_negative:
            layers = layers.clamp(min=0)
        if progress is not None:
            progress(scenes.stop, len(problem))
        return ChunkSolution.uniform(layers, objective, regularisation={"tikhonov": weight})

    return problem.map_chunks(solve)


class Influence:
    """The captures of the circular problem, in the eigenvectors of H P H* at each frequency."""

    def __init__(
        self, circular: Circular, captures: Tensor, noise_std: Tensor, prior: Tensor | None = None
    ) -> None:
        """Decompose.

        Args:
            circular: the problem.
            captures: (scene, sensor, y, x).
            noise_std: (scene, sensor, 1, 1).
            prior: (ky, kx), P.
        """
        self.circular, self.prior = circular, prior
        whitened = circular.transfer / noise_std[:, None]
        gram = whitened if prior is None else whitened * prior.sqrt()
        found = circular.analysed(captures) / noise_std
        self.power, self.along, self.vectors = _eigen(gram, found)
        self.whitened = whitened

    def terms(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return (scene, trial): residual and trace(1 - influence), for lambda (scene, trial)."""
        counted = (self.circular.count * self.along.abs().square()).flatten(1)
        count = self.circular.count.expand(self.power.shape[1:]).flatten()
        power = self.power.flatten(1)
        residual, trace = torch.empty_like(weight), torch.empty_like(weight)
        for trial in range(weight.shape[1]):
            lam = weight[:, trial, None]
            kept = lam / (power + lam)
            trace[:, trial] = kept @ count
            residual[:, trial] = (kept.square_() * counted).sum(1)
        return residual, trace

    def gcv_value(self, weight: Tensor) -> Tensor:
        """Return (scene, trial): m residual / trace^2 for lambda (scene, trial) and m pixels."""
        residual, trace = self.terms(weight)
        m = self.along.shape[1] * self.circular.count.sum()
        return m * residual / trace.square()

    def gcv(self) -> Tensor:
        """Return (scene,): the lambda of least generalised cross-validation."""

        def around(trials: Tensor) -> Tensor:
            best = self.gcv_value(trials).argmin(dim=1, keepdim=True)
            return torch.cat([best - 1, best + 1], dim=1)

        return self._searched(around, TRIED_MINIMUM)

    def discrepancy(self, pixels: int) -> Tensor:
        """Return (scene,): the lambda whose residual is as many noise variances as noisy pixels.

        Or the end of the search, where all or none of the captures is noise.
        """

        def around(trials: Tensor) -> Tensor:
            residual, _ = self.terms(trials)  # it grows with lambda
            below = (residual < pixels).sum(dim=1, keepdim=True)
            return torch.cat([below - 1, below], dim=1)

        return self._searched(around, TRIED_CROSSING)

    def _searched(self, around: Callable[[Tensor], Tensor], tried: tuple[int, ...]) -> Tensor:
        """Return (scene,) found by narrowing: lambdas (scene, trial) -> the two to go between."""
        largest = self.power.amax(dim=(1, 2, 3))
        log = (largest[:, None] * largest.new_tensor(SEARCHED)).log()
        for count in tried:
            share = torch.linspace(0, 1, count, dtype=log.dtype, device=log.device)
            trials = log[:, :1] + (log[:, 1:] - log[:, :1]) * share
            log = trials.gather(1, around(trials.exp()).clamp(0, count - 1))
        return log.mean(dim=1).exp()

    def coefficients(self, weight: Tensor) -> Tensor:
        """Return (scene, layer, ky, kx): the layers for lambda (scene,)."""
        dual = self.along / (self.power + weight[:, None, None, None])
        back = _combined(self.vectors, dual)
        layers = (self.whitened.conj() * back[:, None]).sum(2)
        return layers if self.prior is None else layers * self.prior

    def objective(self, weight: Tensor) -> Tensor:
        """Return (scene,): the minimum, for lambda (scene,)."""
        lam = weight[:, None, None, None]
        counted = self.circular.count * self.along.abs().square()
        return (counted * lam / (self.power + lam)).sum((1, 2, 3))

    def solved(self, captures: Tensor, weight: Tensor) -> Tensor:
        """Return (H P H* + lambda)^-1 of whitened captures (scene, sensor, y, x)."""
        found = self.circular.analysed(captures)
        along = _combined(_adjoint(self.vectors), found)
        dual = along / (self.power + weight[:, None, None, None])
        return self.circular.synthesised(_combined(self.vectors, dual))


def _eigen(gram: Tensor, captures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return eigenvalues (scene, n, ky, kx), captures along eigenvectors, and those.

    Args:
        gram: (scene, layer, sensor, ky, kx), whose G G* over the layers is decomposed.
        captures: (scene, sensor, ky, kx).

    Returns:
        The eigenvectors are (scene, sensor, n, ky, kx).
    """
    first = gram[:, :, 0].abs().square().sum(1)
    if gram.shape[2] == 1:
        return first[:, None], captures, torch.ones_like(captures)[:, None]
    # A rotation diagonalises the Hermitian [[first, mixed], [mixed*, second]].
    second = gram[:, :, 1].abs().square().sum(1)
    mixed = (gram[:, :, 0] * gram[:, :, 1].conj()).sum(1)
    size = mixed.abs()
    phase = torch.where(size > 0, mixed / size.clamp(min=torch.finfo(size.dtype).tiny), 1.0)
    angle = torch.atan2(2 * size, first - second) / 2
    c, s = torch.cos(angle), torch.sin(angle)
    middle, spread = (first + second) / 2, torch.hypot((first - second) / 2, size)
    power = torch.stack([middle + spread, (middle - spread).clamp(min=0)], dim=1)
    rows = torch.stack([c * phase, -s * phase], dim=1), torch.stack([s, c], dim=1)
    vectors = torch.stack([row.to(mixed.dtype) for row in rows], dim=1)
    return power, _combined(_adjoint(vectors), captures), vectors


def _combined(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return (scene, i, ky, kx): the matrix (scene, i, j, ky, kx) on (scene, j, ky, kx)."""
    return (matrix * vector[:, None]).sum(2)


def _adjoint(matrix: Tensor) -> Tensor:
    return matrix.transpose(1, 2).conj()


def _exact(
    operator: Operator,
    influence: Influence,
    captures: Tensor,
    noise_std: Tensor,
    weight: Tensor,
) -> tuple[Tensor, Tensor]:
    """Solve (A A* + lambda N) u = y by conjugate gradients; the layers are A* u.

    The circular problem's inverse preconditions it.
    """
    lam = weight[:, None, None, None]
    y = captures / noise_std

    def normal(u: Tensor) -> Tensor:
        return operator.A(operator.A_adjoint(u / noise_std)) / noise_std + lam * u

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((1, 2, 3), keepdim=True)

    u = influence.solved(y, weight)
    left = y - normal(u)
    better = influence.solved(left, weight)
    direction, power = better, dot(left, better)
    enough = EXACT_TOLERANCE * dot(y, y).sqrt()
    for _ in range(EXACT_ITERATIONS):
        moved = normal(direction)
        step = power / dot(direction, moved).clamp(min=torch.finfo(y.dtype).tiny)
        u, left = u + step * direction, left - step * moved
        if bool((dot(left, left).sqrt() <= enough).all()):
            break
        better = influence.solved(left, weight)
        now = dot(left, better)
        direction = better + now / power.clamp(min=torch.finfo(y.dtype).tiny) * direction
        power = now
    layers = operator.A_adjoint(u / noise_std)
    misfit = (operator.A(layers) - captures) / noise_std
    objective = dot(misfit, misfit) + lam * dot(layers, layers)
    return layers, objective[:, 0, 0, 0]
