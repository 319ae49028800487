"""Tissue: tumour foci of many cells, isolated micro-foci of a few, and single cells.

Each kind is a configuration with one method that draws a scene's layers from a random generator.
The defaults of `PerlinFoci` follow the statistics measured on the published sample figure
(`docs/references.md`, "The specimen"); numbers of the other kinds are assumptions.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.spatial import cKDTree

from fociscope.configuration import Configuration
from fociscope.simulation._cells import render_cells, render_discs
from fociscope.simulation._fields import poisson_points
from fociscope.simulation._perlin import foci_masks
from fociscope.simulation.base import DrawnLayers, ShareRange, Specimen
from fociscope.simulation.frame import DrawnFrame
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = [
    "Density",
    "Diameter",
    "FilledTissue",
    "MicroFoci",
    "PerlinFoci",
    "PlacedCells",
    "SingleCells",
    "apart",
]

#: How often a place is sought for a micro-focus before it is left out.
PLACING_TRIES = 200
#: Share of the plane that discs of half the separation may cover: well below the 0.547 at which
#: random sequential placing jams (Feder, J. Theor. Biol. 87:237-254, 1980).
LARGEST_PACKING = 0.3


Diameter = Annotated[float, Field(ge=0, le=1000)]
#: Cells of 10 um that touch are about 10 000 per mm^2.
Density = Annotated[float, Field(gt=0, le=100_000)]
CellCount = Annotated[int, Field(ge=1, le=1000)]


class _Cells(Configuration):
    """The fields of specimens that are made of cells."""

    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 1.1
    """Standard deviation of the logarithm of a cell's brightness."""
    cell_diameter_um: Diameter = 15.0


class FilledTissue(Specimen, _Cells):
    """A specimen whose masks are filled with cells."""

    cells_per_mm2: Density = 300.0
    """Mean density of the cells inside the mask."""

    def cells_per_unit_light(self, pixel_pitch_um: float) -> float:
        """Return the mean number of cells in a pixel of the mask, whose mean light is 1."""
        return self.cells_per_mm2 * (pixel_pitch_um / 1000) ** 2

    def filled(
        self, rng: np.random.Generator, masks: BoolArray, pixel_pitch_um: float
    ) -> Float32Array:
        """Draw the light of (layer, y, x) masks that are filled with cells."""
        return render_cells(
            rng,
            masks,
            pixel_pitch_um=pixel_pitch_um,
            density_per_mm2=self.cells_per_mm2,
            brightness_sigma=self.brightness_sigma,
            cell_diameter_um=self.cell_diameter_um,
            autofluorescence=self.autofluorescence,
            autofluorescence_cv=self.autofluorescence_cv,
            autofluorescence_feature_px=self.autofluorescence_feature_um / pixel_pitch_um,
        )


class PerlinFoci(FilledTissue):
    r"""Tumour foci as thresholded gradient noise: the published specimen, and the default.

    The noise is a sum of octaves $k = 0 \dots K - 1$, each with the lattice spacing $f / 2^k$ and
    the amplitude $p^k$ (Perlin, ACM Trans. Graph. 21:681, 2002). The threshold of a layer is the
    quantile that gives it its coverage. Cells fill the mask at random places.

    Attributes:
        coverage: Least and greatest share of a layer that is tumour; drawn evenly for each layer.
        feature_um: Lattice spacing of the coarsest octave in um, $f$.
        octaves: Number of octaves, $K$.
        persistence: Amplitude of an octave relative to the one before, $p$.
        cells_per_mm2: Mean density of cells inside the mask, per mm^2.
        cell_diameter_um: Diameter of a cell's disc in um. 90 um is fitted to the texture of the
            published sample figure.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import PerlinFoci, simulate
        >>> scenes = simulate(1, seed=0, specimen=PerlinFoci(coverage=(0.2, 0.2)))
        >>> round(float(scenes.mask.mean()), 3)
        0.2
    """

    kind: Literal["perlin-foci"] = "perlin-foci"
    coverage: ShareRange = (0.05, 0.55)
    """Least and greatest share of a layer that is tumour; drawn evenly for each layer."""
    feature_um: Annotated[float, Field(gt=0)] = 1700.0
    """Lattice spacing of the coarsest octave of the noise that makes the foci."""
    octaves: Annotated[int, Field(ge=1, le=8)] = 4
    persistence: Annotated[float, Field(gt=0, le=1)] = 0.5
    cell_diameter_um: Diameter = 90.0
    """Fitted to the texture of the sample figure, whose grain is wider than a cell: it is a clump
    of cells, or the blur of the figure's resampling."""

    @model_validator(mode="before")
    @classmethod
    def _former_name(cls, values: Any) -> Any:
        """Read recipes of version 0.1, where `spread_um` was a quarter of the diameter."""
        if isinstance(values, dict) and isinstance(values.get("spread_um"), int | float):
            former = {k: v for k, v in values.items() if k != "spread_um"}
            return {"cell_diameter_um": 4 * values["spread_um"], **former}
        return values

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the masks, and cells inside them."""
        masks = foci_masks(
            rng,
            coverage=rng.uniform(*self.coverage, layers),
            frame_px=frame.size_px,
            feature_px=self.feature_um / frame.pixel_pitch_um,
            octaves=self.octaves,
            persistence=self.persistence,
        )
        return DrawnLayers(self.filled(rng, masks, frame.pixel_pitch_um), masks)


class PlacedCells(Specimen, _Cells):
    """A specimen of cells that are drawn one by one; a mean cell's light is 1 where it lies."""

    def cells_per_unit_light(self, pixel_pitch_um: float) -> float:
        """Return the share of a mean cell that lies in a pixel which it fills, or in its own."""
        return 1 / self._cell_light(pixel_pitch_um)

    def _cell_light(self, pixel_pitch_um: float) -> float:
        return max(1.0, math.pi / 4 * (self.cell_diameter_um / pixel_pitch_um) ** 2)

    @abstractmethod
    def places_px(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Draw the (cell, 2) places (y, x) of one layer's cells, in pixels from the corner."""

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the places of each layer, then cells there, and autofluorescence."""
        places_px = [self.places_px(rng, frame) for _ in range(layers)]
        layer = np.repeat(np.arange(layers), [len(places) for places in places_px])
        y_px, x_px = np.concatenate(places_px).T
        sigma = self.brightness_sigma
        brightness = rng.lognormal(-(sigma**2) / 2, sigma, len(layer))
        shape = (layers, *frame.size_px)
        light, mask = render_discs(
            layer,
            y_px,
            x_px,
            brightness * self._cell_light(frame.pixel_pitch_um),
            shape=shape,
            diameter_px=self.cell_diameter_um / frame.pixel_pitch_um,
        )
        haze = self.draw_autofluorescence(rng, shape, frame.pixel_pitch_um)
        return DrawnLayers((light + haze).astype(np.float32), mask)


class SingleCells(PlacedCells):
    r"""Cells that lie alone: scattered, in loose groups, or away from one another.

    Processes of points: `poisson`, all places alike; `clustered`, groups of cells around scattered
    centres with a Gaussian spread (Thomas, Biometrika 36:18, 1949); `repulsive`, no two cells
    nearer than half the distance $1 / \sqrt{n}$ of cells on a grid of the density $n$.

    Attributes:
        cells_per_mm2: Mean density of cells, per mm^2; of the repulsive process, of those that seek
            a place.
        process: Process of points.
        group_cells: Mean number of cells of a group of the clustered process.
        group_um: Standard deviation of its spread in um.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import SingleCells, simulate
        >>> scenes = simulate(1, seed=0, specimen=SingleCells(cells_per_mm2=2.0))
        >>> bool(scenes.mask.any())
        True
    """

    kind: Literal["single-cells"] = "single-cells"
    cells_per_mm2: Density = 5.0
    process: Literal["poisson", "clustered", "repulsive"] = "poisson"
    group_cells: Annotated[float, Field(gt=0, le=10_000)] = 6.0
    """Mean number of cells of a group of the clustered process."""
    group_um: Annotated[float, Field(gt=0, le=10_000)] = 150.0
    """Standard deviation of a group's spread."""

    def places_px(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Draw places anywhere in the frame, by the process."""
        processes = {
            "poisson": self._poisson,
            "clustered": self._clustered,
            "repulsive": self._repulsive,
        }
        return processes[self.process](rng, frame)

    def _poisson(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        count = rng.poisson(_mean_count(self.cells_per_mm2, frame))
        return rng.uniform(0, frame.size_px, (count, 2))

    def _clustered(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        spread_px = self.group_um / frame.pixel_pitch_um
        per_px2 = self.cells_per_mm2 / self.group_cells * (frame.pixel_pitch_um / 1000) ** 2
        centres = poisson_points(rng, frame.size_px, per_px2=per_px2, margin_px=4 * spread_px)
        places = np.repeat(centres, rng.poisson(self.group_cells, len(centres)), axis=0)
        return np.asarray(places + rng.normal(0, spread_px, places.shape))

    def _repulsive(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        apart_px2 = 250_000 / self.cells_per_mm2 / frame.pixel_pitch_um**2
        return apart(self._poisson(rng, frame), apart_px2)


class MicroFoci(PlacedCells):
    """Isolated clusters of a few cells.

    Attributes:
        foci_per_mm2: Mean density of foci, per mm^2.
        cells_per_focus: Fewest and most cells of a focus.
        focus_radius_um: Radius in um within which the cells of a focus lie evenly.
        separation_um: Least distance in um between the centres of two foci of a layer.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import MicroFoci, simulate
        >>> scenes = simulate(1, seed=0, specimen=MicroFoci(cells_per_focus=(3, 5)))
        >>> bool(scenes.mask.mean() < 0.05)
        True
    """

    kind: Literal["micro-foci"] = "micro-foci"
    foci_per_mm2: Annotated[float, Field(gt=0, le=1000)] = 1.5
    cells_per_focus: tuple[CellCount, CellCount] = (2, 8)
    """Fewest and most cells of a focus."""
    focus_radius_um: Annotated[float, Field(gt=0, le=10_000)] = 60.0
    """The cells of a focus lie evenly within this distance of its centre."""
    separation_um: Annotated[float, Field(ge=0)] = 300.0
    """Least distance between the centres of two foci of a layer."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.cells_per_focus[0] > self.cells_per_focus[1]:
            raise ValueError("cells_per_focus: the first number must not be above the second")
        packing = self.foci_per_mm2 * math.pi / 4 * (self.separation_um / 1000) ** 2
        if packing > LARGEST_PACKING:
            most = self.foci_per_mm2 * LARGEST_PACKING / packing
            raise ValueError(
                f"foci {self.separation_um:g} µm apart can be at most {most:.2g} per mm^2; "
                "lower foci_per_mm2 or separation_um"
            )
        return self

    def places_px(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Draw foci anywhere in the frame; one that finds no place between others is left out."""
        centres = self._centres(rng, rng.poisson(_mean_count(self.foci_per_mm2, frame)), frame)
        fewest, most = self.cells_per_focus
        centre = np.repeat(centres, rng.integers(fewest, most + 1, len(centres)), axis=0)
        # The square root spreads the cells evenly over the area.
        distance = (
            self.focus_radius_um / frame.pixel_pitch_um * np.sqrt(rng.uniform(size=len(centre)))
        )
        azimuth = rng.uniform(0, 2 * math.pi, len(centre))
        towards = np.stack([np.sin(azimuth), np.cos(azimuth)], axis=-1)
        return np.asarray(centre + distance[:, None] * towards)

    def _centres(
        self,
        rng: np.random.Generator,
        count: int,
        frame: DrawnFrame,
    ) -> Float64Array:
        """Place (focus, 2) centres one after another, each away from those before it."""
        apart_px2 = (self.separation_um / frame.pixel_pitch_um) ** 2
        centres = np.empty((0, 2))
        for _ in range(count):
            tries = rng.uniform(0, frame.size_px, (PLACING_TRIES, 2))
            between = ((tries[:, None] - centres) ** 2).sum(-1)
            free = tries[(between >= apart_px2).all(-1)]
            centres = np.concatenate([centres, free[:1]])
        return centres


def apart(places_px: Float64Array, apart_px2: float) -> Float64Array:
    """Return those (place, 2) that lie away from all that were kept before them.

    Args:
        places_px: (place, 2) in the order in which they seek a place.
        apart_px2: square of the least distance.
    """
    if not len(places_px):
        return places_px
    pairs = cKDTree(places_px).query_pairs(math.sqrt(apart_px2), output_type="ndarray")
    kept = np.ones(len(places_px), dtype=np.bool_)
    # By the later of the two: whether the earlier one is kept has been decided by then.
    for earlier, later in sorted(np.sort(pairs, axis=-1).tolist(), key=lambda pair: pair[1]):
        if kept[earlier]:
            kept[later] = False
    return places_px[kept]


def _mean_count(per_mm2: float, frame: DrawnFrame) -> float:
    """Return the mean number of objects in a layer of the frame, of a density per mm^2."""
    return per_mm2 * math.prod(frame.size_px) * (frame.pixel_pitch_um / 1000) ** 2
