"""Ranks of true volumes among samples: even where truth and samples are alike, and only there."""

from dataclasses import replace

import numpy as np
import pytest

from fociscope.evaluation import VolumeRanks, fit_copula, rank_volumes
from fociscope.evaluation import volume_ranks as module
from fociscope.imager import Imager
from fociscope.networks import FieldCorrelation, VolumeCopula
from fociscope.results import VolumeMap

SCALES = FieldCorrelation(lateral_um=100.0)
COPULA = VolumeCopula(presence=SCALES, depth=SCALES, axial_um=300.0)


@pytest.fixture(scope="module")
def drawn():
    """Forty volumes, and one sample of each as the truth."""
    rng = np.random.default_rng(0)
    probability = np.zeros((40, 8, 32, 32), np.float32)
    probability[:, 2:5] = rng.uniform(0.1, 0.3, (40, 3, 32, 32))
    captures = np.ones((40, 2, 32, 32), np.float32)
    volumes = VolumeMap(
        probability,
        probability,
        (np.arange(8) * 125 + 62.5).astype(np.float32),
        captures,
        0.9 * captures,
        Imager.reference(),
        "own",
        copula=COPULA,
    )
    truth = [volumes.frame(n).samples(1, seed=1000 + n) for n in range(40)]
    return (
        volumes,
        np.concatenate([one.occupied for one in truth]),
        np.concatenate([one.light for one in truth]),
    )


def test_ranks_are_even_where_the_truth_is_a_sample(drawn):
    assert rank_volumes(*drawn, samples=49).is_uniform()


def test_too_few_cells_are_seen(drawn):
    volumes, mask, light = drawn
    few = replace(volumes, probability=0.7 * volumes.probability)
    ranks = rank_volumes(few, mask, light, samples=49)
    assert not ranks.is_uniform()
    assert ranks.rank[:, 0].mean() > 0.8


def test_one_uneven_figure_is_enough():
    even = np.linspace(0.01, 0.99, 50)[:, None].repeat(5, axis=1)
    even[:, 2] **= 3
    assert not VolumeRanks(even).is_uniform()


def test_fit_prefers_what_drew_the_truth(drawn, monkeypatch):
    monkeypatch.setattr(module, "LENGTHS_UM", (100.0,))
    monkeypatch.setattr(module, "AXIAL_UM", (300.0,))
    monkeypatch.setattr(module, "SHARES", (0.0, 0.65))
    fitted = fit_copula(*drawn)
    assert fitted.presence.frame_share == 0.0
    # The truth's light was drawn with half the residual.
    assert fitted.light_per_residual == pytest.approx(0.5, abs=0.2)
