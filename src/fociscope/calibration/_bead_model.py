"""The picture that beads make in every plane, as a function of the PSF and of where they are.

A block is one bead's window in one plane of one sensor. Its brightness, the background and the
background's slope are its own, so bleaching, changed exposures and uneven light do no harm. Other
spots that send light into the window are part of the background: their brightness is free as well,
their place is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fociscope.calibration._beads import Bead, Spots
from fociscope.calibration._psf_fit import PsfFitModel
from fociscope.calibration._rendering import BeadRendering, RenderGrid
from fociscope.imager.psf import KERNEL_ENERGY
from fociscope.typing import Float64Array

__all__ = ["BeadModel", "Places"]

Places = Mapping[tuple[int, Bead], tuple[float, float]]
"""(sensor, spot) -> (y, x) in pixels, where it is known better than `Bead.centre_px`."""

FARTHEST_OFFSET_PX = 1.5
"""A bead lies within so many pixels of the brightest one."""
OFFSET_STEP_PX = 0.01
FARTHEST_ZERO_UM = 500.0
"""The zero of the depths may be wrong by so much."""
DEPTH_STEP_UM = 0.5
NEIGHBOUR_SHARE = 1e-3
"""A neighbour counts in planes where it lights the window by this share of its peak."""


@dataclass(frozen=True)
class _Seen:
    """One bead in one sensor's stack, with its neighbours."""

    sensor: int
    bead: Bead
    neighbours: list[Bead]


class BeadModel:
    """All beads of all sensors, for `separable.fit`.

    Parameters: those of the PSF (`PsfFitModel`), an offset of all depths if it is free, then (y, x)
    in pixels of each bead from its window's middle.
    """

    def __init__(
        self,
        stacks: list[Float64Array],
        distances_um: list[Float64Array],
        spots: list[Spots],
        *,
        fit_model: PsfFitModel,
        pitches_um: tuple[float, ...],
        radius_px: int,
        free_depth: bool = False,
        depth_offset_um: float = 0.0,
        places: Places | None = None,
    ) -> None:
        """Cut the windows.

        Args:
            stacks: of each sensor, (depth, y, x).
            distances_um: of each sensor, (depth,) of the beads from it.
            spots: of each sensor.
            fit_model: of the PSF, with its start values.
            pitches_um: of each sensor, the side of a pixel.
            radius_px: of the windows.
            free_depth: fit one offset that is added to all depths.
            depth_offset_um: where its search begins.
            places: of spots, from an earlier fit.
        """
        self.fit_model, self.pitches_um, self.radius_px = fit_model, pitches_um, radius_px
        self.free_depth, self.distances_um = free_depth, distances_um
        self.frame_px = (stacks[0].shape[1], stacks[0].shape[2])
        self._places = places or {}
        self.seen_beads = [
            _Seen(sensor, bead, found.neighbours(bead, 2 * radius_px))
            for sensor, found in enumerate(spots)
            for bead in found.beads
        ]
        planes, beads, side = len(distances_um[0]), len(self.seen_beads), 2 * radius_px + 1
        self.shape = (side, side)
        data, seen = [], []
        for one in self.seen_beads:
            sound = np.broadcast_to(spots[one.sensor].sound, stacks[one.sensor].shape)
            data.append(self._window(stacks[one.sensor], one.bead))
            seen.append(self._window(sound.astype(np.float64), one.bead) > 0)
        self.data = np.concatenate(data).reshape(-1, side * side)
        self.seen = np.concatenate(seen).reshape(-1, side * side)
        self.sensor = np.repeat([one.sensor for one in self.seen_beads], planes).astype(np.intp)
        self.plane = np.tile(np.arange(planes), beads) + self.sensor * planes
        self.bead = np.repeat(np.arange(beads), planes)
        self._set_search(depth_offset_um)
        shared = np.broadcast_to(np.arange(self.shared), (len(self.bead), self.shared))
        own = self.shared + 2 * self.bead[:, None] + np.arange(2)
        self.moved_by = np.concatenate([shared, own], axis=1).astype(np.intp)
        self._slope = self._background_columns()
        self._render_grids = [
            RenderGrid.from_psf(
                fit_model.psf, float(z), pitch, energy=KERNEL_ENERGY, most_px=2 * radius_px
            )
            for distance, pitch in zip(distances_um, pitches_um, strict=False)
            for z in distance
        ]
        self._drawn: dict[tuple[float, ...], tuple[list[BeadRendering], Float64Array]] = {}

    def _set_search(self, depth_offset_um: float) -> None:
        """Set where the search begins, its bounds and its steps."""
        offset = [
            np.subtract(self._place(one.sensor, one.bead), (one.bead.y_px, one.bead.x_px))
            for one in self.seen_beads
        ]
        far = np.full(2 * len(self.seen_beads), FARTHEST_OFFSET_PX)
        # What sensor A gains in distance, B loses.
        least = -float(self.distances_um[0].min())
        most = (
            float(self.distances_um[1].min()) if len(self.distances_um) == 2 else FARTHEST_ZERO_UM
        )
        depth = np.array([[min(max(depth_offset_um, least), most), least, most, DEPTH_STEP_UM]])
        starts, lowest, highest, steps = depth[: int(self.free_depth)].T
        fit_model = self.fit_model
        self.start = np.concatenate([fit_model.start, starts, np.ravel(offset)])
        self.lower = np.concatenate([fit_model.lower, lowest, -far])
        self.upper = np.concatenate([fit_model.upper, highest, far])
        moves = np.full(far.size, OFFSET_STEP_PX)
        self.step = np.concatenate([fit_model.step(self.pitches_um[0]), steps, moves])

    @property
    def shared(self) -> int:
        """How many parameters all blocks share; the beads' positions follow."""
        return self.fit_model.count + self.free_depth

    def positions_px(self, parameters: Float64Array) -> Float64Array:
        """Return (bead, 2): (y, x) on the sensor's frame."""
        middle = np.array([(one.bead.y_px, one.bead.x_px) for one in self.seen_beads], dtype=float)
        return middle + parameters[self.shared :].reshape(-1, 2)

    def distance_um(self, parameters: Float64Array, sensor: int) -> Float64Array:
        """Return (depth,) the distances from a sensor, with the depth offset where it is free."""
        offset_um = float(parameters[self.shared - 1]) if self.free_depth else 0.0
        return np.maximum(self.distances_um[sensor] + offset_um * (1 - 2 * sensor), 0.0)

    def columns(self, parameters: Float64Array) -> Float64Array:
        """Return (block, 4 + neighbours, pixel): kernel, evenness, slopes, other spots' light."""
        return self.columns_at(parameters)

    def columns_at(self, parameters: Float64Array, farther_um: float = 0.0) -> Float64Array:
        """Return the columns with all beads moved away from their sensor."""
        offset_px = parameters[self.shared :].reshape(-1, 2)
        radius = self.radius_px
        most = max((len(one.neighbours) for one in self.seen_beads), default=0)
        columns = np.empty((len(self.bead), 4 + most, (2 * radius + 1) ** 2))
        light, around = self._lights(parameters, farther_um, most)
        columns[:, 1:4], columns[:, 4:] = self._slope, around
        for block, (number, plane) in enumerate(zip(self.bead, self.plane, strict=True)):
            y, x = (float(v) for v in offset_px[number])
            columns[block, 0] = light[plane].at((y, x), radius).ravel()
        return columns

    def _lights(
        self, parameters: Float64Array, farther_um: float, most: int
    ) -> tuple[list[BeadRendering], Float64Array]:
        """Return each plane's light, and (block, neighbour, pixel) that of other spots.

        Neither depends on the beads' positions, which most steps of a search move alone.
        """
        key = (farther_um, *(float(v) for v in parameters[: self.shared]))
        if key not in self._drawn:
            psf = self.fit_model.at(parameters)
            every = [
                (float(z) + farther_um, self.pitches_um[sensor])
                for sensor in range(len(self.distances_um))
                for z in self.distance_um(parameters, sensor)
            ]
            light = [
                BeadRendering(psf, *plane, render_grid)
                for plane, render_grid in zip(every, self._render_grids, strict=True)
            ]
            while len(self._drawn) > self.shared + 1:
                self._drawn.pop(next(iter(self._drawn)))
            self._drawn[key] = light, self._neighbours(light, most)
        return self._drawn[key]

    def _neighbours(self, light: list[BeadRendering], most: int) -> Float64Array:
        """Return (block, neighbour, pixel): the light of other spots in each window."""
        around = np.zeros((len(self.bead), most, (2 * self.radius_px + 1) ** 2))
        for block, (number, plane) in enumerate(zip(self.bead, self.plane, strict=True)):
            one = self.seen_beads[number]
            for column, other in enumerate(one.neighbours):
                y, x = self._place(one.sensor, other)
                move = y - one.bead.y_px, x - one.bead.x_px
                if max(abs(n) for n in move) < self.radius_px + self._render_grids[plane].radius_px:
                    seen = light[plane].at(move, self.radius_px)
                    if light[plane].illuminates(seen, NEIGHBOUR_SHARE):
                        around[block, column] = seen.ravel()
        return around

    def _place(self, sensor: int, spot: Bead) -> tuple[float, float]:
        return self._places.get((sensor, spot), spot.centre_px)

    def _window(self, planes: Float64Array, bead: Bead) -> Float64Array:
        """Return (depth, k, k) around a bead, 0 outside the frame."""
        radius = self.radius_px
        padded = np.pad(planes, ((0, 0), (radius, radius), (radius, radius)))
        rows = slice(bead.y_px, bead.y_px + 2 * radius + 1)
        columns = slice(bead.x_px, bead.x_px + 2 * radius + 1)
        return padded[:, rows, columns]

    def _background_columns(self) -> Float64Array:
        """Return (3, pixel): evenness and slopes, of size 1."""
        axis = np.arange(-self.radius_px, self.radius_px + 1) / self.radius_px
        y, x = np.meshgrid(axis, axis, indexing="ij")
        return np.stack([np.ones(y.size), y.ravel(), x.ravel()])
