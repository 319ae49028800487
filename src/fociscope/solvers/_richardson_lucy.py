"""Richardson-Lucy: the layers under which captures that are counted photons are most likely.

Richardson (J. Opt. Soc. Am. 62:55-59, 1972), Lucy (Astron. J. 79:745-754, 1974); with several
sensors, the expectation-maximisation of Shepp and Vardi (IEEE Trans. Med. Imaging 1:113-122, 1982).
"""

from __future__ import annotations

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor
from fociscope.errors import SolverError
from fociscope.imager import Imager
from fociscope.solvers._iterations import Measured, iterate
from fociscope.solvers._least_squares import starting_layers
from fociscope.solvers._operators import Operator
from fociscope.solvers._problem import Problem, Progress, Solution, check_option

__all__ = ["richardson_lucy"]

#: Least light that an emitter must send to the sensors, relative to the one that sends most, to be
#: looked for; and least expected light of a pixel, relative to the brightest capture.
LEAST_SENT, LEAST_SEEN = 1e-6, 1e-7
#: N of White's damping: how sharply it sets in.
DAMPING_POWER = 10


def richardson_lucy(
    captures: ArrayLike,
    depth_um: ArrayLike,
    imager: Imager,
    *,
    iterations: int = 100,
    background: ArrayLike = 0.0,
    damping: float = 0.0,
    photons_per_unit: float = 1.0,
    start: ArrayLike | None = None,
    tolerance: float = 1e-3,
    progress: Progress | None = None,
) -> Solution:
    r"""Solve for the layers under which the captures, as photons, are most likely: Richardson-Lucy.

    Each iteration

    $$ x \leftarrow \frac{x}{A^\mathsf{T} 1} \, A^\mathsf{T} \frac{y}{A x + b} $$

    raises the Poisson likelihood (Richardson, J. Opt. Soc. Am. 62:55-59, 1972; Lucy, Astron. J.
    79:745-754, 1974). Pixels below 0, which noise makes, count as 0.

    Args:
        captures: Captures $y$, (..., sensor, y, x), in any unit of light.
        depth_um: Depths of the layers in um, (..., layer), or (layer,) for all scenes.
        imager: Instrument that took the captures; $A$ is its projection.
        iterations: Largest number of iterations; stopping early is what regularises.
        background: Light $b$ that comes from no layer, in the unit of the captures: a number,
            (sensor,) or (..., sensor).
        damping: White's (1994) threshold in standard deviations of the photons' noise: where $A x$
            is nearer to $y$ than that, the layers hardly change; 0 for none. The likelihood may
            then fall a little.
        photons_per_unit: Detected photons for a value of 1 in the captures; scales the objective
            and the noise that damping assumes.
        start: Layers to start from, (..., layer, y, x), not negative; None for uniform layers.
        tolerance: Relative change of the objective in ten iterations at which a scene is done; 0
            never stops early.
        progress: Called with the iterations done and their number, summed over scenes.

    Returns:
        The layers, (..., layer, y, x), not negative. `objective` is half the deviance,
        $\sum m - y + y \ln(y / m)$ with $m = A x + b$, in photons.

    Raises:
        CaptureError: If the captures do not fit the imager or are not finite.
        ImagerError: If a depth lies outside the imager.
        SolverError: If an option is out of its bounds, or the start is negative.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import richardson_lucy
        >>> scenes = simulate(2, seed=9000)
        >>> solution = richardson_lucy(
        ...     scenes.captures, scenes.depth_um, Imager.reference(), iterations=20
        ... )
        >>> solution.layers.shape, bool((solution.layers >= 0).all())
        ((2, 4, 51, 51), True)
    """
    check_option("damping", damping)
    check_option("photons_per_unit", photons_per_unit, open_=True)
    problem = Problem(captures, depth_um, imager)
    light = problem.per_sensor("background", background)
    if start is not None and not bool((as_tensor(start) >= 0).all()):
        raise SolverError("start must not be negative: Richardson-Lucy cannot change a sign")
    given = None if start is None else starting_layers(problem, start)

    def initial_state(operator: Operator, scenes: slice) -> _RichardsonLucy:
        return _RichardsonLucy(
            operator,
            problem.captures[scenes].clamp(min=0),
            light[scenes],
            problem.depth_um.shape[1],
            None if given is None else given[scenes],
            damping,
            photons_per_unit,
        )

    return iterate(
        problem, initial_state, iterations=iterations, tolerance=tolerance, progress=progress
    )


_OF_SCENES = "captures", "background", "inverse_sent", "least_seen", "layers", "seen", "last"


class _RichardsonLucy:
    """The state: layers, and what A makes of them."""

    def __init__(
        self,
        operator: Operator,
        captures: Tensor,
        background: Tensor,
        layers: int,
        start: Tensor | None,
        damping: float,
        photons_per_unit: float,
    ) -> None:
        self.operator, self.captures, self.background = operator, captures, background
        self.damping, self.photons_per_unit = damping, photons_per_unit
        self.regularisation: dict[str, Tensor] = {}
        sent = operator.A_adjoint(torch.ones_like(captures))
        least = LEAST_SENT * sent.amax(dim=(1, 2, 3), keepdim=True)
        self.inverse_sent = torch.where(sent > least, 1 / sent.clamp(min=1e-30), 0.0)
        if start is None:
            # As bright as the captures' light above the background.
            excess = (captures - background).sum((1, 2, 3), keepdim=True).clamp(min=0)
            reached = sent.sum((1, 2, 3), keepdim=True)
            excess = torch.maximum(excess, LEAST_SEEN * captures.sum((1, 2, 3), keepdim=True))
            start = (excess / reached).expand(sent.shape)
        self.layers = start * (self.inverse_sent > 0)
        self.least_seen = LEAST_SEEN * captures.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-30)
        self.seen = self._seen()
        self.last = self._half_deviance()

    def _seen(self) -> Tensor:
        """Return what the sensors should see; Fourier transforms may leave it just below 0."""
        return torch.maximum(self.operator.A(self.layers) + self.background, self.least_seen)

    def _half_deviance(self) -> Tensor:
        y, m = self.captures, self.seen
        terms = m - y + torch.xlogy(y, y / m)
        return self.photons_per_unit * terms.sum((1, 2, 3), dtype=torch.float64)

    def step(self) -> None:
        y, m = self.captures, self.seen
        if self.damping:
            # White's function of y / m: flat where the deviance is below the threshold's square.
            deviance = 2 * self.photons_per_unit * (m - y + torch.xlogy(y, y / m))
            u = (deviance / self.damping**2).clamp_(0, 1)
            n = DAMPING_POWER
            ratio = 1 + u ** (n - 1) * (n - (n - 1) * u) * (y - m) / m
        else:
            ratio = y / m
        back = self.operator.A_adjoint(ratio).clamp_(min=0)
        self.layers = self.layers * back.mul_(self.inverse_sent)
        self.seen = self._seen()

    def measured(self) -> Measured:
        now = self._half_deviance()
        change = (self.last - now).abs() / now.clamp(min=1e-30)
        self.last = now
        return Measured(self.layers, now.to(self.layers.dtype), change)

    def subset(self, scenes: Tensor) -> None:
        self.operator = self.operator.subset(scenes)
        for name in _OF_SCENES:
            setattr(self, name, getattr(self, name)[scenes])
