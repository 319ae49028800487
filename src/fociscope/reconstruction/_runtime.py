"""What computes the network of small frames on a CPU: torch, or OpenVINO where that pays."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from fociscope.devices import Runtime
from fociscope.errors import FociscopeError
from fociscope.networks.inference import InferenceNet, group_size
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.openvino_net import (
    OpenVinoNet,
    agrees,
    is_faster,
    openvino_is_installed,
    require_openvino,
)
from fociscope.registry import unknown_name

__all__ = ["MANY_PIXELS", "CompiledNetworks", "pick_runtime"]

#: So many pixels of one sensor in a call, 192 frames of 51x51, are worth the half second in which
#: OpenVINO is loaded and compiles the network for them.
MANY_PIXELS = 192 * 51 * 51


def pick_runtime(name: str, device: torch.device) -> Runtime:
    """Return the runtime of a name, `auto` only where it is to be decided yet.

    Args:
        name: `auto`, `torch` or `openvino`.
        device: Device of the network.

    Raises:
        FociscopeError: If the name is unknown, or if OpenVINO is named and not installed, or for a
            device that is no CPU.
    """
    if name not in get_args(Runtime):
        raise unknown_name("runtime", name, get_args(Runtime), field="runtime")
    if name == "openvino":
        require_openvino()
        if device.type != "cpu":
            raise FociscopeError(
                f"OpenVINO computes on the CPU here, not on {device.type}; take the runtime torch, "
                "or the device cpu",
                fields=("runtime", "device"),
            )
        return "openvino"
    return "auto" if name == "auto" and device.type == "cpu" else "torch"


class CompiledNetworks:
    """The networks that OpenVINO has compiled for a model, by what they are for."""

    def __init__(self, runtime: Runtime, network: LayerNet, optics: Tensor) -> None:
        """Begin without any.

        Args:
            runtime: From `pick_runtime`.
            network: Trained network.
            optics: Features of the imager, (feature,).
        """
        self._runtime: Runtime = runtime
        self._network, self._optics = network, optics
        #: Whether many captures are to come, one call after another.
        self.expects_many = False
        self._nets: dict[tuple[int, torch.dtype, torch.Size], InferenceNet | None] = {}

    def of(self, in_torch: InferenceNet, captures: Tensor) -> InferenceNet | None:
        """Return the network compiled for captures; None where torch is to compute them.

        Where nobody has named a runtime, it is OpenVINO for many captures, if it is then measured
        to be faster on this processor, and to compute the same.

        Args:
            in_torch: Folded network, in the type that is wanted.
            captures: All captures of the call, (batch, sensor, y, x).
        """
        if self._runtime == "torch":
            return None
        frame = captures.shape[-2:]
        few = len(captures) * frame.numel() < MANY_PIXELS and not self.expects_many
        if self._runtime == "auto" and (few or not openvino_is_installed()):
            return None
        key = in_torch.layers, in_torch.dtype, frame
        if key not in self._nets:
            net = OpenVinoNet(self._network, self._optics, in_torch.layers, in_torch.dtype)
            some = captures[: group_size(frame.numel(), torch.float32)]
            taken = self._runtime == "openvino" or (
                agrees(net, in_torch, some) and is_faster(net, in_torch, some)
            )
            self._nets[key] = net if taken else None
        return self._nets[key]
