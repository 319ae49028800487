"""The recipe of an adaptation."""

from __future__ import annotations

import pytest

from fociscope.adaptation import adaptation_recipe
from fociscope.errors import ModelError
from fociscope.imager import Imager
from fociscope.networks import find_model, read_model
from fociscope.simulation import AnyTissue
from fociscope.training import Recipe

INFO = read_model(find_model("layers-ab"))[1]


def recipe(imager: Imager, **more: object) -> Recipe:
    about = {"name": "mine", "peak_snr_db": 40.0, "layers": 4, "steps": 600} | more
    return adaptation_recipe(INFO, imager, AnyTissue(), **about)  # type: ignore[arg-type]


def test_the_family_surrounds_the_chip() -> None:
    imager = Imager.reference()
    imager = imager.with_(psf=imager.psf.with_(half_angle_deg=14.0, base_blur_um=22.0))
    family = recipe(imager).family
    assert family.half_angle_deg == (12.5, 15.5)
    assert family.base_blur_px == pytest.approx((0.1, 0.7))
    assert family.peak_snr_db == (35.0, 45.0)


def test_large_frames_are_trained_on_in_part() -> None:
    assert recipe(Imager(frame_px=(300, 51))).imager.frame_px == (64, 51)


def test_models_are_chosen_and_calibrated_on_the_tissue() -> None:
    assert recipe(Imager.reference()).scored_scenes["specimen"].kind == "any-tissue"


def test_other_seeds_share_no_scene() -> None:
    one, other = (recipe(Imager.reference(), seed=seed).seeds for seed in (0, 1))
    ours, theirs = ({s.training, s.validation, s.calibration, s.test} for s in (one, other))
    assert not ours & theirs


def test_a_psf_that_training_cannot_vary_is_refused() -> None:
    with pytest.raises(ModelError, match="angle-selective; got angular-response"):
        recipe(Imager.preset("acus").with_(sensors=2))
