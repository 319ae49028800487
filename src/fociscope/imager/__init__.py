"""The instrument: geometry, point spread function, projector, camera and photon budget."""

from fociscope.imager.camera import Camera
from fociscope.imager.fixed_pattern import FixedPattern
from fociscope.imager.geometry import Boundary, Imager
from fociscope.imager.photon_budget import PhotonBudget, SensorBudget, photon_budget
from fociscope.imager.projector import LayerProjector
from fociscope.imager.psf import AngleSelectivePsf, GaussianPsf, MeasuredPsf, Psf, Tissue
from fociscope.imager.registration import Registration

__all__ = [
    "AngleSelectivePsf",
    "Boundary",
    "Camera",
    "FixedPattern",
    "GaussianPsf",
    "Imager",
    "LayerProjector",
    "MeasuredPsf",
    "PhotonBudget",
    "Psf",
    "Registration",
    "SensorBudget",
    "Tissue",
    "photon_budget",
]
