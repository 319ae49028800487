"""Progress of a run: its phases in their order, what is done, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fociscope.training.recipe import Recipe

__all__ = [
    "Phase",
    "ProgressUpdate",
    "TrainingProgress",
    "ValidationScores",
    "in_hours",
    "stage_phases",
]

#: A speed counts once it has been measured for so long, in seconds.
SHORTEST_MEASURED_S = 0.5


@dataclass(frozen=True)
class Phase:
    """A part of a run that a user can name, such as a stage.

    Examples:
        >>> from fociscope.training import Phase
        >>> Phase("stage 1 of 2, focus", 500, unit="steps", scenes_per_unit=32).scenes
        16000
    """

    name: str
    total: int
    """Units of work."""
    unit: str = "scenes"
    scenes_per_unit: int = 1
    kind: str = "export"
    """Phases of a kind take equally long for each scene: `simulation`, `training`, `export`,
    `card`."""

    @property
    def scenes(self) -> int:
        """Number of scenes that it works on, counted as often as it does."""
        return self.total * self.scenes_per_unit


class ValidationScores(NamedTuple):
    """Scores of one validation.

    Examples:
        >>> from fociscope.training import ValidationScores
        >>> ValidationScores(500, 0.41, 0.912, 31.2, is_best=True).accuracy
        0.912
    """

    step: int
    loss: float
    accuracy: float
    """Mean share (0 to 1) of pixels right."""
    depth_error_um: float
    is_best: bool
    """Whether no validation of the stage before it was better."""


@dataclass(frozen=True)
class ProgressUpdate:
    """State of a run when a phase begins, goes on or ends, or weights were validated.

    Examples:
        >>> from fociscope.training import Phase, ProgressUpdate
        >>> update = ProgressUpdate(Phase("export: limits", 2000), 500, share=0.9, left_s=30.0)
        >>> update.event, update.done
        ('advance', 500)
    """

    phase: Phase
    done: int
    """Units of the phase."""
    share: float
    """Share (0 to 1) of the work of all phases, in scenes, that is done."""
    left_s: float | None
    """Estimate of the time in seconds until the last phase ends; None until a speed is known."""
    scores: ValidationScores | None = None
    """Of the validation, if there was one just now."""
    event: str = "advance"
    """`begin`, `advance`, `validation` or `end` (of the phase)."""
    took_s: float = 0.0
    """Seconds since the phase began."""


class TrainingProgress:
    """Counts the work of a run, phase by phase, and estimates the time that is left.

    The speed of a phase is measured while it runs. A phase of a kind that has not run yet is
    expected to take as long for each scene as the kind that ran last.

    Examples:
        >>> from fociscope.training import Phase, TrainingProgress
        >>> seconds = iter((0.0, 1.0, 2.0, 3.0, 4.0, 5.0))
        >>> progress = TrainingProgress(
        ...     [Phase("focus", 10, kind="training"), Phase("limits", 5)],
        ...     listeners=[lambda update: print(update.event, update.done, update.left_s)],
        ...     clock=lambda: next(seconds),
        ... )
        >>> progress.begin("focus")
        begin 0 None
        >>> progress.advance(1)
        advance 1 None
        >>> progress.advance(4)
        advance 4 3.6666666666666665
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        listeners: Sequence[Callable[[ProgressUpdate], None]] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Plan a run.

        Args:
            phases: Phases in the order in which they run; each name comes once.
            listeners: Functions that receive each update.
            clock: Source of the time in seconds.
        """
        self.phases = tuple(phases)
        self._listeners = tuple(listeners)
        self._clock = clock
        self._numbers = {phase.name: n for n, phase in enumerate(self.phases)}
        self._current: int | None = None
        self._done = 0
        self._began_s = 0.0
        self._measured_from: tuple[float, int] | None = None
        self._seconds_per_scene: dict[str, float] = {}

    def begin(self, name: str, done: int = 0) -> None:
        """Begin a phase; all phases before it are over.

        Args:
            name: Name of one of the phases.
            done: Units of it that an earlier part of the run has done.
        """
        self.end()
        self._current, self._done = self._numbers[name], done
        self._began_s = self._clock()
        self._measured_from = None
        self._notify("begin", self._began_s)

    def advance(self, done: int) -> None:
        """Note how many units of the current phase are done."""
        phase, now_s = self._phase(), self._clock()
        self._done = min(done, phase.total)
        if self._measured_from is None:  # the first unit may hold a compilation
            self._measured_from = now_s, self._done
        since_s, since = self._measured_from
        scenes = (self._done - since) * phase.scenes_per_unit
        if scenes > 0 and now_s - since_s >= SHORTEST_MEASURED_S:
            self._seconds_per_scene.pop(phase.kind, None)  # so that it becomes the last one
            self._seconds_per_scene[phase.kind] = (now_s - since_s) / scenes
        self._notify("advance", now_s)

    def validated(self, scores: ValidationScores) -> None:
        """Note the scores of a validation in the current phase."""
        self._notify("validation", self._clock(), scores)

    def add(self, units: int) -> None:
        """Note how many more units of the current phase are done."""
        self.advance(self._done + units)

    def end(self) -> None:
        """End the current phase, whether or not all of its units are done."""
        if self._current is not None:
            self._notify("end", self._clock())
            self._current = None

    def _phase(self) -> Phase:
        if self._current is None:
            raise ValueError("no phase has begun")
        return self.phases[self._current]

    def _notify(self, event: str, now_s: float, scores: ValidationScores | None = None) -> None:
        phase = self._phase()
        update = ProgressUpdate(
            phase=phase,
            done=self._done,
            share=self._share(),
            left_s=self._left_s(),
            scores=scores,
            event=event,
            took_s=now_s - self._began_s,
        )
        for listener in self._listeners:
            listener(update)

    def _left(self) -> Iterator[tuple[Phase, int]]:
        """Yield the phases that are not over, and the scenes that are left in each."""
        current = self._current or 0
        for number, phase in enumerate(self.phases[current:], start=current):
            done = self._done if number == current else 0
            yield phase, (phase.total - done) * phase.scenes_per_unit

    def _share(self) -> float:
        whole = sum(phase.scenes for phase in self.phases)
        return 1 - sum(scenes for _, scenes in self._left()) / max(whole, 1)

    def _left_s(self) -> float | None:
        known = self._seconds_per_scene
        if not known:
            return None
        latest = next(reversed(known.values()))
        return sum(scenes * known.get(phase.kind, latest) for phase, scenes in self._left())


def stage_phases(recipe: Recipe, *, from_files: bool = False) -> list[Phase]:
    """Return the phases of training by a recipe: of each stage, its first scenes and its steps.

    Args:
        recipe: Recipe of the run.
        from_files: Whether it trains on files, so that only validation scenes are simulated.
    """
    phases = []
    for number, each in enumerate(recipe.stage_recipes(), start=1):
        name = stage_name(recipe, number)
        validation, stream = each.validation, each.stream
        scenes = validation.scenes + validation.mixture_scenes
        if not from_files:
            scenes += stream.pool_chunks * stream.chunk_scenes
        phases.append(Phase(first_scenes_name(name), scenes, kind="simulation"))
        settings = each.optimisation
        batch = settings.batch_scenes
        phases.append(Phase(name, settings.steps, "steps", batch, kind="training"))
    return phases


def stage_name(recipe: Recipe, number: int) -> str:
    """Return the name of the phase in which a stage is trained, counted from 1."""
    if not recipe.stages:
        return "training"
    return f"stage {number} of {len(recipe.stages)}, {recipe.stages[number - 1].name}"


def first_scenes_name(stage: str) -> str:
    """Return the name of the phase in which a stage simulates its first scenes."""
    return f"{stage}: first scenes"


def in_hours(seconds: float) -> str:
    """Return a duration in words, such as `2 h 05 min` or `40 s`.

    Args:
        seconds: Duration in seconds.
    """
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes >= 2 else f"{round(seconds)} s"
