"""What `fociscope reconstruct` prints: the plan, progress, tables, and what to beware of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from fociscope.cli.common import (
    MOST_PAIRS_LISTED,
    err,
    found_columns,
    out,
    print_pairs,
    print_table,
    progress_bar,
    self_check,
)
from fociscope.cli.entry import print_warning
from fociscope.cli.watch_report import FrameLines, print_json
from fociscope.cli.watch_report import follow as follow_instrument
from fociscope.errors import printable
from fociscope.series.following import WatchedFrame
from fociscope.workflows import (
    ReconstructionOptions,
    ReconstructionOutcome,
    ReconstructionPlan,
    reconstruct,
    watch,
)

__all__ = ["follow", "run"]

#: Names of what was written, at most.
MOST_WRITTEN_LISTED = 20


def run(paths: list[Path], output: Path, options: ReconstructionOptions, *, as_json: bool) -> None:
    """Reconstruct captures that are there, and print the outcome."""
    is_long = False

    def on_plan(plan: ReconstructionPlan) -> None:
        nonlocal is_long
        is_long = plan.by_parts or plan.is_batch
        _print_plan(plan)

    try:
        with progress_bar("Reconstructing") as progress:
            outcome = reconstruct(paths, output, options, progress=progress, on_plan=on_plan)
    except KeyboardInterrupt:
        if is_long:
            err.print("interrupted: add --resume to the same command to go on", highlight=False)
        raise
    _print_outcome(outcome, as_json)


def follow(
    paths: list[Path],
    output: Path,
    options: ReconstructionOptions,
    *,
    idle_s: float | None,
    as_json: bool,
) -> None:
    """Follow an instrument until Ctrl-C, and print each capture and the outcome.

    Args:
        paths: What is followed.
        output: Folder of the results.
        options: As for `watch`.
        idle_s: As for `watch`.
        as_json: Whether to print a line of JSON for each capture, for each that was left out, and
            for the summary, and nothing else, to stdout.
    """
    lines = FrameLines(frame_line, _is_odd, "layers.csv", "Model")
    outcome = follow_instrument(
        paths,
        lines,
        lambda stopped, report: watch(
            paths, output, options, idle_s=idle_s, stopped=stopped, report=report
        ),
        as_json=as_json,
    )
    if as_json:
        print_json("summary", outcome.summary)
        for warning in outcome.warnings:
            print_warning(warning, bold=True)
    else:
        _print_outcome(outcome, as_json)


def frame_line(frame: WatchedFrame) -> str:
    """Return a line for a capture that was followed: depth, coverage, foci, residual, warnings."""
    layers = [
        f"{z['depth_um']:.0f} µm ({100 * z['coverage']:.1f} %, {z['foci']} foci)"
        for z in frame.present_layers
    ]
    residuals = frame.figures["self_check_residual"].items()
    residual = ", ".join(f"{sensor} {100 * r:.1f} %" for sensor, r in residuals)
    line = (
        f"{frame.number} {escape(printable(frame.name))}: {', '.join(layers) or 'no layer'}; "
        f"residual {residual}; {frame.latency_s:.2f} s"
    )
    flags = frame.figures["quality_flags"]
    return f"{line}; [yellow]not to be trusted:[/] {escape(flags)}" if flags else line


def _is_odd(frame: WatchedFrame) -> bool:
    return bool(frame.figures["quality_flags"])


def _print_plan(plan: ReconstructionPlan) -> None:
    """Print what belongs together, and how files were understood, before any work."""
    sides = "sensors A and B" if plan.sensors == 2 else "sensor A alone"
    what = "capture(s)" if plan.is_batch else "frame(s)"
    err.print(f"{plan.frames} {what} of {sides}:", highlight=False)
    print_pairs(plan.pairs)
    err.print(f"Model: {escape(plan.model)}, for {sides}.", highlight=False, soft_wrap=True)
    for note in plan.notes:
        err.print(escape(note), highlight=False, soft_wrap=True)
    if plan.is_batch:
        err.print(
            "A batch: a folder for each capture, and tables, summary and figure of all; --film "
            "takes them for the frames of one series.",
            highlight=False,
            soft_wrap=True,
        )
    if plan.by_parts:
        err.print(
            f"A long series: written part by part, as {' and '.join(plan.formats)}; it can be "
            "interrupted, and gone on with by --resume.",
            highlight=False,
            soft_wrap=True,
        )


def _print_outcome(outcome: ReconstructionOutcome, as_json: bool) -> None:
    """Print tables, or the summary, to stdout; reasons not to trust them to stderr."""
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    else:
        if outcome.is_batch:
            made = f"{outcome.frames} capture(s), {outcome.made} of them now"
            print_table(made, _capture_columns(outcome.summary["captures"]))
        elif outcome.by_parts:
            made = f"{outcome.frames} frame(s), {outcome.made} of them now"
            print_table(f"{made}; the mean of each layer", _mean_columns(outcome))
        elif outcome.first is not None:
            print_table(outcome.title, found_columns(outcome.first))
            out.print(self_check(outcome.first), highlight=False)
        for sentence in guaranteed(outcome.summary.get("guarantees")):
            out.print(sentence, markup=False, highlight=False, soft_wrap=True)
        names = ", ".join(_named(outcome.files))
        where = escape(str(outcome.output))
        out.print(f"Written to [bold]{where}[/]: {escape(names)}", highlight=False)
    for warning in outcome.warnings:
        print_warning(warning, bold=True)


def guaranteed(known: dict[str, Any] | None) -> list[str]:
    """Return what a summary guarantees, and under what condition, in sentences."""
    if known is None:
        return []
    from fociscope.networks import Guarantees

    guarantees = Guarantees.model_validate(known)
    return [*guarantees.sentences(), guarantees.assumption()] if guarantees.sentences() else []


def _named(files: Sequence[Path]) -> list[str]:
    """Return the names of what was written; of very many, the ends."""
    names = [path.name for path in files]
    most = MOST_WRITTEN_LISTED
    return names if len(names) <= most else [*names[: most - 1], "…", names[-1]]


def _capture_columns(captures: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the columns of a batch: a row for each capture."""
    shown = captures[:MOST_PAIRS_LISTED]
    there = [[layer for layer in one["layers"] if layer["present"]] for one in shown]
    return {
        "capture": [printable(one["name"]) for one in shown],
        "depth\n(µm)": [", ".join(f"{z['depth_um']:.0f}" for z in layers) for layers in there],
        "cells\non (%)": [
            ", ".join(f"{100 * z['coverage']:.1f}" for z in layers) for layers in there
        ],
        "foci": [str(sum(layer["foci"] for layer in layers)) for layers in there],
        "residual\n(%)": [
            ", ".join(f"{100 * r:.1f}" for r in one["self_check_residual"].values())
            for one in shown
        ],
        "trusted": ["yes" if one["plausible"] else "NO" for one in shown],
    }


def _mean_columns(outcome: ReconstructionOutcome) -> dict[str, list[str]]:
    """Return the columns of what the frames of a series have in common, layer by layer."""
    layers: list[dict[str, Any]] = outcome.summary["series"]["layers"]
    return {
        "layer": [str(n + 1) for n in range(len(layers))],
        "there\n(%)": [f"{100 * s['present_frames'] / outcome.frames:.0f}" for s in layers],
        "depth\n(µm)": [
            "absent"
            if s["depth_um_mean"] is None
            else f"{s['depth_um_mean']:.0f} ± {s['depth_std_um_mean']:.0f}"
            for s in layers
        ],
        "cells\non (%)": [f"{100 * s['coverage_mean']:.1f}" for s in layers],
        "foci": [str(s["foci"]) for s in layers],
    }
