"""One open file as a stack of planes, whatever its format: what its leading axes are, and reading.

A `Stack` promises nothing that has not been checked against the limits; only planes that are asked
for are decoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._channels import channel_order
from fociscope.typing import Float32Array

__all__ = ["ARRAY_LEADING", "Leading", "Stack", "size"]

Leading = str
"""What stands before (y, x): "" nothing, "P" pages of unknown meaning, "F" frames, "S" sensors,
"FS" frames of all sensors."""

ARRAY_LEADING: dict[int, Leading] = {2: "", 3: "P", 4: "FS"}
"""What the leading axes of a plain array are, by its number of axes."""


@dataclass(frozen=True)
class Stack:
    """An open file of images, or a part of one, as planes that are decoded when they are read.

    Attributes:
        path: The file.
        leading: Meaning of the axes before (y, x): "" for one image, "P" for pages of unknown
            meaning, "F" for frames, "S" for sensors, "FS" for frames of all sensors.
        counts: Length of each leading axis.
        frame_px: Height and width of an image in pixels.
        planes: (start, stop) -> float32 (plane, y, x). Planes are counted over all leading axes in
            C order; runs start and stop at whole frames.
        pixel_size_um: Side of a pixel in um, if the file states it.
        notes: Remarks for the user on how the file is read, a sentence each.
        time_s: When each frame was taken, s from any moment on, if the file states it.
        depth_um: Position of each frame along the optical axis, um, if the file states it.
        time_step_s: To which the times are rounded down, s; 0 for exact ones.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fociscope.files import Stack
        >>> images = np.zeros((6, 8, 9), np.float32)
        >>> stack = Stack(Path("ab.raw"), "FS", (3, 2), (8, 9), lambda a, b: images[a:b])
        >>> stack.frames, stack.sensors, stack.read(1, 3).shape
        (3, 2, (2, 2, 8, 9))
    """

    path: Path
    leading: Leading
    counts: tuple[int, ...]
    frame_px: tuple[int, int]
    planes: Callable[[int, int], Float32Array]
    pixel_size_um: float | None = None
    notes: tuple[str, ...] = ()
    time_s: tuple[float, ...] | None = None
    depth_um: tuple[float, ...] | None = None
    time_step_s: float = 0.0

    @property
    def frames(self) -> int:
        """How many frames it holds; pages of unknown meaning count as frames."""
        return self.counts[0] if self.leading[:1] in ("P", "F") else 1

    @property
    def sensors(self) -> int:
        """How many sensors each frame holds."""
        return self.counts[-1] if self.leading[-1:] == "S" else 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., y, x)."""
        return (*self.counts, *self.frame_px)

    def read(self, start: int, stop: int) -> Float32Array:
        """Return frames `start` to `stop` as (frame, sensor, y, x)."""
        planes = self.planes(start * self.sensors, stop * self.sensors)
        return planes.reshape(stop - start, self.sensors, *self.frame_px)

    def as_series(self, pages: str) -> Stack:
        """Return the stack as captures on their own: what pages are is decided here.

        Args:
            pages: "auto" takes two pages for sensors A and B, and more for frames of sensor A;
                "frames" takes all pages for frames; "sensors" for A and B in turns.

        Raises:
            FileFormatError: an axis of neither 1 nor 2 sensors, or an odd number of pages that
                should be A and B in turns.
        """
        if self.leading == "P":
            count = self.counts[0]
            if pages == "frames":
                return replace(self, leading="F")
            if pages == "auto" and count > 2:
                note = (
                    f"{printable(self.path)}: {count} pages that name no axis, taken as {count} "
                    "frames of sensor A; say so if they are A and B in turns (pages='sensors')."
                )
                return replace(self, leading="F", notes=(*self.notes, note))
            if pages == "auto" and count == 2:
                note = f"{printable(self.path)}: 2 pages, taken as sensors A and B of one capture."
                return replace(self, leading="S", notes=(*self.notes, note))
            if count % 2 and count > 1:
                raise FileFormatError(
                    f"{printable(self.path)}: {count} pages, expected an even number for A and B "
                    "in turns; give A and B as two files."
                )
            if count > 2:
                return replace(self, leading="FS", counts=(count // 2, 2))
            return replace(self, leading="S")
        if self.sensors not in (1, 2):
            raise FileFormatError(
                f"{printable(self.path)}: an array {size(self.shape)} with {self.sensors} sensors, "
                "expected (frame, 1 or 2 sensors, y, x); reorder its axes."
            )
        return self

    def with_sensors_in_order(self, names: Sequence[str]) -> Stack:
        """Return A before B, where the names of its two channels say that they come in reverse.

        Args:
            names: Of the channels; shorter where nothing names them.
        """
        if self.leading not in ("S", "FS") or self.counts[-1] != 2:
            return self
        order, notes = channel_order(printable(self.path), names)
        if order == (0, 1):
            return self

        def planes(start: int, stop: int) -> Float32Array:
            pairs = self.planes(start, stop).reshape(-1, 2, *self.frame_px)
            return np.ascontiguousarray(pairs[:, ::-1]).reshape(-1, *self.frame_px)

        return replace(self, planes=planes, notes=(*self.notes, *notes))

    def without_lone_page(self) -> tuple[Stack, int]:
        """Return A and B in turns without a last page whose partner is not there; and if it is.

        Returns:
            The stack, and 1 for a lone page, else 0; both as they are where the file says itself
            what its pages are.
        """
        if self.leading not in ("", "P"):
            return self, 0
        frames, lone = divmod(math.prod(self.counts), 2)
        return replace(self, leading="FS", counts=(frames, 2)), lone

    def of_one_sensor(self) -> Stack:
        """Return the stack as one sensor's frames, beside another file.

        Raises:
            FileFormatError: it holds an axis of sensors.
        """
        if self.sensors > 1:
            raise FileFormatError(
                f"{printable(self.path)}: an array {size(self.shape)} with a sensor axis, expected "
                "one sensor's (y, x) or (frame, y, x); give this file alone."
            )
        if self.leading == "FS":
            return replace(self, leading="F", counts=self.counts[:1])
        return replace(self, leading="" if self.leading == "" else "F")


def size(shape: tuple[int, ...]) -> str:
    """Return how messages name a shape."""
    return " x ".join(str(side) for side in shape)
