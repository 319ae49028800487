"""Scores of volumes: what the truth itself scores, and what a method without a capture does."""

from dataclasses import replace

import numpy as np
import pytest

from fociscope.errors import ImagerError
from fociscope.evaluation import depth_resolution_um
from fociscope.evaluation.volume_card import volume_table
from fociscope.evaluation.volumes import (
    VOLUME_CONDITIONS,
    GridMethod,
    fitted_to,
    score_volumes,
)
from fociscope.imager import Imager
from fociscope.simulation import simulate_volumes

IMAGER = Imager.reference()
BY_NAME = {condition.name: condition for condition in VOLUME_CONDITIONS}


def scored(name: str, method_of, scenes: int = 2):
    """Score the method that `method_of` returns for the scenes of a condition."""
    condition = BY_NAME[name]
    drawn = simulate_volumes(scenes, seed=4, specimen=condition.specimen, planes_per_slice=4)
    return score_volumes(condition, drawn, [method_of(drawn)], pitch_um=55.0)[0]


def truth(scenes) -> GridMethod:
    mask = scenes.mask.astype(np.float32)
    return GridMethod("truth", lambda captures: (mask, scenes.light))


def empty(scenes) -> GridMethod:
    none = np.zeros(scenes.mask.shape, np.float32)
    return GridMethod("empty", lambda captures: (none, none))


def test_the_truth_scores_full_marks():
    foci = scored("foci in depth", truth)
    assert foci.dice == [1.0, 1.0]
    assert foci.missed == 0 and foci.hits > 0
    assert foci.axial_error_um < 25  # the middle of a slice is at most 25 um off


def test_flat_layers_are_read_off_the_truth():
    layers = scored("four layers", truth)
    assert layers.layer_accuracy == [1.0, 1.0]
    assert max(layers.layer_depth_um) < 25  # the middle of a slice is at most 25 um off


def test_a_sheet_is_read_off_the_truth():
    sheet = scored("tilted sheet", truth)
    assert max(sheet.surface_um) < 25


def test_nothing_found_scores_nothing():
    foci = scored("nuclei clusters", empty)
    assert foci.dice == [0.0, 0.0]
    assert foci.hits == 0 and foci.f1 == 0.0


def test_thresholds_are_fitted_to_the_method():
    """A score that is right but for its scale gets the threshold that belongs to it."""

    def solve(captures):
        # The captures of these seeds are known, so that the truth of each stands in for a method.
        scenes = known[len(captures), float(captures[0, 0, 0, 0])]
        return 0.3 * scenes.mask.astype(np.float32), scenes.light

    compact = VOLUME_CONDITIONS[0].specimen
    layers = BY_NAME["four layers"].specimen
    drawn = [
        simulate_volumes(2, seed=8),
        simulate_volumes(2, seed=8, first=2, specimen=compact),
        simulate_volumes(2, seed=8, first=4, specimen=layers),
    ]
    known = {(2, float(s.captures[0, 0, 0, 0])): s for s in drawn}
    fitted = fitted_to(GridMethod("scaled", solve), IMAGER, seed=8, scenes=2)
    assert 0 < fitted.mask_threshold <= 0.3
    assert 0 < fitted.focus_threshold <= 0.6
    assert 0 < fitted.layer_threshold <= 0.3


def test_the_table_leaves_out_what_does_not_apply():
    scores = scored("nuclei clusters", truth)
    _, _, row = volume_table([scores])
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["nuclei clusters", "truth", "1.000"]
    assert cells[7:] == ["", "", ""]
    assert volume_table([replace(scores, dice=[])])[2].split("|")[3].strip() == ""


def test_depth_of_structure_is_told_by_two_sensors_alone():
    z, periods = [100.0, 500.0, 900.0], [300.0, 800.0]
    both = depth_resolution_um(IMAGER, z, periods)
    alone = depth_resolution_um(IMAGER.with_(sensors=1), z, periods)
    assert np.isinf(alone).all()
    np.testing.assert_allclose(both[0], both[2], rtol=1e-6)  # the imager is symmetric
    assert (both[1] < both[0]).all()  # in the middle, both sensors see it


def test_noise_scales_what_depth_can_be_told():
    bright, dim = (depth_resolution_um(IMAGER, 500.0, 500.0, peak_snr_db=db) for db in (40, 20))
    np.testing.assert_allclose(dim, 10 * bright, rtol=1e-9)


def test_periods_below_two_pixels_are_refused():
    with pytest.raises(ImagerError, match="two pixels"):
        depth_resolution_um(IMAGER, [500.0], [60.0])
