"""The default specimen against what was measured on the published sample figure.

The measured figures and the tolerance of each stand in `fociscope.simulation._statistics`.
"""

import math

import numpy as np
import pytest

from fociscope.simulation import (
    PUBLISHED_STATISTICS,
    PerlinFoci,
    Scenes,
    simulate,
    specimen_statistics,
)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(60, seed=11, peak_snr_db=None)


@pytest.fixture(scope="module")
def found(scenes: Scenes) -> dict[str, float]:
    return specimen_statistics(scenes.layers, scenes.mask)


@pytest.mark.parametrize("name", PUBLISHED_STATISTICS)
def test_the_default_specimen_is_like_the_sample_figure(found: dict[str, float], name: str) -> None:
    assert found[name] == pytest.approx(
        PUBLISHED_STATISTICS[name].value, abs=PUBLISHED_STATISTICS[name].tolerance
    )


def test_the_published_figures_are_those_of_the_references() -> None:
    values = [published.value for published in PUBLISHED_STATISTICS.values()]
    assert values[:2] == [0.07, 0.52]
    assert values[2:6] == [0.75, 0.6, 0.3, 0.15]
    assert values[6:12] == [0.15, 0.45, 0.77, 1.2, 2.3, 5.3]
    assert values[12:15] == [1.0, 0.4, 0.05]
    outside = PUBLISHED_STATISTICS["light outside / mean inside"]
    assert outside.value - outside.tolerance == pytest.approx(0.05)
    assert outside.value + outside.tolerance == pytest.approx(0.1)


def test_layers_of_each_coverage_come_equally_often(scenes: Scenes) -> None:
    coverage = np.sort(scenes.mask.mean((-2, -1)).ravel())
    even = np.linspace(0.05, 0.55, len(coverage))
    assert np.abs(coverage - even).max() < 0.5 * 1.63 / math.sqrt(len(coverage))  # Kolmogorov, 1 %


def test_the_light_outside_stays_near_its_range_in_every_layer(scenes: Scenes) -> None:
    for light, mask in zip(
        scenes.layers.reshape(-1, 51, 51), scenes.mask.reshape(-1, 51, 51), strict=True
    ):
        # The mean inside scatters by 15 % between layers.
        assert 0.035 < light[~mask].mean() / light[mask].mean() < 0.13


# --- what the statistics are --------------------------------------------------------------------


def test_the_statistics_of_a_known_layer() -> None:
    """Stripes of 8 pixels, with light that alternates within them."""
    x = np.arange(64)
    mask = np.broadcast_to((x // 8) % 2 == 0, (3, 20, 64))
    light = np.where(mask, np.where(x % 2 == 0, 3.0, 1.0), 0.5).astype(np.float32)
    found = specimen_statistics(light, mask)
    assert found.keys() == PUBLISHED_STATISTICS.keys()
    assert found["coverage of a layer, least"] == found["coverage of a layer, greatest"] == 0.5
    # Per period of 16, shifting by n < 8 makes 2 n of the products negative.
    assert found["mask autocorrelation, lag 4 px"] == pytest.approx(1 - 4 * 4 / 16, abs=0.1)
    assert found["mask autocorrelation, lag 8 px"] == pytest.approx(-1, abs=1e-9)
    assert found["light inside / mean, 5 % quantile"] == pytest.approx(0.5)
    assert found["light inside / mean, 95 % quantile"] == pytest.approx(1.5)
    assert found["light inside, coefficient of variation"] == pytest.approx(0.5)
    assert found["light inside, correlation at 1 px"] == pytest.approx(-1)
    assert found["light inside, correlation at 2 px"] == pytest.approx(1)
    assert found["light outside / mean inside"] == pytest.approx(0.25)


def test_layers_that_tell_nothing_count_for_the_coverage_alone() -> None:
    some = simulate(1, seed=0, peak_snr_db=None)
    empty = np.zeros((1, 1, 51, 51))
    both = [
        np.concatenate([array, np.zeros_like(array[:, :1])], axis=1)
        for array in (some.layers, some.mask)
    ]
    alone, beside = specimen_statistics(some.layers, some.mask), specimen_statistics(*both)
    assert beside.pop("coverage of a layer, least") == 0
    alone.pop("coverage of a layer, least")
    assert beside == alone
    with pytest.raises(ValueError, match="a layer with cells"):
        specimen_statistics(empty, empty > 0)


def test_a_different_specimen_is_told_from_the_default() -> None:
    fine = simulate(20, seed=11, peak_snr_db=None, specimen=PerlinFoci(feature_um=600.0))
    found = specimen_statistics(fine.layers, fine.mask)
    name = "mask autocorrelation, lag 4 px"
    assert (
        abs(found[name] - PUBLISHED_STATISTICS[name].value) > PUBLISHED_STATISTICS[name].tolerance
    )
