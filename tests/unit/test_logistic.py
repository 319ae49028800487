"""Logistic regression: fitted probabilities are those that the truths were drawn from."""

import numpy as np
import pytest
from scipy.special import expit

from fociscope.logistic import fit_platt, fit_weights

RNG = np.random.default_rng(3)
SCORE = RNG.normal(0, 2, (40, 300))


def test_scale_and_shift_are_found() -> None:
    scale, shift = fit_platt(SCORE, expit(0.7 * SCORE + 0.4), tolerance=1e-9)
    assert (scale, shift) == pytest.approx((0.7, 0.4), abs=1e-6)


def test_they_are_found_where_it_is_not_certain_that_there_is_anything() -> None:
    certainty = RNG.uniform(0.3, 1.0, (40, 1))
    truth = certainty * expit(0.7 * SCORE + 0.4)
    found = fit_platt(SCORE, truth, certainty=certainty, tolerance=1e-9)
    assert found == pytest.approx((0.7, 0.4), abs=1e-6)


def test_certainty_of_1_changes_nothing() -> None:
    truth = (RNG.uniform(size=SCORE.shape) < expit(SCORE)).astype(np.float64)
    plain = fit_platt(SCORE, truth, tolerance=1e-9)
    sure = fit_platt(SCORE, truth, certainty=np.ones((40, 1)), tolerance=1e-9)
    assert plain == pytest.approx(sure, rel=1e-6)


def test_weights_of_terms_are_those_of_platt() -> None:
    truth = RNG.uniform(size=SCORE.size) < expit(0.7 * SCORE.ravel() + 0.4)
    terms = np.stack([SCORE.ravel(), np.ones(SCORE.size)], axis=1)
    weights = fit_weights(terms, truth, penalty=1e-6)
    platt = fit_platt(SCORE.ravel(), truth.astype(np.float64), tolerance=1e-9)
    assert tuple(weights) == pytest.approx(platt, rel=1e-5)
