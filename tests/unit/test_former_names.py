"""What an earlier version called otherwise is read for one version, and a user's file is named."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fociscope import Imager, Reconstruction
from fociscope.errors import FociscopeWarning

LEAST = 'name = "mine"\n[optimisation]\nsteps = 5\n'


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        ("family", "told_exactly = 0.9", "exact_fraction = 0.9"),
        ("family", "misplaced = 0.25", "misregistered_fraction = 0.25"),
        ("family", "told_half_angle_error_deg = 2.0", "conditioning_half_angle_std_deg = 2.0"),
        ("family", "told_base_blur_error_px = 0.1", "conditioning_base_blur_std_px = 0.1"),
        ("family", "core = {share = 0.5}", "focus = {share = 0.5}"),
        ("family", "boundaries = ['surround']", "boundaries = ['reflect']"),
        ("family.focus", "share = 0.5\nsharp = 0.6", "share = 0.5\nzero_blur_fraction = 0.6"),
        ("calibration", "witness_scenes = 64", "psf_width_scenes = 64"),
        ("imager", 'boundary = "surround"', 'boundary = "reflect"'),
    ],
)
def test_a_former_key_of_a_recipe_is_read_with_a_warning(
    tmp_path: Path, section: str, old: str, new: str
) -> None:
    recipe = pytest.importorskip("fociscope.training.recipe").Recipe
    former, present = tmp_path / "former.toml", tmp_path / "present.toml"
    former.write_text(f"{LEAST}[{section}]\n{old}\n")
    present.write_text(f"{LEAST}[{section}]\n{new}\n")
    with pytest.warns(FociscopeWarning, match="is now called") as caught:
        read = recipe.load(former)
    message = str(caught[0].message)
    assert "former.toml" in message
    assert "\n" not in message
    assert read == recipe.load(present)


def test_both_names_of_one_key_are_refused(tmp_path: Path) -> None:
    recipe = pytest.importorskip("fociscope.training.recipe")
    path = tmp_path / "both.toml"
    path.write_text(LEAST + "[family]\ntold_exactly = 0.9\nexact_fraction = 0.8\n")
    with pytest.raises(recipe.RecipeError, match="told_exactly"):
        recipe.Recipe.load(path)


def test_a_former_boundary_of_an_imager_file(tmp_path: Path) -> None:
    path = tmp_path / "imager.toml"
    path.write_text('boundary = "surround"\n')
    with pytest.warns(FociscopeWarning, match="reflect"):
        assert Imager.from_toml(path) == Imager(boundary="reflect")


def test_records_are_read_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Imager.model_validate({"boundary": "surround"}).boundary == "reflect"


def test_a_network_reads_weights_of_former_names() -> None:
    layer_net = pytest.importorskip("fociscope.networks.layer_net")
    architecture = layer_net.Architecture()
    network, other = layer_net.LayerNet(architecture), layer_net.LayerNet(architecture)
    former = {layer_net.former_name(name): t for name, t in network.state_dict().items()}
    assert any(name.startswith("told.") for name in former)
    other.load_state_dict(former)
    assert all(torch.equal(t, other.state_dict()[n]) for n, t in network.state_dict().items())


def test_suspicion_is_the_former_name_of_quality_flags() -> None:
    zeros = np.zeros((1,), dtype=np.float32)
    result = Reconstruction(
        probability=np.zeros((1, 4, 4), np.float32), presence=zeros,
        intensity=np.zeros((1, 4, 4), np.float32), depth_um=zeros, depth_std_um=zeros,
        captures=np.ones((2, 4, 4), np.float32), reprojection=np.ones((2, 4, 4), np.float32),
        imager=Imager(), model="none", quality_flags=np.array("odd"),
    )  # fmt: skip
    with pytest.warns(DeprecationWarning, match="quality_flags"):
        assert result.suspicion == "odd"
    assert not replace(result).plausible


def test_former_attributes_are_read_with_a_warning() -> None:
    from fociscope.files import CaptureSeries
    from fociscope.imager import Registration

    with pytest.warns(DeprecationWarning, match="is_rotated_or_scaled"):
        assert Registration(scale=1.1).turned
    series = CaptureSeries((0, 1, 4, 4), lambda start, stop: np.empty(0), incomplete=3)
    with pytest.warns(DeprecationWarning, match="incomplete"):
        assert series.begun == 3
