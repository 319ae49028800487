"""Plates of a series follow the frame: each lies where it was found in the frame that is shown."""

from __future__ import annotations

from typing import Any

from fociscope.show.napari.placement import KEY

__all__ = ["follow_depths"]


def follow_depths(viewer: Any) -> None:
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


def _place(layer: Any, dims: Any) -> None:
    """Put one layer to its depth in the current frame, if it has a depth for each."""
    depths_um = layer.metadata.get(KEY, {}).get("depth_um")
    if not isinstance(depths_um, list) or layer.ndim != 4 or dims.ndim != 4:
        return
    frame = min(max(round(dims.point[0]), 0), len(depths_um) - 1)
    if layer.translate[1] != depths_um[frame]:
        layer.translate = (layer.translate[0], depths_um[frame], *layer.translate[2:])
