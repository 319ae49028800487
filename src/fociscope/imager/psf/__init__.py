"""Point spread functions: distance of an emitter -> the share of its light in each pixel.

A kind of PSF is a subclass of `Psf` under its name in `PSF_KINDS`. Kinds of users and plug-ins,
registered there, work wherever the kinds of this package do: in imager files, in projections,
simulations, calibrations and figures.
"""

from typing import TYPE_CHECKING, TypeAlias

from fociscope.configuration import any_kind, kind_problem
from fociscope.errors import ImagerError
from fociscope.imager.psf._angle_selective import AngleSelectivePsf
from fociscope.imager.psf._angular_response import AngularResponsePsf
from fociscope.imager.psf._base import KERNEL_ENERGY, FitParameter, Psf
from fociscope.imager.psf._gaussian import GaussianPsf
from fociscope.imager.psf._measured import MeasuredPsf
from fociscope.imager.psf._pixels import (
    OuterEnergy,
    radial_area_response,
    radial_pixel_response,
)
from fociscope.imager.psf._tissue import Tissue
from fociscope.registry import Registry

__all__ = [
    "KERNEL_ENERGY",
    "PSF_KINDS",
    "AngleSelectivePsf",
    "AngularResponsePsf",
    "AnyPsf",
    "FitParameter",
    "GaussianPsf",
    "MeasuredPsf",
    "OuterEnergy",
    "Psf",
    "Tissue",
    "radial_area_response",
    "radial_pixel_response",
]

PSF_KINDS: Registry[type[Psf]] = Registry(
    "kind of PSF", group="fociscope.psf_kinds", error=ImagerError, problem=kind_problem(Psf)
)
"""Kinds by the name that an imager's file gives as `kind`."""
PSF_KINDS.register("angle-selective", AngleSelectivePsf)
PSF_KINDS.register("angular-response", AngularResponsePsf)
PSF_KINDS.register("gaussian", GaussianPsf)
PSF_KINDS.register("measured", MeasuredPsf)

if TYPE_CHECKING:
    AnyPsf: TypeAlias = Psf
else:
    AnyPsf = any_kind(PSF_KINDS, Psf, default="angle-selective")
    """Type of a field that holds a PSF of any registered kind; angle-selective if it names none."""
