from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fociscope.errors import FileFormatError, ImagerError, OutputExistsError
from fociscope.imager import AngleSelectivePsf, Camera, Imager

CHANGED = Imager(
    name='the lab\'s "chip"\nÅ, revision 2',
    pixel_pitch_um=60.1 + 1e-13,
    frame_px=(36, 80),
    sensors=1,
    gap_um=1 / 3 * 1e4,
    boundary="surround",
    psf=AngleSelectivePsf(half_angle_deg=21.7, base_blur_um=12.345678901234567),
    camera=Camera(
        quantum_efficiency=0.61,
        exposure_s=1e-3,
        dark_current_e_per_s=0.0,
        read_noise_e=2.5,
        full_well_e=1.5e5,
        gain_e_per_count=0.7,
        black_level_counts=64.5,
        adc_bits=14,
    ),
)


def refused(path: Path, text: str | bytes, *words: str) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ImagerError) as caught:
        Imager.from_toml(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


def test_the_reference_imager() -> None:
    imager = Imager.reference()
    assert imager.pixel_pitch_um == 55.0
    assert imager.frame_px == (51, 51)
    assert imager.sensors == 2
    assert imager.gap_um == 1000.0
    assert imager.boundary == "zero"
    assert imager.psf.half_angle_deg == 18.0
    assert imager.psf.base_blur_um == 0.0


@pytest.mark.parametrize("imager", [Imager.reference(), CHANGED], ids=["reference", "changed"])
def test_toml_round_trip(tmp_path: Path, imager: Imager) -> None:
    path = tmp_path / "imager.toml"
    imager.to_toml(path)
    assert Imager.from_toml(path) == imager
    assert [entry.name for entry in tmp_path.iterdir()] == ["imager.toml"]


def test_the_changed_imager_differs_in_every_field() -> None:
    reference = Imager.reference()
    for ours, theirs in (
        (CHANGED, reference),
        (CHANGED.psf, reference.psf),
        (CHANGED.camera, reference.camera),
    ):
        same = {n for n in type(ours).model_fields if getattr(ours, n) == getattr(theirs, n)}
        assert same <= {"kind"}


def test_what_a_file_does_not_name_keeps_its_default(tmp_path: Path) -> None:
    path = tmp_path / "imager.toml"
    path.write_text("gap_um = 800\n[psf]\nhalf_angle_deg = 15\n")
    expected = Imager(gap_um=800.0, psf=AngleSelectivePsf(half_angle_deg=15.0))
    assert Imager.from_toml(path) == expected


def test_an_imager_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "imager.toml"
    CHANGED.to_toml(path)
    with pytest.raises(OutputExistsError):
        Imager.reference().to_toml(path)
    assert Imager.from_toml(path) == CHANGED
    Imager.reference().to_toml(path, overwrite=True)
    assert Imager.from_toml(path) == Imager.reference()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gap_um = ", ["not a TOML file"]),
        ("gap_um = 1\ngap_um = 2", ["not a TOML file"]),
        (b"name = '\xff\xfe'", ["not a TOML file"]),
        ("gap = 3", ["gap", "not permitted"]),
        ("[psf]\nhalf_angel_deg = 18", ["psf.half_angel_deg", "not permitted"]),
        ("[camera]\nread_noise = 1", ["camera.read_noise", "not permitted"]),
        ("gap_um = -1", ["gap_um", "greater than 0", "-1"]),
        ("gap_um = nan", ["gap_um", "nan"]),
        ("gap_um = inf", ["gap_um", "inf"]),
        ("gap_um = 'wide'", ["gap_um", "wide"]),
        ("pixel_pitch_um = 0", ["pixel_pitch_um"]),
        ("frame_px = [51]", ["frame_px"]),
        ("frame_px = [51, 5000]", ["frame_px", "4096"]),
        ("frame_px = [51, 51.5]", ["frame_px", "51.5"]),
        ("sensors = 3", ["sensors", "1 or 2"]),
        ("boundary = 'mirror'", ["boundary", "mirror"]),
        ("psf = 18", ["psf", "18"]),
        ("[psf]\nkind = 'gaussian'", ["psf.kind", "gaussian"]),
        ("[psf]\nhalf_angle_deg = 3", ["psf.half_angle_deg", "4"]),
        ("[psf]\nhalf_angle_deg = 61", ["psf.half_angle_deg", "60"]),
        ("[psf]\nbase_blur_um = -1", ["psf.base_blur_um"]),
        ("[camera]\nquantum_efficiency = 1.5", ["camera.quantum_efficiency"]),
        ("[camera]\nadc_bits = 32", ["camera.adc_bits"]),
        ("gap_um = -1\nsensors = 0", ["gap_um", "sensors"]),
        ("name = ['" + "x\\n" * 500 + "']", ["name"]),
    ],
)
def test_a_file_that_describes_no_imager_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, words: list[str]
) -> None:
    refused(tmp_path / "imager.toml", text, *words)


def test_a_key_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    refused(tmp_path / "imager.toml", '"a\\nb" = 1')


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "gap_um = " + "1" * 5000])
def test_a_file_that_overtaxes_the_parser_is_refused(tmp_path: Path, text: str) -> None:
    refused(tmp_path / "imager.toml", text, "not a TOML file")


@pytest.mark.parametrize(
    "camera",
    [{"adc_bits": 4}, {"dark_current_e_per_s": 1e7}, {"read_noise_e": float("inf")}],
    ids=["black level above the converter", "dark current fills the well", "infinite"],
)
def test_a_camera_without_room_for_light_is_refused(camera: dict[str, Any]) -> None:
    with pytest.raises(ImagerError, match="camera"):
        Imager.reference().with_(camera=camera)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nowhere\.toml"):
        Imager.from_toml(tmp_path / "nowhere.toml")


def test_imagers_are_frozen_and_change_into_checked_copies() -> None:
    imager = Imager.reference()
    parts = [(imager, "gap_um"), (imager.psf, "half_angle_deg"), (imager.camera, "adc_bits")]
    for thing, field in parts:
        with pytest.raises(ValidationError):
            setattr(thing, field, 12)
    assert imager == Imager.reference()
    assert imager.with_(gap_um=700.0).gap_um == 700.0
    assert imager.with_(gap_um=700.0).with_(gap_um=1000.0) == imager
    with pytest.raises(ImagerError, match="gap_um"):
        imager.with_(gap_um=-700.0)
    with pytest.raises(ImagerError, match="gap"):
        imager.with_(gap=700.0)
