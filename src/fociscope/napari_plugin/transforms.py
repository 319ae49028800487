"""Maps and captures as layers of napari, each at its depth, which follows the frame of a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.colors import to_hex, to_rgba
from numpy.typing import NDArray

from fociscope.figures.style import DEPTH_MAP
from fociscope.typing import BoolArray, Float32Array

__all__ = [
    "KEY",
    "Depths",
    "LayerData",
    "capture_image_planes",
    "depth_colour",
    "image_planes",
    "sync_depths",
]

LayerType = Literal["image", "points", "tracks", "vectors"]
LayerData = tuple[Any, dict[str, Any], LayerType]
"""What napari makes a layer of: data, keyword arguments, type."""

#: Under this name stands in a layer's metadata what Fociscope knows of it.
KEY = "fociscope"
#: Thinner plates are not seen from the side.
LEAST_THICKNESS_UM = 10.0
#: A capture's brightness is shown as its square root, or one bright cell leaves all else black.
CAPTURE_GAMMA = 0.5
#: Layers shine through one another.
OPACITY = 0.7


@dataclass(frozen=True)
class Depths:
    """Where the layers of one capture lie, or of each frame of a series."""

    mean_um: Float32Array
    """(..., layer) distance from sensor A."""
    std_um: Float32Array | None = None
    """(..., layer) standard deviation; None where the depths are known."""
    present: BoolArray | None = None
    """(..., layer) whether there is such a layer; None for all of them."""

    def is_present(self, layer: int) -> BoolArray:
        """(...): whether there is this layer."""
        if self.present is None:
            return np.ones(self.mean_um.shape[:-1], dtype=np.bool_)
        return np.asarray(self.present[..., layer])

    def thickness_um(self, layer: int) -> float:
        """Return one standard deviation to either side, the frames' median, or the least."""
        if self.std_um is None:
            return LEAST_THICKNESS_UM
        std_um = self.std_um[..., layer][self.is_present(layer)]
        return max(2 * float(np.median(std_um)), LEAST_THICKNESS_UM)

    def name(self, layer: int) -> str:
        """Return which layer this is, and how deep it lies."""
        there = self.is_present(layer)
        depth_um = float(self.mean_um[..., layer][there].mean())
        about = "about " if self.mean_um.ndim > 1 else ""
        std = ""
        if self.std_um is not None:
            std = f" ± {float(np.median(self.std_um[..., layer][there])):.0f}"
        return f"layer {layer + 1}, {about}{depth_um:.0f}{std} µm"


def image_planes(
    stack: NDArray[Any],
    where: Depths,
    *,
    name: str,
    pixel_pitch_um: float,
    deepest_um: float,
    limits: tuple[float, float],
    gamma: float = 1.0,
    visible: bool = True,
    metadata: dict[str, Any] | None = None,
) -> list[LayerData]:
    """Return each layer as an image at its depth, in its depth's colour; absent ones are left out.

    The deepest comes first: napari draws in this order, and what is nearest to A comes on top.

    Args:
        stack: (layer, y, x), or (frame, layer, y, x) of a series.
        where: the depths; a layer that is absent from some frames is dark there.
        name: what the values are.
        pixel_pitch_um: side of a pixel.
        deepest_um: the last colour's depth.
        limits: values that are clear, and that have the full colour.
        gamma: the power that values within the limits are shown with.
        visible: shown from the start.
        metadata: more of what is known.
    """
    series = stack.ndim == 4
    made: list[LayerData] = []
    for layer in reversed(range(stack.shape[-3])):
        there = where.is_present(layer)
        if not there.any():
            continue
        depth_um = where.mean_um[..., layer]
        shown = stack[..., layer, :, :]
        if not there.all():
            shown = shown * there[..., None, None]
        first_um = float(depth_um[there][0])
        known = {
            **(metadata or {}),
            "kind": name,
            "layer": layer + 1,
            "depth_um": depth_um.tolist(),
            "depth_std_um": None if where.std_um is None else where.std_um[..., layer].tolist(),
        }
        looks = {
            "name": f"{name}, {where.name(layer)}",
            "colormap": _from_clear_to(depth_colour(float(depth_um[there].mean()), deepest_um)),
            "contrast_limits": limits,
            "gamma": gamma,
            "blending": "translucent_no_depth",
            "opacity": OPACITY,
            "interpolation3d": "nearest",
            "visible": visible,
            "metadata": {KEY: known},
        }
        place = _space(
            thickness_um=where.thickness_um(layer),
            pixel_pitch_um=pixel_pitch_um,
            depth_um=first_um,
            series=series,
        )
        made.append((shown[..., None, :, :], {**looks, **place}, "image"))
    return made


def capture_image_planes(
    captures: Float32Array,
    *,
    gap_um: float,
    pixel_pitch_um: float,
    sensors: Sequence[str] = "AB",
    name: str = "sensor",
    visible: bool = True,
    metadata: dict[str, Any] | None = None,
) -> list[LayerData]:
    """Return each sensor's image in the plane of that sensor: A at depth 0, B at `gap_um`.

    Args:
        captures: (sensor, y, x), or (frame, sensor, y, x) of a series.
        gap_um: from sensor A to sensor B.
        pixel_pitch_um: side of a pixel.
        sensors: which ones they are, in the order of their axis.
        name: what the images are.
        visible: shown from the start.
        metadata: more of what is known.
    """
    made: list[LayerData] = []
    for index, sensor in zip(range(captures.shape[-3]), sensors, strict=False):
        image = captures[..., index, :, :]
        brightest = float(np.nanmax(image))
        looks = {
            "name": f"{name} {sensor}",
            "colormap": "gray",
            "contrast_limits": (0.0, brightest if brightest > 0 else 1.0),
            "gamma": CAPTURE_GAMMA,
            "blending": "additive",
            "interpolation3d": "nearest",
            "visible": visible,
            "metadata": {KEY: {**(metadata or {}), "kind": name, "sensor": sensor}},
        }
        place = _space(
            thickness_um=LEAST_THICKNESS_UM,
            pixel_pitch_um=pixel_pitch_um,
            depth_um=0.0 if sensor == "A" else gap_um,
            series=captures.ndim == 4,
        )
        made.append((image[..., None, :, :], {**looks, **place}, "image"))
    return made


def depth_colour(depth_um: float, deepest_um: float) -> str:
    """Return the colour of a depth in all pictures of Fociscope, as #rrggbb."""
    return to_hex(DEPTH_MAP(min(max(depth_um / deepest_um, 0.0), 1.0)))


def sync_depths(viewer: Any) -> None:
    """Move plates to their depth whenever the frame changes, once for all layers of a viewer.

    Args:
        viewer: napari's, or the model of one; asked a second time, nothing more happens.
    """
    emitter = viewer.dims.events.current_step

    def place_plates(event: Any = None) -> None:
        for layer in viewer.layers:
            _place(layer, viewer.dims)

    names = {getattr(callback, "__qualname__", "") for callback in emitter.callbacks}
    if place_plates.__qualname__ not in names:
        emitter.connect(place_plates)


def _from_clear_to(colour: str) -> dict[str, Any]:
    """Return the colour map of one layer: where it is empty, the layers beneath are seen."""
    return {"name": f"depth {colour}", "colors": [to_rgba(colour, 0.0), to_rgba(colour, 1.0)]}


def _space(*, thickness_um: float, pixel_pitch_um: float, depth_um: float, series: bool) -> Any:
    """Return the keyword arguments that put a plane of pixels to its place."""
    middle_um = pixel_pitch_um / 2  # napari's places are those of the pixels' middles
    return {
        "scale": (1.0,) * series + (thickness_um, pixel_pitch_um, pixel_pitch_um),
        "translate": (0.0,) * series + (depth_um, middle_um, middle_um),
        "units": ("pixel",) * series + ("um", "um", "um"),
        "axis_labels": ("frame",) * series + ("depth", "y", "x"),
    }


def _place(layer: Any, dims: Any) -> None:
    """Put one layer to its depth in the current frame, if it has a depth for each."""
    depths_um = layer.metadata.get(KEY, {}).get("depth_um")
    if not isinstance(depths_um, list) or layer.ndim != 4 or dims.ndim != 4:
        return
    frame = min(max(round(dims.point[0]), 0), len(depths_um) - 1)
    if layer.translate[1] != depths_um[frame]:
        layer.translate = (layer.translate[0], depths_um[frame], *layer.translate[2:])
