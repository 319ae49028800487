"""The whole calibration: files of a stack in, an imager's file and its summary out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fociscope.calibration._from_beads import calibrate_beads
from fociscope.calibration._from_captures import BlindCalibration
from fociscope.calibration._from_sweeps import SweepCalibration
from fociscope.calibration._from_target import calibrate_target
from fociscope.calibration._psf_fit import start_psf
from fociscope.calibration._result import Calibration
from fociscope.errors import (
    FociscopeError,
    FociscopeWarning,
    ImagerError,
    OutputExistsError,
    printable,
)
from fociscope.files.captures.calibration_stack import (
    MeasuredStack,
    file_of,
    read_depths,
    read_stack,
)
from fociscope.files.images.reader import read_image
from fociscope.files.safe.atomic import atomic_folder
from fociscope.files.safe.checksum import sha256
from fociscope.files.safe.locks import locked_folder
from fociscope.imager.geometry import Imager
from fociscope.typing import Progress

__all__ = ["Drawing", "calibrate", "check_output", "save_calibration"]

_Found = TypeVar("_Found", Calibration, SweepCalibration, BlindCalibration)

Drawing = Callable[[Calibration, str, Path], None]
"""Draws a calibration under a title into a PNG file."""

SHALLOWEST_UM = 5.0
"""Beads at no more than this depth show nothing of how light spreads with depth."""
FILE_ENDS = (".toml", ".calibration.json", ".calibration.png", ".psf.ome.tif", ".flat.npy")
"""Ends of the files that a calibration may write."""


def calibrate(
    stack: Path | str,
    output: Path | str | None = None,
    *,
    depth_um: npt.ArrayLike | Path | str | None = None,
    sensor_b: Path | str | None = None,
    target: Path | str | None = None,
    variable: str | None = None,
    model: str = "angle-selective",
    imager: Imager | Path | str | None = None,
    pixel_pitch_um: float | None = None,
    gap_um: float | None = None,
    start_values: Mapping[str, float] | None = None,
    saturation_counts: float | None = None,
    fit_depth_offset: bool = False,
    radial: bool = True,
    draw: Drawing | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Calibration:
    """Fit an imager to a stack of beads, or of a known target, at known depths.

    Args:
        stack: File of sensor A's planes, (depth, y, x), or of both sensors', (depth, sensor, y, x):
            TIFF, NPY, HDF5, MAT, NPZ or Zarr.
        output: The imager's file to write, ending in `.toml`, with its summary beside it; None to
            write nothing.
        depth_um: (depth,) distance of each plane from sensor A, or a CSV file, or a text such as
            "50,150,250"; by default as the stack's file states them.
        sensor_b: File of the same planes seen by sensor B, oriented as A's.
        target: Image of a known target, one value per pixel; None for beads.
        variable: Variable of a MAT file that holds several.
        model: Kind of PSF to fit, one of `fociscope.imager.psf.PSF_KINDS` that declares fit
            parameters, or "measured".
        imager: Imager, or its file, that the search begins with; the reference imager by default.
        pixel_pitch_um: Side of a pixel in place of the imager's; without an imager, the pitch that
            the stack's file states is taken.
        gap_um: Distance between the sensors in place of the imager's.
        start_values: Fields of the PSF that the search begins with, such as
            `{"half_angle_deg": 14.0}`.
        saturation_counts: Counts at which a pixel is saturated; by default judged from the stack.
        fit_depth_offset: Whether one offset of all depths is fitted as well; beads only.
        radial: Whether a measured PSF is averaged over all directions.
        draw: Function that draws the calibration into a file beside the imager's; None for none.
        overwrite: Whether files may be replaced.
        progress: Called with the steps done and their number.

    Returns:
        The imager with its uncertainties.

    Raises:
        FociscopeError: If the output does not end in `.toml`.
        OutputExistsError: If a file to write exists and `overwrite` is not set.
        FileFormatError: If a file is missing or broken.
        CaptureError: If there is nothing to fit in the captures, or they are saturated.
        ImagerError: If depths, model or start values are impossible.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.calibration import calibrate, simulated_stack
        >>> from fociscope.imager import Imager
        >>> imager = Imager(sensors=1, frame_px=(21, 21))
        >>> depth_um = [450.0, 600.0, 750.0]
        >>> planes = simulated_stack(imager, [[10.0, -15.0]], depth_um).counts[0]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "beads.npy", planes)
        ...     output = Path(folder) / "chip.toml"
        ...     calibration = calibrate(
        ...         Path(folder) / "beads.npy", output, depth_um=depth_um, imager=imager
        ...     )
        ...     Imager.from_toml(output) == calibration.imager
        True
    """
    if output is not None:
        check_output(output, overwrite=True)  # what may be replaced is looked at under the lock
    with nullcontext() if output is None else locked_folder(Path(output).absolute().parent):
        if output is not None:  # what a killed run has left is in order now
            check_output(output, overwrite=overwrite)
        depths = read_depths(depth_um) if isinstance(depth_um, str | Path) else depth_um
        measured = read_stack(stack, depth_um=depths, sensor_b=sensor_b, variable=variable)
        for note in measured.notes:
            warnings.warn(note, FociscopeWarning, stacklevel=2)
        start = _start(imager, measured.pixel_pitch_um, pixel_pitch_um, gap_um)
        _check_plausible(measured, Path(stack), start)
        if start_values:
            start = start.with_(psf=start_psf(start, model, start_values=start_values))
        options: dict[str, Any] = {
            "imager": start if output is None else start.with_(name=Path(output).stem),
            "model": model,
            "saturation_counts": saturation_counts,
            "progress": progress,
        }
        if target is None:
            calibration = calibrate_beads(
                measured, fit_depth_offset=fit_depth_offset, radial=radial, **options
            )
        else:
            calibration = calibrate_target(measured, read_image(Path(target)), **options)
        if output is not None:
            inputs = [
                file_of(Path(path))[0] for path in (stack, sensor_b, target) if path is not None
            ]
            save_calibration(calibration, output, inputs=inputs, draw=draw, overwrite=overwrite)
        return calibration


def check_output(output: Path | str, *, overwrite: bool = False) -> None:
    """Refuse a file for the imager that cannot be written, before the work is done.

    Args:
        output: The imager's file.
        overwrite: Whether files may be replaced.

    Raises:
        FociscopeError: If it does not end in `.toml`.
        OutputExistsError: If one of the files to write is a folder, or exists and `overwrite` is
            not set.

    Examples:
        >>> from fociscope.calibration import check_output
        >>> check_output("chip.json")
        Traceback (most recent call last):
        ...
        fociscope.errors.FociscopeError: chip.json: an imager's file ends in .toml; choose such ...
    """
    output = Path(output)
    if output.suffix.lower() != ".toml":
        raise FociscopeError(
            f"{output}: an imager's file ends in .toml; choose such a name", fields=("output",)
        )
    for path in [output.with_suffix(end) for end in FILE_ENDS]:
        if path.is_dir():
            raise OutputExistsError(f"{path}: a folder stands where a file should go; move it")
        if path.exists() and not overwrite:
            raise OutputExistsError(
                f"{path}: exists already; choose another name or allow overwriting",
                fields=("overwrite",),
            )


def save_calibration(
    calibration: _Found,
    output: Path | str,
    *,
    inputs: list[Path] | None = None,
    draw: Callable[[_Found, str, Path], None] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write an imager, its summary, what was measured beside it, and a picture: all or none.

    Args:
        calibration: Calibration to write.
        output: The imager's file, ending in `.toml`; the others go beside it.
        inputs: Files that were measured; the summary names them with their checksums.
        draw: Function that draws the calibration into a PNG file; None for no picture.
        overwrite: Whether files may be replaced.

    Returns:
        The files written, the imager's first.

    Raises:
        FociscopeError: If `output` does not end in `.toml`.
        OutputExistsError: If a file exists and `overwrite` is not set.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from fociscope.calibration import calibrate_beads, save_calibration, simulated_stack
        >>> from fociscope.imager import Imager
        >>> imager = Imager(sensors=1, frame_px=(21, 21))
        >>> stack = simulated_stack(imager, [[10.0, -15.0]], [450.0, 600.0, 750.0])
        >>> calibration = calibrate_beads(stack, imager=imager)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file.name for file in save_calibration(calibration, Path(folder) / "chip.toml")]
        ['chip.toml', 'chip.calibration.json']
    """
    output, measured = Path(output), inputs or []
    names = [output.with_suffix(end).name for end in FILE_ENDS]
    with atomic_folder(output.parent, overwrite=True, again=True, removes=names) as part:
        check_output(output, overwrite=overwrite)
        written = calibration.write_into(
            part, output.name, inputs=[_input(path) for path in measured]
        )
        if draw is not None:
            picture = part / output.with_suffix(".calibration.png").name
            draw(calibration, " + ".join(path.name for path in measured), picture)
            written.append(picture)
    return [output.with_name(path.name) for path in written]


def _start(
    imager: Imager | Path | str | None,
    stated_um: float | None,
    pixel_pitch_um: float | None,
    gap_um: float | None,
) -> Imager:
    """Return the imager that the search begins with."""
    if imager is None:
        start = Imager.reference()
    else:
        start = imager if isinstance(imager, Imager) else Imager.load(imager)
    if pixel_pitch_um is None and imager is None:
        pixel_pitch_um = stated_um
        if stated_um is None:
            warnings.warn(
                f"the stack states no pixel pitch: {start.square_pitch_um:g} µm is assumed; give "
                "your own if it differs",
                FociscopeWarning,
                stacklevel=3,
            )
    stated = {"pixel_pitch_um": pixel_pitch_um, "gap_um": gap_um}
    return start.with_(**{name: value for name, value in stated.items() if value is not None})


def _check_plausible(measured: MeasuredStack, path: Path, start: Imager) -> None:
    """Refuse depths that are no distances from sensor A in um.

    Raises:
        ImagerError: if they look like millimetres, numbers of planes, or stage coordinates.
    """
    depth_um, what = measured.depth_um, None
    steps = np.diff(depth_um)
    if depth_um.max() < SHALLOWEST_UM:
        what = f"go up to {depth_um.max():g} µm only, as distances in mm would"
    if len(depth_um) > 2 and depth_um[0] in (0, 1) and (steps == 1).all():
        what = f"are {depth_um[0]:g}, {depth_um[1]:g}, ... {depth_um[-1]:g}, as numbers of planes"
    nearest = depth_um.min() if measured.is_stated else depth_um.max()
    if nearest > start.gap_um:
        by = "" if measured.is_stated else " by the file itself"
        what = (
            f"are {depth_um.min():g} ... {depth_um.max():g} µm{by}, beyond the gap of "
            f"{start.gap_um:g} µm, as coordinates of a stage would be"
        )
    if what is not None:
        raise ImagerError(
            f"{printable(path)}: the depths {what}; expected the distance of each plane from "
            "sensor A in µm, within the gap; give those",
            fields=("depth_um", "gap_um"),
            value=float(depth_um.max()),
        )


def _input(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": sha256(path)}
