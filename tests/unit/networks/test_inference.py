"""The folded network says what the plain one says."""

import pytest
import torch

from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.inference import InferenceNet, group_size
from fociscope.networks.layer_net import Architecture, LayerNet, LayerNetOutput

PATCH_1 = {"patch_px": 1, "widths": (8, 16, 24), "blocks": (1, 2, 2)}
PATCH_2 = {"patch_px": 2, "widths": (12, 24), "blocks": (1, 3)}
UNEVEN = {"patch_px": 3, "widths": (8, 12), "blocks": (0, 1), "front_end": "blind"}


def trained(**architecture: object) -> LayerNet:
    """A network all of whose numbers matter, as they do once trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = LayerNet(Architecture(**architecture))
        for modulation in [*network.modulate, *network.focus]:
            torch.nn.init.normal_(modulation.linear.weight, std=0.1)
            torch.nn.init.normal_(modulation.linear.bias, std=0.3)
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(norm.weight, mean=0.5, std=0.5)  # of either sign
                torch.nn.init.normal_(norm.bias, std=0.3)
                torch.nn.init.normal_(norm.running_mean, std=0.3)
                torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return network.eval()


def captures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) + 0.1


OPTICS = captures(OPTICS_FEATURES) - 0.6


@torch.no_grad()
def plainly(network: LayerNet, x: torch.Tensor, layers: int) -> LayerNetOutput:
    said = network(x, OPTICS.expand(len(x), -1), torch.full((len(x),), layers))
    return LayerNetOutput(*(field[:, :layers] for field in said[:-1]), said.context)


@pytest.mark.parametrize("architecture", [PATCH_1, PATCH_2, UNEVEN], ids=["1", "2", "3"])
@pytest.mark.parametrize(("sensors", "layers"), [(2, 6), (2, 4), (1, 1)])
@pytest.mark.parametrize("frame", [(51, 51), (37, 80)], ids=str)
def test_it_says_what_the_plain_network_says(
    architecture: dict[str, object], sensors: int, layers: int, frame: tuple[int, int]
) -> None:
    network = trained(sensors=sensors, **architecture)
    x = captures(3, sensors, *frame)
    folded = InferenceNet(network, OPTICS, layers)(x)
    for one, other in zip(plainly(network, x, layers), folded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_groups_that_stay_in_the_cache_change_nothing() -> None:
    network = trained(**PATCH_1)
    x = captures(2 * group_size(40**2, torch.float32) + 1, 2, 40, 40)
    folded = InferenceNet(network, OPTICS, 4)(x)
    for one, other in zip(plainly(network, x, 4), folded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_the_network_it_is_made_of_stays_as_it_is() -> None:
    network = trained(**PATCH_2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    InferenceNet(network, OPTICS, 2)(captures(1, 2, 40, 40))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_dark_captures_give_finite_answers() -> None:
    said = InferenceNet(trained(**PATCH_1), OPTICS, 4)(torch.zeros(1, 2, 40, 40))
    assert all(torch.isfinite(field).all() for field in said)
