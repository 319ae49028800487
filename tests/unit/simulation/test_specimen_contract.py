"""What each registered kind of specimen keeps to, and a kind from outside the package."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tomli_w

from fociscope.cli import main
from fociscope.evaluation.suite import Condition
from fociscope.imager import Imager
from fociscope.simulation import (
    SPECIMEN_KINDS,
    DrawnFrame,
    DrawnLayers,
    Specimen,
    load_specimen,
    simulate,
)
from fociscope.training.recipe import SceneDistribution

FRAME = DrawnFrame((51, 51), pixel_pitch_um=55.0)
#: Odd, even, not square, with and without a margin.
FRAMES = [
    FRAME,
    DrawnFrame((64, 81), 55.0),
    DrawnFrame((81, 64), 55.0, margin_px=6),
    DrawnFrame((71, 91), 40.0, margin_px=9),
]
LAYERS = 4

Example = Callable[..., Specimen]


@pytest.fixture
def example(tmp_path: Path) -> Example:
    """Return specimens by kind: with its defaults, or of files with the imager's pixels."""

    def made(kind: str, imager_px: tuple[int, int] = (51, 51)) -> Specimen:
        fields: dict[str, Any] = {}
        if kind == "user-layers":
            rng = np.random.default_rng(1)
            cells = rng.random((LAYERS, *imager_px)) < 0.4
            planes = cells * rng.uniform(0.6, 1.0, cells.shape)
            np.save(tmp_path / "planes.npy", planes)
            fields["files"] = (tmp_path / "planes.npy",)
        return SPECIMEN_KINDS[kind].model_validate(fields)

    return made


def draw(specimen: Specimen, frame: DrawnFrame = FRAME, seed: int = 0) -> DrawnLayers:
    return specimen.draw(np.random.default_rng(seed), LAYERS, frame)


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_the_registry_holds_a_kind_under_its_own_name(kind: str, example: Example) -> None:
    assert example(kind).kind == kind


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_the_same_seed_gives_the_same_bytes(kind: str, example: Example) -> None:
    specimen = example(kind)
    one, same = draw(specimen, seed=5), draw(specimen, seed=5)
    assert one.light.tobytes() == same.light.tobytes()
    assert one.mask.tobytes() == same.mask.tobytes()


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_there_is_no_light_but_autofluorescence_outside_the_mask(
    kind: str, example: Example
) -> None:
    dark = example(kind).model_copy(update={"autofluorescence": (0.0, 0.0)})
    light, mask = draw(dark)
    assert light.min() >= 0
    if dark.emits_outside_mask:
        pytest.skip("declares that it emits more")
    assert light[mask].mean() > 0.3
    # A disc or an edge may reach into pixels of which it covers less than half.
    assert light[~mask].sum() < 0.25 * light[mask].sum()


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_autofluorescence_adds_what_is_declared(kind: str, example: Example) -> None:
    specimen = example(kind)
    dark, hazy = (
        draw(specimen.model_copy(update={"autofluorescence": (level, level)}))
        for level in (0.0, 0.5)
    )
    assert np.array_equal(dark.mask, hazy.mask)
    assert (hazy.light - dark.light).mean() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_a_declared_coverage_is_kept_to(kind: str, example: Example) -> None:
    specimen = example(kind)
    if "coverage" not in type(specimen).model_fields:
        pytest.skip("declares no coverage")
    for low, high in ((0.2, 0.2), (0.0, 0.0), (0.3, 0.6)):
        mask = draw(specimen.model_copy(update={"coverage": (low, high)})).mask
        share = mask.mean((-2, -1))
        half_a_pixel = 0.5 / 51**2
        assert share.min() >= low - half_a_pixel
        assert share.max() <= high + half_a_pixel


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: f"{f.size_px}-{f.margin_px}")
def test_layers_have_the_pixels_of_the_frame(
    kind: str, frame: DrawnFrame, example: Example
) -> None:
    light, mask = draw(example(kind, frame.imager_px), frame)
    assert light.shape == mask.shape == (LAYERS, *frame.size_px)
    assert (light.dtype, mask.dtype) == (np.float32, np.bool_)
    assert np.isfinite(light).all()


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_the_imagers_frame_looks_the_same_with_a_margin(kind: str, example: Example) -> None:
    specimen = example(kind)

    def measured(frame: DrawnFrame) -> np.ndarray:
        """(layer, 2): mean light and coverage of the imager's frame, of many layers."""
        rows = []
        for seed in range(12):
            light, mask = (part[frame.inside] for part in draw(specimen, frame, seed))
            rows.append(np.stack([light.mean((-2, -1)), mask.mean((-2, -1))], axis=-1))
        return np.concatenate(rows)

    bare, wide = measured(FRAME), measured(DrawnFrame((67, 67), 55.0, margin_px=8))
    error = np.sqrt((bare.var(0) + wide.var(0)) / len(bare))
    assert (np.abs(bare.mean(0) - wide.mean(0)) <= 4 * error + 1e-3).all()


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_a_file_of_all_fields_gives_the_specimen_back(
    kind: str, example: Example, tmp_path: Path
) -> None:
    specimen = example(kind)
    (tmp_path / "mine.toml").write_text(
        tomli_w.dumps(specimen.model_dump(mode="json", exclude_none=True))
    )
    assert load_specimen(tmp_path / "mine.toml") == specimen
    assert type(specimen).model_validate_json(specimen.model_dump_json()) == specimen


@pytest.mark.parametrize("kind", SPECIMEN_KINDS)
def test_a_pixel_of_light_holds_some_cells(kind: str, example: Example) -> None:
    assert 0 < example(kind).cells_per_unit_light(55.0) < float("inf")


# --- a kind from outside ------------------------------------------------------------------------


class Stripes(Specimen):
    kind: Literal["stripes"] = "stripes"
    width_px: int = 5

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        columns = np.arange(frame.size_px[1]) + rng.integers(2 * self.width_px, size=(layers, 1, 1))
        mask = np.broadcast_to(columns // self.width_px % 2 == 0, (layers, *frame.size_px)).copy()
        light = mask + self.draw_autofluorescence(rng, mask.shape)
        return DrawnLayers(light.astype(np.float32), mask)


@pytest.fixture
def stripes() -> Iterator[Stripes]:
    SPECIMEN_KINDS.register("stripes", Stripes)
    yield Stripes(width_px=7)
    SPECIMEN_KINDS.unregister("stripes")


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_a_kind_from_outside_is_simulated(stripes: Stripes, boundary: Any) -> None:
    imager = Imager.reference().with_(boundary=boundary)
    scenes = simulate(2, seed=0, specimen=stripes, imager=imager, cell_photons_per_s=1e6)
    assert scenes.mask.mean() == pytest.approx(0.5, abs=0.05)
    assert scenes.captures.min() >= 0


def test_a_kind_from_outside_is_read_by_name_from_files_and_in_recipes(
    stripes: Stripes, tmp_path: Path
) -> None:
    assert load_specimen("stripes") == Stripes()
    (tmp_path / "mine.toml").write_text('kind = "stripes"\nwidth_px = 7\n')
    assert load_specimen(tmp_path / "mine.toml") == stripes
    scenes = SceneDistribution.model_validate({"specimen": {"kind": "stripes", "width_px": 7}})
    assert scenes.specimen == stripes
    assert SceneDistribution.model_validate_json(scenes.model_dump_json()) == scenes


def test_a_kind_from_outside_is_a_condition_of_a_suite(stripes: Stripes) -> None:
    condition = Condition(
        name="stripes", group="specimen", value="stripes", seed=1, scenes=2, specimen=stripes
    )
    (batch,) = condition.batches()
    assert len(batch.captures) == 2
    assert condition.described().specimen["width_px"] == 7


def test_the_command_line_simulates_a_kind_from_outside(
    stripes: Stripes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "simulate images-depth -o set --specimen stripes --files 1 --samples 1 --workers 1"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fociscope", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert '"kind": "stripes"' in (tmp_path / "set" / "dataset.json").read_text()
