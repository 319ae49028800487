"""The layered map of captures: what is known of each layer, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fociscope.errors import former_attribute
from fociscope.imager.geometry import Imager
from fociscope.typing import BoolArray, Float32Array

__all__ = ["LayeredMap"]


@dataclass(frozen=True)
class LayeredMap:
    """The layered map of one capture, or of many along the leading axes."""

    probability: Float32Array
    """(..., layer, y, x) calibrated probability of cells."""
    presence: Float32Array
    """(..., layer) calibrated probability that there is such a layer; it does not increase."""
    intensity: Float32Array
    """(..., layer, y, x) restored image of each layer: the light it sends onto sensor A, in the
    units of that sensor's image; nothing where a layer is absent."""
    depth_um: Float32Array
    """(..., layer) distance from sensor A, not decreasing; an absent layer's means nothing."""
    depth_std_um: Float32Array
    """(..., layer) standard deviation of the depth."""
    captures: Float32Array
    """(..., sensor, y, x) what was reconstructed, the chip's peculiarities taken out."""
    reprojection: Float32Array
    """(..., sensor, y, x) what the imager would see of the reconstruction, at each sensor's best
    fitting gain."""
    imager: Imager
    """The instrument that the self-check assumes."""
    model: str
    """Name of the model."""
    precision: str = "float32"
    """In what numbers the network was run."""
    good_pixels: BoolArray | None = None
    """(sensor, y, x) which pixels the self-check believes; None for all."""
    quality_flags: NDArray[np.str_] | None = None
    """(...) in words why a capture may not be what the model takes it for; empty where it may."""
    warnings: tuple[str, ...] = ()
    """What was said of the imager when the model was loaded."""

    @property
    def present(self) -> BoolArray:
        """(..., layer): whether there is such a layer, more likely than not."""
        return np.asarray(self.presence >= 0.5)

    @property
    def mask(self) -> BoolArray:
        """(..., layer, y, x): where cells are more likely than not; empty in an absent layer."""
        return (self.probability > 0.5) & self.present[..., None, None]

    suspicion = former_attribute("suspicion", "quality_flags")

    @property
    def plausible(self) -> BoolArray:
        """(...): whether nothing speaks against the capture being the imager's."""
        if self.quality_flags is None:
            return np.ones(self.depth_um.shape[:-1], dtype=np.bool_)
        return np.asarray(self.quality_flags == "")

    @property
    def depth_map_um(self) -> Float32Array:
        """(..., layer, y, x): the layer's depth where there are cells, 0 elsewhere."""
        return (self.mask * self.depth_um[..., None, None]).astype(np.float32)

    @property
    def residual(self) -> Float32Array:
        """(..., sensor): |reprojection - capture| / |capture|, the physical self-check."""
        good = 1 if self.good_pixels is None else self.good_pixels
        captures = self.captures.astype(np.float64) * good  # its squares fit, in any unit of light
        error = np.linalg.norm(self.reprojection * good - captures, axis=(-2, -1))
        norm = np.linalg.norm(captures, axis=(-2, -1))
        return np.asarray(error / norm, dtype=np.float32)

    def frame(self, number: int) -> Self:
        """Return one capture of a series, or this one if it is no series."""
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
        return replace(self, **arrays)

    @property
    def self_check(self) -> str:
        """The residual of each sensor in words; of one capture."""
        residuals = zip("AB", self.residual, strict=False)
        return ", ".join(f"{sensor} {100 * r:.1f} %" for sensor, r in residuals)
