"""A folded layer network compiled by OpenVINO, for processors of the x86 and Arm families.

OpenVINO (extra `fast`) compiles the graph of `onnx_graph` for frames of one size, in a few tenths
of a second, and then runs it faster than torch: it joins what lies between the convolutions, and
has no cost for each operation, which counts where one capture goes through alone. torch keeps what
hangs on few numbers but must be exact: the contrast before the network, and what is pooled over the
frame for depths and presences, so that these stay in float32 where all else is in bfloat16.

It answers in bfloat16 by itself on processors that have it; here its precision is always named.
"""

from __future__ import annotations

import os
import threading
import time
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fociscope.errors import FociscopeError
from fociscope.networks.inference import InferenceNet, group_size
from fociscope.networks.layer_net import LayerNet, LayerNetOutput
from fociscope.networks.onnx_graph import GraphBuilder, NetworkNodes

if TYPE_CHECKING:
    import onnx

__all__ = ["OpenVinoNet", "agrees", "is_faster", "openvino_is_installed", "require_openvino"]

#: Share of the time of torch below which OpenVINO counts as faster; far enough from 1 that the
#: noise of a timing does not choose.
_CLEARLY_FASTER = 0.9
#: How often a group of captures is timed.
_TIMINGS = 5
#: Between two runtimes in each precision, the largest differences of depths, as shares of the gap,
#: and the root mean square of those of P(cells | layer).
_AGREEMENT = {"f32": (1e-4, 1e-4), "bf16": (2e-2, 2e-2)}


def openvino_is_installed() -> bool:
    """Return whether OpenVINO, and onnx to describe networks to it, are installed."""
    return all(find_spec(name) is not None for name in ("onnx", "openvino"))


def require_openvino() -> None:
    """Refuse to go on without OpenVINO.

    Raises:
        FociscopeError: If it is not installed.
    """
    if not openvino_is_installed():
        raise FociscopeError(
            "OpenVINO is not installed; install it with the extra 'fast' of Fociscope: "
            "pip install '.[fast]', or take the runtime torch",
            fields=("runtime",),
        )


class OpenVinoNet(InferenceNet):
    """Captures (batch, sensor, y, x) -> `LayerNetOutput`, computed by OpenVINO on the CPU.

    Several threads may call it at once, each of which then computes for itself. What it inherits
    for tiles of large frames computes in torch, in float32.
    """

    def __init__(
        self,
        network: LayerNet,
        optics: Tensor,
        layers: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Fold a trained network; it is compiled when the first captures come.

        Args:
            network: Trained network on the CPU.
            optics: Features of the imager, (feature,), see `optics_features`.
            layers: Number of layers to look for.
            dtype: Type that OpenVINO computes in, float32 or bfloat16.

        Raises:
            FociscopeError: If OpenVINO is not installed.
        """
        require_openvino()
        super().__init__(network, optics, layers)
        self.precision = "bf16" if dtype == torch.bfloat16 else "f32"
        self._content = _graph(self).SerializeToString()
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    @torch.inference_mode()
    def __call__(self, captures: Tensor) -> LayerNetOutput:
        """Captures (batch, sensor, y, x) -> output for the layers looked for."""
        count, pixels = len(captures), captures.shape[-2:].numel()
        group = group_size(pixels, torch.float32)
        if 1 < count < group or count % group > 1:
            # So that a frame size needs no more than two programs, and a capture's digits do not
            # hang on how many others there are.
            beyond = captures[-1:].expand(-count % group, -1, -1, -1)
            filled = super().__call__(torch.cat([captures, beyond]))
            return LayerNetOutput(*(field[:count] for field in filled))
        return super().__call__(captures)

    def output_of(self, captures: Tensor) -> LayerNetOutput:
        """Captures (batch, sensor, y, x) -> output, all captures at once."""
        images, first, second = self._run(self.prepared(captures))
        context = self.context(self.pooled(first))
        context = context + self.context(self.pooled(second))
        height, width = captures.shape[-2:]
        logit, light = images[..., :height, :width].chunk(2, dim=1)
        # A copy, because the next run writes to the same memory.
        return self.output(logit.clone(), light, context)

    def _run(self, contrast: Tensor) -> list[Tensor]:
        """Return images and deepest features, in memory that the next run of this thread uses."""
        shape = tuple(contrast.shape)
        requests = self._of_thread.__dict__.setdefault("requests", {})
        if shape not in requests:
            requests[shape] = self._program(shape).create_infer_request()
        answer = requests[shape].infer(
            contrast.contiguous().numpy(), share_inputs=True, share_outputs=True
        )
        return [torch.from_numpy(array) for array in answer.values()]

    def _program(self, shape: tuple[int, ...]) -> Any:
        """Return the network compiled for contrasts of a shape, one thread for each capture."""
        import openvino

        with self._lock:
            if shape not in self._compiled:
                model = _core().read_model(self._content)
                model.reshape(openvino.PartialShape(list(shape)))
                threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
                settings = {
                    "INFERENCE_PRECISION_HINT": self.precision,
                    "NUM_STREAMS": threads,
                    "INFERENCE_NUM_THREADS": threads,
                    # Other programs use the same cores.
                    "ENABLE_CPU_PINNING": False,
                }
                self._compiled[shape] = _core().compile_model(model, "CPU", settings)
        return self._compiled[shape]


@lru_cache(maxsize=1)
def _core() -> Any:
    import openvino

    return openvino.Core()


def _graph(net: InferenceNet) -> onnx.ModelProto:
    """Return the graph from contrasts to images, and to the deepest features before and after."""
    graph = GraphBuilder()
    nodes = NetworkNodes(graph, net)
    *skips, deep = nodes.encoded("contrast")
    context = nodes.context(deep)
    graph.add("Identity", deep, name="first")
    deep = nodes.deepened(deep, context)
    graph.add("Identity", deep, name="second")
    context = graph.add("Add", context, nodes.context(deep))
    nodes.decoded(skips, deep, context, name="images")
    channels = net.architecture.widths[-1]
    features = ("batch", channels, "deep_y", "deep_x")
    return graph.model(
        "contrast_to_images",
        {"contrast": ("batch", net.architecture.sensors, "y", "x")},
        {"images": ("batch", 2 * net.layers, "y", "x"), "first": features, "second": features},
    )


def is_faster(net: OpenVinoNet, than: InferenceNet, captures: Tensor) -> bool:
    """Return whether OpenVINO computes captures clearly faster than torch, timed here and now.

    Args:
        net: Network that OpenVINO computes.
        than: The same network in torch.
        captures: Captures that go through together, (batch, sensor, y, x).
    """
    least = [float("inf"), float("inf")]
    for turn in range(_TIMINGS + 1):
        for n, runtime in enumerate((net, than)):
            start = time.perf_counter()
            runtime(captures)
            if turn > 0:
                least[n] = min(least[n], time.perf_counter() - start)
    return least[0] < _CLEARLY_FASTER * least[1]


def agrees(net: OpenVinoNet, other: InferenceNet, captures: Tensor) -> bool:
    """Return whether both compute the same to the digits of their precision.

    Args:
        net: Network that OpenVINO computes.
        other: The same network in torch.
        captures: (batch, sensor, y, x).
    """
    one, two = net(captures), other(captures)
    depth, probability = _AGREEMENT[net.precision]
    apart = (one.logit.sigmoid() - two.logit.sigmoid()).square().mean().sqrt()
    return bool((one.depth - two.depth).abs().max() <= depth and apart <= probability)
