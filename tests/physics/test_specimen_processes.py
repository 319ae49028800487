"""Cells that lie one by one, nuclei, strands and mixtures against what their formulas state."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import kstest

from fociscope.errors import SceneError
from fociscope.simulation import (
    Clouds,
    DrawnFrame,
    Mixture,
    MixturePart,
    Nuclei,
    PerlinFoci,
    SingleCells,
    Strands,
    Varied,
)

PITCH_UM = 55.0
FRAME = DrawnFrame((51, 51), pixel_pitch_um=PITCH_UM)
FRAME_MM2 = (51 * PITCH_UM / 1000) ** 2
LAYERS = 800


def counts(cells: SingleCells) -> np.ndarray:
    """(layer, y, x) number of cells in each pixel."""
    light, _ = cells.draw(np.random.default_rng(0), LAYERS, FRAME)
    return light


def cells_of_light_1(**fields: object) -> SingleCells:
    """Cells without extent, all alike: the light of a pixel is their number."""
    alike = {"brightness_sigma": 0.0, "cell_diameter_um": 0.0, "autofluorescence": (0.0, 0.0)}
    return SingleCells.model_validate(alike | fields)


def test_the_counts_of_a_poisson_process_have_their_mean_as_variance() -> None:
    number = counts(cells_of_light_1(cells_per_mm2=5.0)).sum((1, 2))
    mean = 5.0 * FRAME_MM2
    assert number.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / LAYERS))
    assert number.var() == pytest.approx(mean, rel=4 * math.sqrt(2 / LAYERS))


@pytest.mark.parametrize("side_px", [17, 51])
def test_the_counts_of_the_clustered_process_scatter_as_thomas_has_it(side_px: int) -> None:
    r"""In a square of side L, $Var / mean = 1 + \mu (I / L)^2$ with $\mu$ cells of a group.

    $I$ is the integral over both places of the Gaussian of variance $2 \sigma^2$ of their distance.
    """
    cells = cells_of_light_1(process="clustered", cells_per_mm2=5.0, group_cells=6, group_um=150)
    blocks = counts(cells).reshape(LAYERS, 51 // side_px, side_px, 51 // side_px, side_px)
    number = blocks.sum((2, 4))
    side, spread = side_px * PITCH_UM, math.sqrt(2) * 150.0
    integral = side * math.erf(side / math.sqrt(2) / spread)
    integral -= spread * math.sqrt(2 / math.pi) * (1 - math.exp(-(side**2) / 2 / spread**2))
    mean = 5.0 * (side / 1000) ** 2
    ratio = 1 + 6 * (integral / side) ** 2
    assert number.mean() == pytest.approx(mean, abs=4 * math.sqrt(ratio * mean / number.size))
    assert number.var() / number.mean() == pytest.approx(ratio, rel=0.15)


def test_no_two_repulsive_cells_are_nearer_than_half_a_grid_step() -> None:
    cells = SingleCells(process="repulsive", cells_per_mm2=25.0)
    rng = np.random.default_rng(1)
    for _ in range(20):
        places_um = cells._repulsive(rng, FRAME) * PITCH_UM
        assert pdist(places_um).min() >= 0.5 * 1000 / math.sqrt(25.0)
        assert len(places_um) > 0.6 * 25.0 * FRAME_MM2  # few of those that seek are left out


def test_a_strand_loses_its_direction_over_its_persistence_length() -> None:
    spacing, persistence = 14.0, 800.0
    strands = Strands(length_um=(2800, 2800), strands_per_mm2=20.0, persistence_um=persistence)
    places = strands.places_px(np.random.default_rng(2), FRAME).reshape(-1, 201, 2) * PITCH_UM
    steps = np.diff(places, axis=1)
    assert np.allclose(np.linalg.norm(steps, axis=-1), spacing)
    towards = steps / spacing
    for lag in (1, 30, 60, 120):
        cosine = (towards[:, lag:] * towards[:, :-lag]).sum(-1).mean()
        expected = math.exp(-lag * spacing / (2 * persistence))
        assert cosine == pytest.approx(expected, abs=0.03)


def test_nuclei_have_the_area_of_their_diameter() -> None:
    r"""$\pi d^2 / 4$ times what the scatter of diameters and the outline's harmonics add."""
    cv, irregular, layers = 0.2, 0.3, 80
    nuclei = Nuclei(
        nuclei_per_mm2=6.0,
        cell_diameter_um=180.0,
        diameter_cv=cv,
        irregularity=irregular,
        separation=0.0,
        brightness_sigma=0.0,
        autofluorescence=(0.0, 0.0),
    )
    each = nuclei.draw(np.random.default_rng(3), layers, FRAME).light.mean((1, 2))
    area_mm2 = math.pi / 4 * 0.18**2 * (1 + cv**2) * (1 + irregular**2 / 18)
    error = float(each.std()) / math.sqrt(layers)
    assert each.mean() == pytest.approx(6.0 * area_mm2, abs=4 * error)
    assert error < 0.03 * each.mean()


def test_nuclei_keep_their_distance() -> None:
    nuclei = Nuclei(nuclei_per_mm2=20.0)
    centres_um = nuclei.places_px(np.random.default_rng(4), FRAME) * PITCH_UM
    assert pdist(centres_um).min() >= nuclei.separation * nuclei.cell_diameter_um


# --- mixtures -----------------------------------------------------------------------------------


def test_varied_draws_evenly_in_the_logarithm_and_from_0_on_evenly() -> None:
    varied = Varied(
        specimen=PerlinFoci(),
        vary={"feature_um": (200.0, 5000.0), "autofluorescence_cv": (0.0, 2.0)},
    )
    rng = np.random.default_rng(5)
    drawn = [varied.drawn(rng) for _ in range(1000)]
    feature = np.array([one.feature_um for one in drawn])  # type: ignore[attr-defined]
    spread = np.array([one.autofluorescence_cv for one in drawn])
    assert kstest(np.log(feature / 200) / np.log(25), "uniform").pvalue > 0.01
    assert kstest(spread / 2, "uniform").pvalue > 0.01


def test_varied_sets_both_ends_of_a_range_and_leaves_the_rest() -> None:
    varied = Varied(specimen=PerlinFoci(octaves=3), vary={"coverage": (0.1, 0.2)})
    drawn = varied.drawn(np.random.default_rng(6))
    low, high = drawn.coverage  # type: ignore[attr-defined]
    assert 0.1 <= low == high <= 0.2
    assert drawn == PerlinFoci(octaves=3, coverage=(low, high))


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({"size_um": (1.0, 2.0)}, "choose from .*feature_um"),
        ({"coverage": (0.5, 1.5)}, "0 ... 1"),
    ],
)
def test_varied_rejects_what_is_no_number_of_the_kind(
    vary: dict[str, tuple[float, float]], message: str
) -> None:
    with pytest.raises(SceneError, match=message):
        Varied(specimen=PerlinFoci(), vary=vary)


def covers(share: float, *levels: float, **fields: float) -> Mixture:
    parts = [
        MixturePart(share=share**n, specimen=PerlinFoci(coverage=(level, level), octaves=1))
        for n, level in enumerate(levels)
    ]
    return Mixture.model_validate({"parts": parts, **fields})


SMALL = DrawnFrame((20, 20), PITCH_UM)


def test_the_parts_of_a_mixture_come_in_their_shares() -> None:
    mixture, scenes = covers(2.0, 0.1, 0.2, 0.4), 400
    rng = np.random.default_rng(7)
    seen = [round(mixture.draw(rng, 1, SMALL).mask.mean(), 6) for _ in range(scenes)]
    found = np.array([seen.count(level) for level in (0.1, 0.2, 0.4)])
    expected = scenes * np.array([1, 2, 4]) / 7
    assert found.sum() == scenes
    assert ((found - expected) ** 2 / expected).sum() < 13.8  # chi-square, 0.1 % of two degrees


@pytest.mark.parametrize("per_layer", [0.0, 0.5, 1.0])
def test_the_layers_of_a_scene_are_of_one_part_or_each_of_its_own(per_layer: float) -> None:
    mixture, scenes = covers(1.0, 0.1, 0.2, per_layer=per_layer), 200
    rng = np.random.default_rng(8)
    drawn = [mixture.draw(rng, 2, SMALL).mask.mean((1, 2)) for _ in range(scenes)]
    differ = sum(bool(one[0] != one[1]) for one in drawn)
    expected = per_layer / 2  # two layers of their own are alike half of the time
    error = math.sqrt(expected * (1 - expected) / scenes)
    assert differ / scenes == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("together", [0.0, 0.25, 1.0])
def test_a_share_of_the_layers_shows_two_parts_at_once(together: float) -> None:
    even = Clouds(brightness=(1.0, 1.0), contrast=0.0, autofluorescence=(0.0, 0.0))
    mixture = Mixture(parts=(MixturePart(share=1, specimen=even),), together=together)
    light = mixture.draw(np.random.default_rng(9), 400, SMALL).light
    assert set(np.unique(light)) <= {1.0, 2.0}
    error = math.sqrt(together * (1 - together) / 400)
    assert (light.mean((1, 2)) - 1).mean() == pytest.approx(together, abs=4 * error)


@pytest.mark.parametrize("soft", [0.0, 0.25, 1.0])
def test_a_share_of_the_layers_is_spread_by_a_gaussian(soft: float) -> None:
    cell = SingleCells(
        cells_per_mm2=2.0, cell_diameter_um=5.0, brightness_sigma=0.0, autofluorescence=(0.0, 0.0)
    )
    spread_px = 1.5
    softness_um = (spread_px * SMALL.pixel_pitch_um,) * 2
    parts = (MixturePart(share=1, specimen=cell),)
    sharp = Mixture(parts=parts).draw(np.random.default_rng(10), 200, SMALL)
    mixture = Mixture(parts=parts, soft=soft, softness_um=softness_um)
    drawn = mixture.draw(np.random.default_rng(10), 200, SMALL)
    np.testing.assert_array_equal(drawn.mask, sharp.mask)
    np.testing.assert_allclose(drawn.light.sum((1, 2)), sharp.light.sum((1, 2)), rtol=1e-5)
    is_spread = (drawn.light != sharp.light).any((1, 2))
    lit = sharp.light.any((1, 2))
    error = math.sqrt(soft * (1 - soft) / lit.sum())
    assert is_spread[lit].mean() == pytest.approx(soft, abs=4 * error)
    if is_spread.any():
        there, peak = drawn.light[is_spread], sharp.light[is_spread].max((1, 2))
        least = peak / (2 * math.pi * spread_px**2)  # the height of a Gaussian of that light
        assert (there.max((1, 2)) >= 0.9 * least).all()
