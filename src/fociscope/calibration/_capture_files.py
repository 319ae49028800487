"""The whole calibration from ordinary captures: files in, an imager's file and its summary out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from fociscope.calibration._from_captures import (
    LEAST_CAPTURES,
    BlindCalibration,
    calibrate_captures,
)
from fociscope.calibration._from_files import check_output, save_calibration
from fociscope.errors import CaptureError, printable
from fociscope.files.captures.reader import open_captures
from fociscope.files.safe.locks import locked_folder
from fociscope.imager.geometry import Imager
from fociscope.typing import Float32Array, Progress

__all__ = ["BlindDrawing", "calibrate_from_captures"]

BlindDrawing = Callable[[BlindCalibration, str, Path], None]
"""Draws a calibration from captures under a title into a PNG file."""


def calibrate_from_captures(
    captures: Sequence[Path | str] | Path | str,
    output: Path | str | None = None,
    *,
    imager: Imager | Path | str | None = None,
    pixel_pitch_um: float | None = None,
    gap_um: float | None = None,
    saturation_counts: float | None = None,
    draw: BlindDrawing | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> BlindCalibration:
    """Estimate an imager from files of ordinary captures of tissue.

    Args:
        captures: Files, folders or patterns, as `open_captures` takes them.
        output: The imager's file to write, ending in `.toml`, with its summary beside it; None to
            write nothing.
        imager: Imager, its file, or a preset's name, of which all is kept that the captures do not
            determine; the reference imager with the captures' frame by default.
        pixel_pitch_um: Side of a pixel in place of the imager's.
        gap_um: Distance between the sensors in place of the imager's.
        saturation_counts: Counts at which a pixel is saturated; by default judged from the
            captures.
        draw: Function that draws the calibration into a file beside the imager's; None for none.
        overwrite: Whether files may be replaced.
        progress: Called with the steps done and their number.

    Returns:
        The imager with what is determined, and what is not.

    Raises:
        FociscopeError: If the output does not end in `.toml`.
        OutputExistsError: If a file to write exists and `overwrite` is not set.
        FileFormatError: If a file is missing or broken, or captures differ in size.
        CaptureError: As `calibrate_captures`.
        ImagerError: As `calibrate_captures`.

    Examples:
        >>> import tempfile
        >>> import warnings
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.calibration import calibrate_from_captures
        >>> from fociscope.simulation import simulate
        >>> with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # these captures are few
        ...     np.save(Path(folder) / "run.npy", simulate(12, seed=0).captures)
        ...     found = calibrate_from_captures(f"{folder}/run.npy", f"{folder}/chip.toml")
        ...     sorted(file.name for file in Path(folder).glob("chip*"))
        ['chip.calibration.json', 'chip.toml']
    """
    named = [captures] if isinstance(captures, str | Path) else list(captures)
    if output is not None:
        check_output(output, overwrite=True)  # what may be replaced is looked at under the lock
    with nullcontext() if output is None else locked_folder(Path(output).absolute().parent):
        if output is not None:  # what a killed run has left is in order now
            check_output(output, overwrite=overwrite)
        start = None if imager is None else _loaded(imager)
        frames, inputs = _read([Path(path) for path in named], start)
        if start is None:
            start = Imager.reference().with_(sensors=frames.shape[1], frame_px=frames.shape[2:])
        stated = {"pixel_pitch_um": pixel_pitch_um, "gap_um": gap_um}
        start = start.with_(**{name: value for name, value in stated.items() if value is not None})
        if output is not None:
            start = start.with_(name=Path(output).stem)
        found = calibrate_captures(
            frames, imager=start, saturation_counts=saturation_counts, progress=progress
        )
        if output is not None:
            files = [path for path in inputs if path.is_file()]
            save_calibration(found, output, inputs=files, draw=draw, overwrite=overwrite)
    return found


def _loaded(imager: Imager | Path | str) -> Imager:
    return imager if isinstance(imager, Imager) else Imager.load(imager)


def _read(paths: list[Path], imager: Imager | None) -> tuple[Float32Array, list[Path]]:
    """Return all captures, and the files they are in."""
    order = None if imager is None else imager.pixel_order()
    with open_captures(paths, pixel_order=order) as series:
        if len(series) < LEAST_CAPTURES:
            raise CaptureError(
                f"{printable(paths[0])}: {len(series)} capture(s), expected at least "
                f"{LEAST_CAPTURES} of one chip and changing tissue; take 50 to 200",
                fields=("captures",),
            )
        return series.read(), list(dict.fromkeys(series.names))
