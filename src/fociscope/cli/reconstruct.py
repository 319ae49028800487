"""`fociscope reconstruct`: captures in, layered maps out."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fociscope.cli.common import (
    Device,
    DeviceOption,
    ImagerOption,
    OverwriteOption,
    imager_file,
    refuse_missing,
)
from fociscope.cli.entry import app
from fociscope.cli.reconstruct_options import (
    AverageOption,
    BadPixelsOption,
    BatchOption,
    CapturesArgument,
    CellDiameterOption,
    CropOption,
    DarkOption,
    FlatOption,
    Flip,
    FlipAOption,
    FlipBOption,
    FormatsOption,
    GridOption,
    IdleOption,
    JsonOption,
    LayersOption,
    ModelOption,
    OutputOption,
    Pages,
    PagesOption,
    Precision,
    PrecisionOption,
    RefineDepthOption,
    RefineOption,
    ResumeOption,
    Runtime,
    RuntimeOption,
    SamplesOption,
    SchedulerOption,
    TileOption,
    VolumeOption,
    WatchOption,
)
from fociscope.errors import FociscopeError, printable

if TYPE_CHECKING:
    from fociscope.reconstruction.preparation import Preparation
    from fociscope.workflows import ReconstructionOptions


__all__ = ["check_idle", "preparation_of", "refuse_missing_captures"]


@app.command()
def reconstruct(
    captures: CapturesArgument,
    output: OutputOption,
    model: ModelOption = None,
    layers: LayersOption = None,
    volume: VolumeOption = False,
    samples: SamplesOption = None,
    grid: GridOption = None,
    imager: ImagerOption = None,
    dark: DarkOption = None,
    flat: FlatOption = None,
    bad_pixels: BadPixelsOption = None,
    flip_a: FlipAOption = Flip.none,
    flip_b: FlipBOption = Flip.none,
    crop: CropOption = None,
    average: AverageOption = 1,
    pages: PagesOption = Pages.auto,
    tile: TileOption = None,
    formats: FormatsOption = None,
    cell_diameter: CellDiameterOption = 60.0,
    scheduler: SchedulerOption = "threads",
    batch: BatchOption = None,
    watch: WatchOption = False,
    idle: IdleOption = None,
    resume: ResumeOption = False,
    refine: RefineOption = False,
    refine_depth: RefineDepthOption = False,
    precision: PrecisionOption = Precision.auto,
    runtime: RuntimeOption = Runtime.auto,
    device: DeviceOption = Device.auto,
    json: JsonOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn captures into layered maps: probability, intensity, depth, foci, summary and figure."""
    _check(() if watch else captures, imager, model, idle, watch=watch)
    from fociscope.workflows import ReconstructionOptions as Options

    options = Options(
        model=model,
        imager=imager,
        layers=layers,
        dark=dark or (),
        flat=flat or (),
        bad_pixels=bad_pixels or (),
        preparation=preparation_of(flip_a=flip_a, flip_b=flip_b, crop=crop, average=average),
        pages=pages.value,
        tile_px=tile,
        refine=refine,
        refine_depth=refine_depth,
        precision=precision.value,
        runtime=runtime.value,
        device=device.value,
        formats=formats,
        **volume_options(samples, grid),
        cell_diameter_um=cell_diameter,
        scheduler=scheduler,
        batch=batch,
        resume=resume,
        overwrite=overwrite,
    )
    _start(captures, output, options, volume=volume, watch=watch, idle_s=idle, as_json=json)


def _start(
    captures: Sequence[str],
    output: Path,
    options: ReconstructionOptions,
    *,
    volume: bool,
    watch: bool,
    idle_s: float | None,
    as_json: bool,
) -> None:
    """Reconstruct a volume, follow an instrument, or reconstruct layers, and print the outcome."""
    from fociscope.cli.reconstruct_report import follow, run
    from fociscope.cli.volume_report import run_volume

    paths = [*map(Path, captures)]
    if not volume and (options.samples is not None or options.grid is not None):
        raise FociscopeError("--samples and --grid are of volumes; give --volume, too")
    if volume:
        run_volume(paths, output, options, watch=watch, as_json=as_json)
    elif watch:
        follow(paths, output, options, idle_s=idle_s, as_json=as_json)
    else:
        run(paths, output, options, as_json=as_json)


def _check(
    captures: Sequence[str],
    imager: Path | None,
    model: str | None,
    idle: float | None,
    *,
    watch: bool,
) -> None:
    """Refuse files that do not exist (patterns and addresses are left to the readers)."""
    check_idle(idle, watch)
    own_model = model if model is not None and model.endswith(".safetensors") else None
    refuse_missing_captures(captures)
    refuse_missing(imager_file(imager), own_model)


def volume_options(samples: int | None, grid: str | None) -> dict[str, Any]:
    """Return the options that only a volume knows."""
    return {"samples": samples, "grid": grid_of(grid)}


def grid_of(text: str | None) -> int | tuple[float, float, float] | None:
    """Return the grid of depths that `--grid` names."""
    if text is None:
        return None
    parts = text.split(":")
    try:
        if len(parts) == 1:
            return int(text)
        first, last, step = (float(part) for part in parts)
    except ValueError:
        raise FociscopeError(
            f"--grid {printable(text)}: expected a number of slices, such as 40, or FROM:TO:STEP "
            "in µm, such as 100:900:25"
        ) from None
    return first, last, step


def refuse_missing_captures(captures: Sequence[str]) -> None:
    """Refuse captures that do not exist; patterns and addresses are left to the readers."""
    refuse_missing(*(path for path in captures if not set("*?[:") & set(path)))


def check_idle(idle: float | None, watch: bool) -> None:
    """Refuse `--idle` without `--watch`, and a time that is no time."""
    if idle is not None and not watch:
        raise FociscopeError("--idle says when --watch ends; give --watch, too")
    if idle is not None and not 0 <= idle < inf:
        raise FociscopeError(f"--idle {idle}: expected seconds from 0 on")


def preparation_of(**values: Any) -> Preparation:
    """Return flips, crop and average; refuse a crop that is none in one line."""
    from pydantic import ValidationError

    from fociscope.configuration import plain_errors
    from fociscope.reconstruction.preparation import Preparation

    try:
        return Preparation.model_validate(values)
    except ValidationError as error:
        if any(each["loc"][:1] == ("crop",) for each in error.errors()):
            raise FociscopeError(
                f"--crop {values['crop']}: expected Y,X,HEIGHT,WIDTH in whole pixels, "
                "such as 10,20,64,64, Y and X from 0"
            ) from None
        raise FociscopeError(plain_errors(error)) from None
