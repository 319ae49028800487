import pytest
import torch

from fociscope.errors import ModelError
from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.layer_net import (
    Architecture,
    LayerNet,
    LayerNetOutput,
    mean_light,
    relative_light,
)


def captures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) + 0.1


def network(**architecture: int | str) -> LayerNet:
    """A network whose context matters, as it does once trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        net = LayerNet(Architecture(**architecture))
        for modulation in [*net.modulate, *net.focus]:
            torch.nn.init.normal_(modulation.linear.weight, std=0.3)
    return net.eval()


@torch.no_grad()
def said(
    net: LayerNet, x: torch.Tensor, *, optics: float = 0.3, most: int | None = None
) -> LayerNetOutput:
    most_layers = torch.full((len(x),), most or net.architecture.layers)
    output = net(x, torch.full((len(x), OPTICS_FEATURES), optics), most_layers)
    assert isinstance(output, LayerNetOutput)
    return output


@pytest.mark.parametrize("frame", [(51, 51), (36, 80), (32, 32), (33, 47)], ids=str)
@pytest.mark.parametrize(("sensors", "layers"), [(2, 4), (1, 4), (1, 1), (2, 6)])
def test_shapes(frame: tuple[int, int], sensors: int, layers: int) -> None:
    output = said(network(sensors=sensors, layers=layers), captures(3, sensors, *frame))
    assert output.logit.shape == output.intensity.shape == (3, layers, *frame)
    assert output.depth.shape == output.depth_log_std.shape == (3, layers)
    assert output.presence_logit.shape == (3, layers)
    assert all(torch.isfinite(field).all() for field in output)


def test_depths_increase_and_intensities_are_not_negative() -> None:
    net = network()
    torch.nn.init.normal_(net.whole.weight, std=1.0)  # so that its raw output has either sign
    output = said(net, captures(20, 2, 40, 40))
    assert (output.depth[:, 0] > 0).all()
    assert (output.depth.diff(dim=1) > 0).all()
    assert (output.intensity >= 0).all()


@pytest.mark.parametrize("gain", [(3.7, 3.7), (1.0, 20.0), (1e-4, 5e3)], ids=str)
def test_the_gain_of_a_sensor_plays_no_part(gain: tuple[float, float]) -> None:
    net, x = network(), captures(2, 2, 51, 51)
    plain, scaled = said(net, x), said(net, x * torch.tensor(gain)[:, None, None])
    for one, other in zip(plain, scaled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_the_captures_show_does_play_a_part() -> None:
    net, sharp = network(), captures(1, 2, 40, 40)
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2)
    for one, other in zip(said(net, sharp), said(net, blurred), strict=True):
        assert not torch.allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("patch_px", [1, 2, 3])
def test_patches_of_any_size_give_the_frame_back(patch_px: int) -> None:
    output = said(network(patch_px=patch_px), captures(2, 2, 37, 50))
    assert output.logit.shape == (2, 6, 37, 50)


def test_what_it_is_told_of_the_imager_plays_a_part() -> None:
    net, x = network(), captures(1, 2, 40, 40)
    for one, other in zip(said(net, x), said(net, x, optics=-0.5), strict=True):
        assert not torch.allclose(one, other, rtol=1e-3)


def test_a_blind_network_does_not_listen() -> None:
    net, x = network(front_end="blind"), captures(1, 2, 40, 40)
    for one, other in zip(said(net, x), said(net, x, optics=-0.5), strict=True):
        assert torch.equal(one, other)


def test_how_many_layers_it_looks_for_plays_a_part() -> None:
    net, x = network(), captures(1, 2, 40, 40)
    assert not torch.allclose(said(net, x, most=2).logit, said(net, x, most=4).logit, rtol=1e-3)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    net, x = network(), captures(4, 2, 40, 44)
    for together, alone in zip(said(net, x), said(net, x[2:3]), strict=True):
        torch.testing.assert_close(together[2:3], alone, rtol=1e-4, atol=1e-5)


def test_dark_captures_give_finite_answers() -> None:
    assert all(torch.isfinite(field).all() for field in said(network(), torch.zeros(1, 2, 40, 40)))


def test_relative_light_has_mean_one() -> None:
    light = relative_light(captures(3, 2, 9, 11) * 1e-3)
    torch.testing.assert_close(light.mean(dim=(-2, -1)), torch.ones(3, 2))


@pytest.mark.parametrize(("sensors", "layers"), [(2, 4), (2, 6), (1, 4)])
def test_it_is_small(sensors: int, layers: int) -> None:
    net = LayerNet(Architecture(sensors=sensors, layers=layers))
    assert sum(p.numel() for p in net.parameters()) < 2e6


def test_every_parameter_learns() -> None:
    net = network().train()
    told = captures(3, OPTICS_FEATURES), torch.tensor([1, 4, 6])
    output = net(captures(3, 2, 40, 40), *told)
    sum((field * captures(*field.shape, seed=2)).sum() for field in output).backward()
    # Of the numbers of layers it hears three only, but they share the weights' tensor.
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert still == []


@pytest.mark.parametrize(
    "field", [{"sensors": 3}, {"layers": 7}, {"layers": 0}, {"widths": (8,)}, {"depth": 3}], ids=str
)
def test_impossible_architectures_are_refused(field: dict[str, int]) -> None:
    with pytest.raises(ModelError, match=next(iter(field))):
        Architecture(**field)


@pytest.mark.parametrize(
    "field", [{"widths": (8, 16, 32)}, {"widths": (0, 32)}, {"blocks": (-1, 2)}], ids=str
)
def test_levels_that_do_not_fit_are_refused(field: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ModelError):
        Architecture(**field)


def test_noise_around_no_light_is_no_huge_multiple_of_its_mean() -> None:
    """A mean near 0 once made one capture of a batch outweigh all others by many orders."""
    noise = torch.randn(1, 1, 40, 50, generator=torch.Generator().manual_seed(0))
    noise += 1e-6 - noise.mean()
    assert relative_light(noise).amax() == pytest.approx(40 * 50)


def test_the_unit_of_light_is_the_mean_where_nothing_is_below_0() -> None:
    captures = torch.rand(3, 2, 40, 50, generator=torch.Generator().manual_seed(0))
    captures[0, 0] = 0
    captures[0, 0, 7, 7] = 3.0  # all light in one pixel
    mean = captures.mean(dim=(-2, -1), keepdim=True)
    torch.testing.assert_close(mean_light(captures), mean, rtol=1e-6, atol=0)
