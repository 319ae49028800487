"""Which model replaces another."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.adaptation import ModelScores, is_better
from fociscope.adaptation.judge import WORSE_RESIDUAL_OF_IMAGER

RNG = np.random.default_rng(5)
SPREAD = RNG.normal(size=100)


def scores(accuracy: float, depth: float, residual: float = 0.1) -> ModelScores:
    """Scores that vary alike from scene to scene, whatever the model."""
    return ModelScores(accuracy + 0.02 * SPREAD, depth + 5.0 * SPREAD, np.full(20, residual))


def noisy(of: ModelScores) -> ModelScores:
    more = RNG.normal(size=(2, 100))
    return ModelScores(of.accuracy + 0.02 * more[0], of.depth_error_um + more[1], of.residual)


OLD = scores(0.90, 20.0)


@pytest.mark.parametrize(
    ("new", "replaces"),
    [
        (scores(0.92, 20.0), True),
        (scores(0.90, 15.0), True),
        (scores(0.92, 21.0), False),  # depths are worse
        (scores(0.89, 15.0), False),  # pixels are
        (scores(0.92, 15.0, residual=0.104), False),  # maps explain less of the captures
        (scores(0.92, 15.0, residual=0.102), True),
        (OLD, False),
    ],
)
def test_better_in_something_and_worse_in_nothing(new: ModelScores, replaces: bool) -> None:
    assert is_better(new, OLD) is replaces


def test_what_may_be_chance_replaces_nothing() -> None:
    assert not is_better(noisy(scores(0.9005, 20.0)), OLD)


def test_scenes_without_cells_have_no_depth_that_counts() -> None:
    depth = OLD.depth_error_um.copy()
    depth[::2] = np.nan
    assert ModelScores(OLD.accuracy, depth, OLD.residual).mean_depth_error_um == pytest.approx(
        OLD.depth_error_um[1::2].mean()
    )
    nothing = ModelScores(OLD.accuracy, np.full(100, np.nan), OLD.residual)
    assert not is_better(nothing, nothing)


def test_another_imager_may_explain_less() -> None:
    told = scores(0.92, 15.0, residual=0.108)
    assert not is_better(told, OLD)
    assert is_better(told, OLD, worse_residual=WORSE_RESIDUAL_OF_IMAGER)
