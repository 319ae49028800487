"""Convolution on small Fourier grids and in tiles, against direct convolution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import convolve
from torch import Tensor

from fociscope.imager.convolution import Span, Window, convolve_and_sum
from fociscope.imager.psf._fourier import (
    discrete_gaussian_transfer,
    half_plane,
    quadrant_transfer,
    window_transfer,
)

#: So little that every frame beyond the least tile is cut up, and plenty.
LITTLE, PLENTY = 1, 2**28

Array = NDArray[np.float64]


def direct(
    images: Array, kernels: Array, source: tuple[Span, Span], target: tuple[Span, Span]
) -> Array:
    """Convolve (from, y, x) with (from, to, k, k), sum, and cut out the target."""
    (top, left), radius = (span.start for span in source), kernels.shape[-1] // 2
    full = np.stack(
        [
            np.sum(
                [convolve(i, k[to], method="direct") for i, k in zip(images, kernels, strict=True)],
                0,
            )
            for to in range(kernels.shape[1])
        ]
    )
    height, width = (span.stop - span.start for span in target)
    out = np.zeros((kernels.shape[1], height, width))
    for y in range(height):
        for x in range(width):
            row = target[0].start + y - (top - radius)
            column = target[1].start + x - (left - radius)
            if 0 <= row < full.shape[1] and 0 <= column < full.shape[2]:
                out[:, y, x] = full[:, row, column]
    return out


def convolved(
    images: Tensor,
    kernels: Tensor,
    source: tuple[Span, Span],
    target: tuple[Span, Span],
    memory_bytes: int = PLENTY,
) -> Tensor:
    return convolve_and_sum(
        images,
        lambda scenes, grid: window_transfer(kernels[scenes], grid),
        outputs=kernels.shape[2],
        source=Window(*source),
        target=Window(*target),
        radius_px=kernels.shape[-1] // 2,
        memory_bytes=memory_bytes,
    )


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


spans = st.tuples(st.integers(-40, 40), st.integers(1, 30)).map(lambda s: Span(s[0], s[0] + s[1]))


@settings(max_examples=60, deadline=None)
@given(
    source=st.tuples(spans, spans),
    target=st.tuples(spans, spans),
    radius_px=st.integers(0, 25),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 2),
)
def test_any_source_seen_from_any_target(
    source: tuple[Span, Span],
    target: tuple[Span, Span],
    radius_px: int,
    inputs: int,
    outputs: int,
) -> None:
    """Inside one another, overlapping or apart, and with kernels larger than either."""
    height, width = (s.stop - s.start for s in source)
    side = 2 * radius_px + 1
    images, kernels = random(0, 2, inputs, height, width), random(1, 2, inputs, outputs, side, side)
    found = convolved(images, kernels, source, target)
    assert found.shape == (2, outputs, *(t.stop - t.start for t in target))
    for scene in range(2):
        expected = direct(images[scene].numpy(), kernels[scene].numpy(), source, target)
        size = max(np.abs(expected).max(), 1.0) * side
        np.testing.assert_allclose(found[scene], expected, rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize("shape", [(200, 150), (65, 300), (64, 64), (129, 1)], ids=str)
@pytest.mark.parametrize("radius_px", [0, 7, 90])
@pytest.mark.parametrize("outside", [0, 9])
def test_tiles_make_no_difference(shape: tuple[int, int], radius_px: int, outside: int) -> None:
    source = (Span(-outside, shape[0] + outside), Span(-outside, shape[1] + outside))
    target = (Span(0, shape[0]), Span(0, shape[1]))
    images = random(2, 1, 2, shape[0] + 2 * outside, shape[1] + 2 * outside)
    kernels = random(3, 1, 2, 2, 2 * radius_px + 1, 2 * radius_px + 1)
    whole = convolved(images, kernels, source, target)
    tiled = convolved(images, kernels, source, target, LITTLE)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-12 * float(whole.abs().max()))


def test_little_memory_takes_small_grids() -> None:
    """Scenes one by one, and tiles of no more than 64 pixels and what reaches them."""
    grids = []

    def transfer(scenes: slice, grid: tuple[int, int]) -> Tensor:
        grids.append((scenes, grid))
        return torch.ones(1, 1, 1, grid[0], grid[1] // 2 + 1, dtype=torch.float64)

    frame = Window(Span(0, 300), Span(0, 200))
    found = convolve_and_sum(
        random(4, 3, 1, 300, 200), transfer, outputs=1, source=frame, target=frame, radius_px=5,
        memory_bytes=LITTLE,
    )  # fmt: skip
    assert found.shape == (3, 1, 300, 200)
    assert len(grids) == 3
    assert max(max(grid) for _, grid in grids) < 100


def test_scenes_go_together_while_memory_lasts() -> None:
    chunks = []

    def transfer(scenes: slice, grid: tuple[int, int]) -> Tensor:
        chunks.append(scenes)
        return torch.ones(1, 1, 1, grid[0], grid[1] // 2 + 1, dtype=torch.float64)

    frame = Window(Span(0, 8), Span(0, 8))
    images = random(5, 40, 1, 8, 8)
    found = convolve_and_sum(
        images, transfer, outputs=1, source=frame, target=frame, radius_px=1, memory_bytes=PLENTY
    )
    assert len(chunks) < 40
    torch.testing.assert_close(found, images, rtol=0, atol=1e-12)


@pytest.mark.parametrize("memory_bytes", [LITTLE, PLENTY])
def test_it_can_be_differentiated(memory_bytes: int) -> None:
    source, target = (Span(0, 5), Span(0, 70)), (Span(-2, 4), Span(3, 75))
    images = random(6, 2, 2, 5, 70)
    kernels = random(7, 2, 2, 1, 3, 3)
    weights = random(8, 2, 1, 6, 72)

    def seen(images: Tensor, kernels: Tensor) -> Tensor:
        return (convolved(images, kernels, source, target, memory_bytes) * weights).sum()

    for which in range(2):
        tensors = [images.clone(), kernels.clone()]
        tensors[which].requires_grad_()
        (slope,) = torch.autograd.grad(seen(*tensors), tensors[which])
        along = random(9, *tensors[which].shape)
        moved = [t.detach() for t in tensors]
        moved[which] = moved[which] + along
        change = seen(*moved) - seen(*(t.detach() for t in tensors))  # linear in either
        assert float((slope * along).sum()) == pytest.approx(float(change), rel=1e-9)


# --- transfer functions -------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [(16, 21), (9, 8), (7, 5)], ids=str)
@pytest.mark.parametrize("radius_px", [0, 3, 6])
def test_a_window_transfers_as_its_fourier_transform(grid: tuple[int, int], radius_px: int) -> None:
    """Wrapped around where it is wider than the grid."""
    window = random(10, 2, 2 * radius_px + 1, 2 * radius_px + 1)
    wrapped = torch.zeros(2, *grid, dtype=torch.float64)
    for y in range(-radius_px, radius_px + 1):
        for x in range(-radius_px, radius_px + 1):
            wrapped[:, y % grid[0], x % grid[1]] += window[:, y + radius_px, x + radius_px]
    expected = torch.fft.rfft2(wrapped)
    torch.testing.assert_close(window_transfer(window, grid), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("grid", [(16, 21), (9, 8)], ids=str)
def test_a_quadrant_transfers_as_the_window_that_it_is_mirrored_to(grid: tuple[int, int]) -> None:
    quadrant = random(11, 2, 4, 4)
    mirror = torch.arange(-3, 4).abs()
    window = quadrant[:, mirror[:, None], mirror]
    found = half_plane(quadrant_transfer(quadrant, grid), grid)
    assert not found.is_complex()
    expected = window_transfer(window, grid)
    torch.testing.assert_close(found, expected.real, rtol=1e-10, atol=1e-10)
    assert float(expected.imag.abs().max()) < 1e-10


@pytest.mark.parametrize("variance_px2", [0.0, 0.05, 3.0])
def test_the_discrete_gaussian_has_its_variance(variance_px2: float) -> None:
    grid = 64, 50
    variance = torch.tensor(variance_px2, dtype=torch.float64)
    transfer = discrete_gaussian_transfer(variance, variance, grid)
    blur = torch.fft.irfft2(half_plane(transfer, grid), s=grid)
    assert float(blur.sum()) == pytest.approx(1)
    assert float(blur.min()) > -1e-15
    for axis, samples in enumerate(grid):
        place = (torch.arange(samples) + samples // 2) % samples - samples // 2
        line = blur.sum(1 - axis)
        assert float((line * place**2).sum()) == pytest.approx(variance_px2, abs=1e-12)
