"""The layered map of captures: what is known of each layer, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fociscope.errors import former_attribute
from fociscope.imager.geometry import Imager
from fociscope.networks.foci import FocusProbability
from fociscope.networks.guarantees import Guarantees
from fociscope.residuals import relative_residual
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["LayeredMap"]


@dataclass(frozen=True, repr=False)
class LayeredMap:
    r"""The layered map of one capture, or of many along the leading axes.

    Attributes:
        probability: (..., layer, y, x) calibrated probability of cells, 0 to 1.
        presence: (..., layer) calibrated probability that there is such a layer; it does not
            increase.
        intensity: (..., layer, y, x) restored image of each layer: the light that it sends onto
            sensor A, in the units of that sensor's image; 0 where a layer is absent.
        depth_um: (..., layer) distance from sensor A in um, not decreasing; without meaning for an
            absent layer.
        depth_std_um: (..., layer) standard deviation of the depth in um.
        captures: (..., sensor, y, x) captures, corrected for the chip.
        reprojection: (..., sensor, y, x) image that the imager would take of the map, at the best
            fitting gain of each sensor.
        imager: Instrument that the self-check assumes.
        model: Name of the model.
        precision: Numbers in which the network was run, `float32` or `bfloat16`.
        good_pixels: (sensor, y, x) pixels that the self-check counts; None for all.
        quality_flags: (...) reason why a capture may not be one that the model can handle; empty
            if there is none.
        warnings: Warnings about the imager from when the model was loaded.
        names: Names of the captures' files, all leading axes counted as one; empty if unknown.
        time_s: (capture,) time of each capture in s, all leading axes counted as one; None if
            unknown.
        saved_residual: (..., sensor) residual that files state, of a map read back without its
            captures; None where the captures are here.
        focus_probability: Regression that says how likely each focus is there; None if the model
            has none.
        guarantees: What holds of such maps in the mean; None if the model was not calibrated for
            it, or looked for another number of layers then.

    Examples:
        >>> import fociscope
        >>> scenes = fociscope.simulate(1, seed=0)
        >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures)
        >>> result.probability.shape, result.depth_um.shape
        ((1, 4, 51, 51), (1, 4))
    """

    probability: Float32Array
    presence: Float32Array
    intensity: Float32Array
    depth_um: Float32Array
    depth_std_um: Float32Array
    captures: Float32Array
    reprojection: Float32Array
    imager: Imager
    model: str
    precision: str = "float32"
    good_pixels: BoolArray | None = None
    quality_flags: NDArray[np.str_] | None = None
    warnings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    time_s: Float64Array | None = None
    saved_residual: Float32Array | None = None
    focus_probability: FocusProbability | None = None
    guarantees: Guarantees | None = None

    def __repr__(self) -> str:
        """Return one line: shape, model, and the depths of the layers that are present."""
        layers, height, width = self.probability.shape[-3:]
        sensors, lead = self.captures.shape[-3], self.depth_um.shape[:-1]
        captures = f"{'x'.join(map(str, lead))} captures, " if lead else ""
        depths = self.depth_um[self.present]
        where = "no layer present"
        if depths.size and lead:
            where = f"depths {depths.min():.0f} to {depths.max():.0f} µm"
        elif depths.size:
            where = f"depths {', '.join(f'{depth:.0f}' for depth in depths)} µm"
        return (
            f"<{type(self).__name__}: {captures}{layers} layer{'s' * (layers != 1)} of "
            f"{height}x{width} pixels, {sensors} sensor{'s' * (sensors != 1)}, "
            f"model {self.model}, {where}>"
        )

    @property
    def present(self) -> BoolArray:
        """(..., layer) whether the layer is more likely present than not."""
        return np.asarray(self.presence >= 0.5)

    @property
    def mask(self) -> BoolArray:
        """(..., layer, y, x) whether cells are more likely than not; False in an absent layer."""
        return (self.probability > 0.5) & self.present[..., None, None]

    suspicion = former_attribute("suspicion", "quality_flags")

    @property
    def plausible(self) -> BoolArray:
        """(...) whether a capture has no quality flag."""
        if self.quality_flags is None:
            return np.ones(self.depth_um.shape[:-1], dtype=np.bool_)
        return np.asarray(self.quality_flags == "")

    @property
    def depth_map_um(self) -> Float32Array:
        """(..., layer, y, x) depth of the layer in um where there are cells, 0 elsewhere."""
        return (self.mask * self.depth_um[..., None, None]).astype(np.float32)

    @property
    def residual(self) -> Float32Array:
        r"""(..., sensor) $\lVert r - c \rVert / \lVert c \rVert$ of reprojection and capture.

        It is the physical self-check, over the good pixels.
        """
        if self.saved_residual is not None:
            return self.saved_residual
        good = 1 if self.good_pixels is None else self.good_pixels
        captures = self.captures.astype(np.float64) * good  # its squares fit, in any unit of light
        residual = relative_residual(self.reprojection * good, captures, dark=np.nan)
        return np.asarray(residual, dtype=np.float32)

    def frame(self, number: int) -> Self:
        """Return one capture of a series.

        Args:
            number: Number of the capture, from 0, all leading axes counted as one.

        Returns:
            The map of that capture without leading axes; this map if it is no series.
        """
        if self.captures.ndim == 3:
            return self
        arrays = {
            name: getattr(self, name).reshape(-1, *getattr(self, name).shape[-axes:])[number]
            for name, axes in (
                ("probability", 3),
                ("presence", 1),
                ("intensity", 3),
                ("depth_um", 1),
                ("depth_std_um", 1),
                ("captures", 3),
                ("reprojection", 3),
            )
        }
        if self.quality_flags is not None:
            arrays["quality_flags"] = np.asarray(self.quality_flags.reshape(-1)[number])
        if self.saved_residual is not None:
            sensors = self.saved_residual.shape[-1]
            arrays["saved_residual"] = self.saved_residual.reshape(-1, sensors)[number]
        return replace(
            self,
            **arrays,
            names=(self.names[number],) if self.names else (),
            time_s=None if self.time_s is None else self.time_s[[number]],
        )

    @property
    def self_check(self) -> str:
        """Residual of each sensor of one capture as text, such as `A 3.1 %, B 2.8 %`."""
        residuals = zip("AB", self.residual, strict=False)
        return ", ".join(f"{sensor} {100 * r:.1f} %" for sensor, r in residuals)
