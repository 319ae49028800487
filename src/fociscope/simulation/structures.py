"""Cells that lie along something: strands, networks, and the walls of glands; and large nuclei.

Every cell is drawn by itself. Numbers are assumptions.
"""

from __future__ import annotations

import cmath
import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.spatial import Voronoi

from fociscope.configuration import Range
from fociscope.simulation._fields import poisson_points
from fociscope.simulation.base import DrawnLayers
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.tissue import Density, Diameter, PlacedCells, apart
from fociscope.typing import BoolArray, Float64Array

__all__ = ["Glands", "Networks", "Nuclei", "Strands"]

Size = Annotated[float, Field(gt=0, le=100_000)]
PerArea = Annotated[float, Field(gt=0, le=1000)]

#: Objects of a layer and places of a strand that are drawn at the most.
MOST_OBJECTS, MOST_PLACES = 2000, 5000
#: Points along each side of a pixel at which nuclei are sampled.
SUBPIXELS = 3


class Strands(PlacedCells):
    r"""Curved strands of cells, one behind the other: fibres, vessels, single files.

    The direction of a strand is a random walk; over its persistence length $p$ it turns by about
    one radian.

    Attributes:
        strands_per_mm2: Mean density of strands, per mm^2.
        length_um: Least and greatest length of a strand in um.
        persistence_um: Length in um over which a strand keeps its direction, $p$.
        spacing_um: Distance in um from a cell to the next.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import Strands, simulate
        >>> scenes = simulate(1, seed=0, specimen=Strands(length_um=(800, 2000)))
        >>> bool(scenes.mask.mean() < 0.2)
        True
    """

    kind: Literal["strands"] = "strands"
    strands_per_mm2: PerArea = 0.4
    length_um: Range = (500.0, 3000.0)
    persistence_um: Size = 800.0
    spacing_um: Size = 14.0
    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 0.4

    def places_px(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Draw strands that begin anywhere in the frame or around it."""
        pitch_um = frame.pixel_pitch_um
        starts = poisson_points(
            rng,
            frame.size_px,
            per_px2=self.strands_per_mm2 * (pitch_um / 1000) ** 2,
            margin_px=self.length_um[1] / pitch_um,
        )[:MOST_OBJECTS]
        strands = [np.empty((0, 2))]
        for start in starts:
            number = min(round(rng.uniform(*self.length_um) / self.spacing_um) + 1, MOST_PLACES)
            turn = math.sqrt(self.spacing_um / self.persistence_um)
            heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, turn, number))
            strands.append(start + self.spacing_um / pitch_um * np.cumsum(_towards(heading), 0))
        return np.concatenate(strands)


class Networks(PlacedCells):
    """Cells along the borders of a mosaic: a network of vessels or of septa.

    Attributes:
        mesh_um: Mean side of a mesh in um: the square root of its mean area.
        spacing_um: Distance in um from a cell to the next.
        jitter_um: Standard deviation in um of a cell's place across and along the border.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import Networks, simulate
        >>> scenes = simulate(1, seed=0, specimen=Networks(mesh_um=600))
        >>> bool(scenes.mask.mean() < 0.3)
        True
    """

    kind: Literal["networks"] = "networks"
    mesh_um: Annotated[float, Field(ge=50, le=100_000)] = 550.0
    spacing_um: Size = 14.0
    jitter_um: Annotated[float, Field(ge=0, le=10_000)] = 3.0
    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 0.4

    def places_px(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Draw places along the borders of one mosaic."""
        mesh_px = self.mesh_um / frame.pixel_pitch_um
        points = poisson_points(rng, frame.size_px, per_px2=mesh_px**-2.0, margin_px=3 * mesh_px)[
            : 20 * MOST_OBJECTS
        ]
        if len(points) < 4:
            return np.empty((0, 2))
        diagram = Voronoi(points)
        ridges = np.array([pair for pair in diagram.ridge_vertices if min(pair) >= 0])
        if not len(ridges):
            return np.empty((0, 2))
        start, end = diagram.vertices[ridges[:, 0]], diagram.vertices[ridges[:, 1]]
        middle, size = (start + end) / 2, np.array(frame.size_px)
        near = ((middle > -2 * mesh_px) & (middle < size + 2 * mesh_px)).all(-1)
        start, end = start[near], end[near]
        length_um = np.linalg.norm(end - start, axis=-1) * frame.pixel_pitch_um
        number = rng.poisson(np.minimum(length_um / self.spacing_um, MOST_PLACES))
        along = rng.uniform(0, 1, int(number.sum()))[:, None]
        places = np.repeat(start, number, axis=0) * (1 - along) + along * np.repeat(
            end, number, axis=0
        )
        jitter_px = self.jitter_um / frame.pixel_pitch_um
        return np.asarray(places + rng.normal(0, jitter_px, places.shape))


class Glands(PlacedCells):
    """Glands: walls of cells around an empty lumen, round or wavy.

    Attributes:
        glands_per_mm2: Mean density of glands, per mm^2.
        radius_um: Least and greatest radius of a gland in um.
        rows: Fewest and most rows of cells in a wall.
        waviness: Greatest departure from a circle, relative to the radius.
        spacing_um: Distance in um from a cell to the next, and from a row to the next.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import Glands, simulate
        >>> scenes = simulate(1, seed=0, specimen=Glands(radius_um=(150, 300)))
        >>> bool(scenes.mask.mean() < 0.3)
        True
    """

    kind: Literal["glands"] = "glands"
    glands_per_mm2: PerArea = 0.6
    radius_um: Range = (100.0, 350.0)
    rows: tuple[Annotated[int, Field(ge=1, le=20)], Annotated[int, Field(ge=1, le=20)]] = (1, 2)
    waviness: Annotated[float, Field(ge=0, le=1)] = 0.2
    spacing_um: Size = 14.0
    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 0.4

    def places_px(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Draw glands anywhere in the frame or at its border; they may overlap."""
        pitch_um = frame.pixel_pitch_um
        centres = poisson_points(
            rng,
            frame.size_px,
            per_px2=self.glands_per_mm2 * (pitch_um / 1000) ** 2,
            margin_px=2 * self.radius_um[1] / pitch_um,
        )[:MOST_OBJECTS]
        walls = [np.empty((0, 2))]
        for centre in centres:
            radius_um = rng.uniform(*self.radius_um)
            rows = int(rng.integers(self.rows[0], max(self.rows) + 1))
            number = min(round(2 * math.pi * radius_um / self.spacing_um), MOST_PLACES) * rows
            angle = rng.uniform(0, 2 * math.pi, number)
            shape = 1 + _harmonics(rng, np.exp(1j * angle), self.waviness)
            row_um = (rng.integers(0, rows, number) - (rows - 1) / 2) * self.spacing_um
            away_px = (radius_um * shape + row_um) / pitch_um
            walls.append(centre + away_px[:, None] * _towards(angle))
        return np.concatenate(walls)


class Nuclei(PlacedCells):
    """Nuclei that are larger than a pixel, round or irregular, apart from one another.

    A nucleus glows evenly; centres keep a distance of the mean diameter times `separation`.

    Attributes:
        nuclei_per_mm2: Mean density of nuclei that seek a place, per mm^2.
        cell_diameter_um: Mean diameter of a nucleus in um.
        diameter_cv: Coefficient of variation of the diameter.
        irregularity: Greatest departure from a circle, relative to the radius.
        separation: Least distance between centres, relative to the mean diameter.
        brightness_sigma: Standard deviation of the logarithm of a nucleus's brightness.

    Examples:
        >>> from fociscope.simulation import Nuclei, simulate
        >>> scenes = simulate(1, seed=0, specimen=Nuclei(cell_diameter_um=150))
        >>> bool(scenes.mask.any())
        True
    """

    kind: Literal["nuclei"] = "nuclei"
    nuclei_per_mm2: Density = 8.0
    cell_diameter_um: Diameter = 180.0
    diameter_cv: Annotated[float, Field(ge=0, le=1)] = 0.2
    irregularity: Annotated[float, Field(ge=0, le=0.8)] = 0.25
    separation: Annotated[float, Field(ge=0, le=10)] = 0.9
    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 0.4

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw nuclei anywhere in the frame or at its border."""
        light = np.zeros((layers, *frame.size_px))
        mask = np.zeros(light.shape, dtype=np.bool_)
        for layer in range(layers):
            for centre in self.places_px(rng, frame):
                self._add(rng, light[layer], mask[layer], centre, frame)
        light += self.draw_autofluorescence(rng, light.shape, frame.pixel_pitch_um)
        return DrawnLayers(light.astype(np.float32), mask)

    def places_px(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Place centres one after the other, each away from those before it."""
        diameter_px = self.cell_diameter_um / frame.pixel_pitch_um
        seeking = poisson_points(
            rng,
            frame.size_px,
            per_px2=self.nuclei_per_mm2 * (frame.pixel_pitch_um / 1000) ** 2,
            margin_px=diameter_px,
        )[:MOST_OBJECTS]
        apart2 = (self.separation * diameter_px) ** 2
        return apart(seeking, apart2)

    def _add(
        self,
        rng: np.random.Generator,
        light: Float64Array,
        mask: BoolArray,
        centre: Float64Array,
        frame: DrawnFrame,
    ) -> None:
        """Draw one nucleus into the (y, x) light and mask of a layer."""
        spread = max(0.2, 1 + self.diameter_cv * rng.normal())
        radius_px = max(self.cell_diameter_um / frame.pixel_pitch_um * spread / 2, 1e-3)
        stretch, turn = rng.uniform(1, 1 + self.irregularity), rng.uniform(0, math.pi)
        sigma = self.brightness_sigma
        brightness = rng.lognormal(-(sigma**2) / 2, sigma)
        reach = radius_px * (1 + self.irregularity) * stretch + 1
        rows, columns = (slice(max(0, int(c - reach)), max(0, int(c + reach) + 1)) for c in centre)
        size = light[rows, columns].shape
        step = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS
        y = (rows.start - centre[0] + np.arange(size[0])[:, None] + step).ravel()[:, None]
        x = (columns.start - centre[1] + np.arange(size[1])[:, None] + step).ravel()
        along = (math.cos(turn) * y + math.sin(turn) * x) / stretch
        across = (math.cos(turn) * x - math.sin(turn) * y) * stretch
        place = across + 1j * along
        distance = np.abs(place)
        edge = 1 + _harmonics(rng, place / np.maximum(distance, 1e-12), self.irregularity)
        inside = distance <= radius_px * edge
        share = inside.reshape(size[0], SUBPIXELS, size[1], SUBPIXELS).mean((1, 3))
        light[rows, columns] += brightness * share
        home = tuple(math.floor(c) for c in centre)
        mask[rows, columns] |= share >= 0.5
        if all(0 <= place < n for place, n in zip(home, mask.shape, strict=True)):
            mask[home] |= bool(share.any())


def _towards(angle: Float64Array) -> Float64Array:
    """(n,) angles -> (n, 2) unit vectors (y, x)."""
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def _harmonics(
    rng: np.random.Generator, direction: npt.NDArray[np.complex128], largest: float
) -> Float64Array:
    """Return a smooth random function of the direction that is at most `largest`, 0 in the mean.

    Directions are complex numbers of modulus 1: their powers are the harmonics.
    """
    wave, power = np.zeros(direction.shape), direction
    for _ in (2, 3, 4):
        amplitude, phase = rng.uniform(0, largest / 3), rng.uniform(0, 2 * math.pi)
        power = power * direction
        wave += (amplitude * cmath.exp(1j * phase) * power).real
    return wave
