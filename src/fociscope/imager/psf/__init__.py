"""Point spread functions: distance of an emitter -> the share of its light in each pixel."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from fociscope.imager.psf.angle_selective import AngleSelectivePsf
from fociscope.imager.psf.base import KERNEL_ENERGY, Psf
from fociscope.imager.psf.gaussian import GaussianPsf
from fociscope.imager.psf.measured import MeasuredPsf
from fociscope.imager.psf.tissue import Tissue

__all__ = [
    "KERNEL_ENERGY",
    "AngleSelectivePsf",
    "AnyPsf",
    "GaussianPsf",
    "MeasuredPsf",
    "Psf",
    "Tissue",
]


def _kind(value: Any) -> str:
    """Return the kind that a description names; one without a kind is angle-selective."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "angle-selective" if kind is None else str(kind)


AnyPsf = Annotated[
    Annotated[AngleSelectivePsf, Tag("angle-selective")]
    | Annotated[GaussianPsf, Tag("gaussian")]
    | Annotated[MeasuredPsf, Tag("measured")],
    Discriminator(
        _kind,
        custom_error_type="unknown_kind",
        custom_error_message="its kind must be angle-selective, gaussian or measured",
    ),
]
"""Any of the kinds, told apart by `kind`."""
