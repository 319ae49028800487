"""The OME-XML of a TIFF that nobody has vouched for: the first image's sizes and its pages.

It is read element by element, never as a tree: a long text takes no more memory than itself.
Source: the OME data model, schema 2016-06, and its OME-TIFF specification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.typing import Float64Array, Int64Array

__all__ = ["OmeImage", "read_ome_xml"]

UnitOf = Callable[[str | None], float]
_LONGEST_TEXT = 64 * 2**20
_MOST_ELEMENTS = 1_000_000
_LONGEST_TEXT_OF_ONE = 128


@dataclass(frozen=True)
class OmeImage:
    """The first image of an OME-XML."""

    pixels: dict[str, str]
    """Attributes of its `Pixels`."""
    tiff_data: list[dict[str, str]]
    """Attributes of each `TiffData`, and of its `UUID`, whose text is called UUID."""
    channels: list[dict[str, str]] = field(default_factory=list)
    """Attributes of each `Channel`."""
    planes: list[dict[str, str]] = field(default_factory=list)
    """Attributes of each `Plane`."""
    images: int = 1
    """How many images the XML describes."""
    acquired: str = ""
    """Date and time of the first image, as `AcquisitionDate` writes it; "" without."""
    uuid: str = ""
    """UUID of the file, "" without."""
    files: int = 1
    """Over how many files the image lies, if it was cut to those planes that this one holds."""
    planes_in_set: int = 0
    """How many planes all these files hold; 0 if it was not cut."""

    @property
    def slow_to_fast(self) -> str:
        """T, Z and C in the order in which planes are counted, the slowest first.

        Axes that the order leaves out, as "XYCZ" does T, come last; where only one axis is longer
        than 1, any order will do.

        Raises:
            ValueError: it says no order, and there are several axes.
        """
        order = self.pixels.get("DimensionOrder", "XYCZT").strip().upper()
        axes = order[2:] + "".join(axis for axis in "CZT" if axis not in order)
        if order[:2] == "XY" and sorted(axes) == ["C", "T", "Z"]:
            return axes[::-1]
        if sum(self.size(axis) > 1 for axis in "CZT") > 1:
            raise ValueError(f"OME-XML: the order {order!r:.20}")
        return "TZC"

    def size(self, axis: str) -> int:
        """Return the length of an axis; 1 where none, or 0, is stated.

        Raises:
            ValueError: it is no whole number.
        """
        value = float(self.pixels.get(f"Size{axis}", "").strip() or 1)
        if not value.is_integer() or value < 0:
            raise ValueError(f"OME-XML: a size of {value:g} along {axis}")
        return max(int(value), 1)

    def plane_values(self, name: str, sides: list[int], unit_of: UnitOf) -> Float64Array:
        """Return an attribute of each plane, NaN where none states it, by the plane's place.

        Args:
            name: of the attribute, such as `PositionZ`; its unit is that of `PositionZUnit`.
            sides: how long the axes `slow_to_fast` are.
            unit_of: the factor of a unit's name, None where the XML names none.

        Returns:
            Values of the shape `sides`.
        """
        found = np.full(sides, np.nan)
        for plane in self.planes:
            place = tuple(_whole(plane.get(f"The{axis}", "0")) for axis in self.slow_to_fast)
            if not all(0 <= at < side for at, side in zip(place, sides, strict=True)):
                continue
            try:
                value = float(plane.get(name, "nan"))
            except ValueError:
                continue
            found[place] = value * unit_of(plane.get(f"{name}Unit"))
        return found

    def pages(self, sides: list[int]) -> Int64Array:
        """Return the page of each plane, counted in the order `slow_to_fast`.

        Args:
            sides: how long each of these axes is.

        Raises:
            ValueError: planes without a page, or with one that cannot be.
        """
        count = int(np.prod(sides))
        if not self.tiff_data:
            return np.arange(count)
        found = np.full(count, -1)
        for said in self.tiff_data:
            place = 0
            for axis, side in zip(self.slow_to_fast, sides, strict=True):
                first = int(said.get(f"First{axis}", "0"))
                if not 0 <= first < side:
                    raise ValueError(f"OME-XML: a plane {axis} = {first} of {side}")
                place = place * side + first
            page = int(said.get("IFD", "0"))
            planes = int(said.get("PlaneCount", "1" if "IFD" in said else str(count - place)))
            if planes < 0 or place + planes > count or not 0 <= page <= count - planes:
                raise ValueError(f"OME-XML: {planes} planes from page {page} on")
            found[place : place + planes] = np.arange(page, page + planes)
        if (found < 0).any():
            raise ValueError("OME-XML: planes without a page")
        return found


def _whole(text: str) -> int:
    """Return a whole number, -1 of any other text."""
    return int(text) if text.strip().isdecimal() else -1


def read_ome_xml(path: Path, text: str) -> OmeImage | None:
    """Return the first image that the text describes, None if it describes none.

    Raises:
        FileFormatError: the XML defines entities.
        ValueError: it is no XML, or too long to be believed.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"OME-XML of {len(text)} characters")
    found: list[dict[str, str]] = []
    of_first: dict[str, list[dict[str, str]]] = {"TiffData": [], "Channel": [], "Plane": []}
    elements = 0
    texts, inside, uuid = {"AcquisitionDate": "", "UUID": ""}, [""], [""]

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        if elements > _MOST_ELEMENTS:
            raise ValueError(f"OME-XML of more than {_MOST_ELEMENTS} elements")
        name = tag.rpartition(":")[2]
        if name == "Pixels":
            found.append(attributes if not found else {})
        elif name in of_first and len(found) == 1:
            of_first[name].append(attributes)
        elif name == "OME" and elements == 1:
            uuid[0] = attributes.get("UUID", "")
        inside[0] = ""
        if name == "AcquisitionDate" and not found:
            inside[0] = name
        elif name == "UUID" and len(found) == 1 and of_first["TiffData"]:
            inside[0], texts[name] = name, ""
            of_first["TiffData"][-1]["FileName"] = attributes.get("FileName", "")

    def characters(text: str) -> None:
        if inside[0] and len(texts[inside[0]]) < _LONGEST_TEXT_OF_ONE:
            texts[inside[0]] += text

    def end(_: str) -> None:
        if inside[0] == "UUID":
            of_first["TiffData"][-1]["UUID"] = texts["UUID"].strip()
        inside[0] = ""

    def refuse(*_: object) -> None:
        raise FileFormatError(
            f"{printable(path)}: its OME-XML defines entities, expected plain metadata; save it "
            "again."
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"OME-XML: {error}") from error
    if not found:
        return None
    tiff_data, channels, planes = of_first.values()
    date = texts["AcquisitionDate"].strip()
    return OmeImage(found[0], tiff_data, channels, planes, len(found), date, uuid[0])
