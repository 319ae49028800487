"""Running candidates over a suite: the same scenes for all, scored batch by batch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.evaluation.batches import Batch, Estimate, Told
from fociscope.evaluation.limits.suite import depth_limit
from fociscope.evaluation.methods.models import Candidate, Trained
from fociscope.evaluation.results import Results, header
from fociscope.evaluation.scores import Tally
from fociscope.evaluation.suite import VALIDATION, Condition, Suite
from fociscope.imager.geometry import Imager
from fociscope.typing import BoolArray, Float32Array

__all__ = ["Case", "Evaluation", "ScoredSet", "evaluate", "evaluate_suite"]

Progress = Callable[[str, int, int], None]
"""Called with the condition's name, the scenes done (once per candidate), and all of them."""

BOOTSTRAP_SEED = 0
#: Groups of conditions that are also scored in bins of depth, and whose cases are kept.
WITH_DEPTH_CURVES = ("reference", "published", "single-layer", "data")
WITH_CASES = ("reference", "data")


class ScoredSet(Protocol):
    """Scenes that candidates are scored on: a `Condition` of a suite, or a data set."""

    @property
    def name(self) -> str:
        """Of the condition."""

    @property
    def group(self) -> str:
        """What varies."""

    @property
    def scenes(self) -> int:
        """How many."""

    @property
    def slow_scenes(self) -> int:
        """On how many of them, the first ones, slow candidates are scored."""

    @property
    def imager(self) -> Imager:
        """That the frame and the depths belong to."""

    @property
    def to_tell(self) -> Told:
        """What candidates are told."""

    def batches(self) -> Iterator[Batch]:
        """Yield the scenes."""

    def described(self) -> dict[str, Any]:
        """Return what the condition is, ready for JSON."""


@dataclass(frozen=True)
class Case:
    """One scene with what the evaluated candidate made of it, for a picture."""

    title: str
    """`best`, `median` or `worst`."""
    accuracy: float
    number: int
    """Of the scene in its condition."""
    captures: Float32Array
    true_mask: BoolArray
    true_depth_um: Float32Array
    estimate: Estimate


@dataclass
class Evaluation:
    """What came out."""

    results: Results
    cases: list[Case] = field(default_factory=list)


def evaluate_suite(
    suite: Suite, candidates: Sequence[Candidate], *, progress: Progress | None = None
) -> Evaluation:
    """Run candidates over a suite; the first one is the one that is evaluated.

    Args:
        suite: whose conditions are scored.
        candidates: the evaluated one, then the baselines.
        progress: told how far it is.
    """
    described = {
        "name": suite.name,
        "version": suite.version,
        "validation_seed": VALIDATION.seed,
        "bootstrap_seed": BOOTSTRAP_SEED,
    }
    return evaluate(suite.conditions, candidates, described, progress=progress)


def evaluate(
    conditions: Sequence[ScoredSet],
    candidates: Sequence[Candidate],
    described: dict[str, Any],
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Run candidates over scored sets.

    Args:
        conditions: what is scored on.
        candidates: the evaluated one, then the baselines.
        described: which sets these are, for the results.
        progress: told how far it is.

    Raises:
        FociscopeError: the evaluated candidate can answer none of them.
    """
    done = Evaluation(header(described))
    total = sum(condition.scenes for condition in conditions) * len(candidates)
    seconds: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    count, rows = 0, []

    def step(name: str, scenes: int) -> None:
        nonlocal count
        count += scenes
        if progress is not None:
            progress(name, count, total)

    _refuse_the_impossible(conditions, candidates[0])
    for candidate in candidates:
        candidate.prepare()
    for condition in conditions:
        rows.append(_run(condition, candidates, done, seconds, step))
    done.results["pixel_pitch_um"] = conditions[0].imager.pixel_pitch_um
    done.results["candidates"] = {
        candidate.name: _described(candidate, seconds[candidate.name]) for candidate in candidates
    }
    done.results["conditions"] = rows
    return done


def _refuse_the_impossible(conditions: Sequence[ScoredSet], candidate: Candidate) -> None:
    """Say so at once where the evaluated candidate can answer nothing at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FociscopeWarning)
        reasons = [candidate.refusal(condition.to_tell) for condition in conditions]
    if all(reason is not None for reason in reasons):
        raise FociscopeError(f"{candidate.name} cannot be evaluated here: {reasons[0]}")


def _run(
    condition: ScoredSet,
    candidates: Sequence[Candidate],
    done: Evaluation,
    seconds: dict[str, list[float]],
    step: Callable[[str, int], None],
) -> dict[str, Any]:
    """Score all candidates on one condition, each scene simulated once."""
    told, imager = condition.to_tell, condition.imager
    books: dict[str, Tally] = {}
    refused: dict[str, str] = {}
    spent: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    keeper = _Keeper() if condition.group in WITH_CASES else None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FociscopeWarning)
        for candidate in candidates:
            reason = candidate.refusal(told)
            if reason is None:
                books[candidate.name] = Tally(
                    pixel_pitch_um=imager.pixel_pitch_um, deepest_um=imager.gap_um
                )
            else:
                refused[candidate.name] = reason
        for batch in condition.batches():
            for candidate in candidates:
                book = books.get(candidate.name)
                some = batch
                if candidate.slow and book is not None:
                    some = batch.first(max(0, condition.slow_scenes - book.scenes))
                if book is not None and len(some):
                    start = time.perf_counter()
                    estimate = candidate.estimate(some, told)
                    spent[candidate.name].append((time.perf_counter() - start) / len(some))
                    placed = book.add(some, estimate)
                    if keeper is not None and candidate is candidates[0]:
                        keeper.look(some, placed)
                step(condition.name, len(batch))
    by_depth = condition.group in WITH_DEPTH_CURVES
    limit = depth_limit(condition) if by_depth and isinstance(condition, Condition) else None
    scores: dict[str, Any] = {}
    for candidate in candidates:
        name = candidate.name
        if name in refused:
            scores[name] = {"not_applicable": refused[name]}
            continue
        scores[name] = books[name].scores(seed=BOOTSTRAP_SEED, by_depth=by_depth)
        scores[name]["seconds_per_scene"] = _median(spent[name])
        seconds[name] += spent[name]
    if keeper is not None and not done.cases:
        done.cases = keeper.cases()
    notes = list(dict.fromkeys(str(w.message) for w in heard))
    row = {**condition.described(), "scores": scores}
    if limit is not None:
        row["depth_limit"] = limit
    if notes:
        row["notes"] = notes
    return row


def _described(candidate: Candidate, seconds: list[float]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "kind": candidate.kind,
        "told": candidate.told,
        "oracle": candidate.oracle,
        "seconds_per_scene": _median(seconds),
    }
    if isinstance(candidate, Trained):
        about["sha256"] = candidate.sha256
        about["layers"], about["sensors"] = candidate.layers, candidate.sensors
    return about


def _median(seconds: list[float]) -> float | None:
    return float(f"{np.median(seconds):.4g}") if seconds else None


class _Keeper:
    """Keeps the scenes of a condition until the best, the median and the worst are known."""

    def __init__(self) -> None:
        self._accuracy: list[float] = []
        self._scenes: list[tuple[Any, ...]] = []

    def look(self, batch: Batch, estimate: Estimate) -> None:
        if batch.mask is None or batch.depth_um is None:
            return
        right = (estimate.mask == batch.mask).mean(axis=(1, 2, 3))
        for n in range(len(batch)):
            self._accuracy.append(float(right[n]))
            self._scenes.append(
                (batch.captures[n], batch.mask[n], batch.depth_um[n], estimate.scene(n))
            )

    def cases(self) -> list[Case]:
        """Return the best, the median and the worst scene by accuracy."""
        order = np.argsort(self._accuracy, kind="stable")
        if len(order) == 0:
            return []
        places = {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}
        return [
            Case(title, self._accuracy[n], int(n), *self._scenes[n]) for title, n in places.items()
        ]
