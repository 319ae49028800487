"""Where a calibration starts: the depths it needs, distances, and the family of its PSF."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from fociscope.errors import ImagerError
from fociscope.imager.calibration.family import Family
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import AngleSelectivePsf, GaussianPsf

__all__ = ["Model", "check_depths", "distances", "start_family"]

FloatArray = npt.NDArray[np.float64]
Model = Literal["angle-selective", "gaussian", "measured"]

FEWEST_DEPTHS = {"angle-selective": 3, "gaussian": 3, "measured": 4}


def check_depths(depth_um: FloatArray, model: Model, imager: Imager, sensors: int) -> None:
    """Refuse depths that are too few to tell how light spreads, or outside the imager.

    Raises:
        ImagerError: so it is.
    """
    distinct, fewest = np.unique(depth_um).size, FEWEST_DEPTHS[model]
    if distinct < fewest:
        raise ImagerError(
            f"{distinct} distinct depth(s), expected at least {fewest} for the PSF model "
            f"{model!r}; measure more depths, from near the sensor to the deepest of interest"
        )
    if sensors == 2 and depth_um.max() > imager.gap_um:
        raise ImagerError(
            f"depths go up to {depth_um.max():g} um but sensor B lies {imager.gap_um:g} um from A; "
            "give the true gap with --gap-um"
        )


def start_family(imager: Imager, model: Model) -> Family:
    """Return the PSF family of a model, with the imager's own values where it has such a PSF."""
    if model == "gaussian":
        return Family(imager.psf if isinstance(imager.psf, GaussianPsf) else GaussianPsf())
    own = isinstance(imager.psf, AngleSelectivePsf)
    return Family(imager.psf if own else AngleSelectivePsf())  # type: ignore[arg-type]


def distances(depth_um: FloatArray, gap_um: float, sensors: int) -> list[FloatArray]:
    """Return (depth,) the distance from each sensor."""
    return [depth_um, gap_um - depth_um][:sensors]
