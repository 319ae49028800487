"""`fociscope imager new`: a commented imager file from options, or a few answers on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fociscope.cli.common import OverwriteOption, out, pitch_in_words, refuse_missing
from fociscope.cli.entry import app
from fociscope.cli.names import IMAGERS, completed, listed

imager_app = typer.Typer(help="Describe an imager.", no_args_is_help=True)
app.add_typer(imager_app, name="imager")

#: Refractive index of tissue that new files state.
TISSUE_INDEX = 1.37

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="TOML file to write.", show_default=False)
]
PresetOption = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="NAME",
        help=f"Imager to begin with: {listed(IMAGERS)}, or a TOML file.",
        autocompletion=completed(IMAGERS),
    ),
]
PitchOption = Annotated[
    str | None,
    typer.Option(
        metavar="UM", help="Pitch of square pixels in um, or along y and x, such as 73.22,25.67."
    ),
]
FrameOption = Annotated[
    str | None, typer.Option(metavar="ROWSxCOLUMNS", help="Pixels, such as 2x128.")
]
SensorsOption = Annotated[int | None, typer.Option(min=1, max=2, help="1: sensor A alone.")]
GapOption = Annotated[
    float | None,
    typer.Option(help="From sensor A to B in um; with A alone, the greatest depth."),
]
SensitiveOption = Annotated[
    str | None,
    typer.Option(metavar="UM", help="Sides of a pixel's sensitive rectangle, such as 13,13."),
]
AngleOption = Annotated[
    float | None, typer.Option(help="Acceptance half angle in degrees, in the half angle's medium.")
]
MediumOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|INDEX",
        help="Medium in which the half angle or the response was measured: air, water, tissue, or "
        "a refractive index.",
    ),
]
ResponseOption = Annotated[
    Path | None,
    typer.Option(help="CSV file of an angular response: angle in degrees, transmission."),
]
ColumnOption = Annotated[
    str | None, typer.Option(help="Column of the response's transmissions, of several.")
]


@imager_app.command("new")
def new(
    file: FileArgument,
    preset: PresetOption = "reference",
    pixel_pitch_um: PitchOption = None,
    frame_px: FrameOption = None,
    sensors: SensorsOption = None,
    gap_um: GapOption = None,
    sensitive_um: SensitiveOption = None,
    half_angle_deg: AngleOption = None,
    medium: MediumOption = None,
    response: ResponseOption = None,
    response_column: ColumnOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write an imager's file with a comment for each field.

    On a terminal, and without any option, it asks for what matters most.
    """
    from fociscope.imager import Imager, write_commented_imager

    refuse_missing(response)
    start = Imager.load(preset)
    changes: dict[str, Any] = {
        "name": file.stem,
        "pixel_pitch_um": None if pixel_pitch_um is None else _numbers(pixel_pitch_um, "pitch"),
        "frame_px": None if frame_px is None else _numbers(frame_px.replace("x", ","), "frame"),
        "sensors": sensors,
        "gap_um": gap_um,
        "sensitive_um": None if sensitive_um is None else _numbers(sensitive_um, "rectangle"),
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    psf = _psf(half_angle_deg, medium, response, response_column)
    if len(changes) == 1 and not psf and preset == "reference" and sys.stdin.isatty():
        changes, psf = {**changes, **_asked(start)}, _asked_psf()
    if psf:
        changes["psf"] = psf if response is not None else start.psf.with_(**psf)
    imager = start.with_(**changes)
    write_commented_imager(imager, file, overwrite=overwrite)
    height, width = imager.frame_px
    for line in (
        f"Written: {file}: {width} x {height} pixels of {pitch_in_words(imager)}",
        f"Look at it: fociscope info {file}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _psf(
    half_angle_deg: float | None, medium: str | None, response: Path | None, column: str | None
) -> dict[str, Any]:
    """Return the fields of the PSF that options name."""
    from fociscope.errors import FociscopeError

    index = None if medium is None else _medium(medium)
    if response is not None:
        if half_angle_deg is not None:
            raise FociscopeError("--response and --half-angle-deg describe the same; give one")
        fields = {
            "kind": "angular-response",
            "file": str(response),
            "file_column": column,
            "table_medium": index,
        }
    else:
        fields = {"half_angle_deg": half_angle_deg, "half_angle_medium": index}
        if half_angle_deg is not None or index is not None:
            fields["tissue_index"] = TISSUE_INDEX
    return {name: value for name, value in fields.items() if value is not None}


def _medium(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(text: str, what: str) -> Any:
    """Return one number, or several that commas separate.

    Raises:
        FociscopeError: If the text holds none.
    """
    from fociscope.errors import FociscopeError

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise FociscopeError(
            f"{text!r} is no {what}; write a number, or two such as 73.22,25.67"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


def _asked(start: Any) -> dict[str, Any]:
    """Ask for pixels and sensors."""
    height, width = start.frame_px
    pitch = typer.prompt("Pixel pitch in um (one number, or y,x)", pitch_in_words(start).split()[0])
    frame = typer.prompt("Pixels, rows x columns", f"{height}x{width}")
    sensors = typer.prompt("Sensors (1: A alone, 2: A and B)", start.sensors, type=int)
    gap_um = typer.prompt("Gap from A to B, or the greatest depth, in um", start.gap_um, type=float)
    return {
        "pixel_pitch_um": _numbers(pitch, "pitch"),
        "frame_px": _numbers(frame.replace("x", ","), "frame"),
        "sensors": sensors,
        "gap_um": gap_um,
    }


def _asked_psf() -> dict[str, Any]:
    """Ask for the half angle and its medium."""
    angle_deg = typer.prompt("Acceptance half angle in degrees", 18.0, type=float)
    medium = typer.prompt("Medium in which it was measured (air, water, tissue, index)", "air")
    return _psf(angle_deg, medium, None, None)
