"""Stored integers -> the numbers that they stand for, as netCDF's and xarray's attributes say.

Source: the netCDF attribute conventions (`_Unsigned`, `scale_factor`, `add_offset`), and CF 8.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.files.formats._values import as_float32
from fociscope.typing import Float32Array

__all__ = ["PACKING_ATTRIBUTES", "Packing"]

PACKING_ATTRIBUTES = ("_Unsigned", "scale_factor", "add_offset", "_FillValue")


@dataclass(frozen=True)
class Packing:
    """How stored numbers become values: number * scale + offset."""

    dtype: np.dtype[Any]
    """As which the stored bits are read."""
    scale: float = 1.0
    offset: float = 0.0
    fill: float | None = None
    """The stored number that stands for no value."""

    @classmethod
    def of(cls, attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> Packing:
        """Return what the attributes of an array of a stored type say."""
        unsigned = str(_plain(attributes.get("_Unsigned", ""))).lower() == "true"
        if unsigned and dtype.kind == "i":
            dtype = np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")
        scale, offset = _number(attributes, "scale_factor"), _number(attributes, "add_offset")
        packed = scale is not None or offset is not None
        fill = _number(attributes, "_FillValue") if packed else None
        return cls(dtype, 1.0 if scale is None else scale, offset or 0.0, fill)

    def unpacked(
        self, path: Path, values: npt.NDArray[Any], name: str | None = None
    ) -> Float32Array:
        """Return values as float32; no value becomes NaN.

        Raises:
            FileFormatError: As `as_float32`.
        """
        if values.dtype.kind == "i" and self.dtype.kind == "u":
            values = values.view(values.dtype.str.replace("i", "u"))
        if (self.scale, self.offset, self.fill) == (1.0, 0.0, None):
            return as_float32(path, values, name=name)
        found = values.astype(np.float64) * self.scale + self.offset
        if self.fill is not None:
            found[values == self.fill] = math.nan
        return as_float32(path, found, name=name)


def _number(attributes: Mapping[str, Any], key: str) -> float | None:
    """Return an attribute that is a finite number; None if it is none."""
    said = _plain(attributes.get(key))
    sound = isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said)
    return float(said) if sound else None


def _plain(said: Any) -> Any:
    """Return one value out of an array of one, and text out of bytes."""
    if isinstance(said, np.ndarray | np.generic):
        said = said.ravel()[0].item() if said.size == 1 else None
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
