"""The volume network: captures in; probability of cells and light of every slice of depth out.

The trunk is that of the layer network (`layer_net`): a U-Net with residual blocks that is
modulated by the conditioning on the imager and by what it sees of the whole frame. Slices are
channels of its head, which reads the two finest levels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError
from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.layer_net import Architecture, Modulation, ResidualBlock, relative_light

__all__ = ["VolumeArchitecture", "VolumeNet", "VolumeNetOutput", "depth_distribution"]

#: What the head begins with: the logit of the share of voxels that hold cells, and little light.
_EMPTY_LOGIT, _DARK = -4.0, -2.0


class VolumeArchitecture(Configuration):
    """The shape of a volume network; a model file holds it beside the weights.

    Examples:
        >>> from fociscope.networks import VolumeArchitecture
        >>> VolumeArchitecture(slices=10).trunk.sensors
        2
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    trunk: Architecture = Architecture(patch_px=1, widths=(16, 32, 64), blocks=(1, 2, 4))
    """The U-Net; its number of layers has no effect."""
    slices: Annotated[int, Field(ge=2, le=200)] = 20
    """Slices of equal thickness that the gap is divided into."""


class VolumeNetOutput(NamedTuple):
    """Output of the network for a batch of captures, before calibration.

    Examples:
        >>> import torch
        >>> from fociscope.networks import VolumeNetOutput
        >>> output = VolumeNetOutput(torch.zeros(1, 4, 32, 32), torch.ones(1, 4, 32, 32))
        >>> output.root_light.square().sum().item()
        4096.0
    """

    logit: Tensor
    """(batch, slice, y, x) of P(cells in this voxel)."""
    root_light: Tensor
    """(batch, slice, y, x) square root of the light that reaches sensor A, relative to that
    capture's mean."""


class VolumeNet(nn.Module):
    """Captures (batch, sensor, y, x), of any frame from 32x32 up -> `VolumeNetOutput`.

    Examples:
        >>> import torch
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import Architecture, VolumeArchitecture, VolumeNet
        >>> from fociscope.networks.conditioning import optics_features
        >>> trunk = Architecture(patch_px=1, widths=(8, 16), blocks=(1, 1))
        >>> network = VolumeNet(VolumeArchitecture(trunk=trunk, slices=5)).eval()
        >>> optics = optics_features(Imager.reference())[None]
        >>> network(torch.rand(1, 2, 40, 36), optics).logit.shape
        torch.Size([1, 5, 40, 36])
    """

    def __init__(self, architecture: VolumeArchitecture) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.architecture = architecture
        trunk, slices = architecture.trunk, architecture.slices
        widths, blocks, context = trunk.widths, trunk.blocks, trunk.context
        pixels = trunk.patch_px**2
        self.stem = nn.Conv2d(trunk.sensors * pixels, widths[0], 3, padding=1)
        self.conditioning = nn.Sequential(
            nn.Linear(OPTICS_FEATURES, context), nn.ReLU(), nn.Linear(context, context)
        )
        self.focus = nn.ModuleList(Modulation(context, w) for w in widths[:-1])
        self.down = nn.ModuleList(_blocks(w, n) for w, n in zip(widths, blocks, strict=True))
        pairs = list(pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.up = nn.ModuleList(
            _blocks(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.modulate = nn.ModuleList(Modulation(context, w) for w in widths)
        self.pooled = nn.Sequential(
            nn.Linear(2 * widths[-1] + context, context),
            nn.ReLU(),
            nn.Linear(context, context),
            nn.ReLU(),
        )
        wide = widths[0] + widths[1]
        self.widen = nn.ConvTranspose2d(widths[1], widths[1], 2, stride=2)
        self.modulate_slices = Modulation(context, wide)
        self.slices = ResidualBlock(wide)
        self.head = nn.Sequential(
            nn.BatchNorm2d(wide), nn.ReLU(), nn.Conv2d(wide, 2 * slices * pixels, 1)
        )
        bias = self.head[-1].bias
        assert isinstance(bias, Tensor)
        with torch.no_grad():  # most voxels are empty and dark
            bias[: slices * pixels] = _EMPTY_LOGIT
            bias[slices * pixels :] = _DARK

    def forward(self, captures: Tensor, optics: Tensor) -> VolumeNetOutput:
        """Estimate the volume of captures.

        Args:
            captures: Captures in any unit of light, (batch, sensor, y, x).
            optics: Features of the imager, (batch, feature), see `optics_features`.

        Returns:
            The output for all slices.
        """
        trunk = self.architecture.trunk
        height, width = captures.shape[-2:]
        conditioning = torch.as_tensor(self.conditioning(optics))
        x = self.stem(self._patches(relative_light(captures) - 1))
        skips = []
        for level, shrink in enumerate(self.shrink):
            x = self.down[level](self.focus[level](x, conditioning))
            skips.append(x)
            x = shrink(x)
        context = self._context(x, conditioning)
        x = self.down[-1](self.modulate[-1](x, context))
        context = context + self._context(x, conditioning)
        before = x
        for level in reversed(range(len(self.grow))):
            before = x
            x = self.grow[level](x) + skips[level]
            x = self.up[level](self.modulate[level](x, context))
        x = torch.cat([x, self.widen(before)], dim=1)
        x = self.head(self.slices(self.modulate_slices(x, context)))
        x = F.pixel_shuffle(x, trunk.patch_px)[..., :height, :width]
        logit, root_light = x.chunk(2, dim=1)
        return VolumeNetOutput(logit, F.softplus(root_light))

    def load_trunk(self, weights: dict[str, Tensor]) -> None:
        """Take over the weights of a layer network's trunk; the others stay as they are.

        Args:
            weights: Weights by their names in `LayerNet`, of the same widths and blocks.

        Raises:
            ModelError: If they are of another trunk.
        """
        own = self.state_dict()
        optics = "conditioning.0.weight"
        if optics in weights:  # without what a layer network is told of the number of layers
            weights = {**weights, optics: weights[optics][:, :OPTICS_FEATURES]}
        taken = {name: w for name, w in weights.items() if name in own}
        taken = {name: w for name, w in taken.items() if not name.startswith("head.")}
        for name, weight in taken.items():
            if weight.shape != own[name].shape:
                raise ModelError(
                    f"{name} has the shape {tuple(weight.shape)}, the volume network needs "
                    f"{tuple(own[name].shape)}; start from a model of the same widths and blocks"
                )
        self.load_state_dict({**own, **taken})

    def without_sensor_b(self) -> VolumeNet:
        """Return a network that sees sensor A alone, with this one's weights but those for B."""
        trunk = self.architecture.trunk.model_copy(update={"sensors": 1})
        weights = dict(self.state_dict())
        weights["stem.weight"] = weights["stem.weight"][:, : trunk.patch_px**2]
        network = VolumeNet(self.architecture.model_copy(update={"trunk": trunk}))
        network.load_state_dict(weights)
        return network

    def _patches(self, x: Tensor) -> Tensor:
        """Pad (batch, channel, y, x) to the stride, and make channels of the pixels of patches."""
        trunk = self.architecture.trunk
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % trunk.stride, 0, -height % trunk.stride), mode="replicate")
        return F.pixel_unshuffle(x, trunk.patch_px)

    def _context(self, x: Tensor, conditioning: Tensor) -> Tensor:
        mean = x.mean(dim=(-2, -1))
        spread = (x - mean[..., None, None]).square().mean(dim=(-2, -1)).add(1e-6).sqrt()
        return torch.as_tensor(self.pooled(torch.cat([mean, spread, conditioning], dim=1)))


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


def depth_distribution(probability: Tensor) -> Tensor:
    r"""Return the distribution of cells over depth in each column.

    $$q_s = p_s \Big/ \sum_t p_t$$

    is the share of a column's expected cells that each slice holds.

    Args:
        probability: Probability of cells, (..., slice, y, x).

    Returns:
        Shares of the same shape, which add up to 1 over the slices.

    Examples:
        >>> import torch
        >>> from fociscope.networks.volume_net import depth_distribution
        >>> depth_distribution(torch.tensor([0.1, 0.3])[:, None, None]).flatten()
        tensor([0.2500, 0.7500])
    """
    return probability / probability.sum(dim=-3, keepdim=True).clamp(min=1e-12)
