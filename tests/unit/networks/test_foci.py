"""What a focus is, whether it is there, and how likely."""

import numpy as np
import pytest

from fociscope.networks.foci import (
    FocusProbability,
    are_there,
    fit_focus_probability,
    highest_in_each,
    number_foci,
)


def test_foci_join_over_corners_and_not_over_images() -> None:
    masks = np.zeros((2, 8, 8), dtype=bool)
    masks[0, 1, 1] = masks[0, 2, 2] = masks[0, 6, 1] = masks[1, 1, 1] = True
    numbers, image = number_foci(masks)
    assert image.tolist() == [0, 0, 1]
    assert numbers[masks].tolist() == [1, 1, 2, 3]
    assert highest_in_each(numbers, 3, numbers * 0.1).tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_a_focus_is_there_beside_a_true_one_of_the_same_image() -> None:
    masks, truth = np.zeros((2, 2, 8, 8), dtype=bool)
    masks[:, 1, 1] = masks[0, 5, 5] = True
    truth[0, 2, 2] = truth[0, 5, 7] = True
    numbers, image = number_foci(masks)
    assert are_there(numbers, len(image), truth).tolist() == [True, False, False]


def test_of_those_said_90_percent_nine_in_ten_are_there() -> None:
    rng = np.random.default_rng(0)
    highest, mean = np.sort(rng.uniform(0.5, 0.999, (2, 40_000)), axis=0)[::-1]
    pixels = rng.integers(1, 30, 40_000).astype(float)
    true = FocusProbability(weights=(-1.0, 0.5, 0.8, 0.4))
    there = rng.random(40_000) < true(highest, mean, pixels)
    fitted = fit_focus_probability(highest, mean, pixels, there)
    assert fitted is not None
    assert fitted.weights == pytest.approx(true.weights, abs=0.1)
    stated = fitted(highest, mean, pixels)
    about = (stated > 0.88) & (stated < 0.92)
    assert there[about].mean() == pytest.approx(0.9, abs=0.02)


def test_where_all_foci_are_there_weights_stay_finite() -> None:
    p = np.linspace(0.5, 1.0, 20)
    fitted = fit_focus_probability(p, p, np.ones(20), np.ones(20, dtype=bool))
    assert fitted is not None and np.isfinite(fitted.weights).all()
    assert (fitted(p, p, np.ones(20)) > 0.9).all()


def test_without_a_focus_there_is_nothing_to_fit() -> None:
    none = np.zeros(0)
    assert fit_focus_probability(none, none, none, none.astype(bool)) is None
