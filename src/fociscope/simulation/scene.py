"""Scenes: layers at random depths, and their captures. One seed, one scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType

import numpy as np
import torch

from fociscope.arrays import whole_number, without_autocast
from fociscope.errors import SceneError
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.simulation.base import Specimen
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB, Exposure
from fociscope.simulation.frame import (
    DrawnFrame,
    chunk_scenes,
    project,
    rebinned,
    square_frame,
)
from fociscope.simulation.specimens import load_specimen
from fociscope.simulation.surfaces import Surface, project_surfaces
from fociscope.simulation.tissue import PerlinFoci
from fociscope.typing import BoolArray, Float32Array

__all__ = [
    "Scenes",
    "draw_depths",
    "simulate",
]

#: Farthest that sensor images are written beside the layers, in pixels along an axis.
FARTHEST_DISPLACEMENT_PX = 3


@dataclass(frozen=True, repr=False)
class Scenes:
    """Simulated scenes: the truth, and what the imager sees of it.

    Attributes:
        layers: (scene, layer, y, x) emitted light per pixel; about 1 where there are cells.
        mask: (scene, layer, y, x) True where there are cells.
        depth_um: (scene, layer) distance from sensor A in um, increasing; the mean over the frame
            of a layer that is curved.
        captures: (scene, sensor, y, x) images of the sensors, in the units of `layers`.
        surface_um: (scene, layer, y, x) depth of each pixel in um if layers are tilted or curved,
            else None.

    Examples:
        >>> import fociscope
        >>> scenes = fociscope.simulate(2, seed=0)
        >>> scenes
        <Scenes: 2 scenes, 4 layers of 51x51 pixels, 2 sensors, depths 4 to 989 µm>
        >>> scenes.captures.shape
        (2, 2, 51, 51)
    """

    layers: Float32Array
    mask: BoolArray
    depth_um: Float32Array
    captures: Float32Array
    surface_um: Float32Array | None = None

    @property
    def depth_map_um(self) -> Float32Array:
        """(scene, layer, y, x): the layer's depth where there are cells, 0 elsewhere."""
        if self.surface_um is not None:
            return self.mask * self.surface_um
        return self.mask * self.depth_um[..., None, None]

    @classmethod
    def joined(cls, parts: Sequence[Scenes]) -> Scenes:
        """Return the scenes of all parts, in their order."""
        surfaces = None
        if any(part.surface_um is not None for part in parts):
            surfaces = np.concatenate([part._every_surface() for part in parts])
        return cls(
            layers=np.concatenate([part.layers for part in parts]),
            mask=np.concatenate([part.mask for part in parts]),
            depth_um=np.concatenate([part.depth_um for part in parts]),
            captures=np.concatenate([part.captures for part in parts]),
            surface_um=surfaces,
        )

    def _every_surface(self) -> Float32Array:
        """Return (scene, layer, y, x) depths, of flat layers too."""
        if self.surface_um is not None:
            return self.surface_um
        return np.broadcast_to(self.depth_um[..., None, None], self.mask.shape)

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.captures)

    def __repr__(self) -> str:
        """Return one line: how many scenes, their shape and the range of their depths."""
        count, layers, height, width = self.layers.shape
        return (
            f"<Scenes: {count} scene{'s' * (count != 1)}, {layers} "
            f"layer{'s' * (layers != 1)} of {height}x{width} pixels, {self.captures.shape[1]} "
            f"sensor{'s' * (self.captures.shape[1] != 1)}, depths {self.depth_um.min():.0f} to "
            f"{self.depth_um.max():.0f} µm{', curved' * (self.surface_um is not None)}>"
        )


def draw_depths(
    rng: np.random.Generator, layers: int, *, min_separation_um: float, deepest_um: float
) -> Float32Array:
    r"""Draw depths evenly among all that keep the layers apart.

    With $n$ layers, the separation $s$ and the gap $g$, sorted uniform numbers
    $u_1 \le \dots \le u_n$ in $[0,\, g - (n - 1) s]$ give $z_i = u_i + (i - 1) s$.

    Args:
        rng: Source of the depths.
        layers: Number of layers, $n$.
        min_separation_um: Least distance between neighbours in um, $s$.
        deepest_um: Greatest depth in um, $g$.

    Returns:
        (layer,) depths in um, increasing.

    Raises:
        SceneError: If that many layers do not fit, or if the separation is negative.

    Examples:
        >>> import numpy as np
        >>> from fociscope.simulation import draw_depths
        >>> rng = np.random.default_rng(0)
        >>> draw_depths(rng, 3, min_separation_um=250.0, deepest_um=1000.0).round()
        array([ 20., 385., 818.], dtype=float32)
    """
    if not min_separation_um >= 0:
        raise SceneError(f"layers need a separation of at least 0 µm; got {min_separation_um:g} µm")
    slack = deepest_um - (layers - 1) * min_separation_um
    if slack < 0:
        most_um = math.floor(deepest_um / (layers - 1))
        raise SceneError(
            f"{layers} layers at least {min_separation_um:g} µm apart do not fit into "
            f"{deepest_um:g} µm; ask for a separation of at most {most_um} µm"
        )
    free = np.sort(rng.uniform(0, slack, layers))
    return (free + min_separation_um * np.arange(layers)).astype(np.float32)


@without_autocast
def simulate(
    count: int,
    *,
    seed: int,
    first: int = 0,
    layers: int = 4,
    imager: Imager | None = None,
    peak_snr_db: float | EllipsisType | None = ...,
    cell_photons_per_s: float | None = None,
    min_separation_um: float = 250.0,
    specimen: Specimen | str | Path | None = None,
    surface: Surface | None = None,
    displacement_px: tuple[int, int] = (0, 0),
) -> Scenes:
    r"""Simulate scenes and their captures.

    Scene number $n$ of a seed is always the same specimen at the same depths with the same noise.
    The peak SNR of a sensor's image with peak $p$, where the noise has the standard deviation
    $\sigma_p$, is $20 \log_{10}(p / \sigma_p)$ dB.

    Args:
        count: Number of scenes.
        seed: Seed of all that is random.
        first: Number of the first scene; the others follow it.
        layers: Number of layers of a scene, 1 to 6.
        imager: Instrument; the reference imager by default.
        peak_snr_db: Peak SNR of each sensor's image, in dB; None for captures without noise; 40 dB
            by default, unless `cell_photons_per_s` sets the light.
        cell_photons_per_s: Photons that a mean cell emits per second, in place of a peak SNR: the
            exposure is then that of the camera, and bright scenes have less noise than dark ones.
        min_separation_um: Least distance between neighbouring layers in um; between the middles of
            layers that are tilted or curved.
        specimen: What the layers show: a specimen, the name of a kind in `SPECIMEN_KINDS`, or the
            path of a specimen's TOML file; `PerlinFoci` by default.
        surface: Tilt and curvature of the layers; flat by default.
        displacement_px: By which sensor images lie beside the layers, (y, x) whole pixels; one up
            and left, (-1, -1), in the published data set.

    Returns:
        The scenes, with their captures.

    Raises:
        SceneError: If the kind of specimen is unknown, if the layers do not fit into the gap or the
            specimen into the frame, if both `peak_snr_db` and `cell_photons_per_s` are set, or if a
            number is out of its range.

    Examples:
        >>> import fociscope
        >>> from fociscope.simulation import MicroFoci
        >>> scenes = fociscope.simulate(2, seed=0, layers=3, specimen=MicroFoci())
        >>> scenes.layers.shape, scenes.depth_um.shape
        ((2, 3, 51, 51), (2, 3))
    """
    imager = imager or Imager.reference()
    if isinstance(specimen, str | Path):
        specimen = load_specimen(specimen)
    specimen = specimen or PerlinFoci()
    count, seed, first, layers = (
        whole_number(value, name, error=SceneError)
        for name, value in (("count", count), ("seed", seed), ("first", first), ("layers", layers))
    )
    if not 1 <= layers <= 6:
        raise SceneError(f"a scene has 1 to 6 layers; got {layers}")
    if count < 1 or seed < 0 or first < 0:
        raise SceneError(
            f"count must be at least 1, and seed and first at least 0; got {count}, {seed}, {first}"
        )
    if isinstance(peak_snr_db, EllipsisType):
        peak_snr_db = REFERENCE_PEAK_SNR_DB if cell_photons_per_s is None else None
    displacement_px = _checked_displacement(displacement_px)
    exposure = Exposure(peak_snr_db, cell_photons_per_s)
    exposure.check(imager)
    parts = []
    step = chunk_scenes(imager)
    for start in range(first, first + count, step):
        numbers = range(start, min(start + step, first + count))
        rngs = [np.random.default_rng([seed, number]) for number in numbers]
        parts.append(
            _simulate_chunk(
                rngs,
                layers,
                imager,
                exposure,
                min_separation_um,
                specimen,
                surface,
                displacement_px,
            )
        )
    return Scenes.joined(parts)


def _checked_displacement(displacement_px: tuple[int, int]) -> tuple[int, int]:
    """Return a displacement (y, x), or refuse one that no program would write."""
    y, x = (whole_number(value, "displacement_px", error=SceneError) for value in displacement_px)
    if max(abs(y), abs(x)) > FARTHEST_DISPLACEMENT_PX:
        raise SceneError(
            f"sensor images lie at most {FARTHEST_DISPLACEMENT_PX} pixels beside the layers; "
            f"got ({y}, {x})"
        )
    return y, x


def _simulate_chunk(
    rngs: list[np.random.Generator],
    layers: int,
    imager: Imager,
    exposure: Exposure,
    min_separation_um: float,
    specimen: Specimen,
    surface: Surface | None,
    displacement_px: tuple[int, int],
) -> Scenes:
    """Simulate one scene for each generator; all that is random in a scene comes from its own."""
    oblong = imager.pitch_um[0] != imager.pitch_um[1]
    if oblong and surface is not None:
        raise SceneError(
            f"imager {imager.name!r} has oblong pixels, and tilted or curved layers are simulated "
            "on square ones only; leave the surface out"
        )
    if displacement_px != (0, 0) and (oblong or surface is not None):
        raise SceneError(
            "sensor images are displaced on square pixels and for flat layers only; leave the "
            "displacement out"
        )
    drawn = square_frame(imager) if oblong else DrawnFrame.around(imager)

    depths, lights, masks, surfaces = [], [], [], []
    for rng in rngs:
        depth_um = draw_depths(
            rng, layers, min_separation_um=min_separation_um, deepest_um=imager.gap_um
        )
        light, mask = specimen.draw_scene(rng, layers, drawn)
        depths.append(depth_um)
        lights.append(light)
        masks.append(mask)
        if surface is not None:
            surfaces.append(surface.draw(rng, depth_um, drawn=drawn, deepest_um=imager.gap_um))
    light, mask, depth_um = np.stack(lights), np.stack(masks), np.stack(depths)
    surface_um = None
    if oblong:
        light, mask = _on_oblong_pixels(light, mask, drawn, imager)
        projected = LayerProjector(imager).A(torch.from_numpy(light), torch.from_numpy(depth_um))
        captures = torch.as_tensor(projected).clamp_(min=0)
    elif surfaces:
        whole_um = np.stack(surfaces)
        captures = project_surfaces(imager, light, whole_um, drawn=drawn)
        surface_um = whole_um[drawn.inside]
        depth_um = surface_um.mean(axis=(-2, -1), dtype=np.float64).astype(np.float32)
    else:
        captures = project(imager, light, depth_um, drawn=drawn, displacement_px=displacement_px)
    if exposure.exposes:
        # The side of a square of a pixel's area.
        side_um = imager.pitch_um[0] if not oblong else math.sqrt(math.prod(imager.pitch_um))
        _expose(captures, rngs, imager, exposure, specimen.cells_per_unit_light(side_um))
    return Scenes(light[drawn.inside], mask[drawn.inside], depth_um, captures.numpy(), surface_um)


def _expose(
    captures: torch.Tensor,
    rngs: list[np.random.Generator],
    imager: Imager,
    exposure: Exposure,
    cells_per_unit_light: float,
) -> None:
    """Put the noise of the camera and the chip's fixed pattern into captures, in place."""
    pattern = imager.fixed_pattern()
    for rng, capture in zip(rngs, captures, strict=True):
        capture.copy_(
            exposure.expose(
                capture,
                imager,
                cells_per_unit_light=cells_per_unit_light,
                seed=int(rng.integers(2**62)),
                fixed_pattern=pattern,
            )
        )


def _on_oblong_pixels(
    light: Float32Array, mask: BoolArray, drawn: DrawnFrame, imager: Imager
) -> tuple[Float32Array, BoolArray]:
    """Return the mean light of an imager's oblong pixels, and whether half of each is cells."""
    covered = rebinned(mask.astype(np.float32), drawn, imager)
    return rebinned(light, drawn, imager), covered >= 0.5
