"""Options of `fociscope reconstruct`, as typer declares them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fociscope.cli.names import MODELS, VOLUME_MODELS, completed, listed

__all__ = [
    "AverageOption",
    "BadPixelsOption",
    "BatchOption",
    "CapturesArgument",
    "CellDiameterOption",
    "CropOption",
    "DarkOption",
    "FlatOption",
    "Flip",
    "FlipAOption",
    "FlipBOption",
    "FormatsOption",
    "GridOption",
    "IdleOption",
    "JsonOption",
    "LayersOption",
    "ModelOption",
    "OutputOption",
    "Pages",
    "PagesOption",
    "Precision",
    "PrecisionOption",
    "RefineOption",
    "ResumeOption",
    "Runtime",
    "RuntimeOption",
    "SamplesOption",
    "SchedulerOption",
    "TileOption",
    "VolumeOption",
    "WatchOption",
]


class Flip(StrEnum):
    """Along which axes an image is put in reverse."""

    none = "none"
    x = "x"
    y = "y"
    both = "both"


class Precision(StrEnum):
    """In what numbers the network is run."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Runtime(StrEnum):
    """What computes the network."""

    auto = "auto"
    torch = "torch"
    openvino = "openvino"


class Pages(StrEnum):
    """What pages are where a file does not say."""

    auto = "auto"
    frames = "frames"
    sensors = "sensors"


CapturesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="A [B]",
        help="Sensor A's image and sensor B's: files, stacks, folders, or quoted patterns such "
        "as 'run/*.tif'; or one file that holds both; or many of these, a batch.",
        show_default=False,
    ),
]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help=f"A shipped model ({listed(MODELS)}), or a .safetensors file of your own; without it, "
        "layers-ab for two sensors and layers-a for sensor A alone.",
        autocompletion=completed((*MODELS, *VOLUME_MODELS)),
        show_default=False,
    ),
]
LayersOption = Annotated[
    int | None,
    typer.Option(
        help="How many layers to look for at most; without it, the model's own number.",
        show_default=False,
    ),
]
DarkOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Dark frame(s), subtracted: one file, for both sensors or of both, one for A and one "
        "for B; or a number of counts."
    ),
]
FlatOption = Annotated[
    list[Path] | None,
    typer.Option(help="Captures of even light: the pixels' response, divided by."),
]
BadPixelsOption = Annotated[
    list[Path] | None,
    typer.Option(help="Images that are not 0 at bad pixels, which are filled."),
]
FlipAOption = Annotated[Flip, typer.Option(help="Put sensor A's image in reverse.")]
FlipBOption = Annotated[Flip, typer.Option(help="Put sensor B's image in reverse.")]
CropOption = Annotated[
    str | None,
    typer.Option(metavar="Y,X,HEIGHT,WIDTH", help="Cut this out, in pixels.", show_default=False),
]
AverageOption = Annotated[
    int, typer.Option(min=1, help="Make one capture of so many frames in a row, their mean.")
]
PagesOption = Annotated[
    Pages, typer.Option(help="What the pages of a stack are, where it does not say.")
]
TileOption = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        help="Side of the tiles of large frames; without it, as memory allows.",
        show_default=False,
    ),
]
FormatsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="What to write besides the summary and the figure: ome-tiff, ome-zarr, mat, npz, csv, "
        "or a format that a plug-in adds; may be given more than once. [default: ome-tiff and csv; "
        "of long series, ome-zarr and csv]",
    ),
]
CellDiameterOption = Annotated[
    float, typer.Option(metavar="UM", help="Of a typical cell, for the number of cells.")
]
SchedulerOption = Annotated[
    str, typer.Option(help="'threads' here, or the address of a dask scheduler for its workers.")
]
BatchOption = Annotated[
    bool | None,
    typer.Option(
        "--batch/--film",
        help="A folder of results for each capture, or all as frames of one series; without it, "
        "captures that are named one by one, or lie in several folders, are a batch.",
        show_default=False,
    ),
]
VolumeOption = Annotated[
    bool,
    typer.Option(
        "--volume",
        help="A volume on a grid of depths in place of layers; with a model of volumes "
        f"({listed(VOLUME_MODELS)}), in the formats ome-tiff, ome-zarr, mat, npz and csv.",
    ),
]
SamplesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        metavar="N",
        help="With --volume: draw so many volumes that the capture leaves possible, and write "
        "their figures and spread.",
        show_default=False,
    ),
]
GridOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|FROM:TO:STEP",
        help="With --volume: a number of slices, or the depths in µm, such as 100:900:25; without "
        "it, the model's own slices.",
        show_default=False,
    ),
]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Follow a folder, or a growing stack, until Ctrl-C.")
]
IdleOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="With --watch: stop when nothing has come for so long.",
        show_default=False,
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with a series that was interrupted.")
]
RefineOption = Annotated[
    bool,
    typer.Option("--refine", help="Fit the restored light to the captures: less error, more time."),
]
RefineDepthOption = Annotated[
    bool,
    typer.Option(
        "--refine-depth",
        help="Where one layer is alone: fit its depth to the captures of both sensors of a "
        "calibrated imager: less error, more time.",
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Of the network's numbers; auto takes what is faster on this processor."),
]
RuntimeOption = Annotated[
    Runtime,
    typer.Option(
        help="What computes the network on a CPU; auto is OpenVINO where it is installed, for many "
        "captures, if it is measured to be faster."
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the summary as JSON in place of a table; with --watch, a line of JSON for each "
        "capture as it comes, too.",
    ),
]
