"""Which pixel sizes that a file states can be one: programs fill the fields with what they have."""

from __future__ import annotations

import math

__all__ = ["LARGEST_PIXEL_UM", "SMALLEST_PIXEL_UM", "believed_um", "is_printer_resolution"]

SMALLEST_PIXEL_UM = 0.1
LARGEST_PIXEL_UM = 250.0
"""No chip-scale imager has smaller or larger pixels; fillers are 1 pixel per cm, or per inch."""

_FILLER_UM = 1.0
"""What many programs write where nobody has calibrated the pixel size."""

_UM_PER_INCH = 25_400.0
_USUAL_DPI = (72, 75, 90, 96, 100, 120, 144, 150, 180, 192, 200, 240, 250, 300, 350, 360, 400, 600,
              720, 1200)  # fmt: skip
_DPI_TOLERANCE = 0.005
"""Programs round pixels per cm to whole numbers or hundredths: 96 dpi are 37.8, 72 dpi 28.35."""


def is_printer_resolution(pixel_um: float) -> bool:
    """Return whether a pixel size in um is that of a screen or a printer, in dots per inch."""
    dpi = _UM_PER_INCH / pixel_um
    per_cm = 10_000 / pixel_um
    rounded = math.isclose(per_cm, round(per_cm), abs_tol=1e-9)
    tolerance = max(_DPI_TOLERANCE, 0.5 / per_cm if rounded else 0.0)
    return any(math.isclose(dpi, usual, rel_tol=tolerance) for usual in _USUAL_DPI)


def believed_um(where: str, stated_um: float | None) -> tuple[float | None, tuple[str, ...]]:
    """Return a stated pixel size in um, or None and a note where no chip has it, or nobody set it.

    Args:
        where: File, as messages name it.
        stated_um: Side of a pixel, um; None if the file states none.
    """
    if stated_um is not None and math.isclose(stated_um, _FILLER_UM, rel_tol=1e-9):
        note = (
            f"{where}: states pixels of exactly 1 µm, as programs do where none was set; that is "
            "ignored."
        )
        return None, (note,)
    if stated_um is None or SMALLEST_PIXEL_UM <= stated_um <= LARGEST_PIXEL_UM:
        return stated_um, ()
    note = (
        f"{where}: states pixels of {stated_um:g} µm, which no chip has (expected "
        f"{SMALLEST_PIXEL_UM:g} to {LARGEST_PIXEL_UM:g} µm); that is ignored."
    )
    return None, (note,)
