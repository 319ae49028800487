"""What was measured: planes at known depths, out of images and files of named arrays.

The depths are given, see `depths`, or the file itself names them: in a variable of a MAT file, or
by the plane positions of an OME-TIFF.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, ImagerError, printable
from fociscope.files.arrays._mat import is_mat
from fociscope.files.captures._array_files import array_stack, is_described, open_named_arrays
from fociscope.files.captures._depth_table import read_depth_table
from fociscope.files.captures._sets import resolve
from fociscope.files.captures._text_table import decoded_table
from fociscope.files.formats._pixel_size import believed_um
from fociscope.files.formats._sources import ArraySource, NotNumbersError
from fociscope.files.formats._stacks import Stack
from fociscope.files.formats._table import FORMATS, find_format
from fociscope.files.images.reader import open_image
from fociscope.files.safe.limits import (
    DEFAULT_LIMITS,
    Limits,
    check_claim,
    require_file,
)
from fociscope.typing import Float64Array

__all__ = ["MeasuredStack", "file_of", "read_depths", "read_stack"]


DEPTH_NAMES = {"depth_um": 1.0, "depths_um": 1.0, "z_um": 1.0, "depth_mm": 1e3, "depths_mm": 1e3,
               "z_mm": 1e3, "z": 1.0, "depth": 1.0, "depths": 1.0}  # fmt: skip
"""Variables of a MAT file that may hold the depths -> um of their unit; the first that is there
counts. Those without a unit are taken for um, which is said."""
DEEPEST_UM = 20_000.0
"""The widest gap that an `Imager` may have."""
LARGEST_TABLE_BYTES = 2**20


@dataclass(frozen=True)
class MeasuredStack:
    """Planes of one or two sensors at known depths.

    Attributes:
        counts: (sensor, depth, y, x) finite counts as measured.
        depth_um: (depth,) distance of the emitters from sensor A, rising.
        pixel_pitch_um: Pixel pitch that the file states; None if it states none.
        notes: How the file was read where it leaves it open; plain sentences for a user.
        is_stated: Whether the depths were given; otherwise they are the file's own.

    Examples:
        >>> import numpy as np
        >>> from fociscope.calibration import MeasuredStack
        >>> stack = MeasuredStack(np.ones((1, 3, 41, 41)), np.array([50.0, 150.0, 300.0]))
        >>> stack.counts.shape
        (1, 3, 41, 41)
    """

    counts: Float64Array
    depth_um: Float64Array
    pixel_pitch_um: float | None = None
    notes: tuple[str, ...] = ()
    is_stated: bool = True

    def __post_init__(self) -> None:
        """Sort the planes by depth, and refuse what cannot be a measurement.

        Raises:
            ImagerError: the shapes do not fit, or a depth is impossible.
            FileFormatError: a pixel is not finite.
        """
        counts = np.asarray(self.counts, dtype=np.float64)
        depth_um = np.asarray(self.depth_um, dtype=np.float64)
        if counts.ndim != 4 or counts.shape[0] not in (1, 2) or min(counts.shape) < 1:
            raise ImagerError(
                f"a measured stack has the shape {counts.shape}, expected (1 or 2 sensors, depth, "
                "y, x)"
            )
        if depth_um.shape != counts.shape[1:2]:
            raise ImagerError(
                f"the stack holds {counts.shape[1]} plane(s) but {depth_um.size} depth(s) are "
                "given, expected one depth in µm for each plane, in the planes' order"
            )
        if not (np.isfinite(depth_um).all() and (depth_um >= 0).all()):
            raise ImagerError("depths must be finite and from 0 µm; give distances from sensor A")
        if depth_um.max() > DEEPEST_UM:
            raise ImagerError(
                f"depths go up to {depth_um.max():g}, expected um and at most {DEEPEST_UM:g}"
            )
        wrong = ~np.isfinite(counts)
        if wrong.any():
            sensor, plane, y, x = (int(n) for n in np.argwhere(wrong)[0])
            raise FileFormatError(
                f"sensor {'AB'[sensor]}: pixel (y {y}, x {x}) of plane {plane + 1} is not a finite "
                "number; export the stack again."
            )
        order = np.argsort(depth_um, kind="stable")
        object.__setattr__(self, "counts", counts[:, order])
        object.__setattr__(self, "depth_um", depth_um[order])


def read_depths(source: str | Path) -> Float64Array:
    """Read depths from a table file, or from numbers separated by commas.

    Args:
        source: Text such as "50,150,250"; or a CSV or text file with one depth per line, or with a
            header that names a column `depth_um`.

    Returns:
        (depth,) depths in um, in the order of the source.

    Raises:
        FileFormatError: If there is no such file, or it does not hold depths.

    Examples:
        >>> from fociscope.calibration import read_depths
        >>> read_depths("50,150,250")
        array([ 50., 150., 250.])
    """
    text = str(source)
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        if isinstance(source, str) and not _may_be_file(source):
            raise FileFormatError(
                f"{text!r:.60}: neither a file nor depths, expected a table's path, or "
                "numbers in µm with commas between them, such as 50,150,250."
            ) from None
        return _read_table(Path(source))
    return _checked(numbers, f"the depths {text!r:.60}")


def read_stack(
    path: Path | str,
    *,
    depth_um: npt.ArrayLike | None = None,
    sensor_b: Path | str | None = None,
    variable: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> MeasuredStack:
    """Read a stack of planes at known depths.

    Args:
        path: TIFF or NPY with (depth, y, x), either with 2 channels or (depth, sensor, y, x); or an
            HDF5, MAT, NPZ or Zarr file with such an array, axes in the order that they have by
            name, or of three axes depth first or last. `file.h5:/name` names an array.
        depth_um: (depth,) distances in the order of the planes, in an OME-TIFF that of Z (or T);
            by default as the file states them.
        sensor_b: File of the same planes seen by sensor B, in the same orientation as sensor A's.
        variable: Variable of the MAT file, if more than one could be the stack.
        limits: Sizes up to which a file is read.

    Returns:
        The stack, its planes in the order of rising depth.

    Raises:
        FileFormatError: If a file is missing, damaged, unsafe or too large, or it is not clear
            which of its arrays is the stack.
        ImagerError: If depths are missing, or do not fit the planes.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.calibration import read_stack
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "beads.npy", np.ones((2, 41, 41)))
        ...     stack = read_stack(Path(folder) / "beads.npy", depth_um=[50.0, 150.0])
        >>> stack.counts.shape
        (1, 2, 41, 41)
    """
    path = Path(path)
    given = None if depth_um is None else np.atleast_1d(np.asarray(depth_um, dtype=np.float64))
    one = _read_one(path, given, variable, limits)
    counts = one.counts
    depths = one.depth_um if given is None else given
    if depths is None:
        raise ImagerError(
            f"{printable(path)} names no depths; give them, as a file or as numbers in µm",
            fields=("depth_um",),
        )
    if sensor_b is not None:
        if counts.shape[0] == 2:
            raise ImagerError(
                f"{printable(path)} holds both sensors; leave out the second file, or give the "
                "sensors one file each"
            )
        other = _read_one(Path(sensor_b), depths, variable, limits).counts
        if other.shape != counts.shape:
            raise FileFormatError(
                f"{printable(path)} holds {_size(counts.shape[-3:])} but "
                f"{printable(Path(sensor_b))} holds {_size(other.shape[-3:])}, expected the same "
                "planes seen by both sensors."
            )
        counts = np.concatenate([counts, other])
    notes = one.notes
    if given is not None:
        notes = tuple(note for note in notes if "PositionZ" not in note)
    return MeasuredStack(counts, depths, one.pitch_um, notes, is_stated=given is not None)


def file_of(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[Path, str | None]:
    """Return the file, and the array in it, that a path such as `recording.h5:/beads` names."""
    if ":/" not in str(path) or path.exists():
        return path, None
    found = resolve(path, limits)
    return found.path, found.inner


def _may_be_file(text: str) -> bool:
    """Return whether a text is, or looks like, the path of a table."""
    try:
        return Path(text).exists() or Path(text).suffix[1:2].isalpha()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def _read_table(path: Path) -> Float64Array:
    path = require_file(path)
    if path.stat().st_size > LARGEST_TABLE_BYTES:
        raise FileFormatError(f"{printable(path)}: too large for a table of depths, expected text.")
    try:
        text = decoded_table(path.read_bytes())
    except UnicodeDecodeError:
        text = ""
    if "\0" in text or not text.strip():
        raise FileFormatError(
            f"{printable(path)}: not a table of depths, expected a text file with one depth in µm "
            "per line."
        )
    return _checked(read_depth_table(path, text), printable(path))


def _checked(numbers: Iterable[float], where: str) -> Float64Array:
    depth_um = np.array(list(numbers), dtype=np.float64)
    if depth_um.size == 0 or not np.isfinite(depth_um).all():
        raise FileFormatError(f"{where}: expected finite depths in µm, one for each plane.")
    return depth_um


@dataclass(frozen=True)
class _OneFile:
    """What one file holds: (sensor, depth, y, x), and what it says of it."""

    counts: Float64Array
    depth_um: Float64Array | None
    pitch_um: float | None
    notes: tuple[str, ...]


def _read_one(
    path: Path, depth_um: Float64Array | None, variable: str | None, limits: Limits
) -> _OneFile:
    """Return what one file holds, and what it says of its depths and pixels."""
    path, inner = file_of(path, limits)
    variable = variable or inner
    suffix = path.suffix.lower()
    if suffix in _array_suffixes() or (suffix == "" and is_mat(path)):
        return _read_arrays(path, depth_um, variable, limits)
    with open_image(path, limits) as stack:
        return _of_stack(stack, limits)


def _array_suffixes() -> set[str]:
    """Return the suffixes of all files of named arrays."""
    forms = [form for form in FORMATS.values() if form.open_arrays is not None]
    return {suffix for form in forms for suffix in form.suffixes}


def _of_stack(stack: Stack, limits: Limits, depth_um: Float64Array | None = None) -> _OneFile:
    """Return all planes of a stack, and what its file says of them."""
    if stack.sensors not in (1, 2):
        raise FileFormatError(
            f"{printable(stack.path)}: an array {_size(stack.shape)} with {stack.sensors} sensors, "
            "expected (depth, 1 or 2 sensors, y, x); reorder its axes."
        )
    check_claim(stack.path, stack.shape, np.dtype(np.float64), limits)
    planes = stack.read(0, stack.frames).astype(np.float64)
    if depth_um is None and stack.depth_um is not None:
        depth_um = np.array(stack.depth_um)
    return _OneFile(planes.swapaxes(0, 1), depth_um, stack.pixel_size_um, stack.notes)


def _read_arrays(
    path: Path, depth_um: Float64Array | None, variable: str | None, limits: Limits
) -> _OneFile:
    """Return what a file of named arrays holds."""
    form = find_format(path)
    if form is None or form.open_arrays is None:
        raise FileFormatError(
            f"{printable(path)}: not a MAT v5 or v7.3 file, expected one as its name says; save it "
            "from MATLAB with -v7 or -v7.3."
        )
    if form.open_named is None:
        with form.open_arrays(require_file(path), limits) as source:
            return _pick(path, source, depth_um, variable, limits)
    with open_named_arrays(form, path, variable, limits) as stacks:
        one = _of_stack(stacks[0], limits)
        if len(stacks) == 1:
            return one
        other = _of_stack(stacks[1], limits)
        return replace(one, counts=np.concatenate([one.counts, other.counts]))


def _pick(
    path: Path,
    source: ArraySource,
    depth_um: Float64Array | None,
    variable: str | None,
    limits: Limits,
) -> _OneFile:
    """Choose the stack and the depths among the arrays of an open file."""
    named, notes = None, tuple[str, ...]()
    if depth_um is None:
        named, notes = _named_depths(path, source, limits)
    name = _stack_name(path, source, variable)
    shape, dtype = source.claims((name,))[name]
    if len(shape) == 4 or is_described(source, name):
        one = _of_stack(array_stack(path, source, name, limits), limits, named)
        return replace(one, notes=(*notes, *one.notes))
    depths = depth_um if depth_um is not None else named
    last = _depth_is_last(path, name, shape, None if depths is None else depths.size)
    check_claim(path, (shape[2], *shape[:2]) if last else shape, dtype, limits, name)
    array = source.read(name).astype(np.float64)
    pitch_um, more = believed_um(printable(path), source.pixel_size_um(name))
    planes = np.moveaxis(array, -1, 0) if last else array
    return _OneFile(planes[None], named, pitch_um, (*notes, *more))


def _named_depths(
    path: Path, source: ArraySource, limits: Limits
) -> tuple[Float64Array | None, tuple[str, ...]]:
    """Return the depths in um that an array of the file holds, None without; and notes."""
    names = source.names()
    for name, factor in DEPTH_NAMES.items():
        if name not in names:
            continue
        shape, dtype = source.claims((name,))[name]
        check_claim(path, (1, math.prod(shape)), dtype, limits, name)
        notes = () if "_" in name else (
            f"{printable(path)}: its depths {name!r} state no unit, taken for µm.",
        )  # fmt: skip
        return source.read(name).astype(np.float64).ravel() * factor, notes
    return None, ()


def _stack_name(path: Path, source: ArraySource, variable: str | None) -> str:
    """Return the name of the array that is the stack."""
    if variable is not None:
        if not source.claims((variable,)):
            raise FileFormatError(
                f"{printable(path)}: has no variable {variable!r}; it holds "
                f"{', '.join(source.names())[:200]}."
            )
        return variable
    shapes = {name: _numeric_shape(source, name) for name in source.arrays()}
    fitting = sorted(n for n, s in shapes.items() if len(s) == 3 or (len(s) == 4 and {1, 2} & {*s}))
    if len(fitting) != 1:
        raise FileFormatError(
            f"{printable(path)}: expected one numeric variable of three axes, or of four with 1 or "
            f"2 sensors, found {', '.join(fitting) or 'none'}; name the stack (variable='beads').",
            fields=("variable",),
            choices=tuple(fitting),
        )
    return fitting[0]


def _numeric_shape(source: ArraySource, name: str) -> tuple[int, ...]:
    """Return the shape of a plain numeric variable, () of any other."""
    try:
        return source.claims((name,))[name][0]
    except (NotNumbersError, KeyError):  # what is damaged may be the stack, so it is refused
        return ()


def _depth_is_last(path: Path, name: str, shape: tuple[int, ...], depths: int | None) -> bool:
    if len(shape) != 3:
        raise FileFormatError(
            f"{printable(path)}: {name} has {len(shape)} axes, expected (depth, y, x) or (y, x, "
            "depth)."
        )
    first, last = shape[0] == depths, shape[2] == depths
    if depths is None or first != last:
        return last
    raise FileFormatError(
        f"{printable(path)}: {name} is {' x '.join(map(str, shape))} for {depths} depths, expected "
        "them along either the first or the last axis; save it as a .npy file (depth, y, x)."
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
