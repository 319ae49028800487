"""Specimens by name, from files and in recipes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fociscope.errors import FileFormatError, SceneError
from fociscope.imager import Imager
from fociscope.simulation import (
    SPECIMEN_KINDS,
    MicroFoci,
    PerlinFoci,
    Rings,
    Specimen,
    UserLayers,
    load_specimen,
    simulate,
)
from fociscope.training.recipe import SceneDistribution

SURROUND = Imager.reference().with_(boundary="reflect")
#: Kinds that need no more than their name.
BY_NAME = [name for name in SPECIMEN_KINDS if name != "user-layers"]


@pytest.mark.parametrize("name", BY_NAME)
def test_every_kind_is_found_by_its_name(name: str) -> None:
    specimen = load_specimen(name)
    assert specimen.kind == name
    assert specimen == type(specimen)()


def test_the_names_are_known() -> None:
    assert list(SPECIMEN_KINDS) == [
        "perlin-foci",
        "spectral-foci",
        "cellular-foci",
        "dead-leaves",
        "sheets",
        "micro-foci",
        "single-cells",
        "nuclei",
        "strands",
        "networks",
        "glands",
        "clouds",
        "rings",
        "lines",
        "resolution-target",
        "user-layers",
        "varied",
        "mixture",
        "any-tissue",
    ]


@pytest.mark.parametrize("imager", [Imager.reference(), SURROUND], ids=["zero", "reflect"])
@pytest.mark.parametrize("specimen", [load_specimen(n) for n in BY_NAME], ids=BY_NAME)
def test_every_kind_makes_scenes(specimen: Specimen, imager: Imager) -> None:
    scenes = simulate(2, seed=0, specimen=specimen, imager=imager)
    assert scenes.layers.shape == scenes.mask.shape == (2, 4, 51, 51)
    assert scenes.layers.dtype == np.float32
    assert scenes.mask.dtype == np.bool_
    assert scenes.layers.min() >= 0
    if not specimen.emits_outside_mask:
        assert scenes.mask.any((-2, -1)).all()
        # Four cells that touch fill a pixel, and a mean cell's light is 1.
        assert 0.7 < scenes.layers[scenes.mask].mean() < 5
        assert scenes.layers[~scenes.mask].mean() < 0.12
    again = simulate(1, first=1, seed=0, specimen=specimen, imager=imager)
    assert again.captures.tobytes() == scenes.captures[1:].tobytes()


@pytest.mark.parametrize("specimen", [load_specimen(n) for n in BY_NAME], ids=BY_NAME)
def test_a_frame_may_have_any_shape(specimen: Specimen) -> None:
    imager = Imager.reference().with_(frame_px=(36, 80))
    scenes = simulate(1, seed=0, layers=2, specimen=specimen, imager=imager)
    assert scenes.layers.shape == (1, 2, 36, 80)


def test_a_file_tells_the_kind_and_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('kind = "micro-foci"\nfoci_per_mm2 = 0.5\ncells_per_focus = [3, 4]\n')
    assert load_specimen(file) == MicroFoci(foci_per_mm2=0.5, cells_per_focus=(3, 4))
    assert load_specimen(str(file)) == load_specimen(file)


def test_a_file_without_a_kind_is_of_the_first(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("coverage = [0.1, 0.2]\n")
    assert load_specimen(file) == PerlinFoci(coverage=(0.1, 0.2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "blobs"', ["no kind of specimen", "micro-foci", "user-layers", "blobs"]),
        ('kind = "rings"\nradius_um = -1', ["specimen.radius_um", "-1"]),
        ('kind = "rings"\nfeature_um = 1', ["specimen.feature_um"]),
        ('kind = "user-layers"', ["specimen.files"]),
        ("kind = ", ["not a TOML file"]),
        ("kind = 3", ["no kind of specimen"]),
        ("kind = []", ["no kind of specimen"]),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SceneError) as caught:
        load_specimen(file)
    message = str(caught.value)
    assert "\n" not in message
    for word in [str(file), *words]:
        assert word in message


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SceneError) as caught:
        load_specimen("ring")
    assert all(name in str(caught.value) for name in ["did you mean rings?", *SPECIMEN_KINDS])
    with pytest.raises(FileFormatError, match="no such file"):
        load_specimen("nowhere.toml")


def test_a_kind_that_needs_more_than_its_name_says_what() -> None:
    with pytest.raises(SceneError, match=r"user-layers: .* needs more .*files.* \.toml file"):
        load_specimen("user-layers")


# --- in recipes ---------------------------------------------------------------------------------


def test_recipes_without_a_kind_are_still_read() -> None:
    assert SceneDistribution.model_validate({}).specimen == PerlinFoci()
    family = SceneDistribution.model_validate({"specimen": {"octaves": 3}})
    assert family.specimen == PerlinFoci(octaves=3)


def test_the_former_spread_is_a_quarter_of_the_diameter() -> None:
    family = SceneDistribution.model_validate({"specimen": {"spread_um": 22.5}})
    assert family.specimen == PerlinFoci()
    with pytest.raises(ValidationError):
        PerlinFoci.model_validate({"spread_um": "wide"})


@pytest.mark.parametrize(
    "specimen",
    [*map(load_specimen, BY_NAME), UserLayers(files=(Path("a.tif"),))],
    ids=lambda s: s.kind,
)
def test_a_recipe_comes_back_as_it_was(specimen: Specimen) -> None:
    family = SceneDistribution(specimen=specimen)
    assert SceneDistribution.model_validate_json(family.model_dump_json()) == family
    assert SceneDistribution.model_validate(family.model_dump()) == family


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (MicroFoci, {"cells_per_focus": (0, 4)}, "cells_per_focus"),
        (MicroFoci, {"cells_per_focus": (5, 4)}, "cells_per_focus"),
        (MicroFoci, {"foci_per_mm2": 20.0}, "at most 4.2 per mm"),
        (MicroFoci, {"cell_diameter_um": 2000.0}, "cell_diameter_um"),
        (PerlinFoci, {"cells_per_mm2": 1e12}, "cells_per_mm2"),
        (PerlinFoci, {"brightness_sigma": 1e3}, "brightness_sigma"),
        (PerlinFoci, {"autofluorescence_cv": 1e300}, "autofluorescence_cv"),
        (Rings, {"width_um": 400.0}, "run together"),
        (Rings, {"ring_count": 4}, "no hole"),
    ],
)
def test_an_impossible_specimen_is_refused(
    kind: type[Specimen], fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(SceneError, match=words):
        kind(**fields)
