"""`fociscope calibrate` with a stage: beads that were moved over the chip, and where they stood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.markup import escape

from fociscope.cli.common import estimate_cells, out, pitch_in_words, print_written
from fociscope.errors import FociscopeError

if TYPE_CHECKING:
    from fociscope.calibration import BeadMotion, SweepCalibration
    from fociscope.typing import Progress

__all__ = ["fit_stage", "report_stage"]


def fit_stage(
    captures: Sequence[Path],
    stage: Path,
    output: Path,
    *,
    beads: str,
    figure: bool,
    imager: Path | None,
    progress: Progress,
    **options: Any,
) -> SweepCalibration:
    """Fit an imager to captures of beads on a stage, and write it.

    Args:
        captures: Files of frames.
        stage: CSV file of where the stage stood.
        output: The imager's file.
        beads: What each bead does, with commas between.
        figure: Whether a picture is drawn.
        imager: File or name of the imager that the fit begins with.
        progress: Called with the steps done and their number.
        options: The other options of `calibrate_stage`.

    Raises:
        FociscopeError: If no imager is named, or a bead does something else.
    """
    from fociscope.calibration import calibrate_stage

    if imager is None:
        raise FociscopeError(
            "captures of a stage, expected the imager that they are of; name it",
            fields=("imager",),
        )
    motions = tuple(word.strip() for word in beads.split(","))
    return calibrate_stage(
        captures,
        stage,
        output,
        imager=imager,
        beads=cast("tuple[BeadMotion, ...]", motions),
        draw=_draw if figure else None,
        progress=progress,
        **options,
    )


def report_stage(found: SweepCalibration, output: Path, *, figure: bool) -> None:
    """Print what was found, and what these captures do not determine."""
    from rich.table import Table

    table = Table(title=f"Imager {escape(found.imager.name)}", title_justify="left")
    for name in ("parameter", "value", "± (1 std)", "unit", ""):
        table.add_column(name, justify="right" if name in ("value", "± (1 std)") else "left")
    for name, estimate in found.estimates.items():
        note = "" if math.isfinite(estimate.std) else "not determined by these captures"
        table.add_row(name, *estimate_cells(estimate, unknown=""), note)
    out.print(table)
    known_gains = int(found.known_gains.sum())
    lines = [f"{name} keeps its value: {why}" for name, why in found.undetermined.items()]
    lines += [
        f"{a} and {b} hang together: correlation {value:+.2f}" for a, b, value in found.correlations
    ]
    lines += [
        f"{one.name}: {one.frames} frames, first bead at {one.fitted_depth_um:.1f} µm (alone "
        f"{one.own_depth_um.value:.1f} ± {one.own_depth_um.std:.1f}), residual "
        f"{one.rms_residual_std:.2f} std"
        for one in found.sweeps
    ]
    lines.append(
        f"Gains of {known_gains} of {found.gains.size} pixels are determined; the response misses "
        f"{100 * found.model_error:.0f} % of the light; pixels of {pitch_in_words(found.imager)}"
    )
    lines.append(
        f"Reduced chi square {found.reduced_chi_square:.2f} (1: noise and model error explain all)"
    )
    ends = [".toml", ".calibration.json"]
    ends += [".flat.npy"] if known_gains else []
    ends += [".calibration.png"] if figure else []
    for line in lines:
        out.print(escape(line), highlight=False, soft_wrap=True)
    print_written(output, ends)


def _draw(calibration: SweepCalibration, title: str, picture: Path) -> None:
    from fociscope.figures.sweeps import draw_sweeps

    draw_sweeps(calibration, title).savefig(picture)
