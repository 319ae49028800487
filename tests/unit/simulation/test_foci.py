import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fociscope.simulation._perlin import foci_masks, gradient_noise

Field = NDArray[np.float64]


class Lattice:
    """Stands in for the random generator: hands out a known lattice."""

    def __init__(self, seed: int, offset: float | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.fixed_offset = offset
        self.angle = self.offset = np.empty(0)

    def uniform(self, low: float, high: float, size: tuple[int, ...]) -> Field:
        drawn = self.rng.uniform(low, high, size)
        if len(size) == 3:
            self.angle = drawn
            return drawn
        self.offset = drawn if self.fixed_offset is None else np.full(size, self.fixed_offset)
        return self.offset


def noise(lattice: Any, layers: int, frame_px: tuple[int, int], period_px: float) -> Field:
    return gradient_noise(lattice, layers, frame_px, period_px)


def perlin(y: float, x: float, angle: Field) -> float:
    """Perlin's gradient noise at one point, corner by corner, as the textbooks have it."""
    top, left = math.floor(y), math.floor(x)
    v, u = y - top, x - left

    def corner(down: int, right: int) -> float:
        a = angle[top + down, left + right]
        return math.sin(a) * (v - down) + math.cos(a) * (u - right)

    def mix(a: float, b: float, t: float) -> float:
        return a + (b - a) * (6 * t**5 - 15 * t**4 + 10 * t**3)

    upper = mix(corner(0, 0), corner(0, 1), u)
    lower = mix(corner(1, 0), corner(1, 1), u)
    return mix(upper, lower, v) * math.sqrt(2)


@pytest.mark.parametrize("period_px", [1.0, 3.7, 12.0, 200.0])
def test_it_is_perlins_noise(period_px: float) -> None:
    lattice = Lattice(seed=3)
    field = noise(lattice, 2, (20, 31), period_px)
    for layer, y, x in ((0, 0, 0), (0, 7, 30), (1, 19, 2), (1, 11, 16), (0, 3, 3)):
        down, right = lattice.offset[:, layer, 0, 0]
        expected = perlin(y / period_px + down, x / period_px + right, lattice.angle[layer])
        assert field[layer, y, x] == pytest.approx(expected, abs=1e-12)


def test_it_is_zero_at_the_lattice_points_and_only_there() -> None:
    field = noise(Lattice(seed=0, offset=0.0), 3, (33, 25), 8.0)
    assert np.abs(field[:, ::8, ::8]).max() < 1e-12
    assert (np.abs(field[:, 4::8, 4::8]) > 1e-3).all()


def test_it_is_smooth_across_the_lattice_lines() -> None:
    period_px = 256
    field = noise(Lattice(seed=1, offset=0.0), 2, (3 * period_px, 3 * period_px), period_px)
    for axis in (1, 2):
        # Per lattice spacing, slope and curvature stay of order 1, at a lattice line as elsewhere.
        assert np.abs(np.diff(field, axis=axis)).max() < 5 / period_px
        assert np.abs(np.diff(field, n=2, axis=axis)).max() < 30 / period_px**2


def test_it_is_centred_and_within_one() -> None:
    field = gradient_noise(np.random.default_rng(2), 400, (40, 40), 10.0)
    assert np.abs(field).max() <= 1 + 1e-12
    assert np.abs(field).max() > 0.7
    assert abs(field.mean()) < 0.01


@pytest.mark.parametrize("frame_px", [(51, 51), (36, 80)])
def test_coverage_is_exact(frame_px: tuple[int, int]) -> None:
    coverage = np.array([0.0, 0.05, 0.2, 0.7, 0.999, 1.0])
    masks = foci_masks(
        np.random.default_rng(0),
        coverage=coverage,
        frame_px=frame_px,
        feature_px=20.0,
        octaves=4,
        persistence=0.5,
    )
    assert masks.shape == (6, *frame_px)
    pixels = frame_px[0] * frame_px[1]
    assert masks.sum((-2, -1)).tolist() == np.round(coverage * pixels).astype(int).tolist()


def grains(**changes: float) -> float:
    """How often neighbours differ: the finer the foci, the more."""
    settings: dict[str, Any] = {"feature_px": 24.0, "octaves": 3, "persistence": 0.5} | changes
    masks = foci_masks(
        np.random.default_rng(5), coverage=np.full(20, 0.5), frame_px=(60, 60), **settings
    )
    return float((masks[..., 1:] != masks[..., :-1]).mean())


def test_features_octaves_and_persistence_set_the_grain() -> None:
    assert grains(feature_px=48.0) < 0.8 * grains()
    assert grains(octaves=1) < 0.8 * grains()
    assert grains(persistence=0.9) > 1.2 * grains()


def test_layers_are_independent() -> None:
    masks = foci_masks(
        np.random.default_rng(1),
        coverage=np.full(300, 0.5),
        frame_px=(51, 51),
        feature_px=30.0,
        octaves=4,
        persistence=0.5,
    )
    signs = masks.reshape(300, -1) * 2.0 - 1
    correlation = (signs[1:] * signs[:-1]).mean(axis=-1)
    assert abs(correlation.mean()) < 4 * correlation.std() / math.sqrt(299)
    assert np.abs(correlation).max() < 0.95
