"""`fociscope calibrate --from-captures`: an imager from ordinary captures of tissue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fociscope.cli.common import estimate_cells, out, pitch_in_words, print_written
from fociscope.errors import FociscopeError

if TYPE_CHECKING:
    from fociscope.calibration import BlindCalibration
    from fociscope.typing import Progress

__all__ = ["fit_captures", "report_captures"]


def fit_captures(
    captures: Sequence[Path],
    output: Path,
    *,
    figure: bool,
    progress: Progress,
    known: dict[str, object],
    **options: Any,
) -> BlindCalibration:
    """Estimate an imager from ordinary captures, and write it.

    Args:
        captures: Files, folders or patterns.
        output: The imager's file.
        figure: Whether a picture is drawn.
        progress: Called with the steps done and their number.
        known: Options that belong to measurements at known depths; none of them may be set.
        options: The other options of `calibrate_from_captures`.

    Raises:
        FociscopeError: If an option is set that belongs to known depths.
    """
    from fociscope.calibration import calibrate_from_captures

    wrong = [name for name, value in known.items() if value not in (None, False)]
    if wrong:
        raise FociscopeError(
            f"{' and '.join(wrong)} with captures of which nothing is known; leave it out, or "
            "leave out that captures are ordinary ones",
            fields=tuple(wrong),
        )
    return calibrate_from_captures(
        captures, output, draw=_draw if figure else None, progress=progress, **options
    )


def report_captures(found: BlindCalibration, output: Path, *, figure: bool) -> None:
    """Print what was found, and what these captures do not determine."""
    from rich.table import Table

    table = Table(title=f"Imager {escape(found.imager.name)}", title_justify="left")
    for name in ("parameter", "value", "± (68 %)", "unit", ""):
        table.add_column(name, justify="right" if name in ("value", "± (68 %)") else "left")
    for name, estimate in found.estimates.items():
        note = "not determined" if name in found.undetermined else ""
        table.add_row(name, *estimate_cells(estimate, unknown=""), note)
    out.print(table)
    lines = []
    for name, why in found.undetermined.items():
        keeps = math.isinf(found.estimates[name].std)
        lines.append(f"{name} {'keeps its value' if keeps else 'is no more than a bound'}: {why}")
    lines.append(
        f"{found.captures} captures; gap {found.imager.gap_um:g} µm and pixels of "
        f"{pitch_in_words(found.imager)} are taken as stated, and the half angle is right if they "
        "are"
    )
    for line in lines:
        out.print(escape(line), highlight=False, soft_wrap=True)
    print_written(output, [".toml", ".calibration.json", *([".calibration.png"] if figure else [])])


def _draw(calibration: BlindCalibration, title: str, picture: Path) -> None:
    from fociscope.figures.blind_calibration import draw_blind_calibration

    draw_blind_calibration(calibration, title).savefig(picture)
