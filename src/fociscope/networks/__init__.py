"""The networks: architecture, output, calibration, out-of-distribution check, and model files."""

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
    "LayerNet",
    "LayerNetOutput",
    "ModelInfo",
    "find_model",
    "read_model",
    "shipped_models",
    "write_model",
]
