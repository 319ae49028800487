"""How many planes a TIFF holds: by its list of pages, by what it describes, and by its bytes.

A writer of a contiguous series may list its first page alone and state the number of planes in its
description, or in a tag of its own. The three must agree, or it is said.

Sources: tifffile's JSON ("shaped") and ImageJ's text in ImageDescription; MetaMorph's UIC2tag
(33629), which has one value per plane; Zeiss' LSM record (34412); NIH Image's header (43314);
PageNumber (TIFF 6.0, section 12); the Summary of Micro-Manager's file format.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from fociscope.errors import FileFormatError, printable
from fociscope.files.images._tiff_lsm import read_lsm
from fociscope.files.safe.limits import Limits

__all__ = ["Planes", "count_planes", "read_contiguous", "scifio_axes", "shaped_descriptions"]

_UIC2, _NIH, _SUB_IFDS, _PAGE_NUMBER = 33629, 43314, 330, 297
_NO_COMPRESSION = 1
_REDUCED, _MASK = 1, 4  # bits of the tag NewSubfileType
_TAG_BYTES, _INLINE_BYTES = 12, 4  # of a tag in the list of pages, and of a value in it
_SLACK_BYTES = 512  # between the parts of a file, for them to begin at round places
_MOST_DESCRIPTIONS = 1000
"""Of a file of more pages only the first page's description is read."""


@dataclass(frozen=True)
class Planes:
    """What a TIFF holds, planes behind its only page included."""

    count: int
    is_contiguous: bool = False
    """The planes lie in a row behind the data of the first page, which alone is listed."""
    notes: tuple[str, ...] = ()
    listed: int = 0
    """Number of pages in the file's list that are images of their own."""
    numbers: tuple[int, ...] | None = None
    """Of those pages in the list; None if all of them are."""

    def page(self, index: int) -> int:
        """Return the number in the list of one of the pages that count."""
        return index if self.numbers is None else self.numbers[index]


def count_planes(
    path: Path, tiff: Any, kinds: Sequence[int], limits: Limits, *, growing: bool = False
) -> Planes:
    """Return the number of planes on which pages, description and bytes agree.

    Pages that are a page's smaller copies (of a pyramid) or masks do not count.

    Args:
        path: File, for messages.
        tiff: Open `tifffile.TiffFile`.
        kinds: The tag NewSubfileType of each page in its list.
        limits: What a file may claim.
        growing: Whether the file is being written, so that planes may still be missing.

    Raises:
        FileFormatError: If more planes are described than there are, or than `limits` allow.
    """
    numbers = _own_images(tiff, kinds)
    left_out = len(kinds) - len(numbers)
    held = _agreed(path, tiff, len(numbers), limits, growing=growing, alone=not left_out)
    if not left_out:
        return replace(held, listed=len(numbers))
    note = (
        f"{printable(path)}: {left_out} page(s) that are smaller copies or masks of others, as "
        "their tags say, are left out."
    )
    return replace(held, listed=len(numbers), numbers=numbers, notes=(*held.notes, note))


def _own_images(tiff: Any, kinds: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the pages that are neither smaller copies of others nor masks."""
    first: Any = tiff.pages[0]
    if kinds[0] & (_REDUCED | _MASK):
        return tuple(range(len(kinds)))

    def is_own(number: int, kind: int) -> bool:
        if kind & _MASK or not kind & _REDUCED:
            return not kind & _MASK
        page: Any = tiff.pages[number]
        return bool(page.imagewidth >= first.imagewidth and page.imagelength >= first.imagelength)

    return tuple(number for number, kind in enumerate(kinds) if is_own(number, kind))


def _agreed(
    path: Path, tiff: Any, listed: int, limits: Limits, *, growing: bool, alone: bool
) -> Planes:
    """Return the number of planes, given that of images in the list, if `alone` its only pages."""
    said = None if tiff.is_ome else _described(tiff, listed)
    if said is None or said[0] == listed:
        if growing or not alone:
            return Planes(listed)
        notes = _unlisted_bytes(path, tiff, listed) or _planned(path, tiff, listed)
        return Planes(listed, notes=notes)
    described, by = said
    where = printable(path)
    if described < listed:
        note = (
            f"{where}: {by} describes {described} image(s) but there are {listed} pages; all are "
            "read."
        )
        return Planes(listed, notes=(note,))
    page: Any = tiff.pages[0]
    if listed == 1 and _may_go_on(page):
        if described > limits.max_pages:
            raise FileFormatError(
                f"{where}: claims {described} images, expected at most {limits.max_pages}; split "
                "the file or raise Limits.max_pages."
            )
        held = (path.stat().st_size - page.dataoffsets[0]) // page.nbytes
        if held >= described:
            return Planes(described, is_contiguous=True)
        if growing and held > 0:
            return Planes(held, is_contiguous=True)
        listed = max(listed, held)
    if growing:
        return Planes(listed)
    raise FileFormatError(
        f"{where}: {by} describes {described} images but the file holds {listed}, expected all of "
        "them in it; it is truncated or split, copy or export it again."
    )


def read_contiguous(page: Any, index: int) -> npt.NDArray[np.generic]:
    """Return the plane `index` behind the data of the only page that is listed, (y, x)."""
    handle = page.parent.filehandle
    handle.seek(page.dataoffsets[0] + index * page.nbytes)
    dtype = page.dtype.newbyteorder(page.parent.byteorder)
    return np.frombuffer(handle.read(page.nbytes), dtype).reshape(page.shape)


def shaped_descriptions(tiff: Any, listed: int) -> list[dict[str, Any]]:
    """Return what tifffile's JSON says of each series, in the order of the pages; [] without."""
    found = []
    for number in range(listed if listed <= _MOST_DESCRIPTIONS else 1):
        text = getattr(tiff.pages[number], "shaped_description", None)
        if text is None and number == 0:
            return []
        if text is not None and text.startswith("{"):
            said = json.loads(text)
            found.append(said if isinstance(said, dict) else {})
    return found


def scifio_axes(tiff: Any) -> list[tuple[str, int]]:
    """Return the axes behind X and Y that ImageJ2's text names, the fastest first; [] without.

    Source: SCIFIO's TIFF format, keys `axes` and `lengths`, such as "X,Y,Channel,Time".
    """
    imagej = tiff.imagej_metadata or {}
    axes, lengths = (str(imagej.get(key, "")).split(",") for key in ("axes", "lengths"))
    if len(axes) != len(lengths) or axes[:2] != ["X", "Y"]:
        return []
    return [(axis.strip(), int(n)) for axis, n in zip(axes[2:], lengths[2:], strict=True)]


def _described(tiff: Any, listed: int) -> tuple[int, str] | None:
    """Return how many planes a description or a tag states, and which one does."""
    page: Any = tiff.pages[0]
    if tiff.is_imagej:
        imagej = tiff.imagej_metadata or {}
        axes = [int(imagej.get(name, 1)) for name in ("frames", "slices", "channels")]
        axes += [length for _, length in scifio_axes(tiff)]
        count = math.prod(axes) if math.prod(axes) > 1 else int(imagej.get("images", 1))
        return (count, "its ImageJ text") if count > 0 else None
    if _UIC2 in page.tags:
        return int(page.tags[_UIC2].count), "MetaMorph's tag UIC2"
    lsm = read_lsm(tiff)
    if lsm is not None:
        return lsm.pages, "its LSM record (tag 34412)"
    if _NIH in page.tags:
        header = page.tags[_NIH].value
        count = int(header.get("nImages", 0)) if isinstance(header, dict) else 0
        return (count, "NIH Image's header") if count > 0 else None
    return _shaped_count(tiff, listed)


def _shaped_count(tiff: Any, listed: int) -> tuple[int, str] | None:
    """Return how many planes tifffile's JSON describes, over all series."""
    said = shaped_descriptions(tiff, listed)
    shapes = [one.get("shape") for one in said]
    size = math.prod(tiff.pages[0].shape)
    if not said or not size:
        return None
    count = 0
    for shape in shapes:
        sound = isinstance(shape, list) and all(type(n) is int and n > 0 for n in shape)
        if not isinstance(shape, list) or not sound or math.prod(shape) % size:
            return None
        count += math.prod(shape) // size
    return count, "its description (shape)"


def _may_go_on(page: Any) -> bool:
    """Whether planes may follow the data of a page, each like it."""
    return bool(
        page.compression == _NO_COMPRESSION
        and not page.is_lsm  # which lists every page
        and page.samplesperpixel == 1
        and page.fillorder == 1
        and page.predictor == 1
        and not page.is_tiled
        and page.is_contiguous
        and page.nbytes
        and page.bitspersample == 8 * page.dtype.itemsize
    )


def _planned(path: Path, tiff: Any, listed: int) -> tuple[str, ...]:
    """Say so where a tag counts more images than there are, which may lie in other files."""
    page: Any = tiff.pages[0]
    numbers = page.tags.valueof(_PAGE_NUMBER)
    planned, by = 0, "its tag PageNumber counts"
    if isinstance(numbers, tuple) and len(numbers) == 2:
        planned = int(numbers[1])
    elif tiff.is_micromanager:
        summary = _micromanager_summary(tiff)
        sides = [summary.get(name, 1) for name in ("Frames", "Slices", "Channels")]
        planned = math.prod(n for n in sides if type(n) is int and n > 0)
        by = "Micro-Manager's summary plans"
    if planned <= listed:
        return ()
    return (
        f"{printable(path)}: {by} {planned} images but the file holds {listed}, which are read; if "
        "it was cut short or split, frames are missing.",
    )


def _micromanager_summary(tiff: Any) -> dict[str, Any]:
    """Return Micro-Manager's summary of the acquisition, {} where it is missing or damaged."""
    try:
        said = tifffile.read_micromanager_metadata(tiff.filehandle, {"Summary"})
        summary = said.get("Summary")
    except (ValueError, TypeError, KeyError, OSError, struct.error):
        return {}
    return summary if isinstance(summary, dict) else {}


def _unlisted_bytes(path: Path, tiff: Any, listed: int) -> tuple[str, ...]:
    """Say so where a file has room for more images than its list of pages names."""
    page: Any = tiff.pages[0]
    is_counted = tiff.is_micromanager or (tiff.is_ome and listed > 1)  # by their own metadata
    if is_counted or not _may_go_on(page) or _SUB_IFDS in page.tags:
        return ()
    own = _tag_bytes(page)
    if listed > 1:
        own += (listed - 1) * _tag_bytes(tiff.pages[listed - 1])
    rest = path.stat().st_size - listed * page.nbytes - own
    if rest < max(page.nbytes, listed * _SLACK_BYTES):
        return ()
    pages, alone = ("1 page", "that page") if listed == 1 else (f"{listed} pages", "those pages")
    return (
        f"{printable(path)}: lists {pages}, and has room for {rest // page.nbytes} more image(s) "
        f"behind; {alone} alone {'is' if listed == 1 else 'are'} read. If it is a longer stack, "
        "export it as one with all its pages.",
    )


def _tag_bytes(page: Any) -> int:
    """Return the bytes that the tags of a page take, their values included."""
    apart = (int(tag.valuebytecount) for tag in page.tags if tag.valuebytecount > _INLINE_BYTES)
    return len(page.tags) * _TAG_BYTES + sum(apart)
