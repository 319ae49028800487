"""The instrument: geometry, point spread function, projector and camera."""

from fociscope.imager.camera import Camera
from fociscope.imager.geometry import Boundary, Imager
from fociscope.imager.projector import LayerProjector
from fociscope.imager.psf import AngleSelectivePsf

__all__ = ["AngleSelectivePsf", "Boundary", "Camera", "Imager", "LayerProjector"]
