"""OpenVINO says what torch says, in the precision that is named, to stated digits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from fociscope.networks import find_model, read_model
from fociscope.networks.conditioning import optics_features
from fociscope.networks.inference import InferenceNet, group_size
from fociscope.networks.layer_net import LayerNetOutput
from fociscope.networks.openvino_net import OpenVinoNet, agrees
from fociscope.simulation import simulate

pytest.importorskip("openvino")
pytest.importorskip("onnx")


def folded(kind: type[InferenceNet], name: str, dtype: torch.dtype = torch.float32) -> InferenceNet:
    network, info = read_model(find_model(name))
    return kind(network, optics_features(info.imager), info.layers, dtype)


@pytest.fixture(scope="module")
def in_openvino() -> OpenVinoNet:
    return folded(OpenVinoNet, "layers-ab")


@pytest.fixture(scope="module")
def in_torch() -> InferenceNet:
    return folded(InferenceNet, "layers-ab")


@pytest.fixture(scope="module")
def captures() -> torch.Tensor:
    return torch.from_numpy(simulate(17, seed=5).captures)


def assert_equal_to(one: LayerNetOutput, other: LayerNetOutput, digits: float) -> None:
    for name, a, b in zip(LayerNetOutput._fields, one, other, strict=True):
        torch.testing.assert_close(
            a, b, rtol=digits, atol=digits, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("count", [1, 3, 9, 17])
def test_in_float32_it_says_what_torch_says(
    in_openvino: OpenVinoNet, in_torch: InferenceNet, captures: torch.Tensor, count: int
) -> None:
    x = captures[:count]
    assert_equal_to(in_openvino(x), in_torch(x), 5e-5)


def test_any_frame_and_one_sensor() -> None:
    x = torch.rand(2, 1, 37, 81, generator=torch.Generator().manual_seed(2)) + 0.5
    assert_equal_to(folded(OpenVinoNet, "single-a")(x), folded(InferenceNet, "single-a")(x), 5e-5)


def test_in_bfloat16_depths_stay_and_maps_are_those_of_bfloat16(
    in_torch: InferenceNet, captures: torch.Tensor
) -> None:
    found, exact = folded(OpenVinoNet, "layers-ab", torch.bfloat16)(captures), in_torch(captures)
    assert (found.depth - exact.depth).abs().max() < 4e-3  # of the gap; its deviation is 1e-2
    apart = (found.logit.sigmoid() - exact.logit.sigmoid()).square().mean().sqrt()
    assert 1e-5 < apart < 1e-2  # the lower bound: it is bfloat16 that was asked for


def test_the_precision_is_named_whatever_the_processor_has(
    in_openvino: OpenVinoNet, captures: torch.Tensor
) -> None:
    program = in_openvino._program(tuple(in_openvino.prepared(captures[:1]).shape))
    import openvino

    assert program.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32


def test_digits_do_not_hang_on_how_many_go_together(
    in_openvino: OpenVinoNet, captures: torch.Tensor
) -> None:
    assert group_size(51 * 51, torch.float32) == 8
    whole = in_openvino(captures)
    for part in (slice(0, 3), slice(8, 13), slice(0, 16)):
        for a, b in zip(in_openvino(captures[part]), whole, strict=True):
            assert torch.equal(a, b[part])


def test_threads_do_not_disturb_one_another(
    in_openvino: OpenVinoNet, captures: torch.Tensor
) -> None:
    parts = [captures[:8], captures[8:16]] * 4
    expected = [in_openvino(part) for part in parts]
    with ThreadPoolExecutor(2) as pool:
        for one, other in zip(pool.map(in_openvino, parts), expected, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_it_agrees_with_its_own_network_and_with_no_other(
    in_openvino: OpenVinoNet, in_torch: InferenceNet, captures: torch.Tensor
) -> None:
    assert agrees(in_openvino, in_torch, captures[:8])
    network, info = read_model(find_model("layers-ab"))
    network.whole.bias.data += 0.01
    other = InferenceNet(network, optics_features(info.imager), info.layers)
    assert not agrees(in_openvino, other, captures[:8])
