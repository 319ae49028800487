"""`fociscope design`: which pitch, grating, gap, exposure and sensors give what accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fociscope.cli.common import OverwriteOption, out, progress_bar, refuse_missing
from fociscope.cli.entry import app

if TYPE_CHECKING:
    from fociscope.design import DesignScores, DesignStudy

LABELS = {
    "depth_error_um": "depth\nerror",
    "dice": "Dice",
    "cell_sensitivity": "cells\nfound",
    "depth_bound_um": "depth\nbound",
    "information_bits": "bits",
}
FILES = "report.html, designs.csv, front.csv, summary.json, figure.png"


@app.command()
def design(
    space: Annotated[
        Path | None,
        typer.Argument(
            metavar="SPACE", help="TOML file of what varies; --new writes one.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder to write into.", show_default=False),
    ] = None,
    new: Annotated[
        Path | None,
        typer.Option(
            "--new",
            metavar="SPACE",
            help="Write a commented TOML file to begin with, and nothing else.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted study has ended.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Sweep or optimise the design of an imager: accuracy against photons, pixels and wires."""
    from fociscope.errors import FociscopeError

    if new is not None:
        if space is not None or output is not None or resume:
            raise FociscopeError("--new writes a space to begin with and takes no other argument")
        from fociscope.design import write_commented_space

        write_commented_space(new, overwrite=overwrite)
        out.print(f"Written: {escape(str(new))}", highlight=False, soft_wrap=True)
        return
    if space is None or output is None:
        raise FociscopeError(
            "give the TOML file of a space and -o FOLDER; --new FILE writes a space to begin with"
        )
    refuse_missing(space)
    from fociscope.report.design import write_design_report
    from fociscope.workflows import design as run

    with progress_bar("Scoring designs") as bar:
        study = run(
            space,
            output,
            resume=resume,
            overwrite=overwrite,
            progress=bar,
            finish=lambda folder, done: write_design_report(folder / "report.html", done),
        )
    _print(study)
    out.print(
        f"Written to [bold]{escape(str(output))}[/]: {FILES}", highlight=False, soft_wrap=True
    )


def _print(study: DesignStudy) -> None:
    """Print the base and the best design by each quality, and what was refused."""
    from rich.table import Table

    fronts = list(study.fronts())
    best = {name: s for name in fronts if (s := study.best(name)) is not None}
    columns = [study.scores[0], *best.values()]
    table = Table(title="Base, and the best design by each quality", title_justify="left")
    table.add_column("")
    for label in ("base", *(LABELS[name] for name in best)):
        table.add_column(label, justify="right")
    for name in [*study.space.varying(), "sensors"]:
        table.add_row(name, *(f"{s.design.numbers()[name]:.3g}" for s in columns))
    table.add_row("photons of a cell", *(f"{s.cell_photons:.3g}" for s in columns))
    for name in fronts:
        table.add_row(name, *(_cell(scores, name) for scores in columns))
    out.print(table)
    refused = sum(1 for scores in study.scores if scores.refused is not None)
    if refused:
        out.print(
            f"{refused} of {len(study.scores)} designs lie outside what the network was trained "
            "for; designs.csv says why.",
            highlight=False,
            soft_wrap=True,
        )


def _cell(scores: DesignScores, quality: str) -> str:
    value = scores.quality(quality)
    return "" if value is None else f"{value:.3g}"
