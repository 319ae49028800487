"""`fociscope calibrate`: an imager from measurements."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fociscope.cli.calibrate_captures import fit_captures, report_captures
from fociscope.cli.calibrate_stage import fit_stage, report_stage
from fociscope.cli.common import (
    ImagerOption,
    OverwriteOption,
    err,
    estimate_cells,
    out,
    pitch_in_words,
    print_written,
    progress_bar,
)
from fociscope.cli.entry import app
from fociscope.errors import FociscopeError, FociscopeWarning

if TYPE_CHECKING:
    from fociscope.calibration import Calibration


StackArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="STACK...",
        help="Sensor A's planes at known depths, (depth, y, x): TIFF, NPY, HDF5, MAT, NPZ or Zarr; "
        "both sensors' as 2 channels, or (depth, sensor, y, x). With --stage, one file or more of "
        "frames; with --from-captures, files or folders as `reconstruct` takes them.",
        show_default=False,
    ),
]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="The imager's file, .toml.")]
FromCapturesOption = Annotated[
    bool,
    typer.Option(
        "--from-captures",
        help="Ordinary captures of changing tissue, 50 to 200 of one chip, of which nothing is "
        "known.",
    ),
]
StageOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV file of where a stage stood in each frame (x_um, y_um, depth_um), for beads that "
        "it moved over a chip of any pixels; see --beads."
    ),
]
BeadsOption = Annotated[
    str, typer.Option(help='With --stage, what each bead does: "moving", or "fixed,moving".')
]
DarkOption = Annotated[
    Path | None, typer.Option(help="With --stage, captures without beads, to be subtracted.")
]
ModelErrorOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=0.5,
        help="With --stage, share of the light by which the imager is wrong; without it, found.",
    ),
]  # fmt: skip
DepthsOption = Annotated[
    str | None,
    typer.Option(
        help='Depth of each plane from sensor A in µm: a CSV file or "50,150,250". Without it, '
        "the stack's own (OME-TIFF positions, a MAT variable depth_um)."
    ),
]
SensorBOption = Annotated[
    Path | None, typer.Option(help="The same planes seen by sensor B, oriented as A's.")
]
TargetOption = Annotated[
    Path | None,
    typer.Option(help="Image of a known target, one value per pixel; without it, beads."),
]
VariableOption = Annotated[str | None, typer.Option(help="Array, of a file that holds several.")]
ModelOption = Annotated[
    str,
    typer.Option(
        help="Of the PSF: angle-selective, gaussian, measured, or another kind that an installed "
        "package adds."
    ),
]
PitchOption = Annotated[
    float | None, typer.Option(min=0.1, max=1000, help="In place of the imager's.")
]
GapOption = Annotated[
    float | None,
    typer.Option(min=1, max=20_000, help="From sensor A to B, in place of the imager's."),
]
HalfAngleOption = Annotated[
    float | None, typer.Option(min=4, max=60, help="Where the search begins.")
]
SaturationOption = Annotated[
    float | None, typer.Option(help="Pixels from here on count as saturated.")
]
DepthOffsetOption = Annotated[
    bool, typer.Option("--fit-depth-offset", help="Fit the zero of the depths as well.")
]
RadialOption = Annotated[bool, typer.Option(help="Average a measured PSF over all directions.")]
FigureOption = Annotated[bool, typer.Option(help="Draw measured against fitted.")]


@app.command()
def calibrate(
    stack: StackArgument,
    output: OutputOption,
    from_captures: FromCapturesOption = False,
    stage: StageOption = None,
    beads: BeadsOption = "moving",
    dark: DarkOption = None,
    model_error: ModelErrorOption = None,
    depths: DepthsOption = None,
    sensor_b: SensorBOption = None,
    target: TargetOption = None,
    variable: VariableOption = None,
    model: ModelOption = "angle-selective",
    imager: ImagerOption = None,
    pixel_pitch_um: PitchOption = None,
    gap_um: GapOption = None,
    half_angle_deg: HalfAngleOption = None,
    saturation_counts: SaturationOption = None,
    fit_depth_offset: DepthOffsetOption = False,
    radial: RadialOption = True,
    figure: FigureOption = True,
    overwrite: OverwriteOption = False,
) -> None:
    """Fit an imager to beads or a target at known depths, to a stage, or to ordinary captures.

    Writes the imager, a summary with uncertainties (.calibration.json), a figure
    (.calibration.png), and the PSF where it was measured (.psf.ome.tif).
    """
    from fociscope.calibration import calibrate as fit_imager

    if from_captures:
        with _warnings_last(), progress_bar("Estimating") as progress:
            blind = fit_captures(
                stack, output, imager=imager, pixel_pitch_um=pixel_pitch_um, gap_um=gap_um,
                saturation_counts=saturation_counts, figure=figure, overwrite=overwrite,
                progress=progress, known={
                    "stage": stage, "dark": dark, "depths": depths, "sensor_b": sensor_b,
                    "target": target, "variable": variable, "model_error": model_error,
                    "half_angle_deg": half_angle_deg, "fit_depth_offset": fit_depth_offset,
                },
            )  # fmt: skip
        report_captures(blind, output, figure=figure)
        return
    if stage is not None:
        with _warnings_last(), progress_bar("Fitting") as progress:
            swept = fit_stage(
                stack, stage, output, beads=beads, dark=dark, imager=imager, variable=variable,
                fit_depth_offset=fit_depth_offset, model_error=model_error, figure=figure,
                overwrite=overwrite, progress=progress,
            )  # fmt: skip
        report_stage(swept, output, figure=figure)
        return
    _check_one(stack, dark, model_error)
    with _warnings_last(), progress_bar("Fitting") as progress:
        found = fit_imager(
            stack[0], output, depth_um=depths, sensor_b=sensor_b, target=target,
            variable=variable, model=model, imager=imager, pixel_pitch_um=pixel_pitch_um,
            gap_um=gap_um, saturation_counts=saturation_counts,
            start_values=None if half_angle_deg is None else {"half_angle_deg": half_angle_deg},
            fit_depth_offset=fit_depth_offset, radial=radial, draw=_draw if figure else None,
            overwrite=overwrite, progress=progress,
        )  # fmt: skip
    _report(found)
    _report_written(found, output, figure=figure)


def _check_one(stack: list[Path], dark: Path | None, model_error: float | None) -> None:
    """Refuse what a stage alone takes.

    Raises:
        FociscopeError: If there is more than one stack, or an option of a stage is set.
    """
    if len(stack) > 1 or dark is not None or model_error is not None:
        what = f"{len(stack)} stacks" if len(stack) > 1 else "an option of a stage's captures"
        raise FociscopeError(
            f"{what}, expected one stack of planes at known depths; give sensor B's as such, or "
            "the stage's positions for frames of beads that it moved",
            fields=("stage", "sensor_b"),
        )


def _draw(calibration: Calibration, title: str, picture: Path) -> None:
    from fociscope.figures.calibration import draw_calibration

    draw_calibration(calibration, title).savefig(picture)


@contextmanager
def _warnings_last() -> Iterator[None]:
    """Print warnings when the progress bar is gone."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", FociscopeWarning)
        try:
            yield
        finally:
            for one in warned:
                text = escape(str(one.message))
                err.print(f"[yellow]warning:[/] {text}", highlight=False, soft_wrap=True)


def _report(found: Calibration) -> None:
    """Print what was found."""
    from rich.table import Table

    table = Table(title=f"Imager {escape(found.imager.name)}", title_justify="left")
    for name in ("parameter", "value", "± (1 std)", "unit"):
        table.add_column(name, justify="left" if name in ("parameter", "unit") else "right")
    for name, estimate in found.estimates.items():
        table.add_row(name, *estimate_cells(estimate, unknown="not measured"))
    out.print(table)
    depths = sorted({plane.depth_um for plane in found.planes})
    out.print(
        f"Depths used (µm): {', '.join(f'{depth:g}' for depth in depths)}; pixels of "
        f"{pitch_in_words(found.imager)}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(
        f"Reduced chi square {found.reduced_chi_square:.2f} (1: noise alone separates measurement "
        "and imager)",
        highlight=False,
    )


def _report_written(found: Calibration, output: Path, *, figure: bool) -> None:
    """Print the files that are written."""
    ends = [".toml", ".calibration.json"]
    if found.imager.psf != found.fitted:
        ends.append(".psf.ome.tif")
    if figure:
        ends.append(".calibration.png")
    print_written(output, ends)
