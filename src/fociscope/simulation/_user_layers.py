"""A user's own masks or images as the layers of a scene."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fociscope.errors import SceneError, printable
from fociscope.files.images.reader import read_image
from fociscope.simulation.base import DrawnLayers, ShareRange
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.tissue import FilledTissue
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["UserLayers"]


class UserLayers(FilledTissue):
    """Layers from image files: every scene has the same, at depths and with noise of its own.

    Images are never resampled: a plane must have the pixels of the imager's frame. In scenes with
    tissue around the frame it goes on as its mirror image, unless it has the pixels of the whole
    drawn frame.

    Attributes:
        files: Images (y, x) or stacks (layer, y, x), from sensor A down, as many planes as a scene
            has layers. A relative path starts at the working directory.
        masks: Images that are above 0 where there are cells; without them, `threshold` decides.
        threshold: Share of a plane's maximum above which there are cells.
        emission: `image`, the light of the plane with a mean of 1 in the mask, or `cells`, drawn
            where the mask is.

    Examples:
        >>> import numpy as np
        >>> from fociscope.simulation import UserLayers, simulate
        >>> np.save("plane.npy", np.eye(51))
        >>> scenes = simulate(1, seed=0, layers=1, specimen=UserLayers(files=("plane.npy",)))
        >>> int(scenes.mask.sum())
        51
    """

    kind: Literal["user-layers"] = "user-layers"
    files: Annotated[tuple[Path, ...], Field(min_length=1, max_length=64)]
    """Images (y, x) or stacks (layer, y, x), from sensor A down, as many planes as a scene has
    layers. A relative path is looked up from the working directory."""
    masks: Annotated[tuple[Path, ...], Field(max_length=64)] = ()
    """Where there are cells, not 0; as many planes as `files`. Without it, `threshold` decides."""
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """There are cells where a plane is above this share of its maximum."""
    emission: Literal["image", "cells"] = "image"
    """`image`: light as in the plane, with a mean of 1 where there are cells; `cells`: the plane
    only says where there are cells, and these are drawn."""
    autofluorescence: ShareRange = (0.0, 0.0)

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Read the files; draw cells and autofluorescence where they are asked for."""
        image = _planes(self.files, layers, frame)
        if self.masks:
            masks = _planes(self.masks, layers, frame) > 0
        else:
            masks = image > self.threshold * image.max(axis=(-2, -1), keepdims=True)
        if self.emission == "cells":
            return DrawnLayers(self.filled(rng, masks, frame.pixel_pitch_um), masks)
        light = np.stack(
            [_normalised(*plane) for plane in enumerate(zip(image, masks, strict=True))]
        )
        light += self.draw_autofluorescence(rng, (layers, *frame.size_px), frame.pixel_pitch_um)
        return DrawnLayers(light.astype(np.float32), masks)


def _planes(files: tuple[Path, ...], layers: int, frame: DrawnFrame) -> Float64Array:
    """Return (layer, y, x) of the drawn frame, from files that must fit it."""
    inner, margin_px = frame.imager_px, frame.margin_px
    planes: list[Float32Array] = []
    for file in files:
        stack = read_image(file)
        if stack.ndim > 3 or stack.shape[-2:] not in (inner, frame.size_px):
            raise SceneError(
                f"{printable(file)}: an image of {'x'.join(map(str, stack.shape))} pixels, "
                f"expected {inner[0]}x{inner[1]} like the imager's frame; images are not resampled"
            )
        if not np.isfinite(stack).all() or stack.min() < 0:
            raise SceneError(
                f"{printable(file)}: holds negative values or NaN; expected light from 0 up"
            )
        if stack.shape[-2:] != frame.size_px:
            margin = ((0, 0), (margin_px, margin_px), (margin_px, margin_px))
            stack = np.pad(stack.reshape(-1, *inner), margin, mode="symmetric")
        planes.extend(stack.reshape(-1, *frame.size_px))
    if len(planes) != layers:
        raise SceneError(
            f"the files hold {len(planes)} layer(s) and the scene has {layers}; "
            f"ask for {len(planes)} layers or give other files"
        )
    return np.stack(planes).astype(np.float64)


def _normalised(number: int, plane: tuple[Float64Array, BoolArray]) -> Float64Array:
    """Return a plane with a mean of 1 where there are cells; one that is all dark stays dark."""
    image, mask = plane
    mean = image[mask].mean() if mask.any() else 0.0
    if mean > 0:
        return image / mean
    if image.any() or mask.any():
        raise SceneError(
            f"layer {number + 1} of the files has no light where its mask has cells, or light but "
            "no cells; give another mask, image or threshold"
        )
    return image
