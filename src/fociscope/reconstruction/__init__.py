"""Capture -> `Reconstruction`."""

from fociscope.reconstruction.correction import ChipCorrection, find_bad_pixels
from fociscope.reconstruction.engine import Model, load_model
from fociscope.reconstruction.preparation import Preparation
from fociscope.results.foci import Focus, find_foci
from fociscope.results.result import Reconstruction

__all__ = [
    "ChipCorrection",
    "Focus",
    "Model",
    "Preparation",
    "Reconstruction",
    "find_bad_pixels",
    "find_foci",
    "load_model",
]
