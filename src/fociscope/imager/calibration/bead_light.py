"""The light of one emitter on the pixels around it, drawn once for all beads of a plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fociscope.imager.calibration.picture import SPLINE_ORDER, Drawing, fine_picture
from fociscope.imager.psf import Psf

__all__ = ["BeadLight"]

FloatArray = npt.NDArray[np.float64]


class BeadLight:
    """The light of emitters in one plane, for one PSF."""

    def __init__(self, psf: Psf, distance_um: float, pitch_um: float, drawing: Drawing) -> None:
        """Draw the light of an emitter.

        Args:
            psf: that spreads the light.
            distance_um: of the plane from the sensor.
            pitch_um: side of a pixel.
            drawing: how finely and how widely.
        """
        self._drawing = drawing
        self._picture = fine_picture(
            np.ones((1, 1)), psf, max(distance_um, 0.0), pitch_um=pitch_um, drawing=drawing
        )

    def at(self, offset_px: tuple[float, float], radius_px: int) -> FloatArray:
        """Return (k, k) what a window collects of an emitter at (y, x) from its middle."""
        axis = np.arange(-radius_px, radius_px + 1)
        y, x = (
            (axis - offset + self._drawing.radius_px) * self._drawing.steps
            + self._drawing.steps // 2
            for offset in offset_px
        )
        fine = np.meshgrid(y, x, indexing="ij")
        return np.asarray(
            ndimage.map_coordinates(
                self._picture, fine, order=SPLINE_ORDER, mode="constant", prefilter=False
            )
        )

    def lights(self, window: FloatArray, share: float) -> bool:
        """Whether a window holds a pixel with this share of the light right below the emitter."""
        return bool(window.max() > share * self.at((0.0, 0.0), 0)[0, 0])
