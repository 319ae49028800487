"""Progress as a user sees it: plain lines, and bars on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from fociscope.training.progress import ProgressUpdate, ValidationScores, in_hours

__all__ = ["ProgressBars", "progress_line", "progress_listeners"]

#: Width of the bars in characters, so that a line fits a terminal of 80.
BAR_WIDTH = 16
LONGEST_SILENCE_S = 60.0
"""Where no bars are drawn, a line is printed after so many seconds without one."""


def progress_line(update: ProgressUpdate) -> str | None:
    """Return the line that an update is worth; None if it is worth none.

    A line is printed when a phase begins and after each validation.
    """
    phase = update.phase
    if update.event == "begin":
        return f"{phase.name}: {phase.total} {phase.unit}"
    if update.scores is None:
        return None
    left = "" if update.left_s is None else f"; {in_hours(update.left_s)} left"
    return (
        f"{phase.name}: step {update.scores.step} of {phase.total}, "
        f"{100 * update.share:.0f} % of all: {_scores_in_words(update.scores)}{left}"
    )


class _Lines:
    """Writes a line for each update that is worth one, and one a minute where no bars are drawn."""

    def __init__(self, write: Callable[[str], None], *, every_minute: bool) -> None:
        self._write, self._every_minute = write, every_minute
        self._last_s = 0.0

    def __call__(self, update: ProgressUpdate) -> None:
        line, is_begin = progress_line(update), update.event == "begin"
        waited_s = update.took_s - self._last_s
        is_due = self._every_minute and update.event == "advance" and waited_s >= LONGEST_SILENCE_S
        if line is None and is_due:
            left = "" if update.left_s is None else f"; {in_hours(update.left_s)} left"
            phase = update.phase
            line = (
                f"{phase.name}: {update.done} of {phase.total} {phase.unit}, "
                f"{100 * update.share:.0f} % of all{left}"
            )
        if line is not None:
            self._last_s = 0.0 if is_begin else update.took_s
            self._write(line)


def _scores_in_words(scores: ValidationScores) -> str:
    return (
        f"loss {scores.loss:.4f}, accuracy {100 * scores.accuracy:.2f} %, "
        f"depth error {scores.depth_error_um:.1f} µm{', best so far' if scores.is_best else ''}"
    )


@contextmanager
def progress_listeners(
    *, show_progress: bool, report: Callable[[str], None] | None
) -> Iterator[list[Callable[[ProgressUpdate], None]]]:
    """Yield the listeners of a run's progress, and take the bars off the terminal afterwards.

    Args:
        show_progress: Whether to draw bars on the terminal.
        report: Receives each line; None for no lines.
    """
    listeners: list[Callable[[ProgressUpdate], None]] = []
    if report is not None:
        listeners.append(_Lines(report, every_minute=not show_progress))
    if not show_progress:
        yield listeners
        return
    bars = ProgressBars()
    try:
        yield [*listeners, bars]
    finally:
        bars.close()


class ProgressBars:
    """A bar for the phase that runs, and one for the whole run with the time that is left.

    They appear with the first update, so that of several processes the first one alone draws them.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Draw on a console; by default on stderr."""
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.fields[after]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._phase = self._bars.add_task("", total=None, after="")
        self._whole = self._bars.add_task("all", total=1.0, after="time left: not known yet")

    def __call__(self, update: ProgressUpdate) -> None:
        """Show an update."""
        self._bars.start()
        phase = update.phase
        if update.event == "begin":
            self._bars.reset(self._phase, total=phase.total)
        self._bars.update(
            self._phase,
            description=phase.name,
            completed=update.done,
            after=f"{update.done} of {phase.total} {phase.unit}",
        )
        after = "time left: not known yet"
        if update.left_s is not None:
            after = f"{100 * update.share:.0f} %, {in_hours(update.left_s)} left"
        self._bars.update(self._whole, completed=update.share, after=after)

    def close(self) -> None:
        """Take the bars off the terminal."""
        self._bars.stop()
