"""`fociscope calibrate`: an imager from measurements."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from fociscope.cli.common import ImagerOption, OverwriteOption, err, out, progress_bar
from fociscope.cli.entry import app

if TYPE_CHECKING:
    from fociscope.calibration import Calibration
    from fociscope.imager import Imager


class PsfModel(StrEnum):
    """How the PSF is described."""

    angle_selective = "angle-selective"
    gaussian = "gaussian"
    measured = "measured"


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
    model: Annotated[PsfModel, typer.Option(help="Of the PSF.")] = PsfModel.angle_selective,
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

    from fociscope.calibration import calibrate_beads, calibrate_target, read_depths, read_stack
    from fociscope.errors import FociscopeError, FociscopeWarning
    from fociscope.files import atomic_folder, read_image

    if output.suffix.lower() != ".toml":
        raise FociscopeError(f"{output}: an imager's file ends in .toml; choose such a name")
    _refuse_existing(output, overwrite)
    table = None if depths is None else read_depths(depths)
    measured = read_stack(stack, depth_um=table, sensor_b=sensor_b, variable=variable)
    start = _start(imager, measured.pixel_pitch_um, pixel_pitch_um, gap_um, half_angle_deg)
    options: dict[str, Any] = {
        "imager": start.with_(name=output.stem),
        "model": model.value,
        "saturation_counts": saturation_counts,
    }
    with progress_bar("Fitting") as progress, warnings.catch_warnings():
        # They are printed below, when the progress bar is gone, and written.
        warnings.simplefilter("ignore", FociscopeWarning)
        if target is None:
            found = calibrate_beads(
                measured,
                fit_depth_offset=fit_depth_offset,
                radial=radial,
                progress=progress,
                **options,
            )
        else:
            found = calibrate_target(measured, read_image(target), progress=progress, **options)
    inputs = [path for path in (stack, sensor_b, target) if path is not None]
    with atomic_folder(output.parent, overwrite=True, shared=True) as part:
        _refuse_existing(output, overwrite)
        written = found.write_into(part, output.name, inputs=[_input(path) for path in inputs])
        if figure:
            from fociscope.figures.calibration import draw_calibration

            picture = part / output.with_suffix(".calibration.png").name
            draw_calibration(found, " + ".join(p.name for p in inputs)).savefig(picture)
            written.append(picture)
        names = [path.name for path in written]
    _report(found)
    where = escape(str(output.parent))
    out.print(f"Written to [bold]{where}[/]: {', '.join(names)}", highlight=False, soft_wrap=True)


def _refuse_existing(output: Path, overwrite: bool) -> None:
    """Refuse before the work, and again before the writing, what would be replaced unasked."""
    from fociscope.errors import OutputExistsError

    ends = (".toml", ".calibration.json", ".calibration.png", ".psf.ome.tif")
    for path in [output.with_suffix(end) for end in ends]:
        if path.is_dir():
            raise OutputExistsError(f"{path}: a folder stands where a file should go; move it")
        if path.exists() and not overwrite:
            raise OutputExistsError(
                f"{path}: exists already; choose another name or allow overwriting (--overwrite)"
            )


def _start(
    file: Path | None,
    stated_um: float | None,
    pitch_um: float | None,
    gap_um: float | None,
    half_angle_deg: float | None,
) -> Imager:
    """Return the imager that the search begins with."""
    from fociscope.imager import AngleSelectivePsf, Imager

    start = Imager.reference() if file is None else Imager.from_toml(file)
    if pitch_um is None and file is None:
        pitch_um = stated_um
        if stated_um is None:
            _warn(
                f"the stack states no pixel pitch: {start.pixel_pitch_um:g} um is assumed; give "
                "yours with --pixel-pitch-um"
            )
    changes: dict[str, Any] = {}
    if pitch_um is not None:
        changes["pixel_pitch_um"] = pitch_um
    if gap_um is not None:
        changes["gap_um"] = gap_um
    if half_angle_deg is not None:
        own = start.psf if isinstance(start.psf, AngleSelectivePsf) else AngleSelectivePsf()
        changes["psf"] = own.with_(half_angle_deg=half_angle_deg)
    return start.with_(**changes)


def _input(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _warn(message: str) -> None:
    err.print(f"[yellow]warning:[/] {escape(message)}", highlight=False, soft_wrap=True)


def _report(found: Calibration) -> None:
    """Print what was found."""
    import math

    from rich.table import Table

    for note in found.notes:
        _warn(note)
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
