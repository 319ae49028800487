"""Which files are MAT files, v5 or v7.3, and which axis of their arrays counts the samples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._hdf5 import is_hdf5
from fociscope.files.arrays._mat5 import is_mat5
from fociscope.files.safe.limits import require_file

__all__ = [
    "SMALLEST_SIDE_PX",
    "USUAL_SIDE_PX",
    "Order",
    "Placed",
    "Role",
    "find_order",
    "is_mat",
]

Shape = tuple[int, ...]
Role = Literal["sensor", "layers", "depths"]

SMALLEST_SIDE_PX = 2
#: Frames of fewer pixels a side tell no depth, so of two readings the other one is meant; such
#: arrays beside others are figures of the captures.
USUAL_SIDE_PX = 32


@dataclass(frozen=True)
class Placed:
    """How one variable is brought into memory.

    Attributes:
        shape: in memory: (sample, layer, y, x), (sample, y, x) or (sample, layer).
        samples_last: its last axis on disk counts the samples and moves to the front.
    """

    shape: Shape
    samples_last: bool


@dataclass(frozen=True)
class Order:
    """One consistent reading of the shapes in a file.

    Attributes:
        kind: where the samples are counted: "first", "last", or "single" for no such axis.
        frame: rows and columns of a frame, in pixels.
        placed: how each variable is brought into memory.
    """

    kind: str
    frame: tuple[int, int]
    placed: Mapping[str, Placed]


def find_order(
    path: Path, shapes: Mapping[str, Shape], roles: Mapping[str, Role], samples_first: bool = False
) -> Order:
    """Find the one reading in which all shapes fit together.

    Where two readings fit, the one with square frames wins, as in the published files.

    Args:
        path: the file, for messages.
        shapes: variable -> shape, in MATLAB's order of axes; at least one is a sensor's.
        roles: variable -> what it holds per sample: a "sensor" image (y, x), "layers" (layer, y, x)
            or the "depths" of the layers (1, layer).
        samples_first: the file itself says that samples are counted along the first axis.

    Raises:
        FileFormatError: no reading fits, or more than one does.
    """
    listed = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items())
    shapes = {
        name: _without_inner_ones(shape) if roles[name] == "sensor" else shape
        for name, shape in shapes.items()
    }
    readings = list(_readings(shapes, roles))
    if samples_first:
        readings = [order for order in readings if order.kind == "first"]
    if len(readings) > 1:
        readings = [order for order in readings if order.frame[0] == order.frame[1]] or readings
    if len(readings) > 1:
        readings = [order for order in readings if min(order.frame) >= USUAL_SIDE_PX] or readings
    others = {name: shape for name, shape in shapes.items() if roles[name] != "depths"}
    # Its rows could be samples or layers where both are as many; so could those of another reading.
    turned = any(
        order.kind == "last" and shape == (order.placed[name].shape[0],) * 2
        for order in readings
        for name, shape in shapes.items()
        if roles[name] == "depths"
    )
    unplaced = not readings and len(others) < len(shapes) and any(_readings(others, roles))
    if unplaced or (turned and len(readings) == 1):
        raise FileFormatError(
            f"{printable(path)}: the shape of the depths does not fit the images, or leaves open "
            f"which of its axes counts the samples ({listed}), expected N x layers; check the "
            "export, or save one sample more."
        )
    if not readings:
        raise FileFormatError(
            f"{printable(path)}: the shapes do not fit together ({listed}), expected images "
            "N x layers x y x x, sensors N x y x x and depths N x layers, N first or last; "
            "check the export."
        )
    if len(readings) > 1:
        raise FileFormatError(
            f"{printable(path)}: the shapes leave open which axis counts the samples ({listed}), "
            "expected only one to fit; save the images with an axis for the sensor, y x x x sensor "
            "x N, or as an HDF5 data set N x y x x."
        )
    return readings[0]


def is_mat(path: Path) -> bool:
    """Return whether `path` is a MAT v5 or v7.3 (HDF5) file, judged by its first bytes.

    Raises:
        FileFormatError: the file is missing, empty or not readable.
    """
    path = require_file(path)
    return is_hdf5(path) or is_mat5(path)


def _readings(shapes: Mapping[str, Shape], roles: Mapping[str, Role]) -> Iterator[Order]:
    """Yield each consistent reading of the shapes."""
    sensor = next(shape for name, shape in shapes.items() if roles[name] == "sensor")
    candidates: list[tuple[str, int, tuple[int, int]]] = []
    if len(sensor) == 2:
        candidates = [("single", 1, (sensor[0], sensor[1]))]
    elif len(sensor) == 3:
        candidates = [
            ("first", sensor[0], (sensor[1], sensor[2])),
            ("last", sensor[2], (sensor[0], sensor[1])),
        ]
    has_layers = "layers" in {roles[name] for name in shapes}
    for kind, samples, frame in candidates:
        if min(frame) < SMALLEST_SIDE_PX:
            continue
        placed: dict[str, Placed] = {}
        layers: set[int] = set()
        for name, shape in shapes.items():
            place = _place(kind, samples, frame, shape, roles[name])
            if place is None and has_layers and roles[name] == "depths" and shape == (1, samples):
                place = Placed((samples, 1), True)  # of one layer, turned into a row
            if place is None:
                break
            placed[name] = place
            if roles[name] != "sensor":
                layers.add(place.shape[1])
        if len(placed) == len(shapes) and len(layers) <= 1:
            yield Order(kind, frame, placed)


def _without_inner_ones(shape: Shape) -> Shape:
    """Drop axes of length 1 between the first and the last until three are left."""
    sides = list(shape)
    while len(sides) > 3 and 1 in sides[1:-1]:
        del sides[sides.index(1, 1, -1)]
    return tuple(sides)


def _place(
    kind: str, samples: int, frame: tuple[int, int], shape: Shape, role: Role
) -> Placed | None:
    """Place one variable under one reading; None if it does not fit."""
    if role == "depths":
        return _place_depths(kind, samples, shape)
    if kind == "single":
        inner = shape
    elif kind == "first":
        inner = shape[1:] if shape[:1] == (samples,) else ()
    else:
        inner = shape[:-1] if shape[-1:] == (samples,) else ()
    last = kind == "last"
    if inner == frame:  # for layers: a single one, whose axis was dropped
        return Placed((samples, *frame) if role == "sensor" else (samples, 1, *frame), last)
    if role == "layers" and len(inner) == 3 and inner[1:] == frame:
        return Placed((samples, inner[0], *frame), last)
    return None


def _place_depths(kind: str, samples: int, shape: Shape) -> Placed | None:
    """Depths: (1, layer) per sample, where the 1 may have been dropped."""
    if kind == "single":
        long = [side for side in shape if side != 1] or [1]
        return Placed((1, long[0]), False) if len(long) == 1 else None
    if len(shape) == 3:
        if kind == "first" and shape[:2] == (samples, 1):
            return Placed((samples, shape[2]), False)
        if kind == "last" and shape[0] == 1 and shape[2] == samples:
            return Placed((samples, shape[1]), True)
    if len(shape) == 2:
        if shape[0] == samples:
            return Placed((samples, shape[1]), False)
        if kind == "last" and shape[1] == samples:
            return Placed((samples, shape[0]), True)
    return None
