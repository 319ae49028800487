"""Captures in files of named arrays: HDF5, MAT and NPZ of any layout.

The array is named after the file, as in `file.h5:/recording/sensor_a`, or it is the only one of a
fitting shape: (y, x), (frame, y, x) or (frame, sensor, y, x). Two arrays whose names say sensor A
and B (`x_A` and `x_B`) are a pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._mat import SMALLEST_SIDE_PX, USUAL_SIDE_PX, find_order
from fociscope.files.captures._bdv import cells_of, is_cells, joined_cells
from fociscope.files.captures._name_marks import NameMarks
from fociscope.files.formats._axes import AxisPlan, named_axes, said_axes
from fociscope.files.formats._packing import Packing
from fociscope.files.formats._pixel_size import believed_um
from fociscope.files.formats._sources import ArraySource, NotNumbersError, Part
from fociscope.files.formats._stacks import ARRAY_LEADING, Stack, size
from fociscope.files.formats._table import Format
from fociscope.files.safe.limits import Limits, check_claim, unbounded
from fociscope.typing import Float32Array

__all__ = [
    "FAVOURITE",
    "LISTED_AT_MOST",
    "array_stack",
    "is_described",
    "may_be_images",
    "open_named_arrays",
    "pick_arrays",
]

_FRAMES_LAST: dict[int, Callable[[tuple[int, ...]], AxisPlan]] = {
    3: lambda shape: AxisPlan(shape, 2, None, 0, 1, ARRAY_LEADING[3]),
    4: lambda shape: AxisPlan(shape, 3, 2, 0, 1, ARRAY_LEADING[4]),
}
"""Number of axes -> their plan where the last one counts the frames."""
FAVOURITE = "captures"
"""Name by which an array is taken before all others."""
_TIMES = "time_s"
LISTED_AT_MOST = 6


@contextmanager
def open_named_arrays(
    form: Format, path: Path, inner: str | None, limits: Limits
) -> Iterator[tuple[Stack, ...]]:
    """Open the captures in a file of named arrays: one stack, or sensor A's and sensor B's.

    Args:
        form: Format of the file, with `open_arrays`.
        path: File, or folder such as a Zarr store.
        inner: Name of the array; None for the only one that fits.
        limits: What the file may claim; memory counts only for what is read.

    Raises:
        FileFormatError: If the file is damaged or unsafe, or holds no array of this name, none
            that fits, or several.
    """
    if form.open_named is not None:
        with form.open_named(path, inner, limits) as stacks:
            yield stacks
        return
    assert form.open_arrays is not None  # images are opened elsewhere
    with form.open_arrays(path, limits) as source:
        cells = cells_of(source.arrays()) if inner is None else {}
        if cells:
            yield (joined_cells(path, cells, lambda name: array_stack(path, source, name, limits)),)
            return
        names = _pick(path, source, inner)
        yield tuple(array_stack(path, source, name, limits) for name in names)


def _pick(path: Path, source: ArraySource, inner: str | None) -> tuple[str, ...]:
    """Return the name of the array, or those of a pair."""
    if inner is not None:
        if source.claims((inner,)):
            return (inner,)
        raise FileFormatError(
            f"{printable(path)}: has no array {inner!r:.60}, expected one of "
            f"{_listed(source.arrays())}; check the name."
        )
    shapes: dict[str, tuple[int, ...]] = {}
    refused: dict[str, FileFormatError] = {}
    for name in source.arrays():
        try:
            claims = source.claims((name,))
        except FileFormatError as error:
            refused[name] = error
            continue
        shapes.update({key: shape for key, (shape, _) in claims.items()})
    return pick_arrays(path, shapes, refused)


def pick_arrays(
    path: Path, shapes: dict[str, tuple[int, ...]], refused: dict[str, FileFormatError]
) -> tuple[str, ...]:
    """Return the one array, or the pair of arrays, that can be captures.

    An array that cannot be read is never a reason to take another one in its place; text, records
    and the like are no captures, unless they are called so.

    Args:
        path: File, for messages.
        shapes: Of the arrays that can be read.
        refused: Why the others cannot.

    Raises:
        FileFormatError: there is none, or more than one, or what may be meant cannot be read.
    """
    fitting = _fitting(shapes)
    if refused and not fitting:
        raise next(iter(refused.values()))
    favourites = [name for name in fitting if _is_favourite(name)]
    pairs: dict[tuple[str, tuple[int, ...]], dict[str, str]] = {}
    for name, shape in fitting.items():
        place, sensor = _place(name)
        if sensor is not None:
            pairs.setdefault((place, shape), {})[sensor] = name
    complete = [(pair["A"], pair["B"]) for pair in pairs.values() if len(pair) == 2]
    picked: tuple[str, ...] = complete[0] if len(complete) == 1 else ()
    picked = (favourites[0],) if len(favourites) == 1 else picked
    _check_refused(path, refused, fitting, picked)
    if picked:
        return picked
    large = [name for name, shape in fitting.items() if min(shape[-2:]) >= USUAL_SIDE_PX]
    if len(fitting) == 1 or len(large) == 1:
        return tuple(large or fitting)
    if not fitting:
        raise FileFormatError(
            f"{printable(path)}: no array of a fitting shape, expected (y, x), (frame, y, x) or "
            f"(frame, sensor, y, x) but found {_listed(shapes, shapes)}; save the captures so."
        )
    raise FileFormatError(
        f"{printable(path)}: {len(fitting)} arrays could be the captures "
        f"({_listed(fitting, fitting)}), expected one; name it, as in "
        f"{printable(path)}:/{next(iter(fitting))!s:.60}, or name two, sensor A's first."
    )


def _is_favourite(name: str) -> bool:
    return name.rpartition("/")[2] == FAVOURITE


def _place(name: str) -> tuple[str, str | None]:
    """Return what the name of an array shares with its partner, and the sensor that it says.

    Groups are a part of the name: `A/data` and `B/data` are partners.
    """
    marks = NameMarks.of(name)
    best = marks.best()
    return marks.key(best), None if best is None else best.sensor


def _check_refused(
    path: Path,
    refused: dict[str, FileFormatError],
    fitting: dict[str, tuple[int, ...]],
    picked: tuple[str, ...],
) -> None:
    """Refuse to take another array in place of one that cannot be read.

    Raises:
        FileFormatError: An array that cannot be read is called as captures are, is the partner of
            one that can, or may be any of them where names do not tell.
    """
    if len(picked) == 1:  # by its name
        return
    partners = {_place(name)[0] for name in fitting if _place(name)[1] is not None}
    for name, error in refused.items():
        place, sensor = _place(name)
        is_damaged = not isinstance(error, NotNumbersError)
        is_partner = is_damaged and sensor is not None and place in partners
        if _is_favourite(name) or is_partner or (is_damaged and not picked):
            other = printable(next(iter(fitting)))[:60]
            raise FileFormatError(
                f"{str(error).removesuffix('.')}; or name another array if it is not meant, as in "
                f"{printable(path)}:/{other}."
            ) from error


def may_be_images(shape: tuple[int, ...]) -> bool:
    """Return whether an array may hold images, by its shape."""
    return len(shape) in ARRAY_LEADING and min(shape[-2:]) >= SMALLEST_SIDE_PX


def _fitting(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the arrays that may be images, by their shape."""
    return {name: shape for name, shape in shapes.items() if may_be_images(shape)}


def _listed(names: Any, shapes: dict[str, tuple[int, ...]] | None = None) -> str:
    """Name the first few arrays, with their shapes where given."""
    few = [
        f"{name[:60]!r}" + ("" if shapes is None else f" {size(shapes[name]) or 'a number'}")
        for name in list(names)[:LISTED_AT_MOST]
    ]
    more = len(names) - len(few)
    return (", ".join(few) or "nothing") + (f" and {more} more" if more > 0 else "")


def array_stack(path: Path, source: ArraySource, name: str, limits: Limits) -> Stack:
    """Return one array as a stack.

    Args:
        path: File, for messages.
        source: The same, open.
        name: Array that the source claims.
        limits: What the array may claim; memory counts only for what is read.

    Raises:
        FileFormatError: If its axes are none of ours.
    """
    shape, dtype = source.claims((name,))[name]
    check_claim(path, shape, dtype, unbounded(limits), name)
    attributes = _attributes(source, name)
    names = said_axes(attributes, len(shape))
    if names is not None:
        plan = named_axes(path, name, shape, names)
    elif len(shape) in ARRAY_LEADING:
        is_last = source.is_matlab(name) and _frames_last(path, name, shape, source)
        plan = _FRAMES_LAST[len(shape)](shape) if is_last else AxisPlan.plain(shape)
    else:
        raise FileFormatError(
            f"{printable(path)}: {name!r:.60} is {size(shape)}, expected (y, x), (frame, y, x) or "
            "(frame, sensor, y, x); name another array."
        )
    if is_cells(name):
        attributes = {"_Unsigned": "true", **attributes}
    packing = Packing.of(attributes, dtype)
    along = plan.frame if plan.frame is not None else plan.sensor
    is_partial = source.is_sliceable(name) and along in (0, len(shape) - 1)
    whole: list[npt.NDArray[Any]] = []

    def planes(start: int, stop: int) -> Float32Array:
        check_claim(path, (stop - start, *plan.frame_px), dtype, limits, name)
        index = plan.index(start, stop)
        if is_partial and along is not None:
            run = index[along]
            values = source.read(name, Part(0 if along == 0 else -1, run.start, run.stop))
        else:
            if not whole:
                check_claim(path, shape, dtype, limits, name)
                whole.append(source.read(name))
            values = whole[0][index]
        return packing.unpacked(path, plan.planes(values), name)

    pixel_size_um, notes = believed_um(printable(path), source.pixel_size_um(name))
    if "note" in attributes:
        notes = (attributes["note"], *notes)
    stack = Stack(
        path,
        plan.leading,
        plan.counts,
        plan.frame_px,
        planes,
        pixel_size_um,
        notes,
        time_s=_times(source, name, shape[plan.frame]) if plan.frame is not None else None,
    )
    labels = attributes.get("labels", {}).get(plan.sensor, ())
    return stack.with_sensors_in_order(labels)


def is_described(source: ArraySource, name: str) -> bool:
    """Return whether attributes of an array name its axes, or say what its numbers stand for."""
    shape, dtype = source.claims((name,))[name]
    attributes = _attributes(source, name)
    packing = Packing.of(attributes, dtype)
    return said_axes(attributes, len(shape)) is not None or packing != Packing(dtype)


def _attributes(source: ArraySource, name: str) -> dict[str, Any]:
    """Return the attributes of an array, of sources that keep any."""
    describe = getattr(source, "attributes", None)
    return {} if describe is None else dict(describe(name))


def _times(source: ArraySource, name: str, frames: int) -> tuple[float, ...] | None:
    """Return the numbers in an array `time_s` beside another, if there are as many as frames."""
    folder, _, _ = name.rpartition("/")
    for place in dict.fromkeys((f"{folder}/{_TIMES}" if folder else _TIMES, _TIMES)):
        try:
            shape, dtype = source.claims((place,)).get(place, ((), np.dtype("f8")))
        except NotNumbersError:  # something else of this name
            continue
        if max(shape, default=0) == math.prod(shape) == frames and dtype.kind in "iuf":
            values = np.asarray(source.read(place), np.float64).ravel()
            return tuple(values.tolist()) if np.isfinite(values).all() else None
    return None


def _frames_last(path: Path, name: str, shape: tuple[int, ...], source: ArraySource) -> bool:
    """Return whether the last axis counts the frames, as is MATLAB's custom."""
    if len(shape) == 3:
        order = find_order(path, {name: shape}, {name: "sensor"}, source.samples_first)
        return order.kind == "last"
    return len(shape) == 4 and shape[1] not in (1, 2) and shape[2] in (1, 2)
