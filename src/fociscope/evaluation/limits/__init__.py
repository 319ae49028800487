"""How far anyone could get: the least error of a depth, and an oracle's map."""

from fociscope.evaluation.limits._depth import (
    SingleLayerBounds,
    known_layers_bound_um,
    single_layer_bounds,
)
from fociscope.evaluation.limits._gaussian import gaussian_layers_bound_um
from fociscope.evaluation.limits._information import depth_bound
from fociscope.evaluation.limits._noise import capture_noise_variance
from fociscope.evaluation.limits._oracle import MapOracle
from fociscope.evaluation.limits._resolution import depth_resolution_um
from fociscope.evaluation.limits._specimen import SpecimenStatistics

__all__ = [
    "MapOracle",
    "SingleLayerBounds",
    "SpecimenStatistics",
    "capture_noise_variance",
    "depth_bound",
    "depth_resolution_um",
    "gaussian_layers_bound_um",
    "known_layers_bound_um",
    "single_layer_bounds",
]
