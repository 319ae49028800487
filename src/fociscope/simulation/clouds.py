"""Light without cells: smooth clouds, which no depth can be read from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from fociscope.configuration import Range
from fociscope.simulation._fields import spectral_field
from fociscope.simulation.base import DrawnLayers, Specimen
from fociscope.simulation.frame import DrawnFrame

__all__ = ["Clouds"]


class Clouds(Specimen):
    r"""Smooth clouds of light without any cell: what a dye that leaks looks like.

    The light is log-normal, $e^{s g}$ of a Gaussian field $g$ with a power-law spectrum. The mask
    is empty.

    Attributes:
        brightness: Least and greatest mean light; drawn once for each layer.
        contrast: Standard deviation of the logarithm of the light, $s$.
        feature_um: Wavelength in um from which on the field's power is even.
        exponent: Exponent of the power law.

    Examples:
        >>> from fociscope.simulation import Clouds, simulate
        >>> bool(simulate(1, seed=0, specimen=Clouds()).mask.any())
        False
    """

    kind: Literal["clouds"] = "clouds"
    brightness: Range = (0.2, 1.0)
    contrast: Annotated[float, Field(ge=0, le=4)] = 0.7
    feature_um: Annotated[float, Field(gt=0, le=100_000)] = 2000.0
    exponent: Annotated[float, Field(ge=0, le=8)] = 5.0

    emits_outside_mask: ClassVar[bool] = True

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the clouds."""
        field = spectral_field(
            rng,
            layers,
            frame.size_px,
            exponent=self.exponent,
            largest_px=self.feature_um / frame.pixel_pitch_um,
        )
        light = np.exp(self.contrast * field - self.contrast**2 / 2)
        light *= rng.uniform(*self.brightness, (layers, 1, 1))
        light += self.draw_autofluorescence(rng, field.shape, frame.pixel_pitch_um)
        return DrawnLayers(light.astype(np.float32), np.zeros(field.shape, dtype=np.bool_))
