"""What `fociscope reconstruct` does with captures that are there: at once, or part by part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from rich.markup import escape

from fociscope.cli.common import (
    err,
    found_columns,
    out,
    print_table,
    progress_bar,
    read_imager,
    self_check,
    warn_of_quality_flags,
)
from fociscope.configuration import plain_errors
from fociscope.devices import Precision
from fociscope.errors import CaptureError, FociscopeError, printable
from fociscope.figures.reconstruction import draw_reconstruction
from fociscope.files import CaptureSeries, atomic_folder, atomic_path, open_captures
from fociscope.files.captures.reader import PageMeaning
from fociscope.networks.store import find_model, read_model
from fociscope.reconstruction import ChipCorrection, Model, load_model
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.preparation import Preparation, prepared
from fociscope.results import Reconstruction
from fociscope.results.provenance import provenance
from fociscope.results.writers import DEFAULT_FORMATS, FIGURE, JOURNAL, OF_SERIES, write_result
from fociscope.series.folder import SERIES_FORMATS
from fociscope.series.frames import Options, reconstruct_frames
from fociscope.series.series import (
    SeriesDone,
    is_long,
    reconstruct_series,
)
from fociscope.typing import Float32Array

__all__ = ["Job", "run", "say_done"]


@dataclass(frozen=True)
class Job:
    """What is asked for on the command line."""

    captures: list[Path]
    output: Path
    model: str
    layers: int | None
    imager: Path | None
    of_chip: tuple[list[Path], list[Path], list[Path]]
    """Files of dark frames, flat frames, bad pixels."""
    preparation: Preparation
    pages: PageMeaning
    tile_px: int | None
    refine: bool
    precision: Precision
    formats: list[str] | None
    cell_diameter_um: float
    scheduler: str
    resume: bool
    device: str
    as_json: bool
    overwrite: bool

    @classmethod
    def from_options(cls, *, preparation: Mapping[str, Any], **fields: Any) -> Self:
        """Check what can be checked beforehand.

        Raises:
            FociscopeError: a crop that is none, a cell without size, both --resume and --overwrite.
        """
        try:
            wanted = Preparation.model_validate(preparation)
        except ValidationError as error:
            if any(found["loc"][:1] == ("crop",) for found in error.errors()):
                raise FociscopeError(
                    f"--crop {preparation['crop']}: expected Y,X,HEIGHT,WIDTH in whole pixels, "
                    "such as 10,20,64,64, Y and X from 0"
                ) from None
            raise FociscopeError(plain_errors(error)) from None
        if fields["resume"] and fields["overwrite"]:
            raise FociscopeError("--resume goes on, --overwrite starts anew; give one of them")
        if not 0.01 <= fields["cell_diameter_um"] <= 1e6:
            raise FociscopeError("the diameter of a cell must be 0.01 to 1e6 um (--cell-diameter)")
        return cls(preparation=wanted, **fields)

    def opened(self, frame_px: Callable[[], tuple[int, int]]) -> Model:
        """Load the model, for the imager of what the crop leaves.

        Args:
            frame_px: asked for the (y, x) size of captures before the crop, if it plays a part.
        """
        imager = read_imager(self.imager)
        crop = self.preparation.crop
        if crop is not None:
            imager = imager or read_model(find_model(self.model))[1].imager
            if imager.sensors == 2 and imager.registration.is_rotated_or_scaled:
                imager = imager.cropped(*crop, of=frame_px())
        return load_model(
            self.model,
            imager=imager,
            device=self.device,
            refine=self.refine,
            precision=self.precision,
        )

    def correction(self) -> ChipCorrection | None:
        """Read what is known of the chip, turned and cut as the captures are."""
        if not any(self.of_chip):
            return None
        each = self.preparation.model_copy(update={"average": 1})
        frames: list[Float32Array | None] = []
        for paths in self.of_chip:
            if not paths:
                frames.append(None)
                continue
            with open_captures(paths, pages=self.pages, allow_non_finite=True) as series:
                frames.append(prepared(series, each).read())
        return ChipCorrection(*frames)

    def sources(self, series: CaptureSeries | None, model: Model) -> dict[str, Any]:
        """Return what a summary says of the origin of its figures."""
        names = () if series is None else series.names
        files = [*names, *(path for paths in self.of_chip for path in paths)]
        said = provenance(files, self.model, imager=model.imager)
        if series is not None and series.arrays:
            said["arrays"] = list(series.arrays)
        if self.preparation != Preparation():
            said["preparation"] = self.preparation.model_dump(mode="json")
        return said


def run(job: Job) -> None:
    """Reconstruct captures that are there."""
    with open_captures(
        job.captures, pages=job.pages, allow_non_finite=bool(job.of_chip[2])
    ) as given:
        _show_pairs(given)
        series = prepared(given, job.preparation)
        _, _, height, width = given.shape
        if _is_by_parts(job, series.shape):
            _run_by_parts(job, series, (height, width))
        else:
            _run_at_once(job, series, (height, width))


def _is_by_parts(job: Job, shape: tuple[int, int, int, int]) -> bool:
    if job.scheduler != "threads" or (job.resume and (job.output / JOURNAL).exists()):
        return True
    return is_long(shape, job.layers or 4)


def _show_pairs(series: CaptureSeries) -> None:
    """Say what belongs together, and how files were understood, before any work."""
    if not series.is_single:
        named = [" + ".join(path.name for path in pair) for pair in series.pairs]
        files = f"{named[0]} … {named[-1]}" if len(named) > 1 else named[0] if named else ""
        sides = "sensors A and B" if series.shape[1] == 2 else "sensor A alone"
        said = f"{series.shape[0]} frame(s) of {sides}: {escape(files)}"
        err.print(said, highlight=False, soft_wrap=True)
    for note in series.notes:
        err.print(escape(note), highlight=False, soft_wrap=True)


def _names(series: CaptureSeries) -> list[str]:
    """Return the file of each frame, if each has its own."""
    if len(series.pairs) != series.shape[0]:
        return []
    return [pair[0].name for pair in series.pairs]


def _files(series: CaptureSeries) -> str:
    """Return the names of the files that hold all frames."""
    return " + ".join(printable(path.name) for path in series.names)


def _title(job: Job, frames: int) -> str:
    files = [path.name for path in job.captures]
    few = files if len(files) <= 2 else [f"{files[0]} … {files[-1]}"]
    return " + ".join(few) + (f" (1 of {frames})" if frames > 1 else "")


def _run_at_once(job: Job, series: CaptureSeries, frame_px: tuple[int, int]) -> None:
    formats = job.formats or list(DEFAULT_FORMATS)
    with atomic_folder(job.output, job.overwrite, removes=OF_SERIES) as part:
        correction = job.correction()
        captures = series.read()
        model = job.opened(lambda: frame_px)
        check_pixel_size(series.pixel_size_um, model.imager)
        with progress_bar("Reconstructing") as progress:
            options = Options(layers=job.layers, correction=correction, tile_px=job.tile_px)
            if series.is_single:
                try:
                    result = model.reconstruct(captures[0], progress=progress, **options.given())
                except CaptureError as error:
                    raise CaptureError(f"{_files(series)}: {error}") from None
            else:
                names = _names(series) or [_files(series)] * len(captures)
                result = reconstruct_frames(
                    model, captures, options, names=names, progress=progress
                )
        first, title = result.frame(0), _title(job, len(captures))
        written = write_result(
            result,
            part,
            formats,
            cell_diameter_um=job.cell_diameter_um,
            names=_names(series),
            **job.sources(series, model),
        )
        draw_reconstruction(first, title).savefig(part / FIGURE)
        files = [path.name for path in (*written, part / FIGURE)]
        summary = json.loads((part / "summary.json").read_text(encoding="utf-8"))
    if job.as_json:
        print(json.dumps(summary, indent=2))
    else:
        print_table(title, found_columns(first))
        out.print(self_check(first), highlight=False)
        _say_written(job, files)
    warn_of_quality_flags(result)


def _run_by_parts(job: Job, series: CaptureSeries, frame_px: tuple[int, int]) -> None:
    formats = job.formats or list(SERIES_FORMATS)
    if set(formats) - set(SERIES_FORMATS):
        raise FociscopeError(
            f"{series.shape[0]} frames of {series.shape[2]} x {series.shape[3]} pixels are "
            f"written part by part, which only {' and '.join(SERIES_FORMATS)} allow; leave out "
            "the other formats, or give shorter series"
        )
    correction, model = job.correction(), job.opened(lambda: frame_px)
    check_pixel_size(series.pixel_size_um, model.imager)
    err.print(
        f"A long series: written part by part, as {' and '.join(formats)}; it can be interrupted, "
        "and gone on with by --resume.",
        highlight=False,
        soft_wrap=True,
    )
    try:
        with progress_bar("Reconstructing") as progress:
            done = reconstruct_series(
                model,
                series,
                job.output,
                formats=formats,
                layers=job.layers,
                correction=correction,
                tile_px=job.tile_px,
                cell_diameter_um=job.cell_diameter_um,
                names=_names(series),
                about=job.sources(series, model),
                made_from={"preparation": job.preparation.model_dump_json()},
                resume=job.resume,
                overwrite=job.overwrite,
                scheduler=job.scheduler,
                progress=progress,
            )
    except KeyboardInterrupt:
        err.print("interrupted: add --resume to the same command to go on", highlight=False)
        raise
    first = model.reconstruct(
        series.read(0, 1)[0], layers=job.layers, correction=correction, tile_px=job.tile_px
    )
    _draw(job, first, _title(job, done.frames))
    say_done(job, done)


def _draw(job: Job, first: Reconstruction, title: str) -> None:
    with atomic_path(job.output / FIGURE, overwrite=True) as part:
        draw_reconstruction(first, title).savefig(part, format="png")


def say_done(job: Job, done: SeriesDone) -> None:
    """Print what a series has in common: the mean of each layer."""
    if job.as_json:
        print(json.dumps(done.summary, indent=2))
        return
    series = done.summary["series"]
    layers = series["layers"]
    print_table(
        f"{done.frames} frame(s), {done.made} of them now; the mean of each layer",
        {
            "layer": [str(n + 1) for n in range(len(layers))],
            "there\n(%)": [f"{100 * s['present_frames'] / done.frames:.0f}" for s in layers],
            "depth\n(µm)": [
                "absent"
                if s["depth_um_mean"] is None
                else f"{s['depth_um_mean']:.0f} ± {s['depth_std_um_mean']:.0f}"
                for s in layers
            ],
            "cells\non (%)": [f"{100 * s['coverage_mean']:.1f}" for s in layers],
            "foci": [str(s["foci"]) for s in layers],
        },
    )
    odd = done.frames - series["plausible_frames"]
    if odd:
        err.print(
            f"[bold yellow]warning:[/] {odd} of {done.frames} captures do not look like the "
            "imager's; frames.csv says which and why",
            highlight=False,
            soft_wrap=True,
        )
    names = [path.name for path in done.files]
    _say_written(job, names + ([FIGURE] if (job.output / FIGURE).exists() else []))


def _say_written(job: Job, names: list[str]) -> None:
    out.print(f"Written to [bold]{escape(str(job.output))}[/]: {', '.join(names)}", highlight=False)
