"""Capture -> `Reconstruction`."""

from fociscope.reconstruction.correction import ChipCorrection, find_bad_pixels
from fociscope.reconstruction.engine import Model, load_model
from fociscope.reconstruction.result import Reconstruction

__all__ = ["ChipCorrection", "Model", "Reconstruction", "find_bad_pixels", "load_model"]
