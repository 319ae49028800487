import math

import pytest
import torch

from fociscope.networks.layer_net import LayerNetOutput
from fociscope.training._losses import depth_loss, layer_loss


def output(depth: float, std: float, logit: float = 0.0, light: float = 0.0) -> LayerNetOutput:
    return LayerNetOutput(
        torch.full((1, 1, 2, 2), logit),
        torch.full((1, 1, 2, 2), light),
        torch.full((1, 1), depth),
        torch.full((1, 1), math.log(std)),
        torch.full((1, 1), 1.0),
        torch.zeros(1, 8),
    )


THERE = torch.ones(1, 1)


def test_the_depth_loss_is_the_weighted_likelihood() -> None:
    # -log N(0.5 | 0.3, 0.1^2) up to a constant, times the standard deviation (beta 1/2).
    by_hand = 0.1 * (0.5 * (0.2 / 0.1) ** 2 + math.log(0.1))
    found = float(depth_loss(output(0.3, 0.1), torch.full((1, 1), 0.5), THERE))
    assert found == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("std", [0.02, 0.1, 0.5])
def test_the_best_standard_deviation_is_the_error(std: float) -> None:
    log_std = torch.tensor([[math.log(std)]], requires_grad=True)
    said = output(0.5, 1.0)._replace(depth_log_std=log_std)
    depth_loss(said, torch.full((1, 1), 0.5 + std), THERE).backward()
    assert float(log_std.grad) == pytest.approx(0.0, abs=1e-6)


def test_terms_and_weights() -> None:
    said, truth = output(0.3, 0.1, logit=2.0, light=1.5), torch.ones(1, 1, 2, 2)
    depth = torch.full((1, 1), 0.5)
    terms = layer_loss(
        said,
        truth,
        truth,
        depth,
        torch.ones(1, dtype=torch.int64),
        intensity_weight=0.2,
        depth_weight=3.0,
        presence_weight=0.5,
    )
    assert float(terms["mask"]) == pytest.approx(math.log1p(math.exp(-2.0)), rel=1e-5)
    assert float(terms["intensity"]) == pytest.approx(0.25, rel=1e-5)
    assert float(terms["depth"]) == pytest.approx(float(depth_loss(said, depth, THERE)))
    assert float(terms["presence"]) == pytest.approx(math.log1p(math.exp(-1.0)), rel=1e-5)
    total = terms["mask"] + 0.2 * terms["intensity"] + 3.0 * terms["depth"]
    total = total + 0.5 * terms["presence"]
    assert float(terms["loss"]) == pytest.approx(float(total))


def test_absent_layers_teach_nothing_but_their_absence() -> None:
    """What a network says of a layer that is not there changes no term but the presence."""
    weights = {"intensity_weight": 0.2, "depth_weight": 3.0, "presence_weight": 0.5}

    def terms(absent: float) -> dict[str, torch.Tensor]:
        one, other = output(0.3, 0.1, logit=2.0, light=1.5), output(absent, 0.2, absent, absent)
        said = LayerNetOutput(*(torch.cat(pair, dim=1) for pair in zip(one, other, strict=True)))
        truth = torch.ones(1, 2, 2, 2)
        return layer_loss(
            said, truth, truth, torch.ones(1, 2), torch.ones(1, dtype=torch.int64), **weights
        )

    assert terms(0.4) == terms(0.9)
    alone = layer_loss(
        output(0.3, 0.1, logit=2.0, light=1.5),
        torch.ones(1, 1, 2, 2),
        torch.ones(1, 1, 2, 2),
        torch.ones(1, 1),
        torch.ones(1, dtype=torch.int64),
        **weights,
    )
    for name in ("mask", "intensity", "depth"):
        assert float(terms(0.4)[name]) == pytest.approx(float(alone[name]))


@pytest.mark.parametrize(("light", "error"), [(1.0, 0.25), (2.0, 0.25), (4.0, 0.25 / 4)])
def test_a_very_bright_layer_does_not_outweigh_the_others(light: float, error: float) -> None:
    # The error is half a unit everywhere; above a mean square of 4 it is divided by a fourth of it.
    said, truth = output(0.3, 0.1, light=light - 0.5), torch.full((1, 1, 2, 2), light)
    terms = layer_loss(
        said,
        torch.ones(1, 1, 2, 2),
        truth,
        torch.full((1, 1), 0.5),
        torch.ones(1, dtype=torch.int64),
        intensity_weight=1.0,
        depth_weight=1.0,
        presence_weight=1.0,
    )
    assert float(terms["intensity"]) == pytest.approx(error)
