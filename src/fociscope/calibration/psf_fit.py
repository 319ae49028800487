"""Where a calibration starts: the depths it needs, distances, and the family of its PSF."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fociscope.errors import ImagerError
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import AngleSelectivePsf, GaussianPsf
from fociscope.typing import Float64Array

__all__ = [
    "Estimate",
    "Model",
    "PsfFitModel",
    "base_blur_estimate",
    "check_depths",
    "distances",
    "start_model",
]


_WIDEST_BLUR_UM = 500.0


@dataclass(frozen=True)
class Estimate:
    """A fitted value, its standard uncertainty (one standard deviation), and the unit of both."""

    value: float
    std: float
    unit: str


@dataclass(frozen=True)
class PsfFitModel:
    """A PSF whose spread (half angle, or Gaussian spread) and base blur are free.

    Attributes:
        psf: the fields that are not fitted keep its values.
    """

    psf: AngleSelectivePsf | GaussianPsf

    @property
    def spread_name(self) -> str:
        """Name of the field that widens the PSF with distance."""
        return "half_angle_deg" if isinstance(self.psf, AngleSelectivePsf) else "spread"

    @property
    def start(self) -> Float64Array:
        """Where the search begins: (spread, variance of the base blur in um^2)."""
        return np.array([getattr(self.psf, self.spread_name), self.psf.base_blur_um**2])

    @property
    def lower(self) -> Float64Array:
        """Least values."""
        return np.array([4.0 if self.spread_name == "half_angle_deg" else 0.02, 0.0])

    @property
    def upper(self) -> Float64Array:
        """Greatest values."""
        return np.array([60.0 if self.spread_name == "half_angle_deg" else 3.0, _WIDEST_BLUR_UM**2])

    def step(self, pixel_pitch_um: float) -> Float64Array:
        """Return steps for finite differences, small beside what a fit resolves."""
        spread = 0.02 if self.spread_name == "half_angle_deg" else 0.0003
        return np.array([spread, (0.03 * pixel_pitch_um) ** 2])

    def at(self, spread: float, variance_um2: float) -> AngleSelectivePsf | GaussianPsf:
        """Return the PSF with these values."""
        blur_um = math.sqrt(max(float(variance_um2), 0.0))
        return self.psf.model_copy(
            update={self.spread_name: float(spread), "base_blur_um": blur_um}
        )

    def moved(self, spread: float, variance_um2: float) -> PsfFitModel:
        """Return the family that starts from these values."""
        return replace(self, psf=self.at(spread, variance_um2))

    def estimates(self, values: Float64Array, covariance: Float64Array) -> dict[str, Estimate]:
        """Return spread and base blur with their uncertainties."""
        std = np.sqrt(np.diag(covariance))
        unit = "deg" if self.spread_name == "half_angle_deg" else "um/um"
        return {
            self.spread_name: Estimate(float(values[0]), float(std[0]), unit),
            "base_blur_um": base_blur_estimate(float(values[1]), float(std[1])),
        }


def base_blur_estimate(variance_um2: float, std_um2: float) -> Estimate:
    """Return the standard deviation of a blur from its variance, with the wider of both sides.

    Near no blur at all the two sides differ: a variance of 0 +- v allows for a blur of sqrt(v).
    """
    blur_um = math.sqrt(max(variance_um2, 0.0))
    above = math.sqrt(max(variance_um2, 0.0) + std_um2) - blur_um
    below = blur_um - math.sqrt(max(variance_um2 - std_um2, 0.0))
    return Estimate(blur_um, max(above, below), "um")


Model = Literal["angle-selective", "gaussian", "measured"]

FEWEST_DEPTHS = {"angle-selective": 3, "gaussian": 3, "measured": 4}


def check_depths(depth_um: Float64Array, model: Model, imager: Imager, sensors: int) -> None:
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


def start_model(imager: Imager, model: Model) -> PsfFitModel:
    """Return the PSF family of a model, with the imager's own values where it has such a PSF."""
    if model == "gaussian":
        return PsfFitModel(imager.psf if isinstance(imager.psf, GaussianPsf) else GaussianPsf())
    own = isinstance(imager.psf, AngleSelectivePsf)
    return PsfFitModel(imager.psf if own else AngleSelectivePsf())  # type: ignore[arg-type]


def distances(depth_um: Float64Array, gap_um: float, sensors: int) -> list[Float64Array]:
    """Return (depth,) the distance from each sensor."""
    return [depth_um, gap_um - depth_um][:sensors]
