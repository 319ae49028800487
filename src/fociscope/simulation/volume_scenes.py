"""Scenes of volumes: the truth on a grid of depths, and their captures. One seed, one scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fociscope.arrays import whole_number, without_autocast
from fociscope.errors import SceneError
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB, Exposure
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.volume_grid import DrawnVolume, VolumeGrid
from fociscope.simulation.volumes import VOLUME_KINDS, AnyVolume, VolumeSpecimen
from fociscope.typing import BoolArray, Float32Array

__all__ = ["VolumeScenes", "simulate_volumes"]

#: Thin planes of a slice in scenes that are judged: 5 um of 50.
PLANES_PER_SLICE = 10


@dataclass(frozen=True, repr=False)
class VolumeScenes:
    """Simulated volumes: the truth slice by slice, and what the imager sees of it.

    Attributes:
        light: (scene, slice, y, x) emitted light per pixel.
        mask: (scene, slice, y, x) True where there are cells.
        cells: (scene, slice, y, x) number of cells.
        depth_um: (scene, slice, y, x) mean depth in um of each voxel's light.
        slice_um: (slice,) middles of the slices in um.
        captures: (scene, sensor, y, x) images of the sensors, in the unit of `light`.

    Examples:
        >>> from fociscope.simulation import simulate_volumes
        >>> scenes = simulate_volumes(1, seed=0, specimen="foci-in-depth")
        >>> scenes
        <VolumeScenes: 1 scene, 20 slices of 51x51 pixels, 2 sensors>
    """

    light: Float32Array
    mask: BoolArray
    cells: Float32Array
    depth_um: Float32Array
    slice_um: Float32Array
    captures: Float32Array

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.captures)

    def __repr__(self) -> str:
        """Return one line: how many scenes, and their shape."""
        count, slices, height, width = self.light.shape
        return (
            f"<VolumeScenes: {count} scene{'s' * (count != 1)}, {slices} slices of "
            f"{height}x{width} pixels, {self.captures.shape[1]} "
            f"sensor{'s' * (self.captures.shape[1] != 1)}>"
        )


@without_autocast
def simulate_volumes(
    count: int,
    *,
    seed: int,
    first: int = 0,
    imager: Imager | None = None,
    specimen: VolumeSpecimen | str | None = None,
    slices: int = 20,
    peak_snr_db: float | None = REFERENCE_PEAK_SNR_DB,
    planes_per_slice: int = PLANES_PER_SLICE,
) -> VolumeScenes:
    """Simulate volumes and their captures.

    Args:
        count: Number of scenes.
        seed: Seed of all that is random.
        first: Number of the first scene; scene number n of a seed is always the same.
        imager: Instrument; the reference imager by default.
        specimen: What the volumes show: a specimen, or a name in `VOLUME_KINDS`; `AnyVolume` by
            default.
        slices: Slices of the truth, of equal thickness over the gap.
        peak_snr_db: Peak SNR of each sensor's image in dB; None for captures without noise.
        planes_per_slice: Thin planes of a slice that light is drawn on and projected from.

    Returns:
        The scenes, with their captures.

    Raises:
        SceneError: If the kind of specimen is unknown, or a number is out of its range.

    Examples:
        >>> from fociscope.simulation import Blobs, simulate_volumes
        >>> scenes = simulate_volumes(1, seed=0, specimen=Blobs(), slices=10)
        >>> scenes.mask.shape, scenes.captures.shape
        ((1, 10, 51, 51), (1, 2, 51, 51))
    """
    imager = imager or Imager.reference()
    if isinstance(specimen, str):
        specimen = VOLUME_KINDS[specimen].model_validate({})
    specimen = specimen or AnyVolume()
    count, seed, first = (
        whole_number(value, name, error=SceneError)
        for name, value in (("count", count), ("seed", seed), ("first", first))
    )
    if count < 1 or seed < 0 or first < 0:
        raise SceneError(
            f"count must be at least 1, and seed and first at least 0; got {count}, {seed}, {first}"
        )
    exposure = Exposure(peak_snr_db)
    exposure.check(imager)
    grid = VolumeGrid(DrawnFrame.around(imager), imager.gap_um, slices, planes_per_slice)
    wide = LayerProjector(imager.with_(boundary="zero"))
    depth_um = torch.from_numpy(grid.plane_um.astype(np.float32))[None]
    projection = wide.at(depth_um, grid.frame.size_px)
    pattern = imager.fixed_pattern()
    volumes, captures = [], []
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, number])
        volume = specimen.draw_scene(rng, grid)
        seen = projection.A(torch.from_numpy(volume.light)[None])[0]
        seen = seen[grid.frame.inside].clamp_(min=0)
        if exposure.exposes:
            seen = exposure.expose(
                seen,
                imager,
                cells_per_unit_light=1.0,
                seed=int(rng.integers(2**62)),
                fixed_pattern=pattern,
            )
        volumes.append(_cut(volume))
        captures.append(seen.numpy())
    light, mask, cells, depth = (np.stack(field) for field in zip(*volumes, strict=True))
    slice_um = grid.slice_um.astype(np.float32)
    return VolumeScenes(light, mask, cells, depth, slice_um, np.stack(captures))


def _cut(volume: DrawnVolume) -> tuple[Float32Array, BoolArray, Float32Array, Float32Array]:
    """Return the slices of a volume without the margin around the imager's frame."""
    inside = volume.grid.frame.inside
    fields = volume.slice_light, volume.mask, volume.cells, volume.depth_um
    return tuple(field[inside] for field in fields)  # type: ignore[return-value]
