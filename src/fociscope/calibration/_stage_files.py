"""The whole calibration from a stage: files of captures and a table in, an imager's file out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from fociscope.calibration._from_files import check_output, save_calibration
from fociscope.calibration._from_sweeps import SweepCalibration, calibrate_sweeps
from fociscope.calibration._stage import BeadMotion, read_sweeps
from fociscope.files.captures.calibration_stack import file_of
from fociscope.files.safe.locks import locked_folder
from fociscope.imager.geometry import Imager
from fociscope.typing import Progress

__all__ = ["SweepDrawing", "calibrate_stage"]

SweepDrawing = Callable[[SweepCalibration, str, Path], None]
"""Draws a calibration from a stage under a title into a PNG file."""


def calibrate_stage(
    captures: Sequence[Path | str] | Path | str,
    stage: Path | str,
    output: Path | str | None = None,
    *,
    imager: Imager | Path | str,
    beads: Sequence[BeadMotion] = ("moving",),
    dark: Path | str | None = None,
    variable: str | None = None,
    fit_depth_offset: bool = False,
    model_error: float | None = None,
    draw: SweepDrawing | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SweepCalibration:
    """Fit an imager to captures of beads that a stage moved over the chip, in files.

    Args:
        captures: Files of frames, as `read_sweeps` takes them.
        stage: CSV file of where the stage stood in each frame.
        output: The imager's file to write, ending in `.toml`; None to write nothing.
        imager: Imager, its file, or a preset's name, that the fit begins with.
        beads: What each bead does, "fixed" or "moving".
        dark: Captures without beads.
        variable: Name of the array in files that hold several.
        fit_depth_offset: Whether the zero of the stage's depths is fitted.
        model_error: Share of the light by which the imager is wrong; None to find it.
        draw: Function that draws the calibration into a file beside the imager's; None for none.
        overwrite: Whether files may be replaced.
        progress: Called with the steps done and their number.

    Returns:
        The imager with its uncertainties.

    Raises:
        FociscopeError: If the output does not end in `.toml`.
        OutputExistsError: If a file to write exists and `overwrite` is not set.
        FileFormatError: If a file is missing or broken.
        CaptureError: If a bead is not there.
        ImagerError: As `calibrate_sweeps`.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.calibration import calibrate_stage, simulated_sweep
        >>> from fociscope.imager import Imager
        >>> chip = Imager.preset("acus").with_(frame_px=(2, 24))
        >>> sweep = simulated_sweep(chip, [[250.0, 20.0, 90.0, 1e8]], 80.0, x_um=[0.0, 40.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     captures, stage = Path(folder) / "beads.npy", Path(folder) / "stage.csv"
        ...     np.save(captures, sweep.counts)
        ...     _ = stage.write_text("x_um,depth_um\\n0,80\\n40,80\\n")
        ...     found = calibrate_stage(captures, stage, imager=chip, fit_depth_offset=True)
        >>> abs(found.estimates["depth_offset_um"].value - 10.0) < 2.0
        True
    """
    named = [captures] if isinstance(captures, str | Path) else list(captures)
    start = imager if isinstance(imager, Imager) else Imager.load(imager)
    if output is not None:
        check_output(output, overwrite=True)  # what may be replaced is looked at under the lock
        start = start.with_(name=Path(output).stem)
    with nullcontext() if output is None else locked_folder(Path(output).absolute().parent):
        if output is not None:  # what a killed run has left is in order now
            check_output(output, overwrite=overwrite)
        found = calibrate_sweeps(
            read_sweeps(named, stage, imager=start, beads=beads, dark=dark, variable=variable),
            imager=start,
            fit_depth_offset=fit_depth_offset,
            model_error=model_error,
            progress=progress,
        )
        if output is not None:
            inputs = [file_of(Path(path))[0] for path in (*named, stage, dark) if path is not None]
            save_calibration(found, output, inputs=inputs, draw=draw, overwrite=overwrite)
    return found
