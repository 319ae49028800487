"""What a run starts from, and that it goes on with nothing else."""

import warnings
from pathlib import Path

import pytest
import torch

from fociscope.errors import FileFormatError, FociscopeWarning, ModelError, RecipeError
from fociscope.files.safe.checksum import sha256
from fociscope.imager import Imager
from fociscope.networks.store import find_model
from fociscope.training.recipe import Optimisation, Recipe
from fociscope.training.run_origin import DataRecord, ModelRecord, RunOrigin, initial_weights

MODEL = ModelRecord(name="layers-ab", sha256="ab" * 32)
OTHER = ModelRecord(name="mine", sha256="cd" * 32)
DATA = DataRecord(folder="data", files=2, scenes=14, bytes=1000)


def test_comes_back_from_its_file(tmp_path: Path) -> None:
    start = RunOrigin(model=MODEL, data=DATA, processes=2)
    start.write(tmp_path / "start.json")
    assert RunOrigin.read(tmp_path / "start.json") == start
    assert RunOrigin.read(tmp_path / "none.json") == RunOrigin()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"processes": 0}', '{"x": 1}', "[" * 9999])
def test_a_damaged_file_is_one_plain_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "start.json").write_text(text)
    with pytest.raises(RecipeError, match=r"start\.json: damaged") as caught:
        RunOrigin.read(tmp_path / "start.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("began", "asked"),
    [
        (RunOrigin(), RunOrigin()),
        (RunOrigin(model=MODEL, data=DATA), RunOrigin(model=MODEL, data=DATA)),
        (RunOrigin(model=MODEL), RunOrigin()),
        (RunOrigin(data=DATA), RunOrigin(data=DATA.model_copy(update={"folder": "moved"}))),
    ],
)
def test_goes_on_with_what_it_began_with(began: RunOrigin, asked: RunOrigin) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        began.check_resumable(asked, Path("run"))


@pytest.mark.parametrize(
    ("began", "asked", "says"),
    [
        (RunOrigin(), RunOrigin(model=MODEL), "started from random weights"),
        (RunOrigin(model=MODEL), RunOrigin(model=OTHER), "not from mine"),
        (RunOrigin(), RunOrigin(data=DATA), "live simulation"),
        (RunOrigin(data=DATA), RunOrigin(), "14 scenes of data"),
        (
            RunOrigin(data=DATA),
            RunOrigin(data=DATA.model_copy(update={"bytes": 2})),
            "the same files",
        ),
    ],
)
def test_another_run_under_the_same_name_is_refused(
    began: RunOrigin, asked: RunOrigin, says: str
) -> None:
    with pytest.raises(RecipeError, match=says):
        began.check_resumable(asked, Path("run"))


def test_another_number_of_processes_is_warned_of() -> None:
    with pytest.warns(FociscopeWarning, match=r"2 process.*with 1"):
        RunOrigin(processes=2).check_resumable(RunOrigin(), Path("run"))


def recipe(**network: object) -> Recipe:
    shipped = Recipe.load("layers-ab")
    changed = {**shipped.network.model_dump(), **network}
    return Recipe(name="x", network=changed, optimisation=Optimisation(steps=1))  # type: ignore[arg-type]


def test_a_shipped_model_gives_its_weights_and_its_checksum() -> None:
    network, record = initial_weights("layers-ab", recipe())
    assert record == ModelRecord(name="layers-ab", sha256=sha256(find_model("layers-ab")))
    assert all(bool(torch.isfinite(p).all()) for p in network.parameters())


def test_another_network_is_refused_and_what_differs_is_named() -> None:
    with pytest.raises(RecipeError, match=r"context = \d+ \(recipe: 8\)") as caught:
        initial_weights("layers-ab", recipe(context=8))
    assert "widths" not in str(caught.value)


def test_the_example_of_fine_tuning_fits_the_shipped_model_and_its_imager() -> None:
    folder = Path(__file__).parents[3] / "examples" / "fine-tune"
    example = Recipe.load(folder / "recipe.toml")
    assert example.imager == Imager.from_toml(folder / "imager.toml")
    initial_weights("layers-ab", example)


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="layers-ab"):
        initial_weights("layers-xy", recipe())
    with pytest.raises(FileFormatError):
        initial_weights(tmp_path / "none.safetensors", recipe())


def test_a_network_of_sensor_a_starts_from_one_of_both() -> None:
    both, _ = initial_weights("layers-ab", Recipe.load("layers-ab"))
    of_a, record = initial_weights("layers-ab", Recipe.load("layers-a"))
    assert of_a.architecture == Recipe.load("layers-a").network
    assert record.name == "layers-ab"
    theirs = both.state_dict()
    for name, weights in of_a.state_dict().items():
        kept = theirs[name][:, :1] if name == "stem.weight" else theirs[name]
        assert torch.equal(weights, kept), name


def test_volumes_of_sensor_a_start_from_those_of_both() -> None:
    alone = Recipe.load("volume-a")
    network, record = initial_weights("volume-ab", alone)
    both, _ = initial_weights("volume-ab", Recipe.load("volume-ab"))
    assert record.name == "volume-ab"
    assert network.stem.weight.shape[1] == 1
    torch.testing.assert_close(network.stem.weight, both.stem.weight[:, :1])


def test_volumes_of_other_slices_are_refused() -> None:
    values = Recipe.load("volume-a").model_dump()
    values["volume"]["slices"] = 10
    with pytest.raises(RecipeError, match=r"slices = 20 \(recipe: 10\)"):
        initial_weights("volume-ab", Recipe.model_validate(values))
