"""The graph written node by node says what the folded network says."""

import numpy as np
import pytest
import torch

from fociscope.errors import FociscopeError
from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.inference import InferenceNet
from fociscope.networks.layer_net import Architecture, LayerNet
from fociscope.networks.onnx_graph import GraphBuilder, NetworkNodes, OutputNames

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

PATCH_1 = {"patch_px": 1, "widths": (8, 16, 24), "blocks": (1, 2, 2)}
PATCH_2 = {"patch_px": 2, "widths": (12, 24), "blocks": (1, 3)}
UNEVEN = {"patch_px": 3, "widths": (8, 12), "blocks": (0, 1), "front_end": "blind"}


def folded(layers: int, dtype: torch.dtype = torch.float32, **architecture: object) -> InferenceNet:
    """A network all of whose numbers matter, as they do once trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = LayerNet(Architecture(**architecture)).eval()
        for modulation in [*network.modulate, *network.focus]:
            torch.nn.init.normal_(modulation.linear.weight, std=0.1)
            torch.nn.init.normal_(modulation.linear.bias, std=0.3)
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(norm.weight, mean=0.5, std=0.5)  # of either sign
                torch.nn.init.normal_(norm.bias, std=0.3)
                torch.nn.init.normal_(norm.running_mean, std=0.3)
                torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        return InferenceNet(network, torch.rand(OPTICS_FEATURES) - 0.5, layers, dtype)


def light(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) + 0.1


def session_of(net: InferenceNet):
    graph = GraphBuilder()
    output = NetworkNodes(graph, net).output("captures")
    for name, value in output._asdict().items():
        graph.add("Identity", value, name=name)
    shapes = dict.fromkeys(OutputNames._fields, ("batch", net.layers))
    shapes |= dict.fromkeys(("logit", "intensity"), ("batch", net.layers, "y", "x"))
    shapes["context"] = ("batch", net.architecture.context)
    inputs = {"captures": ("batch", net.architecture.sensors, "y", "x")}
    model = graph.model("test", inputs, shapes)
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("architecture", [PATCH_1, PATCH_2, UNEVEN], ids=["1", "2", "3"])
@pytest.mark.parametrize(("sensors", "layers"), [(2, 6), (1, 1)])
def test_batch_and_frame_are_free(
    architecture: dict[str, object], sensors: int, layers: int
) -> None:
    net = folded(layers, sensors=sensors, **architecture)
    session = session_of(net)
    for batch, height, width in ((1, 51, 51), (3, 37, 80), (2, 32, 32)):
        captures = light(batch, sensors, height, width)
        expected, found = net(captures), session.run(None, {"captures": captures.numpy()})
        for name, one, other in zip(OutputNames._fields, expected, found, strict=True):
            np.testing.assert_allclose(other, one.numpy(), rtol=1e-5, atol=1e-5, err_msg=name)


def test_equal_constants_are_stored_once() -> None:
    graph = GraphBuilder()
    assert graph.constant(1.0) == graph.constant(torch.tensor(1.0))
    assert graph.constant([1.0]) != graph.constant(1.0)
    assert graph.constant(1) != graph.constant(1.0)


def test_bfloat16_weights_are_refused() -> None:
    net = folded(1, torch.bfloat16, sensors=1, **PATCH_2)
    with pytest.raises(FociscopeError, match="float32 weights"):
        NetworkNodes(GraphBuilder(), net)
