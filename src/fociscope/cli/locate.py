"""`fociscope locate`: captures in, point emitters in 3D out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fociscope.cli.common import ImagerOption, OverwriteOption, imager_file, refuse_missing
from fociscope.cli.entry import app
from fociscope.cli.reconstruct import check_idle, preparation_of, refuse_missing_captures
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
    IdleOption,
    JsonOption,
    OutputOption,
    Pages,
    PagesOption,
    ResumeOption,
    SchedulerOption,
    WatchOption,
)


class Background(StrEnum):
    """Light beside the emitters."""

    even = "even"
    smooth = "smooth"


MostOption = Annotated[int, typer.Option(min=1, max=1000, help="Emitters per capture at most.")]
ModelErrorOption = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="What the imager's description is wrong by at each pixel, as a share of the light: "
        "0.05 and more for a real chip. Without it, the unevenness of the imager's pixels "
        "(camera.prnu), and at least 0.002.",
    ),
]

BackgroundOption = Annotated[
    Background,
    typer.Option(
        help="Light beside the emitters: even over each sensor, or smooth, of tissue that glows "
        "unevenly around few cells (some seconds a capture).",
    ),
]
JointOption = Annotated[
    bool,
    typer.Option(
        "--joint",
        help="Emitters stand still: one place for each, fitted to all captures together, and its "
        "brightness in every capture.",
    ),
]
TrackOption = Annotated[
    bool, typer.Option("--track", help="Link emitters from frame to frame: tracks.csv.")
]
MostSpeedOption = Annotated[
    float,
    typer.Option(
        metavar="UM",
        min=0.0,
        help="With --track: how far an emitter moves from one frame to the next, at most, besides "
        "its errors.",
    ),
]
MostGapOption = Annotated[
    int,
    typer.Option(
        metavar="FRAMES",
        min=0,
        help="With --track: in how many frames in a row an emitter may be missing.",
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
    model_error: ModelErrorOption = None,
    background: BackgroundOption = Background.even,
    joint: JointOption = False,
    track: TrackOption = False,
    most_speed: MostSpeedOption = 0.0,
    most_gap: MostGapOption = 1,
    scheduler: SchedulerOption = "threads",
    watch: WatchOption = False,
    idle: IdleOption = None,
    resume: ResumeOption = False,
    json: JsonOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Locate point emitters (beads, single cells, micro-foci) in 3D: table, rendering, figure."""
    if not watch:
        refuse_missing_captures(captures)
    refuse_missing(imager_file(imager))
    from fociscope.cli.locate_report import follow, run
    from fociscope.workflows import LocateOptions

    check_idle(idle, watch)
    options = LocateOptions(
        imager=imager,
        dark=dark or (),
        flat=flat or (),
        bad_pixels=bad_pixels or (),
        preparation=preparation_of(flip_a=flip_a, flip_b=flip_b, crop=crop, average=average),
        pages=pages.value,
        most=most,
        model_error=model_error,
        background=background.value,
        joint=joint,
        track=track,
        most_speed_um=most_speed,
        most_gap=most_gap,
        scheduler=scheduler,
        resume=resume,
        overwrite=overwrite,
    )
    paths = [Path(path) for path in captures]
    if watch:
        follow(paths, output, options, idle_s=idle, as_json=json)
    else:
        run(paths, output, options, as_json=json)
