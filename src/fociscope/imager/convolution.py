"""Many images convolved and summed, on Fourier grids no larger than they need to be.

Pixels are numbered along each axis, and the numbers run on beyond the frame: an image covers a
`Span` of them, and so does what is asked for. The grid is just wide enough that what wraps around
falls outside what is asked for. Where that takes too much memory, it is asked for in tiles
(overlap-save).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = ["Span", "Window", "convolve_and_sum"]

#: Scenes that go through the Fourier space together; more of them leave the cache.
CHUNK_SCENES = 16
#: Least side of a tile: below it the overlap costs more than the tile.
LEAST_TILE_PX = 64

Transfer = Callable[[slice, tuple[int, int]], Tensor]
"""Scenes and a grid -> (scene, from, to, ky, kx) the transfer function of each pair of images."""


class Span(NamedTuple):
    """Pixels from `start` up to but without `stop` along an axis."""

    start: int
    stop: int

    def grid(self, source: Span, radius_px: int) -> int:
        """Return how many samples take `source` to this span without a wrap-around in it."""
        reach = max(self.stop - source.start, source.stop - self.start)
        return int(next_fast_len(radius_px + reach, real=True))

    def source(self, within: Span, radius_px: int) -> Span:
        """Return the part of `within` whose light reaches this span."""
        return Span(
            min(max(self.start - radius_px, within.start), within.stop),
            max(min(self.stop + radius_px, within.stop), within.start),
        )

    def tiles(self, side: int) -> Iterator[Span]:
        """Yield spans of at most `side` pixels that cover this one."""
        for start in range(self.start, self.stop, side):
            yield Span(start, min(start + side, self.stop))


class Window(NamedTuple):
    """Pixels that images cover, or that are asked for."""

    y: Span
    x: Span
    mirrors: tuple[int, int] | None = None
    """(y, x) of the frame that starts at pixel 0, where the window runs on beyond it as its mirror
    image. Images then cover the frame alone: reading repeats its pixels, and writing adds up."""

    def source(self, asked: tuple[Span, Span], radii_px: tuple[int, int]) -> tuple[Span, Span]:
        """Return the part of this window whose light reaches the spans (y, x)."""
        return asked[0].source(self.y, radii_px[0]), asked[1].source(self.x, radii_px[1])

    def shape(self) -> tuple[int, int]:
        """Return the (y, x) size of images."""
        return self.mirrors or (self.y.stop - self.y.start, self.x.stop - self.x.start)

    def read(self, images: Tensor, spans: tuple[Span, Span]) -> Tensor:
        """Return the pixels of spans (y, x) within the window."""
        if self.mirrors is None:
            return images[..., *self._slices(spans)]
        y, x = (self._mirrored(axis, span, images.device) for axis, span in enumerate(spans))
        columns = x.expand(*images.shape[:-1], -1)
        return torch.gather(images, -1, columns).index_select(-2, y)  # outruns index_select twice

    def write(self, images: Tensor, spans: tuple[Span, Span], tile: Tensor) -> None:
        """Put a tile into spans (y, x) of images that start as 0."""
        if self.mirrors is None:
            images[..., *self._slices(spans)] = tile
            return
        y, x = (self._mirrored(axis, span, images.device) for axis, span in enumerate(spans))
        tall = tile.new_zeros(*tile.shape[:-1], self.mirrors[1]).index_add_(-1, x, tile)
        images.index_add_(-2, y, tall)

    def _slices(self, spans: tuple[Span, Span]) -> tuple[slice, slice]:
        (y, x), (y0, x0) = spans, (self.y.start, self.x.start)
        return slice(y.start - y0, y.stop - y0), slice(x.start - x0, x.stop - x0)

    def _mirrored(self, axis: int, span: Span, device: torch.device) -> Tensor:
        """Return the pixel of the frame that each pixel of a span mirrors."""
        assert self.mirrors is not None
        n = self.mirrors[axis]
        position = torch.arange(span.start, span.stop, device=device) % (2 * n)
        return torch.minimum(position, 2 * n - 1 - position)


def convolve_and_sum(
    images: Tensor,
    transfer: Transfer,
    *,
    outputs: int,
    source: Window,
    target: Window,
    radius_px: int | tuple[int, int],
    memory_bytes: int,
) -> Tensor:
    """Convolve each of `from` images with a kernel for each of `to` outputs, and sum over `from`.

    Args:
        images: (scene, from, y, x) of `source`, dark outside of it.
        transfer: of the kernels.
        outputs: how many `to` images there are.
        source: what `images` cover.
        target: what to return.
        radius_px: of the kernels, or (y, x).
        memory_bytes: to work in, beside `images` and what is returned. A tile takes no more; more
            scenes go together while it lasts.

    Returns:
        (scene, to, y, x) of `target`.
    """
    radii_px = radius_px if isinstance(radius_px, tuple) else (radius_px, radius_px)
    inputs, size = images.shape[1], images.element_size()
    # Padded images and spectra (and the mirrored ones), transfer functions real and complex, sums,
    # their inverse transforms and the tile.
    read = 4 * inputs * (1 if source.mirrors is None else 2)
    per_sample = size * (read + 3 * inputs * outputs + 8 * outputs)
    side = max(span.stop - span.start for span in (target.y, target.x))
    while True:
        tiles = [list(span.tiles(side)) for span in (target.y, target.x)]
        grid_y, grid_x = (
            max(tile.grid(tile.source(span, radius), radius) for tile in row)
            for row, span, radius in zip(tiles, (source.y, source.x), radii_px, strict=True)
        )
        grid = grid_y, grid_x
        scene_bytes = per_sample * grid_y * (grid_x // 2 + 1)
        if scene_bytes <= memory_bytes or side <= LEAST_TILE_PX:
            break
        side = max(LEAST_TILE_PX, math.ceil(side / 2))
    chunk = max(1, min(CHUNK_SCENES, memory_bytes // scene_bytes))
    result = images.new_zeros(len(images), outputs, *target.shape())
    for start in range(0, len(images), chunk):
        scenes = slice(start, start + chunk)
        kernels = transfer(scenes, grid)
        for asked in product(tiles[0], tiles[1]):
            near = source.source(asked, radii_px)
            if all(span.stop > span.start for span in near):
                tile = _tile(source.read(images[scenes], near), kernels, grid, near, asked)
                target.write(result[scenes], asked, tile)
    return result


def _tile(
    seen: Tensor,
    kernels: Tensor,
    grid: tuple[int, int],
    near: tuple[Span, Span],
    asked: tuple[Span, Span],
) -> Tensor:
    """Return the tile `asked` for (scene, to, y, x) of what is `seen` in `near`."""
    spectrum = torch.fft.rfft2(seen, s=grid)
    kernels = kernels.to(spectrum.dtype)
    total = spectrum[:, 0, None] * kernels[:, 0]
    for n in range(1, spectrum.shape[1]):
        total = total.addcmul_(spectrum[:, n, None], kernels[:, n])
    out: Tensor = torch.fft.irfft2(total, s=grid)
    for axis, there, wanted in zip((-2, -1), near, asked, strict=True):
        out = _unwrapped(out, axis, wanted.start - there.start, wanted.stop - there.start)
    return out


def _unwrapped(circular: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """Return samples `start` to `stop`; those below 0 lie at the end of the axis."""
    if start >= 0:
        return circular.narrow(axis, start, stop - start)
    samples = circular.shape[axis]
    parts = [circular.narrow(axis, samples + start, min(-start, stop - start))]
    if stop > 0:
        parts.append(circular.narrow(axis, 0, stop))
    return torch.cat(parts, dim=axis)
