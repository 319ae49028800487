"""`fociscope reconstruct`: captures in, layered maps out."""

from __future__ import annotations

from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from fociscope.cli.common import Device, DeviceOption, ImagerOption, OverwriteOption
from fociscope.cli.entry import app


class OutputFormat(StrEnum):
    """What to write besides the summary and the figure."""

    ome_tiff = "ome-tiff"
    ome_zarr = "ome-zarr"
    mat = "mat"
    npz = "npz"
    csv = "csv"


class Flip(StrEnum):
    """Along which axes an image is put in reverse."""

    none = "none"
    x = "x"
    y = "y"
    both = "both"


class InPrecision(StrEnum):
    """In what numbers the network is run."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Pages(StrEnum):
    """What pages are where a file does not say."""

    auto = "auto"
    frames = "frames"
    sensors = "sensors"


@app.command()
def reconstruct(
    captures: Annotated[
        list[str],
        typer.Argument(
            metavar="A [B]",
            help="Sensor A's image and sensor B's: files, stacks, folders, or quoted patterns such "
            "as 'run/*.tif'; or one file that holds both.",
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
    flip_a: Annotated[Flip, typer.Option(help="Put sensor A's image in reverse.")] = Flip.none,
    flip_b: Annotated[Flip, typer.Option(help="Put sensor B's image in reverse.")] = Flip.none,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="Y,X,HEIGHT,WIDTH", help="Cut this out, in pixels.", show_default=False
        ),
    ] = None,
    average: Annotated[
        int, typer.Option(min=1, help="Make one capture of so many frames in a row, their mean.")
    ] = 1,
    pages: Annotated[
        Pages, typer.Option(help="What the pages of a stack are, where it does not say.")
    ] = Pages.auto,
    tile: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Side of the tiles of large frames; without it, as memory allows.",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        list[OutputFormat] | None,
        typer.Option(
            "--format",
            help="What to write; may be given more than once. [default: ome-tiff and csv; of long "
            "series, ome-zarr and csv]",
        ),
    ] = None,
    cell_diameter: Annotated[
        float, typer.Option(metavar="UM", help="Of a typical cell, for the number of cells.")
    ] = 60.0,
    scheduler: Annotated[
        str,
        typer.Option(help="'threads' here, or the address of a dask scheduler for its workers."),
    ] = "threads",
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Follow a folder, or a growing stack, until Ctrl-C."),
    ] = False,
    idle: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="With --watch: stop when nothing has come for so long.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a long series that was interrupted.")
    ] = False,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine", help="Fit the restored light to the captures: less error, more time."
        ),
    ] = False,
    precision: Annotated[
        InPrecision,
        typer.Option(help="Of the network's numbers; auto takes what is faster on this processor."),
    ] = InPrecision.auto,
    device: DeviceOption = Device.auto,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON in place of a table.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn captures into layered maps: probability, intensity, depth, foci, summary and figure."""
    from fociscope.cli.reconstruct_job import Job, run
    from fociscope.errors import FociscopeError

    if idle is not None and not watch:
        raise FociscopeError("--idle says when --watch ends; give --watch, too")
    if idle is not None and not 0 <= idle < inf:
        raise FociscopeError(f"--idle {idle}: expected seconds from 0 on")
    job = Job.from_options(
        captures=[Path(path) for path in captures],
        output=output,
        model=model,
        layers=layers,
        imager=imager,
        of_chip=(dark or [], flat or [], bad_pixels or []),
        preparation={"flip_a": flip_a, "flip_b": flip_b, "crop": crop, "average": average},
        pages=pages.value,
        tile_px=tile,
        refine=refine,
        precision=precision.value,
        formats=None if formats is None else [f.value for f in formats],
        cell_diameter_um=cell_diameter,
        scheduler=scheduler,
        resume=resume,
        device=device.value,
        as_json=json,
        overwrite=overwrite,
    )
    if watch:
        from fociscope.cli.reconstruct_watch import run_watch

        run_watch(job, idle)
    else:
        run(job)
