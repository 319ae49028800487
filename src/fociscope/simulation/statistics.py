"""The statistics of a specimen, and those that were measured on the published sample figure.

The figure has four layers, so its numbers are "about": the tolerances beside them are about what
four layers scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["PUBLISHED", "Published", "specimen_statistics"]

AUTOCORRELATION_LAGS_PX = (2, 4, 8, 12)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
NEIGHBOUR_LAGS_PX = (1, 2)


@dataclass(frozen=True)
class Published:
    """What was measured on the sample figure (`docs/references.md`, "The specimen")."""

    value: float
    tolerance: float
    """How far the default specimen may be from it."""


def _quantile(value: float) -> Published:
    return Published(value, max(0.2 * value, 0.07))


PUBLISHED: dict[str, Published] = {
    "coverage of a layer, least": Published(0.07, 0.02),
    "coverage of a layer, greatest": Published(0.52, 0.035),
    "mask autocorrelation, lag 2 px": Published(0.75, 0.05),
    "mask autocorrelation, lag 4 px": Published(0.6, 0.05),
    "mask autocorrelation, lag 8 px": Published(0.3, 0.05),
    "mask autocorrelation, lag 12 px": Published(0.15, 0.05),
    "light inside / mean, 5 % quantile": _quantile(0.15),
    "light inside / mean, 25 % quantile": _quantile(0.45),
    "light inside / mean, 50 % quantile": _quantile(0.77),
    "light inside / mean, 75 % quantile": _quantile(1.2),
    "light inside / mean, 95 % quantile": _quantile(2.3),
    "light inside / mean, 99 % quantile": _quantile(5.3),
    "light inside, coefficient of variation": Published(1.0, 0.1),
    "light inside, correlation at 1 px": Published(0.4, 0.04),
    "light inside, correlation at 2 px": Published(0.05, 0.04),
    "light outside / mean inside": Published(0.075, 0.025),
}
"""By the names of `specimen_statistics`. The light outside is measured as 0.05 to 0.1."""


def specimen_statistics(light: Float32Array, mask: BoolArray) -> dict[str, float]:
    """Measure layers as the sample figure was measured; the names are those of `PUBLISHED`.

    Quantiles are those of all pixels inside, each layer's light divided by its mean inside;
    correlations along rows, the coefficient of variation and the light outside are means over the
    layers. Layers without cells, or without a pixel beside them, count for the coverage alone.

    Args:
        light: (..., y, x) emitted light per pixel.
        mask: (..., y, x) where there are cells.

    Raises:
        ValueError: no layer has both pixels with cells and pixels without.
    """
    coverage = mask.mean(axis=(-2, -1))
    layers = [
        (image.astype(np.float64) / image[cells].mean(dtype=np.float64), cells)
        for image, cells in zip(
            light.reshape(-1, *light.shape[-2:]), mask.reshape(-1, *mask.shape[-2:]), strict=True
        )
        if 0 < cells.mean() < 1
    ]
    if not layers:
        raise ValueError("statistics need a layer with cells in some of its pixels")
    found = {
        "coverage of a layer, least": coverage.min(),
        "coverage of a layer, greatest": coverage.max(),
    }
    for lag in AUTOCORRELATION_LAGS_PX:
        found[f"mask autocorrelation, lag {lag} px"] = np.mean(
            [_mask_autocorrelation(cells, lag) for _, cells in layers]
        )
    inside = np.concatenate([image[cells] for image, cells in layers])
    for quantile in QUANTILES:
        name = f"light inside / mean, {100 * quantile:g} % quantile"
        found[name] = np.quantile(inside, quantile)
    found["light inside, coefficient of variation"] = np.mean(
        [image[cells].std() for image, cells in layers]
    )
    for lag in NEIGHBOUR_LAGS_PX:
        found[f"light inside, correlation at {lag} px"] = np.nanmean(
            [_correlation_inside(image, cells, lag) for image, cells in layers]
        )
    found["light outside / mean inside"] = np.mean(
        [image[~cells].mean() for image, cells in layers]
    )
    return {name: float(value) for name, value in found.items()}


def _mask_autocorrelation(cells: BoolArray, lag: int) -> float:
    """Return the correlation of a (y, x) mask with itself, `lag` pixels along its rows."""
    centred = cells - cells.mean()
    return float((centred[:, lag:] * centred[:, :-lag]).mean() / (centred**2).mean())


def _correlation_inside(image: Float64Array, cells: BoolArray, lag: int) -> float:
    """Return the correlation of pixels of the mask that lie `lag` apart along a row, or NaN."""
    both = cells[:, lag:] & cells[:, :-lag]
    variance = image[cells].var()
    if not both.any() or variance == 0:
        return float("nan")
    centred = image - image[cells].mean()
    return float((centred[:, lag:] * centred[:, :-lag])[both].mean() / variance)
