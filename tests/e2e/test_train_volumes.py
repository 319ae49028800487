"""`fociscope train` by a recipe for volumes: from nothing to a model that `--volume` takes."""

from __future__ import annotations

import pytest
from tiny_recipe import tiny_recipe

from fociscope.evaluation import volume_card, volumes

VOLUMES = "\n[volume]\nslices = 8\nspecimen = { kind = 'foci-in-depth' }\n"


@pytest.fixture
def few(monkeypatch):
    """Two scenes wherever scenes are drawn, two conditions, and the quickest solver."""
    monkeypatch.setattr(volume_card, "SOLVERS", ("tikhonov",))
    monkeypatch.setattr(volume_card, "VOLUME_CONDITIONS", volumes.VOLUME_CONDITIONS[:2])
    monkeypatch.setattr(volume_card, "CARD_SCENES", 2)
    monkeypatch.setattr(volume_card, "FITTED_SCENES", 2)
    monkeypatch.setattr(volume_card, "SAMPLED_SCENES", 2)
    monkeypatch.setattr(volumes, "FITTED_SCENES", 2)


@pytest.mark.usefixtures("few")
def test_trains_resumes_and_reconstructs_a_volume(fociscope, tmp_path):
    recipe, run = tmp_path / "tiny.toml", tmp_path / "run"
    recipe.write_text(tiny_recipe(frame_px=None, widths=(8, 16), context=16) + VOLUMES)
    ran = fociscope("train", recipe, "-o", run, "--device", "cpu")
    assert ran.code == 0, ran.err
    card = (run / "card.md").read_text()
    assert "tikhonov" in card and "| nuclei clusters | tiny |" in card
    again = fociscope("train", recipe, "-o", run, "--device", "cpu", "--resume")
    assert again.code == 0, again.err

    fociscope("demo", "-o", tmp_path / "demo")
    pair = tmp_path / "demo" / "sensor_a.tif", tmp_path / "demo" / "sensor_b.tif"
    model = run / "model.safetensors"
    used = fociscope("reconstruct", *pair, "-o", tmp_path / "map", "--volume", "--model", model)
    assert used.code == 0, used.err
    assert (tmp_path / "map" / "foci.csv").is_file()
