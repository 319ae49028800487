"""Numeric arrays out of a MAT v5 file that nobody has vouched for.

The headers of all variables are walked here first, with every size held against the file; scipy
decodes a variable only after its own claim has been found consistent.

Format: MATLAB "MAT-File Format" (MathWorks), level 5: a 128-byte header, then tagged elements.
"""

import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import scipy.io

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._matlab_kinds import not_a_matrix
from fociscope.files.formats._sources import Claims, Part
from fociscope.files.safe.limits import decoding

__all__ = ["HEADER_TEXT_BYTES", "SAMPLES_FIRST_TEXT", "Mat5Source", "header_text", "is_mat5"]

HEADER_TEXT_BYTES = 116
SAMPLES_FIRST_TEXT = (
    b"MATLAB 5.0 MAT-file, images_depth layout, samples along the first axis (Fociscope)"
)
"""How our own files begin, so that their shapes never leave open which axis counts the samples."""
_HEADER_BYTES = 128
_PEEK_BYTES = 4096  # flags, sizes, name and the tag of the data fit well into this
_LONGEST_NAME = 256  # MATLAB allows 63
_MOST_VARIABLES = 10_000

_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4",
                    14: "i8", 15: "u8"}  # fmt: skip
_OTHER_CLASSES = {1: "cell", 2: "struct", 4: "char", 5: "sparse"}
_OPAQUE_CLASS = 17
_DATA_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
               13: "u8"}  # fmt: skip
_COMPLEX_FLAG = 0x0800


@dataclass(frozen=True)
class _Header:
    """What one variable says of itself."""

    name: str
    matlab_class: int
    is_complex: bool
    shape: tuple[int, ...]
    data_type: int
    data_bytes: int
    data_start: int | None
    """Where in the file the values begin; None where they are compressed."""


def is_mat5(path: Path) -> bool:
    """Return whether the file carries the version mark of MAT v5."""
    with path.open("rb") as stream:
        return _byte_order(stream.read(_HEADER_BYTES)) is not None


def header_text(path: Path) -> bytes:
    """Return the free text at the start of a MAT file, without its padding."""
    with path.open("rb") as stream:
        return stream.read(HEADER_TEXT_BYTES).rstrip(b" \0")


class Mat5Source:
    """The numeric arrays of a MAT v5 file."""

    def __init__(self, path: Path) -> None:
        """Walk the headers; use `Mat5Source.open`."""
        self.path = path
        self.samples_first = header_text(path) == SAMPLES_FIRST_TEXT
        self._found: dict[str, _Header] = {}
        with decoding(path, "MAT v5 file"), path.open("rb") as stream:
            self._order = _byte_order(stream.read(_HEADER_BYTES)) or "<"
            stream.seek(0)
            self._headers = list(_walk(path, stream))

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Mat5Source"]:
        """Open `path` for reading.

        Raises:
            FileFormatError: it is truncated or damaged.
        """
        yield cls(path)

    def names(self) -> list[str]:
        """Return the names of all variables, arrays or not."""
        return [header.name for header in self._headers]

    def arrays(self) -> list[str]:
        """Return the names of all variables that have one; `claims` says which are no arrays."""
        return sorted({header.name for header in self._headers if header.name})

    def is_matlab(self, name: str) -> bool:
        """Return True: MATLAB's last axis may count the frames."""
        return True

    def pixel_size_um(self, name: str) -> float | None:
        """Return None: MAT v5 states no pixel size."""
        return None

    def claims(self, names: tuple[str, ...]) -> Claims:
        """Return shape and dtype of those of `names` that are there; nothing is read.

        Raises:
            FileFormatError: a variable is a struct, cell, object, text, sparse or complex, is
                there twice, or its data are not of the size that its shape asks for.
        """
        found: Claims = {}
        for header in self._headers:
            if header.name not in names:
                continue
            where = f"{printable(self.path)}: {printable(header.name)}"
            code = _NUMERIC_CLASSES.get(header.matlab_class)
            if code is None or header.is_complex:
                kind = _OTHER_CLASSES.get(header.matlab_class, "object")
                kind = kind if code is None else "complex"
                raise not_a_matrix(where, printable(header.name), kind, header.shape)
            if header.name in found:
                raise FileFormatError(f"{where} is there twice, expected once; save it again.")
            stored = np.dtype(_DATA_TYPES.get(header.data_type, "V0"))
            expected_bytes = math.prod(header.shape) * stored.itemsize
            if stored.kind == "V" or header.data_bytes != expected_bytes:
                raise FileFormatError(
                    f"{where} claims the shape {header.shape} but holds {header.data_bytes} bytes, "
                    "which do not fit; the file is damaged, export it again."
                )
            found[header.name] = (header.shape, np.dtype(code))
            self._found[header.name] = header
        return found

    def is_sliceable(self, name: str) -> bool:
        """Return whether a part can be read without decoding the whole: it is not compressed."""
        return self._found[name].data_start is not None

    def read(self, name: str, part: Part | None = None) -> npt.NDArray[Any]:
        """Return one array that `claims` accepted, or a part of it."""
        header = self._found[name]
        if part is not None and header.data_start is not None:
            with decoding(self.path, "MAT v5 file"):
                stored = np.memmap(
                    self.path,
                    np.dtype(self._order + _DATA_TYPES[header.data_type]),
                    "r",
                    header.data_start,
                    header.shape,
                    "F",
                )
                return np.array(stored[part.index(stored.ndim)])
        with decoding(self.path, "MAT v5 file"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns of damage in variables not asked for
            array = scipy.io.loadmat(self.path, appendmat=False, variable_names=[name])[name]
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            raise FileFormatError(
                f"{printable(self.path)}: {printable(name)} cannot be decoded, expected a numeric "
                "matrix; export the file again."
            )
        return array if part is None else array[part.index(array.ndim)]


def _byte_order(header: bytes) -> str | None:
    """Return '<' or '>' if the 128-byte header is that of MAT v5, else None."""
    if 0 in header[:4]:  # how scipy knows the older v4, which has no header
        return None
    return {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(header[124:128])


def _walk(path: Path, stream: BinaryIO) -> Iterator[_Header]:
    """Yield the header of each variable, holding each size against the size of the file."""
    size = path.stat().st_size
    order = _byte_order(stream.read(_HEADER_BYTES))
    position = _HEADER_BYTES
    for _ in range(_MOST_VARIABLES):
        if position >= size:
            return
        stream.seek(position)
        kind, length = struct.unpack(f"{order}II", stream.read(8))
        position += 8 + length
        if position > size:
            raise FileFormatError(
                f"{printable(path)}: ends {position - size} bytes too early, expected {position}; "
                "it is truncated, copy or export it again."
            )
        head = stream.read(min(length, _PEEK_BYTES))
        start: int | None = position - length
        if kind == _COMPRESSED:
            start = None
            head = zlib.decompressobj().decompress(head, _PEEK_BYTES)
            kind = struct.unpack(f"{order}II", head[:8])[0]
            head = head[8:]
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where a variable should be")
        yield _parse(head, order, start)
    raise ValueError(f"more than {_MOST_VARIABLES} variables")


def _parse(head: bytes, order: str | None, start: int | None) -> _Header:
    """Read flags, sizes, name and the data's tag from the beginning of a matrix element.

    `start` is where in the file the element's content begins; None where it is compressed.
    """
    flags = struct.unpack_from(f"{order}IIII", head)
    matlab_class = flags[2] & 0xFF
    if matlab_class == _OPAQUE_CLASS:  # laid out differently: strings, tables, dates
        return _Header("", matlab_class, False, (), 0, 0, None)
    sizes, position = _element(head, 16, order, 4 * 32)
    name, position = _element(head, position, order, _LONGEST_NAME)
    data_type, data_bytes, data_offset = 0, 0, 0
    if matlab_class in _NUMERIC_CLASSES:
        data_type, data_bytes, data_offset, _ = _tag(head, position, order)
    return _Header(
        name=name.decode("latin-1"),
        matlab_class=matlab_class,
        is_complex=bool(flags[2] & _COMPLEX_FLAG),
        shape=struct.unpack(f"{order}{len(sizes) // 4}i", sizes),
        data_type=data_type,
        data_bytes=data_bytes,
        data_start=None if start is None else start + data_offset,
    )


def _tag(head: bytes, position: int, order: str | None) -> tuple[int, int, int, int]:
    """Return type, byte count, start of the content and start of what follows (8-byte steps)."""
    first, second = struct.unpack_from(f"{order}II", head, position)
    if first >> 16:  # the small format packs count, type and up to 4 bytes into 8
        return first & 0xFFFF, first >> 16, position + 4, position + 8
    return first, second, position + 8, position + 8 + -(-second // 8) * 8


def _element(head: bytes, position: int, order: str | None, longest: int) -> tuple[bytes, int]:
    """Return the content of a small element, and where the next one starts."""
    _, count, start, following = _tag(head, position, order)
    if count > longest or start + count > len(head):
        raise ValueError(f"a header field of {count} bytes")
    return head[start : start + count], following
