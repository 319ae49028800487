"""Restorations by any package on one footing: what they are given, and how they are tuned.

A restoration turns captures into layers of light, told the depths and the PSFs. Its parameter is
chosen from a grid on validation scenes; so is what light means "cells here", by the same code that
reads the light of Fociscope's own solvers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fociscope.evaluation.batches import Batch, Prediction
from fociscope.evaluation.methods import MaskReadout
from fociscope.evaluation.metrics import relative_squared_error
from fociscope.evaluation.suite import VALIDATION, Condition
from fociscope.imager import Imager, LayerProjector

__all__ = ["Given", "Restoration", "Tuned", "cropped", "validation_scenes"]


class Given(NamedTuple):
    """What a restoration is given: everything but the answer."""

    captures: Tensor
    """(scene, sensor, y, x)."""
    kernels: Tensor
    """(scene, layer, sensor, k, k): the true PSF of each layer on each sensor, k odd, centred."""
    depth_um: Tensor
    """(scene, layer), the true ones."""
    imager: Imager

    @classmethod
    def of(cls, batch: Batch, imager: Imager) -> Given:
        """Return what is told of some scenes."""
        assert batch.depth_um is not None
        depth_um = torch.from_numpy(batch.depth_um)
        projector = LayerProjector(imager)
        kernels = imager.psf.kernel(
            projector.distance_um(depth_um),
            imager.pixel_pitch_um,
            radius_px=projector.at(depth_um, imager.frame_px).radius_px,
        )
        return cls(torch.from_numpy(batch.captures), torch.as_tensor(kernels), depth_um, imager)

    def of_unit_gain(self) -> Given:
        """Return the same with kernels that sum to 1, and captures in their unit.

        The grating lets a few percent of the light through; packages expect PSFs that keep it.
        """
        gain = self.kernels.sum((-2, -1), keepdim=True)
        return self._replace(captures=self.captures / gain.mean(), kernels=self.kernels / gain)


def cropped(kernels: Tensor, reach_px: int) -> Tensor:
    """Return kernels (..., k, k) up to so many pixels from their middle."""
    middle = kernels.shape[-1] // 2
    some = slice(max(0, middle - reach_px), middle + reach_px + 1)
    return kernels[..., some, some]


class Restoration(NamedTuple):
    """A package's way from captures to layers."""

    package: str
    """As it is installed."""
    module: str
    """As it is imported."""
    name: str
    sees: str
    """The sensors whose captures it uses."""
    restore: Callable[..., Tensor]
    """(given, **parameters) -> (scene, layer, y, x)."""
    grid: tuple[dict[str, Any], ...]
    """Of these parameters one is chosen."""
    at_once: bool
    """It takes a batch of scenes; others are called for each scene."""
    only_layers: int | None = None
    """It is for scenes of so many layers; None for any number."""


@cache
def validation_scenes(condition: Condition, count: int) -> Batch:
    """Return validation scenes with the layers of a condition; nothing is scored on them."""
    changes = {"layers": condition.layers, "min_separation_um": condition.min_separation_um}
    scenes = VALIDATION.model_copy(update=changes).simulated(count)
    return Batch.from_scenes(scenes, cells_per_pixel=1.0)


@dataclass
class Tuned:
    """A restoration with what served best on validation scenes, for cells and for light."""

    restoration: Restoration
    for_cells: dict[str, Any] = field(default_factory=dict)
    """The parameters of the best pixel accuracy."""
    for_light: dict[str, Any] = field(default_factory=dict)
    """Those of the least squared error of the layers."""
    reading: MaskReadout | None = None

    def tune(self, batch: Batch, imager: Imager) -> None:
        """Try the whole grid on validation scenes."""
        assert batch.mask is not None
        assert batch.layers is not None
        given, best, least = Given.of(batch, imager), -np.inf, np.inf
        for parameters in self.restoration.grid:
            layers = self.layers(given, parameters)
            reading = MaskReadout.fit(layers, batch.mask)
            accuracy = float((reading.mask(layers) == batch.mask).mean())
            if accuracy > best:
                best, self.for_cells, self.reading = accuracy, parameters, reading
            error = float(relative_squared_error(layers, batch.layers, gain_free=True).mean())
            if error < least:
                least, self.for_light = error, parameters

    def answer(self, given: Given) -> Prediction:
        """Restore for cells, and read masks."""
        assert self.reading is not None, "tune() comes first"
        layers = self.layers(given, self.for_cells)
        return Prediction(
            mask=self.reading.mask(layers),
            probability=self.reading.probability(layers),
            intensity=layers,
        )

    def layers(self, given: Given, parameters: dict[str, Any]) -> NDArray[np.float32]:
        """Return (scene, layer, y, x); pixels that are not finite are dark."""
        layers = self.restoration.restore(given, **parameters).numpy().astype(np.float32)
        return np.nan_to_num(layers, nan=0.0, posinf=0.0, neginf=0.0)
