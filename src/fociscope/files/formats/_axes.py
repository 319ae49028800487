"""Names of axes and of channels, as many programs write them -> frame, sensor, y and x.

xarray, netCDF, Zarr, ilastik, NeXus, tifffile and others say by name what the axes of an array are;
their place then says nothing. Channels that are named after the sensors say which is A and which B.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._stacks import ARRAY_LEADING, Leading, size

__all__ = ["AXES_ATTRIBUTES", "AxisPlan", "Role", "axis_role", "named_axes", "said_axes"]

Role = Literal["t", "z", "c", "y", "x"]

AXES_ATTRIBUTES = (
    "dimension_names",
    "_ARRAY_DIMENSIONS",
    "axistags",
    "axis_names",
    "axes_names",
    "axes",
    "dims",
    "dimensions",
    "DIMENSION_LABELS",
)
"""Attributes under which programs name axes, in this order: Zarr 3, xarray, vigra and ilastik,
funlib, N5, NeXus and others, h5py."""

_ROLES: dict[Role, tuple[str, ...]] = {
    "t": ("t", "time", "times", "timepoint", "timepoints", "frame", "frames", "frame_number", "f",
          "i", "n", "image", "images", "index", "sample", "samples", "capture", "captures", "scan",
          "shot", "repetition", "scene", "scenes", "r", "repeat"),
    "z": ("z", "depth", "depths", "slice", "slices", "plane", "planes", "page", "pages", "layer",
          "layers", "level"),
    "c": ("c", "ch", "channel", "channels", "sensor", "sensors", "camera", "cameras", "cam", "chip",
          "side", "sides", "detector", "detectors", "view", "views", "band", "bands"),
    "y": ("y", "row", "rows", "height", "line", "lines", "ypos", "pixely", "ypixel",
          "y_pixel_offset"),
    "x": ("x", "col", "cols", "column", "columns", "width", "xpos", "pixelx", "xpixel",
          "x_pixel_offset"),
}  # fmt: skip
_ROLE_OF = {name: role for role, names in _ROLES.items() for name in names}
_UNITS = re.compile(r"_(?:um|px|pixels?|mm|nm|s|ms|sec|idx|index|axis|dim|coord)$")
_PREFIX = re.compile(r"^(?:dim|axis|n|num|pixel|px)_(?=[a-z])")
_GENERIC = re.compile(r"(?:phony_)?(?:dim|axis|d|ax)_?\d+|\.?")
"""Names that number the axes, as programs make them up, say nothing: `dim_0`, `phony_dim_2`; nor
does ".", which NeXus writes for an axis that nothing describes."""


def axis_role(name: str) -> Role | None:
    """Return what the name of an axis says: t or z (frames), c (sensors), y, x; None if neither."""
    plain = _UNITS.sub("", name.strip().casefold().replace("-", "_").replace(" ", "_"))
    return _ROLE_OF.get(plain) or _ROLE_OF.get(_PREFIX.sub("", plain))


def said_axes(attributes: Mapping[str, Any], dimensions: int) -> tuple[str, ...] | None:
    """Return the names of an array's axes out of its attributes; None where none name them.

    Args:
        attributes: Attributes of the array, as any program wrote them.
        dimensions: Number of its axes; a list of another length is not of this array.
    """
    for key in AXES_ATTRIBUTES:
        names = _as_names(attributes.get(key))
        if names is None or len(names) != dimensions:
            continue
        if not all(_GENERIC.fullmatch(name.casefold()) for name in names):
            return names
    return None


def _as_names(said: Any) -> tuple[str, ...] | None:
    """Return names out of a list, a JSON text, vigra's axistags, or letters such as "tcyx"."""
    if isinstance(said, bytes):
        said = said.decode("utf-8", "replace")
    if isinstance(said, str):
        text = said.strip()
        if text[:1] in "[{":
            try:
                said = json.loads(text)
            except ValueError:
                return None
        elif re.search(r"[,;\s:]", text):
            said = [part for part in re.split(r"[,;\s:]+", text) if part]
        else:
            said = list(text)
    if isinstance(said, Mapping):
        said = said.get("axes")
    if isinstance(said, np.ndarray):
        said = said.tolist()
    if not isinstance(said, list | tuple):
        return None
    names = [one.get("key", one.get("name")) if isinstance(one, Mapping) else one for one in said]
    names = [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in names]
    names = ["" if one is None else one for one in names]
    return tuple(names) if all(isinstance(one, str) for one in names) else None


@dataclass(frozen=True)
class AxisPlan:
    """Where frames, sensors, y and x lie in an array; all other axes have the length 1."""

    shape: tuple[int, ...]
    frame: int | None
    sensor: int | None
    y: int
    x: int
    leading: Leading

    @classmethod
    def plain(cls, shape: tuple[int, ...]) -> AxisPlan:
        """Return the plan of an array (y, x), (frame, y, x) or (frame, sensor, y, x)."""
        last = len(shape)
        frame, sensor = (0 if last > 2 else None), (1 if last > 3 else None)
        return cls(shape, frame, sensor, last - 2, last - 1, ARRAY_LEADING[last])

    @property
    def counts(self) -> tuple[int, ...]:
        """Length of each leading axis."""
        return tuple(self.shape[at] for at in (self.frame, self.sensor) if at is not None)

    @property
    def frame_px(self) -> tuple[int, int]:
        """Height and width of an image in pixels."""
        return self.shape[self.y], self.shape[self.x]

    @property
    def is_plain(self) -> bool:
        """Whether the axes lie in our order, none beside them."""
        order = [at for at in (self.frame, self.sensor, self.y, self.x) if at is not None]
        return order == list(range(len(self.shape)))

    def index(self, start: int, stop: int) -> tuple[slice, ...]:
        """Return what cuts the planes `start` to `stop` (whole frames) out of the array."""
        cut = [slice(None)] * len(self.shape)
        per = self.counts[-1] if self.leading == "FS" else 1
        along = self.frame if self.frame is not None else self.sensor
        if along is not None:
            cut[along] = slice(start // per, stop // per)
        return tuple(cut)

    def planes(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what `index` cut out as (plane, y, x)."""
        kept = [at for at in (self.frame, self.sensor, self.y, self.x) if at is not None]
        lone = [at for at in range(values.ndim) if at not in kept]
        ordered = values.transpose([*lone, *kept])
        return ordered.reshape(-1, ordered.shape[-2], ordered.shape[-1])


def _roles(names: Sequence[str]) -> list[Role | None]:
    """Return what each axis is; beside named ones, the two last are y and x, and one is of pages.

    Programs name some axes alone: HDF5 leaves labels empty, NeXus writes ".".
    """
    roles = [axis_role(one) for one in names]
    bare = [at for at, one in enumerate(names) if _GENERIC.fullmatch(one.strip().casefold())]
    last = [len(names) - 2, len(names) - 1]
    if bare[-2:] == last and not {"y", "x"} & set(roles):
        roles[-2:] = ["y", "x"]
        bare = bare[:-2]
    if len(bare) == 1 and not {"t", "z"} & set(roles):
        roles[bare[0]] = "z"
    return roles


def named_axes(path: Path, name: str, shape: tuple[int, ...], names: Sequence[str]) -> AxisPlan:
    """Return the plan of an array by the names of its axes.

    Args:
        path: File, for messages.
        name: Array in it, "" for the file itself.
        shape: Of the array.
        names: One for each axis.

    Raises:
        FileFormatError: If names do not say where y and x are, or more than frames and two sensors
            remain.
    """
    where = f"{printable(path)}: {printable(name)}" if name else printable(path)
    roles = _roles(names)
    listed = ", ".join(
        f"{printable(one) or '?'} {side}" for one, side in zip(names, shape, strict=False)
    )
    expected = "expected (y, x), (frame, y, x) or (frame, sensor, y, x), in any order"
    if len(names) != len(shape) or roles.count("y") != 1 or roles.count("x") != 1:
        raise FileFormatError(
            f"{where} is {size(shape)} with the axes {listed!s:.120}, {expected}; name them t, c, "
            "y, x (frame, sensor, y, x), or save the array without names."
        )
    y, x = roles.index("y"), roles.index("x")
    long = [at for at, side in enumerate(shape) if side > 1 and at not in (y, x)]
    unknown = [at for at in long if roles[at] is None]
    sensors = [at for at in long if roles[at] == "c"]
    frames = [at for at in long if roles[at] in ("t", "z")]
    if len(sensors) == 1 and shape[sensors[0]] != 2:
        raise FileFormatError(
            f"{where}: {shape[sensors[0]]} channels, expected 2 (sensors A and B) or 1; save the "
            "sensors alone."
        )
    if unknown or len(sensors) > 1 or len(frames) > 1:
        raise FileFormatError(
            f"{where}: an array over several axes ({listed!s:.120}), {expected}; save an array for "
            "each."
        )
    frame = frames[0] if frames else None
    if frame is None and "t" in roles:
        frame = roles.index("t")  # a series of one
    sensor = sensors[0] if sensors else None
    kind: Leading = "F" if frame is not None and roles[frame] == "t" else "P"
    leading: Leading = "FS" if None not in (frame, sensor) else "S" if sensor is not None else ""
    return AxisPlan(shape, frame, sensor, y, x, leading or (kind if frame is not None else ""))
