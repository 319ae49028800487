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
    """A network all of whose numbers matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        network = LayerNet(Architecture(**architecture)).eval()
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and "conv" not in name:
                low = 0.5 if name.endswith("var") else -0.3
                tensor.add_(torch.rand_like(tensor) * 0.6 + low)
        return InferenceNet(network, torch.rand(OPTICS_FEATURES) - 0.5, layers, dtype)


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
        captures = torch.rand(batch, sensors, height, width) + 0.1
        expected, found = net(captures), session.run(None, {"captures": captures.numpy()})
        for name, one, other in zip(OutputNames._fields, expected, found, strict=True):
            digits = 1e-5 * max(1.0, float(one.abs().max()))
            np.testing.assert_allclose(other, one.numpy(), rtol=0, atol=digits, err_msg=name)


def test_equal_constants_are_stored_once() -> None:
    graph = GraphBuilder()
    assert graph.constant(1.0) == graph.constant(torch.tensor(1.0))
    assert graph.constant([1.0]) != graph.constant(1.0)
    assert graph.constant(1) != graph.constant(1.0)


def test_bfloat16_weights_are_refused() -> None:
    net = folded(1, torch.bfloat16, sensors=1, **PATCH_2)
    with pytest.raises(FociscopeError, match="float32 weights"):
        NetworkNodes(GraphBuilder(), net)
