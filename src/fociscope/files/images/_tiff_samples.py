"""Several values per pixel in TIFF: planes of one page, or colour.

GDAL, ITK and others store channels as values of one pixel; tifffile stores an array of 3 or 4
planes as one page of colour, its planes apart. Both are images side by side here. Colour, and grey
values beside their opacity, are none, and neither is ever mixed into one image.

Source: TIFF 6.0, sections 7 (ExtraSamples 1 and 2 are opacity) and 8 (PlanarConfiguration).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable

__all__ = ["check_colour", "colour_note", "frame_px", "orientation_note", "plane_of"]

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE = 0, 1, 2, 3
_SEPARATE = 2  # of the tag PlanarConfiguration
_COLOURS = 3  # values that RGB takes; ITK calls two components RGB all the same
_ORIENTATION, _UPRIGHT, _LAST_ORIENTATION = 274, 1, 8
_OPACITY = {1, 2}  # of the tag ExtraSamples


def frame_px(page: Any) -> tuple[int, int]:
    """Return height and width of a tifffile page in pixels."""
    return int(page.imagelength), int(page.imagewidth)


def plane_of(page: Any, values: npt.NDArray[np.generic], sample: int) -> npt.NDArray[np.generic]:
    """Return one plane (y, x) of the decoded values of a page."""
    if page.samplesperpixel == 1:
        return values
    return values[sample] if page.planarconfig == _SEPARATE else values[..., sample]


def check_colour(path: Path, page: Any) -> None:
    """Refuse a page whose values are colours, or may be.

    Raises:
        FileFormatError: If they are.
    """
    where = printable(path)
    count = page.samplesperpixel
    if count > 1 and not _are_planes(page):
        opacity = page.photometric == _MIN_IS_BLACK and count == 2
        what = "grey values and an opacity" if opacity else f"colour, {count} values per pixel"
        raise FileFormatError(
            f"{where}: its tags say {what}, expected greyscale, one value per pixel; frames or "
            "sensors are to be saved as a page each, and of a picture in colour the channel that "
            "sees the light alone."
        )
    looked_up = page.photometric == _PALETTE and (page.is_imagej or page.is_ome)
    if count == 1 and page.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK) and not looked_up:
        raise FileFormatError(
            f"{where}: a colour or palette image, expected greyscale; save its values with a grey "
            "look-up table."
        )
    if page.photometric == _MIN_IS_WHITE and not _is_bool_array(page):
        what = "save a mask as uint8" if page.bitspersample == 1 else "save it as min-is-black"
        raise FileFormatError(
            f"{where}: stores white as 0 (min-is-white), expected black as 0, as it is not clear "
            f"which of its values are meant to be high; {what}, with the values that are meant."
        )


def orientation_note(path: Path, page: Any) -> tuple[str, ...]:
    """Say so where a tag asks viewers to turn or mirror the image, which ImageJ does not do."""
    orientation = page.tags.valueof(_ORIENTATION, default=_UPRIGHT)
    if not isinstance(orientation, int) or orientation not in range(
        _UPRIGHT + 1, _LAST_ORIENTATION + 1
    ):
        return ()
    return (
        f"{printable(path)}: its tag Orientation ({int(orientation)}) asks viewers to turn or "
        "mirror it; pixels are taken as they are stored, as ImageJ does.",
    )


def colour_note(path: Path, page: Any) -> tuple[str, ...]:
    """Say so where planes are labelled as colour."""
    if page.samplesperpixel < _COLOURS or page.photometric != _RGB:
        return ()
    return (
        f"{printable(path)}: labelled as colour whose {page.samplesperpixel} planes lie apart, as "
        "tifffile does with any array of 3 or 4 planes; taken as pages.",
    )


def _are_planes(page: Any) -> bool:
    """Whether the values of a pixel belong to images side by side.

    Colour whose planes lie apart is what tifffile makes of any array (3 or 4, y, x); cameras of
    colour, and programs for photographs, write its values side by side, in 8 bits.
    """
    if page.photometric == _RGB and page.samplesperpixel >= _COLOURS:
        from_array = page.is_shaped or page.dtype is None or page.dtype.itemsize > 1
        return bool(page.planarconfig == _SEPARATE and from_array)
    extra = set(page.extrasamples)
    grey = page.photometric == _MIN_IS_BLACK or page.samplesperpixel < _COLOURS
    return bool(grey and (page.is_shaped or not extra & _OPACITY))


def _is_bool_array(page: Any) -> bool:
    """Whether tifffile stored an array of bool: 1 bit, min-is-white, and True as 1 all the same."""
    return page.bitspersample == 1 and page.shaped_description is not None
