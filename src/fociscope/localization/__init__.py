"""Single emitters in 3D: beads, lone cells and micro-foci, anywhere in depth, off the grid."""

from fociscope.localization._fit import NoiseModel
from fociscope.localization._response import EmitterResponse
from fociscope.localization.emitters import Emitters
from fociscope.localization.locator import Locator, locate_captures
from fociscope.localization.tracks import link_emitters

__all__ = [
    "EmitterResponse",
    "Emitters",
    "Locator",
    "NoiseModel",
    "link_emitters",
    "locate_captures",
]
