"""What the OME-XML of a set of files says of one of them.

Each file of an OME-TIFF set has the XML of all of them, and a UUID in each `TiffData` says in
which file a plane lies: exports by Bio-Formats and Zeiss of one file per time or channel, Prairie
View, and Micro-Manager, which begins another file after 4 GiB.
Source: OME-TIFF specification, "Multi-file OME-TIFF filesets".
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fociscope.files.ome._xml import OmeImage

__all__ = ["part_in_file"]

_AXES = "TZC"
_MOST_PLANES = 1_000_000
"""Of a set; nothing is reserved for what a larger one claims, and its files are refused."""


def part_in_file(image: OmeImage, name: str) -> OmeImage:
    """Return an image of which only the planes of one file are left.

    Args:
        image: First image of an OME-XML.
        name: Name of the file, which counts where UUIDs do not tell.

    Returns:
        The image itself if it names no other file, if it is not known which of them this one is, or
        if its planes do not fill a grid of times, slices and channels.

    Raises:
        ValueError: A place or page is no whole number.
    """
    files = {(said.get("UUID"), said.get("FileName")) for said in image.tiff_data}
    own = _own(image, name)
    if len(files) < 2 or not own or len(own) == len(image.tiff_data):
        return image
    order = image.slow_to_fast
    sides = [image.size(axis) for axis in order]
    if math.prod(sides) > _MOST_PLANES:
        return image
    pages = np.full(sides, -1)
    flat = pages.reshape(-1)
    for said in own:
        first = tuple(int(said.get(f"First{axis}", "0")) for axis in order)
        page, count = int(said.get("IFD", "0")), int(said.get("PlaneCount", "1"))
        if not all(0 <= at < side for at, side in zip(first, sides, strict=True)):
            raise ValueError(f"OME-XML: a plane at {first} of {sides}")
        start = int(np.ravel_multi_index(first, sides))
        if page < 0 or not 0 <= count <= flat.size - start:
            raise ValueError(f"OME-XML: {count} planes from page {page} on")
        flat[start : start + count] = np.arange(page, page + count)
    places = [np.unique(at) for at in np.nonzero(pages >= 0)]
    cut = pages[np.ix_(*places)]
    if (cut < 0).any() or not cut.size:
        return image
    kept = {axis: at.tolist() for axis, at in zip(order, places, strict=True)}
    tiff_data = [
        {"IFD": str(page), "PlaneCount": "1"}
        | {f"First{axis}": str(place) for axis, place in zip(order, at, strict=True)}
        for at, page in np.ndenumerate(cut)
    ]
    return replace(
        image,
        pixels=image.pixels | {f"Size{axis}": str(len(kept[axis])) for axis in _AXES},
        tiff_data=tiff_data,
        channels=[image.channels[at] for at in kept["C"] if at < len(image.channels)],
        planes=_moved(image.planes, kept),
        files=len(files),
        planes_in_set=flat.size,
    )


def _own(image: OmeImage, name: str) -> list[dict[str, str]]:
    """Return the `TiffData` of this file: by its UUID, else by its name."""
    by_uuid = [said for said in image.tiff_data if image.uuid and said.get("UUID") == image.uuid]
    if len({said.get("FileName") for said in by_uuid}) == 1:
        return by_uuid
    return [said for said in image.tiff_data if said.get("FileName") == name]


def _moved(planes: list[dict[str, str]], kept: dict[str, list[int]]) -> list[dict[str, str]]:
    """Return the `Plane` elements of the places that are kept, counted among these."""
    new = {axis: {str(at): str(n) for n, at in enumerate(places)} for axis, places in kept.items()}
    found = []
    for plane in planes:
        said = {f"The{axis}": new[axis].get(plane.get(f"The{axis}", "0").strip()) for axis in _AXES}
        places = {key: place for key, place in said.items() if place is not None}
        if len(places) == len(said):
            found.append(plane | places)
    return found
