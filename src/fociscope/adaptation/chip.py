"""The chip of an adaptation: the imager that fits its captures, and the frame that is simulated."""

from __future__ import annotations

import math
import warnings

from fociscope.calibration import calibrate_captures
from fociscope.errors import FociscopeWarning
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import AngleSelectivePsf
from fociscope.typing import Float32Array

__all__ = ["LARGEST_FRAME_PX", "fitted_imager", "middle_of", "on_small_frame"]

#: Side of the frames that are trained on, at most: what a larger frame holds is of the same kind.
LARGEST_FRAME_PX = 64
#: Standard deviations by which a stated number must be off to be changed.
SURE = 1.0


def fitted_imager(captures: Float32Array, stated: Imager) -> tuple[Imager, tuple[str, ...]]:
    """Fit what captures of tissue tell of their imager, and leave the rest as it is stated.

    A number that lies within one standard deviation of the fitted one stays as it is stated.

    Args:
        captures: Corrected captures, (capture, sensor, y, x).
        stated: Imager as it is believed to be.

    Returns:
        The imager, and notes: what was changed, and what the captures do not determine.

    Raises:
        CaptureError: If the captures tell nothing of their imager.
    """
    psf = stated.psf
    if not isinstance(psf, AngleSelectivePsf):
        return stated, (f"an imager with a psf of kind {psf.kind} is taken as it is stated",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FociscopeWarning)  # they are among the notes
        found = calibrate_captures(captures, imager=stated)
    values = {"half_angle_deg": psf.half_angle_deg, "base_blur_um": psf.base_blur_um}
    notes = []
    for name, value in values.items():
        estimate = found.estimates.get(name)
        if estimate is None or not math.isfinite(estimate.std):
            unit = "" if estimate is None else f" {estimate.unit}"
            notes.append(f"the captures do not determine {name}; it stays {value:.3g}{unit}")
        elif abs(estimate.value - value) > SURE * estimate.std:
            values[name] = estimate.value
            notes.append(
                f"{name}: {estimate.value:.2f} +- {estimate.std:.2f} fits, not {value:.3g}"
            )
    registration = found.imager.registration if stated.sensors > 1 else stated.registration
    return stated.with_(psf=psf.with_(**values), registration=registration), tuple(notes)


def on_small_frame(imager: Imager) -> Imager:
    """Return an imager on a frame that is no larger than what is simulated for training.

    Examples:
        >>> from fociscope.adaptation.chip import on_small_frame
        >>> from fociscope.imager import Imager
        >>> on_small_frame(Imager(frame_px=(200, 51))).frame_px
        (64, 51)
    """
    height, width = imager.frame_px
    small = min(height, LARGEST_FRAME_PX), min(width, LARGEST_FRAME_PX)
    return imager.with_(frame_px=small, dead_pixels=())


def middle_of(captures: Float32Array, frame_px: tuple[int, int]) -> Float32Array:
    """Return the middle of captures (capture, sensor, y, x), of so many pixels (y, x).

    Examples:
        >>> import numpy as np
        >>> from fociscope.adaptation.chip import middle_of
        >>> middle_of(np.zeros((1, 2, 200, 51), np.float32), (64, 51)).shape
        (1, 2, 64, 51)
    """
    height, width = captures.shape[-2:]
    top, left = (height - frame_px[0]) // 2, (width - frame_px[1]) // 2
    return captures[..., top : top + frame_px[0], left : left + frame_px[1]]
