"""A model with its imager and calibration as one program of `torch.export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fociscope.exchange.facts import CAPTURES, GraphFacts
from fociscope.imager.registration import Registration
from fociscope.networks.calibration import OutputCalibration
from fociscope.networks.inference import InferenceNet, _Affine, _Block, _Convolution
from fociscope.networks.layer_net import LayerNetOutput, relative_light
from fociscope.networks.reprojection import light_and_depth

__all__ = ["CaptureProgram", "save_torch_program"]

#: Name of the file of facts in the archive.
FACTS = "fociscope.json"
#: Captures (batch, sensor, y, x) that the program is traced with; no side stays what it is here.
_TRACED = (2, 51, 55)


def save_torch_program(
    net: InferenceNet, calibration: OutputCalibration, facts: GraphFacts, path: Path
) -> None:
    """Write the program from captures to the calibrated map, without any pickle.

    Args:
        net: Folded network with float32 weights.
        calibration: Calibration of the layers that it looks for.
        facts: What the program is.
        path: Path of the file.
    """
    program = CaptureProgram(net, calibration, facts).cpu().eval()
    batch, height, width = _TRACED
    free = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        exported = torch.export.export(
            program,
            (torch.rand(batch, facts.sensors, height, width) + 0.5,),
            dynamic_shapes={CAPTURES: {0: free, 2: free, 3: free}},
        )
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # names files of this machine
    exported.example_inputs = None  # would be pickled
    torch.export.save(exported, path, extra_files={FACTS: json.dumps(facts.metadata, indent=1)})


class CaptureProgram(nn.Module):
    """Captures (batch, sensor, y, x) -> the calibrated map, in plain operations of torch.

    The same steps as `InferenceNet`, whose own are written for speed: in place, in groups of
    captures, and for one memory layout.
    """

    conditioning: Tensor

    def __init__(
        self, net: InferenceNet, calibration: OutputCalibration, facts: GraphFacts
    ) -> None:
        """Take the weights of a folded network."""
        super().__init__()
        self.architecture, self.calibration, self.facts = net.architecture, calibration, facts
        self.stem = _conv(net.stem)
        self.shrink = nn.ModuleList(map(_conv, net.shrink))
        self.down = nn.ModuleList(nn.Sequential(*map(_ProgramBlock, level)) for level in net.down)
        self.up = nn.ModuleList(nn.Sequential(*map(_ProgramBlock, level)) for level in net.up)
        self.grow = nn.ModuleList(
            _filled(nn.ConvTranspose2d(w.shape[0], w.shape[1], 2, stride=2), w, b)
            for w, b in net.grow
        )
        self.norm = _ProgramAffine(net.norm)
        weight, bias = net.head
        head = nn.Conv2d(weight.shape[1], len(weight), 1)
        self.head = _filled(head, weight[..., None, None], bias[:, 0])
        self.modulate = nn.ModuleList(net._modulate)
        self.pooled, self.whole = net._pooled, net._whole
        self.register_buffer("conditioning", net.conditioning.detach().clone())
        self.requires_grad_(False)

    def forward(self, captures: Tensor) -> dict[str, Tensor]:
        """Return the outputs of `fociscope.exchange.facts.OUTPUTS` by name."""
        output, calibration = self.output(self.aligned(captures)), self.calibration
        presence, gap_um = calibration.presence(output), self.facts.imager.gap_um
        intensity, depth_um = light_and_depth(output, presence >= 0.5, captures, gap_um)
        return {
            "probability": calibration.probability(output),
            "intensity": intensity,
            "depth_um": depth_um,
            "depth_std_um": calibration.depth_std(output) * gap_um,
            "presence": presence,
        }

    def aligned(self, captures: Tensor) -> Tensor:
        """Move sensor B onto sensor A, as `reconstruction` does it."""
        registration = self.facts.imager.registration
        if self.facts.sensors < 2 or registration == Registration():
            return captures
        frame, pitch_um = captures.shape[-2:], self.facts.imager.square_pitch_um
        y, x = ((torch.arange(n) - (n - 1) / 2) * pitch_um for n in frame)
        places = registration.similarity.rotated(y[:, None], x[None, :])
        y_share, x_share = (
            (place + shift) * (2 / pitch_um) / n
            for place, shift, n in zip(places, registration.similarity.shift_um, frame, strict=True)
        )
        grid = torch.stack([x_share, y_share], dim=-1).expand(captures.shape[0], -1, -1, -1)
        moved = F.grid_sample(
            captures[:, 1:2], grid, mode="bicubic", padding_mode="border", align_corners=False
        )
        return torch.cat([captures[:, :1], moved.relu() * registration.scale**2], dim=1)

    def output(self, captures: Tensor) -> LayerNetOutput:
        """Return the output of the network."""
        height, width = captures.shape[-2:]
        stride, patch_px = self.architecture.stride, self.architecture.patch_px
        x = relative_light(captures) - 1
        x = F.pad(x, (0, -width % stride, 0, -height % stride), mode="replicate")
        x = self.stem(F.pixel_unshuffle(x, patch_px))
        skips = []
        for level, shrink in enumerate(self.shrink):
            x = self.down[level](x)
            skips.append(x)
            x = shrink(x)
        context = self._context(x)
        x = self.down[-1](self.modulate[-1](x, context))
        context = context + self._context(x)
        for level in reversed(range(len(self.grow))):
            x = self.modulate[level](self.grow[level](x) + skips[level], context)
            x = self.up[level](x)
        images = F.pixel_shuffle(self.head(F.relu(self.norm(x))), patch_px)
        logit, light = images[..., :height, :width].chunk(2, dim=1)
        return LayerNetOutput.from_head(logit, light, self.whole(context), context)

    def _context(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(-2, -1))
        spread = (x - mean[..., None, None]).square().mean(dim=(-2, -1)).add(1e-6).sqrt()
        conditioning = self.conditioning.expand(x.shape[0], -1)
        return torch.as_tensor(self.pooled(torch.cat([mean, spread, conditioning], dim=1)))


class _ProgramAffine(nn.Module):
    def __init__(self, affine: _Affine) -> None:
        super().__init__()
        self.scale = nn.Parameter(affine.scale[:, None, None].detach().clone())
        self.shift = nn.Parameter(affine.shift[:, None, None].detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


class _ProgramBlock(nn.Module):
    def __init__(self, block: _Block) -> None:
        super().__init__()
        self.before = _ProgramAffine(block.before)
        self.first, self.second = _conv(block.first), _conv(block.second)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first(F.relu(self.before(x))))
        return x + torch.as_tensor(self.second(inner))


def _conv(layer: _Convolution) -> nn.Module:
    rows, channels, side, _ = layer.weight.shape
    padding = side // 2 if layer.stride == 1 else 0
    conv = nn.Conv2d(channels, rows, side, stride=layer.stride, padding=padding)
    return _filled(conv, layer.weight, layer.bias)


def _filled(layer: Any, weight: Tensor, bias: Tensor) -> nn.Module:
    """Give a layer its weights, in the plain layout of memory."""
    layer.weight = nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))
    layer.bias = nn.Parameter(bias.detach().clone())
    assert isinstance(layer, nn.Module)
    return layer
