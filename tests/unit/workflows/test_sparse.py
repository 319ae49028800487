"""Captures of a few points get a hint at `locate`; tissue gets none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, Locator
from fociscope.reconstruction import Model, load_model
from fociscope.simulation import simulate
from fociscope.workflows._sparse import sparse_hint


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab", device="cpu")


def beads() -> np.ndarray:
    """Return (sensor, y, x): five emitters at 40 dB."""
    imager = Imager.reference()
    rng = np.random.default_rng(1)
    places = np.stack([rng.uniform(300, 2400, 5), rng.uniform(300, 2400, 5),
                       rng.uniform(100, 900, 5)], 1)  # fmt: skip
    light = EmitterResponse(imager, (51, 51))(places)[0].sum(0).reshape(2, 51, 51)
    generator = torch.Generator().manual_seed(0)
    clean = torch.tensor(light, dtype=torch.float64)
    return imager.camera.at_peak_snr(clean, 40.0, generator=generator).numpy().astype(np.float32)


def test_a_few_beads_are_for_locate(model: Model) -> None:
    (hint,) = sparse_hint(model.reconstruct(beads()))

    assert "5 point emitter(s)" in str(hint)
    assert "fociscope.locate" in str(hint)


def test_tissue_gets_no_hint_and_costs_no_fit(model: Model, monkeypatch) -> None:
    monkeypatch.setattr(Locator, "locate", None)
    for capture in simulate(3, seed=4).captures:
        assert sparse_hint(model.reconstruct(capture)) == ()


def test_frames_too_large_to_prepare_for_get_none(model: Model, monkeypatch) -> None:
    monkeypatch.setattr("fociscope.workflows._sparse.LARGEST_PX", 50)
    assert sparse_hint(model.reconstruct(beads())) == ()
