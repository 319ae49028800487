"""Named arrays out of an NPZ archive that nobody has vouched for; nothing is ever unpickled.

What a member claims is held against the bytes it has and against the limits, and it is decoded no
further than its header claims, so that it cannot blow up; members are never written to disk, so
that their names cannot harm.

Format: APPNOTE.TXT of PKWARE (the directory at the end of a ZIP archive); NumPy's NEP 1.
"""

from __future__ import annotations

import math
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._sources import Claims, Part
from fociscope.files.safe.limits import Limits, decoding

__all__ = ["NpzSource", "is_npz", "read_npy_header"]

_KIND = "NPZ archive"
_ZIP_MAGIC = b"PK\x03\x04"
_MOST_MEMBERS = 1000
_LONGEST_DIRECTORY_BYTES = 2**20
_END = struct.Struct("<4s4H2IH")
_LONGEST_COMMENT_BYTES = 2**16
_END_64_BYTES, _LOCATOR_64_BYTES = 56, 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_RATIO = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
"""Bytes that one stored byte may stand for (zlib's technical details: 1032:1 for deflate)."""


def is_npz(path: Path) -> bool:
    """Return whether the file is a ZIP archive, as NPZ archives are."""
    with path.open("rb") as stream:
        return stream.read(4) == _ZIP_MAGIC


def read_npy_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether in Fortran's order, and dtype; the stream is left at the data.

    Raises:
        ValueError: no NPY, or of an unknown version.
    """
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"format version {version[0]}.{version[1]}, expected 1.0 or 2.0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's and Python's of odd headers
        shape, fortran, dtype = read(stream)
    return shape, fortran, dtype


class NpzSource:
    """The arrays of an NPZ archive, each read as a whole: instruments write single captures so."""

    samples_first = True

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        """Take the members of an open archive; use `NpzSource.open`."""
        self.path, self._archive = path, archive
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise FileFormatError(
                f"{printable(path)}: {len(members)} arrays, expected at most {_MOST_MEMBERS}; save "
                "frames as one array (frame, sensor, y, x)."
            )
        names = {member.filename: member for member in members}
        self._members = {n.removesuffix(".npy"): m for n, m in names.items() if n.endswith(".npy")}

    @classmethod
    @contextmanager
    def open(cls, path: Path, _: Limits) -> Iterator[NpzSource]:
        """Open `path` for reading.

        Raises:
            FileFormatError: If it is no sound ZIP archive.
        """
        with decoding(path, _KIND):
            _check_directory(path)
            archive = zipfile.ZipFile(path)
        with archive:
            yield cls(path, archive)

    def names(self) -> list[str]:
        """Return the names of all arrays."""
        return sorted(self._members)

    arrays = names

    def is_matlab(self, name: str) -> bool:
        """Return False: the first axis counts the frames."""
        return False

    def is_sliceable(self, name: str) -> bool:
        """Return False: a compressed member is decoded from its start."""
        return False

    def pixel_size_um(self, name: str) -> float | None:
        """Return the number in an array `pixel_size_um` of the archive, if there is one."""
        shape, dtype = self.claims(("pixel_size_um",)).get("pixel_size_um", ((0,), np.dtype("f4")))
        if math.prod(shape) != 1 or dtype.kind not in "iuf":
            return None
        found = float(self.read("pixel_size_um").ravel()[0])
        return found if math.isfinite(found) and found > 0 else None

    def claims(self, names: tuple[str, ...]) -> Claims:
        """Return shape and dtype of those of `names` that exist; no values are read.

        Raises:
            FileFormatError: If a member is encrypted, compressed in another way than deflate, no
                NPY, of another size than its header claims, or larger than deflate can make it.
        """
        found: Claims = {}
        for name, member in ((n, self._members[n]) for n in names if n in self._members):
            where = f"{printable(self.path)}: {name!r:.60}"
            if member.flag_bits & 1 or member.compress_type not in _METHODS:
                raise FileFormatError(
                    f"{where} is encrypted or compressed in an unusual way, expected deflate or "
                    "nothing; save it with numpy.savez or savez_compressed."
                )
            with decoding(self.path, _KIND), self._archive.open(member) as stream:
                shape, _, dtype = read_npy_header(stream)
                held = member.file_size - stream.tell()
            claimed = math.prod(shape) * dtype.itemsize
            possible = _MOST_RATIO[member.compress_type] * member.compress_size
            if dtype.kind != "O" and (held != claimed or member.file_size > possible):
                raise FileFormatError(
                    f"{where} claims {claimed} bytes of values but holds {min(held, possible)}; "
                    "the archive is damaged, save it again."
                )
            found[name] = (shape, dtype)
        return found

    def read(self, name: str, part: Part | None = None) -> npt.NDArray[Any]:
        """Return one array that `claims` accepted, or a part of it; nothing is unpickled."""
        with decoding(self.path, _KIND), self._archive.open(self._members[name]) as stream:
            array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array if part is None else array[part.index(array.ndim)]


def _check_directory(path: Path) -> None:
    """Hold the directory's size against a limit: zipfile would believe in any number of members."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        tail_bytes = min(size, _END.size + _LONGEST_COMMENT_BYTES)
        stream.seek(size - tail_bytes)
        tail = stream.read(tail_bytes)
        place = tail.rfind(b"PK\x05\x06")
        if place < 0 or place + _END.size > len(tail):
            raise ValueError("no directory at its end; it is truncated")
        directory = _END.unpack_from(tail, place)[5]
        before = size - tail_bytes + place - _END_64_BYTES - _LOCATOR_64_BYTES
        if before >= 0:
            stream.seek(before)
            record = stream.read(_END_64_BYTES)
            if record.startswith(b"PK\x06\x06"):
                directory = struct.unpack_from("<Q", record, 40)[0]
    if directory > _LONGEST_DIRECTORY_BYTES:
        raise FileFormatError(
            f"{printable(path)}: a directory of {directory} bytes, expected at most "
            f"{_LONGEST_DIRECTORY_BYTES}; save frames as one array (frame, sensor, y, x)."
        )
