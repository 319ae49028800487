"""Tissue whose masks are cut from patterns other than gradient noise, and filled with cells.

Spectral noise, mosaics, discs that cover one another, and sheets. Numbers are assumptions: they
span what tissue may look like, so that nothing depends on one pattern.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fociscope.configuration import Range
from fociscope.simulation._fields import cellular_field, poisson_points, spectral_field
from fociscope.simulation._perlin import covered
from fociscope.simulation.base import DrawnLayers, ShareRange
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.tissue import Diameter, FilledTissue
from fociscope.typing import Float64Array

__all__ = ["CellularFoci", "DeadLeaves", "Sheets", "SpectralFoci"]

Size = Annotated[float, Field(gt=0, le=100_000)]

#: Discs of one layer that are drawn at the most, so that tiny ones do not take forever.
MOST_LEAVES = 4000


class SpectralFoci(FilledTissue):
    r"""Foci where a Gaussian random field with a power-law spectrum is high.

    The power falls as $(f^2 + \lambda^{-2})^{-\alpha/2}$ with the frequency $f$: ragged foci at
    $\alpha = 2$, smooth ones at 5.

    Attributes:
        coverage: Least and greatest share of a layer that is tumour; drawn evenly for each layer.
        exponent: Exponent of the power law, $\alpha$.
        largest_um: Wavelength from which on the power is even in um, $\lambda$.
        cells_per_mm2: Mean density of cells inside the mask, per mm^2.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import SpectralFoci, simulate
        >>> scenes = simulate(1, seed=0, specimen=SpectralFoci(coverage=(0.2, 0.2)))
        >>> round(float(scenes.mask.mean()), 3)
        0.2
    """

    kind: Literal["spectral-foci"] = "spectral-foci"
    coverage: ShareRange = (0.05, 0.55)
    exponent: Annotated[float, Field(ge=0, le=8)] = 3.5
    largest_um: Size = 1500.0
    cell_diameter_um: Diameter = 30.0

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the masks, and cells inside them."""
        field = spectral_field(
            rng,
            layers,
            frame.size_px,
            exponent=self.exponent,
            largest_px=self.largest_um / frame.pixel_pitch_um,
        )
        masks = covered(field, rng.uniform(*self.coverage, layers))
        return DrawnLayers(self.filled(rng, masks, frame.pixel_pitch_um), masks)


class CellularFoci(FilledTissue):
    """Foci that are tiles of a mosaic, with straight borders: some Voronoi cells of random points.

    Attributes:
        coverage: Least and greatest share of a layer that is tumour; drawn evenly for each layer.
        tile_um: Mean side of a tile in um: the square root of its mean area.
        cells_per_mm2: Mean density of cells inside the mask, per mm^2.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import CellularFoci, simulate
        >>> scenes = simulate(1, seed=0, specimen=CellularFoci(coverage=(0.2, 0.2)))
        >>> round(float(scenes.mask.mean()), 3)
        0.2
    """

    kind: Literal["cellular-foci"] = "cellular-foci"
    coverage: ShareRange = (0.05, 0.55)
    tile_um: Size = 400.0
    cell_diameter_um: Diameter = 30.0

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the masks, and cells inside them."""
        tile_px = max(self.tile_um / frame.pixel_pitch_um, 1.0)
        fields = [cellular_field(rng, frame.size_px, cell_px=tile_px)[0] for _ in range(layers)]
        masks = covered(np.stack(fields), rng.uniform(*self.coverage, layers))
        return DrawnLayers(self.filled(rng, masks, frame.pixel_pitch_um), masks)


class DeadLeaves(FilledTissue):
    r"""Discs of many sizes that fall on one another; some are filled with cells, the others hide.

    The dead-leaves model (Matheron 1968; Lee, Mumford and Huang, Int. J. Comput. Vis. 41:35, 2001)
    with radii between $r_1$ and $r_2$ of the density $\propto r^{-3}$.

    Attributes:
        filled_share: Share of the discs that are filled with cells.
        radius_um: Least and greatest radius of a disc in um, $r_1$ and $r_2$.
        cells_per_mm2: Mean density of cells inside the mask, per mm^2.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import DeadLeaves, simulate
        >>> scenes = simulate(1, seed=0, specimen=DeadLeaves(filled_share=0.3))
        >>> bool(0.1 < scenes.mask.mean() < 0.5)
        True
    """

    kind: Literal["dead-leaves"] = "dead-leaves"
    filled_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    radius_um: Range = (80.0, 800.0)
    cell_diameter_um: Diameter = 30.0

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the masks, and cells inside them."""
        masks = np.stack([self._leaves(rng, frame) for _ in range(layers)]) > 0
        return DrawnLayers(self.filled(rng, masks, frame.pixel_pitch_um), masks)

    def _leaves(self, rng: np.random.Generator, frame: DrawnFrame) -> Float64Array:
        """Draw one layer, from the leaf on top down: a pixel keeps the first leaf that covers it.

        Leaves fall until they have covered the plane four times over, 98 % of it; the rest is bare.
        """
        low, high = (max(r / frame.pixel_pitch_um, 0.5) for r in self.radius_um)
        mean_area = math.pi * 2 * math.log(high / low) / (low**-2 - high**-2) if high > low else 0
        mean_area = mean_area or math.pi * low**2
        centres = poisson_points(
            rng, frame.size_px, per_px2=min(4 / mean_area, 1.0), margin_px=high
        )[:MOST_LEAVES]
        uniform = rng.uniform(0, 1, len(centres))
        radii = (low**-2 - uniform * (low**-2 - high**-2)) ** -0.5
        is_filled = rng.random(len(centres)) < self.filled_share
        y, x = (np.arange(n) + 0.5 for n in frame.size_px)
        image = np.full(frame.size_px, -1.0)
        for centre, radius, filled in zip(centres, radii, is_filled, strict=True):
            rows, columns = (
                slice(max(0, int(c - radius)), max(0, int(c + radius) + 2)) for c in centre
            )
            patch = image[rows, columns]
            away = (y[rows, None] - centre[0]) ** 2 + (x[columns] - centre[1]) ** 2
            patch[(patch < 0) & (away <= radius**2)] = float(filled)
        return image


class Sheets(FilledTissue):
    """A dense sheet of cells on one side of a wavy border.

    Attributes:
        coverage: Least and greatest share of the imager's frame that the sheet covers; drawn
            evenly for each layer.
        waviness: Greatest departure of the border from a straight line, relative to the frame.
        cells_per_mm2: Mean density of cells inside the mask, per mm^2.
        cell_diameter_um: Diameter of a cell's disc in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.

    Examples:
        >>> from fociscope.simulation import Sheets, simulate
        >>> scenes = simulate(1, seed=0, specimen=Sheets(coverage=(0.5, 0.5)))
        >>> round(float(scenes.mask.mean()), 2)
        0.5
    """

    kind: Literal["sheets"] = "sheets"
    coverage: ShareRange = (0.1, 0.9)
    waviness: Annotated[float, Field(ge=0, le=1)] = 0.2
    cells_per_mm2: Annotated[float, Field(gt=0, le=100_000)] = 1500.0
    cell_diameter_um: Diameter = 20.0
    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 0.5

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the masks, and cells inside them."""
        height, width = frame.imager_px
        y = (np.arange(frame.size_px[0]) - frame.margin_px + 0.5) / height - 0.5
        x = (np.arange(frame.size_px[1]) - frame.margin_px + 0.5) / width - 0.5
        fields = []
        for _ in range(layers):
            angle = rng.uniform(0, 2 * math.pi)
            across = math.sin(angle) * y[:, None] + math.cos(angle) * x
            along = math.cos(angle) * y[:, None] - math.sin(angle) * x
            wave = np.zeros_like(across)
            for k in range(1, 5):
                amplitude, phase = rng.uniform(0, self.waviness / k), rng.uniform(0, 2 * math.pi)
                wave += amplitude * np.sin(2 * math.pi * k * along + phase)
            fields.append(across + wave)
        field = np.stack(fields)
        inside = np.sort(field[frame.inside].reshape(layers, -1), axis=-1)
        pixels = inside.shape[-1]
        count = np.round(rng.uniform(*self.coverage, layers) * pixels).astype(np.intp)
        inside = np.concatenate([inside, np.full((layers, 1), np.inf)], axis=-1)
        threshold = inside[np.arange(layers), pixels - count]
        masks = field >= threshold[:, None, None]
        return DrawnLayers(self.filled(rng, masks, frame.pixel_pitch_um), masks)
