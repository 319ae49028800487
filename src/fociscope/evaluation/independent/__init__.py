"""A second simulator, for testing alone: it shares no code with the one that networks train on.

Specimens, rendering, optics and camera are written anew in NumPy and SciPy, from the formulas and
not from `fociscope.simulation` or `fociscope.imager`; an import rule holds that. What a network
learnt of the first simulator's habits, and not of physics, shows here.
"""

from fociscope.evaluation.independent._camera import add_camera_noise
from fociscope.evaluation.independent._families import FAMILIES, Family
from fociscope.evaluation.independent._optics import SUBPIXELS, Optics, binned
from fociscope.evaluation.independent._scenes import IndependentScenes, draw_scenes

__all__ = [
    "FAMILIES",
    "SUBPIXELS",
    "Family",
    "IndependentScenes",
    "Optics",
    "add_camera_noise",
    "binned",
    "draw_scenes",
]
