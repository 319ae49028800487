"""Some frames of a series: what reads them, how they are reconstructed, and what is said of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fociscope.errors import CaptureError, printable
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.results.result import Reconstruction
from fociscope.typing import Float32Array, Progress

__all__ = ["Captures", "FrameOptions", "Progress", "reconstruct_frames"]


class Captures(Protocol):
    """What is read in parts, such as `fociscope.files.CaptureSeries`."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, sensors, y, x)."""

    @property
    def names(self) -> tuple[Path, ...]:
        """What is read, for provenance."""

    def read(self, start: int = 0, stop: int | None = None) -> Float32Array:
        """Return (frame, sensor, y, x)."""


@dataclass(frozen=True)
class FrameOptions:
    """The part of the options that a loaded model needs, for each frame alike."""

    layers: int | None = None
    """Greatest number of layers to look for; None for the model's own number."""
    correction: ChipCorrection | None = None
    """Dark frames, flat frames and bad pixels of the chip, read from their files."""
    tile_px: int | None = None
    """Side of the tiles of large frames, pixels; None for the engine's choice."""

    def reconstruct(
        self, model: Model, captures: Float32Array, progress: Progress | None = None
    ) -> Reconstruction:
        """Reconstruct (sensor, y, x) or (frame, sensor, y, x) with these options."""
        return model.reconstruct(
            captures,
            layers=self.layers,
            correction=self.correction,
            tile_px=self.tile_px,
            progress=progress,
        )


def reconstruct_frames(
    model: Model,
    captures: Float32Array,
    options: FrameOptions,
    first: int = 0,
    *,
    names: Sequence[str] = (),
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstruct some frames of a series; what is wrong is said of its number in the series.

    Args:
        model: from `load_model`.
        captures: (frame, sensor, y, x).
        options: how.
        first: number of the first of these frames, from 0.
        names: of these frames, if they have any.
        progress: called with the frames done and their total.

    Raises:
        CaptureError: a frame cannot be reconstructed; its message names the frame, from 1.
    """
    try:
        return options.reconstruct(model, captures, progress)
    except CaptureError as error:
        for number, frame in enumerate(captures):
            try:
                options.reconstruct(model, frame)
            except CaptureError as its:
                name = f" ({printable(names[number])})" if names else ""
                raise CaptureError(
                    f"frame {first + number + 1}{name}: {its}", fields=its.fields, value=its.value
                ) from None
        raise error
