"""The instrument: geometry, point spread function, projector, camera and photon budget."""

from fociscope.imager._camera import Camera
from fociscope.imager._photon_budget import PhotonBudget, SensorBudget, photon_budget
from fociscope.imager.fixed_pattern import FixedPattern
from fociscope.imager.geometry import Boundary, Imager
from fociscope.imager.new_file import write_commented_imager
from fociscope.imager.projector import LayerProjector
from fociscope.imager.psf import (
    PSF_KINDS,
    AngleSelectivePsf,
    AngularResponsePsf,
    FitParameter,
    GaussianPsf,
    MeasuredPsf,
    Psf,
    Tissue,
    radial_area_response,
    radial_pixel_response,
)
from fociscope.imager.registration import (
    Registration,
    Similarity,
    fit_similarity,
    match_points,
)

__all__ = [
    "PSF_KINDS",
    "AngleSelectivePsf",
    "AngularResponsePsf",
    "Boundary",
    "Camera",
    "FitParameter",
    "FixedPattern",
    "GaussianPsf",
    "Imager",
    "LayerProjector",
    "MeasuredPsf",
    "PhotonBudget",
    "Psf",
    "Registration",
    "SensorBudget",
    "Similarity",
    "Tissue",
    "fit_similarity",
    "match_points",
    "photon_budget",
    "radial_area_response",
    "radial_pixel_response",
    "write_commented_imager",
]
