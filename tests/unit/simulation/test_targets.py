"""Rings, lines and bars: areas, places and sizes against geometry."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from fociscope.errors import SceneError
from fociscope.simulation import DrawnFrame, Lines, ResolutionTarget, Rings
from fociscope.simulation.targets import Target, bar_coverage, sampled_coverage

Image = NDArray[np.float64]
SIZE, PITCH_UM = (101, 121), 20.0


FRAME = DrawnFrame(SIZE, PITCH_UM)


def coverage(target: Target, seed: int = 0, margin_px: int = 0) -> Image:
    frame = DrawnFrame(SIZE, PITCH_UM, margin_px)
    return target.coverage(np.random.default_rng(seed), frame)


def test_a_disc_covers_its_area_wherever_it_lies() -> None:
    def disc(y: Image, x: Image) -> Image:
        return np.asarray(np.hypot(y - 0.3, x + 2.7) - 8.2)

    share = sampled_coverage(disc, (40, 30))
    assert share.sum() == pytest.approx(math.pi * 8.2**2, rel=1e-3)
    assert ((share >= 0) & (share <= 1)).all()
    y, x = (np.arange(n) - (n - 1) / 2 for n in (40, 30))
    assert (share.sum(1) * y).sum() / share.sum() == pytest.approx(0.3, abs=1e-2)
    assert (share.sum(0) * x).sum() / share.sum() == pytest.approx(-2.7, abs=1e-2)


def test_a_bar_covers_the_share_of_each_pixel_exactly() -> None:
    share = bar_coverage(np.array([[1.25, 3.5, 2.0, 2.5]]), (5, 4))
    assert share[:, 2].tolist() == [0, 0.375, 0.5, 0.25, 0]
    assert share.sum() == pytest.approx(2.25 * 0.5)


# --- rings --------------------------------------------------------------------------------------

RINGS = Rings(ring_count=3, radius_um=800.0, width_um=90.0, period_um=250.0, placement="centred")


def test_rings_have_their_radii_width_and_area() -> None:
    share = coverage(RINGS)
    y, x = ((np.arange(n) - (n - 1) / 2) * PITCH_UM for n in SIZE)
    radius = np.hypot(y[:, None], x[None, :])
    for middle in (800.0, 550.0, 300.0):
        near = np.abs(radius - middle) < 125
        assert share[near].sum() * PITCH_UM**2 == pytest.approx(2 * math.pi * middle * 90, rel=5e-3)
        # The area grows with the radius, which moves the centre of its mass outwards.
        mean = middle + 90**2 / (12 * middle)
        assert (share * near * radius).sum() / share[near].sum() == pytest.approx(mean, abs=0.5)
    assert share[radius < 230].sum() == share[radius > 870].sum() == 0


def test_rings_lie_anywhere_or_in_the_middle() -> None:
    assert np.array_equal(coverage(RINGS, seed=0), coverage(RINGS, seed=1))
    anywhere = Rings(ring_count=1, radius_um=30.0, width_um=20.0)
    places = []
    for seed in range(200):
        share = coverage(anywhere, seed=seed, margin_px=10)
        places.append([(share.sum(1 - a) * np.arange(n)).sum() for a, n in enumerate(SIZE)])
        places[-1] = [place / share.sum() for place in places[-1]]
    low, high = np.min(places, axis=0), np.max(places, axis=0)
    # The centre lies within the imager's frame, here that without a margin of 10 pixels.
    assert (low > 8).all()
    assert (high < np.array(SIZE) - 9).all()
    assert (low < 13).all()
    assert (high > np.array(SIZE) - 14).all()


# --- lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 90.0])
def test_lines_have_their_width_and_period(angle_deg: float) -> None:
    lines = Lines(width_um=60.0, period_um=240.0, angle_deg=angle_deg)
    share = np.stack([coverage(lines, seed=seed) for seed in range(20)])
    assert share.mean() == pytest.approx(60 / 240, rel=0.02)
    # A cosine of their period across them is in step with them; its amplitude is that of a comb.
    y, x = ((np.arange(n) - (n - 1) / 2) * PITCH_UM for n in SIZE)
    angle = math.radians(angle_deg)
    across = math.cos(angle) * y[:, None] - math.sin(angle) * x[None, :]
    tone = np.abs((share * np.exp(2j * math.pi * across / 240)).mean((-2, -1)))
    assert tone.mean() == pytest.approx(math.sin(math.pi / 4) / math.pi, rel=0.05)


def test_centred_lines_run_along_the_rows_through_the_middle() -> None:
    share = coverage(Lines(width_um=60.0, period_um=240.0, placement="centred"))
    assert (share == share[:, :1]).all()
    assert share[50, 0] == 1
    assert share[49:52, 0].sum() == pytest.approx(3.0)
    assert share[40:49, 0].sum() == pytest.approx(1.5, abs=1.5)


def test_random_lines_run_any_way() -> None:
    ratios = []
    for seed in range(40):
        share = coverage(Lines(width_um=60.0, period_um=240.0), seed=seed)
        ratios.append(np.abs(np.diff(share, axis=0)).sum() / np.abs(np.diff(share)).sum())
    assert min(ratios) < 0.3
    assert max(ratios) > 3


# --- bars ---------------------------------------------------------------------------------------


def test_the_bars_have_their_sizes() -> None:
    target = ResolutionTarget(period_um=(200.0, 100.0))
    bars = target.bars_um()
    assert bars.shape == (12, 4)
    sides = np.sort(np.stack([bars[:, 1] - bars[:, 0], bars[:, 3] - bars[:, 2]], -1), axis=-1)
    assert np.unique(sides, axis=0).tolist() == [[50, 250], [100, 500]]
    assert target.line_pairs_per_mm == (5.0, 10.0)
    # No two of them touch.
    for i, (top, bottom, left, right) in enumerate(bars):
        for above, below, before, after in bars[:i]:
            assert bottom <= above or below <= top or right <= before or after <= left


def test_the_target_is_whole_wherever_it_lies() -> None:
    area_px = 6 * (100 * 500 + 50 * 250) / PITCH_UM**2
    shares = []
    for placement in ("centred", "random"):
        target = ResolutionTarget(period_um=(200.0, 100.0), placement=placement)
        for seed in range(8):
            share = coverage(target, seed=seed, margin_px=15)
            assert share.sum() == pytest.approx(area_px)
            assert share[:15].sum() == share[-15:].sum() == 0
            assert share[:, :15].sum() == share[:, -15:].sum() == 0
            shares.append(share)
    assert all(np.array_equal(share, shares[0]) for share in shares[:8])
    assert len({share.tobytes() for share in shares[8:]}) == 8


def test_a_target_that_fits_only_lying_lies() -> None:
    tall = ResolutionTarget(period_um=(320.0, 226.0, 160.0, 113.0, 80.0))
    share = tall.coverage(np.random.default_rng(0), DrawnFrame((36, 80), 55.0))
    assert np.ptp(np.argwhere(share > 0), axis=0).tolist() == [31, 49]  # of 1760 x 2657 um


def test_a_target_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SceneError, match=r"2657 x 1760 µm does not fit .* 550 x 550 µm"):
        ResolutionTarget().coverage(np.random.default_rng(0), DrawnFrame((10, 10), 55.0))


# --- light --------------------------------------------------------------------------------------


def test_an_even_glow_is_the_share_that_is_covered() -> None:
    rng = np.random.default_rng(0)
    light, mask = RINGS.draw(rng, 2, FRAME)
    share = coverage(RINGS)
    np.testing.assert_allclose(light, np.stack([share, share]), atol=1e-6)
    assert np.array_equal(mask[0], share >= 0.5)


def test_cells_lie_along_the_target_and_are_as_bright_on_average() -> None:
    grainy = RINGS.model_copy(update={"emission": "cells"})
    rng = np.random.default_rng(0)
    light, mask = grainy.draw(rng, 40, FRAME)
    assert (light[~mask] == 0).all()
    assert light[mask].mean() == pytest.approx(1.0, abs=0.05)
    assert light[mask].std() > 1
    assert grainy.cells_per_unit_light(PITCH_UM) == pytest.approx(300 * 0.02**2)


def test_layers_have_targets_of_their_own() -> None:
    rng = np.random.default_rng(0)
    light, _ = Rings().draw(rng, 3, FRAME)
    assert len({layer.tobytes() for layer in light}) == 3
