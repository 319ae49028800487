"""Cells that lie along something: strands, networks, and the walls of glands; and large nuclei.

Every cell is drawn by itself. Numbers are assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.spatial import Voronoi

from fociscope.configuration import Range
from fociscope.simulation._fields import poisson_points
from fociscope.simulation.base import DrawnLayers
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.tissue import Density, Diameter, PlacedCells, apart
from fociscope.typing import BoolArray, Float64Array, IndexArray

__all__ = ["Glands", "Networks", "Nuclei", "Strands"]

Size = Annotated[float, Field(gt=0, le=100_000)]
PerArea = Annotated[float, Field(gt=0, le=1000)]

#: Objects of a layer and places of a strand that are drawn at the most.
MOST_OBJECTS, MOST_PLACES = 2000, 5000
#: Points along each side of a pixel at which nuclei are sampled.
SUBPIXELS = 3
#: Points of nuclei that are looked at together, and pixels by which their windows grow.
MOST_POINTS, SIDE_STEP = 2**17, 2
#: Harmonics of the outline of a nucleus, from the second on; the first would move it.
HARMONICS = 3


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
            harmonics = _harmonics(rng.random((1, HARMONICS, 2)), self.waviness)
            shape = 1 + _departure(np.exp(1j * angle), harmonics)
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
        centres, outlines, brightness = [], [], []
        for _ in range(layers):
            centres.append(self.places_px(rng, frame))
            drawn = self._shapes(rng, len(centres[-1]), frame.pixel_pitch_um)
            outlines.append(drawn[0])
            brightness.append(drawn[1])
        _add_nuclei(
            light,
            mask,
            np.repeat(np.arange(layers), [len(some) for some in centres]),
            np.concatenate(centres),
            _Outlines(*(np.concatenate(values) for values in zip(*outlines, strict=True))),
            np.concatenate(brightness),
            self.irregularity,
        )
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

    def _shapes(
        self, rng: np.random.Generator, count: int, pixel_pitch_um: float
    ) -> tuple[_Outlines, Float64Array]:
        """Draw outlines and (nucleus,) brightnesses."""
        sigma = self.brightness_sigma
        drawn = [
            (
                rng.standard_normal(),
                rng.random(),
                rng.random(),
                rng.lognormal(-(sigma**2) / 2, sigma),
                rng.random(2 * HARMONICS),
            )
            for _ in range(count)
        ]
        size, stretch, turn, brightness = (
            np.array([one[n] for one in drawn], dtype=np.float64) for n in range(4)
        )
        spread = np.maximum(0.2, 1 + self.diameter_cv * size)
        shapes = np.array([one[4] for one in drawn]).reshape(count, HARMONICS, 2)
        outlines = _Outlines(
            radius_px=np.maximum(self.cell_diameter_um / pixel_pitch_um * spread / 2, 1e-3),
            stretch=1 + ((1 + self.irregularity) - 1) * stretch,
            cosine=_cosine(math.pi * turn),
            sine=_sine(math.pi * turn),
            harmonics=_harmonics(shapes, self.irregularity),
        )
        return outlines, brightness


def _towards(angle: Float64Array) -> Float64Array:
    """(n,) angles -> (n, 2) unit vectors (y, x)."""
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def _cosine(angle: Float64Array) -> Float64Array:
    """Return cosines by the C library, whose last digit depends on the angle alone."""
    return np.array([math.cos(a) for a in angle.flat], dtype=np.float64).reshape(angle.shape)


def _sine(angle: Float64Array) -> Float64Array:
    return np.array([math.sin(a) for a in angle.flat], dtype=np.float64).reshape(angle.shape)


def _add_nuclei(
    light: Float64Array,
    mask: BoolArray,
    layer: IndexArray,
    centres: Float64Array,
    outlines: _Outlines,
    brightness: Float64Array,
    irregularity: float,
) -> None:
    """Draw nuclei into the (layer, y, x) light and mask, those of one size at a time.

    Args:
        light: receives the light of each nucleus, one after the other.
        mask: receives the pixels that a nucleus covers to the half, and those that hold a centre.
        layer: (nucleus,) layer of each.
        centres: (nucleus, 2) places in pixels.
        outlines: of the nuclei.
        brightness: (nucleus,).
        irregularity: as in `Nuclei`.
    """
    frame_px = light.shape[1:]
    reach = (outlines.radius_px * (1 + irregularity) * outlines.stretch + 1)[:, None]
    start = np.maximum(0, np.trunc(centres - reach).astype(np.intp))
    stop = np.maximum(0, np.trunc(centres + reach).astype(np.intp) + 1)
    size = np.maximum(0, np.minimum(stop, frame_px) - np.minimum(start, frame_px))
    parts = [(np.zeros(0, np.intp),) * 4]
    for some, side in _of_one_size(size.max(axis=1)):
        covered = outlines.covered(some, start[some] - centres[some], side)
        covered *= (np.arange(side) < size[some, :1])[:, :, None]
        covered *= (np.arange(side) < size[some, 1:])[:, None, :]
        which, row, column = covered.nonzero()
        points, which = covered[which, row, column], some[which]
        parts.append((which, row + start[which, 0], column + start[which, 1], points))
    which, row, column, points = (np.concatenate(column) for column in zip(*parts, strict=True))
    in_turn = np.argsort(which, kind="stable")  # sums of light depend on the order
    which, row, column, points = (v[in_turn] for v in (which, row, column, points))
    np.add.at(light, (layer[which], row, column), brightness[which] * (points / SUBPIXELS**2))
    half = points >= SUBPIXELS**2 / 2
    mask[layer[which[half]], row[half], column[half]] = True
    drawn = np.unique(which)
    home = np.floor(centres[drawn]).astype(np.intp)
    within = ((home >= 0) & (home < frame_px)).all(axis=1)
    mask[layer[drawn[within]], home[within, 0], home[within, 1]] = True


def _of_one_size(sides: IndexArray) -> Iterator[tuple[IndexArray, int]]:
    """Yield the numbers of nuclei whose windows have about one side, as many as memory likes."""
    sides = -(-sides // SIDE_STEP) * SIDE_STEP
    for side in np.unique(sides[sides > 0]).tolist():
        same = np.flatnonzero(sides == side)
        at_once = max(1, MOST_POINTS // (SUBPIXELS * side) ** 2)
        for first in range(0, len(same), at_once):
            yield same[first : first + at_once], side


class _Outlines(NamedTuple):
    """The outlines of nuclei, each value (nucleus,)."""

    radius_px: Float64Array
    stretch: Float64Array
    cosine: Float64Array
    sine: Float64Array
    harmonics: npt.NDArray[np.complex128]
    """(nucleus, harmonic)."""

    def covered(self, some: IndexArray, corner: Float64Array, side: int) -> IndexArray:
        """Return (nucleus, y, x): how many points of each pixel of a window lie in the nucleus.

        Args:
            some: (nucleus,) numbers of the nuclei.
            corner: (nucleus, 2) of the windows, from the centres of the nuclei.
            side: pixels along each side of the windows.
        """
        step = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS
        places = corner[:, :, None, None] + np.arange(side)[:, None] + step
        y, x = places.reshape(len(some), 2, -1).swapaxes(0, 1)
        y, x = y[:, :, None], x[:, None, :]
        cosine, sine, stretch = (
            values[some, None, None] for values in (self.cosine, self.sine, self.stretch)
        )
        place = np.empty((len(some), y.shape[1], x.shape[2]), dtype=np.complex128)
        place.real = (cosine * x - sine * y) * stretch
        place.imag = (cosine * y + sine * x) / stretch
        distance = np.abs(place)
        # No harmonic is needed where even the largest departure does not matter.
        departure = np.abs(self.harmonics[some]).sum(axis=1)[:, None, None] + 1e-9
        radius_px = self.radius_px[some, None, None]
        inside = distance <= radius_px * (1 - departure)
        is_near = ~inside & (distance <= radius_px * (1 + departure))
        near = some[is_near.nonzero()[0]]
        direction = place[is_near] / np.maximum(distance[is_near], 1e-12)
        edge = 1 + _departure(direction, self.harmonics[near])
        inside[is_near] = distance[is_near] <= self.radius_px[near] * edge
        lines = inside.reshape(len(some), side, SUBPIXELS, -1).sum(axis=2, dtype=np.intp)
        points: IndexArray = lines.reshape(len(some), side, side, SUBPIXELS).sum(axis=3)
        return points


def _harmonics(uniform: Float64Array, largest: float) -> npt.NDArray[np.complex128]:
    """Return (outline, harmonic): amplitude and phase of the departures from circles.

    Args:
        uniform: (outline, harmonic, 2) random numbers from 0 to 1.
        largest: greatest departure, relative to the radius.
    """
    amplitude, phase = largest / HARMONICS * uniform[..., 0], 2 * math.pi * uniform[..., 1]
    harmonics = np.empty(phase.shape, dtype=np.complex128)
    harmonics.real, harmonics.imag = amplitude * _cosine(phase), amplitude * _sine(phase)
    return harmonics


def _departure(
    direction: npt.NDArray[np.complex128], harmonics: npt.NDArray[np.complex128]
) -> Float64Array:
    """Return (point,) departures of outlines from circles, 0 in the mean, in some directions.

    Args:
        direction: (point,) complex numbers of modulus 1; their powers are the harmonics.
        harmonics: (point, harmonic) of the outline, or (1, harmonic) of the same one.
    """
    wave, power = np.zeros(direction.shape), direction
    for number in range(harmonics.shape[1]):
        power = power * direction
        wave += (harmonics[:, number] * power).real
    return wave
