"""The table of solvers: what each is called, what it does and what it needs.

Evaluations, reports and the app read `SOLVERS`, and so do the contract tests: a solver that is
registered there, by this package, by a running program or by a plug-in, takes part in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from fociscope.arrays import ArrayLike
from fociscope.errors import SolverError
from fociscope.imager import Imager
from fociscope.registry import Registry
from fociscope.solvers._admm import admm
from fociscope.solvers._fista import fista
from fociscope.solvers._problem import Solution
from fociscope.solvers._richardson_lucy import richardson_lucy
from fociscope.solvers._tikhonov import tikhonov

__all__ = ["SOLVERS", "Solver", "SolverSpec"]


class Solver(Protocol):
    """A function that takes captures to layers at known depths.

    It accepts NumPy arrays and tensors and returns arrays of the kind of the captures; it solves
    each scene of a batch by itself, in any unit of light, and raises `CaptureError`, `ImagerError`
    or `SolverError` if its arguments do not fit. `Problem` checks and flattens the arguments, holds
    the projection of the imager, and shapes the `Solution`.

    Examples:
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import ChunkSolution, Problem
        >>> def backprojection(captures, depth_um, imager):
        ...     problem = Problem(captures, depth_um, imager)
        ...
        ...     def solve(operator, scenes):
        ...         layers = operator.A_adjoint(problem.captures[scenes])
        ...         return ChunkSolution.uniform(layers, objective=layers.new_zeros(len(layers)))
        ...
        ...     return problem.map_chunks(solve)
        >>> import numpy as np
        >>> backprojection(np.ones((2, 9, 9)), [300.0], Imager.reference()).layers.shape
        (1, 9, 9)
    """

    def __call__(
        self,
        captures: ArrayLike,
        depth_um: ArrayLike,
        imager: Imager,
        /,
        *args: Any,
        **options: Any,
    ) -> Solution:
        """Solve for layers.

        Args:
            captures: Captures, (..., sensor, y, x), in any unit of light.
            depth_um: Depths of the layers in um, (..., layer), or (layer,) for all scenes.
            imager: Instrument that took the captures.
            args: None; solvers take their options by name.
            options: Options of the solver, each with a default.

        Returns:
            Layers (..., layer, y, x) in the unit of the captures, and how they were found.
        """


@dataclass(frozen=True)
class SolverSpec:
    """What evaluations, reports and the app know of a solver; its name is that in `SOLVERS`.

    Examples:
        >>> from fociscope.solvers import SOLVERS, SolverSpec, tikhonov
        >>> spec = SolverSpec(tikhonov, label="Tikhonov, weak", options={"regularisation": 1e-6})
        >>> SOLVERS.register("tikhonov-weak", spec)
        >>> SOLVERS["tikhonov-weak"].label
        'Tikhonov, weak'
        >>> SOLVERS.unregister("tikhonov-weak")
    """

    solve: Solver
    """The function."""
    label: str
    """What legends and buttons call it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options with which it is evaluated and compared."""
    colour: str = "#56B4E9"
    """Of its lines in reports, as `#RRGGBB`."""
    marker: str = "P"
    """Of its points in reports, one of matplotlib's."""
    closed_form: bool = False
    """Whether it inverts the imager frequency by frequency, which needs a sensor B that is neither
    rotated nor scaled against sensor A."""
    needs_depths: bool = False
    """Whether it is of use at known depths alone, and not on a grid of depths; evaluations then
    offer it as an oracle (`NAME-oracle`), and the app does not."""
    non_negative: bool = True
    """Whether its layers, with these options, are never negative."""
    recommended: bool = False
    """Whether comparisons in the app begin with it: quick and robust."""

    def __post_init__(self) -> None:
        """Check what reports would fail on, and keep the options from being changed.

        Raises:
            SolverError: If `solve` cannot be called, there is no label, or the colour is no
                `#RRGGBB`.
        """
        if not callable(self.solve):
            raise SolverError(
                f"a solver needs a function of captures, depths and imager; got {self.solve!r}",
                fields=("solve",),
            )
        if not self.label:
            raise SolverError("a solver needs a label for legends; got none", fields=("label",))
        digits = self.colour.removeprefix("#")
        if len(digits) != 6 or set(digits.lower()) - set("0123456789abcdef"):
            raise SolverError(
                f"the colour of a solver must be written #RRGGBB; got {self.colour!r}",
                fields=("colour",),
                value=self.colour,
            )
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))


def _problem(_: str, member: Any) -> str | None:
    return None if isinstance(member, SolverSpec) else "expected a SolverSpec around the function"


SOLVERS: Registry[SolverSpec] = Registry(
    "solver", group="fociscope.solvers", error=SolverError, problem=_problem
)
"""Name -> solver. Colours are Okabe and Ito's, which colour-blind readers can tell apart."""

SOLVERS.register(
    "tikhonov",
    SolverSpec(
        tikhonov,
        label="Tikhonov",
        options={"non_negative": True},
        colour="#E69F00",
        marker="s",
        closed_form=True,
        recommended=True,
    ),
)
SOLVERS.register(
    "richardson-lucy",
    SolverSpec(
        richardson_lucy,
        label="Richardson-Lucy",
        options={"iterations": 100},
        colour="#009E73",
        marker="^",
        recommended=True,
    ),
)
SOLVERS.register(
    "fista",
    SolverSpec(fista, label="FISTA", options={"iterations": 100}, colour="#D55E00", marker="D"),
)
SOLVERS.register(
    "admm",
    SolverSpec(
        admm,
        label="ADMM",
        options={"iterations": 100},
        colour="#CC79A7",
        marker="v",
        closed_form=True,
    ),
)
