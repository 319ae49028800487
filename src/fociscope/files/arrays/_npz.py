"""Named arrays out of an NPZ archive that nobody has vouched for; nothing is ever unpickled.

What a member claims is held against the bytes it has and against the limits, and it is decoded no
further than its header claims, so that it cannot blow up; members are never written to disk, so
that their names cannot harm.

Format: NumPy's NEP 1, in a ZIP archive.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._zip import check_member, read_directory
from fociscope.files.formats._sources import Claims, Part
from fociscope.files.safe.limits import Limits, decoding

__all__ = ["NpzSource", "is_npz", "read_npy_header"]

_KIND = "NPZ archive"
_ZIP_MAGIC = b"PK\x03\x04"
_MOST_MEMBERS = 1000
_LONGEST_DIRECTORY_BYTES = 2**20


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
            read_directory(path, _LONGEST_DIRECTORY_BYTES)
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
            possible = check_member(where, member)
            with decoding(self.path, _KIND), self._archive.open(member) as stream:
                shape, _, dtype = read_npy_header(stream)
                held = member.file_size - stream.tell()
            claimed = math.prod(shape) * dtype.itemsize
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
