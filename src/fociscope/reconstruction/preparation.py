"""What is done to a laboratory's captures before they are reconstructed: flip, crop, average."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from fociscope.configuration import Configuration
from fociscope.errors import CaptureError
from fociscope.files.captures.series import CaptureSeries
from fociscope.typing import Float32Array, Float64Array

__all__ = ["Flip", "Preparation", "prepared"]

#: Pixels that are averaged at a time: 64 MiB of float32.
STEP_PIXELS = 2**24

Flip = Literal["none", "x", "y", "both"]
"""Along which axes of the stored image pixels are put in reverse."""

_FLIPPED_AXES: dict[Flip, tuple[int, ...]] = {"none": (), "x": (-1,), "y": (-2,), "both": (-2, -1)}


class Preparation(Configuration):
    """How captures are flipped, cropped and averaged before they are reconstructed.

    Flips come first, then the crop, so that it cuts the same tissue from both sensors, then the
    average.

    Attributes:
        crop: (y, x, height, width) in pixels of the flipped images, counted from the first pixel;
            or a text such as "10,20,64,64". None keeps all. `Imager.cropped` returns the imager of
            the crop.
        flip_a: Axes along which sensor A's image is reversed: "none", "x" (swaps left and right),
            "y" or "both".
        flip_b: The same for sensor B, which often needs one because it looks from below.
        average: Number of consecutive frames whose mean is one capture.
        remainder: Use of the frames that remain at the end: "average" for a capture of their own,
            noisier than the others, or "drop".

    Examples:
        >>> from fociscope.reconstruction import Preparation
        >>> preparation = Preparation(crop="10,20,32,24", flip_b="x", average=4)
        >>> preparation.frame_px((51, 51)), preparation.frames(10)
        ((32, 24), 3)
    """

    crop: tuple[int, int, int, int] | None = None
    flip_a: Flip = "none"
    flip_b: Flip = "none"
    average: Annotated[int, Field(ge=1)] = 1
    remainder: Literal["average", "drop"] = "average"

    @field_validator("crop", mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        parts = tuple(part.strip() for part in given.split(","))
        if len(parts) != 4 or not all(part.isdecimal() for part in parts):
            raise ValueError(
                "expected y,x,height,width in whole pixels, such as 10,20,64,64, y and x from 0"
            )
        return parts

    @field_validator("crop")
    @classmethod
    def _possible(cls, crop: tuple[int, int, int, int] | None) -> Any:
        if crop is not None and (min(crop[:2]) < 0 or min(crop[2:]) < 1):
            raise ValueError("expected y,x,height,width with y and x from 0 and a size from 1")
        return crop

    def frame_px(self, frame_px: tuple[int, int]) -> tuple[int, int]:
        """Return the size of prepared frames.

        Args:
            frame_px: Height and width of the stored frames in pixels.

        Returns:
            Height and width of the prepared frames in pixels.

        Raises:
            CaptureError: If the crop goes beyond the frame.
        """
        if self.crop is None:
            return frame_px
        y, x, height, width = self.crop
        if y + height > frame_px[0] or x + width > frame_px[1]:
            raise CaptureError(
                f"the crop reaches to y = {y + height}, x = {x + width}, but frames have "
                f"{frame_px[0]} x {frame_px[1]} pixels; give y,x,height,width within them"
            )
        return height, width

    def frames(self, frames: int) -> int:
        """Return the number of prepared captures.

        Args:
            frames: Number of stored frames.

        Returns:
            Number of captures after averaging.

        Raises:
            CaptureError: If no capture is left.
        """
        count = (
            -(-frames // self.average) if self.remainder == "average" else frames // self.average
        )
        if count == 0:
            raise CaptureError(
                f"no capture is left: {frames} frame(s) given, {self.average} to average; average "
                "fewer, or keep the remainder"
            )
        return count


def prepared(series: CaptureSeries, preparation: Preparation) -> CaptureSeries:
    """Return the series with its frames flipped, cropped and averaged as they are read.

    Raises:
        CaptureError: the crop goes beyond the frame, sensor B is flipped but not there, a single
            capture is to be averaged, or no capture is left.
    """
    frames, sensors, height, width = series.shape
    if preparation == Preparation():
        return series
    if preparation.flip_b != "none" and sensors < 2:
        raise CaptureError("sensor B is to be flipped, but the captures are of sensor A alone")
    if preparation.average > 1 and series.is_single:
        raise CaptureError(
            f"{preparation.average} frames are to be averaged, but one capture was given; give a "
            "series, or do not average"
        )
    count = preparation.frames(frames)
    shape = (count, sensors, *preparation.frame_px((height, width)))

    def read(start: int, stop: int) -> Float32Array:
        if preparation.average == 1:
            return _cut(series.read(start, stop), preparation)
        captures = np.empty((stop - start, *shape[1:]), np.float32)
        for place in range(start, stop):
            first = place * preparation.average
            captures[place - start] = _mean(
                series, preparation, first, min(first + preparation.average, frames)
            )
        return captures

    notes = (*series.notes, *_notes(preparation, frames))
    time_s = _mean_times(series.time_s, preparation.average, count)
    return replace(series, shape=shape, read_frames=read, notes=notes, time_s=time_s)


def _mean_times(
    time_s: tuple[float, ...] | None, average: int, count: int
) -> tuple[float, ...] | None:
    """Return the mean time of the frames of each capture, s."""
    if time_s is None or average == 1:
        return time_s
    groups = (time_s[n * average : (n + 1) * average] for n in range(count))
    return tuple(sum(group) / len(group) for group in groups)


def _mean(series: CaptureSeries, preparation: Preparation, first: int, last: int) -> Float64Array:
    """Return the mean (sensor, y, x) of frames, a bounded number of which is in memory."""
    step = max(1, STEP_PIXELS // int(np.prod(series.shape[1:])))
    total: Float64Array | None = None
    for start in range(first, last, step):
        part = _cut(series.read(start, min(start + step, last)), preparation)
        added = part.sum(axis=0, dtype=np.float64)
        total = added if total is None else total + added
    assert total is not None
    return total / (last - first)


def _cut(captures: Float32Array, preparation: Preparation) -> Float32Array:
    """Return flipped and cropped captures, (frame, sensor, y, x)."""
    turned = [
        np.flip(captures[:, sensor], _FLIPPED_AXES[flip])
        for sensor, flip in zip(
            range(captures.shape[1]), (preparation.flip_a, preparation.flip_b), strict=False
        )
    ]
    if preparation.crop is not None:
        y, x, height, width = preparation.crop
        turned = [image[..., y : y + height, x : x + width] for image in turned]
    return np.stack(turned, axis=1)


def _notes(preparation: Preparation, frames: int) -> list[str]:
    """Say what becomes of frames that are left over."""
    left = frames % preparation.average
    if left == 0:
        return []
    if preparation.remainder == "drop":
        return [f"The last {left} of {frames} frames are left out: {preparation.average} make one."]
    return [f"The last capture averages {left} frame(s), the others {preparation.average}."]
