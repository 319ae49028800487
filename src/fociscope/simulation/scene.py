"""Scenes: layers of foci at random depths, and their captures. One seed, one scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from fociscope.configuration import Configuration, Range
from fociscope.errors import SceneError
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.simulation.cells import render_cells
from fociscope.simulation.foci import foci_masks

__all__ = [
    "DrawnFrame",
    "Scenes",
    "Specimen",
    "chunk_scenes",
    "draw_depths",
    "draw_specimens",
    "project",
    "simulate",
]

#: Pixels of one layer that are projected together, and scenes at the most.
CHUNK_PIXELS, CHUNK_SCENES = 2**20, 50
#: Share of the light from the farthest layer that a `surround` scene's margin must hold.
SURROUND_ENERGY = 0.99


def _within_one(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0 or bounds[1] > 1:
        raise ValueError("both numbers must lie within 0 ... 1")
    return bounds


ShareRange = Annotated[Range, AfterValidator(_within_one)]


class Specimen(Configuration):
    """What the tissue looks like; the defaults follow the statistics that REFERENCES measures."""

    coverage: ShareRange = (0.05, 0.55)
    """Least and greatest share of a layer that is tumour; drawn evenly for each layer."""
    feature_um: Annotated[float, Field(gt=0)] = 1700.0
    """Lattice spacing of the coarsest octave of the noise that makes the foci."""
    octaves: Annotated[int, Field(ge=1, le=8)] = 4
    persistence: Annotated[float, Field(gt=0, le=1)] = 0.5
    cells_per_mm2: Annotated[float, Field(gt=0)] = 300.0
    brightness_sigma: Annotated[float, Field(ge=0)] = 1.1
    spread_um: Annotated[float, Field(ge=0)] = 22.5
    autofluorescence: ShareRange = (0.05, 0.10)
    """Least and greatest mean light outside the foci, relative to the mean inside."""
    autofluorescence_cv: Annotated[float, Field(ge=0)] = 0.3


@dataclass(frozen=True)
class Scenes:
    """Simulated scenes: the truth, and what the imager sees of it."""

    layers: NDArray[np.float32]
    """(scene, layer, y, x) emitted light per pixel; mean 1 inside the foci."""
    mask: NDArray[np.bool_]
    """(scene, layer, y, x) True where there are cells."""
    depth_um: NDArray[np.float32]
    """(scene, layer) distance from sensor A, increasing."""
    captures: NDArray[np.float32]
    """(scene, sensor, y, x) in the units of `layers`."""

    @property
    def depth_map_um(self) -> NDArray[np.float32]:
        """(scene, layer, y, x): the layer's depth where there are cells, 0 elsewhere."""
        return self.mask * self.depth_um[..., None, None]

    @classmethod
    def joined(cls, parts: Sequence[Scenes]) -> Scenes:
        """Return the scenes of all parts, in their order."""
        return cls(
            layers=np.concatenate([part.layers for part in parts]),
            mask=np.concatenate([part.mask for part in parts]),
            depth_um=np.concatenate([part.depth_um for part in parts]),
            captures=np.concatenate([part.captures for part in parts]),
        )

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.captures)


def draw_depths(
    rng: np.random.Generator, layers: int, *, min_separation_um: float, deepest_um: float
) -> NDArray[np.float32]:
    """Draw depths evenly among all that keep the layers apart.

    Args:
        rng: source of the depths.
        layers: how many.
        min_separation_um: least distance between neighbours.
        deepest_um: depths lie in 0 ... this.

    Returns:
        (layer,) increasing.

    Raises:
        SceneError: that many layers do not fit, or the separation is negative.
    """
    if not min_separation_um >= 0:
        raise SceneError(f"layers need a separation of at least 0 um; got {min_separation_um:g} um")
    slack = deepest_um - (layers - 1) * min_separation_um
    if slack < 0:
        most_um = math.floor(deepest_um / (layers - 1))
        raise SceneError(
            f"{layers} layers at least {min_separation_um:g} um apart do not fit into "
            f"{deepest_um:g} um; ask for a separation of at most {most_um} um"
        )
    free = np.sort(rng.uniform(0, slack, layers))
    return (free + min_separation_um * np.arange(layers)).astype(np.float32)


def draw_specimens(
    rng: np.random.Generator,
    layers: int,
    specimen: Specimen,
    *,
    frame_px: tuple[int, int],
    pixel_pitch_um: float,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Draw the layers of one scene: (layer, y, x) emitted light, and (layer, y, x) masks."""
    masks = foci_masks(
        rng,
        coverage=rng.uniform(*specimen.coverage, layers),
        frame_px=frame_px,
        feature_px=specimen.feature_um / pixel_pitch_um,
        octaves=specimen.octaves,
        persistence=specimen.persistence,
    )
    light = render_cells(
        rng,
        masks,
        pixel_pitch_um=pixel_pitch_um,
        density_per_mm2=specimen.cells_per_mm2,
        brightness_sigma=specimen.brightness_sigma,
        spread_um=specimen.spread_um,
        autofluorescence=specimen.autofluorescence,
        autofluorescence_cv=specimen.autofluorescence_cv,
    )
    return light, masks


class DrawnFrame(NamedTuple):
    """The frame in which tissue is drawn: the imager's, and a margin that is cut off in the end."""

    margin_px: int
    size_px: tuple[int, int]
    inside: tuple[EllipsisType, slice, slice]
    """Cuts (..., y, x) down to the imager's frame."""

    @classmethod
    def around(cls, imager: Imager) -> DrawnFrame:
        """Return the drawn frame of an imager and its boundary."""
        margin = surround_margin_px(imager)
        inner = slice(margin, -margin or None)
        height, width = imager.frame_px
        return cls(margin, (height + 2 * margin, width + 2 * margin), (..., inner, inner))


def surround_margin_px(imager: Imager) -> int:
    """Return how much tissue around the frame a scene needs: none with a dark surround."""
    if imager.boundary == "zero":
        return 0
    reach_um = imager.psf.energy_radius_um(imager.gap_um, SURROUND_ENERGY)
    return min(round(reach_um / imager.pixel_pitch_um), max(imager.frame_px))


def project(
    imager: Imager,
    light: NDArray[np.float32],
    depth_um: NDArray[np.float32],
    *,
    drawn: DrawnFrame,
    **psf_parameters: torch.Tensor,
) -> torch.Tensor:
    """Return the noise-free captures of layers that were drawn with a margin around the frame.

    Args:
        imager: the instrument; what lies beyond the margin is dark.
        light: (scene, layer, y, x) of the drawn frame.
        depth_um: (scene, layer).
        drawn: frame, which the captures are cut down from.
        psf_parameters: as for `LayerProjector.A`.

    Returns:
        (scene, sensor, y, x).
    """
    wide = LayerProjector(imager.with_(boundary="zero"))
    seen = wide.A(torch.from_numpy(light), torch.from_numpy(depth_um), **psf_parameters)
    assert isinstance(seen, torch.Tensor)
    return seen[drawn.inside].clamp_(min=0)


def simulate(
    count: int,
    *,
    seed: int,
    first: int = 0,
    layers: int = 4,
    imager: Imager | None = None,
    peak_snr_db: float | None = 40.0,
    min_separation_um: float = 250.0,
    specimen: Specimen | None = None,
) -> Scenes:
    """Simulate scenes and their captures.

    Scene number n of a seed is always the same specimen at the same depths with the same noise.

    Args:
        count: how many scenes.
        seed: of all that is random.
        first: number of the first scene; the others follow it.
        layers: per scene, 1 to 6.
        imager: the instrument; without one, the reference imager.
        peak_snr_db: 20 log10(peak / standard deviation of the noise there) of each sensor's image;
            None for captures without noise.
        min_separation_um: least distance between neighbouring layers.
        specimen: what the tissue looks like.

    Raises:
        SceneError: layers that do not fit, or a count, seed or SNR that makes no sense.
    """
    imager = imager or Imager.reference()
    specimen = specimen or Specimen()
    if not 1 <= layers <= 6:
        raise SceneError(f"a scene has 1 to 6 layers; got {layers}")
    if count < 1 or seed < 0 or first < 0:
        raise SceneError(
            f"count must be at least 1, and seed and first at least 0; got {count}, {seed}, {first}"
        )
    highest = imager.camera.highest_peak_snr_db()
    if peak_snr_db is not None and not 0 < peak_snr_db <= highest:
        raise SceneError(
            f"a peak SNR must lie above 0 and within the camera's {highest:.1f} dB; "
            f"got {peak_snr_db:g} dB"
        )
    parts = []
    step = chunk_scenes(imager)
    for start in range(first, first + count, step):
        numbers = range(start, min(start + step, first + count))
        rngs = [np.random.default_rng([seed, number]) for number in numbers]
        parts.append(
            _simulate_chunk(rngs, layers, imager, peak_snr_db, min_separation_um, specimen)
        )
    return Scenes.joined(parts)


def chunk_scenes(imager: Imager) -> int:
    """Return how many scenes of an imager's frame are simulated together, to bound memory."""
    pixels = imager.frame_px[0] * imager.frame_px[1]
    return min(CHUNK_SCENES, max(1, CHUNK_PIXELS // pixels))


def _simulate_chunk(
    rngs: list[np.random.Generator],
    layers: int,
    imager: Imager,
    peak_snr_db: float | None,
    min_separation_um: float,
    specimen: Specimen,
) -> Scenes:
    """Simulate one scene for each generator; all that is random in a scene comes from its own."""
    drawn = DrawnFrame.around(imager)
    pitch_um = imager.pixel_pitch_um

    depths, lights, masks = [], [], []
    for rng in rngs:
        depths.append(
            draw_depths(rng, layers, min_separation_um=min_separation_um, deepest_um=imager.gap_um)
        )
        light, mask = draw_specimens(
            rng, layers, specimen, frame_px=drawn.size_px, pixel_pitch_um=pitch_um
        )
        lights.append(light)
        masks.append(mask)
    light, mask, depth_um = np.stack(lights), np.stack(masks), np.stack(depths)
    captures = project(imager, light, depth_um, drawn=drawn)
    if peak_snr_db is not None:
        for rng, capture in zip(rngs, captures, strict=True):
            noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
            capture.copy_(imager.camera.at_peak_snr(capture, peak_snr_db, generator=noise))
    return Scenes(light[drawn.inside], mask[drawn.inside], depth_um, captures.numpy())
