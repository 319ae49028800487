"""The layer network: captures in; probability, intensity, depth and presence of each layer out.

A U-Net (Ronneberger et al., MICCAI 2015) with residual blocks on patches of pixels. Its deepest
features, pooled over the frame, and the conditioning on the imager make the context that modulates
all other features: a layer differs from its neighbours only in how much it is blurred.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError
from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.psf_width import PsfWidthEstimator

__all__ = [
    "PSF_WIDTH",
    "SMALLEST_FRAME_PX",
    "Architecture",
    "LayerNet",
    "LayerNetOutput",
    "Modulation",
    "ResidualBlock",
    "mean_light",
    "relative_light",
]

#: Shorter sides hold too little of a blurred layer to estimate its depth.
SMALLEST_FRAME_PX = 32
#: What the names of the PSF-width estimator's weights begin with.
PSF_WIDTH = "psf_width."
#: Former -> present beginning of a tensor's name, in models and checkpoints of earlier versions.
_FORMER_TENSORS = {"told.": "conditioning.", "witness.": PSF_WIDTH}


class Architecture(Configuration):
    """The shape of a layer network; a model file holds it beside the weights.

    Examples:
        >>> from fociscope.networks import Architecture
        >>> architecture = Architecture(patch_px=2, widths=(16, 32, 64), blocks=(1, 2, 4))
        >>> architecture.stride
        8
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    sensors: int = Field(default=2, ge=1, le=2)
    layers: int = Field(default=6, ge=1, le=6)
    """The most layers that it can separate."""
    front_end: Literal["optics", "blind"] = "optics"
    """What the network is conditioned on: the widths of the imager's PSF, or nothing."""
    patch_px: int = Field(default=2, ge=1, le=4)
    """Pixels of a patch along a side; a patch's pixels become channels, where all work is done."""
    widths: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(32, 64), min_length=2, max_length=5
    )
    """Channels at patch resolution and after each halving."""
    blocks: tuple[Annotated[int, Field(ge=0, le=64)], ...] = Field(
        default=(1, 3), min_length=2, max_length=5
    )
    """Residual blocks on the way down at each resolution; as many on the way up but the last."""
    context: int = Field(default=128, ge=8, le=1024)

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        if len(self.widths) != len(self.blocks):
            raise ValueError(
                f"widths names {len(self.widths)} levels, blocks {len(self.blocks)}; "
                "both need one number for each"
            )
        return self

    @property
    def stride(self) -> int:
        """Frames are padded to multiples of this."""
        return int(self.patch_px * 2 ** (len(self.widths) - 1))


class LayerNetOutput(NamedTuple):
    """Output of the network for a batch of captures, before calibration.

    Examples:
        >>> import torch
        >>> from fociscope.networks import LayerNetOutput
        >>> images, context = torch.zeros(1, 2, 32, 32), torch.zeros(1, 8)
        >>> output = LayerNetOutput.from_head(images, images, torch.zeros(1, 6), context)
        >>> output.depth.shape, output.depth_log_std.tolist()
        (torch.Size([1, 2]), [[0.0, 0.0]])
    """

    logit: Tensor
    """(batch, layer, y, x) of P(cells here), given that the layer is there."""
    intensity: Tensor
    """(batch, layer, y, x) light that reaches sensor A, relative to that capture's mean."""
    depth: Tensor
    """(batch, layer) as a share of the gap, increasing."""
    depth_log_std: Tensor
    """(batch, layer) logarithm of the standard deviation of `depth`."""
    presence_logit: Tensor
    """(batch, layer) of P(there is such a layer)."""
    context: Tensor
    """(batch, context) features of the whole frame."""

    @classmethod
    def from_head(
        cls, logit: Tensor, light: Tensor, frame_terms: Tensor, context: Tensor
    ) -> LayerNetOutput:
        r"""Assemble the output from what the last layers of a network compute.

        The light of a layer is $\operatorname{softplus}(l)$. Depths increase by construction: with
        the terms $d_1, d_2, \dots$ of the frame, layer $n$ lies at

        $$z_n = \sum_{k \le n} \operatorname{softplus}(d_k - 1)$$

        of the gap. The logarithm of its standard deviation is held within -8 and 0.

        Args:
            logit: Logits of cells, (batch, layer, y, x).
            light: Light before it is made positive, (batch, layer, y, x).
            frame_terms: Terms of depth, log standard deviation and presence, one after the other,
                (batch, 3 * most), for at least as many layers as `logit` has; of each kind the
                first ones are taken.
            context: Features of the whole frame, (batch, context).

        Returns:
            The output for the layers of `logit`.
        """
        layers = logit.shape[1]
        depth, depth_log_std, presence_logit = (
            terms[:, :layers] for terms in frame_terms.chunk(3, dim=1)
        )
        return cls(
            logit=logit,
            intensity=F.softplus(light),
            depth=F.softplus(depth - 1.0).cumsum(dim=1),
            depth_log_std=depth_log_std.clamp(-8, 0),
            presence_logit=presence_logit,
            context=context,
        )

    @property
    def present(self) -> Tensor:
        """(batch, layer) whether there is such a layer, before calibration; none below a gap."""
        return torch.cummin(self.presence_logit, dim=1).values >= 0


class LayerNet(nn.Module):
    """Captures (batch, sensor, y, x), of any frame from 32x32 up -> `LayerNetOutput`.

    Examples:
        >>> import torch
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import Architecture, LayerNet
        >>> from fociscope.networks.conditioning import optics_features
        >>> network = LayerNet(Architecture(widths=(8, 16), blocks=(1, 1))).eval()
        >>> optics = optics_features(Imager.reference())[None]
        >>> output = network(torch.rand(1, 2, 40, 36), optics, torch.tensor([4]))
        >>> output.logit.shape, output.depth.shape
        (torch.Size([1, 6, 40, 36]), torch.Size([1, 6]))
    """

    def __init__(self, architecture: Architecture) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.register_load_state_dict_pre_hook(_read_former_tensors)  # type: ignore[no-untyped-call]
        self.architecture = architecture
        widths, blocks, context = architecture.widths, architecture.blocks, architecture.context
        layers, pixels = architecture.layers, architecture.patch_px**2
        self.stem = nn.Conv2d(architecture.sensors * pixels, widths[0], 3, padding=1)
        self.conditioning = nn.Sequential(
            nn.Linear(OPTICS_FEATURES + layers, context),
            nn.ReLU(),
            nn.Linear(context, context),
        )
        self.focus = nn.ModuleList(Modulation(context, w) for w in widths[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w) for _ in range(n)))
            for w, n in zip(widths, blocks, strict=True)
        )
        pairs = list(pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.up = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w) for _ in range(n)))
            for w, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.modulate = nn.ModuleList(Modulation(context, w) for w in widths)
        self.pooled = nn.Sequential(
            nn.Linear(2 * widths[-1] + context, context),
            nn.ReLU(),
            nn.Linear(context, context),
            nn.ReLU(),
        )
        self.whole = nn.Linear(context, 3 * layers)
        self.head = nn.Sequential(
            nn.BatchNorm2d(widths[0]), nn.ReLU(), nn.Conv2d(widths[0], 2 * layers * pixels, 1)
        )
        #: Fitted once the rest is trained; it has no effect on the output of the network.
        self.psf_width: PsfWidthEstimator | None = None

    def forward(self, captures: Tensor, optics: Tensor, most_layers: Tensor) -> LayerNetOutput:
        """Estimate the layers of captures.

        Args:
            captures: Captures in any unit of light, (batch, sensor, y, x).
            optics: Features of the imager, (batch, feature), see `optics_features`.
            most_layers: Number of layers to look for, (batch,), 1 to the architecture's.

        Returns:
            The output for all layers of the architecture.
        """
        height, width = captures.shape[-2:]
        stride, patch_px = self.architecture.stride, self.architecture.patch_px
        conditioning = self.encode_conditioning(optics, most_layers)
        x = relative_light(captures) - 1
        x = F.pad(x, (0, -width % stride, 0, -height % stride), mode="replicate")
        x = self.stem(F.pixel_unshuffle(x, patch_px))
        skips = []
        for level, shrink in enumerate(self.shrink):
            x = self.down[level](self.focus[level](x, conditioning))
            skips.append(x)
            x = shrink(x)
        context = self._context(x, conditioning)
        x = self.down[-1](self.modulate[-1](x, context))
        context = context + self._context(x, conditioning)
        for level in reversed(range(len(self.grow))):
            x = self.grow[level](x) + skips[level]
            x = self.up[level](self.modulate[level](x, context))
        x = F.pixel_shuffle(self.head(x), patch_px)
        logit, light = x[..., :height, :width].chunk(2, dim=1)
        return LayerNetOutput.from_head(logit, light, self.whole(context), context)

    def without_sensor_b(self) -> LayerNet:
        """Return a network that sees sensor A alone, with this one's weights but those for B."""
        architecture = self.architecture.model_copy(update={"sensors": 1})
        weights = {n: w for n, w in self.state_dict().items() if not n.startswith(PSF_WIDTH)}
        weights["stem.weight"] = weights["stem.weight"][:, : architecture.patch_px**2]
        network = LayerNet(architecture)
        network.load_state_dict(weights)
        return network

    def encode_conditioning(self, optics: Tensor, most_layers: Tensor) -> Tensor:
        """(batch, feature), (batch,) -> (batch, context) of the imager and what is looked for."""
        if self.architecture.front_end == "blind":
            optics = torch.zeros_like(optics)
        most = F.one_hot(most_layers - 1, self.architecture.layers)
        return torch.as_tensor(self.conditioning(torch.cat([optics, most.to(optics.dtype)], dim=1)))

    def _context(self, x: Tensor, conditioning: Tensor) -> Tensor:
        mean = x.mean(dim=(-2, -1))
        spread = (x - mean[..., None, None]).square().mean(dim=(-2, -1)).add(1e-6).sqrt()
        return torch.as_tensor(self.pooled(torch.cat([mean, spread, conditioning], dim=1)))


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))): pre-activation (He et al., ECCV 2016)."""

    def __init__(self, channels: int) -> None:
        """Keep `channels` and the frame as they are."""
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=False),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, y, x) -> the same shape."""
        return x + torch.as_tensor(self.body(x))


class Modulation(nn.Module):
    r"""Scale and shift each channel by the context of the frame (FiLM, Perez et al., AAAI 2018).

    $$y_c = x_c \, (1 + s_c) + b_c$$

    with scales $s$ and shifts $b$ linear in the context. How much a layer is blurred depends on its
    depth, which is a property of the whole frame.
    """

    def __init__(self, context: int, channels: int) -> None:
        """Start as the identity."""
        super().__init__()
        self.linear = nn.Linear(context, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, channel, y, x), (batch, context) -> (batch, channel, y, x)."""
        scale, shift = self.linear(context)[..., None, None].chunk(2, dim=1)
        modulated: Tensor = x * (1 + scale) + shift
        return modulated


def mean_light(captures: Tensor) -> Tensor:
    """Return (..., 1, 1) the mean of each image, which is the network's unit of light.

    It is at least what the brightest pixel alone would give, as it is of all images without pixels
    below 0. Noise around next to no light has a mean near 0, of which any pixel is a huge multiple.
    """
    pixels = captures.shape[-2] * captures.shape[-1]
    least = captures.amax(dim=(-2, -1), keepdim=True) / pixels
    mean = captures.mean(dim=(-2, -1), keepdim=True)
    return torch.maximum(mean, least).clamp(min=torch.finfo(captures.dtype).tiny)


def relative_light(captures: Tensor) -> Tensor:
    """Divide each sensor's image by its mean, so that an unknown gain has no effect."""
    return captures / mean_light(captures)


def present_name(tensor: str) -> str:
    """Return what a tensor of a network is called now, for its name in a file."""
    for old, new in _FORMER_TENSORS.items():
        if tensor.startswith(old):
            return new + tensor.removeprefix(old)
    return tensor


def former_name(tensor: str) -> str:
    """Return what a tensor of a network was called in models of format 3 and before."""
    for old, new in _FORMER_TENSORS.items():
        if tensor.startswith(new):
            return old + tensor.removeprefix(new)
    return tensor


def _read_former_tensors(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Rename the tensors of a network, in place, before it reads them."""
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if present_name(name) != name:
            state_dict[prefix + present_name(name)] = state_dict.pop(key)
