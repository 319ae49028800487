"""What `fociscope locate` prints: the plan, emitters, and what to beware of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from fociscope.cli.common import err, out, print_pairs, print_table, progress_bar
from fociscope.cli.entry import print_warning
from fociscope.cli.watch_report import FrameLines, print_json
from fociscope.cli.watch_report import follow as follow_instrument
from fociscope.errors import printable
from fociscope.results.emitters import EMITTERS_TABLE
from fociscope.series.following import WatchedFrame
from fociscope.workflows import LocateOptions, LocateOutcome, locate, watch_emitters

if TYPE_CHECKING:
    from fociscope.files import CaptureSeries
    from fociscope.imager import Imager

__all__ = ["follow", "run"]

#: Emitters of a capture that are printed.
MOST_SHOWN, MOST_IN_LINE = 20, 6


def run(paths: list[Path], output: Path, options: LocateOptions, *, as_json: bool) -> None:
    """Locate emitters in captures that are there, and print the outcome."""
    frames = 0

    def on_plan(files: CaptureSeries, imager: Imager) -> None:
        nonlocal frames
        frames = len(files)
        err.print(f"{frames} frame(s) of {_sides(files.shape[1])}:", highlight=False)
        print_pairs(files.pairs)
        _print_imager(imager)

    try:
        with progress_bar("Locating") as progress:
            outcome = locate(paths, output, options, progress=progress, on_plan=on_plan)
    except KeyboardInterrupt:
        if frames > 1:
            err.print("interrupted: add --resume to the same command to go on", highlight=False)
        raise
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    _print_outcome(outcome, has_table=not as_json)


def follow(
    paths: list[Path], output: Path, options: LocateOptions, *, idle_s: float | None, as_json: bool
) -> None:
    """Follow an instrument until Ctrl-C, and print each capture and the outcome."""

    def on_plan(sensors: int, imager: Imager) -> None:
        err.print(f"Captures of {_sides(sensors)}.", highlight=False)
        _print_imager(imager)

    outcome = follow_instrument(
        paths,
        FrameLines(frame_line, _is_odd, EMITTERS_TABLE, ""),
        lambda stopped, report: watch_emitters(
            paths, output, options, idle_s=idle_s, stopped=stopped, report=report, on_plan=on_plan
        ),
        as_json=as_json,
    )
    if as_json:
        print_json("summary", outcome.summary)
    _print_outcome(outcome, has_table=not as_json)


def frame_line(frame: WatchedFrame) -> str:
    """Return a line for a capture that was followed: emitters with their depths, and the misfit."""
    emitters = frame.figures["emitters"]
    places = [
        f"{one['depth_um']:.0f} ± {one['depth_std_um']:.1f} µm" for one in emitters[:MOST_IN_LINE]
    ]
    more = f" and {len(emitters) - len(places)} more" if len(emitters) > len(places) else ""
    line = (
        f"{frame.number} {escape(printable(frame.name))}: {len(emitters)} emitter(s)"
        f"{' at ' * bool(places)}{', '.join(places)}{more}; "
        f"misfit {frame.figures['misfit']:.2f}; {frame.latency_s:.2f} s"
    )
    return line if frame.figures["explained"] else f"{line}; [yellow]emitters do not explain it[/]"


def _is_odd(frame: WatchedFrame) -> bool:
    return not frame.figures["explained"]


def _sides(sensors: int) -> str:
    return "sensors A and B" if sensors == 2 else "sensor A alone"


def _print_imager(imager: Imager) -> None:
    err.print(f"Imager: {escape(imager.name)}.", highlight=False, soft_wrap=True)


def _print_outcome(outcome: LocateOutcome, *, has_table: bool) -> None:
    """Print notes, the first capture's emitters, what was written, and what to beware of."""
    for note in outcome.notes:
        err.print(f"note: {escape(note)}", highlight=False, soft_wrap=True)
    if has_table:
        _print_first(outcome)
        said, misfit = outcome.summary, outcome.summary["median_misfit"]
        tracks = f" of {said['tracks']} track(s)" if "tracks" in said else ""
        if said.get("joint"):
            tracks = f", {said['emitters'] // outcome.frames} in each capture"
        made = f" in {outcome.frames} captures, {outcome.made} of them now" * (outcome.frames > 1)
        out.print(
            f"{said['emitters']} emitter(s){tracks}{made}; residual {misfit:.2f} times the noise. "
            f"Written to {escape(str(outcome.output))}: "
            f"{', '.join(path.name for path in outcome.files)}",
            highlight=False,
            soft_wrap=True,
        )
    for warning in outcome.warnings:
        print_warning(warning, bold=True)


def _print_first(outcome: LocateOutcome) -> None:
    """Print the table of the first capture's emitters."""
    first = outcome.first
    if first is None:
        return
    rows = range(min(len(first), MOST_SHOWN))
    columns = {
        "x\n(µm)": [f"{first.x_um[n]:.1f} ± {first.x_std_um[n]:.1f}" for n in rows],
        "y\n(µm)": [f"{first.y_um[n]:.1f} ± {first.y_std_um[n]:.1f}" for n in rows],
        "depth\n(µm)": [f"{first.depth_um[n]:.1f} ± {first.depth_std_um[n]:.1f}" for n in rows],
        "bright-\nness": [f"{first.brightness[n]:.3g}" for n in rows],
        "there\n(%)": [f"{100 * first.probability[n]:.0f}" for n in rows],
    }
    title = outcome.title if outcome.frames == 1 else f"{outcome.title}: the first capture"
    print_table(title, columns)
    if len(first) > MOST_SHOWN:
        out.print(f"and {len(first) - MOST_SHOWN} more, see {EMITTERS_TABLE}", highlight=False)
