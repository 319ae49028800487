"""`fociscope reconstruct`: captures in, layered maps out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from fociscope.cli.common import (
    Device,
    DeviceOption,
    ImagerOption,
    OverwriteOption,
    found_columns,
    out,
    print_table,
    progress_bar,
    read_imager,
    self_check,
    warn_of_suspicion,
)
from fociscope.cli.entry import app


class OutputFormat(StrEnum):
    """What to write besides the summary and the figure."""

    ome_tiff = "ome-tiff"
    mat = "mat"


@app.command()
def reconstruct(
    captures: Annotated[
        list[Path],
        typer.Argument(
            metavar="A [B]",
            help="Sensor A's image and sensor B's: TIFF, PNG or NPY files, stacks, or folders of "
            "them; or one .mat file of the published layout.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    model: Annotated[
        str, typer.Option(help="A shipped model, or a .safetensors file of your own.")
    ] = "layers-ab",
    layers: Annotated[
        int | None,
        typer.Option(
            help="How many layers to look for at most; without it, the model's own number.",
            show_default=False,
        ),
    ] = None,
    imager: ImagerOption = None,
    dark: Annotated[
        list[Path] | None,
        typer.Option(help="Dark frame(s), subtracted: one file, or one for A and one for B."),
    ] = None,
    flat: Annotated[
        list[Path] | None,
        typer.Option(help="Captures of even light: the pixels' response, divided by."),
    ] = None,
    bad_pixels: Annotated[
        list[Path] | None,
        typer.Option(help="Images that are not 0 at bad pixels, which are filled."),
    ] = None,
    formats: Annotated[
        list[OutputFormat] | None,
        typer.Option("--format", help="What to write; may be given twice. [default: ome-tiff]"),
    ] = None,
    device: DeviceOption = Device.auto,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn captures into layered maps: probability, intensity, depth, summary and figure."""
    from fociscope.files import atomic_folder, read_captures
    from fociscope.reconstruction import ChipCorrection, load_model
    from fociscope.reconstruction.provenance import provenance
    from fociscope.show.figures import draw_reconstruction

    with atomic_folder(output, overwrite=overwrite) as part:
        arrays = read_captures(captures)
        of_chip = [read_captures(paths) if paths else None for paths in (dark, flat, bad_pixels)]
        correction = ChipCorrection(*of_chip) if dark or flat or bad_pixels else None
        trained = load_model(model, imager=read_imager(imager), device=device)
        with progress_bar("Reconstructing") as progress:
            result = trained.reconstruct(
                arrays, layers=layers, correction=correction, progress=progress
            )
        first = result.frame(0)
        series = f" (1 of {len(arrays)})" if arrays.ndim > 3 else ""
        title = " + ".join(path.name for path in captures) + series
        written = result.write_into(
            part,
            [str(f) for f in formats or [OutputFormat.ome_tiff]],
            **provenance([*captures, *(dark or []), *(flat or []), *(bad_pixels or [])], model),
        )
        figure = part / "figure.png"
        draw_reconstruction(first, title).savefig(figure)
        names = [path.name for path in (*written, figure)]
    print_table(title, found_columns(first))
    out.print(self_check(first), highlight=False)
    warn_of_suspicion(result)
    out.print(f"Written to [bold]{escape(str(output))}[/]: {', '.join(names)}", highlight=False)
