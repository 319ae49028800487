"""A hint at the volume where cells lie between the layers of a map; none for flat layers."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.reconstruction import Model, load_model
from fociscope.simulation import FlatLayers, PerlinFoci, StrandsInDepth, simulate_volumes
from fociscope.workflows._view import share_between_layers, view_hint

SLICE_UM = np.arange(25.0, 1000, 50)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab", device="cpu")


def test_share_of_sure_cells_far_from_all_layers() -> None:
    probability = np.zeros((20, 4, 4))
    probability[4] = 0.9  # 225 um
    probability[15] = 0.3001  # 775 um, and as sure as counts
    probability[9] = 0.2
    share = share_between_layers(probability, SLICE_UM, np.array([250.0]))
    assert share == pytest.approx(0.3001 / 1.2001)
    assert share_between_layers(probability, SLICE_UM, np.array([250.0, 700.0])) == 0


def test_few_cells_tell_nothing() -> None:
    probability = np.zeros((20, 4, 4))
    probability[4, 0, 0] = 0.9
    assert share_between_layers(probability, SLICE_UM, np.array([900.0])) == 0


def test_strands_are_for_a_volume(model: Model) -> None:
    capture = simulate_volumes(1, seed=2, specimen=StrandsInDepth(strands=(2, 2))).captures[0]
    (hint,) = view_hint(model.reconstruct(capture))
    assert "reconstruct_volume" in str(hint)


def test_flat_layers_get_no_hint(model: Model) -> None:
    layers = FlatLayers(layers=(4, 4), min_separation_um=(250.0, 250.0), tissue=PerlinFoci())
    for capture in simulate_volumes(2, seed=2, specimen=layers).captures:
        assert view_hint(model.reconstruct(capture)) == ()


def test_large_frames_get_none(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fociscope.workflows._view.LARGEST_PX", 50)
    capture = simulate_volumes(1, seed=2, specimen="strands-in-depth").captures[0]
    assert view_hint(model.reconstruct(capture)) == ()
