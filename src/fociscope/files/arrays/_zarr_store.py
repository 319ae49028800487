"""The numeric arrays at the root of a Zarr v3 group (a folder) of the published layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._hdf5 import SAMPLES_FIRST
from fociscope.files.arrays._store_files import DiskFiles
from fociscope.files.arrays.zarr_array import DESCRIPTION, KIND, ZarrArray, read_json, refuse_links
from fociscope.files.formats._sources import Claims, Part
from fociscope.files.safe.limits import Limits, decoding

__all__ = ["ZarrSource", "is_zarr"]


def is_zarr(path: Path) -> bool:
    """Return whether `path` is a folder that Zarr v2 or v3 describes, or that is named so."""
    if not path.is_dir():
        return False
    descriptions = (DESCRIPTION, ".zgroup", ".zarray")
    return path.suffix.lower() == ".zarr" or any((path / name).exists() for name in descriptions)


class ZarrSource:
    """The numeric arrays at the root of a Zarr v3 group."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Judge the group; use `ZarrSource.open`."""
        self.path = path
        self._limits = limits
        self._arrays: dict[str, ZarrArray] = {}
        refuse_links(path)
        if not (path / DESCRIPTION).is_file():
            old = any((path / name).exists() for name in (".zgroup", ".zarray"))
            raise FileFormatError(
                f"{printable(path)}: {'of Zarr version 2' if old else f'has no {DESCRIPTION}'}, "
                "expected a Zarr v3 group with one array per variable; save it with zarr_format=3."
            )
        group = read_json(DiskFiles(path), DESCRIPTION)
        if group.get("node_type") != "group":
            raise FileFormatError(
                f"{printable(path)}: its {DESCRIPTION} describes no group, expected a group with "
                "one array per variable; save them as one."
            )
        attributes = group.get("attributes")
        self.samples_first = isinstance(attributes, dict) and all(
            attributes.get(key) == value for key, value in SAMPLES_FIRST.items()
        )

    @classmethod
    @contextmanager
    def open(cls, path: Path, limits: Limits) -> Iterator[ZarrSource]:
        """Open the folder `path` for reading.

        Raises:
            FileFormatError: it is no sound Zarr v3 group, or holds links.
        """
        with decoding(path, KIND):
            source = cls(path, limits)
        yield source

    def names(self) -> list[str]:
        """Return the names of the arrays and groups at the root."""
        found = (entry for entry in self.path.iterdir() if entry.is_dir())
        return sorted(entry.name for entry in found if (entry / DESCRIPTION).is_file())

    def arrays(self) -> list[str]:
        """Return the names of the arrays at the root."""
        files = DiskFiles(self.path)
        with decoding(self.path, KIND):
            return [
                name
                for name in self.names()
                if read_json(files, f"{name}/{DESCRIPTION}").get("node_type") == "array"
            ]

    def is_matlab(self, name: str) -> bool:
        """Return False: the first axis counts the frames."""
        return False

    def pixel_size_um(self, name: str) -> float | None:
        """Return None: the pixel sizes of OME-Zarr are read with its axes, in `open_zarr`."""
        return None

    def claims(self, names: tuple[str, ...]) -> Claims:
        """Return shape and dtype of those of `names` that are there; no chunk is read.

        Raises:
            FileFormatError: a variable is no plain numeric array, or needs a codec that is not
                on the list.
        """
        found: Claims = {}
        for name in names:
            if not (self.path / name).is_dir():
                continue
            array = self._arrays[name] = ZarrArray.open(self.path, name, is_complete=True)
            found[name] = (array.shape, array.dtype)
        return found

    def is_sliceable(self, name: str) -> bool:
        """Return whether a part can be read without decoding the whole: in Zarr it always can."""
        return True

    def read(self, name: str, part: Part | None = None) -> npt.NDArray[Any]:
        """Return one array that `claims` accepted, or a part of it."""
        array = self._arrays[name]
        dimensions = len(array.shape)
        index = (slice(None),) * dimensions if part is None else part.index(dimensions)
        return array.read(index, self._limits)
