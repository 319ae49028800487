"""Running methods over a suite: the same scenes for all, scored batch by batch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.evaluation._scores import ScoreAccumulator
from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.generalisation import HeldOutFamily
from fociscope.evaluation.limits._suite import depth_limit
from fociscope.evaluation.methods import ModelMethod, ReconstructionMethod
from fociscope.evaluation.results import (
    ConditionResult,
    ConditionSummary,
    DepthLimit,
    EvaluationResults,
    MethodScores,
    MethodSummary,
    NotApplicable,
    SuiteSummary,
    assembled,
)
from fociscope.evaluation.suite import VALIDATION, Condition, Suite
from fociscope.imager.geometry import Imager
from fociscope.typing import BoolArray, Float32Array

__all__ = ["Case", "Evaluation", "ScoredSet", "evaluate", "evaluate_suite"]

Progress = Callable[[str, int, int], None]
"""Called with the condition's name, the scenes done (once per method), and all of them."""

BOOTSTRAP_SEED = 0
#: Groups of conditions that are also scored in bins of depth, and whose cases are kept.
WITH_DEPTH_CURVES = ("reference", "published", "single-layer", "data")
WITH_CASES = ("reference", "data")


class ScoredSet(Protocol):
    """Scenes that methods are scored on: a `Condition` of a suite, or a data set."""

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
        """On how many of them, the first ones, slow methods are scored."""

    @property
    def imager(self) -> Imager:
        """That the frame and the depths belong to."""

    @property
    def task(self) -> ReconstructionTask:
        """What methods are told."""

    def batches(self) -> Iterator[Batch]:
        """Yield the scenes."""

    def described(self) -> ConditionSummary:
        """Return what the condition is, for the results."""


@dataclass(frozen=True)
class Case:
    """One scene with what the evaluated method made of it, for a picture."""

    title: str
    """`best`, `median` or `worst`."""
    accuracy: float
    number: int
    """Of the scene in its condition."""
    captures: Float32Array
    true_mask: BoolArray
    true_depth_um: Float32Array
    estimate: Prediction


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation, and the scenes for its pictures."""

    results: EvaluationResults
    cases: tuple[Case, ...] = ()
    """The best, the median and the worst scene of the first reference condition or data set."""


def evaluate_suite(
    suite: Suite, methods: Sequence[ReconstructionMethod], *, progress: Progress | None = None
) -> Evaluation:
    """Score methods on the scenes of a suite; the first method is the one that is evaluated.

    Args:
        suite: Suite whose conditions are scored.
        methods: The evaluated method, then the baselines.
        progress: Called with the name of the condition, the scenes done, and their number.

    Returns:
        The results, and scenes for pictures.

    Raises:
        FociscopeError: If the evaluated method supports none of the conditions.

    Examples:
        >>> from fociscope.evaluation import evaluate_suite, find_method, find_suite, selected
        >>> suite = selected(find_suite("quick"), "layers-2")
        >>> done = evaluate_suite(suite, [find_method("constant")])
        >>> scores = done.results.conditions[0].scored("constant")
        >>> 0 < scores.accuracy.value < 1
        True
    """
    summary = SuiteSummary(
        name=suite.name,
        version=suite.version,
        validation_seed=VALIDATION.seed,
        bootstrap_seed=BOOTSTRAP_SEED,
    )
    test_only = tuple(c.name for c in suite.conditions if isinstance(c, HeldOutFamily))
    if test_only:
        summary = summary.model_copy(update={"test_only": test_only})
    return evaluate(suite.conditions, methods, summary, progress=progress)


def evaluate(
    conditions: Sequence[ScoredSet],
    methods: Sequence[ReconstructionMethod],
    suite: SuiteSummary,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Score methods on conditions of a suite or on data sets, each scene being read once for all.

    Args:
        conditions: Conditions and data sets that are scored, at least one.
        methods: The evaluated method, then the baselines.
        suite: Name of the suite or the sets and what else identifies them, for the results.
        progress: Called with the name of the condition, the scenes done, and their number.

    Returns:
        The results, and scenes for pictures.

    Raises:
        FociscopeError: If the evaluated method supports none of the conditions.

    Examples:
        >>> from fociscope.evaluation import SuiteSummary, evaluate, find_method, find_suite
        >>> few = [c for c in find_suite("quick").conditions if c.name == "layers-2"]
        >>> done = evaluate(few, [find_method("constant")], SuiteSummary(name="two layers"))
        >>> [condition.name for condition in done.results.conditions]
        ['layers-2']
    """
    total = sum(condition.scenes for condition in conditions) * len(methods)
    seconds: dict[str, list[float]] = {method.name: [] for method in methods}
    count = 0
    rows: list[ConditionResult] = []
    cases: tuple[Case, ...] = ()

    def step(name: str, scenes: int) -> None:
        nonlocal count
        count += scenes
        if progress is not None:
            progress(name, count, total)

    _refuse_the_impossible(conditions, methods[0])
    for method in methods:
        method.prepare()
    for condition in conditions:
        row, kept = _run(condition, methods, seconds, step)
        rows.append(row)
        cases = cases or kept
    results = assembled(
        suite,
        {method.name: _described(method, seconds[method.name]) for method in methods},
        tuple(rows),
        pixel_pitch_um=conditions[0].imager.square_pitch_um,
    )
    return Evaluation(results, cases)


def _refuse_the_impossible(conditions: Sequence[ScoredSet], method: ReconstructionMethod) -> None:
    """Say so at once where the evaluated method can answer nothing at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FociscopeWarning)
        reasons = [method.unsupported_reason(condition.task) for condition in conditions]
    if all(reason is not None for reason in reasons):
        raise FociscopeError(f"{method.name} cannot be evaluated here: {reasons[0]}")


def _run(
    condition: ScoredSet,
    methods: Sequence[ReconstructionMethod],
    seconds: dict[str, list[float]],
    step: Callable[[str, int], None],
) -> tuple[ConditionResult, tuple[Case, ...]]:
    """Score all methods on one condition, each scene simulated once; keep scenes for pictures."""
    task, imager = condition.task, condition.imager
    accumulators: dict[str, ScoreAccumulator] = {}
    refused: dict[str, str] = {}
    spent: dict[str, list[float]] = {method.name: [] for method in methods}
    keeper = _Keeper() if condition.group in WITH_CASES else None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FociscopeWarning)
        for method in methods:
            reason = method.unsupported_reason(task)
            if reason is None:
                accumulators[method.name] = ScoreAccumulator(
                    pixel_pitch_um=imager.square_pitch_um, deepest_um=imager.gap_um
                )
            else:
                refused[method.name] = reason
        for batch in condition.batches():
            for method in methods:
                accumulator = accumulators.get(method.name)
                some = batch
                if method.slow and accumulator is not None:
                    some = batch.first(max(0, condition.slow_scenes - accumulator.scenes))
                if accumulator is not None and len(some):
                    start = time.perf_counter()
                    estimate = method.estimate(some, task)
                    spent[method.name].append((time.perf_counter() - start) / len(some))
                    placed = accumulator.add(some, estimate)
                    if keeper is not None and method is methods[0]:
                        keeper.look(some, placed)
                step(condition.name, len(batch))
    by_depth = condition.group in WITH_DEPTH_CURVES
    limit = depth_limit(condition) if by_depth and isinstance(condition, Condition) else None
    scores: dict[str, MethodScores | NotApplicable] = {}
    for method in methods:
        name = method.name
        if name in refused:
            scores[name] = NotApplicable(not_applicable=refused[name])
            continue
        scored = accumulators[name].scores(seed=BOOTSTRAP_SEED, by_depth=by_depth)
        scores[name] = scored.model_copy(update={"seconds_per_scene": _median(spent[name])})
        seconds[name] += spent[name]
    notes = tuple(dict.fromkeys(str(w.message) for w in heard))
    row = _row(condition.described(), scores, limit, notes)
    return row, () if keeper is None else keeper.cases()


def _row(
    condition: ConditionSummary,
    scores: dict[str, MethodScores | NotApplicable],
    limit: DepthLimit | None,
    notes: tuple[str, ...],
) -> ConditionResult:
    """Return a condition with its scores; what is not known of it is left unset."""
    known: dict[str, object] = {
        name: getattr(condition, name) for name in condition.model_fields_set
    }
    known["scores"] = scores
    if limit is not None:
        known["depth_limit"] = limit
    if notes:
        known["notes"] = notes
    return ConditionResult.model_validate(known)


def _described(method: ReconstructionMethod, seconds: list[float]) -> MethodSummary:
    summary = MethodSummary(
        kind=method.kind,
        inputs=method.inputs,
        oracle=method.oracle,
        seconds_per_scene=_median(seconds),
    )
    if not isinstance(method, ModelMethod):
        return summary
    return summary.model_copy(
        update={"sha256": method.sha256, "layers": method.layers, "sensors": method.sensors}
    )


def _median(seconds: list[float]) -> float | None:
    return float(f"{np.median(seconds):.4g}") if seconds else None


class _Keeper:
    """Keeps the scenes of a condition until the best, the median and the worst are known."""

    def __init__(self) -> None:
        self._accuracy: list[float] = []
        self._scenes: list[tuple[Float32Array, BoolArray, Float32Array, Prediction]] = []

    def look(self, batch: Batch, estimate: Prediction) -> None:
        if batch.mask is None or batch.depth_um is None:
            return
        right = (estimate.mask == batch.mask).mean(axis=(1, 2, 3))
        for n in range(len(batch)):
            self._accuracy.append(float(right[n]))
            self._scenes.append(
                (batch.captures[n], batch.mask[n], batch.depth_um[n], estimate.scene(n))
            )

    def cases(self) -> tuple[Case, ...]:
        """Return the best, the median and the worst scene by accuracy."""
        order = np.argsort(self._accuracy, kind="stable")
        if len(order) == 0:
            return ()
        places = {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}
        return tuple(
            Case(title, self._accuracy[n], int(n), *self._scenes[n]) for title, n in places.items()
        )
