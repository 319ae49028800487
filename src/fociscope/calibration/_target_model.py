"""The picture that a known target makes in every plane, wherever it lies on the sensor.

The target's points are emitters. What pixels anywhere would collect of them is drawn once, see
`picture`, and read off at the place where each pixel sees the target.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from fociscope.calibration._psf_fit import PsfFitModel
from fociscope.calibration._rendering import SPLINE_ORDER, RenderGrid, render_oversampled
from fociscope.imager.registration import Similarity
from fociscope.typing import Float64Array

__all__ = ["TARGET_WINDOW_ENERGY", "TargetModel", "sample_rendering"]


TARGET_WINDOW_ENERGY = 0.998
"""Share of the light that kernels hold."""
FARTHEST_ROTATION_DEG = 20.0
LARGEST_SCALE = 1.25


def sample_rendering(
    picture: Float64Array,
    render_grid: RenderGrid,
    at: Similarity,
    *,
    frame: tuple[int, int],
    target_shape: tuple[int, ...],
    pitch_um: float,
) -> Float64Array:
    """Return (y, x): what the pixels of a frame collect of a target that lies there by `at`."""
    axes = [(np.arange(side) - (side - 1) / 2) * pitch_um for side in frame]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    seen_px = at.inverse().apply(points) / pitch_um
    middle = (np.array(target_shape) - 1) / 2
    fine = (seen_px + middle + render_grid.radius_px) * render_grid.steps + render_grid.steps // 2
    return np.asarray(
        ndimage.map_coordinates(
            picture, np.moveaxis(fine, -1, 0), order=SPLINE_ORDER, mode="constant", prefilter=False
        )
    )


class TargetModel:
    """A target in all planes of all sensors, for `separable.fit`.

    Parameters: those of the PSF (`PsfFitModel`); then for each sensor the shift (y, x)
    in pixels, the rotation in degrees and the scale that take the target to the sensor.
    """

    def __init__(
        self,
        target: Float64Array,
        stacks: list[Float64Array],
        distances_um: list[Float64Array],
        *,
        fit_model: PsfFitModel,
        pixel_pitch_um: float,
        placed: list[Similarity],
    ) -> None:
        """Take the target's pictures as blocks.

        Where the target's points lie farther apart than the pixels of sensor A, kernels are drawn
        on that wider grid; `placed` says so, and stays as it is during a fit.

        Args:
            target: (y, x) emission.
            stacks: of each sensor, (depth, y, x).
            distances_um: of each sensor, (depth,).
            fit_model: of the PSF, with its start values.
            pixel_pitch_um: side of a pixel, of the sensors and of the target.
            placed: of each sensor, roughly where the target lies.
        """
        self.target, self.fit_model = target, fit_model
        self.pixel_pitch_um, self.distances_um = pixel_pitch_um, distances_um
        self.frame_px = (stacks[0].shape[1], stacks[0].shape[2])
        self.shape = self.frame_px
        planes = len(distances_um[0])
        self.data = np.concatenate(stacks).reshape(planes * len(stacks), -1)
        self.seen = np.ones(self.data.shape, dtype=np.bool_)
        self.plane = np.arange(len(self.data))
        self.sensor = self.plane // planes
        where = [
            [*(np.array(s.shift_um) / pixel_pitch_um), s.rotation_deg, s.scale] for s in placed
        ]
        reach = [
            [self.frame_px[0] / 2, self.frame_px[1] / 2, FARTHEST_ROTATION_DEG] for _ in placed
        ]
        self.start = np.concatenate([fit_model.start, *where])
        self.lower = np.concatenate(
            [fit_model.lower, *([*(-np.array(r)), 1 / LARGEST_SCALE] for r in reach)]
        )
        self.upper = np.concatenate([fit_model.upper, *([*r, LARGEST_SCALE] for r in reach)])
        steps = [0.01, 0.01, 0.02, 2e-4]
        self.step = np.concatenate([fit_model.step(pixel_pitch_um), *(steps for _ in placed)])
        shared = np.broadcast_to(np.arange(fit_model.count), (len(self.data), fit_model.count))
        own = fit_model.count + 4 * self.sensor[:, None] + np.arange(4)
        self.moved_by = np.concatenate([shared, own], axis=1).astype(np.intp)
        self._slope = self._background_columns()
        self._point_pitch_um = pixel_pitch_um * placed[0].scale
        self._render_grids = [
            [
                RenderGrid.from_psf(
                    fit_model.psf,
                    float(z),
                    self._point_pitch_um,
                    energy=TARGET_WINDOW_ENERGY,
                    most_px=max(self.frame_px),
                )
                for z in distance
            ]
            for distance in distances_um
        ]
        self._pictures: dict[tuple[float, ...], list[Float64Array]] = {}

    def placement(self, sensor: int) -> slice:
        """Return which of the parameters take the target to a sensor."""
        first = self.fit_model.count + 4 * sensor
        return slice(first, first + 4)

    def similarity(self, parameters: Float64Array, sensor: int) -> Similarity:
        """Return what takes the target to a sensor."""
        y, x, rotation_deg, scale = (float(v) for v in parameters[self.placement(sensor)])
        pitch = self.pixel_pitch_um
        return Similarity((y * pitch, x * pitch), rotation_deg, scale)

    def columns(self, parameters: Float64Array) -> Float64Array:
        """Return (block, 4, pixel): the target's picture, evenness, and slopes along y and x."""
        return self.columns_at(parameters)

    def columns_at(self, parameters: Float64Array, farther_um: float = 0.0) -> Float64Array:
        """Return the columns with the target moved away from each sensor."""
        columns = np.empty((len(self.data), 4, self.data.shape[1]))
        columns[:, 1:] = self._slope
        planes = len(self.distances_um[0])
        for sensor in range(len(self.distances_um)):
            at = self.similarity(parameters, sensor)
            pictures = self._fine(sensor, parameters, farther_um)
            for number, picture in enumerate(pictures):
                seen = sample_rendering(
                    picture,
                    self._render_grids[sensor][number],
                    at,
                    frame=self.frame_px,
                    target_shape=self.target.shape,
                    pitch_um=self.pixel_pitch_um,
                )
                columns[sensor * planes + number, 0] = seen.ravel()
        return columns

    def _fine(self, sensor: int, parameters: Float64Array, farther_um: float) -> list[Float64Array]:
        """Return the fine pictures of all planes; they do not depend on where the target lies."""
        key = (sensor, *(float(v) for v in parameters[: self.fit_model.count]), farther_um)
        if key not in self._pictures:
            psf = self.fit_model.at(parameters)
            self._pictures[key] = [
                render_oversampled(
                    self.target,
                    psf,
                    float(max(distance + farther_um, 0.0)),
                    pitch_um=self._point_pitch_um,
                    render_grid=render_grid,
                )
                for distance, render_grid in zip(
                    self.distances_um[sensor], self._render_grids[sensor], strict=True
                )
            ]
            while len(self._pictures) > 8 * len(self.distances_um):
                self._pictures.pop(next(iter(self._pictures)))
        return self._pictures[key]

    def _background_columns(self) -> Float64Array:
        """Return (3, pixel): evenness and slopes, of size 1."""
        axes = [np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in self.frame_px]
        y, x = np.meshgrid(*axes, indexing="ij")
        return np.stack([np.ones(y.size), y.ravel(), x.ravel()])
