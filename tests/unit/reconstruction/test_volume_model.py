"""The shipped volume model on specimens that it has not seen."""

import numpy as np
import pytest

import fociscope
from fociscope.errors import ImagerError, ModelError
from fociscope.evaluation.volume_card import model_on_slices
from fociscope.evaluation.volumes import VOLUME_CONDITIONS, score_volumes
from fociscope.imager import Imager
from fociscope.networks.volume_store import shipped_volume_models
from fociscope.reconstruction import load_model, load_volume_model
from fociscope.simulation import simulate_volumes

BY_NAME = {condition.name: condition for condition in VOLUME_CONDITIONS}


@pytest.fixture(scope="module")
def model():
    return load_volume_model("volume-ab", device="cpu")


def scored(model, name: str, scenes: int = 4):
    drawn = simulate_volumes(scenes, seed=77, specimen=BY_NAME[name].specimen)
    return score_volumes(BY_NAME[name], drawn, [model_on_slices(model)], pitch_um=55.0)[0]


def test_it_is_shipped():
    assert shipped_volume_models() == ["volume-a", "volume-ab"]


def test_nuclei_that_no_training_showed_are_found(model):
    scores = scored(model, "nuclei clusters")
    assert scores.f1 > 0.85
    assert scores.axial_error_um < 30


def test_a_tilted_sheet_is_not_pressed_flat(model):
    assert np.mean(scored(model, "tilted sheet").surface_um) < 40


def test_light_explains_the_captures(model):
    captures = simulate_volumes(2, seed=78, specimen="blobs").captures
    assert float(model.reconstruct(captures).residual.max()) < 0.2


def test_wrong_numbers_of_sensors_are_refused():
    with pytest.raises(ImagerError, match="2 sensor"):
        load_volume_model("volume-ab", imager=Imager.reference().with_(sensors=1))


def test_it_is_no_model_of_layers():
    with pytest.raises(ModelError, match="a model of volumes"):
        load_model("volume-ab")


def test_other_frames_and_gaps_are_taken(model):
    imager = Imager.reference().with_(gap_um=800.0, frame_px=(64, 40))
    captures = fociscope.simulate(1, seed=3, imager=imager, min_separation_um=150.0).captures[0]
    volume = load_volume_model("volume-ab", imager=imager, device="cpu").reconstruct(captures)
    assert volume.probability.shape == (20, 64, 40)
    np.testing.assert_allclose(volume.slice_um[[0, -1]], [20.0, 780.0], rtol=1e-5)
