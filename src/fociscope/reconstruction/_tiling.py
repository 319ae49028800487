"""Large frames in tiles, whose answer is that of the whole frame.

A network's answer at a pixel hangs on the pixels within its reach, and on the whole frame through
the context alone: the mean and the spread of the deepest features, taken twice. So tiles go through
the encoder once, each with a margin as wide as the reach, and leave only their deepest features,
which are few; the context is pooled from all of them; and tiles go through the decoder, with their
skips encoded anew. Nothing is blended: where tiles meet, they agree to float rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.networks.inference import InferenceNet, Pooled
from fociscope.networks.layer_net import Architecture, LayerNetOutput

__all__ = ["LEAST_TILE_PX", "TILE_PX", "Reach", "Tile", "in_tiles", "with_smaller_tiles"]

#: Side of a tile where nobody names one; frames of no more pixels go through whole. Working memory
#: is then about 150 MiB, and the margins of layers-ab add a fifth to the work.
TILE_PX = 512
#: Below this a tile is mostly margin.
LEAST_TILE_PX = 32

Answer = TypeVar("Answer")


class Reach(NamedTuple):
    """How far in pixels a network sees; each is a multiple of its stride."""

    encoder: int
    """From the deepest features, and from the skips, to the frame."""
    deep: int
    """From the deepest features after their own blocks to those before."""
    decoder: int
    """From the answer to the deepest features, and to the skips."""

    @classmethod
    def from_architecture(cls, architecture: Architecture) -> Reach:
        """Return the reach of an architecture: one step for each 3x3 convolution."""
        stride, patch_px = architecture.stride, architecture.patch_px

        def in_strides(steps_px: int) -> int:
            return -(-steps_px // stride) * stride

        *blocks, deepest = architecture.blocks
        on_one_way = sum(2 * n * patch_px * 2**level for level, n in enumerate(blocks))
        # The shrinking and growing between resolutions keeps to its own pixels.
        return cls(
            encoder=in_strides(patch_px + on_one_way),
            deep=2 * deepest * stride,
            decoder=in_strides(on_one_way),
        )


class Tile(NamedTuple):
    """What a network says of a part of the frame."""

    y: slice
    x: slice
    output: LayerNetOutput
    """Maps of the part; depths and presences are those of the whole frame."""


class _Span(NamedTuple):
    """Pixels from `start` up to but without `stop` along an axis."""

    start: int
    stop: int

    def wider(self, margin: int, length: int) -> _Span:
        """Return this span with a margin on both sides, within a frame of `length`."""
        return _Span(max(0, self.start - margin), min(length, self.stop + margin))

    def within(self, outer: _Span, scale: int = 1) -> slice:
        """Return where this span lies in another, at one sample for `scale` pixels."""
        return slice((self.start - outer.start) // scale, (self.stop - outer.start) // scale)


_Area = tuple[_Span, _Span]
"""(y, x)."""


def _wider(area: _Area, margin: int, frame: tuple[int, int]) -> _Area:
    return area[0].wider(margin, frame[0]), area[1].wider(margin, frame[1])


def _part(images: Tensor, area: _Area, outer: _Area, scale: int = 1) -> Tensor:
    """Return the part of images of `outer` that shows `area`."""
    return images[..., area[0].within(outer[0], scale), area[1].within(outer[1], scale)]


def in_tiles(network: InferenceNet, captures: Tensor, tile_px: int) -> Iterator[Tile]:
    """Say tile by tile what is in captures.

    Args:
        network: that is run.
        captures: (batch, sensor, y, x).
        tile_px: side of a tile without its margins, from 1 up; it is rounded up to the network's
            stride. One tile is the whole frame where it is that small.

    Yields:
        Tiles that cover the frame, on the device of the captures.
    """
    height, width = captures.shape[-2:]
    if height * width <= tile_px**2:
        yield Tile(slice(0, height), slice(0, width), network(captures))
        return
    yield from _Tiled(network, captures, tile_px).tiles()


class _Tiled:
    """A network on its way through a frame."""

    def __init__(self, network: InferenceNet, captures: Tensor, tile_px: int) -> None:
        self.network = network
        self.stride = network.architecture.stride
        self.reach = Reach.from_architecture(network.architecture)
        self.contrast = network.prepared(captures)
        self.shape = captures.shape[-2], captures.shape[-1]
        height, width = self.padded = self.contrast.shape[-2], self.contrast.shape[-1]
        self.frame: _Area = _Span(0, height), _Span(0, width)
        side = -(-tile_px // self.stride) * self.stride
        self.areas: list[_Area] = [
            (_Span(y, min(y + side, height)), _Span(x, min(x + side, width)))
            for y, x in product(range(0, height, side), range(0, width, side))
        ]

    @torch.inference_mode()
    def tiles(self) -> Iterator[Tile]:
        """Yield what the network says, after two looks at the whole frame."""
        encoded = self._gathered(lambda area: self._encoded(area, 0)[-1])
        first = self.network.context(self._pooled(encoded))
        deep = self._gathered(partial(self._deepened, encoded, first))
        del encoded
        context = first + self.network.context(self._pooled(deep))
        for area in self.areas:
            yield self._decoded(deep, context, area)

    def _gathered(self, features_of: Callable[[_Area], Tensor]) -> Tensor:
        """Return the deepest features of the frame from those of each tile."""
        whole: Tensor | None = None
        for area in self.areas:
            part = features_of(area)
            if whole is None:
                size = (n // self.stride for n in self.padded)
                # Channels last, as the network has them.
                whole = part.new_empty(len(part), *size, part.shape[1]).permute(0, 3, 1, 2)
            _part(whole, area, self.frame, self.stride).copy_(part)
        assert whole is not None
        return whole

    def _encoded(self, area: _Area, margin: int) -> list[Tensor]:
        """Return the features at each resolution of an area and a margin around it."""
        inner = _wider(area, margin, self.padded)
        outer = _wider(inner, self.reach.encoder, self.padded)
        features = self.network.encoded(_part(self.contrast, outer, self.frame))
        patch_px = self.network.architecture.patch_px
        return [_part(x, inner, outer, patch_px * 2**n) for n, x in enumerate(features)]

    def _deepened(self, deep: Tensor, context: Tensor, area: _Area) -> Tensor:
        outer = _wider(area, self.reach.deep, self.padded)
        seen = _part(deep, outer, self.frame, self.stride)
        return _part(self.network.deepened(seen, context), area, outer, self.stride)

    def _pooled(self, deep: Tensor) -> Pooled:
        """Pool tile by tile, around the mean of the whole."""
        around = deep.mean(dim=(-2, -1))
        parts = (_part(deep, area, self.frame, self.stride) for area in self.areas)
        first, *rest = (self.network.pooled(part, around) for part in parts)
        for part in rest:
            first = first + part
        return first

    def _decoded(self, deep: Tensor, context: Tensor, area: _Area) -> Tile:
        outer = _wider(area, self.reach.decoder, self.padded)
        *skips, _ = self._encoded(area, self.reach.decoder)
        seen = _part(deep, outer, self.frame, self.stride)
        logit, light = self.network.decoded(skips, seen, context)
        # The frame without the padding to the stride.
        (y, x) = (_Span(s.start, min(s.stop, n)) for s, n in zip(area, self.shape, strict=True))
        logit, light = (_part(images, (y, x), outer) for images in (logit, light))
        output = self.network.output(logit, light, context)
        return Tile(slice(y.start, y.stop), slice(x.start, x.stop), output)


def with_smaller_tiles(work: Callable[[int], Answer], tile_px: int) -> tuple[Answer, int]:
    """Do work in tiles, and in smaller ones as often as the memory does not last.

    Args:
        work: takes the side of a tile.
        tile_px: to begin with.

    Returns:
        What `work` returned, and the side of the tiles that it came about with.

    Raises:
        FociscopeError: there is not enough memory even for small tiles.
    """
    while True:
        try:
            return work(tile_px), tile_px
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
        if tile_px // 2 < LEAST_TILE_PX:
            raise FociscopeError(
                f"not enough memory for such a frame, even in tiles of {tile_px} pixels; end other "
                "programs, crop the frame, or use a machine with more memory"
            )
        tile_px //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        warnings.warn(
            f"not enough memory; going on in tiles of {tile_px} pixels", FociscopeWarning, 2
        )


def _out_of_memory(error: Exception) -> bool:
    """Whether it is what torch raises, which on the CPU is a plain RuntimeError, or Python."""
    words = "not enough memory", "can't allocate memory", "out of memory"
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        w in str(error) for w in words
    )
