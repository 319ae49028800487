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
from fociscope.networks.volume_copula import (
    FieldCorrelation,
    VolumeCopula,
    draw_light,
    draw_occupied,
)
from fociscope.networks.volume_foci import VolumeFoci, find_volume_foci
from fociscope.networks.volume_net import VolumeArchitecture, VolumeNet, VolumeNetOutput
from fociscope.networks.volume_store import (
    VolumeModelInfo,
    read_volume_model,
    write_volume_model,
)

__all__ = [
    "Architecture",
    "DepthBars",
    "FalseFoci",
    "FieldCorrelation",
    "Guarantees",
    "LayerNet",
    "LayerNetOutput",
    "ModelInfo",
    "VolumeArchitecture",
    "VolumeCopula",
    "VolumeFoci",
    "VolumeModelInfo",
    "VolumeNet",
    "VolumeNetOutput",
    "control_risk",
    "draw_light",
    "draw_occupied",
    "find_model",
    "find_volume_foci",
    "least_captures",
    "read_model",
    "read_volume_model",
    "shipped_models",
    "write_model",
    "write_volume_model",
]
