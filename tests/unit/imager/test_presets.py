"""Imagers by name, and files to begin with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from fociscope.errors import FileFormatError, ImagerError
from fociscope.imager import AngleSelectivePsf, AngularResponsePsf, Imager, write_commented_imager

every_preset = pytest.mark.parametrize("name", Imager.presets())


@every_preset
def test_a_preset_has_its_name_and_is_an_imager(name: str) -> None:
    imager = Imager.preset(name)
    assert imager.name == name
    assert Imager.load(name) == imager
    assert Imager.load(Path(name)) == imager


@every_preset
def test_a_preset_says_in_which_medium_its_angles_hold(name: str) -> None:
    psf = Imager.preset(name).psf
    assert isinstance(psf, AngleSelectivePsf | AngularResponsePsf)
    if isinstance(psf, AngleSelectivePsf):
        assert 5 < psf.half_angle_in("tissue") < psf.half_angle_in("air")
    else:
        assert psf.table_medium == "air"


@every_preset
def test_a_preset_sees_an_emitter_in_its_middle(name: str) -> None:
    imager = Imager.preset(name)
    middle = imager.pixel_centres_um().reshape(-1, 2).mean(0)
    seen = imager.pixel_response(np.array([[*middle[::-1], 100.0]]))[0, 0]
    assert 0 < float(np.sum(seen)) < 0.5


@every_preset
def test_a_commented_file_reads_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    write_commented_imager(Imager.preset(name), path)
    assert Imager.from_toml(path) == Imager.preset(name)
    text = path.read_text(encoding="utf-8")
    assert "# (y, x) pixels." in text
    assert max(map(len, text.splitlines())) <= 200
    assert set(tomllib.loads(text)) >= {"name", "pixel_pitch_um", "psf", "camera"}


def test_the_numbers_of_presets() -> None:
    assert Imager.preset("reference") == Imager.reference()
    published = Imager.preset("published").psf
    assert isinstance(published, AngleSelectivePsf)
    assert published.half_angle_deg == 12.0
    sibling = Imager.preset("sibling-36x80")
    extent_mm = [n * p / 1000 for n, p in zip(sibling.frame_px, sibling.pitch_um, strict=True)]
    assert extent_mm == pytest.approx([2.3, 4.8])
    acus = Imager.preset("acus")
    assert acus.frame_px == (2, 128)
    assert acus.pitch_um == (73.22, 25.67)
    assert acus.sensitive_um is not None
    assert np.prod(acus.sensitive_um) == pytest.approx(170, rel=0.02)
    assert isinstance(acus.psf, AngularResponsePsf)
    angle, value = max(acus.psf.table, key=lambda row: row[1])
    assert 35 <= angle <= 40
    assert value == 1


def test_an_unknown_imager_is_refused_with_the_names() -> None:
    with pytest.raises(ImagerError, match=r"did you mean acus") as refused:
        Imager.preset("accus")
    assert refused.value.choices == Imager.presets()
    with pytest.raises(ImagerError, match=r"give a \.toml file"):
        Imager.load("accus")
    with pytest.raises(FileFormatError):
        Imager.load("nothing.toml")
