"""What `fociscope reconstruct --volume` prints: notes, the surest foci, and what to beware of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.markup import escape

from fociscope.cli.common import err, out, print_table, progress_bar
from fociscope.cli.entry import print_warning
from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.workflows import (
    ReconstructionOptions,
    VolumeOutcome,
    are_volumes_apart,
    reconstruct_volume,
    reconstruct_volumes,
)

__all__ = ["run_volume"]

#: Foci in the table, the surest.
MOST_LISTED = 12
UM3_TO_MM3 = 1e-9


def run_volume(
    paths: list[Path],
    output: Path,
    options: ReconstructionOptions,
    *,
    watch: bool = False,
    as_json: bool = False,
) -> None:
    """Reconstruct the volume of a capture, and print the outcome; an instrument is not followed."""
    if watch:
        raise FociscopeError("--volume follows no instrument; leave out --watch")
    if are_volumes_apart(paths, options):
        _run_batch(paths, output, options, as_json=as_json)
        return
    outcome = reconstruct_volume(paths, output, options)
    for note in outcome.notes:
        err.print(escape(note), highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    else:
        _print_outcome(outcome, output, options)
    for warning in outcome.volume.warnings:
        print_warning(FociscopeWarning(warning), bold=True)


def _run_batch(
    paths: list[Path], output: Path, options: ReconstructionOptions, *, as_json: bool
) -> None:
    """Reconstruct the volumes of many captures, and print a row for each."""
    with progress_bar("Reconstructing") as progress:
        outcome = reconstruct_volumes(paths, output, options, progress=progress)
    for note in outcome.notes:
        err.print(escape(note), highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    else:
        some = outcome.rows[:MOST_LISTED]
        columns = {
            "capture": [escape(str(row["name"])) for row in some],
            "foci": [str(row["foci"]) for row in some],
            "mean depth\n(µm)": [f"{row['mean_depth_um']:.0f}" for row in some],
            "residual A\n(%)": [f"{100 * row['residual_a']:.1f}" for row in some],
        }
        more = f", the first {MOST_LISTED}" * (len(outcome.rows) > MOST_LISTED)
        print_table(f"{len(outcome.rows)} captures{more}", columns)
        out.print(f"Written to [bold]{escape(str(output))}[/]: a folder for each", highlight=False)
    for name, why in outcome.left_out:
        print_warning(FociscopeWarning(f"{name} left out: {why}"), bold=True)
    said = {row["warnings"] for row in outcome.rows if row["warnings"]}
    for text in sorted(said):
        print_warning(FociscopeWarning(text), bold=True)


def _print_outcome(outcome: VolumeOutcome, output: Path, options: ReconstructionOptions) -> None:
    volume = outcome.volume
    foci = volume.foci(cell_diameter_um=options.cell_diameter_um)
    some = slice(0, MOST_LISTED)
    title = f"{len(foci)} foci" + (f", the surest {MOST_LISTED}" * (len(foci) > MOST_LISTED))
    columns = {
        "x\n(µm)": [f"{x:.0f}" for x in foci.x_um[some]],
        "y\n(µm)": [f"{y:.0f}" for y in foci.y_um[some]],
        "depth\n(µm)": [
            f"{z:.0f} ± {s:.0f}"
            for z, s in zip(foci.depth_um[some], foci.depth_std_um[some], strict=True)
        ],
        "cells": [f"{n:.0f}" for n in foci.cells[some]],
        "probability": [f"{p:.2f}" for p in foci.probability[some]],
    }
    print_table(title, columns)
    residual = ", ".join(
        f"{sensor} {100 * r:.1f} %" for sensor, r in zip("AB", volume.residual, strict=False)
    )
    out.print(f"Self-check residual: {residual}", highlight=False)
    if "samples" in outcome.summary:
        out.print(_samples_line(outcome.summary["samples"]), highlight=False)
    names = ", ".join(path.name for path in outcome.files)
    out.print(f"Written to [bold]{escape(str(output))}[/]: {escape(names)}", highlight=False)


def _samples_line(samples: dict[str, Any]) -> str:
    """Return how far the samples spread, in one line."""
    volume, depth = samples["volume_um3"], samples.get("mean_depth_um")
    low, high = (value * UM3_TO_MM3 for value in volume["interval_90"])
    mean = volume["mean"] * UM3_TO_MM3
    line = f"{samples['count']} samples: {mean:.3g} mm³ of cells ({low:.3g} to {high:.3g} in 90 %)"
    if depth is None:
        return line
    low, high = depth["interval_90"]
    return f"{line}, mean depth {depth['mean']:.0f} µm ({low:.0f} to {high:.0f})"
