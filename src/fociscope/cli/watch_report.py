"""What the verbs print while they follow an instrument: a line for each capture, or JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.markup import escape

from fociscope.cli.common import err
from fociscope.errors import printable
from fociscope.series.following import WatchedFrame, WatchState, stop_at_signals

__all__ = ["FrameLines", "follow", "print_json", "print_new"]

#: Where there is no terminal to draw a line anew on, the state is printed so often.
REPORT_EVERY_S = 10.0
#: Captures of a look that are printed each, at most; those that are odd always are.
MOST_FRAMES_SHOWN = 3

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class FrameLines:
    """How a verb prints the captures that it has followed."""

    line: Callable[[WatchedFrame], str]
    is_odd: Callable[[WatchedFrame], bool]
    """Whether a capture is printed in any case."""
    table: str
    """File that holds all of them."""
    works_with: str
    """What `WatchState.model` names; empty if it is printed otherwise."""


def follow(
    paths: Sequence[Path],
    lines: FrameLines,
    watch: Callable[[Callable[[], bool], Callable[[WatchState], None]], Outcome],
    *,
    as_json: bool,
) -> Outcome:
    """Follow an instrument until Ctrl-C, and print each capture.

    Args:
        paths: What is followed.
        lines: How captures are printed.
        watch: Runs the watch with the functions `stopped` and `report`.
        as_json: Whether to print a line of JSON for each capture and for each that was left out,
            and nothing else, to stdout.
    """
    followed = " + ".join(path.name for path in paths)
    err.print(f"Following {escape(followed)}; Ctrl-C ends it.", highlight=False, soft_wrap=True)
    last, model = -REPORT_EVERY_S, ""

    with stop_at_signals() as stopped, err.status("waiting for captures") as status:

        def report(state: WatchState) -> None:
            nonlocal last, model
            if lines.works_with and state.model != model:
                model = state.model
                said = f"{lines.works_with}: {escape(model)}."
                err.print(said, highlight=False, soft_wrap=True)
            print_new(state, lines, as_json)
            line = f"{state.frames} frame(s), {state.rate_per_s:.1f}/s, {state.waiting} waiting"
            status.update(line)
            if not err.is_terminal and time.monotonic() - last >= REPORT_EVERY_S:
                last = time.monotonic()
                err.print(line, highlight=False)

        return watch(stopped, report)


def print_new(state: WatchState, lines: FrameLines, as_json: bool) -> None:
    """Print captures that were worked on, or left out, since the look before."""
    for frame in state.new if as_json else ():
        print_json("frame", frame.to_json())
    for one in state.skipped:
        if as_json:
            print_json("left_out", {"name": one.name, "why": one.why})
        err.print(
            f"[yellow]left out:[/] {escape(printable(one.name))}: {escape(one.why)}",
            highlight=False,
            soft_wrap=True,
        )
    shown = [frame for frame in state.new if lines.is_odd(frame)]
    if not as_json:
        shown = [one for one in state.new if one in shown or one in state.new[-MOST_FRAMES_SHOWN:]]
    for frame in shown:
        err.print(lines.line(frame), highlight=False, soft_wrap=True)
    if len(shown) < len(state.new) and not as_json:
        before = len(state.new) - len(shown)
        err.print(f"  and {before} before, see {lines.table}", highlight=False)


def print_json(event: str, content: dict[str, Any]) -> None:
    """Print one line of JSON, at once."""
    print(json.dumps({"event": event, **content}), flush=True)
