"""A hint for captures of a few points, which a layered map explains badly and emitters well."""

from __future__ import annotations

import numpy as np

from fociscope.errors import FociscopeWarning, ImagerError
from fociscope.results import Reconstruction

__all__ = ["sparse_hint"]

#: Maps of sparse captures have fewer cells than this share of the frame, and leave more of the
#: light than this; or they leave very much. Of tissue so little does that few are fitted.
MOST_CELLS, LEAST_RESIDUAL, GREAT_RESIDUAL = 0.12, 0.2, 0.75
#: So few emitters explain the capture, and leave so many times the noise.
MOST_EMITTERS, LARGEST_MISFIT = 15, 1.2
#: Larger frames take too long to prepare for.
LARGEST_PX = 96


def sparse_hint(first: Reconstruction | None) -> tuple[FociscopeWarning, ...]:
    """Return a hint at `fociscope.locate` if a few emitters explain a capture; else nothing.

    Args:
        first: Map of one capture; None where there is none.
    """
    if first is None or not _looks_sparse(first):
        return ()
    from fociscope.localization import Locator  # for few captures

    imager, frame_px = first.imager, first.captures.shape[-2:]
    try:
        locator = Locator(imager, (frame_px[0], frame_px[1]), most=MOST_EMITTERS + 1)
    except ImagerError:
        return ()
    found = locator.locate(first.captures)
    if not 1 <= len(found) <= MOST_EMITTERS or found.misfit[0] > LARGEST_MISFIT:
        return ()
    return (
        FociscopeWarning(
            f"{len(found)} point emitter(s) explain this capture down to its noise, the map leaves "
            f"{100 * float(np.max(first.residual)):.0f} % of its light: for beads, lone cells and "
            "micro-foci use fociscope.locate, which gives place and depth of each"
        ),
    )


def _looks_sparse(first: Reconstruction) -> bool:
    cells = float(first.mask.any(axis=0).mean())
    residual = float(np.max(first.residual))
    return bool(
        max(first.captures.shape[-2:]) <= LARGEST_PX
        and residual > (LEAST_RESIDUAL if cells < MOST_CELLS else GREAT_RESIDUAL)
        and np.isfinite(first.captures).all()
    )
