"""Volumes: many planes through the projector; light and cells on a grid of depths."""

import numpy as np
import pytest
import torch

from fociscope.imager import Imager, LayerProjector
from fociscope.simulation import (
    VOLUME_KINDS,
    DrawnFrame,
    DrawnVolume,
    FociInDepth,
    TiltedSheets,
    VolumeGrid,
    simulate_volumes,
)
from fociscope.simulation.surfaces import Surface, project_surfaces
from fociscope.simulation.tissue import PerlinFoci

IMAGER = Imager.reference()
FRAME = DrawnFrame((51, 51), 55.0)
GRID = VolumeGrid(FRAME, gap_um=1000.0)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_adjoint_identity_of_a_volume(boundary):
    """<A x, y> = <x, A* y> for forty planes at once."""
    rng = np.random.default_rng(0)
    projector = LayerProjector(IMAGER.with_(boundary=boundary))
    volume = rng.random((40, 51, 51))
    captures = rng.random((2, 51, 51))
    z = GRID.plane_um
    forward = (projector.A(volume, z) * captures).sum()
    back = (volume * projector.A_adjoint(captures, z)).sum()
    assert forward == pytest.approx(back, rel=1e-9)


def test_even_volume_gives_even_captures_of_the_light_of_all_planes():
    """With `reflect`, each plane of even light adds its light to each pixel, whatever its depth."""
    planes = np.full((20, 51, 51), 0.5)
    captures = LayerProjector(IMAGER.with_(boundary="reflect")).A(planes, GRID.slice_um)
    expected = 20 * 0.5 * IMAGER.psf.collection_efficiency()
    np.testing.assert_allclose(captures, expected, rtol=2e-3)


def test_volume_is_the_sum_of_its_planes():
    """The projection of a volume is linear: plane by plane gives the same."""
    volume = np.random.default_rng(1).random((5, 33, 47))
    z = np.array([10.0, 200.0, 430.0, 777.0, 990.0])
    projector = LayerProjector(IMAGER)
    each = sum(
        projector.A(plane[None], depth[None]) for plane, depth in zip(volume, z, strict=True)
    )
    np.testing.assert_allclose(projector.A(volume, z), each, rtol=1e-9, atol=1e-12)


def test_light_between_planes_is_that_of_its_depth():
    """Light that two planes share is within 1 % in L1 of light at its own depth."""
    for depth in (110.0, 333.0, 705.0):
        volume = DrawnVolume(GRID)
        point = np.zeros((51, 51), np.float32)
        point[25, 25] = 1.0
        volume.add_sheet(point, point > 0, depth)
        projector = LayerProjector(IMAGER)
        shared = projector.A(volume.light.astype(np.float64), GRID.plane_um)
        exact = projector.A(point[None].astype(np.float64), np.array([depth]))
        assert np.abs(shared - exact).sum() < 0.01 * exact.sum()


def test_sheet_is_projected_as_a_surface():
    """A tilted sheet on the grid's planes gives the captures of `project_surfaces`."""
    rng = np.random.default_rng(3)
    grid = VolumeGrid(FRAME, 1000.0, planes_per_slice=10)
    light, mask = PerlinFoci().draw(rng, 1, FRAME)
    surface_um = Surface(tilt_deg=10.0).draw(
        rng, np.array([500.0], np.float32), drawn=FRAME, deepest_um=1000.0
    )
    volume = DrawnVolume(grid)
    volume.add_sheet(light[0], mask[0], surface_um[0])
    found = LayerProjector(IMAGER).A(
        torch.from_numpy(volume.light), torch.from_numpy(grid.plane_um.astype(np.float32))
    )
    expected = project_surfaces(IMAGER, light[None], surface_um[None], drawn=FRAME)[0]
    assert float((found - expected).abs().sum() / expected.sum()) < 2e-3


def test_depth_of_light_is_kept_within_voxels():
    """A voxel's mean depth is that of its cell, not the middle of its slice."""
    volume = DrawnVolume(VolumeGrid(FRAME, 1000.0, planes_per_slice=10))
    volume.add_cells(np.array([[312.0, 20.5, 30.5]]), np.array([2.0]), diameter_um=10.0)
    assert volume.mask.nonzero()[0].tolist() == [6]
    assert volume.depth_um[6, 20, 30] == pytest.approx(312.0, abs=0.5)
    assert volume.slice_light.sum() == pytest.approx(2.0, rel=1e-5)
    assert volume.cells[6, 20, 30] == 1


@pytest.mark.parametrize("kind", list(VOLUME_KINDS))
def test_volumes_keep_their_seed_their_frame_and_dark_gaps(kind):
    """One seed, one volume; light that is no haze lies only where there are cells."""
    specimen = VOLUME_KINDS[kind](haze=(0.0, 0.0))
    if hasattr(specimen, "tissue"):
        dark = PerlinFoci(autofluorescence=(0.0, 0.0))
        specimen = specimen.model_copy(update={"tissue": dark})
    grid = VolumeGrid(DrawnFrame((61, 71), 55.0, margin_px=5), 1000.0)
    one, other = (specimen.draw_scene(np.random.default_rng(7), grid) for _ in range(2))
    np.testing.assert_array_equal(one.light, other.light)
    assert one.light.shape == (40, 61, 71)
    assert one.mask.any() and one.light.min() >= 0
    if kind not in ("any-volume",):
        near = one.mask | np.roll(one.mask, 1, 0) | np.roll(one.mask, -1, 0)
        assert one.slice_light[~near].sum() <= 0.35 * one.slice_light.sum()


def test_scenes_do_not_depend_on_how_many_are_drawn():
    """Scene number 2 is the same by itself and among others."""
    whole = simulate_volumes(3, seed=5, specimen=FociInDepth())
    alone = simulate_volumes(1, seed=5, first=2, specimen=FociInDepth())
    np.testing.assert_array_equal(whole.captures[2], alone.captures[0])
    np.testing.assert_array_equal(whole.mask[2], alone.mask[0])


def test_sheets_of_one_scene_do_not_cross():
    """The upper one of two tilted sheets stays above the lower one."""
    specimen = TiltedSheets(
        sheets=(2, 2), surface=Surface(tilt_deg=30.0), tissue=PerlinFoci(coverage=(1.0, 1.0))
    )
    volume = specimen.draw_scene(np.random.default_rng(1), GRID)
    held = volume.mask.sum(axis=0)
    assert held.max() <= 2
