"""What napari's "Open Sample" offers: the shipped captures, simulated scenes with their truth."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import resources
from typing import Any

from fociscope.imager.geometry import Imager
from fociscope.napari_plugin.reader import capture_layers, sync_depths_in_napari
from fociscope.napari_plugin.transforms import Depths, LayerData, capture_image_planes, image_planes
from fociscope.simulation.scene import simulate

__all__ = ["example", "scene", "series"]

SEED = 1
FRAMES = 8
#: Light is shown as its square root, as in captures.
LIGHT_GAMMA = 0.5


def example() -> list[LayerData]:
    """Return the capture pair that `fociscope demo` reconstructs."""
    here = resources.files("fociscope.demo")
    with ExitStack() as stack:
        paths = [
            stack.enter_context(resources.as_file(here / name))
            for name in ("sensor_a.tif", "sensor_b.tif")
        ]
        return capture_layers(paths)


def scene() -> list[LayerData]:
    """Return one simulated scene of four layers: its captures, and the truth behind them."""
    return _scenes(1)


def series() -> list[LayerData]:
    """Return some simulated scenes along an axis of frames, each with depths of its own."""
    layers = _scenes(FRAMES)
    sync_depths_in_napari()
    return layers


def _scenes(count: int) -> list[LayerData]:
    imager = Imager.reference()
    scenes = simulate(count, seed=SEED, layers=4, imager=imager)
    first = 0 if count == 1 else slice(None)
    place: dict[str, Any] = {"gap_um": imager.gap_um, "pixel_pitch_um": imager.square_pitch_um}
    return [
        *capture_image_planes(scenes.captures[first], **place),
        *image_planes(
            scenes.layers[first],
            Depths(scenes.depth_um[first]),
            name="true light",
            pixel_pitch_um=imager.square_pitch_um,
            deepest_um=imager.gap_um,
            limits=(0.0, float(scenes.layers.max())),
            gamma=LIGHT_GAMMA,
        ),
    ]
