"""A design study: designs of a space, their quick scores, and the fronts among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import differential_evolution

from fociscope.design.chip import ImagerDesign
from fociscope.design.scores import COSTS, QUALITIES, DesignScores, score_design
from fociscope.design.space import DesignSpace
from fociscope.errors import FociscopeError
from fociscope.typing import BoolArray, Float64Array

if TYPE_CHECKING:
    from fociscope.imager import Imager

__all__ = ["DesignStudy", "pareto_front", "sweep"]

#: Individuals of a generation of the differential evolution: at least, and of all designs.
LEAST_GENERATION, GENERATIONS = 5, 4
#: What a design that cannot be scored is worth.
WORST = 1e9


@dataclass(frozen=True)
class DesignStudy:
    """Scores of all designs of a study.

    Attributes:
        space: What varied.
        base: The base imager.
        scores: Scores, the base's first, in the order in which designs were tried.

    Examples:
        >>> from fociscope.design import DesignSpace, sweep
        >>> study = sweep(DesignSpace(half_angle_deg=(14, 22), designs=2, scenes=16, network=False))
        >>> len(study.scores), sorted(study.fronts())
        (3, ['depth_bound_um', 'information_bits'])
    """

    space: DesignSpace
    base: Imager
    scores: tuple[DesignScores, ...]

    def fronts(self) -> dict[str, list[DesignScores]]:
        """Return the designs that no other beats in a quality and in all costs, by quality."""
        found = {}
        for name, less in QUALITIES.items():
            there = [s for s in self.scores if s.quality(name) is not None]
            if not there:
                continue
            rows = np.array(
                [
                    [
                        (1 if less else -1) * (s.quality(name) or 0.0),
                        *(getattr(s, c) for c in COSTS),
                    ]
                    for s in there
                ]
            )
            found[name] = [s for s, on in zip(there, pareto_front(rows), strict=True) if on]
        return found

    def best(self, quality: str) -> DesignScores | None:
        """Return the best design by a quality; None if none has it."""
        there = [s for s in self.scores if s.quality(quality) is not None]
        if not there:
            return None
        sign = 1 if QUALITIES[quality] else -1
        return min(there, key=lambda s: sign * (s.quality(quality) or 0.0))


def pareto_front(values: ArrayLike) -> BoolArray:
    """Return which rows no other row beats: none is as small in all columns and smaller in one.

    Args:
        values: (row, column), less is better.

    Returns:
        (row,) whether it is on the front.

    Examples:
        >>> from fociscope.design import pareto_front
        >>> pareto_front([[1, 3], [2, 2], [3, 3]]).tolist()
        [True, True, False]
    """
    rows = np.asarray(values, np.float64)
    below = (rows[:, None] <= rows[None]).all(axis=2) & (rows[:, None] < rows[None]).any(axis=2)
    return np.asarray(~below.any(axis=0))


def sweep(
    space: DesignSpace,
    *,
    progress: Callable[[int, int], None] | None = None,
    known: Iterable[DesignScores] = (),
    on_score: Callable[[DesignScores], None] | None = None,
) -> DesignStudy:
    """Score the designs of a space, or look for the best one.

    Args:
        space: What varies, and how it is searched.
        progress: Called with the number of designs done and their total.
        known: Scores of an earlier run of the same space, which are not computed again.
        on_score: Called with each new score, such as to store it.

    Returns:
        The study. Designs that the network was not trained for are in it, with the reason.

    Raises:
        FociscopeError: If there is no such base, or nothing can be scored.

    Examples:
        >>> from fociscope.design import DesignSpace, sweep
        >>> study = sweep(DesignSpace(pixel_pitch_um=(50, 60), designs=2, scenes=16))
        >>> study.best("depth_error_um").network.model
        'layers-ab'
    """
    base = space.base_imager()
    at_hand = {scores.design: scores for scores in known}
    found: dict[ImagerDesign, DesignScores] = {}
    points = space.points()
    total = 1 + (len(points) if space.search != "optimise" else _evaluations(space))

    def score(design: ImagerDesign) -> DesignScores:
        if design not in found:
            scores = at_hand.get(design)
            if scores is None:
                scores = score_design(design, space, base=base, number=len(found))
                if on_score is not None:
                    on_score(scores)
            found[design] = replace(scores, number=len(found))
            if progress is not None:
                progress(min(len(found), total), total)
        return found[design]

    score(space.base_design(base))
    if space.search == "optimise":
        _optimise(space, base, score)
    else:
        for design in points:
            score(design)
    return DesignStudy(space, base, tuple(found.values()))


def _generation(space: DesignSpace) -> int:
    return max(LEAST_GENERATION, space.designs // GENERATIONS)


def _evaluations(space: DesignSpace) -> int:
    generation = _generation(space)
    return generation * max(1, space.designs // generation)


def _optimise(
    space: DesignSpace, base: Imager, score: Callable[[ImagerDesign], DesignScores]
) -> None:
    """Run a differential evolution (Storn and Price, J. Global Optim. 11:341, 1997)."""
    sign = 1 if QUALITIES[space.objective] else -1
    if not space.network and space.objective not in ("depth_bound_um", "information_bits"):
        raise FociscopeError(
            f"objective = {space.objective!r} needs the network; set network = true, or take "
            "depth_bound_um or information_bits",
            fields=("objective",),
        )

    def worth(shares: Float64Array) -> float:
        value = score(space.at(shares, base)).quality(space.objective)
        return WORST if value is None else sign * value

    generation = _generation(space)
    places = len(space.varying()) + 1
    rng = np.random.default_rng([space.seed, 1])
    differential_evolution(
        worth,
        [(0.0, 1.0)] * places,
        init=rng.random((generation, places)),
        maxiter=max(1, space.designs // generation) - 1,
        tol=0.0,
        polish=False,
        rng=rng,
    )
