"""Each shipped model makes the maps that it made before, or the golden set says why it does not.

To renew: `python tests/golden/golden_set.py --why "..."` (see CONTRIBUTING).
"""

from __future__ import annotations

import golden_set as golden
import numpy as np
import pytest
import torch

from fociscope.networks.store import shipped_models
from fociscope.reconstruction import Model

RENEW = "reproduce it, or explain: python tests/golden/golden_set.py --why '...'"


@pytest.fixture(scope="module", params=shipped_models())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def held(name):
    return golden.stored(name)


@pytest.fixture(scope="module")
def result(name, held):
    return golden.model(name).reconstruct(held[0])


def test_what_is_exact_has_its_checksum(name, held) -> None:
    captures, arrays, record = held
    assert golden.exact(name, captures, arrays) == record["sha256"], RENEW


def test_maps_are_those_of_before_within_the_tolerance(name, held, result) -> None:
    found = golden.differences(golden.arrays_of(result), held[1])
    beyond = {
        key: figures
        for key, figures in found.items()
        if not all(np.less_equal(figures, golden.TOLERANCES[key]))
    }
    assert beyond == {}, f"{name}: at most, and in the mean: {beyond}; {RENEW}"


def test_flags_are_those_of_before(held, result) -> None:
    assert golden.words(result) == held[2]["flags"], RENEW


def test_the_set_says_why_it_was_made(held) -> None:
    assert held[2]["why"].strip()


def test_the_set_shows_tissue_and_what_is_none(name, held) -> None:
    flags = held[2]["flags"]
    assert flags[0] == "", f"{name}: foci are what it was trained on"
    if name == "layers-ab":  # the others flag no light that shows no depth
        assert flags[-1]


def test_changed_weights_are_noticed(name, held) -> None:
    model = golden.model(name)
    with torch.no_grad():
        for tensor in model.network.parameters():
            tensor.mul_(1.003)
    changed = Model(
        model.network, model.info, imager=model.imager, device=model.device, precision="float32"
    )
    found = golden.differences(golden.arrays_of(changed.reconstruct(held[0])), held[1])
    assert any(np.greater(found[key], golden.TOLERANCES[key]).any() for key in found)
