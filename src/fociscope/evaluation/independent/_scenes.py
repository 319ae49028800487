"""Scenes of a family: layers at random depths, and their captures. One seed, one scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fociscope.evaluation.independent._camera import add_camera_noise
from fociscope.evaluation.independent._families import FAMILIES, Frame
from fociscope.evaluation.independent._optics import Optics, binned

__all__ = ["IndependentScenes", "draw_scenes"]

#: Keeps these scenes apart from others that are drawn from the same seed.
STREAM = 0x1DEA


@dataclass(frozen=True)
class IndependentScenes:
    """Scenes with everything known of them.

    Attributes:
        layers: (scene, layer, y, x) emitted light per pixel.
        mask: (scene, layer, y, x) pixels with cells.
        cells: (scene, layer, y, x) cells whose centre lies in each pixel.
        depth_um: (scene, layer) distance from sensor A in um, increasing.
        captures: (scene, sensor, y, x) in the units of `layers`.

    Examples:
        >>> from fociscope.evaluation.independent import draw_scenes
        >>> scenes = draw_scenes("clouds", 2, seed=0, layers=1)
        >>> len(scenes), bool(scenes.mask.any())
        (2, False)
    """

    layers: NDArray[np.float32]
    mask: NDArray[np.bool_]
    cells: NDArray[np.int64]
    depth_um: NDArray[np.float32]
    captures: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.captures)


def draw_scenes(
    family: str,
    count: int,
    *,
    seed: int,
    first: int = 0,
    layers: int = 4,
    min_separation_um: float = 250.0,
    optics: Optics | None = None,
    peak_snr_db: float | None = 40.0,
) -> IndependentScenes:
    """Draw scenes of a family and their captures.

    Scene n of a seed is always the same, whatever is drawn beside it.

    Args:
        family: A name of `FAMILIES`.
        count: Number of scenes.
        seed: Of everything random.
        first: Number of the first scene.
        layers: Layers per scene.
        min_separation_um: Least distance between neighbouring layers in um.
        optics: The imager; the reference imager's numbers if None.
        peak_snr_db: Peak SNR of each sensor's image in dB; None for captures without noise.

    Returns:
        The scenes.

    Raises:
        KeyError: If there is no such family.
        ValueError: If so many layers do not fit between the sensors.

    Examples:
        >>> from fociscope.evaluation.independent import draw_scenes
        >>> scenes = draw_scenes("single-cells", 1, seed=0)
        >>> scenes.captures.shape, scenes.mask.shape
        ((1, 2, 51, 51), (1, 4, 51, 51))
    """
    draw, optics = FAMILIES[family].draw, optics or Optics()
    slack_um = optics.gap_um - (layers - 1) * min_separation_um
    if layers < 1 or slack_um < 0:
        raise ValueError(
            f"{layers} layer(s) at least {min_separation_um:g} µm apart do not fit between "
            f"sensors {optics.gap_um:g} µm apart"
        )
    frame = Frame(optics.frame_px, optics.pixel_pitch_um)
    scenes = []
    for number in range(first, first + count):
        rng = np.random.default_rng([STREAM, seed, number])
        # The gaps between sorted even draws follow a flat Dirichlet distribution.
        gaps_um = slack_um * rng.dirichlet(np.ones(layers + 1))[:layers]
        depth_um = np.cumsum(gaps_um) + min_separation_um * np.arange(layers)
        drawn = [draw(rng, frame) for _ in range(layers)]
        light = np.stack([layer.light for layer in drawn])
        captures = optics.project(light, depth_um)
        if peak_snr_db is not None:
            captures = add_camera_noise(rng, captures, peak_snr_db)
        mask = np.stack([layer.mask for layer in drawn])
        cells = np.stack([layer.cells for layer in drawn])
        scenes.append((binned(light), mask, cells, depth_um, captures))
    parts = [np.stack(part) for part in zip(*scenes, strict=True)]
    return IndependentScenes(
        layers=parts[0].astype(np.float32),
        mask=parts[1],
        cells=parts[2],
        depth_um=parts[3].astype(np.float32),
        captures=parts[4].astype(np.float32),
    )
