import math

import pytest
import torch

from fociscope.networks.layer_net import LayerNetOutput
from fociscope.networks.losses import depth_loss, layer_loss


def output(depth: float, std: float, logit: float = 0.0, light: float = 0.0) -> LayerNetOutput:
    return LayerNetOutput(
        torch.full((1, 1, 2, 2), logit),
        torch.full((1, 1, 2, 2), light),
        torch.full((1, 1), depth),
        torch.full((1, 1), math.log(std)),
    )


def test_the_depth_loss_is_the_weighted_likelihood() -> None:
    # -log N(0.5 | 0.3, 0.1^2) up to a constant, times the standard deviation (beta 1/2).
    by_hand = 0.1 * (0.5 * (0.2 / 0.1) ** 2 + math.log(0.1))
    found = float(depth_loss(output(0.3, 0.1), torch.full((1, 1), 0.5)))
    assert found == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("std", [0.02, 0.1, 0.5])
def test_the_best_standard_deviation_is_the_error(std: float) -> None:
    log_std = torch.tensor([[math.log(std)]], requires_grad=True)
    said = output(0.5, 1.0)._replace(depth_log_std=log_std)
    depth_loss(said, torch.full((1, 1), 0.5 + std)).backward()
    assert float(log_std.grad) == pytest.approx(0.0, abs=1e-6)


def test_terms_and_weights() -> None:
    said, truth = output(0.3, 0.1, logit=2.0, light=1.5), torch.ones(1, 1, 2, 2)
    depth = torch.full((1, 1), 0.5)
    terms = layer_loss(
        said, truth, truth, depth, intensity_weight=0.2, depth_weight=3.0
    )  # fmt: skip
    assert float(terms["mask"]) == pytest.approx(math.log1p(math.exp(-2.0)), rel=1e-5)
    assert float(terms["intensity"]) == pytest.approx(0.25, rel=1e-5)
    assert float(terms["depth"]) == pytest.approx(float(depth_loss(said, depth)))
    total = terms["mask"] + 0.2 * terms["intensity"] + 3.0 * terms["depth"]
    assert float(terms["loss"]) == pytest.approx(float(total))
