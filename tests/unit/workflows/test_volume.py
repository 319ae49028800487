"""Volumes from files to files, and on the command line."""

import json

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

import fociscope
from fociscope.cli.entry import app
from fociscope.errors import CaptureError, FociscopeError, ModelError
from fociscope.imager import Imager
from fociscope.networks import (
    Architecture,
    VolumeArchitecture,
    VolumeModelInfo,
    VolumeNet,
    write_volume_model,
)
from fociscope.reconstruction import load_volume_model
from fociscope.workflows import ReconstructionOptions, reconstruct_volume


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Weights at random: what they find is of no interest here."""
    torch.manual_seed(0)
    trunk = Architecture(patch_px=1, widths=(4, 8), blocks=(1, 1))
    architecture = VolumeArchitecture(trunk=trunk, slices=6)
    path = tmp_path_factory.mktemp("model") / "own.safetensors"
    info = VolumeModelInfo(
        name="own",
        architecture=architecture,
        imager=Imager.reference(),
        half_angle_deg=(9.0, 30.0),
        base_blur_px=(0.0, 1.3),
        peak_snr_db=(18.0, 50.0),
    )
    write_volume_model(path, VolumeNet(architecture).eval(), info)
    return path


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captures")
    seen = fociscope.simulate(2, seed=0).captures
    for n, sensor in enumerate("ab"):
        tifffile.imwrite(folder / f"sensor_{sensor}.tif", seen[:1, n])
        tifffile.imwrite(folder / f"series_{sensor}.tif", seen[:, n])
    return folder


def test_volume_of_files_is_that_of_memory(model, captures, tmp_path):
    paths = [captures / "sensor_a.tif", captures / "sensor_b.tif"]
    options = ReconstructionOptions(model=model, formats=("npz",), device="cpu")
    outcome = reconstruct_volume(paths, tmp_path / "out", options)
    in_memory = load_volume_model(model, device="cpu").reconstruct(outcome.volume.captures)
    np.testing.assert_allclose(outcome.volume.probability, in_memory.probability, rtol=1e-5)
    assert {path.name for path in outcome.files} == {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert outcome.summary["inputs"][0]["name"] == "sensor_a.tif"
    np.testing.assert_allclose(outcome.volume.slice_um, np.arange(6) * 1000 / 6 + 1000 / 12)


def test_light_comes_in_the_unit_of_the_captures(model, captures):
    seen = fociscope.simulate(1, seed=0).captures[0]
    network = load_volume_model(model, device="cpu")
    one, other = network.reconstruct(seen), network.reconstruct(1000 * seen)
    np.testing.assert_allclose(other.intensity, 1000 * one.intensity, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(other.probability, one.probability, atol=1e-4)
    np.testing.assert_allclose(other.residual, one.residual, rtol=1e-3)


def test_batches_are_the_same_as_captures_alone(model):
    seen = fociscope.simulate(3, seed=0).captures
    network = load_volume_model(model, device="cpu")
    together, alone = network.reconstruct(seen), network.reconstruct(seen[2])
    np.testing.assert_allclose(together.probability[2], alone.probability, atol=1e-5)


def test_series_is_refused(model, captures, tmp_path):
    options = ReconstructionOptions(model=model)
    paths = [captures / "series_a.tif", captures / "series_b.tif"]
    with pytest.raises(CaptureError, match="one capture at a time"):
        reconstruct_volume(paths, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option", [{"layers": 3}, {"tile_px": 64}, {"resume": True}, {"refine_depth": True}]
)
def test_options_of_layers_are_refused(model, captures, tmp_path, option):
    with pytest.raises(FociscopeError, match="a volume has no"):
        reconstruct_volume(
            [captures / "sensor_a.tif"], tmp_path / "o", ReconstructionOptions(**option)
        )


def test_model_of_layers_is_refused(captures, tmp_path):
    with pytest.raises(ModelError, match="no model of volumes 'layers-ab'"):
        reconstruct_volume(
            [captures / "sensor_a.tif"], tmp_path / "o", ReconstructionOptions(model="layers-ab")
        )


def test_command_line_writes_and_prints(model, captures, tmp_path):
    arguments = [str(captures / f"sensor_{s}.tif") for s in "ab"]
    arguments = ["reconstruct", *arguments, "-o", str(tmp_path / "out"), "--volume", "--json"]
    result = CliRunner().invoke(app, [*arguments, "--model", str(model)])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["kind"] == "volume"
    assert len(summary["slice_um"]) == 6
    assert (tmp_path / "out" / "figure.png").stat().st_size > 10_000
