r"""Volumes not to be trusted: tissue that glows unevenly, taken for cells.

Cells differ in brightness, so light of neighbouring columns that hold cells does, too. Where
much of a frame is said to hold cells and its light is as smooth as

$$ \operatorname{median} |\ln l_{y,x+1} - \ln l_{y,x}| < 0.115 , $$

it is likelier a glow with few cells. The limit lies between 21 captures of the second simulator in
which glow was taken for cells (at most 0.112) and flat layers, sheets and blobs at 40 dB (at least
0.137).
"""

from __future__ import annotations

import numpy as np

from fociscope.typing import BoolArray, Float32Array

__all__ = ["SMOOTH_GLOW", "are_smooth_glow"]

#: Probability from which on a column counts as cells, and the share of the frame from which on they
#: are many.
LEAST_PROBABILITY, LEAST_SHARE = 0.3, 0.15
#: Median difference of the logarithm of the light of neighbouring columns.
LEAST_ROUGHNESS = 0.115
SMOOTH_GLOW = (
    "the light of what is taken for cells is as smooth as tissue that glows unevenly: likely few "
    "of them are cells; fociscope.locate with a smooth background finds single cells in it"
)


def are_smooth_glow(probability: Float32Array, intensity: Float32Array) -> BoolArray:
    """Return which volumes are likely a smooth glow that was taken for cells.

    Args:
        probability: (volume, slice, y, x) probability of cells.
        intensity: (volume, slice, y, x) light.

    Returns:
        (volume,) bool.
    """
    held = probability.max(axis=1) > LEAST_PROBABILITY
    light = intensity.sum(axis=1, dtype=np.float64)
    least = 1e-6 * light.max(axis=(1, 2), keepdims=True) + 1e-30
    steps = np.abs(np.diff(np.log(np.maximum(light, least)), axis=2))
    inside = held[:, :, 1:] & held[:, :, :-1]
    found = np.zeros(len(held), np.bool_)
    for n in range(len(held)):
        if held[n].mean() >= LEAST_SHARE and inside[n].any():
            found[n] = np.median(steps[n][inside[n]]) < LEAST_ROUGHNESS
    return found
