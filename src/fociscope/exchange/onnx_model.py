"""A model with its imager and calibration as one ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fociscope.exchange.facts import CAPTURES, OUTPUTS, GraphFacts
from fociscope.imager.registration import Registration
from fociscope.networks.calibration import LEAST_ENTROPY, OutputCalibration
from fociscope.networks.inference import InferenceNet
from fociscope.networks.onnx_graph import GraphBuilder, NetworkNodes, OutputNames

if TYPE_CHECKING:
    import onnx

__all__ = ["onnx_model"]


def onnx_model(
    net: InferenceNet, calibration: OutputCalibration, facts: GraphFacts
) -> onnx.ModelProto:
    """Return the graph from captures to the calibrated map.

    Args:
        net: Folded network with float32 weights.
        calibration: Calibration of the layers that it looks for.
        facts: What the graph is; its imager says where sensor B lies and how deep the gap is.

    Returns:
        The model; its batch and frame are free.

    Raises:
        FociscopeError: If the package onnx is not installed.
    """
    graph = GraphBuilder()
    on_a = _add_alignment(graph, facts)
    output = NetworkNodes(graph, net).output(on_a)
    presence = _add_presence(graph, output, calibration)
    _add_maps(graph, output, calibration, presence)
    _add_depths(graph, output, calibration, facts.imager.gap_um)
    shapes = {
        name: ("batch", facts.layers, "y", "x") if "y, x" in axes else ("batch", facts.layers)
        for name, (axes, _, _) in OUTPUTS.items()
    }
    return graph.model(
        facts.model.replace("-", "_"),
        {CAPTURES: ("batch", facts.sensors, "y", "x")},
        shapes,
        description=facts.description,
        metadata=facts.metadata,
    )


def _add_alignment(graph: GraphBuilder, facts: GraphFacts) -> str:
    """Return the captures with sensor B moved onto sensor A, as `reconstruction` does it."""
    registration = facts.imager.registration
    if facts.sensors < 2 or registration == Registration():
        return CAPTURES
    add = graph.add
    a, b = graph.halves(CAPTURES, 1)
    lengths = [add("Cast", add("Shape", CAPTURES, start=n, end=n + 1), to=1) for n in (2, 3)]
    # Of each pixel of A from the middle of the frame, in pixels: (y, 1) and (1, x).
    y, x = (
        add("Sub", _add_range(graph, n), add("Mul", add("Sub", lengths[n], 1.0), 0.5))
        for n in range(2)
    )
    y, x = add("Unsqueeze", y, [1]), add("Unsqueeze", x, [0])
    c, s = registration.similarity.coefficients
    shift = [um / facts.imager.square_pitch_um for um in registration.similarity.shift_um]
    y_of_b = add("Add", add("Sub", add("Mul", y, c), add("Mul", x, s)), shift[0])
    x_of_b = add("Add", add("Add", add("Mul", y, s), add("Mul", x, c)), shift[1])
    # -1 ... 1 over the frame, x first.
    places = [
        add("Unsqueeze", add("Div", add("Mul", place, 2.0), length), [0, 3])
        for place, length in ((x_of_b, lengths[1]), (y_of_b, lengths[0]))
    ]
    batch = add("Shape", CAPTURES, start=0, end=1)
    grid = add("Concat", *places, axis=3)
    grid = add("Expand", grid, add("Concat", batch, [1, 1, 1], axis=0))
    moved = add("GridSample", b, grid, mode="bicubic", padding_mode="border", align_corners=0)
    # A pixel of A holds what falls on scale^2 pixels of B.
    moved = add("Mul", add("Relu", moved), registration.scale**2)
    return add("Concat", a, moved, axis=1)


def _add_range(graph: GraphBuilder, axis: int) -> str:
    """Return 0, 1, ... along an axis of the frame."""
    length = graph.add("Squeeze", graph.add("Shape", CAPTURES, start=axis + 2, end=axis + 3), [0])
    return graph.add("Cast", graph.add("Range", 0, length, 1), to=1)


def _add_presence(graph: GraphBuilder, output: OutputNames, calibration: OutputCalibration) -> str:
    """Return P(there is such a layer); a layer is no surer than the one above it."""
    add, layers = graph.add, calibration.layers
    surely = add("Sigmoid", _presence_logit(graph, output, calibration))
    if layers == 1:
        return add("Identity", surely, name="presence")
    each = graph.add_split("Split", surely, [1] * layers, names=(None,) * layers, axis=1)
    least = [each[0]]
    for one in each[1:]:
        least.append(add("Min", least[-1], one))
    return add("Concat", *least, axis=1, name="presence")


def _presence_logit(
    graph: GraphBuilder, output: OutputNames, calibration: OutputCalibration
) -> str:
    scaled = graph.add("Mul", output.presence_logit, calibration.presence_scale)
    return graph.add("Add", scaled, calibration.presence_shift)


def _add_maps(
    graph: GraphBuilder, output: OutputNames, calibration: OutputCalibration, presence: str
) -> None:
    """Add probability and intensity."""
    add = graph.add
    scale, shift = (
        [[[value]] for value in values]
        for values in (calibration.logit_scale, calibration.logit_shift)
    )
    cells = add("Sigmoid", add("Add", add("Mul", output.logit, scale), shift))
    add("Mul", cells, add("Unsqueeze", presence, [2, 3]), name="probability")
    present = add("Cast", add("GreaterOrEqual", presence, 0.5), to=1)
    a = add("Slice", CAPTURES, [0], [1], [1])
    unit = graph.mean_light(a)
    light = add("Mul", output.intensity, unit)
    add("Mul", light, add("Unsqueeze", present, [2, 3]), name="intensity")


def _add_depths(
    graph: GraphBuilder, output: OutputNames, calibration: OutputCalibration, gap_um: float
) -> None:
    """Add depths and their standard deviations, which grow with the doubt of the presences."""
    add = graph.add
    add("Clip", add("Mul", output.depth, gap_um), 0.0, gap_um, name="depth_um")
    scale = [factor * gap_um for factor in calibration.depth_std_scale]
    stated = add("Mul", add("Exp", output.depth_log_std), [scale])
    logit = _presence_logit(graph, output, calibration)
    entropy = add("Sub", add("Softplus", logit), add("Mul", add("Sigmoid", logit), logit))
    in_all = add("ReduceSum", add("Relu", entropy), [1], keepdims=1)
    doubt = add("Log", add("Add", in_all, LEAST_ENTROPY))
    beyond = add("Relu", add("Sub", doubt, calibration.doubt_from))
    growth = add("Exp", add("Mul", beyond, calibration.depth_std_growth))
    add("Mul", stated, growth, name="depth_std_um")
