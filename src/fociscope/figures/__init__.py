"""Pictures of captures, maps, point spread functions, specimens and calibrations.

Each function returns a matplotlib `Figure` that needs no display. Colours are perceptually even and
safe for colour-blind readers; every picture carries a scale bar, and every colour bar its unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names

if TYPE_CHECKING:
    from fociscope.figures._psf import draw_psf as draw_psf
    from fociscope.figures._specimens import draw_specimen as draw_specimen
    from fociscope.figures._specimens import draw_surface as draw_surface
    from fociscope.figures.adaptation import draw_adaptation as draw_adaptation
    from fociscope.figures.blind_calibration import (
        draw_blind_calibration as draw_blind_calibration,
    )
    from fociscope.figures.calibration import draw_calibration as draw_calibration
    from fociscope.figures.contact_sheet import draw_contact_sheet as draw_contact_sheet
    from fociscope.figures.design import draw_design_study as draw_design_study
    from fociscope.figures.emitters import draw_emitters as draw_emitters
    from fociscope.figures.reconstruction import Truth as Truth
    from fociscope.figures.reconstruction import draw_comparison as draw_comparison
    from fociscope.figures.reconstruction import draw_reconstruction as draw_reconstruction
    from fociscope.figures.style import STYLE as STYLE
    from fociscope.figures.style import as_read as as_read
    from fociscope.figures.style import depth_colours as depth_colours
    from fociscope.figures.style import draw_image as draw_image
    from fociscope.figures.style import draw_scale_bar as draw_scale_bar
    from fociscope.figures.sweeps import draw_sweeps as draw_sweeps
    from fociscope.figures.volume import draw_volume as draw_volume

#: Each is imported when it is first used: a map's figure needs no calibration.
_HOME = {
    "STYLE": "fociscope.figures.style",
    "Truth": "fociscope.figures.reconstruction",
    "as_read": "fociscope.figures.style",
    "depth_colours": "fociscope.figures.style",
    "draw_blind_calibration": "fociscope.figures.blind_calibration",
    "draw_adaptation": "fociscope.figures.adaptation",
    "draw_calibration": "fociscope.figures.calibration",
    "draw_comparison": "fociscope.figures.reconstruction",
    "draw_contact_sheet": "fociscope.figures.contact_sheet",
    "draw_design_study": "fociscope.figures.design",
    "draw_emitters": "fociscope.figures.emitters",
    "draw_image": "fociscope.figures.style",
    "draw_psf": "fociscope.figures._psf",
    "draw_reconstruction": "fociscope.figures.reconstruction",
    "draw_scale_bar": "fociscope.figures.style",
    "draw_sweeps": "fociscope.figures.sweeps",
    "draw_specimen": "fociscope.figures._specimens",
    "draw_surface": "fociscope.figures._specimens",
    "draw_volume": "fociscope.figures.volume",
}

__all__ = [
    "STYLE",
    "Truth",
    "as_read",
    "depth_colours",
    "draw_adaptation",
    "draw_blind_calibration",
    "draw_calibration",
    "draw_comparison",
    "draw_contact_sheet",
    "draw_design_study",
    "draw_emitters",
    "draw_image",
    "draw_psf",
    "draw_reconstruction",
    "draw_scale_bar",
    "draw_specimen",
    "draw_surface",
    "draw_sweeps",
    "draw_volume",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
