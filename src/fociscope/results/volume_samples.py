"""Volumes drawn from the posterior of one capture, their figures, and the files of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from fociscope.errors import FociscopeError, whole_number
from fociscope.files.ome.tiff import write_ome_tiff
from fociscope.files.safe.atomic import atomic_path
from fociscope.networks.volume_copula import VolumeCopula, draw_light, draw_occupied
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["MOST_SAMPLES", "VolumeSamples", "draw_samples", "write_samples"]

MOST_SAMPLES = 10_000
SAMPLES_TABLE, LIGHT_STD, SAMPLES_NPZ = "samples.csv", "intensity_std.ome.tif", "samples.npz"
#: Drawn together; bounds the memory.
PART_VOXELS = 8_000_000
_NEIGHBOURS = np.ones((3, 3, 3), dtype=np.int8)


@dataclass(frozen=True, repr=False)
class VolumeSamples:
    """Volumes that the capture leaves possible, each as likely as any other.

    Attributes:
        occupied: (sample, slice, y, x) whether a voxel holds cells.
        light: (sample, slice, y, x) light that reaches sensor A, in the units of its image.
        slice_um: (slice,) depth of the middle of each slice in um.
        pitch_um: Side of a pixel in um.
        seed: Seed that they were drawn with.

    Examples:
        >>> import numpy as np
        >>> from fociscope.results import VolumeSamples
        >>> occupied = np.zeros((2, 4, 9, 9), bool)
        >>> occupied[0, 1, 4, 4] = occupied[1, 2, 4, 4] = True
        >>> samples = VolumeSamples(
        ...     occupied, 1.0 * occupied, np.array([125.0, 375, 625, 875]), pitch_um=55.0
        ... )
        >>> samples.figures["mean_depth_um"]
        array([375., 625.])
    """

    occupied: BoolArray
    light: Float32Array
    slice_um: Float32Array
    pitch_um: float
    seed: int = 0

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.occupied)

    def __repr__(self) -> str:
        """Return one line: how many, and their shape."""
        count, slices, height, width = self.occupied.shape
        return f"<VolumeSamples: {count} of {slices} slices of {height}x{width} pixels>"

    @property
    def light_std(self) -> Float32Array:
        """(slice, y, x) standard deviation of the light of each voxel among the samples."""
        return np.asarray(self.light.std(axis=0), np.float32)

    @cached_property
    def figures(self) -> dict[str, Float64Array]:
        """Figures of each sample, (sample,) each; the columns of `samples.csv`.

        `volume_um3` that holds cells, their `mean_depth_um` (NaN without cells), the `light` of the
        whole, `foci` as connected groups of voxels (26-connectivity), single ones that are barely
        possible included, and `largest_um3`, the volume of the largest of them.
        """
        spacing = float(self.slice_um[1] - self.slice_um[0]) if len(self.slice_um) > 1 else 0.0
        voxel_um3 = self.pitch_um**2 * spacing
        at_slice = self.occupied.sum(axis=(2, 3)).astype(np.float64)
        total = at_slice.sum(axis=1)
        depth = np.full(len(self), np.nan)
        np.divide(at_slice @ self.slice_um.astype(np.float64), total, out=depth, where=total > 0)
        foci, largest = np.zeros(len(self)), np.zeros(len(self))
        for n, mask in enumerate(self.occupied):
            labels, foci[n] = ndimage.label(mask, _NEIGHBOURS, output=np.int32)
            largest[n] = np.bincount(labels.ravel())[1:].max(initial=0)
        return {
            "volume_um3": total * voxel_um3,
            "mean_depth_um": depth,
            "light": self.light.sum(axis=(1, 2, 3), dtype=np.float64),
            "foci": foci,
            "largest_um3": largest * voxel_um3,
        }

    def summary(self) -> dict[str, Any]:
        """Return number, seed, and mean and 90 % interval of each figure, ready for JSON."""
        said: dict[str, Any] = {"count": len(self), "seed": self.seed}
        for name, values in self.figures.items():
            some = values[np.isfinite(values)]
            if len(some):
                low, high = np.quantile(some, (0.05, 0.95))
                said[name] = {
                    "mean": float(f"{some.mean():.5g}"),
                    "interval_90": [float(f"{low:.5g}"), float(f"{high:.5g}")],
                }
        return said


def draw_samples(
    probability: Float32Array,
    intensity: Float32Array,
    slice_um: Float32Array,
    copula: VolumeCopula,
    *,
    pitch_um: float,
    residual: float,
    count: int,
    seed: int,
) -> VolumeSamples:
    """Draw volumes from the posterior of one capture.

    Args:
        probability: (slice, y, x) probability of cells.
        intensity: (slice, y, x) light that was fitted to the capture.
        slice_um: (slice,) depth of the middle of each slice in um.
        copula: How voxels go together.
        pitch_um: Side of a pixel in um.
        residual: Largest residual of the re-projection among the sensors.
        count: Number of samples.
        seed: Seed of all that is random.

    Returns:
        The samples; the same of the same seed.

    Raises:
        FociscopeError: If a number is out of its range.
    """
    count, seed = (
        whole_number(value, name, error=FociscopeError)
        for value, name in ((count, "samples"), (seed, "seed"))
    )
    if not 1 <= count <= MOST_SAMPLES or seed < 0:
        raise FociscopeError(
            f"{count} samples with the seed {seed}; expected 1 to {MOST_SAMPLES}, and a seed of 0 "
            "or more",
            fields=("samples",),
            value=count,
            least=1,
            most=MOST_SAMPLES,
        )
    generator = torch.Generator().manual_seed(seed)
    p, light, z = (
        torch.from_numpy(np.ascontiguousarray(array, np.float32))
        for array in (probability, intensity, slice_um)
    )
    each = max(1, PART_VOXELS // probability.size)
    drawn = []
    with torch.inference_mode():
        for first in range(0, count, each):
            part = min(each, count - first)
            there = draw_occupied(p, z, copula, pitch_um=pitch_um, count=part, generator=generator)
            bright = draw_light(light, there, copula, residual=residual, generator=generator)
            drawn.append((there.numpy(), bright.numpy()))
    occupied, lights = (np.concatenate(part) for part in zip(*drawn, strict=True))
    return VolumeSamples(occupied, lights, np.asarray(slice_um, np.float32), pitch_um, seed)


def write_samples(samples: VolumeSamples, folder: Path, formats: tuple[str, ...]) -> list[Path]:
    """Write the table of samples, the spread of the light as an image, and the samples themselves.

    Args:
        samples: Samples to write.
        folder: Folder that is there.
        formats: Formats of the volume; the image is written beside those of `ome-tiff`, the samples
            beside `npz`.

    Returns:
        Paths of the files.
    """
    table = folder / SAMPLES_TABLE
    columns = samples.figures
    rows = [",".join(("sample", *columns))]
    for n, row in enumerate(zip(*columns.values(), strict=True), 1):
        rows.append(",".join([str(n), *(f"{value:.6g}" for value in row)]))
    with atomic_path(table) as part:
        part.write_text("\n".join(rows) + "\n", encoding="ascii")
    written = [table]
    if "ome-tiff" in formats:
        written.append(folder / LIGHT_STD)
        write_ome_tiff(
            written[-1],
            samples.light_std,
            pixel_pitch_um=samples.pitch_um,
            depth_um=samples.slice_um,
            channel_name="intensity_std",
        )
    if "npz" in formats:
        written.append(folder / SAMPLES_NPZ)
        with atomic_path(written[-1]) as part, part.open("wb") as stream:
            np.savez(stream, occupied=samples.occupied, light=samples.light)
    return written
