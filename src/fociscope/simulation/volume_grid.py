"""The grid that volumes are drawn on: slices between the sensors, each of several thin planes.

A volume of many planes is projected as that many layers (`imager.LayerProjector`), so light at a
depth is shared by the two thin planes around it. The truth is kept slice by slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fociscope.errors import SceneError
from fociscope.simulation._cells import render_discs
from fociscope.simulation.frame import DrawnFrame
from fociscope.typing import BoolArray, Float32Array, Float64Array, IndexArray

__all__ = ["DrawnVolume", "VolumeGrid"]


@dataclass(frozen=True)
class VolumeGrid:
    """Slices of equal thickness from sensor A to the end of the gap, and the planes they are of.

    Attributes:
        frame: Frame to draw.
        gap_um: Thickness of the whole volume in um.
        slices: Number of slices; the truth is known for each.
        planes_per_slice: Thin planes of a slice, on which light is drawn.

    Examples:
        >>> from fociscope.simulation import DrawnFrame, VolumeGrid
        >>> grid = VolumeGrid(DrawnFrame((51, 51), 55.0), gap_um=1000.0, slices=4)
        >>> grid.slice_um
        array([125., 375., 625., 875.])
        >>> len(grid.plane_um)
        8
    """

    frame: DrawnFrame
    gap_um: float
    slices: int = 20
    planes_per_slice: int = 2

    def __post_init__(self) -> None:
        """Refuse a grid without slices, planes or depth."""
        if self.slices < 1 or self.planes_per_slice < 1 or not self.gap_um > 0:
            raise SceneError(
                "a volume needs slices, planes in each and a gap above 0; got "
                f"{self.slices}, {self.planes_per_slice} and {self.gap_um:g} µm"
            )

    @property
    def planes(self) -> int:
        """Number of thin planes."""
        return self.slices * self.planes_per_slice

    @property
    def plane_step_um(self) -> float:
        """Distance between neighbouring planes, in um."""
        return self.gap_um / self.planes

    @property
    def plane_um(self) -> Float64Array:
        """(plane,) depths of the planes in um."""
        return np.asarray((np.arange(self.planes) + 0.5) * self.plane_step_um)

    @property
    def slice_um(self) -> Float64Array:
        """(slice,) depths of the middles of the slices in um."""
        return np.asarray((np.arange(self.slices) + 0.5) * self.gap_um / self.slices)

    def slice_of(self, depth_um: Float64Array) -> IndexArray:
        """Return which slice holds each depth, as whole numbers; the end belongs to the last."""
        return np.clip(depth_um * (self.slices / self.gap_um), 0, self.slices - 1).astype(np.intp)


class DrawnVolume:
    """Light, cells and where they are, as a specimen draws them bit by bit.

    Attributes:
        grid: Grid to draw on.
        light: (plane, y, x) emitted light per pixel, on the thin planes.
        mask: (slice, y, x) True where there are cells.
        cells: (slice, y, x) how many cells have their centre there.

    Examples:
        >>> import numpy as np
        >>> from fociscope.simulation import DrawnFrame, DrawnVolume, VolumeGrid
        >>> volume = DrawnVolume(VolumeGrid(DrawnFrame((9, 9), 55.0), gap_um=1000.0, slices=4))
        >>> place = np.array([[300.0, 4.5, 4.5]])
        >>> volume.add_cells(place, np.array([1.0]), diameter_um=20.0)
        >>> volume.mask.nonzero()
        (array([1]), array([4]), array([4]))
        >>> round(float((volume.light.sum((1, 2)) * volume.grid.plane_um).sum()))
        300
    """

    def __init__(self, grid: VolumeGrid) -> None:
        """Begin with a dark volume."""
        self.grid = grid
        size = grid.frame.size_px
        self.light = np.zeros((grid.planes, *size), dtype=np.float32)
        self.mask = np.zeros((grid.slices, *size), dtype=np.bool_)
        self.cells = np.zeros((grid.slices, *size), dtype=np.float32)

    def add_sheet(
        self,
        light: Float32Array,
        mask: BoolArray,
        depth_um: Float32Array | float,
        *,
        cells_per_pixel: float = 0.0,
    ) -> None:
        """Add a layer, flat or with a depth of its own at each pixel.

        Args:
            light: (y, x) emitted light per pixel.
            mask: (y, x) True where there are cells.
            depth_um: (y, x) depth of each pixel, or that of all of them, in um.
            cells_per_pixel: Mean number of cells in a pixel of the mask.
        """
        depth = np.broadcast_to(np.asarray(depth_um, np.float64), light.shape)
        lower, upper = self._shares(depth)
        size = light.size
        pixel = np.arange(size)
        for index, share in (lower, upper):
            weights = (light * share).ravel()
            flat = index.ravel() * size + pixel
            self.light += (
                np.bincount(flat, weights, self.light.size)
                .reshape(self.light.shape)
                .astype(np.float32)
            )
        y, x = np.nonzero(mask)
        where = self.grid.slice_of(depth[y, x])
        self.mask[where, y, x] = True
        self.cells[where, y, x] += cells_per_pixel

    def add_slices(self, light: Float32Array, mask: BoolArray, *, cells_per_voxel: float) -> None:
        """Add (slice, y, x) tissue that fills its slices evenly from front to back."""
        parts = self.grid.planes_per_slice
        self.light += np.repeat(light / parts, parts, axis=0)
        self.mask |= mask
        self.cells += np.float32(cells_per_voxel) * mask

    def add_cells(self, places: Float64Array, light: Float64Array, *, diameter_um: float) -> None:
        """Add cells one by one; each is a disc at its depth.

        Args:
            places: (cell, 3) depth in um, and y and x in pixels from the corner of the frame.
            light: (cell,) light of each.
            diameter_um: Diameter of a disc in um.
        """
        depth, y, x = places.T
        diameter_px = diameter_um / self.grid.frame.pixel_pitch_um
        (below, share_below), (above, share_above) = self._shares(depth)
        image, _ = render_discs(
            np.concatenate([below, above]),
            np.concatenate([y, y]),
            np.concatenate([x, x]),
            np.concatenate([light * share_below, light * share_above]),
            shape=self.light.shape,
            diameter_px=diameter_px,
        )
        self.light += image.astype(np.float32)
        where = self.grid.slice_of(depth)
        _, mask = render_discs(
            where, y, x, np.zeros_like(light), shape=self.mask.shape, diameter_px=diameter_px
        )
        self.mask |= mask
        row, column = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
        height, width = self.grid.frame.size_px
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        np.add.at(self.cells, (where[inside], row[inside], column[inside]), 1.0)

    @property
    def slice_light(self) -> Float32Array:
        """(slice, y, x) light of the slices."""
        return np.asarray(self._of_slices(self.light), dtype=np.float32)

    @property
    def depth_um(self) -> Float32Array:
        """(slice, y, x) mean depth of the light of each voxel in um; its middle in the dark."""
        heavy = self._of_slices(self.light)
        moment = self._of_slices(self.light * self.grid.plane_um[:, None, None])
        middle = np.broadcast_to(self.grid.slice_um[:, None, None], heavy.shape)
        lit = heavy > 0
        return np.where(lit, moment / np.where(lit, heavy, 1), middle).astype(np.float32)

    def _of_slices(self, planes: Float32Array | Float64Array) -> Float64Array:
        shape = self.grid.slices, self.grid.planes_per_slice, *planes.shape[1:]
        return np.asarray(planes.reshape(shape).sum(axis=1, dtype=np.float64))

    def _shares(
        self, depth_um: Float64Array
    ) -> tuple[tuple[IndexArray, Float64Array], tuple[IndexArray, Float64Array]]:
        """Return the planes around each depth, and the share of its light that goes to each."""
        place = np.clip(depth_um / self.grid.plane_step_um - 0.5, 0, self.grid.planes - 1)
        lower = np.floor(place).astype(np.intp)
        upper = np.minimum(lower + 1, self.grid.planes - 1)
        share = place - lower
        return (lower, 1 - share), (upper, share)
