"""Micro-foci and single cells: how many, where, how bright."""

import math

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from fociscope.simulation import DrawnFrame, DrawnLayers, MicroFoci, SingleCells, Specimen

FRAME_PX, PITCH_UM = (120, 90), 50.0
AREA_MM2 = 120 * 90 * 0.05**2
DARK = {"autofluorescence": (0.0, 0.0)}


def draw(specimen: Specimen, layers: int, seed: int = 0) -> DrawnLayers:
    rng = np.random.default_rng(seed)
    return specimen.draw(rng, layers, DrawnFrame(FRAME_PX, PITCH_UM))


def test_single_cells_have_their_density_and_a_mean_light_of_one() -> None:
    cells = SingleCells(cells_per_mm2=4.0, cell_diameter_um=0.0, brightness_sigma=0.5, **DARK)
    light, mask = draw(cells, 200)
    expected = 4.0 * AREA_MM2
    # Two cells in a pixel count once.
    counts = -math.prod(FRAME_PX) * np.log1p(-mask.mean((-2, -1)))
    assert counts.mean() == pytest.approx(expected, rel=0.02)
    assert counts.std() == pytest.approx(math.sqrt(expected), rel=0.15)
    assert light.sum() / 200 == pytest.approx(expected, rel=0.02)
    assert (light[~mask] == 0).all()


def test_brightness_is_log_normal() -> None:
    cells = SingleCells(cells_per_mm2=1.0, cell_diameter_um=0.0, brightness_sigma=0.6, **DARK)
    light, mask = draw(cells, 200)
    logarithm = np.log(light[mask])
    assert logarithm.mean() == pytest.approx(-(0.6**2) / 2, abs=0.03)
    assert logarithm.std() == pytest.approx(0.6, rel=0.03)


@pytest.mark.parametrize("diameter_um", [15.0, 200.0])
def test_a_mean_cell_has_a_light_of_one_where_it_lies(diameter_um: float) -> None:
    cells = SingleCells(
        cells_per_mm2=1.0, cell_diameter_um=diameter_um, brightness_sigma=0.0, **DARK
    )
    light, mask = draw(cells, 100)
    area_px = max(1.0, math.pi / 4 * (diameter_um / PITCH_UM) ** 2)
    assert cells.cells_per_unit_light(PITCH_UM) == pytest.approx(1 / area_px)
    typical = np.median(light[mask])  # at the rim less, where two overlap more
    assert typical == pytest.approx(1.0, abs=0.1)
    assert light.sum() / 100 == pytest.approx(AREA_MM2 * area_px, rel=0.1)


def test_autofluorescence_lies_around_the_cells() -> None:
    light, mask = draw(SingleCells(cells_per_mm2=1.0), 20)
    outside = np.array([layer[~cells].mean() for layer, cells in zip(light, mask, strict=True)])
    assert outside.min() > 0.045
    assert outside.max() < 0.11


def test_no_cell_at_all_is_a_dark_layer() -> None:
    light, mask = draw(SingleCells(cells_per_mm2=1e-9, **DARK), 2)
    assert not light.any()
    assert not mask.any()


def test_micro_foci_are_isolated_clusters_of_their_density() -> None:
    foci = MicroFoci(
        foci_per_mm2=0.5,
        cells_per_focus=(3, 6),
        focus_radius_um=60.0,
        separation_um=500.0,
        cell_diameter_um=0.0,
        brightness_sigma=0.0,
        **DARK,
    )
    layers = 60
    light, mask = draw(foci, layers)
    around = np.ones((3, 3), bool)
    cells, found, widest_px = [], 0, 2 * 60 / PITCH_UM
    for image, cell in zip(light, mask, strict=True):
        # The cells of a focus may lie a pixel or two apart, its neighbours lie ten away.
        groups, number = label(binary_dilation(cell, around), around)
        found += number
        for group in range(1, number + 1):
            inside = (groups == group) & cell
            where = np.argwhere(inside)
            assert np.ptp(where, axis=0).max() <= widest_px + 1
            if where.min() >= 3 and (where.max(0) <= np.array(FRAME_PX) - 4).all():
                cells.append(image[inside].sum())
    assert found / layers == pytest.approx(0.5 * AREA_MM2, rel=0.1)
    assert min(cells) == pytest.approx(3.0, abs=1e-5)
    assert max(cells) == pytest.approx(6.0, abs=1e-5)
    assert np.mean(cells) == pytest.approx(4.5, rel=0.05)


def test_the_centres_of_foci_keep_apart() -> None:
    # Foci of one cell without a radius: the cells are the centres.
    foci = MicroFoci(
        foci_per_mm2=2.0,
        cells_per_focus=(1, 1),
        focus_radius_um=1e-6,
        separation_um=400.0,
        cell_diameter_um=0.0,
        **DARK,
    )
    _, mask = draw(foci, 20)
    for cells in mask:
        places = np.argwhere(cells).astype(float) * PITCH_UM
        between = np.hypot(*(places[:, None] - places).T)
        between[np.diag_indices(len(places))] = np.inf
        assert between.min() > 400 - math.hypot(PITCH_UM, PITCH_UM)
    assert mask.sum() / 20 == pytest.approx(2.0 * AREA_MM2, rel=0.08)
