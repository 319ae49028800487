"""Captures may be arrays or paths wherever they are taken, or a message says what to use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fociscope
from fociscope.errors import CaptureError, FociscopeError
from fociscope.files import open_captures, read_captures
from fociscope.imager import Imager
from fociscope.reconstruction.preparation import Preparation
from fociscope.solvers import tikhonov
from fociscope.workflows import ReconstructionOptions, reconstruct_captures


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return fociscope.simulate(2, seed=0).captures


@pytest.fixture
def stack(tmp_path: Path, captures: np.ndarray) -> Path:
    np.save(tmp_path / "run.npy", captures)
    return tmp_path / "run.npy"


@pytest.fixture(scope="module")
def model() -> fociscope.reconstruction.Model:
    return fociscope.load_model("layers-ab", device="cpu")


@pytest.mark.parametrize("as_given", [str, Path, lambda path: [path], lambda path: (str(path),)])
def test_a_model_takes_paths(model, stack: Path, captures: np.ndarray, as_given) -> None:
    found = model.reconstruct(as_given(stack))
    np.testing.assert_array_equal(found.depth_um, model.reconstruct(captures).depth_um)


def test_a_pair_of_paths_is_one_capture(model, tmp_path: Path, captures: np.ndarray) -> None:
    pair = [tmp_path / "x_A.npy", tmp_path / "x_B.npy"]
    for path, image in zip(pair, captures[0], strict=True):
        np.save(path, image)
    found = model.reconstruct(pair)
    assert found.probability.shape == (4, 51, 51)
    assert found.names == ("x_A.npy",)


def test_paths_are_prepared_as_arrays_are(stack: Path, captures: np.ndarray) -> None:
    options = ReconstructionOptions(preparation=Preparation(average=2), device="cpu")
    found = reconstruct_captures(stack, options)
    expected = reconstruct_captures(captures, options)
    assert found.depth_um.shape == (1, 4)
    np.testing.assert_array_equal(found.depth_um, expected.depth_um)


def test_one_path_need_not_be_in_a_list(stack: Path, captures: np.ndarray) -> None:
    np.testing.assert_array_equal(read_captures(stack), captures)
    with open_captures(str(stack)) as series:
        assert len(series) == 2


def test_a_solver_says_how_to_read_a_path(stack: Path) -> None:
    with pytest.raises(CaptureError, match=r"got a path .*read_captures\(path\)"):
        tikhonov(str(stack), [300.0], Imager.reference(), regularisation=1e-3)


def test_reconstruct_says_what_takes_arrays(captures: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(FociscopeError, match="expected paths of captures, got ndarray"):
        fociscope.reconstruct(captures, tmp_path / "map")
    assert not (tmp_path / "map").exists()


def test_the_repr_of_an_outcome_is_short(stack: Path, tmp_path: Path) -> None:
    outcome = fociscope.reconstruct(stack, tmp_path / "map")
    assert "self_check_residual" not in repr(outcome)


@pytest.mark.parametrize("names", [("1_A.TIF", "1_B.Tif"), ("1_A.PNG", "1_B.Png")])
def test_suffixes_may_be_in_any_case(tmp_path: Path, names: tuple[str, str], request) -> None:
    import tifffile
    from PIL import Image

    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    for name in names:
        if name.lower().endswith("tif"):
            tifffile.imwrite(tmp_path / name, image)
        else:
            Image.fromarray(image).save(tmp_path / name)
    with open_captures(tmp_path) as series:
        assert series.shape == (1, 2, 64, 64)


def test_files_of_several_folders_are_named_with_them(tmp_path: Path) -> None:
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    files = []
    for folder in ("mouse1", "mouse2"):
        (tmp_path / folder).mkdir()
        for side in "AB":
            files.append(tmp_path / folder / f"x_{side}.npy")
            np.save(files[-1], image)
    with open_captures(files) as series:
        assert series.frame_names == ("mouse1/x_A.npy", "mouse2/x_A.npy")
