from pathlib import Path

import pytest

from fociscope.errors import FileFormatError, ImagerError, RecipeError
from fociscope.imager import Imager
from fociscope.training.recipe import CalibrationScenes, Recipe, shipped_recipes

LEAST = 'name = "mine"\n[optimisation]\nsteps = 5\n'


def load(tmp_path: Path, text: str | bytes) -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Recipe.load(path)


def refused(tmp_path: Path, text: str | bytes, *words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message
    for word in ("mine.toml", *words):
        assert word in message


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load(name: str) -> None:
    recipe = Recipe.load(name)
    assert recipe.name == name
    assert recipe.optimisation.steps > 0
    low, high = recipe.family.half_angle_deg
    assert low <= recipe.imager.psf.half_angle_deg <= high


@pytest.mark.parametrize(
    ("name", "sensors", "layers", "scored"),
    [("layers-ab", 2, 6, 4), ("layers-a", 1, 6, 4), ("single-a", 1, 1, 1)],
)
def test_what_is_shipped(name: str, sensors: int, layers: int, scored: int) -> None:
    recipe = Recipe.load(name)
    assert (recipe.network.sensors, recipe.network.layers) == (sensors, layers)
    assert recipe.validation.layers == scored


def test_a_recipe_for_volumes_is_one_by_its_section(tmp_path: Path) -> None:
    assert Recipe.load("layers-ab").volume is None
    shipped = Recipe.load("volume-ab").volume
    assert shipped is not None and shipped.slices == 20
    mine = load(tmp_path, LEAST + "[volume]\nslices = 8\nspecimen = { kind = 'blobs' }\n").volume
    assert mine is not None
    assert (mine.slices, mine.specimen.kind) == (8, "blobs")
    refused(tmp_path, LEAST + "[volume]\nslices = 1\n", "volume.slices")


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    least = load(tmp_path, LEAST)
    assert least.optimisation.steps == 5
    more = load(tmp_path, LEAST + "[seeds]\ntraining = 7\n[imager]\ngap_um = 900\n")
    assert more.seeds.training == 7
    assert more.imager.gap_um == 900
    seeds = least.seeds.model_copy(update={"training": 7})
    imager = least.imager.with_(gap_um=900.0)
    assert more == least.model_copy(update={"seeds": seeds, "imager": imager})


@pytest.mark.parametrize("kind", ["training", "validation", "calibration", "test"])
def test_data_never_share_a_seed(tmp_path: Path, kind: str) -> None:
    other = "test" if kind != "test" else "training"
    equal = f"[seeds]\n{kind} = 12345\n{other} = 12345\n"
    refused(tmp_path, LEAST + equal, "seeds", "different seeds")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LEAST + "[seeds]\nfoo = 1", ["seeds.foo", "no such field"]),
        (LEAST + "[optimiser]\nsteps = 5", ["optimiser", "no such field"]),
        (LEAST + "[imager]\npixel_pitch = 5", ["imager.pixel_pitch", "no such field"]),
        (LEAST + "[scenes.specimen]\ncolour = 1", ["scenes.specimen.colour", "no such field"]),
        ('name = "mine"', ["optimisation", "required"]),
        ('name = "mine"\n[optimisation]\nsteps = 0', ["optimisation.steps"]),
        ('name = "../mine"\n[optimisation]\nsteps = 5', ["name"]),
        (LEAST + "[imager]\nsensors = 1\n[network]\nsensors = 2", ["1 sensor(s), the network 2"]),
        (LEAST + "[network]\nsensors = 1", ["2 sensor(s), the network 1", "leave out network"]),
        (LEAST + '[family]\nboundaries = ["mirror"]', ["family.boundaries", "mirror"]),
        (LEAST + "[network]\nlayers = 9", ["network.layers"]),
        ("name = ", ["not a TOML file"]),
        (b"name = '\xff'", ["not a TOML file"]),
    ],
)
def test_what_does_not_hold_together_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, words: list[str]
) -> None:
    refused(tmp_path, text, *words)


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "1" * 5000])
def test_a_file_that_overtaxes_the_parser_is_refused(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text, "not a TOML file")


@pytest.mark.parametrize(
    "text",
    [
        "[family]\nhalf_angle_deg = [25, 12]",
        "[family]\npeak_snr_db = [25, 500]",
        "[scenes]\nmin_separation_um = [900, 900]",
        "[family]\nboundaries = []",
        "[family]\nhalf_angle_deg = [-5, 80]",
        "[family]\nbase_blur_px = [-3, -1]",
        "[scenes]\nmin_separation_um = [-900, 200]",
        "[seeds]\ntraining = -4",
    ],
)
def test_families_that_cannot_be_simulated_are_refused(tmp_path: Path, text: str) -> None:
    refused(tmp_path, LEAST + text)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no-such-recipe.*layers-ab"):
        Recipe.load("no-such-recipe")
    with pytest.raises(FileFormatError, match=r"gone\.toml"):
        Recipe.load(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[imager]\nframe_px = [16, 51]", "frame_px"),
        ("[imager.psf]\nhalf_angle_deg = 8", "half_angle_deg"),
        ("[imager.camera]\nadc_bits = 10", "40 dB"),
        ("[validation]\nevery_steps = 3", "multiple"),
    ],
)
def test_what_would_fail_only_after_training_is_refused_before(
    tmp_path: Path, text: str, word: str
) -> None:
    refused(tmp_path, LEAST + text, word)


def test_a_core_outside_its_family_is_refused(tmp_path: Path) -> None:
    focus = "[family.focus]\nshare = 0.5\nhalf_angle_deg = [8.0, 20.0]\n"
    refused(tmp_path, LEAST + focus, "family.focus.half_angle_deg", "8 to 20", "9 to 30")


# --- the imager's file --------------------------------------------------------------------------


def test_an_imager_s_file_lies_beside_the_recipe_and_the_network_follows(tmp_path: Path) -> None:
    chip = Imager(name="chip", sensors=1, gap_um=800.0)
    (tmp_path / "chips").mkdir()
    chip.to_toml(tmp_path / "chips" / "cal.toml")
    for name in ("cal.toml", "cal.calibration.json"):
        recipe = load(tmp_path, f'imager = "chips/{name}"\n{LEAST}')
        assert recipe.imager == chip
        assert recipe.network.sensors == 1
    table = "[imager]\nsensors = 1\n[network]\nlayers = 2\n[validation]\nlayers = 2"
    recipe = load(tmp_path, LEAST + table)
    assert (recipe.network.sensors, recipe.network.layers) == (1, 2)
    with pytest.raises(RecipeError, match=r"mine\.toml.*1 sensor\(s\), the network 2"):
        load(tmp_path, f'imager = "chips/cal.toml"\n{LEAST}[network]\nsensors = 2')


def test_an_imager_s_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"gone\.toml: there is no such file"):
        load(tmp_path, f'imager = "gone.toml"\n{LEAST}')
    (tmp_path / "cal.toml").write_text("pitch = 3")
    with pytest.raises(ImagerError, match=r"cal\.toml.*no such field"):
        load(tmp_path, f'imager = "cal.toml"\n{LEAST}')


# --- stages -------------------------------------------------------------------------------------

TWO = LEAST + '[[stages]]\nname = "wide"\n[[stages]]\nname = "in focus"\n'


def test_a_recipe_without_stages_is_a_single_stage(tmp_path: Path) -> None:
    recipe = load(tmp_path, LEAST)
    assert recipe.stage_recipes() == (recipe,)


def test_a_stage_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    more = "[stages.family.focus]\nshare = 0.5\n[stages.optimisation]\nsteps = 9\n"
    first, second = load(tmp_path, TWO + more + "[stages.seeds]\ntraining = 7\n").stage_recipes()
    assert first == load(tmp_path, LEAST)
    assert second == load(
        tmp_path,
        'name = "mine"\n[optimisation]\nsteps = 9\n[family.focus]\nshare = 0.5\n'
        "[seeds]\ntraining = 7\n",
    )


def test_a_table_of_another_kind_replaces_the_whole_table(tmp_path: Path) -> None:
    base = LEAST + '[scenes.specimen]\nkind = "perlin-foci"\ncoverage = [0.1, 0.2]\n'
    stage = '[[stages]]\nname = "x"\n[stages.scenes.specimen]\n'
    (same,) = load(tmp_path, base + stage + "feature_um = 500.0\n").stage_recipes()
    assert same.scenes.specimen.coverage == (0.1, 0.2)  # type: ignore[attr-defined]
    (other,) = load(tmp_path, base + stage + 'kind = "rings"\n').stage_recipes()
    assert other.scenes.specimen.kind == "rings"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[stages.family]\nhalf_angle = [1, 2]", ["stage 2, 'in focus'", "half_angle"]),
        ("[stages.optimisation]\nsteps = 0", ["stage 2", "optimisation.steps"]),
        ("[stages.network]\nlayers = 3", ["network", "no such field"]),
        ("[stages.seeds]\ntest = 999", ["'in focus'", "training alone"]),
        ("[stages.seeds]\ntraining = 404", ["stage 2", "different seeds"]),
        ('[[stages]]\nname = "wide"', ["two stages"]),
        ('[[stages]]\nname = "../up"', ["stages.2.name"]),
    ],
)
def test_a_stage_that_does_not_hold_together_is_refused_in_one_line(
    tmp_path: Path, more: str, words: list[str]
) -> None:
    refused(tmp_path, TWO + more, *words)


@pytest.mark.parametrize("name", ["layers-a", "layers-ab", "single-a"])
def test_a_shipped_recipe_names_every_stage_from_random_weights_on(name: str) -> None:
    recipe = Recipe.load(name)
    first, *_, last = recipe.stage_recipes()
    assert first.family.focus is None
    assert last.family.focus is not None
    assert first.seeds.training != last.seeds.training


def test_calibration_scenes_are_half_reference_and_half_of_kinds_alike() -> None:
    calibration = CalibrationScenes(scenes=100)
    assert calibration.split() == (50, 16)  # the training mixture, rings, lines
    assert CalibrationScenes(scenes=100, unfamiliar=()).split() == (50, 50)
    assert CalibrationScenes(scenes=100, reference_share=1.0).split() == (100, 0)
