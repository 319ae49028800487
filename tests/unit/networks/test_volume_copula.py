"""Volumes drawn at random: each voxel keeps its probability, and voxels go together."""

import numpy as np
import pytest
import torch

from fociscope.networks import FieldCorrelation, VolumeCopula, draw_light, draw_occupied

SLICE_UM = torch.arange(25.0, 1000, 50)


def copula(lateral_um=150.0, frame_share=0.0, axial_um=1e4) -> VolumeCopula:
    scales = FieldCorrelation(lateral_um=lateral_um, frame_share=frame_share)
    return VolumeCopula(presence=scales, depth=scales, axial_um=axial_um)


def drawn(probability, its, count=400, seed=0) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return draw_occupied(
        probability, SLICE_UM, its, pitch_um=50.0, count=count, generator=generator
    ).numpy()


@pytest.mark.parametrize(
    "its",
    [copula(), copula(axial_um=60.0), copula(20.0, 0.5, 200.0)],
    ids=["whole", "near", "frame"],
)
def test_each_voxel_is_occupied_with_its_probability(its):
    probability = torch.rand(20, 8, 9, generator=torch.Generator().manual_seed(1)) ** 3
    there = drawn(probability, its, count=4000)
    error = there.mean(axis=0) - probability.numpy()
    deviation = (probability * (1 - probability) / 4000).sqrt().numpy()
    assert np.abs(error / np.maximum(deviation, 1e-3)).max() < 5
    assert (error / np.maximum(deviation, 1e-3)).std() < 1.2


def test_cells_at_an_unsure_depth_are_drawn_at_one_depth():
    probability = torch.zeros(20, 6, 6)
    probability[7:10] = torch.tensor([0.25, 0.5, 0.25])[:, None, None]
    there = drawn(probability, copula())
    assert (there.sum(axis=1) == 1).all()


def test_neighbours_go_together_and_far_columns_do_not():
    probability = torch.zeros(20, 40, 40)
    probability[5] = 0.5
    there = drawn(probability, copula(lateral_um=150.0), count=2000)[:, 5].astype(float)
    near = np.corrcoef(there[:, 20, 20], there[:, 20, 21])[0, 1]
    far = np.corrcoef(there[:, 20, 5], there[:, 20, 35])[0, 1]
    # Two halves of a Gaussian field of correlation r agree as asin: 2 / pi asin(r).
    expected = 2 / np.pi * np.arcsin(np.exp(-(50.0**2) / (2 * 150.0**2)))
    assert near == pytest.approx(expected, abs=0.05)
    assert abs(far) < 0.08


def test_depths_far_apart_are_drawn_for_themselves():
    probability = torch.zeros(20, 2, 2)
    probability[[2, 17]] = 0.5
    there = drawn(probability, copula(axial_um=60.0), count=4000)
    together = there[:, 2, 0, 0] & there[:, 17, 0, 0]
    assert together.mean() == pytest.approx(0.25, abs=0.03)


def test_no_light_is_lost():
    generator = torch.Generator().manual_seed(0)
    light = torch.rand(20, 9, 9, generator=generator)
    there = torch.rand(3, 20, 9, 9, generator=generator) < 0.05
    there[0] = False
    moved = draw_light(light, there, copula(), residual=0.0, generator=generator)
    np.testing.assert_allclose(moved.sum(dim=(1, 2, 3)), light.sum(), rtol=1e-4)
    np.testing.assert_allclose(moved[0], light)
    assert (moved >= 0).all()


def test_the_whole_light_spreads_as_the_residual_says():
    generator = torch.Generator().manual_seed(0)
    light, there = torch.ones(20, 4, 4), torch.ones(3000, 20, 4, 4, dtype=torch.bool)
    moved = draw_light(light, there, copula(), residual=0.2, generator=generator)
    assert moved.sum(dim=(1, 2, 3)).log().std() == pytest.approx(0.2 * 0.5, rel=0.05)
