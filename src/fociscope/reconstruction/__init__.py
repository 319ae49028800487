"""Capture -> `Reconstruction`."""

from fociscope.reconstruction.engine import Model, load_model
from fociscope.reconstruction.result import Reconstruction

__all__ = ["Model", "Reconstruction", "load_model"]
