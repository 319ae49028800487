"""The PSF of a fit: its free parameters, where the search starts, and their estimates.

Which parameters are free is a matter of the PSF's kind, see `Psf.fit_parameters`; the base blur is
free for every kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from fociscope.configuration import plain_errors
from fociscope.errors import ImagerError
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import PSF_KINDS, FitParameter, Psf
from fociscope.typing import Float64Array

__all__ = [
    "MEASURED",
    "Estimate",
    "PsfFitModel",
    "base_blur_estimate",
    "check_bounds",
    "check_depths",
    "distances",
    "start_model",
    "start_psf",
]

MEASURED = "measured"
"""Model of a PSF that is measured: a fitted one, corrected by what the beads show beside it."""
CORRECTED_KIND = "angle-selective"
"""Kind of PSF that a measured one is fitted as first."""
FEWEST_MEASURED_DEPTHS = 4
_WIDEST_BLUR_UM = 500.0
_BLUR_STEP_PX = 0.03
_AT_BOUND = 1e-3
"""Share of a parameter's range within which a fit counts as standing at its bound."""


@dataclass(frozen=True)
class Estimate:
    """A fitted value with its standard uncertainty.

    Attributes:
        value: Fitted value.
        std: One standard deviation; infinite if the measurement does not determine the value.
        unit: Unit of both, such as "um"; "1" for a pure number.

    Examples:
        >>> from fociscope.calibration import Estimate
        >>> Estimate(14.02, 0.05, "deg").unit
        'deg'
    """

    value: float
    std: float
    unit: str


@dataclass(frozen=True)
class PsfFitModel:
    """A PSF whose own fit parameters and base blur are free.

    The vector of a search holds the values of `Psf.fit_parameters`, then the variance of the base
    blur in um^2.

    Attributes:
        psf: Start of the search; fields that are not fitted keep its values.
    """

    psf: Psf

    @property
    def parameters(self) -> tuple[FitParameter, ...]:
        """The kind's own free parameters, the base blur not included."""
        return self.psf.fit_parameters

    @property
    def count(self) -> int:
        """Number of free parameters, the base blur included."""
        return len(self.parameters) + 1

    @property
    def start(self) -> Float64Array:
        """(count,) values where the search begins."""
        own = [float(getattr(self.psf, one.name)) for one in self.parameters]
        return np.array([*own, self.psf.base_blur_um**2])

    @property
    def lower(self) -> Float64Array:
        """(count,) least values."""
        return np.array([*(one.lower for one in self.parameters), 0.0])

    @property
    def upper(self) -> Float64Array:
        """(count,) greatest values."""
        return np.array([*(one.upper for one in self.parameters), _WIDEST_BLUR_UM**2])

    def step(self, pixel_pitch_um: float) -> Float64Array:
        """Return (count,) steps for finite differences, small beside what a fit resolves."""
        own = [one.step for one in self.parameters]
        return np.array([*own, (_BLUR_STEP_PX * pixel_pitch_um) ** 2])

    def at(self, parameters: Float64Array) -> Psf:
        """Return the PSF at the first `count` of a search's parameters."""
        *own, variance_um2 = (float(v) for v in parameters[: self.count])
        fields = {one.name: v for one, v in zip(self.parameters, own, strict=True)}
        blur_um = math.sqrt(max(variance_um2, 0.0))
        return self.psf.model_copy(update={**fields, "base_blur_um": blur_um})

    def moved(self, parameters: Float64Array) -> PsfFitModel:
        """Return the model that starts from the first `count` of a search's parameters."""
        return replace(self, psf=self.at(parameters))

    def estimates(self, parameters: Float64Array, covariance: Float64Array) -> dict[str, Estimate]:
        """Return the fitted fields of the PSF with their uncertainties, by name."""
        std = np.sqrt(np.diag(covariance)[: self.count])
        own = {
            one.name: Estimate(float(value), float(uncertain), one.unit)
            for one, value, uncertain in zip(self.parameters, parameters, std, strict=False)
        }
        blur = base_blur_estimate(float(parameters[self.count - 1]), float(std[-1]))
        return {**own, "base_blur_um": blur}

    def uncertain_parameters(self, covariance: Float64Array) -> list[tuple[FitParameter, float]]:
        """Return the parameters that a fit knows poorly, each with its standard deviation."""
        std = np.sqrt(np.diag(covariance))
        known = zip(self.parameters, std, strict=False)
        return [(one, float(uncertain)) for one, uncertain in known if uncertain > one.largest_std]


def base_blur_estimate(variance_um2: float, std_um2: float) -> Estimate:
    """Return the standard deviation of a blur from its variance, with the wider of both sides.

    Near no blur at all the two sides differ: a variance of 0 +- v allows for a blur of sqrt(v).
    """
    blur_um = math.sqrt(max(variance_um2, 0.0))
    above = math.sqrt(max(variance_um2, 0.0) + std_um2) - blur_um
    below = blur_um - math.sqrt(max(variance_um2 - std_um2, 0.0))
    return Estimate(blur_um, max(above, below), "um")


def check_bounds(fit_model: PsfFitModel, parameters: Float64Array, pixel_pitch_um: float) -> None:
    """Refuse a fit that ends where the search may go no farther: it has found no PSF.

    No base blur at all is none of these bounds.

    Args:
        fit_model: Model that was fitted.
        parameters: Its `count` fitted values, and others behind them.
        pixel_pitch_um: Pitch that was assumed, for the message.

    Raises:
        ImagerError: If a parameter stands at a bound.
    """
    names = [*(one.name for one in fit_model.parameters), "base_blur_um"]
    psf = fit_model.at(parameters)
    for name, value, lower, upper in zip(
        names, parameters, fit_model.lower, fit_model.upper, strict=False
    ):
        reach = _AT_BOUND * (upper - lower)
        is_low = value <= lower + reach and name != "base_blur_um"
        if is_low or value >= upper - reach:
            raise ImagerError(
                f"the fit ends at the bound of {name} ({getattr(psf, name):.4g}), expected a value "
                f"inside: the depths, the pixel pitch ({pixel_pitch_um:g} µm was taken) or the PSF "
                "model are not those of this stack; state the true ones",
                fields=("depth_um", "pixel_pitch_um", "model"),
                value=float(getattr(psf, name)),
            )


def check_depths(depth_um: Float64Array, model: str, imager: Imager, sensors: int) -> None:
    """Refuse depths that are too few for a model, or outside the imager.

    Args:
        depth_um: (depth,) from sensor A.
        model: Kind of PSF to fit, or `MEASURED`.
        imager: Imager that gives the gap.
        sensors: Number of sensors, 1 or 2.

    Raises:
        ImagerError: If there are fewer distinct depths than free parameters and one more (four for
            a measured PSF), or a depth lies beyond sensor B.
    """
    kind = _fitted_kind(model)
    distinct = np.unique(depth_um).size
    fewest = FEWEST_MEASURED_DEPTHS if model == MEASURED else len(kind.fit_parameters) + 2
    if distinct < fewest:
        raise ImagerError(
            f"{distinct} distinct depth(s), expected at least {fewest} for the PSF model "
            f"{model!r}; measure more depths, from near the sensor to the deepest of interest",
            fields=("depth_um",),
            value=int(distinct),
            least=fewest,
        )
    if sensors == 2 and depth_um.max() > imager.gap_um:
        raise ImagerError(
            f"depths go up to {depth_um.max():g} µm but sensor B lies {imager.gap_um:g} µm from A; "
            "state the true gap",
            fields=("gap_um",),
            value=float(depth_um.max()),
            most=imager.gap_um,
        )


def start_model(imager: Imager, model: str) -> PsfFitModel:
    """Return what is fitted for a model, from the imager's own values if its PSF is of that kind.

    Args:
        imager: Imager that the search begins with.
        model: Kind of PSF to fit, or `MEASURED`.

    Raises:
        ImagerError: As `start_psf`.
    """
    return PsfFitModel(start_psf(imager, model))


def start_psf(
    imager: Imager, model: str, *, start_values: Mapping[str, float] | None = None
) -> Psf:
    """Return the PSF that a search begins with.

    Args:
        imager: Imager whose PSF is taken if it is of the kind that is fitted.
        model: Kind of PSF to fit, or `MEASURED`.
        start_values: Fields of the PSF to begin with, such as `{"half_angle_deg": 14.0}`.

    Raises:
        ImagerError: If there is no such kind, it cannot be fitted or needs values that only an
            imager gives, or a start value is out of its range.
    """
    kind = _fitted_kind(model)
    if isinstance(imager.psf, kind):
        psf: Psf = imager.psf
    else:
        try:
            psf = kind.model_validate({})
        except ValidationError as error:
            raise ImagerError(
                f"a search for a PSF of kind {model!r} needs an imager that has one to begin with "
                f"({plain_errors(error)}); give such an imager",
                fields=("imager",),
            ) from None
    changes: dict[str, Any] = dict(start_values or {})
    return psf.with_(**changes) if changes else psf


def distances(depth_um: Float64Array, gap_um: float, sensors: int) -> list[Float64Array]:
    """Return, for each sensor, (depth,) the distance from it."""
    return [depth_um, gap_um - depth_um][:sensors]


def _fitted_kind(model: str) -> type[Psf]:
    """Return the kind of PSF whose parameters a model fits."""
    kind = PSF_KINDS[CORRECTED_KIND if model == MEASURED else model]
    if not kind.fit_parameters:
        fitted = tuple(name for name, one in PSF_KINDS.items() if one.fit_parameters)
        raise ImagerError(
            f"a PSF of kind {model!r} declares no parameters to fit; choose among: "
            f"{', '.join((*fitted, MEASURED))}",
            fields=("model",),
            value=model,
            choices=(*fitted, MEASURED),
        )
    return kind
