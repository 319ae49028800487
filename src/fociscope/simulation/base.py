"""What all specimens share: the base class, what they draw, and the ranges of their fields."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field

from fociscope.arrays import check_result
from fociscope.configuration import Configuration, Range
from fociscope.errors import FociscopeError, SceneError
from fociscope.simulation._cells import autofluorescence_light
from fociscope.simulation._illumination import Dust, dusted, illumination
from fociscope.simulation.frame import DrawnFrame
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["DrawnLayers", "ShareRange", "Specimen"]


def _within_one(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0 or bounds[1] > 1:
        raise ValueError("both numbers must lie within 0 ... 1")
    return bounds


ShareRange = Annotated[Range, AfterValidator(_within_one)]
"""Least and greatest share, within 0 ... 1."""


class DrawnLayers(NamedTuple):
    """The layers of one scene.

    Examples:
        >>> import numpy as np
        >>> from fociscope.simulation import DrawnFrame, PerlinFoci
        >>> frame = DrawnFrame((51, 51), pixel_pitch_um=55.0)
        >>> light, mask = PerlinFoci().draw(np.random.default_rng(0), 4, frame)
        >>> light.shape, mask.dtype
        ((4, 51, 51), dtype('bool'))
    """

    light: Float32Array
    """(layer, y, x) emitted light per pixel; about 1 where there are cells."""
    mask: BoolArray
    """(layer, y, x) True where there are cells."""


class Specimen(Configuration):
    """The base of all kinds of specimens: a configuration that draws the layers of a scene.

    A kind must have a field `kind`, whose default is the name under which `SPECIMEN_KINDS` holds
    it, and the method `draw`. It may override `cells_per_unit_light`, which sets the exposure of
    `simulate(cell_photons_per_s=...)`, and have a field `coverage`, the least and greatest share of
    a layer that cells cover, which each layer must then keep to.

    The contract, which the tests of this package check for each registered kind: the same generator
    gives the same bytes; outside the mask there is no light but autofluorescence; the shape is
    that of the frame, whatever its sides and its margin; and what lies within the imager's frame
    has the same statistics with a margin and without.

    Attributes:
        autofluorescence: Least and greatest mean light outside the cells, relative to the mean
            light where they are; drawn once for each layer.
        autofluorescence_cv: Coefficient of variation of the autofluorescence among pixels.
        autofluorescence_feature_um: Size in um of the structure of the autofluorescence; with 0,
            its pixels are independent.
        illumination_variation: Least and greatest change of the excitation across the frame,
            relative to its mean; drawn once for each scene.
        dust: Opaque specks that lie on each layer; none by default.

    Examples:
        >>> import numpy as np
        >>> from fociscope.simulation import (
        ...     SPECIMEN_KINDS, DrawnLayers, Specimen, load_specimen
        ... )
        >>> class HalfPlane(Specimen):
        ...     kind: str = "half-plane"
        ...
        ...     def draw(self, rng, layers, frame):
        ...         mask = np.zeros((layers, *frame.size_px), dtype=np.bool_)
        ...         mask[..., : frame.size_px[1] // 2] = True
        ...         light = mask + self.draw_autofluorescence(rng, mask.shape)
        ...         return DrawnLayers(light.astype(np.float32), mask)
        >>> SPECIMEN_KINDS.register("half-plane", HalfPlane)
        >>> load_specimen("half-plane").autofluorescence
        (0.05, 0.1)
        >>> SPECIMEN_KINDS.unregister("half-plane")
    """

    error: ClassVar[type[FociscopeError]] = SceneError

    if TYPE_CHECKING:
        kind: str

    autofluorescence: ShareRange = (0.05, 0.10)
    """Least and greatest mean light outside the cells, relative to the mean where they are."""
    autofluorescence_cv: Annotated[float, Field(ge=0, le=10)] = 0.3
    autofluorescence_feature_um: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """Size of the structure of the autofluorescence; with 0, its pixels are independent."""
    illumination_variation: ShareRange = (0.0, 0.0)
    """Least and greatest change of the excitation across the frame, relative to its mean."""
    dust: Dust | None = None
    """Opaque specks that lie on each layer."""

    emits_outside_mask: ClassVar[bool] = False
    """Whether more than autofluorescence is emitted where there are no cells."""

    def draw_scene(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the layers of one scene, as they emit under uneven excitation and below dust.

        Args:
            rng: Source of all that is random.
            layers: Number of layers.
            frame: Frame to draw.

        Returns:
            Light and mask of `draw`; the light is changed, the mask is not.

        Raises:
            SceneError: If the specimen does not fit the frame or the number of layers.
        """
        drawn = self.draw(rng, layers, frame)
        self._check_drawn(drawn, (layers, *frame.size_px))
        light: Float32Array | Float64Array = drawn.light
        if self.illumination_variation[1] > 0:
            light = light * illumination(rng, frame, self.illumination_variation)
        if self.dust is not None:
            light = dusted(rng, light, self.dust, frame.pixel_pitch_um)
        return drawn if light is drawn.light else drawn._replace(light=light.astype(np.float32))

    def _check_drawn(self, drawn: object, shape: tuple[int, ...]) -> None:
        """Refuse layers of a user's kind that do not fit the frame."""
        kind = type(self).__name__
        if not isinstance(drawn, DrawnLayers):
            raise SceneError(f"{kind}.draw: expected DrawnLayers; got {type(drawn).__name__}")
        check_result(f"{kind}.draw, light", drawn.light, shape, error=SceneError)
        check_result(f"{kind}.draw, mask", drawn.mask, shape, error=SceneError, numbers="bool")

    @abstractmethod
    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the layers of one scene.

        Args:
            rng: Source of all that is random.
            layers: Number of layers.
            frame: Frame to draw, with its pixel pitch and the margin around the imager's frame.

        Returns:
            Light and mask, each (layer, y, x) with the pixels of `frame.size_px`.

        Raises:
            SceneError: If the specimen does not fit the frame or the number of layers.
        """

    def cells_per_unit_light(self, pixel_pitch_um: float) -> float:
        """Return how many mean cells emit what a pixel of light 1 emits.

        Args:
            pixel_pitch_um: Side of a pixel, in um.

        Returns:
            Cells per pixel of light 1; 1 unless a kind overrides it.
        """
        return 1.0

    def draw_autofluorescence(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int, int],
        pixel_pitch_um: float | None = None,
    ) -> Float64Array:
        """Draw the light of the autofluorescence.

        Args:
            rng: Source of all that is random.
            shape: (layer, y, x).
            pixel_pitch_um: Side of a pixel in um; without it, pixels are independent.

        Returns:
            (layer, y, x) light per pixel.
        """
        feature_px = self.autofluorescence_feature_um / (pixel_pitch_um or math.inf)
        return autofluorescence_light(
            rng,
            shape,
            level=self.autofluorescence,
            variation=self.autofluorescence_cv,
            feature_px=feature_px,
        )
