"""The similarity between sensors: closed form, uncertainties, and which points are the same."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.calibration import Similarity, fit_similarity, match_points
from fociscope.errors import ImagerError
from fociscope.imager.registration import Registration

POINTS_UM = np.array([[-900.0, -700.0], [-800.0, 900.0], [700.0, -850.0], [650.0, 720.0], [0, 30]])
TRUE = Similarity((40.0, -65.0), 1.5, 1.01)


def test_it_follows_the_imagers_own_convention() -> None:
    own = Registration(shift_um=TRUE.shift_um, rotation_deg=TRUE.rotation_deg, scale=TRUE.scale)
    for point, moved in zip(POINTS_UM, TRUE.apply(POINTS_UM), strict=True):
        assert own.to_b(*point) == pytest.approx(tuple(moved))


def test_there_and_back() -> None:
    assert TRUE.inverse().apply(TRUE.apply(POINTS_UM)) == pytest.approx(POINTS_UM)
    twice = TRUE.after(TRUE)
    assert twice.apply(POINTS_UM) == pytest.approx(TRUE.apply(TRUE.apply(POINTS_UM)))


def test_exact_points_give_the_similarity_exactly() -> None:
    found = fit_similarity(POINTS_UM, TRUE.apply(POINTS_UM), np.full(5, 1.0))
    assert found.shift_um == pytest.approx(TRUE.shift_um)
    assert found.rotation_deg == pytest.approx(TRUE.rotation_deg)
    assert found.scale == pytest.approx(TRUE.scale)


def test_stated_uncertainties_are_those_of_repeated_measurements() -> None:
    rng = np.random.default_rng(0)
    std_um = np.array([1.0, 2.0, 0.5, 3.0, 1.0])
    found = []
    for _ in range(1500):
        seen = TRUE.apply(POINTS_UM) + rng.normal(size=(5, 2)) * std_um[:, None]
        one = fit_similarity(POINTS_UM, seen, std_um)
        found.append([*one.shift_um, one.rotation_deg, one.scale])
    assert one.covariance is not None
    stated = np.sqrt(np.diag(one.covariance))
    # A standard deviation from 1500 draws is known to 1 / sqrt(3000) = 1.8 %; allow five of these.
    assert np.std(found, axis=0) == pytest.approx(stated, rel=0.09)
    assert np.mean(found, axis=0) == pytest.approx(
        [*TRUE.shift_um, TRUE.rotation_deg, TRUE.scale], abs=5 * stated.max() / np.sqrt(1500)
    )


def test_one_point_gives_the_shift_alone() -> None:
    found = fit_similarity([[10.0, 20.0]], [[13.0, 16.0]], [0.5])
    assert found.shift_um == (3.0, -4.0)
    assert (found.rotation_deg, found.scale) == (0.0, 1.0)
    assert found.covariance is not None
    assert np.diag(found.covariance).tolist() == [0.25, 0.25, np.inf, np.inf]


def test_points_in_one_place_are_refused() -> None:
    with pytest.raises(ImagerError, match="one point"):
        fit_similarity([[5.0, 5.0], [5.0, 5.0]], [[6.0, 6.0], [6.0, 6.0]], [1.0, 1.0])


def test_points_are_matched_whatever_their_order_and_shift() -> None:
    order = [3, 0, 4, 1]  # one is not seen on B, which sees another instead
    seen = np.concatenate([TRUE.apply(POINTS_UM)[order], [[900.0, -100.0]]])
    seen += np.array([150.0, -90.0])
    first, second = match_points(POINTS_UM, seen, tolerance_um=20)
    assert dict(zip(first.tolist(), second.tolist(), strict=True)) == {3: 0, 0: 1, 4: 2, 1: 3}


def test_nothing_matches_nothing() -> None:
    first, second = match_points(np.zeros((0, 2)), POINTS_UM, tolerance_um=20)
    assert first.size == second.size == 0
