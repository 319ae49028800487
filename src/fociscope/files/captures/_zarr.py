"""Captures in any Zarr store, v2 or v3: an array, a group with one that fits, an OME-Zarr image.

Format: OME-Zarr (NGFF) 0.4 and 0.5: `multiscales` names axes, their units, and the scale of each
resolution, of which the first is the full one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
from fociscope.files.formats._stacks import ARRAY_LEADING, Stack, size
from fociscope.files.formats._units import um_per_unit
from fociscope.files.safe.limits import Limits, check_claim, decoding, unbounded
from fociscope.typing import Float32Array

__all__ = ["open_zarr"]

_DEEPEST = 8
_MOST_ARRAYS = 1000


@dataclass(frozen=True)
class _Axes:
    """What the axes of an array are: positions, None for those that are not there."""

    frame: int | None
    sensor: int | None
    leading: str

    @classmethod
    def plain(cls, dimensions: int) -> _Axes:
        leading = ARRAY_LEADING[dimensions]
        return cls(0 if dimensions > 2 else None, 1 if dimensions > 3 else None, leading)


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
        yield (_stack(path, name, limits, None, None),)
        return
    with decoding(path, KIND):
        image = _multiscale(path, folder)
    if image is not None:
        yield (_ome_stack(path, name, image, limits),)
        return
    names = _arrays(path, name)
    shapes = {found: ZarrArray.open(path, found).shape for found in names}
    picked = pick_arrays(path, shapes)
    yield tuple(_stack(path, found, limits, None, None) for found in picked)


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
    return image


def _ome_stack(path: Path, name: str, image: dict[str, Any], limits: Limits) -> Stack:
    """Return the full resolution of an OME-Zarr image."""
    inner = _inside(path, image["datasets"][0]["path"])
    with decoding(path, KIND):
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image["axes"]]
        scale = [1.0] * len(axes)
        for said in (image["datasets"][0], image):  # the whole image's scale comes on top
            for change in said.get("coordinateTransformations") or []:
                if change.get("type") == "scale":
                    pairs = zip(scale, change["scale"], strict=True)
                    scale = [float(one) * float(other) for one, other in pairs]
        sizes = [
            step * um_per_unit(axis.get("unit")) for axis, step in zip(axes, scale, strict=True)
        ][-2:]
        names = "".join(str(axis["name"]).lower()[:1] for axis in axes)
        sound = len(sizes) == 2 and all(math.isfinite(um) and um > 0 for um in sizes)
        square = sound and math.isclose(sizes[0], sizes[1], rel_tol=1e-3)
    return _stack(path, f"{name}/{inner}".strip("/"), limits, names, sizes[1] if square else None)


def _stack(
    path: Path, name: str, limits: Limits, axes: str | None, pixel_size_um: float | None
) -> Stack:
    """Return one array as a stack; `axes` are the initials of their names, where known."""
    array = ZarrArray.open(path, name)
    found = _Axes.plain(len(array.shape)) if axes is None and len(array.shape) in ARRAY_LEADING \
        else _named_axes(path, name, array.shape, axes or "")  # fmt: skip
    counts = tuple(array.shape[at] for at in (found.frame, found.sensor) if at is not None)
    frame_px = (array.shape[-2], array.shape[-1])
    check_claim(path, (*counts, *frame_px), array.dtype, unbounded(limits), name or None)
    per = counts[-1] if found.leading == "FS" else 1
    along = found.frame if found.frame is not None else found.sensor

    def planes(start: int, stop: int) -> Float32Array:
        check_claim(path, (stop - start, *frame_px), array.dtype, limits, name or None)
        index = [slice(None)] * len(array.shape)
        if along is not None:
            index[along] = slice(start // per, stop // per)
        values = array.read(tuple(index), limits)
        if found.frame is not None and found.sensor is not None and found.sensor < found.frame:
            values = np.swapaxes(values, found.sensor, found.frame)
        with np.errstate(over="ignore"):  # too large for float32 becomes inf, judged elsewhere
            return np.array(values, np.float32, order="C").reshape(-1, *frame_px)

    return Stack(path, found.leading, counts, frame_px, planes, pixel_size_um)


def _named_axes(path: Path, name: str, shape: tuple[int, ...], axes: str) -> _Axes:
    """Sort out axes by their initials: t or z count frames, c counts sensors."""
    where = f"{printable(path)}: {printable(name)}" if name else printable(path)
    if len(axes) != len(shape) or axes[-2:] != "yx" or len(set(axes)) != len(axes):
        raise FileFormatError(
            f"{where} is {size(shape)} with the axes {axes!r}, expected (y, x), (frame, y, x) or "
            "(frame, sensor, y, x), or OME-Zarr axes that end in y, x; reorder its axes."
        )
    long = {axis: at for at, axis in enumerate(axes[:-2]) if shape[at] > 1}
    sensor = long.pop("c", None)
    if sensor is not None and shape[sensor] != 2:
        raise FileFormatError(
            f"{where}: {shape[sensor]} channels, expected 2 (sensors A and B) or 1; save the "
            "sensors alone."
        )
    if len(long) > 1 or not set(long) <= {"t", "z"}:
        raise FileFormatError(
            f"{where}: an array over several axes ({axes}, {size(shape)}), expected frames (t or "
            "z) and 2 channels at most; save an array for each."
        )
    frame = next(iter(long.values()), None)
    if frame is None and "t" in axes:
        frame = axes.index("t")  # a series of one
    kind = "F" if frame is not None and axes[frame] == "t" else "P"
    leading = "FS" if None not in (frame, sensor) else "S" if sensor is not None else ""
    return _Axes(frame, sensor, leading or (kind if frame is not None else ""))
