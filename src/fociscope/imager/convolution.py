"""Many images convolved and summed, on Fourier grids no larger than they need to be.

Pixels are numbered along each axis, and the numbers run on beyond the frame: an image covers a
`Span` of them, and so does what is asked for. The grid is just wide enough that what wraps around
falls outside what is asked for. Where that takes too much memory, it is asked for in tiles
(overlap-save).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = ["Span", "convolve_and_sum"]

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


def convolve_and_sum(
    images: Tensor,
    transfer: Transfer,
    *,
    outputs: int,
    source: tuple[Span, Span],
    target: tuple[Span, Span],
    radius_px: int,
    memory_bytes: int,
) -> Tensor:
    """Convolve each of `from` images with a kernel for each of `to` outputs, and sum over `from`.

    Args:
        images: (scene, from, y, x), dark outside.
        transfer: of the kernels.
        outputs: how many `to` images there are.
        source: (y, x) pixels that `images` cover.
        target: (y, x) pixels to return.
        radius_px: of the kernels.
        memory_bytes: that the Fourier space of one tile of one scene may take; more scenes go
            together while it lasts.

    Returns:
        (scene, to, y, x).
    """
    inputs, size = images.shape[1], images.element_size()
    # Spectra in, transfer functions real and complex, sums and their inverse transforms.
    per_sample = size * (3 * inputs + 2 * inputs * outputs + 3 * outputs)
    side = max(target[0].stop - target[0].start, target[1].stop - target[1].start)
    while True:
        tiles = [list(span.tiles(side)) for span in target]
        grid_y, grid_x = (
            max(tile.grid(tile.source(span, radius_px), radius_px) for tile in row)
            for row, span in zip(tiles, source, strict=True)
        )
        grid = grid_y, grid_x
        scene_bytes = per_sample * grid_y * (grid_x // 2 + 1)
        if scene_bytes <= memory_bytes or side <= LEAST_TILE_PX:
            break
        side = max(LEAST_TILE_PX, math.ceil(side / 2))
    chunk = max(1, min(CHUNK_SCENES, memory_bytes // scene_bytes))
    chunks = []
    for start in range(0, len(images), chunk):
        scenes = slice(start, start + chunk)
        kernels = transfer(scenes, grid)
        rows = [
            torch.cat(
                [
                    _tile(images[scenes], kernels, grid, source, (tile_y, tile_x), radius_px)
                    for tile_x in tiles[1]
                ],
                dim=-1,
            )
            for tile_y in tiles[0]
        ]
        chunks.append(torch.cat(rows, dim=-2) if len(rows) > 1 else rows[0])
    return torch.cat(chunks) if len(chunks) > 1 else chunks[0]


def _tile(
    images: Tensor,
    kernels: Tensor,
    grid: tuple[int, int],
    source: tuple[Span, Span],
    target: tuple[Span, Span],
    radius_px: int,
) -> Tensor:
    """Return one tile (scene, to, y, x) on the grid of `kernels`."""
    near_y, near_x = (t.source(s, radius_px) for t, s in zip(target, source, strict=True))
    seen = images[
        ...,
        near_y.start - source[0].start : near_y.stop - source[0].start,
        near_x.start - source[1].start : near_x.stop - source[1].start,
    ]
    if 0 in seen.shape:
        shape = [t.stop - t.start for t in target]
        return images.new_zeros(len(images), kernels.shape[2], *shape)
    spectrum = torch.fft.rfft2(seen, s=grid)
    kernels = kernels.to(spectrum.dtype)
    total = spectrum[:, 0, None] * kernels[:, 0]
    for n in range(1, spectrum.shape[1]):
        total = total.addcmul_(spectrum[:, n, None], kernels[:, n])
    circular = torch.fft.irfft2(total, s=grid)
    out: Tensor = circular
    for axis, near, wanted in ((-2, near_y, target[0]), (-1, near_x, target[1])):
        out = _unwrapped(out, axis, wanted.start - near.start, wanted.stop - near.start)
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
