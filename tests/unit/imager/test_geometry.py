import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fociscope.errors import FileFormatError, ImagerError, OutputExistsError
from fociscope.imager import AngleSelectivePsf, Camera, GaussianPsf, Imager, Registration, Tissue

CHANGED = Imager(
    name='the lab\'s "chip"\nÅ, revision 2',
    pixel_pitch_um=(60.1 + 1e-13, 55.25),
    frame_px=(36, 80),
    sensitive_um=(1 / 3 * 100, 40.0),
    sensitive_offset_um=(-0.7, 1 / 3),
    row_shift_um=(0.0, 1 / 7),
    dead_pixels=((0, 35, 79), (0, 1, 2)),
    layout="serpentine",
    sensors=1,
    gap_um=1 / 3 * 1e4,
    boundary="reflect",
    psf=AngleSelectivePsf(
        half_angle_deg=21.7,
        half_angle_medium="air",
        base_blur_um=12.345678901234567,
        tissue=Tissue(attenuation_per_mm=1 / 3, reduced_scattering_per_mm=0.7),
        shape="tabulated",
        table=((0.0, 0.9), (10.5, 0.7), (1 / 3 * 100, 0.0)),
        leakage=1e-3,
        cover_um=150.5,
        cover_index=1.46,
        tissue_index=1.4,
    ),
    further_psfs=(GaussianPsf(spread=1 / 7),),
    psf_pattern=((0, 1), (1, 0)),
    registration=Registration(shift_um=(-1 / 3, 12.5), rotation_deg=-0.7, scale=1.01),
    sensor_gains=(1.1, 0.9),
    camera=Camera(
        quantum_efficiency=0.61,
        exposure_s=1e-3,
        dark_current_e_per_s=0.0,
        read_noise_e=2.5,
        full_well_e=1.5e5,
        gain_e_per_count=0.7,
        black_level_counts=64.5,
        adc_bits=14,
        reset_noise_e=30.5,
        correlated_double_sampling=True,
        prnu=0.012,
        dsnu_e=20.0,
        hot_pixel_share=1e-3,
        hot_pixel_e_per_s=5e3,
        dead_pixel_share=2e-4,
        fixed_pattern_seed=7,
    ),
)
GAUSSIAN = Imager(
    psf=GaussianPsf(spread=0.3, collected_fraction=0.2, fill_factor=0.5, base_blur_um=3.0)
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


every_imager = pytest.mark.parametrize(
    "imager", [Imager.reference(), CHANGED, GAUSSIAN], ids=["reference", "changed", "gaussian"]
)


@every_imager
def test_toml_round_trip(tmp_path: Path, imager: Imager) -> None:
    path = tmp_path / "imager.toml"
    imager.to_toml(path)
    assert Imager.from_toml(path) == imager
    assert [entry.name for entry in tmp_path.iterdir()] == ["imager.toml"]


@settings(
    max_examples=50, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    pitch_um=st.floats(0.1, 500),
    gap_um=st.floats(10, 20_000),
    half_angle_deg=st.floats(4, 45),
    shift_um=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    attenuation_per_mm=st.floats(0, 10),
    read_noise_e=st.floats(0, 1000),
)
def test_any_numbers_come_back_to_the_last_digit(
    tmp_path: Path,
    name: str,
    pitch_um: float,
    gap_um: float,
    half_angle_deg: float,
    shift_um: tuple[float, float],
    attenuation_per_mm: float,
    read_noise_e: float,
) -> None:
    imager = Imager(
        name=name,
        pixel_pitch_um=pitch_um,
        gap_um=gap_um,
        psf=AngleSelectivePsf(
            half_angle_deg=half_angle_deg, tissue=Tissue(attenuation_per_mm=attenuation_per_mm)
        ),
        registration=Registration(shift_um=shift_um),
        camera=Camera(read_noise_e=read_noise_e),
    )
    path = tmp_path / "imager.toml"
    imager.to_toml(path, overwrite=True)
    assert Imager.from_toml(path) == imager


@every_imager
def test_json_round_trip(imager: Imager) -> None:
    """Models and data sets store imagers so."""
    again = Imager.model_validate_json(imager.model_dump_json())
    assert again == imager
    assert hash(again) == hash(imager)
    assert Imager.model_validate(json.loads(json.dumps(imager.model_dump(mode="json")))) == imager


def test_the_changed_imager_differs_in_every_field() -> None:
    reference = Imager.reference()
    for ours, theirs in (
        (CHANGED, reference),
        (CHANGED.psf, reference.psf),
        (CHANGED.psf.tissue, reference.psf.tissue),
        (CHANGED.registration, reference.registration),
        (CHANGED.camera, reference.camera),
    ):
        same = {n for n in type(ours).model_fields if getattr(ours, n) == getattr(theirs, n)}
        assert same <= {"kind", "fill_factor"}  # sensitive_um stands in its place


def test_what_a_file_does_not_name_keeps_its_default(tmp_path: Path) -> None:
    path = tmp_path / "imager.toml"
    path.write_text("gap_um = 800\n[psf]\nhalf_angle_deg = 15\n")
    expected = Imager(gap_um=800.0, psf=AngleSelectivePsf(half_angle_deg=15.0))
    assert Imager.from_toml(path) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("gap_um = 900", AngleSelectivePsf),
        ("[psf]\nbase_blur_um = 5", AngleSelectivePsf),
        ("[psf]\nkind = 'angle-selective'", AngleSelectivePsf),
        ("[psf]\nkind = 'gaussian'\nspread = 0.2", GaussianPsf),
    ],
)
def test_a_psf_is_angle_selective_unless_it_says_otherwise(
    tmp_path: Path, text: str, kind: type
) -> None:
    path = tmp_path / "imager.toml"
    path.write_text(text)
    assert type(Imager.from_toml(path).psf) is kind


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
        ("gap = 3", ["gap", "no such field"]),
        ("[psf]\nhalf_angel_deg = 18", ["psf.half_angel_deg", "no such field"]),
        ("[camera]\nread_noise = 1", ["camera.read_noise", "no such field"]),
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
        ("[psf]\nkind = 'airy'", ["psf", "airy", "angle-selective", "gaussian", "measured"]),
        ("[psf]\nkind = 3", ["psf", "3"]),
        ("[psf]\nkind = 'gaussian'\nhalf_angle_deg = 18", ["psf.half_angle_deg", "no such field"]),
        ("[psf]\nkind = 'gaussian'\nspread = -1", ["psf.spread", "-1"]),
        ("[psf]\nkind = 'measured'", ["psf.depth_um", "required"]),
        ("[psf]\nshape = 'square'", ["psf.shape", "square"]),
        ("[psf]\nshape = 'tabulated'", ["psf", "table"]),
        ("[psf]\nshape = 'tabulated'\ntable = [[0, 0], [20, 0]]", ["psf", "above 0"]),
        ("[psf]\nshape = 'tabulated'\ntable = [[0], [20, 0]]", ["psf.table.0"]),
        ("[psf]\nshape = 'tabulated'\ntable = 3", ["psf.table"]),
        ("[psf]\nshape = 'tabulated'\ntable = {a = 3}", ["psf.table"]),
        ("[psf.tissue]\nattenuation_per_mm = -1", ["psf.tissue.attenuation_per_mm"]),
        ("[psf]\ntissue = 3", ["psf.tissue"]),
        ("[registration]\nrotation_deg = 200", ["registration.rotation_deg", "180"]),
        ("[registration]\nshift_um = [1.0]", ["registration.shift_um"]),
        ("[registration]\nscale = 0", ["registration.scale"]),
        ("sensor_gains = [1.0, 0.0]", ["sensor_gains.1", "greater than 0"]),
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
