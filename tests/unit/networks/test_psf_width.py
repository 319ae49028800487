"""The PSF-width estimator: the blur in the captures, held against the conditioning."""

import math

import pytest
import torch
from torch import Tensor

from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.ood import capture_statistics, feature_count, with_psf_mismatch
from fociscope.networks.psf_width import (
    LEAST_STD,
    WIDTH_FEATURES,
    PsfWidthEstimator,
    fit_psf_width_estimator,
    width_features,
)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def told_scenes(scenes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A context, features, and widths that hang on both, with noise of 0.1 and 0.2."""
    context, features = normal(scenes, 6, seed=seed), normal(scenes, 4, seed=seed + 1)
    noise = normal(scenes, 2, seed=seed + 2) * torch.tensor([0.1, 0.2])
    widths = 0.4 * context[:, :2] - 0.3 * features[:, 1:3] + 5 + noise
    return context, features, widths


def test_it_finds_what_there_is_and_how_sure_it_may_be() -> None:
    psf_width = fit_psf_width_estimator(*told_scenes(2000, seed=0), seed=1)
    context, features, widths = told_scenes(1000, seed=10)
    said = psf_width(context, features)
    off = (said.widths - widths).detach()
    assert off.std(dim=0).tolist() == pytest.approx([0.1, 0.2], rel=0.3)
    within = off.abs() < said.std
    assert within.float().mean(dim=0).tolist() == pytest.approx([0.68, 0.68], abs=0.08)


def test_the_same_seed_gives_the_same_estimator_and_leaves_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, other = (
        fit_psf_width_estimator(*told_scenes(100, seed=0), seed=3).state_dict() for _ in range(2)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_estimator_of_one_imager_alone_is_no_surer_than_its_table() -> None:
    context, features, _ = told_scenes(2000, seed=0)
    alike = torch.tensor([1.0, 3.0]).expand(2000, 2)
    psf_width = fit_psf_width_estimator(context, features, alike, seed=1)
    with torch.no_grad():
        said = psf_width(context, features)
    assert float(said.std.min()) == pytest.approx(LEAST_STD)
    assert float((said.widths - alike).abs().max()) < LEAST_STD


@pytest.mark.parametrize("sensors", [1, 2])
def test_statistics_have_as_many_features_as_an_estimator_expects(sensors: int) -> None:
    captures = torch.rand(2, sensors, 40, 48) + 0.5
    found = capture_statistics(captures, captures, torch.zeros(2, OPTICS_FEATURES))
    assert found.features.shape == (2, feature_count(sensors))


class _Firm(PsfWidthEstimator):
    """One that says the same of all captures: 1 and 3 octaves, give or take a part of one."""

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs)
        last = self.layers[-1]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.tensor([1.0, 3.0, math.log(0.25), math.log(0.5)]))


def test_the_further_off_the_told_imager_the_more_speaks_against_it() -> None:
    optics = torch.zeros(3, OPTICS_FEATURES)
    optics[:, WIDTH_FEATURES[0]] = torch.tensor([1.0, 1.5, 1.0])
    optics[:, WIDTH_FEATURES[1]] = torch.tensor([3.0, 2.0, 5.0])
    captures = torch.rand(3, 2, 40, 48) + 0.5
    found = capture_statistics(captures, captures, optics)
    asked = with_psf_mismatch(found, torch.zeros(3, 8), _Firm(8 + feature_count(2)).eval())
    torch.testing.assert_close(asked.wider, torch.tensor([1.0, 3.0]) - width_features(optics))
    torch.testing.assert_close(asked.psf_mismatch_near, torch.tensor([0.0, 2.0, 0.0]))
    torch.testing.assert_close(asked.psf_mismatch, torch.tensor([0.0, 2.0, 4.0]))
