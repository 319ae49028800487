"""Configurations: mistakes are refused in one line that names what was meant."""

import pytest

import fociscope
from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ImagerError, ModelError, RecipeError, SceneError
from fociscope.evaluation import find_method, find_suite, selected
from fociscope.imager import Camera, GaussianPsf, Imager
from fociscope.networks import find_model
from fociscope.simulation import PerlinFoci, Surface, load_specimen
from fociscope.solvers import solve
from fociscope.training import Recipe


@pytest.mark.parametrize(
    ("make", "error", "advice"),
    [
        (lambda: GaussianPsf(spred=1), ImagerError, "spred: no such field; did you mean spread?"),
        (lambda: Imager(gap=1), ImagerError, "gap: no such field; did you mean gap_um?"),
        (lambda: Imager(half_angle=9), ImagerError, "half_angle: .* mean psf.half_angle_deg?"),
        (lambda: Imager(psf={"half_angle": 9}), ImagerError, "psf.half_angle: .* half_angle_deg?"),
        (
            lambda: Imager(camera={"xyz": 1}),
            ImagerError,
            "camera.xyz: .* among: quantum_eff",
        ),
        (lambda: Camera(adc_bit=12), ImagerError, "adc_bit: no such field; did you mean adc_bits?"),
        (lambda: GaussianPsf().with_(spred=1), ImagerError, "did you mean spread?"),
        (lambda: PerlinFoci(coverag=(0, 1)), SceneError, "did you mean coverage?"),
        (lambda: Surface(tilt=3), SceneError, "did you mean tilt_deg?"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest(make, error, advice) -> None:
    with pytest.raises(error, match=advice):
        make()


@pytest.mark.parametrize(
    ("read", "error"),
    [(Imager.from_toml, ImagerError), (load_specimen, SceneError), (Recipe.load, RecipeError)],
)
def test_an_unknown_field_of_a_file_is_refused_with_the_choices(tmp_path, read, error) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("colour = 3\n")
    with pytest.raises(error, match=r"wrong\.toml: .*colour: no such field; choose among: "):
        read(path)


@pytest.mark.parametrize(
    ("find", "error", "advice"),
    [
        (lambda: find_model("layer-ab"), ModelError, "layers-ab"),
        (lambda: fociscope.load_model("layers_a"), ModelError, "layers-a"),
        (lambda: Recipe.load("single"), RecipeError, "single-a"),
        (lambda: find_suite("Quick"), FociscopeError, "quick"),
        (lambda: selected(find_suite("quick"), "snr20"), FociscopeError, "snr-20"),
        (lambda: find_method("tikonov"), FociscopeError, "tikhonov"),
        (lambda: load_specimen("micro_foci"), SceneError, "micro-foci"),
        (lambda: solve("fiesta", None, None, None), FociscopeError, "fista"),  # type: ignore[arg-type]
        (lambda: fociscope.ReconstructionOptions(formats=("cvs",)), FociscopeError, "csv"),
        (lambda: fociscope.ReconstructionOptions(precision="float"), FociscopeError, "float32"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(find, error, advice) -> None:
    with pytest.raises(error, match=f"did you mean {advice}\\? Choose among: ") as refused:
        find()
    assert advice in refused.value.choices


def test_values_out_of_range_are_one_plain_line_from_a_constructor() -> None:
    with pytest.raises(ImagerError, match=r"^GaussianPsf: spread: .* equal to 0 \(got -1\)$"):
        GaussianPsf(spread=-1)


def test_kinds_of_a_subclass_raise_the_error_of_their_parent() -> None:
    class Part(Configuration):
        size_um: float = 1.0

    class Whole(Configuration):
        error = SceneError
        part: Part = Part()

    with pytest.raises(SceneError, match=r"Whole: part\.sizeum: .*did you mean size_um\?"):
        Whole(part={"sizeum": 2})  # type: ignore[arg-type]
    assert Whole(part={"size_um": 2}).part == Part(size_um=2)  # type: ignore[arg-type]
