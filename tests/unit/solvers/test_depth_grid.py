"""Depth grids: the planes, and layers read out of volumes."""

import numpy as np
import pytest

from fociscope import simulate
from fociscope.imager import Imager
from fociscope.solvers import (
    SolverError,
    plane_depths_um,
    read_layers,
    richardson_lucy,
    solve_on_grid,
    tikhonov,
)

PLANES_UM = np.arange(25.0, 1000, 50)


def volume_of(lit: dict[int, float]) -> np.ndarray:
    """Planes (20, 6, 6) of which some are lit."""
    volume = np.zeros((20, 6, 6))
    for plane, light in lit.items():
        volume[plane] = light
    return volume


def test_planes_lie_in_the_middle_of_slices() -> None:
    np.testing.assert_allclose(plane_depths_um(Imager.reference(), 20), PLANES_UM)
    with pytest.raises(SolverError, match="at least 1"):
        plane_depths_um(Imager.reference(), 0)


def test_lit_planes_are_the_layers() -> None:
    volume = volume_of({2: 1.0, 8: 3.0, 13: 2.0, 19: 0.5})
    read = read_layers(volume, PLANES_UM, 4, min_separation_um=250)
    np.testing.assert_allclose(read.depth_um, PLANES_UM[[2, 8, 13, 19]])
    np.testing.assert_allclose(read.layers, volume[[2, 8, 13, 19]])


def test_a_layer_between_planes_is_at_the_centroid_and_keeps_its_light() -> None:
    volume = volume_of({4: 1.0, 5: 1.0, 15: 1.0, 16: 2.0})
    read = read_layers(np.stack([volume, 7 * volume]), PLANES_UM, 2)
    squares = (PLANES_UM[15] + 4 * PLANES_UM[16]) / 5
    expected = [[PLANES_UM[4:6].mean(), squares]] * 2
    np.testing.assert_allclose(read.depth_um, expected)
    np.testing.assert_allclose(read.layers[0], [volume[4:6].sum(0), volume[15:17].sum(0)])


def test_the_cut_is_the_best_of_all() -> None:
    light = np.random.default_rng(1).uniform(0, 1, 12)
    z = np.cumsum(np.random.default_rng(2).uniform(10, 90, 12))
    weight = light**2

    def spread(run: slice) -> float:
        centre = np.average(z[run], weights=weight[run])
        return float(np.sum(weight[run] * (z[run] - centre) ** 2))

    costs = {
        (i, j): spread(slice(0, i)) + spread(slice(i, j)) + spread(slice(j, 12))
        for i in range(1, 11)
        for j in range(i + 1, 12)
    }
    i, j = min(costs, key=costs.__getitem__)
    runs = slice(0, i), slice(i, j), slice(j, 12)
    expected = [np.average(z[run], weights=weight[run]) for run in runs]
    found = read_layers(np.broadcast_to(light[:, None, None], (12, 1, 1)).copy(), z, 3)
    np.testing.assert_allclose(found.depth_um, expected)


def test_close_layers_are_moved_apart() -> None:
    volume = volume_of({0: 1.0, 9: 1.0, 10: 1.0})
    depth_um = read_layers(volume, PLANES_UM, 3, min_separation_um=250).depth_um
    np.testing.assert_allclose(depth_um, [25, 375, 625])  # 475 and 525, about their middle
    crowded = volume_of({17: 1.0, 18: 1.0, 19: 1.0})
    depth_um = read_layers(crowded, PLANES_UM, 3, min_separation_um=250).depth_um
    assert (np.diff(depth_um) >= 250 - 1e-9).all()
    assert depth_um[-1] <= 975


def test_a_dark_volume_has_its_layers_somewhere() -> None:
    read = read_layers(volume_of({}), PLANES_UM, 4, min_separation_um=250)
    assert np.isfinite(read.depth_um).all()
    assert (np.diff(read.depth_um) >= 250 - 1e-9).all()


@pytest.mark.parametrize(
    ("planes_um", "layers", "separation_um", "words"),
    [
        (PLANES_UM[:5], 2, 0.0, "one depth per plane"),
        (PLANES_UM[::-1].copy(), 2, 0.0, "increase"),
        (PLANES_UM, 21, 0.0, "1 to 20"),
        (PLANES_UM, 0, 0.0, "1 to 20"),
        (PLANES_UM, 5, 250.0, "do not fit"),
        (PLANES_UM, 2, -1.0, "min_separation_um"),
    ],
)
def test_what_cannot_be_read_is_named(
    planes_um: np.ndarray, layers: int, separation_um: float, words: str
) -> None:
    with pytest.raises(SolverError, match=words):
        read_layers(volume_of({}), planes_um, layers, min_separation_um=separation_um)


def test_two_bright_planes_are_found_from_their_captures() -> None:
    scenes = simulate(2, seed=9030, layers=2, min_separation_um=600)
    imager = Imager.reference()
    grid = solve_on_grid(scenes.captures, imager, planes=20, solver=richardson_lucy, iterations=100)
    assert grid.volume.shape == (2, 20, 51, 51)
    assert grid.plane_um.shape == (20,)
    read = read_layers(grid.volume, grid.plane_um, 2, min_separation_um=250)
    assert np.abs(read.depth_um - scenes.depth_um).max() < 120


def test_any_solver_fills_the_grid() -> None:
    captures = simulate(1, seed=9031).captures[0]
    grid = solve_on_grid(captures, Imager.reference(), planes=7, solver=tikhonov)
    assert grid.volume.shape == (7, 51, 51)
    assert grid.solution.regularisation["tikhonov"] > 0
