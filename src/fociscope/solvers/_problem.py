"""What goes into a solver and what comes out: captures and depths, checked; layers and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, check_result, like, without_autocast
from fociscope.errors import CaptureError, SolverError
from fociscope.imager import Imager
from fociscope.residuals import relative_residual
from fociscope.solvers._operators import Operator, operator_at
from fociscope.typing import Progress

__all__ = ["ChunkSolution", "Problem", "Progress", "Solution", "check_option", "per_scene"]


#: Scenes that go through all iterations together; more of them leave a processor's cache.
CHUNK_SCENES = 8
#: On a GPU more of them are needed to keep it busy.
GPU_CHUNK_SCENES = 256
#: Of the captures' noise; a level of 0 would ask for a solution that explains every digit.
LEAST_NOISE = 1e-12


@dataclass(frozen=True)
class Solution:
    """Layers that explain captures; arrays of the kind of the captures, NumPy or torch.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import tikhonov
        >>> scenes = simulate(2, seed=9000)
        >>> solution = tikhonov(scenes.captures, scenes.depth_um, Imager.reference())
        >>> solution.layers.shape, solution.residual.shape, list(solution.regularisation)
        ((2, 4, 51, 51), (2, 2), ['tikhonov'])
    """

    layers: Any
    """(..., layer, y, x) in the units of the captures."""
    objective: Any
    """(...) what the solver minimises, at `layers`."""
    iterations: Any
    """(...) that each scene took; 1 for a closed form."""
    converged: Any
    """(...) whether the stopping rule was met; True for a closed form."""
    regularisation: Mapping[str, Any]
    """Name -> (...) the absolute weights in the objective."""
    residual: Any
    """(..., sensor) |A layers - captures| / |captures|."""


@dataclass(frozen=True)
class ChunkSolution:
    """What a solver returns for some scenes, which `Problem.map_chunks` joins to a `Solution`.

    Examples:
        >>> import torch
        >>> from fociscope.solvers import ChunkSolution
        >>> chunk = ChunkSolution.uniform(torch.ones(3, 1, 9, 9), torch.zeros(3), iterations=20)
        >>> chunk.iterations
        tensor([20, 20, 20])
    """

    layers: Tensor
    """(scene, layer, y, x)."""
    objective: Tensor
    """(scene,) what is minimised, at `layers`."""
    iterations: Tensor
    """(scene,) of integers; 1 for a closed form."""
    converged: Tensor
    """(scene,) bool."""
    regularisation: dict[str, Tensor]
    """Name -> (scene,) absolute weight in the objective."""

    @classmethod
    def uniform(
        cls,
        layers: Tensor,
        objective: Tensor,
        *,
        iterations: int = 1,
        converged: bool = True,
        regularisation: dict[str, Tensor] | None = None,
    ) -> ChunkSolution:
        """Return the solution of scenes that all took the same number of iterations.

        Args:
            layers: Layers, (scene, layer, y, x).
            objective: What is minimised at these layers, (scene,).
            iterations: Number of iterations; 1 for a closed form.
            converged: Whether the stopping rule was met; True for a closed form.
            regularisation: Name -> absolute weight, (scene,); None for none.
        """
        count = torch.full((len(layers),), iterations, dtype=torch.int64, device=layers.device)
        met = torch.full_like(count, converged, dtype=torch.bool)
        return cls(layers, objective, count, met, regularisation or {})


class Problem:
    """Captures and depths, checked and flattened to one axis of scenes, and their projection.

    A solver makes one of its arguments, solves chunks of scenes, and returns what `map_chunks`
    joins (`Solver` has an example).

    Attributes:
        captures: Captures, a tensor (scene, sensor, y, x).
        depth_um: Depths of the layers in um, a tensor (scene, layer).
        noise_std: Standard deviation of the noise, (scene, sensor, 1, 1) in the unit of the
            captures; None if it is unknown.
        frame_px: Height and width of a capture in pixels.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import Problem
        >>> problem = Problem(np.ones((5, 2, 9, 9)), [300.0, 700.0], Imager.reference())
        >>> len(problem), tuple(problem.depth_um.shape), problem.frame_px
        (5, (5, 2), (9, 9))
    """

    def __init__(
        self,
        captures: ArrayLike,
        depth_um: ArrayLike,
        imager: Imager,
        noise_std: ArrayLike | None = None,
    ) -> None:
        """Check and flatten.

        Args:
            captures: Captures, (..., sensor, y, x), in any unit of light.
            depth_um: Depths of the layers in um, (..., layer), or (layer,) for all scenes.
            imager: Instrument that took the captures; the frame is that of the captures.
            noise_std: Standard deviation of the noise, in the unit of the captures: a number,
                (sensor,) or (..., sensor); None if it is unknown.

        Raises:
            CaptureError: If the captures have another shape than those of the imager, or are not
                finite.
            SolverError: If the depths or the noise do not belong to the captures.
        """
        y = as_tensor(captures)
        if y.ndim < 3 or y.shape[-3] != imager.sensors or y.numel() == 0:
            raise CaptureError(
                f"captures need (..., sensor, y, x) with {imager.sensors} sensor(s); "
                f"got the shape {tuple(y.shape)}"
            )
        if not bool(torch.isfinite(y).all()):
            raise CaptureError("captures hold NaN or infinite pixels; mend or mask them first")
        lead = y.shape[:-3]
        z = as_tensor(depth_um).to(y)
        if z.ndim == 0 or z.shape[:-1] not in (lead, ()):
            raise SolverError(
                f"captures of shape {tuple(y.shape)} need depths of shape {(*lead, 'layer')}; "
                f"got {tuple(z.shape)}"
            )
        self.given, self.lead, self.imager = captures, lead, imager
        self.captures = y.reshape(-1, *y.shape[-3:])
        self.depth_um = z.expand(*lead, z.shape[-1]).reshape(-1, z.shape[-1])
        self.frame_px = y.shape[-2], y.shape[-1]
        self.noise_std = (
            None
            if noise_std is None
            else self.per_sensor("noise_std", noise_std, least=LEAST_NOISE)
        )

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.captures)

    def per_sensor(self, name: str, value: ArrayLike, *, least: float = 0.0) -> Tensor:
        """Return (scene, sensor, 1, 1) of a number, (sensor,) or (..., sensor).

        Raises:
            SolverError: another shape, or values that are not finite and at least `least`.
        """
        found = as_tensor(value).to(self.captures)
        sensors = self.captures.shape[1]
        if found.shape not in ((), (sensors,), (*self.lead, sensors)):
            raise SolverError(
                f"{name} needs a number, ({sensors},) or {(*self.lead, sensors)}; "
                f"got the shape {tuple(found.shape)}"
            )
        if not bool(((found >= least) & torch.isfinite(found)).all()):
            raise SolverError(f"{name} must be finite and not below {least:g}; got {_worst(found)}")
        return found.expand(*self.lead, sensors).reshape(-1, sensors, 1, 1)

    @property
    def weight(self) -> Tensor:
        """(scene, sensor, 1, 1): inverse variances of the noise, of mean 1 over the sensors."""
        if self.noise_std is None:
            return self.captures.new_ones(*self.captures.shape[:2], 1, 1)
        inverse = self.noise_std**-2
        return inverse / inverse.mean(dim=1, keepdim=True)

    def chunks(self) -> Iterator[slice]:
        """Yield scenes to be solved together."""
        step = CHUNK_SCENES if self.captures.device.type == "cpu" else GPU_CHUNK_SCENES
        for start in range(0, len(self), step):
            yield slice(start, min(start + step, len(self)))

    def operator(self, scenes: slice) -> Operator:
        """Return A of some scenes."""
        return operator_at(self.imager, self.depth_um[scenes], self.frame_px)

    @without_autocast
    def map_chunks(self, solve: Callable[[Operator, slice], ChunkSolution]) -> Solution:
        """Solve all scenes, as many at a time as a cache holds, and join what is found.

        Args:
            solve: Function of the projection of some scenes and of their slice, along the axis of
                `captures` and `depth_um`.

        Returns:
            The solution, in the shape and kind of the captures.
        """
        chunks, residuals = [], []
        with torch.inference_mode():
            for scenes in self.chunks():
                operator = self.operator(scenes)
                chunk = solve(operator, scenes)
                self._check(chunk, scenes.stop - scenes.start)
                chunks.append(chunk)
                residual = self.relative_residual(operator, chunks[-1].layers, scenes)
                residuals.append(residual)
            return self.solution(chunks, residuals)

    def _check(self, chunk: object, scenes: int) -> None:
        """Refuse what a solver of a user returns for some scenes if it does not fit them."""
        if not isinstance(chunk, ChunkSolution):
            raise SolverError(
                f"a solver must return a ChunkSolution for each chunk; got {type(chunk).__name__}"
            )
        layers = (scenes, self.depth_um.shape[1], *self.frame_px)
        check_result("layers of a ChunkSolution", chunk.layers, layers, error=SolverError)
        for name in ("objective", "iterations", "converged"):
            check_result(
                f"{name} of a ChunkSolution",
                getattr(chunk, name),
                (scenes,),
                error=SolverError,
                numbers="any",
            )

    def relative_residual(self, operator: Operator, layers: Tensor, scenes: slice) -> Tensor:
        """Return (scene, sensor): |A layers - captures| / |captures|; |A layers| if it is dark."""
        return relative_residual(operator.A(layers), self.captures[scenes])

    def solution(self, chunks: list[ChunkSolution], residual: list[Tensor]) -> Solution:
        """Join what was found for the chunks, in the shape and kind of the captures."""

        def joined(parts: list[Tensor]) -> Any:
            whole = torch.cat(parts)
            return like(whole.reshape((*self.lead, *whole.shape[1:])), self.given)

        names = chunks[0].regularisation
        return Solution(
            layers=joined([p.layers for p in chunks]),
            objective=joined([p.objective for p in chunks]),
            iterations=joined([p.iterations for p in chunks]),
            converged=joined([p.converged for p in chunks]),
            regularisation={n: joined([p.regularisation[n] for p in chunks]) for n in names},
            residual=joined(residual),
        )


def _worst(values: Tensor) -> str:
    strange = values[~torch.isfinite(values)]
    return f"{float(strange[0] if len(strange) else values.min()):g}"


def per_scene(values: Tensor) -> Tensor:
    """Return values (scene,) that multiply images (scene, n, y, x)."""
    return values[:, None, None, None]


def check_option(
    name: str, value: float, *, least: float = 0.0, most: float = math.inf, open_: bool = False
) -> None:
    """Refuse an option that is not a finite number within its bounds.

    Raises:
        SolverError: it is not.
    """
    inside = least < value <= most if open_ else least <= value <= most
    if not (inside and math.isfinite(value)):
        bound = f"above {least:g}" if open_ else f"at least {least:g}"
        end = "" if math.isinf(most) else f" and at most {most:g}"
        raise SolverError(f"{name} must be {bound}{end}; got {value:g}")
