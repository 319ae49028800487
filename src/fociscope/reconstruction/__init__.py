"""Capture -> `Reconstruction`."""

from fociscope.reconstruction.correction import ChipCorrection, find_bad_pixels
from fociscope.reconstruction.engine import Model, load_model
from fociscope.reconstruction.preparation import Preparation
from fociscope.reconstruction.volume import VolumeModel, load_volume_model
from fociscope.results.foci import Focus, find_foci
from fociscope.results.result import Reconstruction

__all__ = [
    "ChipCorrection",
    "Focus",
    "Model",
    "Preparation",
    "Reconstruction",
    "VolumeModel",
    "find_bad_pixels",
    "find_foci",
    "load_model",
    "load_volume_model",
]
