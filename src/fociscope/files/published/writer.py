"""The published `images_depth` layout, into MAT v5, MAT v7.3, HDF5 and Zarr.

Every format has the published names, shapes and mm; the same content gives the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io

from fociscope.errors import FociscopeError, printable
from fociscope.files.arrays._hdf5 import SAMPLES_FIRST
from fociscope.files.arrays._mat5 import HEADER_TEXT_BYTES, SAMPLES_FIRST_TEXT
from fociscope.files.published.images_depth import (
    DEPTH,
    DEPTH_MAP,
    NAMES,
    RAW,
    SENSOR_A,
    SENSOR_B,
    UM_PER_MM,
    ImagesDepth,
)
from fociscope.files.safe._deferred_stream import DeferredErrorStream
from fociscope.files.safe.atomic import atomic_path, atomic_tree
from fociscope.typing import Float32Array

__all__ = ["LayoutFormat", "write_images_depth"]

Arrays = Mapping[str, Float32Array]

_MOST_V5_BYTES = 2**31 - 1  # MATLAB reads no larger variable from a v5 file
_USERBLOCK_BYTES = 512  # what MATLAB keeps in front of the HDF5 content
_V73_TEXT = b"MATLAB 7.3 MAT-file, images_depth layout (Fociscope), HDF5 schema 1.00 ."
_V73_VERSION = 0x0200
_CHUNK_SAMPLES = 64  # a training set is read in runs of samples

_AXES = {
    RAW: "sample, layer, y, x",
    SENSOR_A: "sample, y, x",
    SENSOR_B: "sample, y, x",
    DEPTH_MAP: "sample, layer, y, x",
    DEPTH: "sample, layer",
}
_UNITS = {
    RAW: "light per pixel",
    SENSOR_A: "light per pixel",
    SENSOR_B: "light per pixel",
    DEPTH_MAP: "mm",
    DEPTH: "mm",
}


class LayoutFormat(StrEnum):
    """What holds the layout."""

    mat5 = "mat5"
    mat73 = "mat73"
    hdf5 = "hdf5"
    zarr = "zarr"

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        return {"hdf5": ".h5", "zarr": ".zarr"}.get(self.value, ".mat")

    @classmethod
    def from_path(cls, path: Path) -> LayoutFormat:
        """Return the format that the name of a file asks for; MAT v5 where it asks for none."""
        suffixes = {".h5": cls.hdf5, ".hdf5": cls.hdf5, ".zarr": cls.zarr}
        return suffixes.get(path.suffix.lower(), cls.mat5)


def write_images_depth(
    path: Path, data: ImagesDepth, overwrite: bool = False, format: LayoutFormat | None = None
) -> None:
    """Write samples of the published layout; what is None in `data` is left out.

    Shapes: (sample, layer, y, x), (sample, y, x), (sample, layer), all float32. MATLAB sees these
    shapes in both kinds of MAT file.

    Args:
        path: File, or the folder of the store for Zarr.
        data: Samples, with depths in um, which are written in mm.
        overwrite: Whether a file that exists is replaced.
        format: Format; without it, by the suffix: `.h5`, `.hdf5`, `.zarr`, and MAT v5 for all else.

    Raises:
        OutputExistsError: If `path` exists and `overwrite` is False.
        FociscopeError: If the disk refuses, or a variable is larger than MAT v5 can hold.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from fociscope.files import ImagesDepth, write_images_depth
        >>> write_images_depth(Path("1.h5"), ImagesDepth(np.ones((3, 2, 51, 51), np.float32)))
        >>> Path("1.h5").exists()
        True
    """
    path = Path(path)
    format = format or LayoutFormat.from_path(path)
    arrays = _variables(data)
    if format is LayoutFormat.zarr:
        with atomic_tree(path, overwrite) as folder:
            _write_zarr(folder, arrays)
        return
    if format is LayoutFormat.mat5:
        _check_v5_size(path, arrays)
    with atomic_path(path, overwrite) as temporary:
        if format is LayoutFormat.mat5:
            _write_mat5(temporary, arrays)
        elif format is LayoutFormat.mat73:
            _write_mat73(temporary, arrays)
        else:
            _write_hdf5(temporary, arrays)


def _variables(data: ImagesDepth) -> Arrays:
    """Return what goes to disk under the published names, depths in mm."""
    found: dict[str, npt.NDArray[Any] | None] = {
        RAW: data.raw,
        SENSOR_A: data.captures[:, 0],
        SENSOR_B: data.captures[:, 1] if data.captures.shape[1] == 2 else None,
        DEPTH_MAP: data.depth_map_um,
        DEPTH: data.depth_um,
    }
    arrays = {}
    for name in NAMES:
        array = found[name]
        if array is not None:
            per_mm = np.float32(UM_PER_MM if name in (DEPTH_MAP, DEPTH) else 1)
            arrays[name] = np.asarray(array / per_mm if per_mm > 1 else array, dtype=np.float32)
    return arrays


def _write_mat5(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as stream:
        scipy.io.savemat(stream, dict(arrays), format="5", do_compression=False, oned_as="row")
        stream.seek(0)  # scipy writes the date here
        stream.write(SAMPLES_FIRST_TEXT.ljust(HEADER_TEXT_BYTES))


def _write_mat73(path: Path, arrays: Arrays) -> None:
    """Write what MATLAB's `load` takes: its header in front, axes reversed, classes named."""
    with _hdf5(path, userblock_size=_USERBLOCK_BYTES) as file:
        for name, array in arrays.items():
            turned = np.ascontiguousarray(array.T)
            chunk = (*turned.shape[:-1], min(_CHUNK_SAMPLES, turned.shape[-1]))
            item = _data_set(file, name, turned, chunk)
            item.attrs["MATLAB_class"] = np.bytes_("single")
    header = struct.pack("<116s8xHH", _V73_TEXT.ljust(116), _V73_VERSION, 0x4D49)
    with path.open("rb+") as stream:
        stream.write(header)


def _write_hdf5(path: Path, arrays: Arrays) -> None:
    with _hdf5(path) as file:
        for name, array in arrays.items():
            chunk = (min(_CHUNK_SAMPLES, len(array)), *array.shape[1:])
            item = _data_set(file, name, array, chunk)
            item.attrs["units"], item.attrs["axes"] = _UNITS[name], _AXES[name]


@contextmanager
def _hdf5(path: Path, **options: Any) -> Iterator[Any]:
    """Open an HDF5 file for writing, of our layout and without any time in it."""
    with (
        path.open("wb+") as raw,
        DeferredErrorStream(raw) as stream,
        h5py.File(stream, "w", libver=("earliest", "v110"), **options) as file,
    ):
        file.attrs.update(SAMPLES_FIRST)
        yield file


def _data_set(file: Any, name: str, array: npt.NDArray[Any], chunk: tuple[int, ...]) -> Any:
    """Write one array; only depth maps shrink enough to be worth their compression."""
    options = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    return file.create_dataset(
        name,
        data=array,
        chunks=chunk,
        track_times=False,
        **(options if name == DEPTH_MAP else {}),
    )


def _write_zarr(folder: Path, arrays: Arrays) -> None:
    import zarr
    from zarr.codecs import ZstdCodec

    group = zarr.create_group(folder, zarr_format=3, attributes=dict(SAMPLES_FIRST), overwrite=True)
    for name, array in arrays.items():
        chunk = min(_CHUNK_SAMPLES, len(array))
        item = group.create_array(
            name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=(chunk, *array.shape[1:]),
            compressors=ZstdCodec(level=1) if name == DEPTH_MAP else None,
            dimension_names=_AXES[name].split(", "),
            attributes={"units": _UNITS[name]},
            config={"write_empty_chunks": True},
        )
        # One chunk at a time: where the disk refuses one, zarr would go on writing the others after
        # it has said so, into a folder that is being removed.
        for start in range(0, len(array), chunk):
            item[start : start + chunk] = array[start : start + chunk]


def _check_v5_size(path: Path, arrays: Arrays) -> None:
    for name, array in arrays.items():
        if array.nbytes > _MOST_V5_BYTES:
            raise FociscopeError(
                f"{printable(path)}: {name} takes {array.nbytes / 2**30:.3g} GiB, expected at most "
                "2 for a MAT v5 file; write fewer samples per file or another format."
            )
