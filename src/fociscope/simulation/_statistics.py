"""The statistics of a specimen, and those that were measured on the published sample figure.

The figure has four layers, so its numbers are "about": the tolerances beside them are about what
four layers scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = ["PUBLISHED_STATISTICS", "PublishedStatistic", "specimen_statistics"]

AUTOCORRELATION_LAGS_PX = (2, 4, 8, 12)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
NEIGHBOUR_LAGS_PX = (1, 2)


@dataclass(frozen=True)
class PublishedStatistic:
    """A statistic as it was measured on the published sample figure.

    Attributes:
        value: Value on the sample figure, as a share or ratio.
        tolerance: Distance from it within which the default specimen lies.

    Examples:
        >>> from fociscope.simulation import PUBLISHED_STATISTICS
        >>> PUBLISHED_STATISTICS["coverage of a layer, least"].value
        0.07
    """

    value: float
    tolerance: float


def _quantile(value: float) -> PublishedStatistic:
    return PublishedStatistic(value, max(0.2 * value, 0.07))


PUBLISHED_STATISTICS: dict[str, PublishedStatistic] = {
    "coverage of a layer, least": PublishedStatistic(0.07, 0.02),
    "coverage of a layer, greatest": PublishedStatistic(0.52, 0.035),
    "mask autocorrelation, lag 2 px": PublishedStatistic(0.75, 0.05),
    "mask autocorrelation, lag 4 px": PublishedStatistic(0.6, 0.05),
    "mask autocorrelation, lag 8 px": PublishedStatistic(0.3, 0.05),
    "mask autocorrelation, lag 12 px": PublishedStatistic(0.15, 0.05),
    "light inside / mean, 5 % quantile": _quantile(0.15),
    "light inside / mean, 25 % quantile": _quantile(0.45),
    "light inside / mean, 50 % quantile": _quantile(0.77),
    "light inside / mean, 75 % quantile": _quantile(1.2),
    "light inside / mean, 95 % quantile": _quantile(2.3),
    "light inside / mean, 99 % quantile": _quantile(5.3),
    "light inside, coefficient of variation": PublishedStatistic(1.0, 0.1),
    "light inside, correlation at 1 px": PublishedStatistic(0.4, 0.04),
    "light inside, correlation at 2 px": PublishedStatistic(0.05, 0.04),
    "light outside / mean inside": PublishedStatistic(0.075, 0.025),
}
"""By the names of `specimen_statistics`. The light outside is measured as 0.05 to 0.1."""


def specimen_statistics(light: Float32Array, mask: BoolArray) -> dict[str, float]:
    r"""Measure layers as the sample figure was; the names are those of `PUBLISHED_STATISTICS`.

    Quantiles are those of all pixels inside, each layer's light divided by its mean inside;
    correlations along rows, the coefficient of variation and the light outside are means over the
    layers. Layers without cells, or without a pixel beside them, count for the coverage alone.

    With the light $I_p$ of pixel $p$ divided by its mean over the mask $M$ of its layer, the
    correlation at a lag $d$ along rows is

    $$ \rho(d) = \frac{\langle (I_p - 1)(I_{p+d} - 1) \rangle_{p,\,p+d \in M}}
       {\langle (I_p - 1)^2 \rangle_{p \in M}}. $$

    Args:
        light: (..., y, x) emitted light per pixel, in any unit.
        mask: (..., y, x) True where there are cells.

    Returns:
        Name of each statistic -> its value.

    Raises:
        ValueError: If no layer has both pixels with cells and pixels without.

    Examples:
        >>> from fociscope.simulation import simulate, specimen_statistics
        >>> scenes = simulate(4, seed=0)
        >>> measured = specimen_statistics(scenes.layers, scenes.mask)
        >>> 0.2 < measured["light inside, correlation at 1 px"] < 0.6
        True
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
    measured = {
        "coverage of a layer, least": coverage.min(),
        "coverage of a layer, greatest": coverage.max(),
    }
    for lag in AUTOCORRELATION_LAGS_PX:
        measured[f"mask autocorrelation, lag {lag} px"] = np.mean(
            [_mask_autocorrelation(cells, lag) for _, cells in layers]
        )
    inside = np.concatenate([image[cells] for image, cells in layers])
    for quantile in QUANTILES:
        name = f"light inside / mean, {100 * quantile:g} % quantile"
        measured[name] = np.quantile(inside, quantile)
    measured["light inside, coefficient of variation"] = np.mean(
        [image[cells].std() for image, cells in layers]
    )
    for lag in NEIGHBOUR_LAGS_PX:
        measured[f"light inside, correlation at {lag} px"] = np.nanmean(
            [_correlation_inside(image, cells, lag) for image, cells in layers]
        )
    measured["light outside / mean inside"] = np.mean(
        [image[~cells].mean() for image, cells in layers]
    )
    return {name: float(value) for name, value in measured.items()}


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
