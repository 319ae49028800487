"""`fociscope imager new`: a commented file from options."""

from __future__ import annotations

import pytest

from fociscope.imager import AngleSelectivePsf, AngularResponsePsf, Imager


def test_a_file_from_options(fociscope, tmp_path):
    path = tmp_path / "chip.toml"
    done = fociscope(
        "imager", "new", path, "--pixel-pitch-um", "73.22,25.67", "--frame-px", "2x128",
        "--sensors", "1", "--gap-um", "400", "--half-angle-deg", "18", "--medium", "air",
    )  # fmt: skip
    assert "128 x 2 pixels of 25.67 x 73.22 µm" in done.out
    chip = Imager.from_toml(path)
    assert (chip.name, chip.frame_px, chip.pitch_um) == ("chip", (2, 128), (73.22, 25.67))
    assert isinstance(chip.psf, AngleSelectivePsf)
    assert chip.psf.half_angle_in("tissue") == pytest.approx(13.04, abs=0.01)
    described = fociscope("info", path).out
    assert "18.0 degrees in air, as stated; 13.0 degrees in tissue (n = 1.37)" in described


def test_a_file_from_a_measured_response(fociscope, tmp_path):
    csv = tmp_path / "response.csv"
    csv.write_text("angle,air,water\n0,0.5,0.4\n35,1,1\n80,0,0\n", encoding="utf-8")
    path = tmp_path / "chip.toml"
    fociscope(
        "imager", "new", path, "--response", csv, "--response-column", "water",
        "--medium", "water",
    )  # fmt: skip
    psf = Imager.from_toml(path).psf
    assert isinstance(psf, AngularResponsePsf)
    assert psf.table == ((0, 0.4), (35, 1), (80, 0))
    assert psf.table_medium == "water"


def test_a_file_from_a_preset_is_not_replaced_unasked(fociscope, tmp_path):
    path = tmp_path / "chip.toml"
    fociscope("imager", "new", path, "--from", "acus")
    assert Imager.from_toml(path).psf == Imager.preset("acus").psf
    assert "--overwrite" in fociscope("imager", "new", path, "--from", "acus").err
    fociscope("imager", "new", path, "--from", "acus", "--overwrite")


def test_a_preset_is_described_by_name(fociscope):
    acus = fociscope("info", "acus").out
    assert "128 x 2 pixels" in acus
    assert "sensitive on 13 x 13 µm" in acus
    assert "measured in air at 19 angles" in acus
    assert "12.0 degrees in tissue" in fociscope("info", "published").out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--frame-px", "many"], "is no frame"),
        (["--pixel-pitch-um", "wide"], "is no pitch"),
        (["--from", "accus"], "did you mean acus"),
        (["--half-angle-deg", "18", "--medium", "oil"], "half_angle_medium"),
    ],
)
def test_what_is_not_possible_is_one_line(fociscope, tmp_path, options, words):
    assert words in fociscope("imager", "new", tmp_path / "chip.toml", *options).err
    assert not (tmp_path / "chip.toml").exists()
