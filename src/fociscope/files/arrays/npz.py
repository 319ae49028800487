"""Named arrays out of an NPZ archive that nobody has vouched for; nothing is ever unpickled.

Each array is decoded from its member of the archive no further than its header claims, so that a
member cannot blow up; members are never written to disk, so that their names cannot harm.

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
from fociscope.files.formats.sources import Claims, Part
from fociscope.files.safe.limits import Limits, check_claim, decoding, unbounded

__all__ = ["NpzSource", "is_npz", "read_npy_header"]

_KIND = "NPZ archive"
_ZIP_MAGIC = b"PK\x03\x04"
_MOST_MEMBERS = 1000
_LONGEST_DIRECTORY_BYTES = 2**20
_END = struct.Struct("<4s4H2IH")
_LONGEST_COMMENT_BYTES = 2**16
_END_64_BYTES, _LOCATOR_64_BYTES = 56, 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


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
    """The arrays of an NPZ archive."""

    samples_first = True

    def __init__(self, path: Path, limits: Limits) -> None:
        """Read the directory of the archive; use `NpzSource.open`."""
        self.path = path
        self._limits = limits
        _check_directory(path)
        self._archive = zipfile.ZipFile(path)
        members = self._archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise FileFormatError(
                f"{printable(path)}: {len(members)} arrays, expected at most {_MOST_MEMBERS}; save "
                "frames as one array (frame, sensor, y, x)."
            )
        self._members = {
            member.filename.removesuffix(".npy"): member
            for member in members
            if member.filename.endswith(".npy")
        }
        self._open: tuple[str, Any] | None = None

    @classmethod
    @contextmanager
    def open(cls, path: Path, limits: Limits) -> Iterator[NpzSource]:
        """Open `path` for reading.

        Raises:
            FileFormatError: it is no sound ZIP archive.
        """
        with decoding(path, _KIND):
            source = cls(path, limits)
        try:
            yield source
        finally:
            source._archive.close()

    def names(self) -> list[str]:
        """Return the names of all arrays."""
        return sorted(self._members)

    def arrays(self) -> list[str]:
        """Return the names of all arrays."""
        return sorted(self._members)

    def is_matlab(self, name: str) -> bool:
        """Return False: the first axis counts the frames."""
        return False

    def pixel_size_um(self, name: str) -> float | None:
        """Return the number in an array `pixel_size_um` of the archive, if there is one."""
        if "pixel_size_um" not in self._members:
            return None
        shape, dtype = self.claims(("pixel_size_um",))["pixel_size_um"]
        if math.prod(shape) != 1 or dtype.kind not in "iuf":
            return None
        found = float(self.read("pixel_size_um").ravel()[0])
        return found if math.isfinite(found) and found > 0 else None

    def claims(self, names: tuple[str, ...]) -> Claims:
        """Return shape and dtype of those of `names` that are there; no values are read.

        Raises:
            FileFormatError: a member is encrypted, compressed in another way than deflate, no NPY,
                or of another size than it claims.
        """
        found: Claims = {}
        for name in names:
            member = self._members.get(name)
            if member is None:
                continue
            where = f"{printable(self.path)}: {name!r:.60}"
            if member.flag_bits & 1 or member.compress_type not in _METHODS:
                raise FileFormatError(
                    f"{where} is encrypted or compressed in an unusual way, expected deflate or "
                    "nothing; save it with numpy.savez or savez_compressed."
                )
            with decoding(self.path, _KIND), self._archive.open(member) as stream:
                shape, _, dtype = read_npy_header(stream)
                held = member.file_size - stream.tell()
            if dtype.kind != "O" and held != math.prod(shape) * dtype.itemsize:
                raise FileFormatError(
                    f"{where} claims {math.prod(shape) * dtype.itemsize} bytes of values but holds "
                    f"{held}; the archive is damaged, save it again."
                )
            found[name] = (shape, dtype)
        return found

    def is_sliceable(self, name: str) -> bool:
        """Return whether parts cost no more than themselves: not in Fortran's order."""
        with decoding(self.path, _KIND), self._archive.open(self._members[name]) as stream:
            return not read_npy_header(stream)[1]

    def read(self, name: str, part: Part | None = None) -> npt.NDArray[Any]:
        """Return one array that `claims` accepted, or a run along its first axis."""
        with decoding(self.path, _KIND), self._archive.open(self._members[name]) as stream:
            shape, fortran, dtype = read_npy_header(stream)
            check_claim(
                self.path, shape if len(shape) else (1,), dtype, unbounded(self._limits), name
            )
            if part is None or fortran:
                values = _values(stream, math.prod(shape), dtype)
                array = values.reshape(shape, order="F" if fortran else "C")
                return array if part is None else array[part.index(array.ndim)]
            each = math.prod(shape[1:])
        rows = part.stop - part.start
        with decoding(self.path, _KIND):
            stream = self._at(name, part.start * each * dtype.itemsize)
            return _values(stream, rows * each, dtype).reshape(rows, *shape[1:])

    def _at(self, name: str, start: int) -> Any:
        """Return the stream of a member at a byte of its values; going on is cheap."""
        if self._open is None or self._open[0] != name:
            stream = self._archive.open(self._members[name])
            read_npy_header(stream)
            self._open, self._first = (name, stream), stream.tell()
        stream = self._open[1]
        stream.seek(self._first + start)
        return stream


def _values(stream: Any, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Read so many values; no more is inflated than they take."""
    content = stream.read(count * dtype.itemsize)
    if len(content) != count * dtype.itemsize:
        raise EOFError("values end too early")
    return np.frombuffer(content, dtype)


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
