"""Surfaces: how layers are tilted and curved."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fociscope.errors import SceneError
from fociscope.simulation import DrawnFrame, Surface

PITCH_UM, GAP_UM = 50.0, 20_000.0
DRAWN = DrawnFrame((41, 61), PITCH_UM)
#: Far apart, so that nothing is pressed flat.
FREE_UM = np.array([5000.0, 15_000.0], np.float32)

Depths = NDArray[np.float32]


def draw(
    surface: Surface,
    rng: int | np.random.Generator,
    depth_um: Depths = FREE_UM,
    drawn: DrawnFrame = DRAWN,
    gap_um: float = GAP_UM,
) -> Depths:
    return surface.draw(
        np.random.default_rng(rng),
        depth_um,
        drawn=drawn,
        deepest_um=gap_um,
    )


def layers_of(surface: Surface) -> Iterator[NDArray[np.float64]]:
    """Many layers, of one generator."""
    rng = np.random.default_rng(7)
    for _ in range(300):
        yield from draw(surface, rng).astype(float)


def test_a_flat_surface_is_flat() -> None:
    depth = draw(Surface(), 0)
    assert depth.shape == (2, 41, 61)
    assert depth.dtype == np.float32
    assert (depth == FREE_UM[:, None, None]).all()


def test_tilts_are_even_up_to_the_greatest_in_any_direction() -> None:
    angles, directions = [], []
    for layer in layers_of(Surface(tilt_deg=12.0)):
        down, right = (np.diff(layer, axis=axis) / PITCH_UM for axis in (0, 1))
        assert np.ptp(down) < 1e-4
        assert np.ptp(right) < 1e-4
        angles.append(math.degrees(math.atan(math.hypot(down.mean(), right.mean()))))
        directions.append(math.atan2(down.mean(), right.mean()))
        assert np.abs(layer.mean() - FREE_UM).min() < 0.1
    assert stats.kstest(angles, stats.uniform(0, 12).cdf).pvalue > 1e-3
    assert stats.kstest(directions, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3


def test_the_sagitta_is_between_the_middle_and_the_corners() -> None:
    sagittas = []
    # The corner pixels' centres lie half a pixel inside the corners.
    inner = math.hypot(40, 60) / math.hypot(41, 61)
    for layer in layers_of(Surface(sagitta_um=80.0)):
        corners = [layer[i, j] for i in (0, -1) for j in (0, -1)]
        assert np.ptp(corners) < 2e-3
        sagittas.append((corners[0] - layer[20, 30]) / inner**2)
    assert stats.kstest(sagittas, stats.uniform(-80, 160).cdf).pvalue > 1e-3


def test_the_smallest_radius_of_curvature() -> None:
    bends = [
        np.diff(layer[20], 2).mean() / PITCH_UM**2 * 1000
        for layer in layers_of(Surface(radius_mm=5.0))
    ]
    assert max(np.abs(bends)) <= 1 / 5.0 * 1.01
    assert max(np.abs(bends)) > 1 / 5.0 * 0.9
    assert min(bends) < 0 < max(bends)


def test_layers_neither_cross_nor_leave_the_gap() -> None:
    middle = np.array([20.0, 270.0, 600.0, 990.0], np.float32)
    for seed in range(50):
        depth = draw(Surface(tilt_deg=30.0, sagitta_um=200.0), seed, middle, gap_um=1000.0)
        assert depth.min() >= 0
        assert depth.max() <= 1000
        assert (np.diff(depth, axis=0) >= 0).all()
        # Each keeps to its side of the middle between two.
        assert (depth[0] <= 145).all()
        assert (depth[1] >= 145).all()


def test_the_middle_is_that_of_the_frame_whatever_lies_around_it() -> None:
    margin = 7
    wide = DrawnFrame((41 + 14, 61 + 14), PITCH_UM, margin)
    surface = Surface(tilt_deg=5.0, sagitta_um=50.0)
    np.testing.assert_allclose(
        draw(surface, 3, drawn=wide)[wide.inside], draw(surface, 3), rtol=1e-5
    )


def test_layers_lie_in_ways_of_their_own() -> None:
    one, other = draw(Surface(tilt_deg=5.0), 0) - FREE_UM[:, None, None]
    assert np.abs(one - other).max() > 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tilt_deg": -1.0}, "tilt_deg"),
        ({"tilt_deg": 90.0}, "tilt_deg"),
        ({"radius_mm": 0.0}, "radius_mm"),
        ({"radius_mm": 5.0, "sagitta_um": 5.0}, "not both"),
    ],
)
def test_what_is_no_surface_is_refused(fields: dict[str, float], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        Surface(**fields)  # type: ignore[arg-type]
