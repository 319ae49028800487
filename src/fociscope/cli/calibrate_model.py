"""`fociscope calibrate-model`: what holds of a model's maps, from captures with a known truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fociscope.cli.common import (
    Device,
    DeviceOption,
    ImagerOption,
    ModelArgument,
    OverwriteOption,
    imager_file,
    out,
    progress_bar,
    read_imager,
    refuse_missing,
    refuse_missing_model,
)
from fociscope.cli.entry import app, print_warning

if TYPE_CHECKING:
    from fociscope.workflows import CalibratedModel


DataOption = Annotated[
    Path,
    typer.Option(
        help="Captures whose truth is known, 100 to 1000: a file or folder of the published "
        "layout, labelled or simulated.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path,
    typer.Option("-o", "--output", help=".safetensors file to write.", show_default=False),
]
FalseFociOption = Annotated[
    float, typer.Option(help="Largest share of the foci shown that may be false.")
]
DepthsOption = Annotated[
    float, typer.Option(help="Smallest share of the depths that shall lie in their bars.")
]
ConfidenceOption = Annotated[
    float,
    typer.Option(
        min=0,
        help="That both shares hold, such as 0.95; 0 for shares that hold in the mean over many "
        "calibrations, which asks for less.",
    ),
]


@app.command("calibrate-model")
def calibrate_model(
    model: ModelArgument,
    data: DataOption,
    output: OutputOption,
    false_foci: FalseFociOption = 0.05,
    depths: DepthsOption = 0.9,
    confidence: ConfidenceOption = 0.95,
    imager: ImagerOption = None,
    device: DeviceOption = Device.auto,
    overwrite: OverwriteOption = False,
) -> None:
    """Give a model guarantees: how many foci are false, how many depths lie in their bars."""
    refuse_missing_model(model)
    refuse_missing(data, imager_file(imager))
    from fociscope.workflows import calibrate_model as run

    with progress_bar("Reconstructing") as bar:
        done = run(
            model,
            data,
            output,
            most_false_foci=false_foci,
            least_depths=depths,
            confidence=confidence or None,
            imager=read_imager(imager),
            device=device.value,
            overwrite=overwrite,
            progress=bar,
        )
    for line in _sentences(done):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if done.guarantees.false_foci is None:
        print_warning(f"no threshold keeps false foci at {100 * false_foci:g} %", bold=True)
    if done.guarantees.depth_bars is None:
        print_warning(f"no bar holds {100 * depths:g} % of the depths", bold=True)


def _sentences(done: CalibratedModel) -> list[str]:
    """Return what is guaranteed, what it costs, and how it did on captures held back."""
    known = done.guarantees
    lines = [*known.sentences(), known.assumption()]
    if known.false_foci is not None:
        lines.append(f"Of the foci that are there, {100 * done.kept:.1f} % reach that probability.")
    if not math.isnan(done.false_foci) and not math.isnan(done.depths_inside):
        lines.append(
            "Check, calibrated on one half of the captures and counted on the other: "
            f"{100 * done.false_foci:.1f} % false foci, {100 * done.depths_inside:.1f} % of the "
            "depths inside."
        )
    return [*lines, f"Written: {done.model}"]
