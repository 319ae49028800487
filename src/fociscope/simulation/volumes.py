"""Specimens without layers: sheets that are tilted or curved, blobs, cells and strands in depth.

Each kind is a configuration with one method that draws into a `DrawnVolume`. `AnyVolume` is what
the recipe for volumes trains on; `NucleiClusters` and `Shells` are for tests alone. Numbers of all
kinds are assumptions, as broad as thick tissue is.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field
from scipy.ndimage import gaussian_filter, zoom

from fociscope.configuration import Configuration, Range, any_kind, kind_problem
from fociscope.errors import FociscopeError, SceneError
from fociscope.registry import Registry
from fociscope.simulation._cells import autofluorescence_light
from fociscope.simulation._kinds import AnySpecimen
from fociscope.simulation.base import ShareRange
from fociscope.simulation.mixtures import AnyTissue, Mixture, MixturePart
from fociscope.simulation.scene import draw_depths
from fociscope.simulation.surfaces import Surface
from fociscope.simulation.tissue import PerlinFoci
from fociscope.simulation.volume_grid import DrawnVolume, VolumeGrid
from fociscope.typing import Float64Array

__all__ = [
    "VOLUME_KINDS",
    "AnyVolume",
    "Blobs",
    "FlatLayers",
    "FociInDepth",
    "NucleiClusters",
    "Shells",
    "StrandsInDepth",
    "TiltedSheets",
    "VolumeSpecimen",
]

#: Of the gap, that layers may fill: where many stand close, a quarter stays free.
LARGEST_FILLED_SHARE = 0.75
#: Points along a strand, as a share of its diameter.
STRAND_STEP = 0.5
#: Points of equal area along a pixel's side by which an ellipsoid's cross section is drawn.
SUBPIXELS = 3

#: What layers and sheets show: the published specimen, and tissue of all kinds.
_TISSUE = Mixture(
    parts=(
        MixturePart(share=2.0, specimen=PerlinFoci()),
        MixturePart(share=3.0, specimen=AnyTissue()),
    ),
    illumination_variation=(0.0, 0.4),
)


def _positive(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] > 0:
        raise ValueError("both numbers must be above 0")
    return bounds


PositiveRange = Annotated[Range, AfterValidator(_positive)]
Count = Annotated[int, Field(ge=1, le=1000)]
Share = Annotated[float, Field(ge=0)]


class VolumeSpecimen(Configuration):
    """The parent of all specimens that are drawn as a volume.

    Attributes:
        haze: Least and greatest light of all depths together where there are no cells, relative to
            the light of a pixel that cells fill; drawn once for each scene.

    Examples:
        >>> import numpy as np
        >>> from fociscope.simulation import DrawnFrame, FociInDepth, VolumeGrid
        >>> grid = VolumeGrid(DrawnFrame((51, 51), 55.0), gap_um=1000.0)
        >>> volume = FociInDepth().draw_scene(np.random.default_rng(0), grid)
        >>> volume.light.shape, volume.mask.shape
        ((40, 51, 51), (20, 51, 51))
    """

    error: ClassVar[type[FociscopeError]] = SceneError

    if TYPE_CHECKING:
        kind: str

    haze: ShareRange = (0.0, 0.2)
    """Least and greatest light of all depths together where there are no cells."""

    def draw_scene(self, rng: np.random.Generator, grid: VolumeGrid) -> DrawnVolume:
        """Draw one scene: cells, and haze that is even in depth.

        Args:
            rng: Source of all that is random.
            grid: Grid to draw on.

        Returns:
            The volume.
        """
        volume = DrawnVolume(grid)
        self.draw(rng, volume)
        haze = autofluorescence_light(
            rng, (1, *grid.frame.size_px), level=self.haze, variation=0.3, feature_px=8.0
        )
        volume.light += (haze / grid.planes).astype(np.float32)
        return volume

    @abstractmethod
    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw the cells of one scene into a volume.

        Args:
            rng: Source of all that is random.
            volume: Volume to draw into.
        """


class FlatLayers(VolumeSpecimen):
    """Flat layers of any number and spacing, down to ones that nearly touch.

    Attributes:
        layers: Fewest and most layers.
        min_separation_um: Least and greatest of the least distance between neighbours in um; drawn
            once for each scene.
        tissue: What each layer shows.

    Examples:
        >>> from fociscope.simulation import FlatLayers
        >>> FlatLayers(layers=(5, 5)).layers
        (5, 5)
    """

    kind: Literal["flat-layers"] = "flat-layers"
    layers: tuple[Count, Count] = (1, 6)
    min_separation_um: PositiveRange = (60.0, 250.0)
    tissue: AnySpecimen = _TISSUE

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw the depths, and a layer of tissue at each."""
        grid = volume.grid
        count = int(rng.integers(self.layers[0], self.layers[1] + 1))
        most_um = LARGEST_FILLED_SHARE * grid.gap_um / max(count - 1, 1)
        apart_um = min(rng.uniform(*self.min_separation_um), most_um)
        depth_um = draw_depths(rng, count, min_separation_um=apart_um, deepest_um=grid.gap_um)
        light, mask = self.tissue.draw_scene(rng, count, grid.frame)
        each = self.tissue.cells_per_unit_light(grid.frame.pixel_pitch_um)
        for n, z in enumerate(depth_um):
            volume.add_sheet(light[n], mask[n], float(z), cells_per_pixel=each)


class TiltedSheets(VolumeSpecimen):
    """Sheets that are tilted and curved; none crosses another.

    Attributes:
        sheets: Fewest and most sheets.
        surface: Greatest tilt and curvature.
        tissue: What each sheet shows.

    Examples:
        >>> from fociscope.simulation import Surface, TiltedSheets
        >>> TiltedSheets(sheets=(1, 1), surface=Surface(tilt_deg=8.0)).surface.tilt_deg
        8.0
    """

    kind: Literal["tilted-sheets"] = "tilted-sheets"
    sheets: tuple[Count, Count] = (1, 3)
    surface: Surface = Surface(tilt_deg=12.0, sagitta_um=300.0)
    tissue: AnySpecimen = _TISSUE

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw the surfaces, and tissue on each."""
        grid = volume.grid
        count = int(rng.integers(self.sheets[0], self.sheets[1] + 1))
        apart_um = LARGEST_FILLED_SHARE * grid.gap_um / (count + 1)
        middle_um = draw_depths(rng, count, min_separation_um=apart_um, deepest_um=grid.gap_um)
        surface_um = self.surface.draw(rng, middle_um, drawn=grid.frame, deepest_um=grid.gap_um)
        light, mask = self.tissue.draw_scene(rng, count, grid.frame)
        each = self.tissue.cells_per_unit_light(grid.frame.pixel_pitch_um)
        for n in range(count):
            volume.add_sheet(light[n], mask[n], surface_um[n], cells_per_pixel=each)


class Blobs(VolumeSpecimen):
    """Solid tissue: what lies above a threshold of smooth noise in three dimensions.

    Attributes:
        coverage: Least and greatest share of the volume that is tissue.
        feature_um: Least and greatest correlation length sideways in um.
        thickness_um: Least and greatest correlation length in depth in um.

    Examples:
        >>> from fociscope.simulation import Blobs
        >>> Blobs(coverage=(0.02, 0.05)).coverage
        (0.02, 0.05)
    """

    kind: Literal["blobs"] = "blobs"
    coverage: ShareRange = (0.005, 0.1)
    feature_um: PositiveRange = (120.0, 600.0)
    thickness_um: PositiveRange = (30.0, 200.0)
    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 0.7
    """Standard deviation of the logarithm of the light among voxels."""

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw the noise, its threshold, and a grain of light."""
        grid = volume.grid
        feature_um, thickness_um, coverage = (
            rng.uniform(*bounds) for bounds in (self.feature_um, self.thickness_um, self.coverage)
        )
        size = grid.frame.size_px
        half = [math.ceil(n / 2) + 1 for n in size]
        sigma = feature_um / 2 / (2 * grid.frame.pixel_pitch_um)
        depth_sigma = thickness_um / 2 / (grid.gap_um / grid.slices)
        noise = gaussian_filter(
            rng.normal(size=(grid.slices, *half)), (depth_sigma, sigma, sigma), mode="reflect"
        )
        field = zoom(noise, (1, 2, 2), order=1)[:, : size[0], : size[1]]
        mask = field > np.quantile(field, 1 - coverage)
        spread = self.brightness_sigma
        light = mask * rng.lognormal(-(spread**2) / 2, spread, mask.shape)
        volume.add_slices(light.astype(np.float32), mask, cells_per_voxel=1.0)


class FociInDepth(VolumeSpecimen):
    """Cells by themselves and in balls of a few, anywhere between the sensors.

    Attributes:
        foci: Fewest and most foci of a square of 2.8 mm; drawn evenly in the logarithm.
        cells_per_focus: Fewest and most cells of a focus; drawn evenly in the logarithm.
        radius_um: Least and greatest radius of a focus in um; of one cell, none.
        cell_diameter_um: Least and greatest diameter of a cell in um.
        brightness_sigma: Standard deviation of the logarithm of a cell's brightness.
        separation_um: Least distance between the centres of two foci in um.

    Examples:
        >>> from fociscope.simulation import FociInDepth
        >>> FociInDepth(cells_per_focus=(3, 12)).cells_per_focus
        (3, 12)
    """

    kind: Literal["foci-in-depth"] = "foci-in-depth"
    foci: tuple[Count, Count] = (2, 60)
    cells_per_focus: tuple[Count, Count] = (1, 20)
    radius_um: PositiveRange = (10.0, 90.0)
    cell_diameter_um: PositiveRange = (8.0, 40.0)
    brightness_sigma: Annotated[float, Field(ge=0, le=4)] = 0.6
    separation_um: Annotated[float, Field(ge=0)] = 0.0

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw the centres, the cells around each, and their light."""
        grid = volume.grid
        pitch_um = grid.frame.pixel_pitch_um
        area = math.prod(grid.frame.size_px) * pitch_um**2 / 2800.0**2
        mean = math.exp(rng.uniform(*np.log(self.foci)))
        count = max(1, rng.poisson(mean * area))
        extent = np.array([grid.gap_um, *(n * pitch_um for n in grid.frame.size_px)])
        centres = rng.uniform(0, 1, (count, 3)) * extent
        if self.separation_um > 0:
            centres = _apart(centres, self.separation_um)
        low, high = np.log(self.cells_per_focus[0]), np.log(self.cells_per_focus[1] + 1)
        cells = np.exp(rng.uniform(low, high, len(centres))).astype(int)
        radius = np.repeat(rng.uniform(*self.radius_um, len(centres)), cells)
        places = np.repeat(centres, cells, axis=0)
        alone = np.repeat(cells, cells) == 1
        places += _in_ball(rng, len(places)) * (radius * ~alone)[:, None]
        places[:, 0] = np.clip(places[:, 0], 0, grid.gap_um)
        places[:, 1:] /= pitch_um
        spread = self.brightness_sigma
        light = rng.lognormal(-(spread**2) / 2, spread, len(places))
        volume.add_cells(places, light, diameter_um=rng.uniform(*self.cell_diameter_um))


class StrandsInDepth(VolumeSpecimen):
    """Strands of cells, such as vessels or ducts, that wind through the volume.

    Attributes:
        strands: Fewest and most strands.
        diameter_um: Least and greatest diameter of a strand in um.
        steepness: Greatest change of depth per length sideways.
        waviness: Standard deviation of the change of direction, in radians per mm.

    Examples:
        >>> from fociscope.simulation import StrandsInDepth
        >>> StrandsInDepth(strands=(1, 1)).strands
        (1, 1)
    """

    kind: Literal["strands-in-depth"] = "strands-in-depth"
    strands: tuple[Count, Count] = (1, 6)
    diameter_um: PositiveRange = (20.0, 110.0)
    steepness: Annotated[float, Field(ge=0, le=10)] = 0.8
    waviness: Annotated[float, Field(ge=0, le=10)] = 1.0

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw the ways of the strands, and cells along them."""
        for _ in range(int(rng.integers(self.strands[0], self.strands[1] + 1))):
            diameter_um = rng.uniform(*self.diameter_um)
            places = self._way(rng, volume.grid, STRAND_STEP * diameter_um)
            grain = rng.lognormal(-0.08, 0.4, len(places)) * rng.lognormal(-0.08, 0.4)
            side = max(1.0, (diameter_um / volume.grid.frame.pixel_pitch_um) ** 2)
            volume.add_cells(places, grain * side * STRAND_STEP, diameter_um=diameter_um)

    def _way(self, rng: np.random.Generator, grid: VolumeGrid, step_um: float) -> Float64Array:
        """Return (point, 3) places along a strand, from edge to edge of the frame."""
        height, width = (n * grid.frame.pixel_pitch_um for n in grid.frame.size_px)
        steps = math.ceil(2 * math.hypot(height, width) / step_um)
        heading = rng.uniform(0, 2 * math.pi)
        turns = self.waviness * math.sqrt(step_um / 1000) * rng.normal(size=steps).cumsum()
        turns -= turns[steps // 2]
        slope = self.steepness * np.sin(
            rng.uniform(0, 2 * math.pi) + np.arange(steps) * step_um / rng.uniform(300, 2500)
        )
        path = np.stack([slope, np.sin(heading + turns), np.cos(heading + turns)], axis=-1)
        path = step_um * path.cumsum(axis=0)
        middle = rng.uniform(0.1, 0.9, 3) * (grid.gap_um, height, width)
        places = path - path[steps // 2] + middle
        # What would leave the gap is mirrored at its ends.
        places[:, 0] = grid.gap_um - np.abs(places[:, 0] % (2 * grid.gap_um) - grid.gap_um)
        places[:, 1:] /= grid.frame.pixel_pitch_um
        inside = (places[:, 1:] >= 0).all(-1) & (places[:, 1:] < grid.frame.size_px).all(-1)
        return np.asarray(places[inside])


class NucleiClusters(VolumeSpecimen):
    """Clusters of large ellipsoids, each turned its own way; for tests alone.

    Attributes:
        clusters: Fewest and most clusters.
        nuclei: Fewest and most nuclei of a cluster.
        radius_um: Least and greatest semi-axis of a nucleus in um.
        spread_um: Standard deviation in um of the nuclei around the centre of their cluster.

    Examples:
        >>> from fociscope.simulation import NucleiClusters
        >>> NucleiClusters(clusters=(4, 4)).clusters
        (4, 4)
    """

    kind: Literal["nuclei-clusters"] = "nuclei-clusters"
    clusters: tuple[Count, Count] = (3, 12)
    nuclei: tuple[Count, Count] = (3, 8)
    radius_um: PositiveRange = (25.0, 60.0)
    spread_um: Annotated[float, Field(ge=0)] = 45.0

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw the clusters, and their nuclei slice by slice."""
        grid = volume.grid
        pitch_um = grid.frame.pixel_pitch_um
        extent = np.array([grid.gap_um, *(n * pitch_um for n in grid.frame.size_px)])
        for _ in range(int(rng.integers(self.clusters[0], self.clusters[1] + 1))):
            centre = rng.uniform(0.02, 0.98, 3) * extent
            brightness = rng.lognormal(-0.045, 0.3)
            for _ in range(int(rng.integers(self.nuclei[0], self.nuclei[1] + 1))):
                place = centre + rng.normal(0, self.spread_um, 3)
                place[0] = np.clip(place[0], 1, grid.gap_um - 1)
                axes = rng.uniform(*self.radius_um, 3)
                matrix = _turn(rng) @ np.diag(axes**-2.0)
                _add_ellipsoid(volume, place, matrix, float(axes.max()), brightness)


class Shells(VolumeSpecimen):
    """Hollow balls, as acini and cysts are; for tests alone.

    Attributes:
        shells: Fewest and most shells.
        radius_um: Least and greatest radius in um.
        cells_per_mm2: Density of cells on a shell, per mm^2.

    Examples:
        >>> from fociscope.simulation import Shells
        >>> Shells(shells=(2, 2)).shells
        (2, 2)
    """

    kind: Literal["shells"] = "shells"
    shells: tuple[Count, Count] = (2, 7)
    radius_um: PositiveRange = (80.0, 220.0)
    cells_per_mm2: Annotated[float, Field(gt=0, le=100_000)] = 900.0

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw cells evenly over each shell."""
        grid = volume.grid
        pitch_um = grid.frame.pixel_pitch_um
        for _ in range(int(rng.integers(self.shells[0], self.shells[1] + 1))):
            radius = rng.uniform(*self.radius_um)
            extent = np.array([grid.gap_um, *(n * pitch_um for n in grid.frame.size_px)])
            centre = rng.uniform(0, 1, 3) * extent
            centre[0] = rng.uniform(radius, max(radius, grid.gap_um - radius))
            count = rng.poisson(self.cells_per_mm2 * 4 * math.pi * (radius / 1000) ** 2)
            towards = rng.normal(size=(count, 3))
            towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
            places = centre + radius * towards
            places[:, 0] = np.clip(places[:, 0], 0, grid.gap_um)
            places[:, 1:] /= pitch_um
            light = rng.lognormal(-0.125, 0.5, count)
            volume.add_cells(places, light, diameter_um=20.0)


class AnyVolume(VolumeSpecimen):
    """The mixture that the recipe for volumes trains on.

    Attributes:
        shares: How often a scene shows flat layers, tilted sheets, blobs, foci and strands.
        together: Share of the scenes that show two of them at once.

    Examples:
        >>> from fociscope.simulation import AnyVolume
        >>> len(AnyVolume().shares)
        5
    """

    kind: Literal["any-volume"] = "any-volume"
    shares: tuple[Share, Share, Share, Share, Share] = (0.3, 0.2, 0.1, 0.25, 0.15)
    together: Annotated[float, Field(ge=0, le=1)] = 0.15

    PARTS: ClassVar[tuple[VolumeSpecimen, ...]] = (
        FlatLayers(),
        TiltedSheets(),
        Blobs(),
        FociInDepth(),
        StrandsInDepth(),
    )

    def draw(self, rng: np.random.Generator, volume: DrawnVolume) -> None:
        """Draw which parts there are, and draw them."""
        shares = np.array(self.shares) / sum(self.shares)
        for _ in range(2 if rng.random() < self.together else 1):
            self.PARTS[rng.choice(len(shares), p=shares)].draw(rng, volume)


VOLUME_KINDS: Registry[type[VolumeSpecimen]] = Registry(
    "kind of volume",
    group="fociscope.volumes",
    error=SceneError,
    problem=kind_problem(VolumeSpecimen),
)
"""Kinds of volumes by name, each a subclass of `VolumeSpecimen`."""
for _kind in (
    AnyVolume,
    FlatLayers,
    TiltedSheets,
    Blobs,
    FociInDepth,
    StrandsInDepth,
    NucleiClusters,
    Shells,
):
    VOLUME_KINDS.register(_kind.model_fields["kind"].default, _kind)


def _in_ball(rng: np.random.Generator, count: int) -> Float64Array:
    """Return (point, 3) places evenly within a ball of radius 1."""
    towards = rng.normal(size=(count, 3))
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    return np.asarray(towards * rng.uniform(size=(count, 1)) ** (1 / 3))


def _apart(places: Float64Array, least: float) -> Float64Array:
    """Return those (place, 3) that lie away from all that were kept before them."""
    kept: list[Float64Array] = []
    for place in places:
        if all(float(((place - one) ** 2).sum()) >= least**2 for one in kept):
            kept.append(place)
    return np.array(kept)


def _turn(rng: np.random.Generator) -> Float64Array:
    """Return a random rotation, (3, 3)."""
    matrix, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(matrix * np.sign(np.diagonal(upper)))


def _add_ellipsoid(
    volume: DrawnVolume, place: Float64Array, matrix: Float64Array, reach_um: float, light: float
) -> None:
    """Add a solid ellipsoid.

    Args:
        volume: Volume to draw into.
        place: (3,) depth, y and x of the centre in um.
        matrix: (3, 3) rotation times the inverse squares of the semi-axes.
        reach_um: Greatest semi-axis in um.
        light: Light of a pixel where the nucleus is one slice thick.
    """
    grid = volume.grid
    pitch_um, (height, width) = grid.frame.pixel_pitch_um, grid.frame.size_px
    y0, x0 = (max(0, math.floor((c - reach_um) / pitch_um)) for c in place[1:])
    y1, x1 = (
        min(n, math.ceil((c + reach_um) / pitch_um))
        for c, n in zip(place[1:], (height, width), strict=True)
    )
    if y1 <= y0 or x1 <= x0:
        return
    turn = matrix / np.linalg.norm(matrix, axis=0)
    inverse_squares = np.linalg.norm(matrix, axis=0)
    step = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS
    y = (y0 + np.add.outer(np.arange(y1 - y0), step).ravel()) * pitch_um - place[1]
    x = (x0 + np.add.outer(np.arange(x1 - x0), step).ravel()) * pitch_um - place[2]
    z = grid.plane_um - place[0]
    near = np.flatnonzero(np.abs(z) <= reach_um + grid.plane_step_um)
    offset = np.stack(np.meshgrid(z[near], y, x, indexing="ij"), axis=-1)
    inside = ((offset @ turn) ** 2 @ inverse_squares) <= 1
    shape = len(near), y1 - y0, SUBPIXELS, x1 - x0, SUBPIXELS
    share = inside.reshape(shape).mean(axis=(2, 4))
    volume.light[near, y0:y1, x0:x1] += (light * share / grid.planes_per_slice).astype(np.float32)
    slices = np.repeat(np.arange(grid.slices), grid.planes_per_slice)[near]
    for number in np.unique(slices):
        thick = share[slices == number].sum(axis=0) / grid.planes_per_slice
        volume.mask[number, y0:y1, x0:x1] |= thick >= 0.25
    row, column = (np.floor(place[1:] / pitch_um)).astype(int)
    if 0 <= row < height and 0 <= column < width:
        volume.cells[int(grid.slice_of(place[:1])[0]), row, column] += 1


if TYPE_CHECKING:
    from typing import TypeAlias

    AnyVolumeSpecimen: TypeAlias = VolumeSpecimen
else:
    AnyVolumeSpecimen = any_kind(VOLUME_KINDS, VolumeSpecimen, default="any-volume")
