"""What OME-Zarr metadata say of an image: axes, pixel size, interval, channels, resolutions.

Format: OME-Zarr (NGFF) 0.1 to 0.6. `multiscales` lists resolutions, of which the first is the full
one. Axes are t, c, z, y, x by definition in 0.1 and 0.2, named in `axes` from 0.3 on, and in
`coordinateSystems` in 0.6 (RFC 5), into one of which each resolution is placed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fociscope.errors import FileFormatError
from fociscope.files.formats._axes import axis_role
from fociscope.files.formats._pixel_size import believed_um
from fociscope.files.formats._units import seconds_per_unit, um_per_unit

__all__ = ["NgffImage", "Placement"]

_OLD_AXES = ("t", "c", "z", "y", "x")
_PLACING = ("scale", "translation", "identity", "sequence")


@dataclass(frozen=True)
class Placement:
    """How one resolution of an image lies in space and time."""

    names: tuple[str, ...]
    """Of the axes, by which their role is known."""
    pixel_um: float | None
    """Side of a pixel, um; None where none is stated that can be one."""
    interval_s: float
    """Between frames, s; NaN where none is stated."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NgffImage:
    """The first image that OME metadata describe."""

    said: Mapping[str, Any]
    """Its entry of `multiscales`."""
    version: str
    paths: tuple[str, ...]
    """Of its resolutions, the full one first."""
    channels: tuple[str, ...]
    """Labels of the channels; shorter where nothing names them."""

    @classmethod
    def of(cls, attributes: Any) -> NgffImage | None:
        """Return what the attributes of a group describe; None if they describe no image.

        Raises:
            ValueError: If an image has no data set.
        """
        said = attributes.get("ome", attributes) if isinstance(attributes, dict) else None
        scales = said.get("multiscales") if isinstance(said, dict) else None
        if not scales or not isinstance(said, dict):
            return None
        image = scales[0]
        paths = tuple(one["path"] for one in image["datasets"])
        if not paths or not all(isinstance(path, str) for path in paths):
            raise ValueError("multiscales without the path of a data set")
        labels = (said.get("omero") or {}).get("channels") or []
        channels = tuple(str(one.get("label", "")) for one in labels if isinstance(one, dict))
        version = str(image.get("version", said.get("version", "")))
        return cls(image, version, paths, channels)

    def placed(self, where: str, resolution: int, dimensions: int) -> Placement:
        """Return the axes of a resolution, and their scale.

        Args:
            where: Image, as messages name it.
            resolution: Its number, 0 for the full one.
            dimensions: Number of axes of its array.

        Raises:
            FileFormatError: If nothing names the axes, or they are turned or exchanged.
            LookupError: If the metadata are not complete, as TypeError and ValueError.
        """
        data_set = self.said["datasets"][resolution]
        own = data_set.get("coordinateTransformations") or []
        if "axes" in self.said:
            axes = self.said["axes"]
            # The scale of the whole image comes on top.
            changes = [*own, *(self.said.get("coordinateTransformations") or [])]
        elif self.said.get("coordinateSystems"):
            changes = own[:1]
            axes = self._system(changes)["axes"]
        elif dimensions == len(_OLD_AXES) and self.version in ("", "0.1", "0.2"):
            axes, changes = list(_OLD_AXES), own
        else:
            raise FileFormatError(
                f"{where}: an image of OME-Zarr {self.version or 'without a version'} that names "
                "no axes, expected `axes` (0.3 to 0.5) or `coordinateSystems` (0.6); save it as "
                "0.4 or 0.5."
            )
        named = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
        return _placement(where, named, list(_flat(where, changes)))

    def _system(self, changes: list[Any]) -> Mapping[str, Any]:
        """Return the coordinate system that a resolution is placed into; else the first."""
        systems: list[Mapping[str, Any]] = self.said["coordinateSystems"]
        output = changes[0].get("output") if changes else None
        name = output.get("name") if isinstance(output, dict) else output
        return next((one for one in systems if one.get("name") == name), systems[0])


def _flat(where: str, changes: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the transformations one by one; refuse those that may turn or exchange axes."""
    for change in changes:
        kind = change.get("type")
        if kind not in _PLACING:
            raise FileFormatError(
                f"{where}: is placed by a transformation of the type {kind!r:.40}, expected "
                "identity, scale and translation, which leave axes as they are; save it so."
            )
        if kind == "sequence":
            yield from _flat(where, change["transformations"])
        else:
            yield change


def _placement(
    where: str, axes: list[dict[str, Any]], changes: list[Mapping[str, Any]]
) -> Placement:
    """Return names and scale of axes; a scale that is none is ignored as a whole, and said."""
    is_scaled = any(change.get("type") == "scale" for change in changes)
    scale = [1.0 if is_scaled else math.nan] * len(axes)  # a unit alone is no size
    notes: tuple[str, ...] = ()
    for change in changes:
        if change.get("type") != "scale":
            continue
        steps = change.get("scale")
        if not isinstance(steps, list) or len(steps) != len(axes):
            count = len(steps) if isinstance(steps, list) else "no"
            notes = (
                f"{where}: its scale has {count} numbers for {len(axes)} axes, so that its pixel "
                "size is ignored.",
            )
            scale = [math.nan] * len(axes)
            break
        scale = [one * float(step) for one, step in zip(scale, steps, strict=True)]
    names = tuple(_name(axis) for axis in axes)
    units = [axis.get("unit") for axis in axes]
    by_name = dict(zip(names, zip(units, scale, strict=True), strict=True))
    sizes = [
        um_per_unit(unit) * step for unit, step in (by_name.get(n, (None, math.nan)) for n in "yx")
    ]
    sound = all(math.isfinite(one) and one > 0 for one in sizes)
    square = sound and math.isclose(sizes[0], sizes[1], rel_tol=1e-3)
    if is_scaled and all(step == 1 for step in scale):
        more: tuple[str, ...] = (
            f"{where}: its scale is 1 along all axes, which writers put where none is known; that "
            "is ignored.",
        )
        return Placement(names, None, math.nan, (*notes, *more))
    pixel_um, more = believed_um(where, sizes[1] if square else None)
    times = (by_name[name] for name in ("t", "time") if name in by_name)
    interval_s = next((step * seconds_per_unit(unit) for unit, step in times), math.nan)
    return Placement(names, pixel_um, interval_s, (*notes, *more))


def _name(axis: dict[str, Any]) -> str:
    """Return the name of an axis by which its role is known, or else its type."""
    name, kind = str(axis.get("name", "")), axis.get("type")
    role = axis_role(name)
    if role is None and kind in ("channel", "time"):
        return str(kind)
    return role if role is not None else name
