"""TIFF images (OME-TIFF, ImageJ, plain) from files that nobody has vouched for.

The chain of pages is walked here before tifffile sees it, because a chain can bite its own tail,
and pages are read one by one, because the shapes that metadata promise are only promises.
"""

import logging
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._stacks import Stack
from fociscope.files.formats._values import as_float32
from fociscope.files.images._tiff_bits import DEFLATE, decoded_packed, is_packed
from fociscope.files.images._tiff_count import Planes, count_planes, read_contiguous
from fociscope.files.images._tiff_lzw import PREDICTORS, decoded_lzw
from fociscope.files.images._tiff_metadata import check_axes, page_axes, pixel_size_um
from fociscope.files.images._tiff_samples import (
    check_colour,
    colour_note,
    frame_px,
    orientation_note,
    plane_of,
)
from fociscope.files.images._tiff_sparse import (
    check_written,
    fill_value,
    missing_parts,
    sparse_note,
)
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits, check_claim, decoding, require_file
from fociscope.typing import Float32Array

__all__ = ["is_tiff", "open_tiff", "read_pixel_size_um", "read_tiff"]

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says, we say as errors

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NO_COMPRESSION, _LZW, _PACKBITS = 1, 5, 32773
#: Two bytes of PackBits stand for at most 128; a code of LZW, of 9 bits or more, for 4095.
_MOST_RATIO = {_PACKBITS: 64, _LZW: 4096}
_UNSIGNED = 1  # of the tag SampleFormat
_NEW_SUBFILE_TYPE, _LONG = 254, 4
_TAG_VALUE_AT = {12: 8, 20: 12}
"""Bytes of a tag in TIFF and BigTIFF -> where its value stands."""


def is_tiff(head: bytes) -> bool:
    """Return whether a file that starts with `head` is a TIFF or BigTIFF."""
    return head[:4] in _MAGIC


def read_tiff(
    path: Path, limits: Limits = DEFAULT_LIMITS, *, as_listed: bool = False
) -> Float32Array:
    """Read all pages: (y, x) for one page, (page, y, x) for more; values as in the file.

    Args:
        path: of the file.
        limits: what it may claim.
        as_listed: whether pages come in the order of the file, and their axes are not looked at.

    Raises:
        FileFormatError: damaged or truncated, a loop of pages, no pages, colour, pages that differ,
            a compression other than deflate, LZW and PackBits, or larger than `limits`.
    """
    path = require_file(path)
    with decoding(path, "TIFF image"), path.open("rb") as stream:
        listed = _list_pages(path, stream, limits)
    with decoding(path, "TIFF image"), tifffile.TiffFile(path) as tiff:
        first: Any = tiff.pages[0]
        _check_page(path, first, limits)
        held = count_planes(path, tiff, listed, limits)
        planes = held.count * first.samplesperpixel
        check_claim(path, (planes, *frame_px(first)), first.dtype, limits)
        order = range(planes) if as_listed else check_axes(path, tiff, planes)
        pages = np.empty((planes, *frame_px(first)), dtype=np.float32)
        reader = _PlaneReader(path, tiff, limits, held)
        for place, index in enumerate(order):
            pages[place] = reader.read(int(index))
    return pages[0] if planes == 1 else pages


@contextmanager
def open_tiff(
    path: Path, limits: Limits = DEFAULT_LIMITS, *, growing: bool = False
) -> Iterator[Stack]:
    """Open a stack of which pages are decoded as they are asked for.

    Args:
        path: of the file.
        limits: what it may claim.
        growing: it is being written, so a last page of which only a part is there is counted, and
            refused only when it is read.

    Raises:
        FileFormatError: as for `read_tiff`, as far as it shows before pages are decoded; and pages
            over more than frames and two channels.
    """
    path = require_file(path)
    with decoding(path, "TIFF image"), path.open("rb") as stream:
        listed = _list_pages(path, stream, limits, growing=growing)
    with decoding(path, "TIFF image"):
        tiff = tifffile.TiffFile(path)
    try:
        with decoding(path, "TIFF image"):
            first: Any = tiff.pages[0]
            _check_page(path, first, limits, growing=growing)
            held = count_planes(path, tiff, listed, limits, growing=growing)
            axes = page_axes(path, tiff, held.count * first.samplesperpixel, listed=held.listed)
            pitch_um, notes = pixel_size_um(path, tiff)
        reader = _PlaneReader(path, tiff, limits, held)

        def planes(start: int, stop: int) -> Float32Array:
            check_claim(path, (stop - start, *frame_px(first)), first.dtype, limits)
            found = np.empty((stop - start, *frame_px(first)), dtype=np.float32)
            with decoding(path, "TIFF image"):
                for place, index in enumerate(axes.pages[start:stop]):
                    found[place] = reader.read(int(index))
            return found

        sparse = sparse_note(path, tiff, held.listed)
        labels = (*colour_note(path, first), *orientation_note(path, first))
        every = (*held.notes, *sparse, *labels, *axes.notes, *notes)
        yield Stack(
            path,
            axes.leading,
            axes.counts,
            frame_px(first),
            planes,
            pitch_um,
            every,
            axes.time_s,
            axes.depth_um,
            axes.time_step_s,
        )
    finally:
        tiff.close()


class _PlaneReader:
    """Reads planes of an open TIFF; the last page is kept, as several planes may lie in it."""

    def __init__(self, path: Path, tiff: Any, limits: Limits, held: Planes) -> None:
        self._path, self._tiff, self._limits, self._held = path, tiff, limits, held
        self._kept: tuple[int, npt.NDArray[Any]] | None = None

    def read(self, plane: int) -> Float32Array:
        """Return one plane (y, x); planes are counted page by page."""
        first = self._tiff.pages[0]
        if first.samplesperpixel == 1:
            return _counts(self._path, self._tiff, self._page(plane))
        number, sample = divmod(plane, first.samplesperpixel)
        if self._kept is None or self._kept[0] != number:
            self._kept = None
            self._kept = (number, self._page(number))
        return _counts(self._path, self._tiff, plane_of(first, self._kept[1], sample))

    def _page(self, index: int) -> npt.NDArray[Any]:
        """Return the values of one page, which must be like the first."""
        path, first = self._path, self._tiff.pages[0]
        if self._held.is_contiguous and index > 0:
            return read_contiguous(first, index)
        page = self._tiff.pages[self._held.page(index)]
        if page.shape != first.shape or page.dtype != first.dtype:
            raise FileFormatError(
                f"{printable(path)}: page 1 is {_size(first)} but page {index + 1} is "
                f"{_size(page)}, expected pages of one size and type; save them as files."
            )
        _check_page(path, page, self._limits)
        return _decode(page)


def _counts(path: Path, tiff: Any, values: npt.NDArray[Any]) -> Float32Array:
    """Return the counts that stored values stand for.

    ImageJ stores signed 16-bit images as unsigned ones, and states the offset as calibration.
    """
    counts = as_float32(path, values)
    if tiff.is_imagej and values.dtype == np.uint16:
        imagej = tiff.imagej_metadata or {}
        if (imagej.get("c0"), imagej.get("c1")) == (-32768.0, 1.0):
            counts -= 32768
    return counts


def read_pixel_size_um(path: Path) -> float | None:
    """Read the pixel pitch that a TIFF states.

    OME-XML (PhysicalSizeX) comes first, then ImageJ's unit, then a resolution per centimetre. A
    resolution per inch is a printer's, mostly 72 by default, and is ignored.

    Args:
        path: File of any format.

    Returns:
        Side of a pixel in um; None if the file is no TIFF, states no pitch, or its pixels are not
        square.

    Raises:
        FileFormatError: If the file is missing, empty, or a damaged TIFF.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.files import read_pixel_size_um, write_ome_tiff
        >>> write_ome_tiff(
        ...     Path("map.ome.tif"),
        ...     np.zeros((1, 51, 51)),
        ...     pixel_pitch_um=55.0,
        ...     depth_um=[250],
        ...     channel_name="probability",
        ... )
        >>> read_pixel_size_um(Path("map.ome.tif"))
        55.0
    """
    path = require_file(path)
    with path.open("rb") as stream:
        if not is_tiff(stream.read(4)):
            return None
    with decoding(path, "TIFF image"), path.open("rb") as stream:
        _list_pages(path, stream, DEFAULT_LIMITS)
    with decoding(path, "TIFF image"), tifffile.TiffFile(path) as tiff:
        return pixel_size_um(path, tiff)[0]


def _list_pages(
    path: Path, stream: BinaryIO, limits: Limits, *, growing: bool = False
) -> list[int]:
    """Walk the chain of pages; every page must lie in the file and come once.

    While a file is growing, the last page (but not the first) may lie beyond its end.

    Returns:
        The tag NewSubfileType of each page, which is its first one if it has it; 0 without.
    """
    size = path.stat().st_size
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    offset_format, count_format, tag_bytes = ("Q", "Q", 20) if big else ("I", "H", 12)
    (offset,) = struct.unpack_from(order + offset_format, head, 8 if big else 4)
    counter, link = struct.Struct(order + count_format), struct.Struct(order + offset_format)
    seen: set[int] = set()
    kinds: list[int] = []
    while offset:
        if offset in seen:
            raise FileFormatError(
                f"{printable(path)}: the chain of pages runs in a circle after page {len(seen)}, "
                "expected an end; the file is damaged, export it again."
            )
        seen.add(offset)
        if len(seen) > limits.max_pages:
            raise FileFormatError(
                f"{printable(path)}: more than {limits.max_pages} pages, expected at most so many; "
                "split the file or raise Limits.max_pages."
            )
        tags_at = offset + counter.size
        stream.seek(offset)
        is_cut = tags_at > size
        if not is_cut:
            (tags,) = counter.unpack(stream.read(counter.size))
            kinds.append(_kind_of_page(stream.read(tag_bytes), order) if tags else 0)
            link_at = tags_at + tags * tag_bytes
            is_cut = link_at + link.size > size
        if is_cut and growing and len(seen) > 1:
            return [*kinds, 0][: len(seen)]
        if is_cut:
            raise FileFormatError(
                f"{printable(path)}: page {len(seen)} lies beyond the end of the file; it is "
                "truncated, copy or export it again."
            )
        stream.seek(link_at)
        (offset,) = link.unpack(stream.read(link.size))
    if not seen:
        raise FileFormatError(
            f"{printable(path)}: a TIFF header without any page, expected at least one image; "
            "export the file again."
        )
    return kinds


def _kind_of_page(tag: bytes, order: str) -> int:
    """Return the bits of NewSubfileType, if that is what a tag is; 0 otherwise."""
    if len(tag) not in _TAG_VALUE_AT:
        return 0
    code, kind = struct.unpack_from(order + "HH", tag)
    value: int = struct.unpack_from(order + "I", tag, _TAG_VALUE_AT[len(tag)])[0]
    return value if (code, kind) == (_NEW_SUBFILE_TYPE, _LONG) else 0


def _check_page(path: Path, page: Any, limits: Limits, *, growing: bool = False) -> None:
    """Refuse a page that is too large, in colour, or stored in a way that cannot be bounded.

    So is one that is not all there, unless the file is growing and it is only looked at.
    """
    where = printable(path)
    check_colour(path, page)
    axes = 2 if page.samplesperpixel == 1 else 3
    if len(page.shape) != axes:
        raise FileFormatError(
            f"{where}: a page with {len(page.shape) - axes + 2} axes, expected (y, x); save flat "
            "pages."
        )
    check_claim(path, (page.samplesperpixel, *frame_px(page)), page.dtype, limits)
    if page.compression not in (_NO_COMPRESSION, _PACKBITS, _LZW, *DEFLATE):
        name = printable(str(getattr(page.compression, "name", page.compression)))
        raise FileFormatError(
            f"{where}: compressed with {name}, expected no compression, deflate, LZW or PackBits; "
            "save it uncompressed."
        )
    if page.predictor not in PREDICTORS:
        raise FileFormatError(
            f"{where}: compressed with predictor {int(page.predictor)} (3 is for floating "
            "point), expected none or horizontal differences; save it uncompressed."
        )
    whole_bytes = page.bitspersample == 8 * page.dtype.itemsize
    if page.compression == _LZW and (page.fillorder != 1 or not (whole_bytes or is_packed(page))):
        raise FileFormatError(
            f"{where}: LZW of {page.bitspersample} bits per value in fill order "
            f"{int(page.fillorder)}, expected fill order 1; save it uncompressed."
        )
    if is_packed(page) and (page.sampleformat != _UNSIGNED or page.predictor != 1):
        raise FileFormatError(
            f"{where}: {page.bitspersample} bits per value as differences or of another kind, "
            "expected unsigned integers as they are; save it as 16-bit integers or float32."
        )
    check_claim(path, (*page.chunks[2:], *page.chunks[:2]), page.dtype, limits)
    if not growing:
        check_written(path, page)
    if not growing and not _is_complete(path, page):
        raise FileFormatError(
            f"{where}: holds only a part of the {_size(page)} values it claims; it is truncated, "
            "copy or export it again."
        )


def _is_complete(path: Path, page: Any) -> bool:
    """Whether the parts (strips, tiles) of a page lie in the file and fill the page.

    Parts that were never written count as there; `check_written` refuses them.
    """
    size = path.stat().st_size
    every = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    parts = [(start, length) for start, length in every if length]
    part_bytes = math.prod(page.chunks) * page.dtype.itemsize
    if not all(start + length <= size for start, length in parts):
        return False
    if page.compression in DEFLATE:
        held = sum(_inflated(path, page, start, length, part_bytes) for start, length in parts)
    else:
        held = sum(length for _, length in parts) * _MOST_RATIO.get(page.compression, 1)
    held += (len(every) - len(parts)) * part_bytes
    height, width = frame_px(page)
    rows = height * math.prod(page.shape) // (height * width * math.prod(page.chunks[2:]))
    row_bytes = (width * math.prod(page.chunks[2:]) * page.bitspersample + 7) // 8
    return bool(len(every) >= math.prod(page.chunked) and held >= rows * row_bytes)


def _inflated(path: Path, page: Any, start: int, length: int, expected: int) -> int:
    """Return the bytes that a part inflates to; refuse more than `expected`: tifffile does not."""
    handle = page.parent.filehandle
    handle.seek(start)
    inflater = zlib.decompressobj()
    count = len(inflater.decompress(handle.read(length), expected))
    if inflater.unconsumed_tail and inflater.decompress(inflater.unconsumed_tail, 1):
        raise FileFormatError(
            f"{printable(path)}: compressed data inflate beyond the {expected} bytes of their "
            "part; the file is damaged or hostile, get it again."
        )
    return count


def _decode(page: Any) -> npt.NDArray[np.generic]:
    """Return the values of one page: (y, x), (sample, y, x) or (y, x, sample)."""
    missing = missing_parts(page)
    if missing:
        page.nodata = fill_value(page)
    if missing and missing == len(page.databytecounts):
        return np.full(page.shape, page.nodata, page.dtype)
    if is_packed(page):
        return decoded_packed(page)
    if page.compression == _LZW:
        return decoded_lzw(page)
    array: npt.NDArray[np.generic] = page.asarray()
    return array


def _size(page: Any) -> str:
    return f"{' x '.join(str(side) for side in page.shape)} {page.dtype}"
