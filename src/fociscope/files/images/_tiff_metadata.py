"""What TIFF metadata say: the pixel pitch, and which axes the pages run over.

Only attributes are read from them; shapes are promises that the pages themselves must keep.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._units import um_per_unit
from fociscope.files.ome._xml import OmeImage, read_ome_xml
from fociscope.typing import Int64Array

__all__ = ["Pages", "check_axes", "ome_image", "page_axes", "pixel_size_um"]

Pages = Int64Array

_CENTIMETRE = 3
_UM_PER_CM = 10_000.0


def pixel_size_um(path: Path, tiff: Any) -> float | None:
    """Return the pixel pitch in um that an open `tifffile.TiffFile` states, None if it states none.

    Raises:
        FileFormatError: its OME-XML is unsafe.
        ValueError: its OME-XML is broken.
    """
    page: Any = tiff.pages[0]
    image = ome_image(path, tiff)
    if image is not None:
        pixels = image.pixels
        sizes = [
            float(pixels.get(f"PhysicalSize{axis}", "nan"))
            * um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "XY"
        ]
        return _square(*sizes)
    if tiff.is_imagej:
        unit_um = um_per_unit((tiff.imagej_metadata or {}).get("unit"))
    else:
        centimetre = page.tags.valueof("ResolutionUnit", default=0) == _CENTIMETRE
        unit_um = _UM_PER_CM if centimetre else math.nan
    sizes = []
    for axis in "XY":
        pixels_per, units = page.tags.valueof(f"{axis}Resolution", default=(0, 0))
        sizes.append(unit_um * units / pixels_per if pixels_per else math.nan)
    return _square(*sizes)


def _square(x_um: float, y_um: float) -> float | None:
    sound = math.isfinite(x_um) and x_um > 0 and math.isclose(x_um, y_um, rel_tol=1e-3)
    return x_um if sound else None


def check_axes(path: Path, tiff: Any, count: int) -> None:
    """Refuse a stack with more than one axis over its pages, and one that keeps pages elsewhere.

    Raises:
        FileFormatError: so it is, or its OME-XML is unsafe.
        ValueError: its OME-XML is broken.
    """
    long = _long_axes(ome_image(path, tiff), tiff)
    if len(long) > 1:
        raise _several_axes(path, long)
    _check_count(path, long, count)


def page_axes(path: Path, tiff: Any, count: int) -> tuple[str, tuple[int, ...], Pages]:
    """Return what the pages run over, as `Stack.leading` names it, how long, and their order.

    Channels are sensors, time points are frames. Slices are frames beside channels, and say
    nothing on their own, because much software calls every stack one of slices.

    Returns:
        The leading axes, their lengths, and the number of the page of each plane, all axes in
        C order.

    Raises:
        FileFormatError: more than frames and sensors, more than two channels, pages elsewhere, or
            unsafe OME-XML.
        ValueError: its OME-XML is broken.
    """
    image = ome_image(path, tiff)
    long = _long_axes(image, tiff)
    pages = np.arange(count)
    if not long:
        if count == 1:
            return "", (), pages
        shaped = _shaped(tiff, count)
        return ("P", (count,), pages) if shaped is None else ("FS", shaped, pages)
    if {"T", "Z"} <= set(long):
        raise _several_axes(path, long)
    if long.get("C", 2) != 2:
        raise FileFormatError(
            f"{printable(path)}: {long['C']} channels, expected 2 (sensors A and B) or 1; save the "
            "sensors alone, and frames as time points."
        )
    _check_count(path, long, count)
    slow_to_fast = "TZC"  # as ImageJ always has it
    if image is not None:
        slow_to_fast = image.slow_to_fast
        pages = image.pages([long.get(axis, 1) for axis in slow_to_fast])
    frames = "T" if "T" in long else "Z"
    sides = [long.get(axis, 1) for axis in slow_to_fast]
    axes = [slow_to_fast.index(axis) for axis in ("Z" if frames == "T" else "T", frames, "C")]
    pages = pages.reshape(sides).transpose(axes).ravel()
    if frames not in long:
        return "S", (2,), pages
    if "C" in long:
        return "FS", (long[frames], 2), pages
    return ("F" if frames == "T" else "P"), (count,), pages


def ome_image(path: Path, tiff: Any) -> OmeImage | None:
    """Return what the OME-XML says of the first image, None if this is no OME-TIFF.

    Raises:
        FileFormatError: the XML defines entities.
        ValueError: it is no XML, or too long.
    """
    text = tiff.ome_metadata
    return None if text is None else read_ome_xml(path, text)


def _long_axes(image: OmeImage | None, tiff: Any) -> dict[str, int]:
    """Return the axes T, Z, C that are claimed to be longer than 1."""
    if image is not None:
        axes = {axis: int(image.pixels.get(f"Size{axis}", "1")) for axis in "TZC"}
    else:
        imagej = tiff.imagej_metadata or {}
        names = {"T": "frames", "Z": "slices", "C": "channels"}
        axes = {axis: int(imagej.get(name, 1)) for axis, name in names.items()}
    return {axis: length for axis, length in axes.items() if length > 1}


def _several_axes(path: Path, long: dict[str, int]) -> FileFormatError:
    return FileFormatError(
        f"{printable(path)}: a stack over several axes ({_listed(long)}), expected one, or frames "
        "and 2 channels; save a stack for each."
    )


def _check_count(path: Path, long: dict[str, int], count: int) -> None:
    if long and math.prod(long.values()) != count:
        raise FileFormatError(
            f"{printable(path)}: claims {_listed(long)} but holds {count} pages, expected all of "
            "them in this file; export it again as one ordinary TIFF."
        )


def _listed(long: dict[str, int]) -> str:
    return " x ".join(f"{length} {axis}" for axis, length in long.items())


def _shaped(tiff: Any, count: int) -> tuple[int, int] | None:
    """Return (frames, sensors) where tifffile itself wrote an array (frame, sensor, y, x)."""
    said: Any = tiff.shaped_metadata[0].get("shape", ()) if tiff.shaped_metadata else ()
    sound = len(said) == 4 and all(type(side) is int for side in said) and said[1] in (1, 2)
    if not sound or said[0] * said[1] != count:
        return None
    return said[0], said[1]
