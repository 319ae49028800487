"""What `fociscope reconstruct --volume` prints: notes, the surest foci, and what to beware of."""

from __future__ import annotations

import json
from pathlib import Path

from rich.markup import escape

from fociscope.cli.common import err, out, print_table
from fociscope.cli.entry import print_warning
from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.workflows import ReconstructionOptions, VolumeOutcome, reconstruct_volume

__all__ = ["run_volume"]

#: Foci in the table, the surest.
MOST_LISTED = 12


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
        raise FociscopeError("--volume takes one capture; leave out --watch")
    outcome = reconstruct_volume(paths, output, options)
    for note in outcome.notes:
        err.print(escape(note), highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    else:
        _print_outcome(outcome, output, options)
    for warning in outcome.volume.warnings:
        print_warning(FociscopeWarning(warning), bold=True)


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
    names = ", ".join(path.name for path in outcome.files)
    out.print(f"Written to [bold]{escape(str(output))}[/]: {escape(names)}", highlight=False)
