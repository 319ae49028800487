"""Emitters are linked to themselves in the next frame, within their errors and their speed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fociscope.errors import FociscopeError
from fociscope.localization import Emitters, link_emitters

STD_UM = 2.0


def series(frames: list[list[tuple[float, float, float]]]) -> Emitters:
    """Return emitters at places (x, y, depth) in um, with the same deviations."""
    frame = [n for n, places in enumerate(frames) for _ in places]
    places = np.array([place for places in frames for place in places]).reshape(-1, 3)
    count = len(places)
    std, ones = np.full(count, STD_UM), np.ones(count)
    return Emitters(
        np.array(frame, np.int64), *places.T, std, std, std.copy(), ones, ones,
        background=np.zeros((len(frames), 2)), misfit=np.ones(len(frames)),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _needs_laptrack(request: pytest.FixtureRequest) -> None:
    if "absent" not in request.node.name:
        pytest.importorskip("laptrack")


def test_emitters_at_rest_keep_their_tracks() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 2000, (12, 3))
    frames = [places + rng.normal(0, STD_UM, places.shape) for _ in range(20)]
    orders = [rng.permutation(12) for _ in frames]
    emitters = series([[tuple(f[n]) for n in o] for f, o in zip(frames, orders, strict=True)])
    track = link_emitters(emitters)

    whose = np.concatenate(orders)
    assert track.max() + 1 == 12
    assert all(len(set(track[whose == n])) == 1 for n in range(12))


def test_exactly_the_same_place_is_linked() -> None:
    assert link_emitters(series([[(1.0, 2.0, 3.0)]] * 3)).tolist() == [0, 0, 0]


def test_a_moving_emitter_is_linked_up_to_its_speed() -> None:
    emitters = series([[(100.0 + 50 * n, 300.0, 400.0)] for n in range(4)])

    assert link_emitters(emitters, most_speed_um=50).tolist() == [0, 0, 0, 0]
    assert link_emitters(emitters, most_speed_um=30).tolist() == [0, 1, 2, 3]


def test_the_reach_without_speed_is_that_of_the_deviations() -> None:
    def tracks(distance_um: float) -> int:
        frames = [[(100.0, 100.0, 300.0)], [(100.0, 100.0, 300.0 + distance_um)]]
        return int(link_emitters(series(frames), deviations=4).max()) + 1

    reach = 4 * np.sqrt(2) * STD_UM
    assert (tracks(0.99 * reach), tracks(1.01 * reach)) == (1, 2)


def test_the_greater_deviation_along_depth_allows_more_of_depth_alone() -> None:
    frames = [[(100.0, 100.0, 300.0)], [(130.0, 100.0, 300.0)], [(130.0, 100.0, 330.0)]]
    emitters = series(frames)
    emitters.depth_std_um[:] = 10.0

    assert link_emitters(emitters).tolist() == [0, 1, 1]


def test_an_emitter_that_blinks_keeps_its_track() -> None:
    here = (100.0, 100.0, 300.0)
    emitters = series([[here], [], [here], [], [], [here]])

    assert link_emitters(emitters).tolist() == [0, 0, 1]
    assert link_emitters(emitters, most_gap=0).tolist() == [0, 1, 2]
    assert link_emitters(emitters, most_gap=2).tolist() == [0, 0, 0]


def test_one_fast_emitter_among_many_at_rest_is_linked() -> None:
    still = [(100.0 * n, 0.0, 300.0) for n in range(15)]
    emitters = series([[*still, (0.0, 900.0, 300.0)], [*still, (40.0, 900.0, 300.0)]])

    assert link_emitters(emitters, most_speed_um=45).tolist() == [*range(16), *range(16)]


@pytest.mark.parametrize("frames", [[], [[]], [[], []], [[(1.0, 1.0, 50.0)]]])
def test_nothing_to_link_is_no_error(frames: list[list[tuple[float, float, float]]]) -> None:
    emitters = series(frames)

    assert link_emitters(emitters).tolist() == list(range(len(emitters)))


def test_a_speed_below_zero_is_refused() -> None:
    with pytest.raises(FociscopeError, match="from 0 on") as caught:
        link_emitters(series([[]]), most_speed_um=-1)
    assert caught.value.fields == ("most_speed_um",)


def test_laptrack_absent_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(FociscopeError, match=r"pip install '\.\[track\]'"):
        link_emitters(series([[]]))
