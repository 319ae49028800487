"""A folded layer network as an ONNX graph, written node by node.

Two things need a network that is no Python: runtimes that compile it, and other programs
(`fociscope.exchange`). The nodes are those of `InferenceNet.output_of`, with the same weights and
in the same order, so results differ by float rounding alone. Tracing would give the same numbers,
but takes seconds rather than hundredths of one, freezes what depends on the shape of the capture it
traced, and leaves hundreds of nodes that nobody reads; written by hand, batch and frame stay free.

Only operators of the default domain are used, of the version that `OPSET` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fociscope.errors import FociscopeError
from fociscope.networks.inference import InferenceNet, _Affine, _Block, _Convolution

if TYPE_CHECKING:
    import onnx

__all__ = ["OPSET", "GraphBuilder", "NetworkNodes", "OutputNames", "Shape"]

#: Version of the operators: read by ONNX Runtime from 1.14 on and by OpenVINO from 2023.1 on.
OPSET = 18
#: Version of the file format that goes with it.
IR_VERSION = 8

Shape = tuple[int | str, ...]
"""Lengths of the axes; texts name those that are free."""


class GraphBuilder:
    """The nodes and weights of a graph while it grows.

    Values of the graph are known by their names; numbers and arrays in place of a name become
    constants.

    Examples:
        >>> from fociscope.networks.onnx_graph import GraphBuilder
        >>> graph = GraphBuilder()
        >>> twice = graph.add("Mul", "x", 2.0, name="twice")
        >>> model = graph.model("double", {"x": ("batch",)}, {"twice": ("batch",)})
        >>> [node.op_type for node in model.graph.node]
        ['Mul']
    """

    def __init__(self) -> None:
        """Begin without nodes.

        Raises:
            FociscopeError: If the package onnx is not installed.
        """
        try:
            from onnx import helper, numpy_helper
        except ImportError:
            raise FociscopeError(
                "onnx is not installed; install it with the extra 'export' of Fociscope: "
                "pip install '.[export]'"
            ) from None
        self._helper, self._numpy_helper = helper, numpy_helper
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._constants: dict[tuple[bytes, str, tuple[int, ...]], str] = {}

    def add(self, operator: str, *inputs: Any, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output.

        Args:
            operator: Name of the ONNX operator.
            inputs: Names of values, or constants: tensors, arrays and numbers.
            name: Name of the output; one is made up by default.
            attributes: Attributes of the operator.

        Returns:
            Name of the output.
        """
        return self.add_split(operator, *inputs, names=(name,), **attributes)[0]

    def add_split(
        self, operator: str, *inputs: Any, names: tuple[str | None, ...], **attributes: Any
    ) -> list[str]:
        """Add a node with one output for each of `names`, where None makes up a name."""
        node = f"{operator.lower()}_{len(self._nodes)}"
        outputs = [name or f"{node}_{i}" for i, name in enumerate(names)]
        values = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self._nodes.append(
            self._helper.make_node(operator, values, outputs, name=node, **attributes)
        )
        return outputs

    def halves(self, value: str, each: int) -> list[str]:
        """Return both halves of a value along its second axis, of so many entries each."""
        return self.add_split("Split", value, [each, each], names=(None, None), axis=1)

    def frame(self, images: str) -> str:
        """Return (2,) height and width of images (batch, channel, y, x)."""
        return self.add("Shape", images, start=2, end=4)

    def mean_light(self, images: str) -> str:
        """Return (batch, channel, 1, 1) the unit of light of images, as `mean_light` does."""
        pixels = self.add("ReduceProd", self.frame(images), keepdims=1)
        pixels = self.add("Cast", pixels, to=1)  # float32
        least = self.add("Div", self.add("ReduceMax", images, [2, 3], keepdims=1), pixels)
        mean = self.add("ReduceMean", images, [2, 3], keepdims=1)
        return self.add("Max", mean, least, float(torch.finfo(torch.float32).tiny))

    def constant(self, value: Any) -> str:
        """Return the name of a constant: integers as int64, all else as float32."""
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32, order="C")
        key = array.tobytes(), array.dtype.str, array.shape
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._constants)}"
            self._weights.append(self._numpy_helper.from_array(array, name))
        return self._constants[key]

    def model(
        self,
        name: str,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, Shape],
        *,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> onnx.ModelProto:
        """Return the model of all nodes, with its weights inside.

        Args:
            name: Name of the graph.
            inputs: Name -> shape of each input, float32.
            outputs: Name -> shape of each output, float32.
            description: What the graph is.
            metadata: More about it, by name.

        Returns:
            The model.
        """
        import onnx

        helper, float32 = self._helper, onnx.TensorProto.FLOAT
        values = [
            [helper.make_tensor_value_info(n, float32, shape) for n, shape in named.items()]
            for named in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, name, *values, initializer=self._weights)
        model: onnx.ModelProto = helper.make_model(
            graph,
            producer_name="fociscope",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            doc_string=description,
        )
        helper.set_model_props(model, dict(metadata or {}))
        return model


class OutputNames(NamedTuple):
    """Names of the values that are the fields of a `LayerNetOutput`."""

    logit: str
    intensity: str
    depth: str
    depth_log_std: str
    presence_logit: str
    context: str


class NetworkNodes:
    """The steps of an `InferenceNet`; each adds its nodes and returns the name of a value."""

    def __init__(self, graph: GraphBuilder, net: InferenceNet) -> None:
        """Create the steps.

        Args:
            graph: Graph that the nodes are added to.
            net: Folded network with float32 weights.
        """
        if net.dtype != torch.float32:
            raise FociscopeError(f"a graph needs float32 weights; this network is in {net.dtype}")
        self.graph, self.net = graph, net

    def output(self, captures: str) -> OutputNames:
        """Return the names of the whole output for captures (batch, sensor, y, x), B upon A."""
        add, net = self.graph.add, self.net
        *skips, deep = self.encoded(self.prepared(captures))
        context = self.context(deep)
        deep = self.deepened(deep, context)
        context = add("Add", context, self.context(deep))
        images = self.decoded(skips, deep, context)
        images = add("Slice", images, [0, 0], self.graph.frame(captures), [2, 3])
        logit, light = self.graph.halves(images, net.layers)
        frame_terms, most = self._linear(net._whole, context), net.architecture.layers
        depth, log_std, presence = (
            add("Slice", frame_terms, [n * most], [n * most + net.layers], [1]) for n in range(3)
        )
        return OutputNames(
            logit=logit,
            intensity=add("Softplus", light),
            depth=add("CumSum", add("Softplus", add("Sub", depth, 1.0)), 1),
            depth_log_std=add("Clip", log_std, -8.0, 0.0),
            presence_logit=presence,
            context=context,
        )

    def prepared(self, captures: str) -> str:
        """Return the contrast, padded to multiples of the stride by repeating the edges."""
        add, stride = self.graph.add, self.net.architecture.stride
        contrast = add("Sub", add("Div", captures, self.graph.mean_light(captures)), 1.0)
        beyond = add("Mod", add("Neg", self.graph.frame(captures)), stride)
        return add("Pad", contrast, add("Concat", [0] * 6, beyond, axis=0), mode="edge")

    def encoded(self, contrast: str) -> list[str]:
        """Return the features at each resolution, the deepest last."""
        net, patch_px = self.net, self.net.architecture.patch_px
        stem = net.stem
        if patch_px > 1:
            contrast = self.graph.add("SpaceToDepth", contrast, blocksize=patch_px)
            stem = stem._replace(weight=_sensors_last(stem.weight, patch_px))
        x = self._convolution(stem, contrast)
        features = []
        for level, shrink in enumerate(net.shrink):
            for block in net.down[level]:
                x = self._block(block, x)
            features.append(x)
            x = self._convolution(shrink, x)
        return [*features, x]

    def context(self, deep: str) -> str:
        """Return (batch, context) of features that are pooled over the whole frame."""
        add, net = self.graph.add, self.net
        mean = add("ReduceMean", deep, [2, 3], keepdims=1)
        beyond = add("Sub", deep, mean)
        variance = add("ReduceMean", add("Mul", beyond, beyond), [2, 3], keepdims=1)
        spread = add("Sqrt", add("Add", variance, 1e-6))
        pooled = add("Flatten", add("Concat", mean, spread, axis=1))
        first, _, second, _ = net._pooled
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        # The conditioning is constant, and so is what it adds.
        features = first.in_features - net.conditioning.shape[1]
        bias = first.bias + first.weight[:, features:] @ net.conditioning[0]
        x = add("Gemm", pooled, first.weight[:, :features], bias, transB=1)
        return add("Relu", self._linear(second, add("Relu", x)))

    def deepened(self, deep: str, context: str) -> str:
        """Return the deepest features after their own blocks."""
        x = self._modulated(deep, len(self.net.grow), context)
        for block in self.net.down[-1]:
            x = self._block(block, x)
        return x

    def decoded(self, skips: list[str], deep: str, context: str, *, name: str | None = None) -> str:
        """Return (batch, 2 * layer, y, x) logits, then light before it is made positive."""
        add, net = self.graph.add, self.net
        x = deep
        for level in reversed(range(len(net.grow))):
            weight, bias = net.grow[level]
            x = add("ConvTranspose", x, weight, bias, strides=[2, 2])
            x = self._modulated(add("Add", x, skips[level]), level, context)
            for block in net.up[level]:
                x = self._block(block, x)
        weight, bias = net.head
        x = add("Relu", self._affine(net.norm, x))
        x = add("Conv", x, weight[..., None, None], bias[:, 0])
        if net.architecture.patch_px == 1:
            return add("Identity", x, name=name)
        side = net.architecture.patch_px
        return add("DepthToSpace", x, blocksize=side, mode="CRD", name=name)

    def _block(self, block: _Block, x: str) -> str:
        inner = self._convolution(
            block.first, self.graph.add("Relu", self._affine(block.before, x))
        )
        return self.graph.add(
            "Add", self._convolution(block.second, self.graph.add("Relu", inner)), x
        )

    def _convolution(self, layer: _Convolution, x: str) -> str:
        side, stride = layer.weight.shape[-1], layer.stride
        around = side // 2 if stride == 1 else 0
        return self.graph.add(
            "Conv", x, layer.weight, layer.bias, strides=[stride] * 2, pads=[around] * 4
        )

    def _affine(self, affine: _Affine, x: str) -> str:
        zero, one = torch.zeros_like(affine.scale), torch.ones_like(affine.scale)
        # One pass over the features, where a product and a sum would be two.
        return self.graph.add(
            "BatchNormalization", x, affine.scale, affine.shift, zero, one, epsilon=0.0
        )

    def _modulated(self, x: str, level: int, context: str) -> str:
        add, linear = self.graph.add, self.net._modulate[level].linear
        channels = linear.out_features // 2
        bias = linear.bias.clone()
        bias[:channels] += 1
        terms = add("Unsqueeze", add("Gemm", context, linear.weight, bias, transB=1), [2, 3])
        scale, shift = self.graph.halves(terms, channels)
        return add("Add", add("Mul", x, scale), shift)

    def _linear(self, layer: nn.Module, x: str) -> str:
        return self.graph.add("Gemm", x, layer.weight, layer.bias, transB=1)


def _sensors_last(weight: Tensor, patch_px: int) -> Tensor:
    """Order the input channels of a convolution on patches as ONNX does.

    `torch.nn.functional.pixel_unshuffle` puts the pixels of a sensor's patch side by side, the
    operator SpaceToDepth the sensors of a pixel.
    """
    rows, channels, height, width = weight.shape
    apart = weight.reshape(rows, channels // patch_px**2, patch_px**2, height, width)
    return apart.transpose(1, 2).reshape(rows, channels, height, width)
