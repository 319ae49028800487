"""Progress of a run: phases, the time that is left, lines and bars."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from fociscope.training.export import export_phases
from fociscope.training.progress import (
    Phase,
    ProgressUpdate,
    TrainingProgress,
    ValidationScores,
    in_hours,
    stage_phases,
)
from fociscope.training.progress_display import (
    ProgressBars,
    progress_line,
    progress_listeners,
)
from fociscope.training.recipe import Recipe

SCORES = ValidationScores(2, 0.5, 0.9, 21.0, True)


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def updates() -> list[ProgressUpdate]:
    return []


@pytest.fixture
def run(clock: Clock, updates: list[ProgressUpdate]) -> TrainingProgress:
    phases = [Phase("focus", 10, "steps", 4, kind="training"), Phase("limits", 20)]
    return TrainingProgress(phases, [updates.append], clock=clock)


def at(clock: Clock, seconds: float, work: Callable[[], None]) -> None:
    clock.now = seconds
    work()


def test_the_first_unit_does_not_count_for_the_speed(
    run: TrainingProgress, clock: Clock, updates: list[ProgressUpdate]
) -> None:
    run.begin("focus")
    at(clock, 100.0, lambda: run.advance(1))  # it held a compilation
    assert updates[-1].left_s is None
    at(clock, 102.0, lambda: run.advance(2))
    # 4 scenes in 2 s; 8 steps of 4 scenes and 20 scenes are left.
    assert updates[-1].left_s == pytest.approx(26.0)
    assert updates[-1].share == pytest.approx(8 / 60)


def test_a_kind_that_has_run_is_expected_at_its_own_speed(
    run: TrainingProgress, clock: Clock, updates: list[ProgressUpdate]
) -> None:
    run.begin("focus")
    run.advance(1)
    at(clock, 4.0, lambda: run.advance(2))
    run.begin("limits")
    assert updates[-1].left_s == pytest.approx(20.0)
    run.add(2)
    at(clock, 6.0, lambda: run.add(4))
    assert updates[-1].left_s == pytest.approx(14 * 0.5)


def test_a_phase_that_ends_early_is_over(
    run: TrainingProgress, updates: list[ProgressUpdate]
) -> None:
    run.begin("focus")
    run.advance(3)
    run.begin("limits")
    assert [(u.event, u.phase.name) for u in updates[-2:]] == [
        ("end", "focus"),
        ("begin", "limits"),
    ]
    assert updates[-1].share == pytest.approx(40 / 60)


def test_lines_are_those_of_phases_and_validations(
    run: TrainingProgress, clock: Clock, updates: list[ProgressUpdate]
) -> None:
    run.begin("focus")
    run.advance(1)
    at(clock, 2.0, lambda: run.advance(2))
    run.validated(SCORES)
    lines = [line for update in updates if (line := progress_line(update))]
    assert lines == [
        "focus: 10 steps",
        "focus: step 2 of 10, 13 % of all: loss 0.5000, accuracy 90.00 %, depth error 21.0 µm, "
        "best so far; 26 s left",
    ]


def test_bars_show_the_phase_and_the_time_of_the_whole(clock: Clock) -> None:
    text = io.StringIO()
    bars = ProgressBars(Console(file=text, force_terminal=True, width=80, color_system=None))
    run = TrainingProgress([Phase("limits", 20)], [bars], clock=clock)
    run.begin("limits")
    run.advance(1)
    at(clock, 8.0, lambda: run.advance(5))
    bars.close()
    shown = text.getvalue()
    assert "limits" in shown
    assert "5 of 20 scenes" in shown
    assert "25 %, 30 s left" in shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(40, "40 s"), (119, "2 min"), (3540, "59 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_hours(seconds) == words


def test_phases_of_a_recipe_are_its_stages_and_the_export() -> None:
    two, one = Recipe.load("layers-ab"), Recipe.load("layers-a")
    phases = stage_phases(two)
    assert [phase.name for phase in phases[::2]] == [
        f"{p.name}: first scenes" for p in phases[1::2]
    ]
    assert [phase.total for phase in phases[1::2]] == [
        stage.optimisation.steps for stage in two.stage_recipes()
    ]
    assert phases[0].total == 400 + 64 * 64
    assert stage_phases(two, from_files=True)[0].total == 400
    assert [p.name for p in export_phases(two)][:2] == [
        "export: normalisation",
        "export: PSF width",
    ]
    assert "export: PSF width" not in [phase.name for phase in export_phases(one)]


def test_off_a_terminal_a_long_phase_says_once_a_minute_how_far_it_is() -> None:
    lines: list[str] = []
    phase = Phase("first scenes", 400)
    with progress_listeners(show_progress=False, report=lines.append) as (listener,):
        listener(ProgressUpdate(phase, 0, share=0.0, left_s=None, event="begin"))
        for done, took_s in ((10, 30.0), (25, 70.0), (40, 110.0), (60, 150.0)):
            left_s = 120.0 if done == 60 else None
            listener(ProgressUpdate(phase, done, share=done / 800, left_s=left_s, took_s=took_s))
    assert lines == [
        "first scenes: 400 scenes",
        "first scenes: 25 of 400 scenes, 3 % of all",
        "first scenes: 60 of 400 scenes, 8 % of all; 2 min left",
    ]
