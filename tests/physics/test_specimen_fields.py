"""Fields and patterns of specimens against the statistics that their formulas state."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fociscope.simulation import Clouds, DeadLeaves, DrawnFrame, Dust, Sheets
from fociscope.simulation._fields import spectral_field
from fociscope.simulation._illumination import dusted, illumination

FRAME = DrawnFrame((51, 51), pixel_pitch_um=55.0)


@pytest.mark.parametrize("exponent", [2.0, 3.5, 5.0])
def test_a_spectral_fields_power_falls_with_its_exponent(exponent: float) -> None:
    side = 96
    field = spectral_field(
        np.random.default_rng(0), 40, (side, side), exponent=exponent, largest_px=1e4
    )
    window = np.hanning(side)[:, None] * np.hanning(side)  # the frame is no period of the field
    power = (np.abs(np.fft.fft2(field * window)) ** 2).mean(0)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2))
    chosen = (frequency > 0.06) & (frequency < 0.35)
    slope = np.polyfit(np.log(frequency[chosen]), np.log(power[chosen]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.15)


@pytest.mark.parametrize("size", [(50, 50), (51, 64), (64, 51)])
def test_a_spectral_field_has_the_mean_0_and_the_variance_1(size: tuple[int, int]) -> None:
    field = spectral_field(np.random.default_rng(1), 300, size, exponent=4.0, largest_px=15.0)
    assert field.mean() == pytest.approx(0, abs=0.02)
    assert field.var() == pytest.approx(1, abs=0.03)


def test_a_cloud_has_its_mean_brightness() -> None:
    clouds = Clouds(brightness=(0.6, 0.6), feature_um=500.0, autofluorescence=(0.0, 0.0))
    each = clouds.draw(np.random.default_rng(2), 300, FRAME).light.mean((1, 2))
    assert each.mean() == pytest.approx(0.6, abs=4 * float(each.std()) / math.sqrt(300))
    assert each.std() / math.sqrt(300) < 0.01


@pytest.mark.parametrize("margin", [0, 10])
@pytest.mark.parametrize("coverage", [0.0, 0.3, 1.0])
def test_a_sheet_covers_its_share_of_the_imagers_frame(margin: int, coverage: float) -> None:
    frame = DrawnFrame((41 + 2 * margin, 51 + 2 * margin), 55.0, margin_px=margin)
    mask = Sheets(coverage=(coverage, coverage)).draw(np.random.default_rng(3), 20, frame).mask
    share = mask[frame.inside].mean((1, 2))
    assert np.abs(share - coverage).max() <= 0.5 / (41 * 51) + 1e-9


def test_dead_leaves_have_radii_of_the_density_r_to_the_minus_3() -> None:
    r"""By the chance that two places a distance d apart are both filled.

    With $K(d)$ the mean overlap of a disc with itself moved by d, relative to its mean area, one
    disc decides on both with the chance $S = K / (2 - K) (1 - e^{-4 (2 - K)})$ if discs cover the
    plane 4 times over, and both are covered with $Q = 1 - 2 e^{-4} + e^{-4 (2 - K)}$.
    """
    share, layers, (low, high) = 0.4, 100, (80 / 55, 800 / 55)
    mask = DeadLeaves(filled_share=share).draw(np.random.default_rng(4), layers, FRAME).mask
    radius = np.geomspace(low, high, 2001)
    density = radius**-3.0
    area = np.trapezoid(density * math.pi * radius**2, radius)
    for lag in (0, 1, 3, 6, 12):
        part = np.minimum(lag / (2 * radius), 1)
        lens = 2 * radius**2 * (np.arccos(part) - part * np.sqrt(1 - part**2))
        overlap = np.trapezoid(density * lens, radius) / area
        neither = math.exp(-4 * (2 - overlap))
        same = overlap / (2 - overlap) * (1 - neither)
        covered = 1 - 2 * math.exp(-4) + neither
        both = share * same + share**2 * (covered - same)
        each = (mask[..., lag:] & mask[..., : 51 - lag]).mean((1, 2))
        assert each.mean() == pytest.approx(both, abs=4 * each.std() / math.sqrt(layers))


# --- excitation and dust ------------------------------------------------------------------------


@pytest.mark.parametrize("variation", [0.4, 1.0])
def test_excitation_is_1_in_the_mean_and_changes_by_its_variation(variation: float) -> None:
    frame = DrawnFrame((61, 71), 55.0, margin_px=10)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        factor = illumination(rng, frame, (variation, variation))
        inside = factor[frame.inside]
        assert factor.min() >= 0
        assert inside.mean() == pytest.approx(1, abs=0.01)
        # A slope along the diagonal changes by the square root of 2 as much as one along a side.
        assert 0.7 * variation <= np.ptp(inside) <= math.sqrt(2) * variation


def test_dust_takes_its_opacity_times_the_area_that_it_covers() -> None:
    pitch, radius, opacity, density = 0.055, 2.0, 0.8, 4.0  # mm, pixels, per mm^2
    dust = Dust(specks_per_mm2=density, diameter_um=(220.0, 220.0), opacity=opacity)
    passed = dusted(np.random.default_rng(5), np.ones((6, 120, 120)), dust, 1000 * pitch)
    inner = passed[:, 5:-5, 5:-5].mean()
    # Specks that overlap take shares of what is left: the exponential of a Poisson process.
    covered = density * pitch**2 * math.pi * (radius**2 + 1 / 12)  # the edge takes a pixel
    assert -math.log(inner) == pytest.approx(opacity * covered, rel=0.08)
    assert passed.min() >= (1 - opacity) ** 6
