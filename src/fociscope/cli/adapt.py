"""`fociscope adapt`: captures without truth in, a model of their chip and tissue out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fociscope.cli.common import (
    Device,
    DeviceOption,
    ImagerOption,
    ModelArgument,
    err,
    imager_file,
    out,
    print_table,
    refuse_missing,
    refuse_missing_model,
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
    LayersOption,
    Pages,
    PagesOption,
    ResumeOption,
)

if TYPE_CHECKING:
    from fociscope.adaptation import ModelScores
    from fociscope.workflows import AdaptedModel

OutputOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder of the run.", show_default=False)
]
AsStatedOption = Annotated[
    bool,
    typer.Option(
        "--imager-as-stated", help="Take the imager as it is stated; do not fit it to the captures."
    ),
]
StepsOption = Annotated[
    int, typer.Option(min=4, help="Optimisation steps, a multiple of 4; 600 take some minutes.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of all that is simulated.")]


@app.command()
def adapt(
    model: ModelArgument,
    captures: CapturesArgument,
    output: OutputOption,
    imager: ImagerOption = None,
    imager_as_stated: AsStatedOption = False,
    layers: LayersOption = None,
    dark: DarkOption = None,
    flat: FlatOption = None,
    bad_pixels: BadPixelsOption = None,
    flip_a: FlipAOption = Flip.none,
    flip_b: FlipBOption = Flip.none,
    crop: CropOption = None,
    average: AverageOption = 1,
    pages: PagesOption = Pages.auto,
    steps: StepsOption = 600,
    seed: SeedOption = 0,
    resume: ResumeOption = False,
    device: DeviceOption = Device.auto,
) -> None:
    """Adapt a model to a chip and its tissue by 50 to 200 captures; no truth is needed."""
    refuse_missing_model(model)
    refuse_missing_captures(captures)
    refuse_missing(imager_file(imager))
    from fociscope.series import ReconstructionOptions
    from fociscope.workflows import adapt as run

    options = ReconstructionOptions(
        model=model,
        imager=imager,
        layers=layers,
        dark=dark or (),
        flat=flat or (),
        bad_pixels=bad_pixels or (),
        preparation=preparation_of(flip_a=flip_a, flip_b=flip_b, crop=crop, average=average),
        pages=pages.value,
        device=device.value,
    )
    done = run(
        [Path(path) for path in captures],
        output,
        options,
        fit_imager=not imager_as_stated,
        steps=steps,
        seed=seed,
        resume=resume,
        show_progress=err.is_terminal,
        report=lambda line: err.print(line, markup=False, highlight=False, soft_wrap=True),
    )
    _report(done)


def _report(done: AdaptedModel) -> None:
    """Print what was found, what was kept and why, and how to use it."""
    shares = done.tissue.by_kind.items()
    tissue = ", ".join(f"{100 * share:.0f} % {kind}" for kind, share in shares if share >= 0.005)
    print_table(
        "On scenes of the matched tissue, and on the captures",
        {
            "": ["pixels right", "depth error", "unexplained"],
            "before": _column(done.scores["before"]),
            "told the imager": _column(done.scores["imager"]),
            "adapted": _column(done.scores["adapted"]),
        },
    )
    kept = {
        "adapted": "Kept: the adapted network.",
        "imager": "Kept: the old network, told the imager that fits the captures.",
        "nothing": "Kept: the old network and the stated imager; nothing was surely better.",
    }[done.kept]
    for line in (
        f"Tissue like these captures: {tissue}",
        kept,
        f"Written: {done.model}, {done.imager_file}",
        f"Use it: fociscope reconstruct A B -o map --model {shlex.quote(str(done.model))}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    for warning in done.warnings:
        print_warning(warning)


def _column(scores: ModelScores) -> list[str]:
    """Return a column of the table."""
    return [
        f"{100 * scores.mean_accuracy:.2f} %",
        f"{scores.mean_depth_error_um:.1f} µm",
        f"{100 * scores.median_residual:.2f} %",
    ]
