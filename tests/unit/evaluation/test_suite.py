import hashlib
import json

import numpy as np
import pytest

from fociscope.errors import FociscopeError
from fociscope.evaluation.suite import SUITE_VERSION, SUITES, VALIDATION, find_suite, selected
from fociscope.imager import Imager
from fociscope.training.recipe import Seeds

DEMO_SEED = 505


@pytest.fixture
def reference():
    return SUITES["reference"]


def by_name(suite, name):
    return next(c for c in suite.conditions if c.name == name)


def test_no_seed_is_shared_with_another_condition_or_with_training(reference):
    seeds = [c.seed for c in reference.conditions]
    elsewhere = {*Seeds().model_dump().values(), DEMO_SEED, VALIDATION.seed}
    assert len(set(seeds)) == len(seeds)
    assert not set(seeds) & elsewhere
    assert VALIDATION.seed not in {*Seeds().model_dump().values(), DEMO_SEED}


def test_version_1_is_what_it_was(reference):
    """Scores under one version can be laid side by side: whoever changes the suite raises it."""
    content = json.dumps(reference.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
    content = content.replace('"reflect"', '"surround"')  # the former name of that boundary
    assert SUITE_VERSION == 1
    assert hashlib.sha256(content.encode()).hexdigest()[:16] == "6738a00bfd81ab47"


def test_the_reference_conditions_are_those_of_the_design(reference):
    first = reference.conditions[0]
    assert (first.name, first.scenes, first.layers) == ("reference", 500, 4)
    assert (first.peak_snr_db, first.min_separation_um) == (40.0, 250.0)
    assert first.imager == Imager.reference()
    assert by_name(reference, "published").peak_snr_db is None


def test_what_varies_is_what_the_name_says(reference):
    assert by_name(reference, "half-angle-28").imager.psf.half_angle_deg == 28
    assert by_name(reference, "base-blur-0.8").imager.psf.base_blur_um == pytest.approx(44)
    assert by_name(reference, "shift-2").imager.registration.shift_um == (110.0, 0.0)
    assert by_name(reference, "surround").imager.boundary == "reflect"
    kinds = {c.value for c in reference.conditions if c.group == "specimen"}
    assert kinds == {"micro-foci", "single-cells", "rings", "lines", "resolution-target"}
    layers = {c.layers for c in reference.conditions}
    assert layers == {1, 2, 3, 4, 5, 6}


def test_a_method_is_told_the_imager_or_another_one(reference):
    family = by_name(reference, "half-angle-25")
    assert family.task.imager == family.imager
    misled = by_name(reference, "assumed-half-angle-25")
    assert misled.imager == Imager.reference()
    assert misled.task.imager.psf.half_angle_deg == 25
    shifted = by_name(reference, "shift-1")
    assert shifted.task.imager == Imager.reference()


def test_coverage_is_exact_from_empty_to_full(reference):
    for percent in (0, 25, 100):
        scenes = by_name(reference, f"coverage-{percent}").simulated(2)
        np.testing.assert_allclose(scenes.mask.mean(axis=(2, 3)), percent / 100, atol=2e-4)


def test_batches_hold_the_condition_s_scenes_in_order(reference):
    condition = by_name(reference, "layers-2").model_copy(update={"scenes": 53})
    batches = list(condition.batches())
    assert [len(batch) for batch in batches] == [50, 3]
    joined = np.concatenate([batch.captures for batch in batches])
    np.testing.assert_array_equal(joined[49:], condition.simulated(4, first=49).captures)
    assert batches[0].layers.shape[1] == 2


def test_every_condition_can_be_simulated():
    for condition in SUITES["quick"].conditions:
        batch = next(iter(condition.batches()))
        assert len(batch) == condition.scenes
        assert batch.depth_um.shape == (condition.scenes, condition.layers)
        assert np.isfinite(batch.captures).all()


def test_the_quick_suite_has_the_first_scenes_of_the_reference_suite(reference):
    for few in SUITES["quick"].conditions:
        many = by_name(reference, few.name)
        assert few.scenes < many.scenes
        assert few.model_copy(update={"scenes": 1, "slow_scenes": 1}) == many.model_copy(
            update={"scenes": 1, "slow_scenes": 1}
        )


def test_conditions_are_picked_by_pattern(reference):
    names = [c.name for c in selected(reference, "snr-[23]*, published").conditions]
    assert names == ["published", "snr-20", "snr-25", "snr-30", "snr-35"]
    assert selected(reference, None) is reference


@pytest.mark.parametrize("pattern", ["nothing", "reference,snr-99", ""])
def test_a_pattern_without_a_condition_is_refused(reference, pattern):
    with pytest.raises(FociscopeError, match=r"no condition '.*' of the suite 'reference'"):
        selected(reference, pattern)


def test_an_unknown_suite_is_refused():
    with pytest.raises(FociscopeError, match="no suite 'fast'; choose among: reference, quick"):
        find_suite("fast")
