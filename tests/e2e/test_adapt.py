"""`fociscope adapt`, from captures to a model, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_recipe import tiny_recipe

import fociscope as package
from fociscope.imager import Imager
from fociscope.training import Recipe

SMALL = {
    "fociscope.adaptation.tissue.SCENES": 3,
    "fociscope.adaptation.recipe.POOL_CHUNKS": 1,
    "fociscope.adaptation.recipe.VALIDATION_SCENES": 4,
    "fociscope.adaptation.recipe.CALIBRATION": {
        "scenes": 20,
        "family_scenes": 64,
        "psf_width_scenes": 64,
    },
    "fociscope.workflows._adapt.JUDGED_SCENES": 6,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    recipe = folder / "tiny.toml"
    recipe.write_text(tiny_recipe(steps=2, every_steps=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fociscope.training.export.NORMALISATION_BATCHES", 2)
        package.train(Recipe.load(recipe), folder / "run", device="cpu")
    return folder / "run" / "model.safetensors"


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    imager = Imager(frame_px=(32, 32), pixel_pitch_um=110.0)
    path = tmp_path / "captures.npy"
    np.save(path, package.simulate(12, seed=3, imager=imager).captures)
    return path


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(name, value)


def test_captures_become_a_model_of_their_chip(
    fociscope: Callable[..., object], model: Path, captures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "Mouse 7"
    arguments = ("adapt", model, captures, "-o", out, "--imager-as-stated", "--steps", 4)
    done = fociscope(*arguments)
    assert done.code == 0, done.err
    assert "Tissue like these captures:" in done.out
    assert "12 captures are few" in done.err
    about = json.loads((out / "adaptation.json").read_text())
    assert about["kept"] in {"adapted", "nothing"}
    assert sum(about["tissue"].values()) == pytest.approx(1, abs=1e-3)
    assert (out / "figure.png").stat().st_size > 20_000
    loaded = package.load_model(out / "model.safetensors", device="cpu")
    assert loaded.info.name == "mouse-7"
    assert loaded.imager == Imager.load(out / "imager.toml")
    info = fociscope("info", out)
    assert info.code == 0 and "by 12 captures without truth" in info.out
    again = fociscope(*arguments)
    assert again.code == 1 and "not empty; choose another folder" in again.err
    resumed = fociscope(*arguments, "--resume")
    assert resumed.code == 0, resumed.err
    assert json.loads((out / "adaptation.json").read_text()) == about
    other = fociscope(*arguments, "--resume", "--seed", 1)
    assert other.code == 1 and "had another seed" in other.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--steps", 6), "multiple of 4"),
        (("--resume",), "no adaptation to resume"),
        (("--layers", 9), "layers"),
        (("--imager", "no.toml"), "no.toml"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(
    fociscope: Callable[..., object],
    model: Path,
    captures: Path,
    tmp_path: Path,
    arguments: tuple[object, ...],
    says: str,
) -> None:
    out = tmp_path / "run"
    done = fociscope("adapt", model, captures, "-o", out, *arguments)
    assert done.code != 0 and says in done.err
    assert not out.exists()


def test_few_captures_are_refused(
    fociscope: Callable[..., object], model: Path, tmp_path: Path
) -> None:
    imager = Imager(frame_px=(32, 32), pixel_pitch_um=110.0)
    np.save(tmp_path / "few.npy", package.simulate(9, seed=3, imager=imager).captures)
    done = fociscope("adapt", model, tmp_path / "few.npy", "-o", tmp_path / "run")
    assert done.code == 1 and "9 capture(s) are too few" in done.err
    assert not (tmp_path / "run").exists()
