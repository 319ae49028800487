"""The networks: blocks, the layer network, its losses, its calibration and its file."""

from fociscope.networks.layer_net import Architecture, LayerNet, LayerNetOutput

__all__ = ["Architecture", "LayerNet", "LayerNetOutput"]
