"""Volumes of many captures: a folder for each, and a table of all."""

import csv
import json

import pytest
import tifffile
import torch
from typer.testing import CliRunner

import fociscope
from fociscope.cli.entry import app
from fociscope.errors import CaptureError, FociscopeError, OutputExistsError
from fociscope.imager import Imager
from fociscope.networks import (
    Architecture,
    FieldCorrelation,
    VolumeArchitecture,
    VolumeCopula,
    VolumeModelInfo,
    VolumeNet,
    write_volume_model,
)
from fociscope.workflows import ReconstructionOptions, reconstruct_volume, reconstruct_volumes


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Weights at random: what they find is of no interest here."""
    torch.manual_seed(0)
    trunk = Architecture(patch_px=1, widths=(4, 8), blocks=(1, 1))
    architecture = VolumeArchitecture(trunk=trunk, slices=6)
    path = tmp_path_factory.mktemp("model") / "own.safetensors"
    scales = FieldCorrelation(lateral_um=100.0)
    info = VolumeModelInfo(
        name="own",
        architecture=architecture,
        imager=Imager.reference(),
        half_angle_deg=(9.0, 30.0),
        base_blur_px=(0.0, 1.3),
        peak_snr_db=(18.0, 50.0),
        copula=VolumeCopula(presence=scales, depth=scales, axial_um=100.0),
    )
    write_volume_model(path, VolumeNet(architecture).eval(), info)
    return path


@pytest.fixture
def captures(tmp_path):
    """Three captures in a folder."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for n, capture in enumerate(fociscope.simulate(3, seed=0).captures, 1):
        for sensor, image in zip("AB", capture, strict=True):
            tifffile.imwrite(folder / f"{n}_{sensor}.tif", image)
    return folder


def paths_of(folder):
    return sorted(folder.glob("*.tif"))


def test_each_capture_has_its_folder_and_row(model, captures, tmp_path):
    options = ReconstructionOptions(model=model, formats=("npz",), device="cpu")
    outcome = reconstruct_volumes(paths_of(captures), tmp_path / "out", options)
    with (tmp_path / "out" / "captures.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(outcome.rows) == 3
    alone = reconstruct_volume(paths_of(captures)[2:4], tmp_path / "alone", options)
    assert float(rows[1]["residual_b"]) == pytest.approx(float(alone.volume.residual[1]), abs=1e-3)
    its = json.loads((tmp_path / "out" / rows[1]["folder"] / "summary.json").read_text())
    assert its["foci"] == int(rows[1]["foci"]) == alone.summary["foci"]
    assert [one["name"] for one in its["inputs"]] == ["2_A.tif", "2_B.tif"]


def test_a_broken_capture_is_left_out(model, captures, tmp_path):
    (captures / "2_B.tif").write_bytes(b"no image")
    options = ReconstructionOptions(model=model, formats=("csv",), device="cpu")
    outcome = reconstruct_volumes(paths_of(captures), tmp_path / "out", options)
    assert [row["name"] for row in outcome.rows] == ["1_A.tif", "3_A.tif"]
    assert [name for name, _ in outcome.left_out] == ["2_A.tif"]
    assert outcome.summary["left_out"][0]["name"] == "2_A.tif"


def test_all_broken_is_an_error_and_leaves_nothing(model, captures, tmp_path):
    for path in paths_of(captures):
        tifffile.imwrite(path, fociscope.simulate(1, seed=0).captures[0, 0, :20, :20])
    with pytest.raises(CaptureError):
        reconstruct_volumes(
            paths_of(captures), tmp_path / "out", ReconstructionOptions(model=model, device="cpu")
        )
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unasked(model, captures, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        reconstruct_volumes(
            paths_of(captures), tmp_path / "out", ReconstructionOptions(model=model, device="cpu")
        )
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_frames_of_a_series_have_folders_of_their_own(model, tmp_path):
    seen = fociscope.simulate(2, seed=0).captures
    for n, sensor in enumerate("ab"):
        tifffile.imwrite(tmp_path / f"series_{sensor}.tif", seen[:, n])
    options = ReconstructionOptions(model=model, formats=("csv",), device="cpu", batch=True)
    paths = [tmp_path / "series_a.tif", tmp_path / "series_b.tif"]
    outcome = reconstruct_volumes(paths, tmp_path / "out", options)
    assert [row["folder"] for row in outcome.rows] == ["series_a/0001", "series_a/0002"]
    assert (tmp_path / "out" / "series_a" / "0002" / "foci.csv").is_file()


def test_command_line_draws_samples_on_a_grid(model, captures, tmp_path):
    arguments = ["reconstruct", *map(str, paths_of(captures)), "-o", str(tmp_path / "out")]
    own = ["--volume", "--samples", "4", "--grid", "100:900:100", "--model", str(model), "--json"]
    result = CliRunner().invoke(app, [*arguments, *own])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert len(summary["captures"]) == 3
    its = json.loads((tmp_path / "out" / "1_A" / "summary.json").read_text())
    assert its["samples"]["count"] == 4
    assert its["slice_um"] == [150.0 + 100 * n for n in range(8)]
    assert (tmp_path / "out" / "1_A" / "samples.csv").is_file()


@pytest.mark.parametrize("option", [{"samples": 3}, {"grid": 10}])
def test_layers_know_neither_samples_nor_grids(captures, tmp_path, option):
    with pytest.raises(FociscopeError, match="a layered map has no"):
        fociscope.reconstruct(paths_of(captures), tmp_path / "out", ReconstructionOptions(**option))


@pytest.mark.parametrize("grid", ["a", "1:2", "0:100:x"])
def test_what_is_no_grid_is_refused(captures, tmp_path, grid):
    arguments = ["reconstruct", *map(str, paths_of(captures)[:2]), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--volume", "--grid", grid])
    assert result.exit_code != 0
    assert "FROM:TO:STEP" in str(result.exception or result.output)
