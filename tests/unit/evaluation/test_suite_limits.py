"""The bounds beside a suite's depth errors, and the table that one of them comes from."""

import json
import warnings

import numpy as np
import pytest

from fociscope.evaluation.limits._suite import (
    SENSORS,
    TABLE,
    condition_key,
    depth_limit,
    unknown_layer_bound_um,
)
from fociscope.evaluation.suite import SUITES

SINGLE = {
    name: next(c for c in SUITES[name].conditions if c.layers == 1)
    for name in ("reference", "quick")
}
SEVERAL = next(c for c in SUITES["quick"].conditions if c.layers == 4)


@pytest.fixture(scope="module")
def limit():
    return depth_limit(SINGLE["quick"])


def test_both_bounds_stand_over_depth(limit):
    assert limit.depth_um == tuple(50 + 100 * n for n in range(10))
    assert len(limit.known_um) == len(limit.unknown_um) == 10
    assert min(limit.unknown_um) > 0


def test_one_sensor_tells_less_of_a_layer_it_has_not_seen(limit):
    both, alone = limit.unknown_um, limit.sensor_a.unknown_um
    assert (np.array(alone) > 2 * np.array(both)).all()
    known = np.array(limit.sensor_a.known_um, float) >= np.array(limit.known_um, float)
    assert known[np.array([v is not None for v in limit.known_um])].all()


@pytest.mark.parametrize(("name", "depth_bin"), [("both_sensors", 2), ("sensor_a", 7)])
def test_the_table_holds_what_the_bound_gives_today(name, depth_bin):
    """If not: `python -m fociscope.evaluation.limits._suite` computes the table anew."""
    entry = json.loads(TABLE.read_text())[condition_key(SINGLE["reference"])]
    fresh = unknown_layer_bound_um(
        SINGLE["reference"], 50.0 + 100 * depth_bin, sensors=SENSORS[name]
    )
    assert entry[name][depth_bin] == pytest.approx(fresh, rel=1e-3)


def test_what_a_bound_depends_on_is_its_key():
    reference = SINGLE["reference"]
    same = reference.model_copy(update={"name": "other", "scenes": 3, "slow_scenes": 1})
    assert condition_key(same) == condition_key(reference) == condition_key(SINGLE["quick"])
    for changed in (
        {"peak_snr_db": 39.0},
        {"seed": 1},
        {"imager": reference.imager.with_(pixel_pitch_um=50.0)},
    ):
        assert condition_key(reference.model_copy(update=changed)) != condition_key(reference)


def test_conditions_that_are_not_in_the_table_have_the_other_bound_alone():
    limit = depth_limit(SEVERAL)
    assert limit.unknown_um is None and limit.sensor_a.unknown_um is None
    assert any(limit.known_um)


def test_no_noise_no_bound():
    assert depth_limit(SEVERAL.model_copy(update={"peak_snr_db": None})) is None


def test_bounds_are_computed_without_a_word_of_torch():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        depth_limit(SINGLE["quick"].model_copy(update={"scenes": 1}))
