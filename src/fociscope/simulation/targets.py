"""Targets that show what is resolved: rings, lines, and three-bar patterns from coarse to fine.

A target's edges are antialiased: a pixel's light is the share of it that is covered, and its mask
is True from half a pixel on.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from fociscope.errors import SceneError
from fociscope.simulation.base import DrawnLayers, ShareRange
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.tissue import FilledTissue
from fociscope.typing import Float64Array

__all__ = ["Lines", "ResolutionTarget", "Rings", "bar_coverage", "sampled_coverage"]

#: Points along each side of a pixel at which rings and slanted lines are sampled.
SUBPIXELS = 16
#: Pixels at edges that are sampled together, to bound memory.
CHUNK_EDGE_PIXELS = 4096
#: Bars of a group, and blank space between groups in periods of the coarser of the two.
BARS, GROUP_GAP_PERIODS = 3, 0.5

Length = Annotated[float, Field(gt=0, le=1_000_000)]
Image = Float64Array


def sampled_coverage(distance: Callable[[Image, Image], Image], size: tuple[int, int]) -> Image:
    """Return the share of each pixel that a shape covers: all, nothing, or by 16 x 16 points.

    Args:
        distance: of places (y, x), in pixels from the frame's centre, from the shape's edge, in
            pixels and negative inside.
        size: (y, x) of the frame.
    """
    y, x = (np.arange(n, dtype=np.float64) - (n - 1) / 2 for n in size)
    away = distance(y[:, None], x[None, :])
    share = np.asarray(away <= 0, dtype=np.float64)
    rows, columns = np.nonzero(np.abs(away) <= math.sqrt(0.5))  # as far as a pixel's corners
    steps = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    down, right = (step.ravel() for step in np.meshgrid(steps, steps, indexing="ij"))
    for start in range(0, len(rows), CHUNK_EDGE_PIXELS):
        edge = rows[start : start + CHUNK_EDGE_PIXELS], columns[start : start + CHUNK_EDGE_PIXELS]
        points = distance(y[edge[0]][:, None] + down, x[edge[1]][:, None] + right)
        share[edge] = (points <= 0).mean(axis=-1)
    return share


def bar_coverage(bars_px: Image, size: tuple[int, int]) -> Image:
    """Return the share of each pixel that upright rectangles cover, exactly.

    Args:
        bars_px: (bar, 4) top, bottom, left and right edges, in pixels from the frame's corner; the
            bars do not overlap.
        size: (y, x) of the frame.
    """

    def along(low: Image, high: Image, pixels: int) -> Image:
        start = np.arange(pixels)
        both = np.minimum(high[:, None], start + 1) - np.maximum(low[:, None], start)
        return np.asarray(np.clip(both, 0, 1))

    top, bottom, left, right = bars_px.T
    return np.asarray(along(top, bottom, size[0]).T @ along(left, right, size[1]))


class Target(FilledTissue):
    """A known shape in every layer."""

    placement: Literal["random", "centred"] = "random"
    """`random`: another place and direction in each layer; `centred`: amid the frame."""
    emission: Literal["uniform", "cells"] = "uniform"
    """`uniform`: an even glow, as bright as cells at `cells_per_mm2` on average; `cells`: these."""
    autofluorescence: ShareRange = (0.0, 0.0)

    @abstractmethod
    def coverage(self, rng: np.random.Generator, frame: DrawnFrame) -> Image:
        """Draw one layer's (y, x) share of each pixel of the drawn frame that the target covers."""

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw a target for each layer, placed by the imager's frame."""
        share = np.stack([self.coverage(rng, frame) for _ in range(layers)])
        masks = share >= 0.5
        if self.emission == "cells":
            return DrawnLayers(self.filled(rng, masks, frame.pixel_pitch_um), masks)
        light = share + self.draw_autofluorescence(rng, share.shape, frame.pixel_pitch_um)
        return DrawnLayers(light.astype(np.float32), masks)


class Rings(Target):
    """Rings around one centre.

    Attributes:
        ring_count: Number of rings.
        radius_um: Radius in um of the middle of the outermost ring's line.
        width_um: Width in um of a ring's line.
        period_um: Distance in um between the middles of two rings.
        placement: `random`, another place in each layer, or `centred`.
        emission: `uniform`, an even glow, or `cells`, which fill the mask.

    Examples:
        >>> from fociscope.simulation import Rings, simulate
        >>> scenes = simulate(1, seed=0, specimen=Rings(ring_count=2))
        >>> float(scenes.layers.max())
        1.0
    """

    kind: Literal["rings"] = "rings"
    ring_count: Annotated[int, Field(ge=1, le=1000)] = 3
    radius_um: Length = 900.0
    """Of the middle of the outermost ring's line."""
    width_um: Length = 110.0
    period_um: Length = 330.0
    """Between the middles of two rings."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.ring_count > 1 and self.width_um >= self.period_um:
            raise ValueError("rings run together; width_um must be below period_um")
        innermost_um = self.radius_um - (self.ring_count - 1) * self.period_um
        if innermost_um < self.width_um / 2:
            raise ValueError(
                "the innermost ring has no hole; lower ring_count, period_um or width_um, "
                "or raise radius_um"
            )
        return self

    def coverage(self, rng: np.random.Generator, frame: DrawnFrame) -> Image:
        """Draw the rings around any place of the frame, or around its centre."""
        away_y, away_x = 0.0, 0.0
        if self.placement == "random":
            away_y, away_x = rng.uniform(-0.5, 0.5, 2) * np.array(frame.imager_px)

        def distance(y: Image, x: Image) -> Image:
            radius_um = frame.pixel_pitch_um * np.hypot(y - away_y, x - away_x)
            rings_in = np.round((self.radius_um - radius_um) / self.period_um)
            middle_um = self.radius_um - np.clip(rings_in, 0, self.ring_count - 1) * self.period_um
            away_um = np.abs(radius_um - middle_um) - self.width_um / 2
            return np.asarray(away_um) / frame.pixel_pitch_um

        return sampled_coverage(distance, frame.size_px)


class Lines(Target):
    """Parallel lines across the whole frame.

    Attributes:
        width_um: Width of a line in um.
        period_um: Distance in um between the middles of two lines.
        angle_deg: Angle in degrees between the lines and the rows of pixels; by default any if the
            placement is random, else 0.
        placement: `random`, another shift and direction in each layer, or `centred`.
        emission: `uniform`, an even glow, or `cells`, which fill the mask.

    Examples:
        >>> from fociscope.simulation import Lines, simulate
        >>> scenes = simulate(1, seed=0, specimen=Lines(width_um=220.0))
        >>> bool(0.4 < scenes.mask.mean() < 0.6)
        True
    """

    kind: Literal["lines"] = "lines"
    width_um: Length = 110.0
    period_um: Length = 440.0
    """Between the middles of two lines."""
    angle_deg: float | None = None
    """Between the lines and the rows of pixels. Without it, any if the placement is random, else
    0."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.width_um >= self.period_um:
            raise ValueError("lines run together; width_um must be below period_um")
        return self

    def coverage(self, rng: np.random.Generator, frame: DrawnFrame) -> Image:
        """Draw the lines at any shift, or with the middle of one through the frame's centre."""
        angle_deg, shift = self.angle_deg or 0.0, 0.0
        if self.placement == "random":
            drawn_deg, shift = rng.uniform(0, 180), rng.uniform()
            angle_deg = drawn_deg if self.angle_deg is None else self.angle_deg
        down, right = math.cos(math.radians(angle_deg)), -math.sin(math.radians(angle_deg))
        period_px = self.period_um / frame.pixel_pitch_um
        width_px = self.width_um / frame.pixel_pitch_um

        def distance(y: Image, x: Image) -> Image:
            periods = (down * y + right * x) / period_px + shift
            return np.asarray(np.abs(periods - np.round(periods)) * period_px - width_px / 2)

        return sampled_coverage(distance, frame.size_px)


class ResolutionTarget(Target):
    """Groups of three bars, across and upright, from coarse to fine, in the manner of USAF 1951.

    Bars and gaps are half a period wide and bars 2.5 periods long, as on that chart. A period of
    $p$ um is $1000 / p$ line pairs per mm.

    Attributes:
        period_um: Period of a bar and a gap in um, from coarse to fine.
        placement: `random`, anywhere in the frame and rotated by any quarter turn, always whole, or
            `centred`.
        emission: `uniform`, an even glow, or `cells`, which fill the mask.

    Examples:
        >>> from fociscope.simulation import ResolutionTarget
        >>> ResolutionTarget(period_um=(200.0, 100.0)).line_pairs_per_mm
        (5.0, 10.0)
    """

    kind: Literal["resolution-target"] = "resolution-target"
    placement: Literal["random", "centred"] = "centred"
    """`random`: anywhere in the frame and turned by any quarter, always whole."""
    period_um: Annotated[tuple[Length, ...], Field(min_length=1, max_length=32)] = (
        320.0,
        226.0,
        160.0,
        113.0,
        80.0,
    )
    """Of a bar and a gap, from coarse to fine: 3.12, 4.42, 6.25, 8.85 and 12.5 line pairs per mm.
    With pixels of 55 um, 9.1 is the finest that can be sampled."""

    @property
    def line_pairs_per_mm(self) -> tuple[float, ...]:
        """Of each group."""
        return tuple(1000 / period for period in self.period_um)

    def bars_um(self) -> Image:
        """Return (bar, 4): top, bottom, left and right edges from the target's upper left corner.

        Each group is a row: its bars across on the left, and upright on the right.
        """
        length = BARS - 0.5
        column = (length + GROUP_GAP_PERIODS) * max(self.period_um)
        top, bars = 0.0, []
        for period in self.period_um:
            for bar in range(BARS):
                low, high = bar * period, (bar + 0.5) * period
                bars.append((top + low, top + high, 0.0, length * period))
                bars.append((top, top + length * period, column + low, column + high))
            top += (length + GROUP_GAP_PERIODS) * period
        return np.asarray(bars)

    def coverage(self, rng: np.random.Generator, frame: DrawnFrame) -> Image:
        """Draw the whole target; upright if it is centred, and lying where only that fits."""
        whole, size = frame.size_px, frame.imager_px
        bars = self.bars_um() / frame.pixel_pitch_um
        needs = (float(bars[:, 1].max()), float(bars[:, 3].max()))
        fitting = [
            turns
            for turns in range(4)
            if needs[turns % 2] <= size[0] and needs[1 - turns % 2] <= size[1]
        ]
        if not fitting:
            needs_um, has_um = ([round(n * frame.pixel_pitch_um) for n in s] for s in (needs, size))
            raise SceneError(
                f"a resolution target of {needs_um[0]} x {needs_um[1]} µm does not fit into the "
                f"frame of {has_um[0]} x {has_um[1]} µm; give shorter or fewer period_um"
            )
        turns, share_y, share_x = fitting[0], 0.5, 0.5
        if self.placement == "random":
            turns = fitting[rng.integers(len(fitting))]
            share_y, share_x = rng.uniform(size=2)
        if turns % 2:
            whole, size = whole[::-1], size[::-1]
        down = frame.margin_px + share_y * (size[0] - needs[0])
        right = frame.margin_px + share_x * (size[1] - needs[1])
        return np.rot90(bar_coverage(bars + np.array([down, down, right, right]), whole), turns)
