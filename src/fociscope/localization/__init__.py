"""Single emitters in 3D: beads, lone cells and micro-foci, anywhere in depth, off the grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names

if TYPE_CHECKING:
    from fociscope.localization._bound import EmitterBound as EmitterBound
    from fociscope.localization._bound import emitter_bound as emitter_bound
    from fociscope.localization._noise import NoiseModel as NoiseModel
    from fociscope.localization._response import EmitterResponse as EmitterResponse
    from fociscope.localization.emitters import Emitters as Emitters
    from fociscope.localization.locator import Locator as Locator
    from fociscope.localization.locator import locate_captures as locate_captures
    from fociscope.localization.tracks import link_emitters as link_emitters

#: Each is imported when it is first used: a reconstruction does not load what fits emitters.
_HOME = {
    "EmitterBound": "fociscope.localization._bound",
    "EmitterResponse": "fociscope.localization._response",
    "Emitters": "fociscope.localization.emitters",
    "Locator": "fociscope.localization.locator",
    "NoiseModel": "fociscope.localization._noise",
    "emitter_bound": "fociscope.localization._bound",
    "link_emitters": "fociscope.localization.tracks",
    "locate_captures": "fociscope.localization.locator",
}

__all__ = [
    "EmitterBound",
    "EmitterResponse",
    "Emitters",
    "Locator",
    "NoiseModel",
    "emitter_bound",
    "link_emitters",
    "locate_captures",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
