"""The cells of a report's tables: numbers with their intervals, and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fociscope.evaluation.results import Score

__all__ = ["NONE", "Table", "milliseconds", "number", "share", "um"]

NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Table:
    """A table with a heading, and what one must know to read it."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> list[str]:
        """Return the lines of a Markdown table under its heading."""

        def line(cells: Iterable[str]) -> str:
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

        return [
            f"## {self.title}",
            "",
            self.note,
            "",
            line(self.columns),
            "|---" * len(self.columns) + "|",
            *(line(row) for row in self.rows),
            "",
        ]


def share(entry: Score | float | None, *, interval: bool = True) -> str:
    """Return a share in per cent, with its interval."""
    return number(entry, scale=100, digits=1, interval=interval)


def um(entry: Score | float | None, *, interval: bool = True) -> str:
    """Return a length in um, with its interval."""
    return number(entry, scale=1, digits=1, interval=interval)


def number(entry: Score | float | None, *, scale: float, digits: int, interval: bool) -> str:
    """Return a score, a plain number or one with an interval; a dash where there is none."""
    if entry is None:
        return NONE
    if not isinstance(entry, Score):
        return f"{scale * entry:.{digits}f}"
    if entry.value is None:
        return NONE
    text = f"{scale * entry.value:.{digits}f}"
    if interval and entry.low is not None and entry.high is not None:
        text += f" ({scale * entry.low:.{digits}f} … {scale * entry.high:.{digits}f})"
    return text


def milliseconds(seconds: float | None) -> str:
    """Return a time in ms."""
    return NONE if seconds is None else f"{1000 * seconds:.3g}"
