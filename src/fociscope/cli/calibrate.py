"""`fociscope calibrate`: an imager from measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fociscope.cli.common import ImagerOption, OverwriteOption, err, out, progress_bar
from fociscope.cli.entry import app
from fociscope.errors import FociscopeWarning

if TYPE_CHECKING:
    from fociscope.calibration import Calibration


@app.command()
def calibrate(
    stack: Annotated[
        Path,
        typer.Argument(
            metavar="STACK",
            help="Sensor A's planes at known depths: TIFF, NPY or MAT, (depth, y, x); NPY may hold "
            "(depth, sensor, y, x).",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The imager's file, .toml.")],
    depths: Annotated[
        str | None,
        typer.Option(
            help='Depth of each plane from sensor A in um: a CSV file or "50,150,250". Without it, '
            "the stack's own (OME-TIFF positions, a MAT variable depth_um)."
        ),
    ] = None,
    sensor_b: Annotated[
        Path | None, typer.Option(help="The same planes seen by sensor B, oriented as A's.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(help="Image of a known target, one value per pixel; without it, beads."),
    ] = None,
    variable: Annotated[str | None, typer.Option(help="Of a MAT file that holds several.")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Of the PSF: angle-selective, gaussian, measured, or another kind that an "
            "installed package adds."
        ),
    ] = "angle-selective",
    imager: ImagerOption = None,
    pixel_pitch_um: Annotated[
        float | None, typer.Option(min=0.1, max=1000, help="In place of the imager's.")
    ] = None,
    gap_um: Annotated[
        float | None,
        typer.Option(min=1, max=20_000, help="From sensor A to B, in place of the imager's."),
    ] = None,
    half_angle_deg: Annotated[
        float | None, typer.Option(min=4, max=60, help="Where the search begins.")
    ] = None,
    saturation_counts: Annotated[
        float | None, typer.Option(help="Pixels from here on count as saturated.")
    ] = None,
    fit_depth_offset: Annotated[
        bool, typer.Option("--fit-depth-offset", help="Fit the zero of the depths as well.")
    ] = False,
    radial: Annotated[
        bool, typer.Option(help="Average a measured PSF over all directions.")
    ] = True,
    figure: Annotated[bool, typer.Option(help="Draw measured against fitted.")] = True,
    overwrite: OverwriteOption = False,
) -> None:
    """Fit an imager to a stack of beads, or of a known target, at known depths.

    Writes the imager, a summary with uncertainties (.calibration.json), a figure
    (.calibration.png), and the PSF where it was measured (.psf.ome.tif).
    """
    import warnings

    from fociscope.calibration import calibrate as fit_imager
    from fociscope.calibration import check_output

    check_output(output, overwrite=overwrite)
    with warnings.catch_warnings(record=True) as warned, progress_bar("Fitting") as progress:
        warnings.simplefilter("always", FociscopeWarning)
        found = fit_imager(
            stack,
            output,
            depth_um=depths,
            sensor_b=sensor_b,
            target=target,
            variable=variable,
            model=model,
            imager=imager,
            pixel_pitch_um=pixel_pitch_um,
            gap_um=gap_um,
            start_values=None if half_angle_deg is None else {"half_angle_deg": half_angle_deg},
            saturation_counts=saturation_counts,
            fit_depth_offset=fit_depth_offset,
            radial=radial,
            draw=_draw if figure else None,
            overwrite=overwrite,
            progress=progress,
        )
    for warning in warned:  # now that the progress bar is gone
        _warn(str(warning.message))
    _report(found)
    ends = [".toml", ".calibration.json"]
    if found.imager.psf != found.fitted:
        ends.append(".psf.ome.tif")
    if figure:
        ends.append(".calibration.png")
    names = [output.with_suffix(end).name for end in ends]
    where = escape(str(output.parent))
    out.print(f"Written to [bold]{where}[/]: {', '.join(names)}", highlight=False, soft_wrap=True)


def _draw(calibration: Calibration, title: str, picture: Path) -> None:
    from fociscope.figures.calibration import draw_calibration

    draw_calibration(calibration, title).savefig(picture)


def _warn(message: str) -> None:
    err.print(f"[yellow]warning:[/] {escape(message)}", highlight=False, soft_wrap=True)


def _report(found: Calibration) -> None:
    """Print what was found."""
    import math

    from rich.table import Table

    table = Table(title=f"Imager {escape(found.imager.name)}", title_justify="left")
    for name in ("parameter", "value", "± (1 std)", "unit"):
        table.add_column(name, justify="left" if name in ("parameter", "unit") else "right")
    for name, estimate in found.estimates.items():
        known = math.isfinite(estimate.std)
        digits = max(0, 1 - math.floor(math.log10(estimate.std))) if known and estimate.std else 3
        table.add_row(
            name,
            f"{estimate.value:.{digits}f}",
            f"{estimate.std:.{digits}f}" if known else "not measured",
            "" if estimate.unit == "1" else estimate.unit,
        )
    out.print(table)
    out.print(
        f"Reduced chi square {found.reduced_chi_square:.2f} (1: noise alone separates measurement "
        "and imager)",
        highlight=False,
    )
