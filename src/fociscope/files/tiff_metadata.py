"""What TIFF metadata say: the pixel pitch, and which axes the pages run over.

Only attributes are read from them; shapes are promises that the pages themselves must keep.
"""

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fociscope.errors import FileFormatError
from fociscope.files.limits import shown

__all__ = ["check_axes", "ome_pixels", "pixel_size_um"]

_CENTIMETRE = 3
_UM_PER_CM = 10_000.0
_UM_PER_UNIT = {
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,  # micro sign
    "μm": 1.0,  # Greek mu
    "\\u00b5m": 1.0,  # as ImageJ writes it
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}


def pixel_size_um(path: Path, tiff: Any) -> float | None:
    """Return the pixel pitch in um that an open `tifffile.TiffFile` states, None if it states none.

    Raises:
        FileFormatError: its OME-XML is unsafe.
        ValueError: its OME-XML is broken.
    """
    page: Any = tiff.pages[0]
    pixels = ome_pixels(path, tiff)
    if pixels is not None:
        sizes = [
            float(pixels.get(f"PhysicalSize{axis}", "nan"))
            * _UM_PER_UNIT.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower(), math.nan)
            for axis in "XY"
        ]
        return _square(*sizes)
    unit = str((tiff.imagej_metadata or {}).get("unit", "")).lower()
    if tiff.is_imagej:
        unit_um = _UM_PER_UNIT.get(unit, math.nan)
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
    pixels = ome_pixels(path, tiff)
    if pixels is not None:
        axes = {axis: int(pixels.get(f"Size{axis}", "1")) for axis in "TZC"}
    else:
        imagej = tiff.imagej_metadata or {}
        axes = {key: int(imagej.get(key, 1)) for key in ("frames", "slices", "channels")}
    long = {axis: length for axis, length in axes.items() if length > 1}
    listed = " x ".join(f"{length} {axis}" for axis, length in long.items())
    if len(long) > 1:
        raise FileFormatError(
            f"{shown(path)}: a stack over several axes ({listed}), expected one; save a stack "
            "for each."
        )
    if long and max(long.values()) != count:
        raise FileFormatError(
            f"{shown(path)}: claims {listed} but holds {count} pages, expected all of them in this "
            "file; export it again as one ordinary TIFF."
        )


def ome_pixels(path: Path, tiff: Any) -> dict[str, str] | None:
    """Return the attributes of the first OME `Pixels`, None if this is no OME-TIFF.

    Raises:
        FileFormatError: the XML defines entities.
        ValueError: it is no XML.
    """
    text = tiff.ome_metadata
    if text is None:
        return None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FileFormatError(
            f"{shown(path)}: its OME-XML defines entities, expected plain metadata; save it again."
        )
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"OME-XML: {error}") from error
    for element in root.iter():
        if element.tag.endswith("}Pixels") or element.tag == "Pixels":
            return dict(element.attrib)
    return None
