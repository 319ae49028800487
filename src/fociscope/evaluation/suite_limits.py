"""The least depth error that anybody could reach on a suite's own scenes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fociscope.evaluation.limits import known_layers_bound_um
from fociscope.evaluation.suite import Condition
from fociscope.evaluation.tally import DEPTH_BINS

__all__ = ["depth_limit"]

BOUND_SCENES = 48


def depth_limit(condition: Condition) -> dict[str, Any] | None:
    """Return the Cramer-Rao bound over depth, of layers whose images are known.

    Nobody knows the layers' images, so it holds for everybody and is far below what can be reached;
    the bound for four unknown layers takes half a minute (`fociscope.evaluation.limits`).

    Returns:
        `depth_um` and `known_um`, the median bound of the layers in each bin of depth, None in
        empty bins; or None for captures without noise, which know no bound.
    """
    if condition.peak_snr_db is None:
        return None
    scenes = condition.simulated(min(condition.scenes, BOUND_SCENES))
    bound = known_layers_bound_um(
        condition.imager, scenes.layers, scenes.depth_um, peak_snr_db=condition.peak_snr_db
    ).ravel()
    edges = np.linspace(0, condition.imager.gap_um, DEPTH_BINS + 1)
    which = np.clip(np.searchsorted(edges, scenes.depth_um.ravel(), "right") - 1, 0, DEPTH_BINS - 1)
    known = [
        float(f"{np.median(bound[which == n]):.4g}") if (which == n).any() else None
        for n in range(DEPTH_BINS)
    ]
    return {"depth_um": ((edges[1:] + edges[:-1]) / 2).tolist(), "known_um": known}
