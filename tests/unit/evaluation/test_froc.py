"""Detection of foci at a rate of false ones."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.evaluation.metrics import focus_candidates
from fociscope.evaluation.metrics._froc import FocusCandidates


def blank():
    return np.zeros((2, 12, 12)), np.zeros((2, 12, 12), dtype=bool), np.zeros((2, 12, 12), int)


def test_a_blob_over_the_frame_is_one_candidate():
    probability, mask, cells = blank()
    mask[0, 0, 0] = mask[0, 11, 11] = True
    found = focus_candidates(probability + 0.9, mask, cells + mask)
    assert found.score.tolist() == [0, 0]
    assert found.false_score.tolist() == [0.9, 0.9]


def test_a_candidate_beside_a_focus_belongs_to_it():
    probability, mask, cells = blank()
    mask[1, 5, 5], probability[1, 6, 6], cells[1, 5, 5] = True, 0.7, 3
    found = focus_candidates(probability, mask, cells)
    assert (found.score.tolist(), found.cells.tolist()) == ([0.7], [3])
    assert len(found.false_score) == 0


def test_the_best_candidate_of_a_focus_counts_once():
    probability, mask, cells = blank()
    mask[0, 2:10, 5] = True
    probability[0, 2, 5], probability[0, 8, 5] = 0.4, 0.8
    found = focus_candidates(probability, mask, cells + mask)
    assert found.score.tolist() == [0.8]
    assert len(found.false_score) == 0


def test_frames_do_not_touch():
    probability, mask, cells = blank()
    mask[0, 4, 4] = True
    probability[1, 4, 4] = 0.6
    found = focus_candidates(probability, mask, cells)
    assert (found.score.tolist(), found.false_score.tolist()) == ([0], [0.6])


@pytest.mark.parametrize(
    ("rate", "detected"),
    [(0.0, [1, 0]), (0.5, [1, 1]), (1.0, [2, 1]), (5.0, [2, 1])],
)
def test_a_higher_rate_of_false_foci_finds_more(rate, detected):
    found = FocusCandidates(
        cells=np.array([1.0, 1.0, 4.0]),
        score=np.array([0.95, 0.3, 0.7]),
        false_score=np.array([0.9, 0.5, 0.2]),
        frames=2,
    )
    by_size, foci = found.detected([1, 2, 6], false_per_frame=rate)
    assert by_size.tolist() == detected
    assert foci.tolist() == [2, 1]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        focus_candidates(np.zeros((3, 3)), np.zeros((3, 4), bool), np.zeros((3, 3)))
