"""The networks: architecture, output, calibration, out-of-distribution check, and model files."""

from fociscope.networks.guarantees import (
    DepthBars,
    FalseFoci,
    Guarantees,
    control_risk,
    least_captures,
)
from fociscope.networks.layer_net import Architecture, LayerNet, LayerNetOutput
from fociscope.networks.store import (
    ModelInfo,
    find_model,
    read_model,
    shipped_models,
    write_model,
)

__all__ = [
    "Architecture",
    "DepthBars",
    "FalseFoci",
    "Guarantees",
    "LayerNet",
    "LayerNetOutput",
    "ModelInfo",
    "control_risk",
    "find_model",
    "least_captures",
    "read_model",
    "shipped_models",
    "write_model",
]
