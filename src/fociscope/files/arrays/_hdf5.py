"""Numeric arrays out of an HDF5 file (MAT v7.3 or plain) that nobody has vouched for.

HDF5 can point into other files (external links, external storage, virtual data sets) and can load
code for its filters. All of that is refused, from the file's description, before data are read.
"""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._hdf5_heap import LocalHeaps, superblock_at
from fociscope.files.arrays._hdf5_programs import program_axes, small_attributes
from fociscope.files.arrays._matlab_kinds import not_a_matrix
from fociscope.files.formats._axes import AXES_ATTRIBUTES
from fociscope.files.formats._packing import PACKING_ATTRIBUTES
from fociscope.files.formats._sources import Claims, NotNumbersError, Part
from fociscope.files.safe.limits import LARGEST_CHUNK_BYTES, Limits, decoding

__all__ = ["SAMPLES_FIRST", "Hdf5Source", "is_hdf5"]

SAMPLES_FIRST = {"layout": "images_depth", "samples": "first axis"}
"""Attributes of the root of our own files: the shapes leave nothing open."""

_GZIP = h5py.h5z.FILTER_DEFLATE
_ALLOWED_FILTERS = (_GZIP, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_CHECKSUM_BYTES = 4
_LONGEST_ATTRIBUTE = 2**16
_MOST_LABELS = 16
_ORDER_ATTRIBUTES = ("order", "array-order", "data-order", "memory-order", "storage-order",
                     "index-order", "indexing", "layout", "memory-layout", "storage")  # fmt: skip
_BY_COLUMNS = ("f", "fortran", "fortran-order", "fortran-contiguous", "col", "column", "columns",
               "col-major", "column-major", "columnmajor", "colmajor", "matlab", "julia",
               "octave")  # fmt: skip
_COLUMN_FLAGS = ("fortran", "is-fortran", "fortran-order", "column-major", "is-column-major",
                 "col-major")  # fmt: skip
"""Attributes, and what they say, by which programs mark arrays that lie by columns; in any case,
with hyphens, underscores or spaces."""
_MOST_ATTRIBUTES = 200
_JULIA = (b"HDF5-based Julia Data Format", b"Julia data file (HDF5)")
_OCTAVE, _OCTAVE_VALUE = "OCTAVE_NEW_FORMAT", "value"
"""Mark of the group that Octave writes for each variable, and the name of the array in it."""
_MATLAB_HIDDEN = ("#refs#", "#subsystem#")
"""Groups in which MATLAB keeps what cells and objects refer to, in no order."""
_BEING_WRITTEN = ("already open for write", "unable to lock file")
_MOST_LINKS = 10_000
_DEEPEST = 32


def is_hdf5(path: Path) -> bool:
    """Return whether the file carries the HDF5 signature, behind a user block or not."""
    with path.open("rb") as stream:
        return superblock_at(stream) is not None


class Hdf5Source:
    """The numeric arrays of an HDF5 file, in MATLAB's order of axes where MATLAB wrote them.

    A name may lead into groups: `recording/sensor_a`. A variable of Octave, a group there, goes by
    its own name.
    """

    def __init__(self, path: Path, file: Any, limits: Limits, heaps: LocalHeaps) -> None:
        """Wrap an open h5py file; use `Hdf5Source.open`."""
        self.path = path
        self._heaps = heaps
        self._file = file
        self._limits = limits
        self.samples_first = self._says_samples_first()
        self._is_julia = _is_julia(path)

    @classmethod
    @contextmanager
    def open(cls, path: Path, limits: Limits) -> Iterator["Hdf5Source"]:
        """Open `path` for reading.

        Raises:
            FileFormatError: it is not a sound HDF5 file.
        """
        with decoding(path, "MAT v7.3 (HDF5) file"):
            heaps = LocalHeaps(path)
            file = _opened(path)
        try:
            yield cls(path, file, limits, heaps)
        finally:
            with decoding(path, "HDF5 file"):
                file.close()

    def names(self) -> list[str]:
        """Return what lies at the root, arrays or not."""
        with decoding(self.path, "MAT v7.3 (HDF5) file"):
            return self._inside(self._file)

    def arrays(self) -> list[str]:
        """Return the names of all data sets, in groups too; links are not followed.

        Raises:
            FileFormatError: more groups and data sets, or deeper ones, than are believed.
        """
        found, waiting = [], [(self._file, "", 0)]
        with decoding(self.path, "HDF5 file"):
            seen = {self._address(self._file)}
            while waiting:
                group, prefix, depth = waiting.pop()
                names = self._inside(group)
                if _OCTAVE in group.attrs:  # beside the value lies what it is called
                    names = [name for name in names if name == _OCTAVE_VALUE]
                if depth > _DEEPEST or len(seen) + len(names) > _MOST_LINKS:
                    raise self._too_many()
                for name in names:
                    if not prefix and name in _MATLAB_HIDDEN:
                        continue
                    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                        continue
                    item = group.get(name)
                    if self._address(item) in seen:  # groups can hold themselves
                        continue
                    seen.add(self._address(item))
                    if isinstance(self._value(item), h5py.Dataset) or _is_octave_cell(item):
                        found.append(f"{prefix}{name}")
                    elif isinstance(item, h5py.Group):
                        waiting.append((item, f"{prefix}{name}/", depth + 1))
        return sorted(found)

    def _array(self, name: str) -> Any:
        """Return what goes by a name: a data set, in general."""
        return self._value(self._file.get(name))

    def _value(self, item: Any) -> Any:
        """Return the array that the group of an Octave variable holds; all else as it is."""
        if not isinstance(item, h5py.Group) or _OCTAVE not in item.attrs:
            return item
        self._heaps.check(self._address(item))
        value = _octave_value(item)
        return value if isinstance(value, h5py.Dataset) else item

    def is_matlab(self, name: str) -> bool:
        """Return whether the array was stored by columns, as MATLAB, Octave, R and Julia do.

        Its last axis may then count the frames.
        """
        with decoding(self.path, "HDF5 file"):
            return self._is_reversed(self._array(name))

    def pixel_size_um(self, name: str) -> float | None:
        """Return the pixel size that attributes of an array state, um; None without.

        They are `pixel_size_um`, one number, or `element_size_um`, (z, y, x) as ImageJ's and
        ilastik's HDF5 plugins write it.
        """
        for key in ("pixel_size_um", "element_size_um"):
            with decoding(self.path, "HDF5 file"):
                attributes = self._array(name).attrs
                if key not in attributes or attributes.get_id(key).get_storage_size() > 64:
                    continue
                sizes = np.atleast_1d(attributes[key])[-2:]
            sound = sizes.dtype.kind in "iuf" and np.isfinite(sizes).all() and (sizes > 0).all()
            if sound and math.isclose(sizes[0], sizes[-1], rel_tol=1e-3):
                return float(sizes[-1])
        return None

    def attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of an array that name its axes, or say what its numbers stand for.

        Names come from attributes of the array, from HDF5's own dimension labels and scales, or,
        where the array is the signal of a NeXus group, from that group. `labels` are the texts of
        scales that name what lies along an axis, by the number of that axis.
        """
        with decoding(self.path, "HDF5 file"):
            item = self._array(name)
            found = small_attributes(item, (*AXES_ATTRIBUTES, *PACKING_ATTRIBUTES))
            if self._is_reversed(item) or any(key in found for key in AXES_ATTRIBUTES):
                return found
            group = small_attributes(item.parent, ("signal", "axes"))
            if str(group.get("signal")) == name.rpartition("/")[2] and "axes" in group:
                return {**found, "axes": group["axes"]}
            where = f"{printable(self.path)}: {printable(name)}"
            found |= program_axes(where, item)
            if "DIMENSION_LIST" in item.attrs:
                scales = [dimension.keys() for dimension in item.dims]
                names = [[key for key in keys if key] for keys in scales]
                paths = [d[0].name if len(d) else "" for d in item.dims]
                found["dims"] = [
                    (str(path).rpartition("/")[2] if path else (keys[0] if keys else ""))
                    for path, keys in zip(paths, names, strict=True)
                ]
                found["labels"] = {
                    axis: _labels(dimension[0])
                    for axis, dimension in enumerate(item.dims)
                    if len(dimension)
                }
            return found

    def _is_reversed(self, item: Any) -> bool:
        """Whether the program that wrote a data set counts axes from the last one.

        MATLAB marks the data set, Octave the group that stands for a variable, R (rhdf5) the data
        set, Julia (JLD) the head of the file; other programs may say so in an attribute.
        """
        if self._is_julia or "MATLAB_class" in item.attrs or "rhdf5-NA.OK" in item.attrs:
            return True
        if _OCTAVE in item.parent.attrs:
            return True
        return any(_says_by_columns(one) for one in (item, item.parent, self._file))

    def _inside(self, group: Any) -> list[str]:
        """Return the names in a group, in the order in which they are stored.

        In any other order HDF5 first builds a table of them, without end where a damaged index
        runs in a circle.
        """
        self._heaps.check(self._address(group))
        found: list[str] = []

        def keep(name: bytes) -> bool | None:
            found.append(name.decode("utf-8", "surrogateescape"))
            return True if len(found) > _MOST_LINKS else None

        group.id.links.iterate(keep, order=h5py.h5.ITER_NATIVE)
        if len(found) > _MOST_LINKS:
            raise self._too_many()
        return found

    def _too_many(self) -> FileFormatError:
        return FileFormatError(
            f"{printable(self.path)}: more than {_MOST_LINKS} data sets and groups, or deeper than "
            f"{_DEEPEST}, expected fewer; name the data set after the file, as in "
            "file.h5:/path/in/file."
        )

    @staticmethod
    def _address(item: Any) -> int:
        """Return where an object lies; unlike `h5o.get_info`, this reads its header alone."""
        low, high = h5py.h5g.get_objinfo(item.id, b".").objno
        return int(low) | int(high) << 32

    def _refuse_links(self, name: str) -> bool:
        """Return whether there is something of this name, to which no link leads."""
        parts = name.split("/")
        for place in range(1, len(parts) + 1):
            inner = "/".join(parts[:place])
            link = self._file.get(inner, getlink=True)
            if link is None:
                return False
            if not isinstance(link, h5py.HardLink):
                raise FileFormatError(
                    f"{printable(self.path)}: {printable(inner)} is a link to another place, "
                    "expected the data themselves; export the file again."
                )
            if place < len(parts):
                group = self._file.get(inner)
                if not isinstance(group, h5py.Group):
                    return False
                self._heaps.check(self._address(group))
        return True

    def claims(self, names: tuple[str, ...]) -> Claims:
        """Return shape and dtype of those of `names` that are there; nothing is read.

        Shapes are in MATLAB's order of axes, which a v7.3 file stores reversed.

        Raises:
            FileFormatError: a variable is a link, lies outside the file, needs an unknown filter,
                or is not a plain numeric array.
        """
        found = {}
        for name in names:
            with decoding(self.path, "MAT v7.3 (HDF5) file"):
                if not self._refuse_links(name):
                    continue
                item = self._array(name)
                self._check(name, item)
                shape = item.shape[::-1] if self._is_reversed(item) else item.shape
                found[name] = (tuple(int(side) for side in shape), item.dtype)
        return found

    def is_sliceable(self, name: str) -> bool:
        """Return whether a part can be read without decoding the whole: in HDF5 it always can."""
        return True

    def read(self, name: str, part: Part | None = None) -> npt.NDArray[Any]:
        """Return one array that `claims` accepted, or a part of it, in MATLAB's order of axes."""
        with decoding(self.path, "MAT v7.3 (HDF5) file"):
            item = self._array(name)
            self._check(name, item)
            index = (slice(None),) * item.ndim if part is None else part.index(item.ndim)
            index = index[::-1] if self._is_reversed(item) else index
            self._check_written(name, item, index)
            self._check_inflation(name, item, index)
            array: npt.NDArray[Any] = item[index]
            return array.T if self._is_reversed(item) else array

    def _says_samples_first(self) -> bool:
        with decoding(self.path, "MAT v7.3 (HDF5) file"):
            found = {key: self._file.attrs.get(key) for key in SAMPLES_FIRST}
        return all(isinstance(v, str) and v == SAMPLES_FIRST[key] for key, v in found.items())

    def _check(self, name: str, item: Any) -> None:
        where = f"{printable(self.path)}: {printable(name)}"
        if not isinstance(item, h5py.Dataset):
            if "MATLAB_class" in item.attrs:
                kind = "sparse" if "MATLAB_sparse" in item.attrs else "struct"
                raise not_a_matrix(where, printable(name), kind)
            if _OCTAVE in item.attrs:
                raise not_a_matrix(where, printable(name), _octave_kind(item))
            raise NotNumbersError(
                f"{where} is a group, expected a numeric array; name an array in it, as in "
                "file.h5:/group/array."
            )
        plan = item.id.get_create_plist()  # says where the data lie, without opening them
        if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count() > 0:
            raise FileFormatError(
                f"{where} takes its data from other files (virtual or external storage), expected "
                "them in this file; copy them into it."
            )
        for index in range(plan.get_nfilters()):
            code, _, _, label = plan.get_filter(index)
            if code not in _ALLOWED_FILTERS:
                text = bytes(label).decode("latin-1") or f"number {code}"
                raise FileFormatError(
                    f"{where} is stored through the filter {text!r}, expected gzip, shuffle or "
                    "fletcher32; save it with gzip or without compression."
                )
        other = _matlab_kind(item)
        if other is not None:
            raise not_a_matrix(where, printable(name), other, tuple(item.shape or ())[::-1])
        if item.dtype.kind not in "biuf" or item.shape is None:
            raise NotNumbersError(
                f"{where} holds {'nothing' if item.shape is None else 'cells, text or records'}, "
                "expected real numbers; save it as a numeric matrix."
            )
        if "MATLAB_empty" in item.attrs:
            raise NotNumbersError(f"{where} is an empty matrix, expected data; export it again.")

    def _check_written(self, name: str, item: Any, index: tuple[slice, ...]) -> None:
        """Refuse values that nobody wrote, in chunks that `index` touches.

        HDF5 returns zeros for them, or the fill value; where the program that made the array has
        stated one, that is what it meant. Our own files are complete.
        """
        stated = item.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
        if item.size == 0 or (stated and not self.samples_first):
            return
        is_lost = item.id.get_space_status() == h5py.h5d.SPACE_STATUS_NOT_ALLOCATED
        touched, held = 1, 0 if is_lost else 1
        if item.chunks is not None and not is_lost:
            if item.id.get_num_chunks() == _chunks_of(item, (slice(None),) * item.ndim):
                return
            touched, chunks = _chunks_of(item, index), range(item.id.get_num_chunks())
            held = sum(
                _touches(item, item.id.get_chunk_info(n).chunk_offset, index) for n in chunks
            )
        if held < touched:
            raise FileFormatError(
                f"{printable(self.path)}: {printable(name)}: {touched - held} of {touched} chunks "
                "of the part that is read were never written, expected all of them, also where all "
                "values are 0; copy or save the file again, or cut the array to what was recorded."
            )

    def _check_inflation(self, name: str, item: Any, index: tuple[slice, ...]) -> None:
        """Refuse a chunk that inflates to more than it should: HDF5 itself sets no bound.

        Only the chunks that `index` touches are tried.
        """
        if item.chunks is None:
            return
        expected = math.prod(item.chunks) * item.dtype.itemsize
        where = f"{printable(self.path)}: {printable(name)}"
        if expected > max(item.nbytes, min(LARGEST_CHUNK_BYTES, self._limits.max_bytes)):
            raise FileFormatError(
                f"{where} is stored in chunks of {expected} bytes, expected no more than the "
                f"{item.nbytes} bytes it holds; save it again."
            )
        plan = item.id.get_create_plist()
        filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
        if len(filters) != len(set(filters)):
            raise FileFormatError(
                f"{where} repeats a compression filter, expected each at most once; save it again."
            )
        if _GZIP not in filters:
            return
        skipped_bit = 1 << filters.index(_GZIP)
        for number in range(item.id.get_num_chunks()):
            chunk = item.id.get_chunk_info(number)
            if chunk.filter_mask & skipped_bit or not _touches(item, chunk.chunk_offset, index):
                continue
            _, stored = item.id.read_direct_chunk(chunk.chunk_offset)
            inflater = zlib.decompressobj()
            inflater.decompress(stored, expected + _CHECKSUM_BYTES)
            if inflater.unconsumed_tail and inflater.decompress(inflater.unconsumed_tail, 1):
                raise FileFormatError(
                    f"{where} holds a chunk that inflates beyond the {expected} bytes it should "
                    "have; the file is damaged or hostile, get it again."
                )


def _opened(path: Path) -> Any:
    """Open a file for reading, also one that is being written in SWMR mode.

    Raises:
        FileFormatError: It is being written otherwise, or its writer was killed.
    """
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if not any(words in str(error) for words in _BEING_WRITTEN):
            raise
    try:
        return h5py.File(path, "r", swmr=True)
    except OSError as error:
        raise FileFormatError(
            f"{printable(path)}: is still being written, or its writer was stopped, expected a "
            "closed file, or one that is written in SWMR mode; wait until it is closed, or mend "
            "it with h5clear -s."
        ) from error


def _is_julia(path: Path) -> bool:
    """Whether Julia's JLD or JLD2 wrote the file, in whose head it says so."""
    with path.open("rb") as stream:
        return stream.read(64).startswith(_JULIA)


def _matlab_kind(item: Any) -> str | None:
    """Return which kind of MATLAB variable a data set is; None of plain numbers, or unknown."""
    if item.dtype.names in (("real", "imag"), ("r", "i")) or item.dtype.kind == "c":
        return "complex"
    said = small_attributes(item, ("MATLAB_class",)).get("MATLAB_class")
    if said is None or (item.dtype.kind in "biuf" and said != "char"):
        return None
    return said if said in ("cell", "char", "struct") else "object"


def _octave_value(group: Any) -> Any:
    """Return what the group of an Octave variable holds, None for a link out of the file."""
    if not isinstance(group.get(_OCTAVE_VALUE, getlink=True), h5py.HardLink):
        return None
    return group.get(_OCTAVE_VALUE)


def _octave_kind(group: Any) -> str:
    """Return which kind of Octave variable a group is that holds no array.

    Source: Octave's ls-hdf5, where cells are numbered and sparse matrices have row indices.
    """
    value = _octave_value(group)
    if not isinstance(value, h5py.Group):
        return "object"
    if "ridx" in value:
        return "sparse"
    return "cell" if "_0" in value else "struct"


def _is_octave_cell(item: Any) -> bool:
    """Whether a group is an Octave variable whose parts are no arrays by themselves."""
    if not isinstance(item, h5py.Group) or _OCTAVE not in item.attrs:
        return False
    return _octave_kind(item) in ("cell", "sparse")


def _says_by_columns(item: Any) -> bool:
    """Whether an attribute says that arrays lie by columns."""
    names = {} if len(item.attrs) > _MOST_ATTRIBUTES else {_plain(key): key for key in item.attrs}
    said = small_attributes(item, tuple(names[key] for key in _ORDER_ATTRIBUTES if key in names))
    if any(_plain(str(one)) in _BY_COLUMNS for one in said.values()):
        return True
    flags = small_attributes(item, tuple(names[key] for key in _COLUMN_FLAGS if key in names))
    return any(_plain(str(one)) in ("1", "true", "yes") for one in flags.values())


def _plain(text: str) -> str:
    return text.strip().lower().replace("_", "-").replace(" ", "-")


def _labels(scale: Any) -> tuple[str, ...]:
    """Return the texts of a dimension scale; none if it holds numbers, or is kept elsewhere."""
    plan = scale.id.get_create_plist()
    elsewhere = plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count() > 0
    is_small = scale.ndim == 1 and 0 < scale.size <= _MOST_LABELS and not plan.get_nfilters()
    if elsewhere or not is_small or h5py.check_string_dtype(scale.dtype) is None:
        return ()
    if scale.dtype.itemsize > _LONGEST_ATTRIBUTE:
        return ()
    return tuple(one.decode("utf-8", "replace") for one in scale[:])


def _chunks_of(item: Any, index: tuple[slice, ...]) -> int:
    """Return the number of chunks that hold values of `index`."""
    count = 1
    for side, length, cut in zip(item.chunks, item.shape, index, strict=True):
        first, last, _ = cut.indices(length)
        count *= max(0, -(-last // side) - first // side) if last > first else 0
    return count


def _touches(item: Any, offset: tuple[int, ...], index: tuple[slice, ...]) -> bool:
    """Whether the chunk at `offset` holds any value of `index`."""
    for start, side, length, cut in zip(offset, item.chunks, item.shape, index, strict=True):
        first, last, _ = cut.indices(length)
        if start + side <= first or start >= last:
            return False
    return True
