"""Captures in any Zarr store, v2 or v3: an array, a group with one that fits, an OME-Zarr image.

Format: OME-Zarr (NGFF) 0.4 and 0.5: `multiscales` names axes, their units, and the scale of each
resolution, of which the first is the full one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays.zarr_array import (
    DESCRIPTION,
    DESCRIPTION_V2,
    KIND,
    ZarrArray,
    read_json,
    refuse_links,
)
from fociscope.files.captures._array_files import pick_arrays
from fociscope.files.formats._axes import AxisPlan, axis_role, named_axes, said_axes
from fociscope.files.formats._packing import Packing
from fociscope.files.formats._pixel_size import believed_um
from fociscope.files.formats._stacks import ARRAY_LEADING, Stack
from fociscope.files.formats._units import seconds_per_unit, um_per_unit
from fociscope.files.safe.limits import Limits, check_claim, decoding, unbounded
from fociscope.typing import Float32Array

__all__ = ["open_zarr"]

_DEEPEST = 8
_MOST_ARRAYS = 1000


@contextmanager
def open_zarr(path: Path, inner: str | None, limits: Limits) -> Iterator[tuple[Stack, ...]]:
    """Open the captures in a store: one stack, or sensor A's and sensor B's.

    Args:
        path: the folder of the store.
        inner: the group or array in it; None for the store itself.
        limits: what it may claim; memory counts only for what is read.

    Raises:
        FileFormatError: damaged or unsafe; no array that fits, or several; axes that are neither
            frames nor sensors.
    """
    with decoding(path, KIND):
        refuse_links(path)
    name = "" if inner is None else _inside(path, inner)
    folder = path / name
    if _is_array(folder):
        yield (_of_image(path, name, limits) or _stack(path, name, limits),)
        return
    with decoding(path, KIND):
        image = _multiscale(path, folder)
    if image is not None:
        yield (_ome_stack(path, name, image, limits),)
        return
    names = _arrays(path, name)
    shapes = {found: ZarrArray.open(path, found).shape for found in names}
    picked = pick_arrays(path, shapes)
    yield tuple(_of_image(path, found, limits) or _stack(path, found, limits) for found in picked)


def _inside(path: Path, inner: str) -> str:
    """Return a name in the store that leads nowhere else."""
    parts = inner.strip("/").split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise FileFormatError(
            f"{printable(path)}: the path {inner!r:.60} leads out of the store, expected names of "
            "groups and arrays in it; check the path, or the store's description."
        )
    return "/".join(parts)


def _is_array(folder: Path) -> bool:
    if (folder / DESCRIPTION_V2).is_file() and not (folder / DESCRIPTION).is_file():
        return True
    if not (folder / DESCRIPTION).is_file():
        return False
    with decoding(folder, KIND):
        return read_json(folder, folder / DESCRIPTION).get("node_type") == "array"


def _arrays(path: Path, name: str) -> list[str]:
    """Return the names of all arrays below a group."""
    found: list[str] = []
    top = path / name
    for folder, inner, files in os.walk(top):
        place = Path(folder)
        if len(place.relative_to(top).parts) >= _DEEPEST or len(found) > _MOST_ARRAYS:
            raise FileFormatError(
                f"{printable(path)}: more than {_MOST_ARRAYS} arrays, or deeper than {_DEEPEST} "
                "groups, expected fewer; name the array, as in store.zarr:/path/in/store."
            )
        if {DESCRIPTION, DESCRIPTION_V2} & set(files) and _is_array(place):
            found.append(place.relative_to(path).as_posix())
            inner.clear()  # chunks
    return sorted(found)


def _multiscale(path: Path, folder: Path) -> dict[str, Any] | None:
    """Return the first image that OME metadata describe, None without such metadata."""
    if (folder / DESCRIPTION).is_file():
        attributes = read_json(path, folder / DESCRIPTION).get("attributes") or {}
        said = attributes.get("ome", attributes)
    elif (folder / ".zattrs").is_file():
        said = read_json(path, folder / ".zattrs")
    else:
        return None
    scales = said.get("multiscales")
    if not scales:
        return None
    image = scales[0]
    if not isinstance(image, dict) or not isinstance(image["datasets"][0]["path"], str):
        raise ValueError("multiscales without the path of a data set")
    omero = said.get("omero")
    return {**image, "omero": omero} if isinstance(omero, dict) else image


def _of_image(path: Path, name: str, limits: Limits) -> Stack | None:
    """Return an array that is a resolution of an OME-Zarr image, with what the image says of it."""
    group, _, _ = name.rpartition("/")
    for place in [group, *(Path(group).parents if group else [])]:
        folder = "" if str(place) == "." else str(place)
        with decoding(path, KIND):
            image = _multiscale(path, path / folder)
        if image is None:
            continue
        inner = Path(name).relative_to(folder).as_posix()
        paths = [one.get("path") for one in image["datasets"]]
        if inner in paths:
            return _ome_stack(path, folder, image, limits, paths.index(inner))
    return None


def _ome_stack(
    path: Path, name: str, image: dict[str, Any], limits: Limits, resolution: int = 0
) -> Stack:
    """Return one resolution, the full one by default, of an OME-Zarr image."""
    inner = _inside(path, image["datasets"][resolution]["path"])
    with decoding(path, KIND):
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image["axes"]]
        scale = [1.0] * len(axes)
        for said in (image["datasets"][resolution], image):  # the whole image's comes on top
            for change in said.get("coordinateTransformations") or []:
                if change.get("type") == "scale":
                    pairs = zip(scale, change["scale"], strict=True)
                    scale = [float(one) * float(other) for one, other in pairs]
        names = [_axis_name(axis) for axis in axes]
        um = {
            name: step * um_per_unit(axis.get("unit"))
            for name, axis, step in zip(names, axes, scale, strict=True)
        }
        sizes = [um.get("y", math.nan), um.get("x", math.nan)]
        sound = all(math.isfinite(one) and one > 0 for one in sizes)
        square = sound and math.isclose(sizes[0], sizes[1], rel_tol=1e-3)
        channels = _channel_labels(image)
        interval_s = next(
            (
                step * seconds_per_unit(axis.get("unit"))
                for name, axis, step in zip(names, axes, scale, strict=True)
                if name in ("t", "time")
            ),
            math.nan,
        )
    where = f"{name}/{inner}".strip("/")
    pixel_um, notes = believed_um(printable(path), sizes[1] if square else None)
    stack = _stack(path, where, limits, axes=names, pixel_size_um=pixel_um, channels=channels)
    if stack.leading.startswith("F") and 0 < interval_s < math.inf:
        times = tuple(round(n * interval_s, 9) for n in range(stack.frames))
        stack = replace(stack, time_s=times)
    return replace(stack, notes=(*stack.notes, *notes))


def _axis_name(axis: dict[str, Any]) -> str:
    """Return the name of an OME axis by which its role is known, or else its type."""
    name, kind = str(axis.get("name", "")), axis.get("type")
    if axis_role(name) is None and kind in ("channel", "time"):
        return str(kind)
    role = axis_role(name)
    return role if role is not None else name


def _channel_labels(image: dict[str, Any]) -> tuple[str, ...]:
    """Return what OMERO's metadata call the channels; () if nothing does."""
    channels = (image.get("omero") or {}).get("channels") or []
    return tuple(str(one.get("label", "")) for one in channels if isinstance(one, dict))


def _stack(
    path: Path,
    name: str,
    limits: Limits,
    *,
    axes: Sequence[str] | None = None,
    pixel_size_um: float | None = None,
    channels: Sequence[str] = (),
) -> Stack:
    """Return one array as a stack.

    Args:
        path: Store.
        name: Array in it.
        limits: What it may claim.
        axes: Names of its axes, where metadata around it give them; by default its own.
        pixel_size_um: Side of a pixel, um.
        channels: Names of the channels, where they are known.
    """
    array = ZarrArray.open(path, name)
    if axes is None:
        axes = said_axes(array.attributes, len(array.shape))
    if axes is None and len(array.shape) in ARRAY_LEADING:
        found = AxisPlan.plain(array.shape)
    else:
        found = named_axes(path, name, array.shape, axes or ())
    shape = (*found.counts, *found.frame_px)
    check_claim(path, shape, array.dtype, unbounded(limits), name or None)
    packing = Packing.of(array.attributes, array.dtype)

    def planes(start: int, stop: int) -> Float32Array:
        check_claim(path, (stop - start, *found.frame_px), array.dtype, limits, name or None)
        values = found.planes(array.read(found.index(start, stop), limits))
        return packing.unpacked(path, values, name)

    stack = Stack(path, found.leading, found.counts, found.frame_px, planes, pixel_size_um)
    return stack.with_sensors_in_order(channels)
