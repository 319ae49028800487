"""`fociscope locate`: captures in, point emitters in 3D out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fociscope.cli.common import (
    ImagerOption,
    OverwriteOption,
    err,
    imager_file,
    out,
    print_pairs,
    print_table,
    progress_bar,
    refuse_missing,
)
from fociscope.cli.entry import app, print_warning
from fociscope.cli.reconstruct import preparation_of, refuse_missing_captures
from fociscope.cli.reconstruct_options import (
    AverageOption,
    BadPixelsOption,
    CapturesArgument,
    CropOption,
    DarkOption,
    FlatOption,
    Flip,
    FlipAOption,
    FlipBOption,
    OutputOption,
    Pages,
    PagesOption,
)

if TYPE_CHECKING:
    from fociscope.files import CaptureSeries
    from fociscope.imager import Imager
    from fociscope.workflows import LocateOutcome

#: Emitters of the first capture that are printed.
MOST_SHOWN = 20

MostOption = Annotated[int, typer.Option(min=1, max=1000, help="Emitters per capture at most.")]
ModelErrorOption = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="What the imager's description is wrong by, as a share of the light: 0.002 for a "
        "simulated chip, 0.05 and more for a real one.",
    ),
]


@app.command()
def locate(
    captures: CapturesArgument,
    output: OutputOption,
    imager: ImagerOption = None,
    dark: DarkOption = None,
    flat: FlatOption = None,
    bad_pixels: BadPixelsOption = None,
    flip_a: FlipAOption = Flip.none,
    flip_b: FlipBOption = Flip.none,
    crop: CropOption = None,
    average: AverageOption = 1,
    pages: PagesOption = Pages.auto,
    most: MostOption = 60,
    model_error: ModelErrorOption = 0.002,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON in place of a table.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Locate point emitters (beads, single cells, micro-foci) in 3D: table, rendering, figure."""
    refuse_missing_captures(captures)
    refuse_missing(imager_file(imager))
    from fociscope.workflows import LocateOptions
    from fociscope.workflows import locate as run

    options = LocateOptions(
        imager=imager,
        dark=dark or (),
        flat=flat or (),
        bad_pixels=bad_pixels or (),
        preparation=preparation_of(flip_a=flip_a, flip_b=flip_b, crop=crop, average=average),
        pages=pages.value,
        most=most,
        model_error=model_error,
        overwrite=overwrite,
    )
    paths = [Path(path) for path in captures]
    with progress_bar("Locating") as progress:
        outcome = run(paths, output, options, progress=progress, on_plan=_print_plan)
    _print(outcome, as_json=json)


def _print_plan(files: CaptureSeries, imager: Imager) -> None:
    """Print what belongs together, and the imager, before any work."""
    from rich.markup import escape

    frames, sensors, _, _ = files.shape
    sides = "sensors A and B" if sensors == 2 else "sensor A alone"
    err.print(f"{frames} frame(s) of {sides}:", highlight=False)
    print_pairs(files.pairs)
    err.print(f"Imager: {escape(imager.name)}.", highlight=False, soft_wrap=True)


def _print(outcome: LocateOutcome, *, as_json: bool) -> None:
    """Print notes, the first capture's emitters, what was written, and what to beware of."""
    from rich.markup import escape

    for note in outcome.notes:
        err.print(f"note: {escape(note)}", highlight=False, soft_wrap=True)
    if as_json:
        summary = next(path for path in outcome.files if path.suffix == ".json")
        typer.echo(summary.read_text(encoding="utf-8"), nl=False)
    else:
        emitters = outcome.emitters
        first = emitters.of_frame(0)
        rows = range(min(len(first), MOST_SHOWN))
        columns = {
            "x\n(µm)": [f"{first.x_um[n]:.1f} ± {first.x_std_um[n]:.1f}" for n in rows],
            "y\n(µm)": [f"{first.y_um[n]:.1f} ± {first.y_std_um[n]:.1f}" for n in rows],
            "depth\n(µm)": [f"{first.depth_um[n]:.1f} ± {first.depth_std_um[n]:.1f}" for n in rows],
            "bright-\nness": [f"{first.brightness[n]:.3g}" for n in rows],
            "there\n(%)": [f"{100 * first.probability[n]:.0f}" for n in rows],
        }
        frames = len(emitters.misfit)
        title = outcome.title if frames == 1 else f"{outcome.title}: {len(emitters)} in all"
        print_table(title, columns)
        if len(first) > MOST_SHOWN:
            out.print(f"and {len(first) - MOST_SHOWN} more, see emitters.csv", highlight=False)
        out.print(
            f"{len(first)} emitter(s); residual {emitters.misfit[0]:.2f} times the noise. "
            f"Written to {escape(str(outcome.output))}: "
            f"{', '.join(path.name for path in outcome.files)}",
            highlight=False,
            soft_wrap=True,
        )
    for warning in outcome.warnings:
        print_warning(warning, bold=True)
