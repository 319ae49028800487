"""A layer network in the form that it is run in: everything that is constant then is folded away.

Once it is trained, and one imager and one number of layers are chosen, much of what `LayerNet`
computes for each capture is the same for all of them:

- a batch norm after a convolution is part of that convolution's weights; one before a ReLU and a
  convolution is a single multiplication and addition;
- the conditioning on the imager is one vector, and the modulations by it are part of the
  convolutions before them;
- the head computes only the layers that are looked for.

Features lie channels last, as the convolutions want them, and captures go through in groups small
enough to stay in the cache. The steps (`encoded`, `pooled`, `deepened`, `decoded`) are separate for
frames that must be computed in tiles: all that a pixel depends on beyond its tile passes from one
step to the next. Results differ from `LayerNet`'s by float rounding alone.

The convolutions between stem and head may run in bfloat16, for processors that multiply it faster.
The stem, and all that is pooled over the frame and depends on it, stay in float32, which costs
nothing and keeps the depths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fociscope.networks.layer_net import (
    LayerNet,
    LayerNetOutput,
    Modulation,
    ResidualBlock,
    relative_light,
)

__all__ = ["InferenceNet", "Pooled", "group_size"]

#: Bytes of one number for each pixel of the frames that go through a CPU together: 8 frames of
#: 51x51 in float32, 16 in bfloat16. Found by measurement (benchmarks/reconstruct.md); features of
#: more do not stay in the cache of a core.
CACHED_BYTES = 8 * 52 * 52 * 4
#: (y, x) of the features that oneDNN orders weights for; any others will do as well.
_TYPICAL_PX = (26, 26)


def _onednn() -> tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]] | None:
    """Return oneDNN's packing of weights and its convolutions with ReLU and with a sum.

    torch has them for its compiler. What it does by itself unfolds small images, which takes up to
    twice the time (benchmarks/runtime.md). None where this torch lacks one of them.
    """
    try:
        return (
            torch._C._nn.mkldnn_reorder_conv2d_weight,
            torch.ops.mkldnn._convolution_pointwise,
            torch.ops.mkldnn._convolution_pointwise_.binary,
        )
    except AttributeError:
        return None


_ONEDNN = _onednn()


class Pooled(NamedTuple):
    """Sums over pixels of the deepest features, from which their mean and spread come."""

    pixels: int
    sum: Tensor
    """(batch, channel)."""
    squares: Tensor
    """(batch, channel) of the squares of what lies beyond `around`."""
    around: Tensor
    """(batch, channel) near the mean, so that the squares lose no digits."""

    def __add__(self, other: Pooled) -> Pooled:  # type: ignore[override]
        """Return the sums over the pixels of both; they must be around the same values."""
        return Pooled(
            self.pixels + other.pixels,
            self.sum + other.sum,
            self.squares + other.squares,
            self.around,
        )


class _Convolution(NamedTuple):
    """A convolution whose output is multiplied and shifted, in its weights."""

    weight: Tensor
    bias: Tensor
    stride: int
    packed: Tensor | None = None
    """The weights in oneDNN's own order, if it convolves on this device."""

    def to(self, dtype: torch.dtype) -> Self:
        """Return it for features of a type."""
        weight, bias = self.weight.to(dtype), self.bias.to(dtype)
        if _ONEDNN is None or weight.device.type != "cpu":
            return self._replace(weight=weight, bias=bias, packed=None)
        pack, _, _ = _ONEDNN
        padding, stride = self._padding_and_stride
        sizes = (1, weight.shape[1], *_TYPICAL_PX)
        packed = pack(weight.to_mkldnn(), padding, stride, (1, 1), 1, sizes)
        return self._replace(weight=weight, bias=bias, packed=packed)

    @property
    def _padding_and_stride(self) -> tuple[tuple[int, int], tuple[int, int]]:
        padding = self.weight.shape[-1] // 2 if self.stride == 1 else 0
        return (padding, padding), (self.stride, self.stride)

    @classmethod
    def from_layer(
        cls, layer: nn.Conv2d, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Self:
        """Fold `scale` (channel,) and `shift` (channel,) into a layer."""
        weight = layer.weight.detach()
        bias = torch.zeros_like(weight[:, 0, 0, 0]) if layer.bias is None else layer.bias.detach()
        if scale is not None:
            weight, bias = weight * scale[:, None, None, None], bias * scale
        if shift is not None:
            bias = bias + shift
        return cls(_channels_last(weight), bias, int(layer.stride[0]))

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        padding, stride = self._padding_and_stride
        if _ONEDNN is not None and self.packed is not None and torch.is_inference_mode_enabled():
            _, convolve, _ = _ONEDNN
            after = "relu" if relu else "none"
            return convolve(x, self.packed, self.bias, padding, stride, (1, 1), 1, after, [], "")
        out = F.conv2d(x, self.weight, self.bias, stride=stride, padding=padding)
        return out.relu_() if relu else out

    def added(self, x: Tensor, total: Tensor) -> Tensor:
        """Return `total` plus the convolution; it may be written to `total`."""
        padding, stride = self._padding_and_stride
        if _ONEDNN is not None and self.packed is not None and torch.is_inference_mode_enabled():
            _, _, convolve_and_add = _ONEDNN
            size = padding, stride, (1, 1), 1
            return convolve_and_add(
                total, x, self.packed, self.bias, *size, "add", 1.0, None, [], None
            )
        return F.conv2d(x, self.weight, self.bias, stride=stride, padding=padding).add_(total)


class _Affine(NamedTuple):
    """What a batch norm is once it is trained, in float32 for features of any type."""

    scale: Tensor
    """(channel,)."""
    shift: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return torch.addcmul(self.shift[:, None, None], x, self.scale[:, None, None])
        # Six times as fast as the other in bfloat16, where few channels are no vectors.
        zero, one = torch.zeros_like(self.scale), torch.ones_like(self.scale)
        return F.batch_norm(x, zero, one, self.scale, self.shift, eps=0.0)


class _Block(NamedTuple):
    """A residual block whose second batch norm is part of its first convolution."""

    before: _Affine
    """The first batch norm."""
    first: _Convolution
    second: _Convolution

    @classmethod
    def from_block(cls, block: ResidualBlock, dtype: torch.dtype) -> Self:
        before, _, first, between, _, second = block.body
        assert isinstance(before, nn.BatchNorm2d) and isinstance(between, nn.BatchNorm2d)
        assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
        return cls(
            _affine(before),
            _Convolution.from_layer(first, *_affine(between)).to(dtype),
            _Convolution.from_layer(second).to(dtype),
        )

    def __call__(self, x: Tensor) -> Tensor:
        return self.second.added(self.first(self.before(x).relu_(), relu=True), x)


class InferenceNet:
    """Captures (batch, sensor, y, x) -> `LayerNetOutput` of the layers looked for."""

    def __init__(
        self,
        network: LayerNet,
        optics: Tensor,
        layers: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Fold a trained network.

        Args:
            network: Trained network, on the device where it shall run.
            optics: Features of the imager, (feature,), see `optics_features`.
            layers: Number of layers to look for.
            dtype: Type of features and weights between stem and output.
        """
        architecture = self.architecture = network.architecture
        self.layers = layers
        self.dtype = dtype
        most = torch.tensor([layers], device=optics.device)
        with torch.no_grad():
            self.conditioning = network.encode_conditioning(optics[None], most)
            focus = [_constant(m, self.conditioning) for m in _modulations(network.focus)]
            self.stem = _Convolution.from_layer(network.stem, *focus[0]).to(torch.float32)
            self.shrink = [
                _Convolution.from_layer(layer, *modulation).to(dtype)
                for layer, modulation in zip(
                    _convolutions(network.shrink), [*focus[1:], (None, None)], strict=True
                )
            ]
            self.down = [_blocks(level, dtype) for level in network.down]
            self.up = [_blocks(level, dtype) for level in network.up]
            norm, _, head = network.head
            assert isinstance(norm, nn.BatchNorm2d) and isinstance(head, nn.Conv2d)
            self.norm = _affine(norm)
            rows = _rows(architecture.layers, layers, architecture.patch_px**2)
            rows = rows.to(optics.device)
            assert head.bias is not None
            self.head = head.weight[rows, :, 0, 0].to(dtype), head.bias[rows, None].to(dtype)
            self.grow = [_growth(layer, dtype) for layer in network.grow]
        self._modulate = _modulations(network.modulate)
        self._pooled, self._whole = network.pooled, network.whole

    @torch.inference_mode()
    def __call__(self, captures: Tensor) -> LayerNetOutput:
        """Captures (batch, sensor, y, x) -> output for the layers looked for."""
        height, width = captures.shape[-2:]
        group = len(captures)
        if captures.device.type == "cpu":
            group = group_size(height * width, self.dtype)
        parts = [self.output_of(captures[n : n + group]) for n in range(0, len(captures), group)]
        if len(parts) == 1:
            return parts[0]
        return LayerNetOutput(*(torch.cat(field) for field in zip(*parts, strict=True)))

    def output_of(self, captures: Tensor) -> LayerNetOutput:
        """Captures (batch, sensor, y, x) -> output, all captures at once."""
        *skips, deep = self.encoded(self.prepared(captures))
        context = self.context(self.pooled(deep))
        deep = self.deepened(deep, context)
        context = context + self.context(self.pooled(deep))
        logit, light = self.decoded(skips, deep, context)
        height, width = captures.shape[-2:]
        return self.output(logit[..., :height, :width], light[..., :height, :width], context)

    def prepared(self, captures: Tensor) -> Tensor:
        """Return the contrast (batch, sensor, y, x), padded to multiples of the stride."""
        height, width = captures.shape[-2:]
        stride = self.architecture.stride
        contrast = relative_light(captures) - 1
        return F.pad(contrast, (0, -width % stride, 0, -height % stride), mode="replicate")

    def encoded(self, contrast: Tensor) -> list[Tensor]:
        """Return the features at each resolution, the deepest last."""
        patch_px = self.architecture.patch_px
        x = F.pixel_unshuffle(contrast, patch_px) if patch_px > 1 else contrast
        x = self.stem(_channels_last(x)).to(self.dtype)
        features = []
        for level, shrink in enumerate(self.shrink):
            for block in self.down[level]:
                x = block(x)
            features.append(x)
            x = shrink(x)
        return [*features, x]

    def pooled(self, deep: Tensor, around: Tensor | None = None) -> Pooled:
        """Return the sums over the pixels of features (batch, channel, y, x).

        Args:
            deep: The deepest features, or a tile of them.
            around: Values near their mean, (batch, channel); by default the mean.

        Returns:
            Number of pixels and sums.
        """
        pixels = deep.shape[-2] * deep.shape[-1]
        values = deep.permute(0, 2, 3, 1).flatten(1, 2).float()
        total = values.sum(dim=1)
        around = total / pixels if around is None else around
        beyond = values - around[:, None]
        return Pooled(pixels, total, torch.linalg.vecdot(beyond, beyond, dim=1), around)

    def context(self, pooled: Pooled) -> Tensor:
        """Return (batch, context) of what is pooled over the whole frame."""
        mean = pooled.sum / pooled.pixels
        variance = pooled.squares / pooled.pixels - (mean - pooled.around).square()
        spread = variance.clamp(min=0).add(1e-6).sqrt()
        conditioning = self.conditioning.expand(len(mean), -1)
        return torch.as_tensor(self._pooled(torch.cat([mean, spread, conditioning], dim=1)))

    def deepened(self, deep: Tensor, context: Tensor) -> Tensor:
        """Return the deepest features after their own blocks."""
        x = _modulated(deep, self._modulate[-1], context)
        for block in self.down[-1]:
            x = block(x)
        return x

    def decoded(
        self, skips: Sequence[Tensor], deep: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (batch, layer, y, x) logits, and light before it is made positive."""
        x = deep
        for level in reversed(range(len(self.grow))):
            weight, bias = self.grow[level]
            x = F.conv_transpose2d(x, weight, bias, stride=2).add_(skips[level])
            x = _modulated(x, self._modulate[level], context)
            for block in self.up[level]:
                x = block(x)
        x = self.norm(x).relu_()
        weight, bias = self.head
        # The 1x1 convolution as a product that leaves each image in one piece.
        images = torch.matmul(weight, x.flatten(2)).add_(bias)
        images = images.reshape(len(x), -1, *x.shape[-2:])
        if self.architecture.patch_px > 1:
            images = F.pixel_shuffle(images, self.architecture.patch_px)
        logit, light = images.float().chunk(2, dim=1)
        return logit, light

    def output(self, logit: Tensor, light: Tensor, context: Tensor) -> LayerNetOutput:
        """Assemble the output from what was decoded and the context of the frame."""
        return LayerNetOutput.from_head(logit, light, self._whole(context), context)


def group_size(pixels: int, dtype: torch.dtype) -> int:
    """Return how many captures of so many pixels go through a CPU together in numbers of a type."""
    return max(1, CACHED_BYTES // (pixels * dtype.itemsize))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _affine(norm: nn.BatchNorm2d) -> _Affine:
    """Return the scale and shift (channel,) that a batch norm is once it is trained."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight.detach() / (variance + norm.eps).sqrt()
    return _Affine(scale, norm.bias.detach() - mean * scale)


def _blocks(level: nn.Module, dtype: torch.dtype) -> list[_Block]:
    blocks = (block for block in level.children() if isinstance(block, ResidualBlock))
    return [_Block.from_block(block, dtype) for block in blocks]


def _modulations(modules: nn.ModuleList) -> list[Modulation]:
    return [module for module in modules if isinstance(module, Modulation)]


def _convolutions(modules: nn.ModuleList) -> list[nn.Conv2d]:
    return [module for module in modules if isinstance(module, nn.Conv2d)]


def _growth(layer: nn.Module, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    assert isinstance(layer, nn.ConvTranspose2d) and layer.bias is not None
    return _channels_last(layer.weight.detach()).to(dtype), layer.bias.detach().to(dtype)


def _constant(modulation: Modulation, conditioning: Tensor) -> tuple[Tensor, Tensor]:
    scale, shift = modulation.linear(conditioning)[0].chunk(2)
    return 1 + scale, shift


def _modulated(x: Tensor, modulation: Modulation, context: Tensor) -> Tensor:
    scale, shift = modulation.linear(context).chunk(2, dim=1)
    scale = 1 + scale
    if x.dtype == torch.float32:
        return torch.addcmul(shift[..., None, None], x, scale[..., None, None])
    # A row of all its channels at once, since in bfloat16 few channels are no vectors.
    width = x.shape[-1]
    scale, shift = (v.to(x.dtype).repeat(1, width)[:, None] for v in (scale, shift))
    rows = x.permute(0, 2, 3, 1)
    return torch.addcmul(shift, rows.flatten(2), scale).view_as(rows).permute(0, 3, 1, 2)


def _rows(most: int, layers: int, pixels: int) -> Tensor:
    """Return the head's channels of the first layers: their logits, then their light."""
    channels = torch.arange(2 * most * pixels).reshape(2, most, pixels)
    return channels[:, :layers].flatten()
