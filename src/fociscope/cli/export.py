"""`fociscope export`: a model as one graph for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fociscope.cli.common import (
    ImagerOption,
    ModelArgument,
    OverwriteOption,
    imager_file,
    out,
    refuse_missing,
    refuse_missing_model,
)
from fociscope.cli.entry import app


class ExportFormat(StrEnum):
    """Formats of graphs."""

    onnx = "onnx"
    torch = "torch"
    bioimageio = "bioimageio"


FormatOption = Annotated[
    ExportFormat,
    typer.Option(
        "--to",
        help="onnx: for any runtime. torch: for torch.export.load, without Fociscope. bioimageio: "
        "a package of the BioImage Model Zoo.",
    ),
]


@app.command()
def export(
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="File to write: .onnx, .pt2 (torch) or .zip (bioimageio).",
            show_default=False,
        ),
    ],
    to: FormatOption = ExportFormat.onnx,
    imager: ImagerOption = None,
    layers: Annotated[
        int | None,
        typer.Option(help="Most layers to look for; the model's own number by default."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a model, its imager and its calibration as one graph that runs without Fociscope."""
    refuse_missing_model(model)
    refuse_missing(imager_file(imager))
    from fociscope.exchange import OUTPUTS, export_graph

    facts = export_graph(
        model,
        output,
        to=to.value,
        imager=None if imager is None else str(imager),
        layers=layers,
        overwrite=overwrite,
    )
    size = output.stat().st_size / 2**20
    lines = [
        f"Written: {output}: {facts.model} for the imager {facts.imager.name}, {size:.1f} MiB",
        f"Takes:   {facts.captures}; batch and frame are free",
        *(
            f"{'Returns:' if n == 0 else '        '} {name} ({axes})"
            for n, (name, (axes, _, _)) in enumerate(OUTPUTS.items())
        ),
        f"Leaves out: {'; '.join(facts.not_included)}",
    ]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
