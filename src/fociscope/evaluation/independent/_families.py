"""Families of specimens that serve testing alone: no recipe may train on them.

A family draws one layer at a time: where cells are, how they glow, and what glows between them.
Lengths are in um; places are (y, x) from the corner of the frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from scipy.spatial import Voronoi

from fociscope.evaluation.independent._optics import SUBPIXELS, binned
from fociscope.evaluation.independent._rendering import (
    Image,
    counts_of,
    disc_cells,
    gaussian_cells,
    random_field,
)

__all__ = ["FAMILIES", "DrawnLayer", "Family", "Frame"]

#: Mean light between the cells, relative to the mean light where they are.
AUTOFLUORESCENCE = (0.02, 0.10)


class Frame(NamedTuple):
    """The frame that a layer is drawn in."""

    size_px: tuple[int, int]
    pitch_um: float

    @property
    def fine(self) -> tuple[int, int]:
        """(y, x) sub-pixels."""
        return self.size_px[0] * SUBPIXELS, self.size_px[1] * SUBPIXELS

    @property
    def step_um(self) -> float:
        """Side of a sub-pixel."""
        return self.pitch_um / SUBPIXELS

    @property
    def size_um(self) -> Image:
        """(y, x) in um."""
        return np.array(self.size_px) * self.pitch_um

    def positions(self) -> tuple[Image, Image]:
        """Return y (y, 1) and x (1, x) of the sub-pixels' middles, in um."""
        y, x = (np.arange(0.5, side, dtype=np.float64) * self.step_um for side in self.fine)
        return y[:, None], x[None, :]


class DrawnLayer(NamedTuple):
    """One layer: light on the fine grid, and the truth on the pixel grid."""

    light: Image
    """(y, x) emitted light per sub-pixel; a pixel with cells emits about 1."""
    mask: NDArray[np.bool_]
    """(y, x) pixels with cells."""
    cells: NDArray[np.int64]
    """(y, x) cells whose centre lies in each pixel."""


Draw = Callable[[np.random.Generator, Frame], DrawnLayer]


@dataclass(frozen=True)
class Family:
    """A kind of specimen of the test.

    Attributes:
        name: Name in tables and of its condition.
        summary: What it looks like, in words.
        draw: Draws one layer.

    Examples:
        >>> from fociscope.evaluation.independent import FAMILIES
        >>> FAMILIES["clusters"].summary
        'clusters of 2 to 20 cells'
    """

    name: str
    summary: str
    draw: Draw


def spectral_foci(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """Foci where a Gaussian random field with a power-law spectrum is high."""
    field = random_field(rng, frame.fine, rng.uniform(2.5, 4.5))
    region = field > np.quantile(field, 1 - rng.uniform(0.05, 0.5))
    return _filled(rng, frame, region, density_per_mm2=rng.uniform(200, 900))


def clusters(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """One to six clusters of 2 to 20 cells that touch."""
    places = []
    for _ in range(rng.integers(1, 7)):
        number = int(rng.integers(2, 21))
        radius = 9.0 * math.sqrt(number)
        places.append(rng.uniform(0, frame.size_um) + _in_disc(rng, number, radius))
    return _placed(rng, frame, np.concatenate(places), brightness_sigma=0.5)


def single_cells(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """One to five cells in the frame, each alone."""
    places = rng.uniform(0, frame.size_um, (rng.integers(1, 6), 2))
    return _placed(rng, frame, places, brightness_sigma=0.5)


def strands(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """One to four curved strands, a cell wide."""
    lines = [_curve(rng, frame) for _ in range(rng.integers(1, 5))]
    return _placed(rng, frame, np.concatenate(lines), brightness_sigma=0.3, diameter_um=12)


def network(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """A network of strands: the borders between Voronoi cells of scattered points."""
    size = frame.size_um
    points = rng.uniform(-0.5, 1.5, (rng.integers(24, 60), 2)) * size
    diagram = Voronoi(points)
    lines = []
    for one, other in diagram.ridge_vertices:
        if one < 0 or other < 0:
            continue
        start, end = diagram.vertices[[one, other]]
        if np.abs(np.stack([start, end]) - size / 2).max() < size.max() * 1.5:
            number = max(2, round(float(np.hypot(*(end - start))) / 14))
            lines.append(start + (end - start) * np.linspace(0, 1, number)[:, None])
    places = np.concatenate(lines)
    places += rng.normal(0, 3, places.shape)
    return _placed(rng, frame, places, brightness_sigma=0.4, diameter_um=12)


def glands(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """Two to seven glands: rings of one or two rows of cells around an empty lumen."""
    places = []
    for _ in range(rng.integers(2, 8)):
        centre, radius = rng.uniform(0, frame.size_um), rng.uniform(110, 320)
        rows = rng.integers(1, 3)
        number = round(2 * math.pi * radius / 13) * rows
        angle = rng.uniform(0, 2 * math.pi, number)
        wave = sum(
            rng.uniform(0, 0.2) / k * np.cos(k * angle + rng.uniform(0, 2 * math.pi))
            for k in (2, 3, 4)
        )
        distance = radius * (1 + wave) + rng.uniform(-7, 7, number) * rows
        places.append(centre + distance[:, None] * _direction(angle))
    return _placed(rng, frame, np.concatenate(places), brightness_sigma=0.4, diameter_um=13)


def dead_leaves(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """Discs of many sizes that cover one another; a third of them are filled with cells."""
    y, x = frame.positions()
    region, gain = np.zeros(frame.fine, dtype=bool), np.ones(frame.fine)
    for _ in range(160):  # from the back to the front
        radius = 50 * rng.uniform((50 / 500) ** 2, 1) ** (-1 / 2)  # power law, 50 to 500 um
        centre = rng.uniform(-0.1, 1.1, 2) * frame.size_um
        leaf = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
        region[leaf] = rng.random() < 1 / 3
        gain[leaf] = rng.lognormal(0, 0.4)
    if not region.any():
        region |= leaf
    return _filled(rng, frame, region, density_per_mm2=rng.uniform(300, 900), gain=gain)


def sheets(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """A dense sheet of cells with a wavy border, on one side of the frame."""
    y, x = frame.positions()
    angle = rng.uniform(0, 2 * math.pi)
    size = float(frame.size_um.max())
    across = (y - frame.size_um[0] / 2) * math.sin(angle) + (x - frame.size_um[1] / 2) * math.cos(
        angle
    )
    along = (x - frame.size_um[1] / 2) * math.sin(angle) - (y - frame.size_um[0] / 2) * math.cos(
        angle
    )
    border = rng.uniform(-0.3, 0.3) * size
    for k in (1, 2, 3):
        phase = rng.uniform(0, 2 * math.pi)
        border = border + rng.uniform(0, 0.1) * size / k * np.sin(
            2 * math.pi * k * along / size + phase
        )
    return _filled(rng, frame, across < border, density_per_mm2=rng.uniform(1000, 2500))


def clouds(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """Smooth clouds of light without any cell."""
    coarse = random_field(rng, (12, 12), rng.uniform(3, 5))
    factor = (frame.fine[0] / 12, frame.fine[1] / 12)
    field = zoom(coarse, factor, order=3, mode="nearest", grid_mode=True)
    light = np.exp(rng.uniform(0.3, 1.0) * field)
    light *= rng.uniform(0.3, 1.0) / light.mean() / SUBPIXELS**2
    empty = np.zeros(frame.size_px, dtype=np.int64)
    return DrawnLayer(light, empty > 0, empty)


def mixed(rng: np.random.Generator, frame: Frame) -> DrawnLayer:
    """Any of the families with cells, another in each layer."""
    draws = [family.draw for family in FAMILIES.values() if family.name not in ("clouds", "mixed")]
    return draws[rng.integers(len(draws))](rng, frame)


def _filled(
    rng: np.random.Generator,
    frame: Frame,
    region: NDArray[np.bool_],
    *,
    density_per_mm2: float,
    gain: Image | None = None,
) -> DrawnLayer:
    """Return a layer whose region (y, x) of sub-pixels is filled with cells."""
    inside = np.argwhere(region)
    area_mm2 = len(inside) * (frame.step_um / 1000) ** 2
    chosen = inside[rng.integers(len(inside), size=max(1, rng.poisson(density_per_mm2 * area_mm2)))]
    places = chosen + rng.uniform(0, 1, chosen.shape)
    light = rng.gamma(1.5, 1 / 1.5, len(places))
    if gain is not None:
        light *= gain[chosen[:, 0], chosen[:, 1]]
    sigma = rng.uniform(3, 6) / frame.step_um
    image = gaussian_cells(places, light, size=frame.fine, sigma=sigma)
    cells = counts_of(places / SUBPIXELS, size=frame.size_px)
    mask = binned(region.astype(np.float64)) >= SUBPIXELS**2 / 2
    return _finished(rng, frame, image, mask, cells)


def _placed(
    rng: np.random.Generator,
    frame: Frame,
    places_um: Image,
    *,
    brightness_sigma: float,
    diameter_um: float | None = None,
) -> DrawnLayer:
    """Return a layer of cells (cell, 2) at given places; its mask has the pixels of their centres.

    Cells outside the frame are dropped.
    """
    inside = ((places_um >= 0) & (places_um < frame.size_um)).all(axis=1)
    places = places_um[inside] / frame.step_um
    if diameter_um is None:
        diameter_um = rng.uniform(9, 22)
    light = rng.lognormal(0, brightness_sigma, len(places))
    image = disc_cells(places, light, size=frame.fine, diameter=diameter_um / frame.step_um)
    cells = counts_of(places / SUBPIXELS, size=frame.size_px)
    return _finished(rng, frame, image, cells > 0, cells)


def _finished(
    rng: np.random.Generator,
    frame: Frame,
    image: Image,
    mask: NDArray[np.bool_],
    cells: NDArray[np.int64],
) -> DrawnLayer:
    """Bring a layer's cells to a mean light of about 1, and add structured autofluorescence."""
    if mask.any():
        image = image * (rng.uniform(0.7, 1.4) / max(binned(image)[mask].mean(), 1e-12))
    level = rng.uniform(*AUTOFLUORESCENCE) / SUBPIXELS**2
    haze = level * np.maximum(1 + 0.4 * random_field(rng, frame.size_px, 3.0), 0)
    return DrawnLayer(image + np.kron(haze, np.ones((SUBPIXELS, SUBPIXELS))), mask, cells)


def _curve(rng: np.random.Generator, frame: Frame) -> Image:
    """Return places every 12 um on a curve whose direction drifts."""
    number = round(rng.uniform(0.3, 1.2) * float(frame.size_um.max()) / 12)
    drift = np.cumsum(rng.normal(0, 0.0015, number)) + rng.normal(0, 0.01)
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(drift)
    start = rng.uniform(0.1, 0.9, 2) * frame.size_um
    return np.asarray(start + 12 * np.cumsum(_direction(heading), axis=0))


def _in_disc(rng: np.random.Generator, number: int, radius: float) -> Image:
    """Return places (number, 2) spread evenly over a disc around 0."""
    distance = radius * np.sqrt(rng.random(number))
    return np.asarray(distance[:, None] * _direction(rng.uniform(0, 2 * math.pi, number)))


def _direction(angle: Image) -> Image:
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("spectral-foci", "foci of a power-law random field", spectral_foci),
        Family("clusters", "clusters of 2 to 20 cells", clusters),
        Family("single-cells", "1 to 5 single cells a layer", single_cells),
        Family("strands", "curved strands a cell wide", strands),
        Family("network", "networks of strands", network),
        Family("glands", "glands: rings of cells around a lumen", glands),
        Family("dead-leaves", "discs that cover one another, a third filled", dead_leaves),
        Family("sheets", "dense sheets with a wavy border", sheets),
        Family("clouds", "smooth clouds without cells", clouds),
        Family("mixed", "another of these families in each layer", mixed),
    )
}
"""All families by name; the suite `generalisation` has them all."""
