"""Captures in any Zarr store, v2 or v3: an array, a group with one that fits, an OME-Zarr image.

An image may lie below the root, as in plates and in collections of bioformats2raw; and the store
may be a ZIP archive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._store_files import DESCRIPTIONS, DiskFiles, StoreFiles, opened_files
from fociscope.files.arrays._zarr_labels import read_labels
from fociscope.files.arrays.zarr_array import (
    DESCRIPTION,
    DESCRIPTION_V2,
    KIND,
    ZarrArray,
    read_json,
)
from fociscope.files.captures._array_files import FAVOURITE, LISTED_AT_MOST, pick_arrays
from fociscope.files.captures._ngff import NgffImage
from fociscope.files.captures.pairing import sensor_of
from fociscope.files.formats._axes import AxisPlan, named_axes, said_axes
from fociscope.files.formats._packing import Packing
from fociscope.files.formats._stacks import ARRAY_LEADING, Stack
from fociscope.files.safe.limits import Limits, check_claim, decoding, unbounded
from fociscope.typing import Float32Array

__all__ = ["open_zarr"]

_DEEPEST = 8
_MOST_ARRAYS = 1000


@contextmanager
def open_zarr(path: Path, inner: str | None, limits: Limits) -> Iterator[tuple[Stack, ...]]:
    """Open the captures in a store: one stack, or sensor A's and sensor B's.

    Args:
        path: the folder of the store, or a ZIP archive of it.
        inner: the group or array in it; None for the store itself.
        limits: what it may claim; memory counts only for what is read.

    Raises:
        FileFormatError: damaged or unsafe; no image or array that fits, or several; axes that are
            neither frames nor sensors.
    """
    with opened_files(path) as files:
        name = "" if inner is None else _inside(path, inner)
        yield _captures(files, name, limits)


def _captures(files: StoreFiles, name: str, limits: Limits) -> tuple[Stack, ...]:
    """Return the captures in a group, or an array."""
    if _is_array(files, name):
        found = _of_image(files, name, limits) if name else _of_outer_image(files, limits)
        return (found or _stack(files, name, limits),)
    image = _image(files, name)
    if image is not None:
        return (_ome_stack(files, name, image, limits),)
    images, arrays = _below(files, name)
    if images:
        picked = _pick_images(files.path, sorted(images))
        return tuple(_ome_stack(files, one, images[one], limits) for one in picked)
    shapes: dict[str, tuple[int, ...]] = {}
    refused: dict[str, FileFormatError] = {}
    for one in arrays:
        try:
            shapes[one] = ZarrArray.open(files.path, one, files=files).shape
        except FileFormatError as error:
            refused[one] = error
    return tuple(_stack(files, one, limits) for one in pick_arrays(files.path, shapes, refused))


def _pick_images(path: Path, names: list[str]) -> tuple[str, ...]:
    """Return the one image, or the pair of images whose names say sensor A and B."""
    if len(names) == 1:
        return tuple(names)
    marks = {sensor_of(name.rpartition("/")[2] + "."): name for name in names}
    rests = {rest for _, rest in marks}
    of_sensor = {sensor: name for (sensor, _), name in marks.items()}
    if len(names) == 2 and len(rests) == 1 and set(of_sensor) == {"A", "B"}:
        return of_sensor["A"], of_sensor["B"]
    few = ", ".join(printable(name)[:60] for name in names[:LISTED_AT_MOST])
    more = f" and {len(names) - LISTED_AT_MOST} more" if len(names) > LISTED_AT_MOST else ""
    raise FileFormatError(
        f"{printable(path)}: {len(names)} images could be the captures ({few}{more}), expected "
        f"one; name it, as in {printable(path)}:/{names[0]!s:.60}."
    )


def _inside(path: Path, inner: str) -> str:
    """Return a name in the store that leads nowhere else."""
    parts = inner.strip("/").split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise FileFormatError(
            f"{printable(path)}: the path {inner!r:.60} leads out of the store, expected names of "
            "groups and arrays in it; check the path, or the store's description."
        )
    return "/".join(parts)


def _joined(name: str, key: str) -> str:
    return f"{name}/{key}" if name else key


def _is_array(files: StoreFiles, name: str) -> bool:
    if not files.size(_joined(name, DESCRIPTION)):
        return bool(files.size(_joined(name, DESCRIPTION_V2)))
    with decoding(files.path, KIND):
        return read_json(files, _joined(name, DESCRIPTION)).get("node_type") == "array"


def _image(files: StoreFiles, name: str) -> NgffImage | None:
    """Return the image that the metadata of a group describe; None if it is none."""
    with decoding(files.path, KIND):
        if files.size(_joined(name, DESCRIPTION)):
            said = read_json(files, _joined(name, DESCRIPTION))
            return NgffImage.of(said.get("attributes"))
        if files.size(_joined(name, ".zattrs")):
            return NgffImage.of(read_json(files, _joined(name, ".zattrs")))
        return None


def _below(files: StoreFiles, top: str) -> tuple[dict[str, NgffImage], list[str]]:
    """Return the images below a group, and the names of all other arrays."""
    images: dict[str, NgffImage] = {}
    arrays: list[str] = []
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if depth >= _DEEPEST or len(arrays) + len(images) > _MOST_ARRAYS:
            raise FileFormatError(
                f"{printable(files.path)}: more than {_MOST_ARRAYS} arrays, or deeper than "
                f"{_DEEPEST} groups, expected fewer; name the array, as in "
                "store.zarr:/path/in/store."
            )
        for child in files.children(folder):
            name = _joined(folder, child)
            if _is_array(files, name):
                arrays.append(name)
                continue
            image = _image(files, name)
            if child == FAVOURITE and not any(files.size(_joined(name, d)) for d in DESCRIPTIONS):
                raise FileFormatError(
                    f"{printable(files.path)}: {printable(name)} has no description "
                    f"({DESCRIPTION} or {DESCRIPTION_V2}), expected an array; the store is "
                    "damaged, get it again, or name another array."
                )
            if image is None:
                waiting.append((name, depth + 1))
            else:
                images[name] = image
    return images, sorted(arrays)


def _of_image(files: StoreFiles, name: str, limits: Limits) -> Stack | None:
    """Return an array that is a resolution of an OME-Zarr image, with what the image says of it."""
    group, _, _ = name.rpartition("/")
    above = Path(group).parents if group else ()
    for folder in (group, *("" if str(one) == "." else one.as_posix() for one in above)):
        image = _image(files, folder)
        inner = Path(name).relative_to(folder).as_posix()
        if image is not None and inner in image.paths:
            return _ome_stack(files, folder, image, limits, image.paths.index(inner))
    return None


def _of_outer_image(files: StoreFiles, limits: Limits) -> Stack | None:
    """Return an array that was named by its folder, where a folder around it is its image."""
    if not files.path.is_dir():
        return None
    path = files.path.absolute()
    for place in islice(path.parents, _DEEPEST):
        outer = DiskFiles(place)
        image = _image(outer, "")
        inner = path.relative_to(place).as_posix()
        if image is not None and inner in image.paths:
            found = _ome_stack(outer, "", image, limits, image.paths.index(inner))
            return replace(found, path=files.path)
    return None


def _ome_stack(
    files: StoreFiles, name: str, image: NgffImage, limits: Limits, resolution: int = 0
) -> Stack:
    """Return one resolution, the full one by default, of an OME-Zarr image."""
    array = _joined(name, _inside(files.path, image.paths[resolution]))
    dimensions = len(ZarrArray.open(files.path, array, files=files).shape)
    where = printable(files.path)
    with decoding(files.path, KIND):
        placed = image.placed(where, resolution, dimensions)
    stack = _stack(
        files, array, limits,
        axes=placed.names, pixel_size_um=placed.pixel_um, channels=image.channels,
    )  # fmt: skip
    if stack.leading.startswith("F") and 0 < placed.interval_s < math.inf:
        times = tuple(round(n * placed.interval_s, 9) for n in range(stack.frames))
        stack = replace(stack, time_s=times)
    return replace(stack, notes=(*stack.notes, *placed.notes))


def _stack(
    files: StoreFiles,
    name: str,
    limits: Limits,
    *,
    axes: Sequence[str] | None = None,
    pixel_size_um: float | None = None,
    channels: Sequence[str] = (),
) -> Stack:
    """Return one array as a stack.

    Args:
        files: Files of the store.
        name: Array in it.
        limits: What it may claim.
        axes: Names of its axes, where metadata around it give them; by default its own.
        pixel_size_um: Side of a pixel, um.
        channels: Names of the channels, where they are known; by default those that an array of
            the name of their axis holds, as xarray writes it.
    """
    path = files.path
    array = ZarrArray.open(path, name, files=files)
    if axes is None:
        axes = said_axes(array.attributes, len(array.shape))
    if axes is None and len(array.shape) in ARRAY_LEADING:
        found = AxisPlan.plain(array.shape)
    else:
        found = named_axes(path, name, array.shape, axes or ())
    if axes is not None and found.sensor is not None and not channels:
        channels = read_labels(files, _joined(name.rpartition("/")[0], axes[found.sensor]))
    shape = (*found.counts, *found.frame_px)
    check_claim(path, shape, array.dtype, unbounded(limits), name or None)
    packing = Packing.of(array.attributes, array.dtype)

    def planes(start: int, stop: int) -> Float32Array:
        check_claim(path, (stop - start, *found.frame_px), array.dtype, limits, name or None)
        values = found.planes(array.read(found.index(start, stop), limits))
        return packing.unpacked(path, values, name)

    stack = Stack(path, found.leading, found.counts, found.frame_px, planes, pixel_size_um)
    return stack.with_sensors_in_order(channels)
