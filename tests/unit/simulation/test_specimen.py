"""The default specimen against what REFERENCES measures on the published sample figure.

That is one figure of four layers, so "about": the tolerances below are about its scatter.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from fociscope.simulation import Scenes, simulate

Image = NDArray[np.float64]


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(60, seed=11, peak_snr_db=None)


@pytest.fixture(scope="module")
def layers(scenes: Scenes) -> list[tuple[Image, NDArray[np.bool_]]]:
    light = scenes.layers.reshape(-1, 51, 51).astype(float)
    return list(zip(light, scenes.mask.reshape(-1, 51, 51), strict=True))


def test_coverage(scenes: Scenes) -> None:
    coverage = scenes.mask.mean((-2, -1))
    assert 0.05 - 1e-3 <= coverage.min() < 0.07  # measured: 0.07 to 0.52
    assert 0.52 < coverage.max() <= 0.55 + 1e-3


@pytest.mark.parametrize(("lag", "measured"), [(2, 0.75), (4, 0.6), (8, 0.3), (12, 0.15)])
def test_autocorrelation_of_the_mask_along_a_row(scenes: Scenes, lag: int, measured: float) -> None:
    mask = scenes.mask - scenes.mask.mean((-2, -1), keepdims=True)
    variance = (mask**2).mean((-2, -1))
    found = ((mask[..., lag:] * mask[..., :-lag]).mean((-2, -1)) / variance).mean()
    assert found == pytest.approx(measured, abs=0.05)


@pytest.mark.parametrize(
    ("quantile", "measured"),
    [(0.05, 0.15), (0.25, 0.45), (0.5, 0.77), (0.75, 1.2), (0.95, 2.3), (0.99, 5.3)],
)
def test_quantiles_of_the_intensity_inside(
    layers: list[tuple[Image, NDArray[np.bool_]]], quantile: float, measured: float
) -> None:
    inside = np.concatenate([light[mask] / light[mask].mean() for light, mask in layers])
    assert np.quantile(inside, quantile) == pytest.approx(measured, rel=0.2, abs=0.07)


def test_coefficient_of_variation_inside(layers: list[tuple[Image, NDArray[np.bool_]]]) -> None:
    found = np.mean([light[mask].std() / light[mask].mean() for light, mask in layers])
    assert found == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("lag", "measured"), [(1, 0.4), (2, 0.05)])
def test_correlation_of_neighbours_inside(
    layers: list[tuple[Image, NDArray[np.bool_]]], lag: int, measured: float
) -> None:
    found = []
    for light, mask in layers:
        both = mask[:, lag:] & mask[:, :-lag]
        spread = light - light[mask].mean()
        product = (spread[:, lag:] * spread[:, :-lag])[both].mean()
        found.append(product / light[mask].var())
    assert np.mean(found) == pytest.approx(measured, abs=0.04)


def test_light_outside(layers: list[tuple[Image, NDArray[np.bool_]]]) -> None:
    outside = np.array([light[~mask].mean() / light[mask].mean() for light, mask in layers])
    # Relative to the light inside, which holds the autofluorescence too and scatters by 15 %.
    assert outside.mean() == pytest.approx(0.07, abs=0.01)
    assert outside.min() > 0.035
    assert outside.max() < 0.13
