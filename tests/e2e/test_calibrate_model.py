"""`fociscope calibrate-model`, and what its model says of its maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import fociscope
from fociscope.cli.entry import app
from fociscope.files import ImagesDepth, write_images_depth

RUN = CliRunner()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("known") / "known.h5"
    scenes = fociscope.simulate(60, seed=77)
    depth_map_um = scenes.mask * scenes.depth_um[..., None, None]
    write_images_depth(
        path, ImagesDepth(scenes.captures, scenes.layers, depth_map_um, scenes.depth_um)
    )
    return path


@pytest.fixture(scope="module")
def model(known: Path) -> Path:
    path = known.parent / "mine.safetensors"
    done = RUN.invoke(app, ["calibrate-model", "layers-ab", "--data", str(known), "-o", str(path)])
    assert done.exit_code == 0, done.output
    assert "at most 5 % are false" in done.stdout
    assert "the 60 of 'known.h5'" in done.stdout
    assert "With 95 % confidence" in done.stdout
    return path


def test_maps_of_the_model_say_what_holds(model: Path, tmp_path: Path) -> None:
    captures = fociscope.simulate(1, seed=78).captures[0]
    for name, image in zip("AB", captures, strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
    out = tmp_path / "map"
    files = [str(tmp_path / "A.tif"), str(tmp_path / "B.tif")]
    done = RUN.invoke(app, ["reconstruct", *files, "--model", str(model), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "at most 5 % are false" in done.stdout
    told = json.loads((out / "summary.json").read_text())["guarantees"]
    assert told["captures"] == 60 and 0 <= told["false_foci"]["threshold"] <= 1
    read = fociscope.load_result(out)
    assert read.guarantees is not None and read.guarantees.model_dump(mode="json") == told


def test_another_number_of_layers_is_promised_nothing(model: Path) -> None:
    loaded = fociscope.load_model(model, device="cpu")
    captures = fociscope.simulate(1, seed=78).captures[0]
    assert loaded.reconstruct(captures).guarantees is not None
    assert loaded.reconstruct(captures, layers=3).guarantees is None


def test_the_networks_weights_are_as_they_were(model: Path) -> None:
    captures = fociscope.simulate(1, seed=78).captures[0]
    ours, shipped = (
        fociscope.load_model(m, device="cpu").reconstruct(captures) for m in (model, "layers-ab")
    )
    np.testing.assert_array_equal(ours.probability, shipped.probability)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--false-foci", "0.01"], "60 capture(s) are too few for such shares; at least 299"),
        (["--depths", "1.2"], "must lie between 0 and 1; got 1.2"),
    ],
)
def test_what_cannot_be_promised_is_refused(
    options: list[str], said: str, known: Path, tmp_path: Path
) -> None:
    path = tmp_path / "none.safetensors"
    command = ["calibrate-model", "layers-ab", "--data", str(known), "-o", str(path), *options]
    done = RUN.invoke(app, command)
    assert done.exit_code != 0 and said in " ".join(str(done.exception).split())
    assert not path.exists()


def test_an_existing_model_is_not_replaced(model: Path, known: Path) -> None:
    before = model.read_bytes()
    done = RUN.invoke(app, ["calibrate-model", "layers-ab", "--data", str(known), "-o", str(model)])
    assert done.exit_code != 0 and model.read_bytes() == before
