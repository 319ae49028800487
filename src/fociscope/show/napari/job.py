"""What one press of "Reconstruct" does, in a thread of its own and without napari or Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fociscope.errors import CaptureError
from fociscope.imager.geometry import Imager
from fociscope.reconstruction.engine import load_model
from fociscope.reconstruction.result import Reconstruction

__all__ = ["Cancelled", "Job", "told", "warnings_of"]


class Cancelled(Exception):
    """The user wants no result any more."""


@dataclass
class Job:
    """Captures, how to reconstruct them, and what the thread and the widget tell each other."""

    sensors: list[Any]
    """Each sensor's image or series, A's first: (y, x), (1, y, x), (frame, y, x) or
    (frame, 1, y, x), as napari holds them."""
    model: str | Path
    imager_file: Path | None = None
    layers: int | None = None
    done: int = 0
    """How much is done, of `total`; written by the thread."""
    total: int = 0
    is_cancelled: Callable[[], bool] = lambda: False
    """Asked by the thread whenever something is done."""

    def run(self) -> Reconstruction:
        """Reconstruct.

        Raises:
            Cancelled: on request.
            FociscopeError: the imager, the model or the captures are not as they should be.
        """
        imager = None if self.imager_file is None else Imager.from_toml(self.imager_file)
        model = load_model(self.model, imager=imager)
        return model.reconstruct(self.captures(), layers=self.layers, progress=self._progress)

    def captures(self) -> NDArray[np.float32]:
        """Return (sensor, y, x), or (frame, sensor, y, x) of a series.

        Raises:
            CaptureError: an array is no image and no series, or A's is not like B's.
        """
        arrays = [_one_sensor(array, name) for array, name in zip(self.sensors, "AB", strict=False)]
        shapes = [array.shape for array in arrays]
        if len(set(shapes)) > 1:
            raise CaptureError(
                f"sensor A has the shape {shapes[0]}, sensor B {shapes[1]}; both must be alike"
            )
        return np.stack(arrays, axis=-3)

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if self.is_cancelled():
            raise Cancelled


def _one_sensor(array: Any, sensor: str) -> NDArray[np.float32]:
    """Return (y, x) or (frame, y, x)."""
    shape = tuple(array.shape)
    if len(shape) == 4 and shape[1] == 1:
        array = array[:, 0]
    elif len(shape) == 3 and shape[0] == 1:
        array = array[0]
    elif len(shape) not in (2, 3):
        raise CaptureError(
            f"sensor {sensor}'s layer has the shape {shape}; expected an image (y, x) or a series "
            "(frame, y, x)"
        )
    return np.asarray(array, dtype=np.float32)


def told(result: Reconstruction) -> str:
    """Return in a few lines what was found."""
    first = result.frame(0)
    lines = [] if result.captures.ndim == 3 else [f"{len(result.captures)} frames; the first:"]
    for n, present in enumerate(first.present):
        if present:
            share = 100 * first.mask[n].mean()
            where = f"{first.depth_um[n]:.0f} ± {first.depth_std_um[n]:.0f} µm"
            lines.append(f"Layer {n + 1}: {where}, cells on {share:.0f} % of the frame")
        else:
            lines.append(f"Layer {n + 1}: absent")
    lines.append(f"Self-check residual: {first.self_check}")
    return "\n".join(lines)


def warnings_of(result: Reconstruction) -> str:
    """Return why the map is not to be trusted, in words; empty if nothing speaks against it."""
    lines = list(result.warnings)
    plausible = result.plausible.reshape(-1)
    if not plausible.all():
        odd = int((~plausible).sum())
        which = f"{odd} of {plausible.size} frames, such as: " if plausible.size > 1 else ""
        suspicion = result.frame(int(plausible.argmin())).suspicion
        lines.append(f"Do not trust this map: {which}{suspicion}")
    return "\n".join(lines)
