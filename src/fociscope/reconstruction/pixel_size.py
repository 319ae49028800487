"""The pixel size that files state, held against the imager's pitch."""

from __future__ import annotations

import warnings

from fociscope.errors import FociscopeWarning
from fociscope.imager.geometry import Imager

__all__ = ["TOLERANCE", "check_pixel_size"]

#: By so much, relatively, may they differ.
TOLERANCE = 0.02


def check_pixel_size(pixel_size_um: float | None, imager: Imager) -> None:
    """Warn where the files state another pixel size than the imager has.

    It is no error: programs write sizes of their own, such as that of a screen's pixel.

    Args:
        pixel_size_um: as the files state it; None where none does.
        imager: that the captures are taken for.
    """
    pitch_um = imager.pixel_pitch_um
    if pixel_size_um is None or abs(pixel_size_um / pitch_um - 1) <= TOLERANCE:
        return
    warnings.warn(
        f"the files state pixels of {pixel_size_um:g} um, but those of the imager {imager.name!r} "
        f"have {pitch_um:g} um, which all depths and sizes are worked out with; give the imager "
        "that took them (--imager), or correct the files",
        FociscopeWarning,
        stacklevel=2,
    )
